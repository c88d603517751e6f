#!/usr/bin/python3
"""TLS: server CPU per request, and memory a connection at rest. usage: tls.py 'SERVER COMMAND' ['SERVER COMMAND'...]

Server on core 0, redis-benchmark on core 1, rounds that visit every server in turn, medians; clients show certificates,
as both servers want by default. Then the resident bytes by which each of many connections, made and used once, makes
the server grow.
"""

import os
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import target
from prober import Prober
from slow_collections import allow_connections

KEYS, ROUNDS = 100_000, 3
# Operation, pipeline depth, connections, requests. (redis-benchmark makes its connections' handshakes one after another,
# some milliseconds each.)
SHAPES = [("get", 1, 50, 100_000), ("set", 1, 50, 100_000), ("get", 16, 50, 500_000), ("set", 16, 50, 500_000),
          ("get", 1, 1000, 100_000)]  # fmt: skip


def make_certificates(folder):
    """ca.crt, and cert.pem with key.pem signed by it, for both sides."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj",
            "/CN=bench authority")  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.csr", "-subj", "/CN=localhost")
    openssl("x509", "-req", "-in", "cert.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem",
            "-days", "2")  # fmt: skip


class Certificates:
    """A folder of them that goes at the end of a `with`."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="brim-bench-tls-")
        make_certificates(self.folder)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def server(self, command, cpu=None):
        port = target.free_port()
        line = (f"{command} --tls-port {port} --tls-cert-file {self.path('cert.pem')} --tls-key-file "
                f"{self.path('key.pem')} --tls-ca-cert-file {self.path('ca.crt')}")  # fmt: skip
        server = target.Server(line, cpu)
        server.tls_port = port
        return server

    def connect(self, server):
        context = ssl.create_default_context(cafile=self.path("ca.crt"))
        context.check_hostname = False
        context.load_cert_chain(self.path("cert.pem"), self.path("key.pem"))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", server.tls_port)))


def one_round(certificates, server, operation, depth, clients, requests):
    """(requests a second, server CPU microseconds a request), handshakes not counted."""
    line = ["taskset", "-c", "1", "redis-benchmark", "-p", str(server.tls_port), "--tls", "--cacert",
            certificates.path("ca.crt"), "--cert", certificates.path("cert.pem"), "--key", certificates.path("key.pem"),
            "-c", str(clients), "-P", str(depth), "-r", str(KEYS), "-d", "64", "-t", operation, "-q"]  # fmt: skip

    def run(count):
        before = server.cpu_seconds()
        done = subprocess.run(line + ["-n", str(count)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=600)  # fmt: skip
        rates = re.findall(r"([\d.]+) requests per second", done.stdout)
        if not rates:
            raise SystemExit(f"redis-benchmark said: {done.stdout[-500:]} {done.stderr[-500:]}")
        return float(rates[-1]), server.cpu_seconds() - before

    # The handshakes of a run of many connections are not small: they are measured by themselves and taken off.
    _, handshakes = run(clients * depth)
    rate, cpu = run(requests)
    return rate, (cpu - handshakes) / (requests - clients * depth) * 1e6


def throughput(certificates, commands, scale=1.0, rounds=ROUNDS):
    """Yields (operation, depth, connections, [one entry a server: rate, cpu_us, ratio to the last server's CPU])."""
    servers = []
    try:
        for command in commands:
            servers.append(certificates.server(command, cpu=0))
            servers[-1].connection.load((b"SET", b"key:%012d" % i, b"v" * 64) for i in range(KEYS))
        for operation, depth, clients, requests in SHAPES:
            seen = [
                [one_round(certificates, s, operation, depth, clients, int(requests * scale)) for s in servers]
                for _ in range(rounds if clients < 1000 else 1)
            ]
            yield operation, depth, clients, [
                {
                    "rate": round(statistics.median(row[i][0] for row in seen)),
                    "cpu_us": round(statistics.median(row[i][1] for row in seen), 3),
                    "ratio": round(statistics.median(row[i][1] / max(row[-1][1], 1e-9) for row in seen), 3),
                }
                for i in range(len(servers))
            ]
    finally:
        for server in servers:
            server.stop()


def at_rest(certificates, command, connections):
    """Resident bytes a connection that has had one answer."""
    with certificates.server(command) as server:
        allow_connections(server, connections)

        def connect():
            s = certificates.connect(server)
            s.sendall(b"PING\r\n")
            assert s.recv(64) == b"+PONG\r\n"
            return s

        first = [connect() for _ in range(20)]
        time.sleep(1)
        before = server.resident()
        sockets = [connect() for _ in range(connections)]
        time.sleep(1.5)
        grown = server.resident() - before
        for s in first + sockets:
            s.close()
        return round(grown / connections)


def handshake_cpu_ms(certificates, command, count=200):
    """Server CPU of a handshake with certificates on both sides, and of closing."""
    with certificates.server(command, cpu=0) as server:
        certificates.connect(server).close()
        before = server.cpu_seconds()
        for _ in range(count):
            certificates.connect(server).close()
        time.sleep(0.1)
        return round((server.cpu_seconds() - before) / count * 1e3, 2)


def under_flood(certificates, command, seconds=4.0, at_a_time=200):
    """The worst PING of a client on the plain port while clients come that begin a handshake and never end it."""
    out = ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=certificates.path("ca.crt"))
    context.check_hostname = False
    try:
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        first_flight = out.read()
    with certificates.server(command) as server:
        certificates.connect(server).close()
        prober = Prober(server.port)
        begun, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            batch = [socket.create_connection(("127.0.0.1", server.tls_port)) for _ in range(at_a_time)]
            for s in batch:
                s.sendall(first_flight)
            for s in batch:  # answered
                s.settimeout(10)
                s.recv(100)
            for s in batch:
                s.close()
            begun += at_a_time
        prober.stop()
        return {"worst_ping_ms": prober.worst_ms, "machine_late_ms": prober.late_ms, "handshakes": begun}


if __name__ == "__main__":
    with Certificates() as certificates:
        for operation, depth, clients, results in throughput(certificates, sys.argv[1:]):
            print(operation, f"pipeline={depth} connections={clients}", *results, flush=True)
        for command in sys.argv[1:]:
            print(command.split("/")[-1], "bytes a connection at rest:", at_rest(certificates, command, 1000),
                  "CPU ms a handshake:", handshake_cpu_ms(certificates, command), "flood:",
                  under_flood(certificates, command), flush=True)  # fmt: skip
