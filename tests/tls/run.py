#!/usr/bin/python3
"""TLS and the Unix socket. run.py --server "brim-server --threads 2" [--seed N] [--only PART,...]

Replies, refusals and settings are compared with redis-server's; then what only shows under stress: bytes that come in
odd pieces, readers that stop, ends in the middle of everything, floods, many threads' clients at once.
"""

import argparse
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import settings  # noqa: E402
import unix_socket  # noqa: E402
from certificates import Certificates  # noqa: E402
from servers import ORACLE, Server, Tally, free_port  # noqa: E402
from tls_wire import TlsConnection  # noqa: E402
from wire import Closed, encode  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.join(HERE, "..", "clients")
MODULES = os.path.normpath(os.path.join(HERE, "..", "..", "build", "clients"))


def serve(command, options):
    """A server with a TLS port beside its plain one."""
    port = free_port()
    server = Server(command, ["--tls-port", str(port), *options])
    server.tls_port = port
    return server


def attempt(port, context, **more):
    """What a client gets: the negotiated protocol and PONG, or "refused"."""
    try:
        with TlsConnection(port, context, 5, **more) as c:
            return c.tls.version(), c.call("PING")
    except (ssl.SSLError, Closed, OSError):
        return "refused"


def node_scripts():
    """Those of tests/clients, where their modules are installed."""
    os.makedirs(MODULES, exist_ok=True)
    for name in ("package.json", "package-lock.json", "ioredis.mjs", "node_redis.mjs"):
        shutil.copy(os.path.join(CLIENTS, name), MODULES)
    if not os.path.isdir(os.path.join(MODULES, "node_modules", "redis")):
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=MODULES, check=True,
                       stdin=subprocess.DEVNULL, timeout=200)  # fmt: skip
    return [["node", os.path.join(MODULES, name)] for name in ("ioredis.mjs", "node_redis.mjs")]


def clients(tally, command, certs):
    """Real clients, the same scripts that tests/clients runs on a plain port."""
    environment = {**os.environ, "BRIM_TLS": certs.folder}
    with serve(command, certs.options()) as server:
        base = ["redis-cli", "-p", str(server.tls_port), "--tls", "--cacert", certs.path("ca.crt"), "--cert",
                certs.path("client.crt"), "--key", certs.path("client.key")]  # fmt: skip
        said = subprocess.run(base, input="SET a 1\nINCR a\nMULTI\nGET a\nEXEC\nCLIENT SETNAME me\n", text=True,
                              capture_output=True, timeout=20).stdout  # fmt: skip
        tally.check(said == "OK\n2\nOK\nQUEUED\n2\nOK\n", "redis-cli --tls", said)
        with server.connect() as c:
            values = {b"k:%d" % i: os.urandom(i * i) for i in range(300)}
            c.pipeline([["SET", k, v] for k, v in values.items()])
        for k, v in list(values.items())[::60]:
            got = subprocess.run(base + ["-x", "SET", "copy"], input=v, capture_output=True, timeout=20)
            back = subprocess.run(base + ["GET", "copy"], capture_output=True, timeout=20).stdout
            tally.check(got.returncode == 0 and back == v + b"\n", f"redis-cli -x with {len(v)} bytes")
        runs = [["/usr/bin/python3", os.path.join(CLIENTS, "python_redis.py")]]
        for run in runs + node_scripts():
            done = subprocess.run(run + [str(server.tls_port)], env=environment, capture_output=True, text=True,
                                  timeout=90, stdin=subprocess.DEVNULL)  # fmt: skip
            tally.check(done.returncode == 0, f"{os.path.basename(run[-1])} over TLS", done.stdout + done.stderr)
        tally.check(server.stop() == 0, "the server ends well", server.log_tail())


def agreement(tally, command, certs):
    """Who is let in, with which protocol and cipher: as redis-server decides."""
    v12, v13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    cases = [
        ("own certificate", {}, {}), ("none", {"name": None}, {}), ("a stranger's", {"name": "stranger"}, {}),
        ("expired", {"name": "old"}, {}), ("wrong authority of the server", {"authority": "other_ca"}, {}),
        ("TLS 1.2", {"highest": v12}, {}), ("TLS 1.3", {"lowest": v13}, {}), ("an EC certificate", {"name": "second"}, {}),
    ]  # fmt: skip
    setups = [certs.options(), certs.options(auth="no"), certs.options(auth="optional"), certs.options("second")]
    setups += [certs.options() + more for more in (
        ["--tls-protocols", "TLSv1.2"], ["--tls-protocols", "tlsv1.3"], ["--tls-protocols", "TLSv1.2 TLSv1.3"],
        ["--tls-ciphers", "ECDHE-RSA-AES256-GCM-SHA384", "--tls-protocols", "TLSv1.2"],
        ["--tls-dh-params-file", certs.path("params.pem"), "--tls-ciphers", "DHE-RSA-AES128-GCM-SHA256"],
        ["--tls-ca-cert-dir", certs.folder, "--tls-session-caching", "no"],
        ["--port", "0"],
    )]  # fmt: skip
    for number, options in enumerate(setups):
        wait = "--port" not in options
        seen = []
        for binary in (command, ORACLE):
            port = free_port()
            with Server(binary, ["--tls-port", str(port), *options], wait=wait) as server:
                until = time.monotonic() + 10
                while not wait and "eady to accept" not in server.log_tail() and time.monotonic() < until:
                    time.sleep(0.02)
                seen.append([attempt(port, certs.context(**client)) for _, client, _ in cases])
                tally.check(server.alive(), f"setup {number}: stands")
        for (name, _, _), ours, theirs in zip(cases, *seen):
            tally.check(ours == theirs, f"{options[8:]} setup {number}, {name}", f"{ours} instead of {theirs}")
    ciphers(tally, command, certs)


def ciphers(tally, command, certs):
    """The server's order counts when it is to; nothing in common is a refusal."""
    both = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
    v12 = ssl.TLSVersion.TLSv1_2
    for prefer, wanted in (("no", both[0]), ("yes", both[1])):
        options = ["--tls-ciphers", ":".join(reversed(both)), "--tls-prefer-server-ciphers", prefer]
        with serve(command, certs.options() + options) as server:
            context = certs.context(highest=v12, ciphers=":".join(both))
            with TlsConnection(server.tls_port, context) as c:
                tally.check(c.tls.cipher()[0] == wanted, f"prefer-server-ciphers {prefer}", c.tls.cipher()[0])
            context = certs.context(highest=v12, ciphers="ECDHE-RSA-CHACHA20-POLY1305")
            tally.check(attempt(server.tls_port, context) == "refused", "no cipher in common")
            tally.check("no shared cipher" in server.log_tail(), "the log says so", server.log_tail(500))
    suites = ["--tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]
    with serve(command, certs.options() + suites) as server, TlsConnection(server.tls_port, certs.context()) as c:
        tally.check(c.tls.cipher()[0] == suites[1], "tls-ciphersuites", c.tls.cipher()[0])


def resumption(tally, command, certs):
    """Sessions are resumed, unless caching is off or the certificates were changed."""
    for highest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for caching, wanted in (("yes", True), ("no", False)):
            with serve(command, certs.options() + ["--tls-session-caching", caching]) as server:
                context = certs.context(highest=highest)
                what = f"{highest.name}, tls-session-caching {caching}"
                with TlsConnection(server.tls_port, context) as c:
                    c.call("PING")
                    session = c.tls.session
                with TlsConnection(server.tls_port, context, session=session) as c:
                    tally.check(c.call("PING") == ("+", b"PONG") and c.tls.session_reused == wanted, what)
                    c.call("CONFIG", "SET", "tls-cert-file", certs.path("server.crt"))
                    session = c.tls.session
                with TlsConnection(server.tls_port, context, session=session) as c:
                    tally.check(not c.tls.session_reused and c.call("PING") == ("+", b"PONG"), what + ", changed")


def streams(tally, command, certs, r):
    """Big values, long pipelines, and bytes that come in pieces of every size."""
    big = os.urandom(20 << 20)
    with serve(command, certs.options()) as server, server.connect(30) as plain:
        for highest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = certs.context(highest=highest)
            with TlsConnection(server.tls_port, context, 30) as c:
                tally.check(c.call("SET", "big", big) == ("+", b"OK"), "20 MB in")
                tally.check(plain.value("STRLEN", "big") == len(big), "all of them")
                tally.check(c.value("GET", "big") == big, "20 MB out")
                sizes = [0, 1, 100, 1000, 8191, 8192, 16383, 16384, 16385, 16500, 40000, 70000, 300000]
                values = [big[:n] for n in sizes] * 3
                r.shuffle(values)
                c.pipeline([["SET", f"v:{i}", v] for i, v in enumerate(values)])
                got = c.pipeline([["GET", f"v:{i}"] for i in range(len(values))])
                tally.check(got == [("$", v) for v in values], "values of all sizes in one pipeline")
                tally.check(c.value("MGET", *(f"v:{i}" for i in range(len(values)))) == values, "in one reply")
                got = c.pipeline([["ECHO", str(i) * (i % 50)] for i in range(20000)])
                wanted = [("$", (str(i) * (i % 50)).encode()) for i in range(20000)]
                tally.check(got == wanted, "a pipeline of 20000")
            pieces = {"byte by byte": lambda: 1, "odd": lambda: r.choice((1, 2, 3, 5, 7, 29, 500, 1447, 16000)),
                      "thousands": lambda: r.randrange(1, 9000)}  # fmt: skip
            for name, piece in pieces.items():
                with TlsConnection(server.tls_port, context, 30, piece) as c:
                    size = 1500 if name == "byte by byte" else 60000
                    for _ in range(3):
                        value = os.urandom(size)
                        replies = c.pipeline([["SET", "p", value], ["GET", "p"], ["STRLEN", "p"]])
                        tally.check(replies == [("+", b"OK"), ("$", value), (":", size)], f"pieces: {name}")
        small_records(tally, server, certs)
        tally.check(server.alive(), "streams: the server stands", server.log_tail())


def small_records(tally, server, certs):
    """A request cut into records of some bytes, all of them in one segment; and requests that span records."""
    with TlsConnection(server.tls_port, certs.context()) as c:
        wire = b"".join(encode(["ECHO", f"word {i}"]) for i in range(500))
        for size in (1, 7, 100):
            for start in range(0, len(wire), size):
                c.tls.write(wire[start : start + size])
            c._push()
            replies = [c.read() for _ in range(500)]
            tally.check(replies == [("$", b"word %d" % i) for i in range(500)], f"records of {size} bytes")


def slow_readers(tally, command, certs):
    """Clients that stop reading: what waits for them is bounded, right when they go on, and cut at the limit."""
    value = os.urandom(1 << 20)
    with serve(command, certs.options()) as server, server.connect(30) as plain:
        plain.call("SET", "v", value)
        warm_up(server, certs)
        before = used(plain)
        stopped = [TlsConnection(server.tls_port, certs.context(), 30) for _ in range(20)]
        for c in stopped:
            c.tls.write(encode(["GET", "v"]) * 20)
            c._push()
        time.sleep(0.5)
        grown = used(plain) - before
        tally.check(grown < 20 * 150_000, "20 MB wait for each of 20: by reference", f"{grown}")
        for c in stopped[:5]:
            tally.check([c.read() for _ in range(20)] == [("$", value)] * 20, "it reads on: every byte is right")
            tally.check(c.call("PING") == ("+", b"PONG"), "and is served")
        for c in stopped[5:]:
            c.close()
        plain.call("CONFIG", "SET", "client-output-buffer-limit", "normal 4mb 0 0")
        c = TlsConnection(server.tls_port, certs.context(), 30)
        c.tls.write(encode(["GET", "v"]) * 60)
        c._push()
        time.sleep(0.3)
        tally.check(b"output buffer limits" in server.log_tail().encode(), "over the limit: cut", server.log_tail(800))
        c.close()
        settled(tally, plain, before, "the memory of readers that are gone comes back")
        tally.check(server.alive() and plain.call("PING") == ("+", b"PONG"), "slow readers: the server stands")


def used(c, field=b"used_memory"):
    for line in c.value("INFO", "memory").split(b"\r\n"):
        if line.startswith(field + b":"):
            return int(line.split(b":")[1])
    return 0


def warm_up(server, certs):
    """Each thread makes the room that all its TLS connections share."""
    conns = [TlsConnection(server.tls_port, certs.context()) for _ in range(8)]
    for c in conns:
        c.call("ECHO", "x" * 40000)
    for c in conns:
        c.close()
    time.sleep(0.1)


def settled(tally, plain, wanted, what, slack=300_000):
    until = time.monotonic() + 5
    while used(plain) > wanted + slack and time.monotonic() < until:
        time.sleep(0.05)
    tally.check(used(plain) <= wanted + slack, what, f"{used(plain)} bytes, before {wanted}")


def hello(certs):
    """The bytes of a client's first flight."""
    out = ssl.MemoryBIO()
    try:
        certs.context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return out.read()


def abrupt_ends(tally, command, certs, r):
    """Ends within handshakes and records, bytes that are no TLS, TLS where none is spoken."""
    with serve(command, certs.options()) as server, server.connect() as plain, TlsConnection(
        server.tls_port, certs.context()
    ) as bystander:
        warm_up(server, certs)
        before = used(plain)
        first = hello(certs)
        for size in sorted({0, 1, 4, 5, 6, 50, len(first) - 1, len(first)}):
            for reset in (False, True):
                s = socket.create_connection(("127.0.0.1", server.tls_port))
                s.sendall(first[:size])
                time.sleep(0.005)
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                s.close()
        for _ in range(150):  # damaged first flights, and bytes that never were one
            damaged = bytearray(first if r.randrange(3) else os.urandom(r.randrange(1, 3000)))
            for _ in range(r.randrange(6)):
                damaged[r.randrange(len(damaged))] = r.randrange(256)
            with socket.create_connection(("127.0.0.1", server.tls_port)) as s:
                try:
                    s.sendall(damaged[: r.randrange(len(damaged)) + 1])
                except OSError:
                    pass
        for _ in range(60):  # an established connection: half a record, a damaged one, or nothing more
            c = TlsConnection(server.tls_port, certs.context())
            c.tls.write(encode(["SET", "x", os.urandom(r.randrange(20000))]))
            record = bytearray(c.outgoing.read())
            kind = r.randrange(3)
            if kind == 0:
                record = record[: r.randrange(len(record))]
            elif kind == 1:
                record[r.randrange(len(record))] ^= 1 << r.randrange(8)
            c.waiting += record
            try:
                c._push()
            except Closed:
                pass
            c.close()
        tally.check(bystander.call("PING") == ("+", b"PONG"), "who was there before is served", server.log_tail())
        plain_to_tls(tally, server, certs)
        stats = plain.value("INFO", "stats")
        tally.check(int(re.search(rb"brim_tls_handshakes_failed:(\d+)", stats).group(1)) > 100, "failures are counted")
        plain.call("CONFIG", "SET", "maxclients", 2)
        tally.check(attempt(server.tls_port, certs.context()) == "refused", "beyond maxclients")
        plain.call("CONFIG", "SET", "maxclients", 10000)
        settled(tally, plain, before, "what is left of broken connections is given back")
        tally.check(server.alive(), "abrupt ends: the server stands", server.log_tail())


def plain_to_tls(tally, server, certs):
    half = b"\x16\x03\x01\xff\xff"
    for data in (b"PING\r\n", encode(["PING"]), b"GET / HTTP/1.0\r\n\r\n", b"\r\n" * 3000, b"\x80" * 100, half):
        with socket.create_connection(("127.0.0.1", server.tls_port), timeout=3) as s:
            s.sendall(data)
            if data != half:  # of which the rest may come
                try:
                    got = s.recv(100)
                except ConnectionResetError:
                    got = b""
                tally.check(b"PONG" not in got, f"{data[:8]!r} to the TLS port", f"{got}")
    with socket.create_connection(("127.0.0.1", server.port), timeout=3) as s:
        s.sendall(hello(certs))
        s.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while piece := s.recv(1000):
                got += piece
        except ConnectionResetError:
            pass
        tally.check(not got or got.startswith(b"-ERR"), "TLS to the plain port", f"{got}")


def goodbyes(tally, command, certs):
    with serve(command, certs.options()) as server:
        for highest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = certs.context(highest=highest)
            with TlsConnection(server.tls_port, context) as c:
                c.send("QUIT")
                tally.check(c.read() == ("+", b"OK") and c.goodbye(), f"{highest.name}: QUIT ends with close_notify")
            with TlsConnection(server.tls_port, context) as c:
                c.tls.write(encode(["ECHO", "last words"]))
                try:
                    c.tls.unwrap()
                except ssl.SSLError:
                    pass
                c._push()
                c.socket.shutdown(socket.SHUT_WR)
                tally.check(c.read() == ("$", b"last words"), f"{highest.name}: what came before the end is answered")
                tally.check(c.closed_within(5), f"{highest.name}: and the connection ends")
            with TlsConnection(server.tls_port, context) as c, TlsConnection(server.tls_port, context) as other:
                number = c.value("CLIENT", "ID")
                other.call("CLIENT", "KILL", "ID", number)
                tally.check(c.closed_within(5), f"{highest.name}: CLIENT KILL")
        key_changes(tally, server, certs)


def key_changes(tally, server, certs):
    """openssl s_client: new keys in the middle (K asks for ours too); no renegotiation."""
    base = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}", "-cert", certs.path("client.crt"), "-key",
            certs.path("client.key"), "-CAfile", certs.path("ca.crt"), "-quiet"]  # fmt: skip

    def talk(words, *lines):
        with subprocess.Popen([x for x in base if x != "-quiet"] + words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as p:  # fmt: skip
            for line in lines:
                time.sleep(0.15)
                try:
                    p.stdin.write(line)
                    p.stdin.flush()
                except BrokenPipeError:
                    break
            time.sleep(0.2)
            p.terminate()
            return p.communicate()[0]

    said = talk(["-tls1_3"], b"ECHO one\r\n", b"K\n", b"ECHO two\r\n", b"k\n", b"K\n", b"ECHO three\r\n")
    tally.check(all(b"\r\n%b\r\n" % w in said for w in (b"one", b"two", b"three")), "key updates", said[-500:])
    said = talk(["-tls1_2"], b"ECHO one\r\n", b"R\n", b"ECHO two\r\n")
    tally.check(b"\r\none\r\n" in said and b"\r\ntwo\r\n" not in said, "renegotiation is refused", said[-500:])


def many(tally, command, certs):
    """500 handshakes at once, then all of them used at once."""
    with serve(command, certs.options()) as server:
        context = certs.context()
        threads = 4
        done = [[] for _ in range(threads)]

        def work(mine):
            conns = [TlsConnection(server.tls_port, context, 60, handshake=False) for _ in range(500 // threads)]
            for c in conns:  # every first flight is on its way before any is answered
                try:
                    c.tls.do_handshake()
                except ssl.SSLWantReadError:
                    c._push()
            for c in conns:
                c.handshake()
            for n, c in enumerate(conns):
                c.send("INCRBY", f"sum:{n % 7}", 1)
            mine += [c.read()[0] == ":" for c in conns]
            for c in conns:
                c.close()

        workers = [threading.Thread(target=work, args=(done[n],)) for n in range(threads)]
        for t in workers:
            t.start()
        for t in workers:
            t.join(100)
        served = sum(map(sum, done))
        tally.check(served == 500 // threads * threads, "500 handshakes at once", f"{served} served")
        with server.connect() as c:
            total = sum(int(v or 0) for v in c.value("MGET", *(f"sum:{n}" for n in range(7))))
            tally.check(total == served, "all of them counted", f"{total}")
        tally.check(server.alive(), "many: the server stands", server.log_tail())


def flood(tally, command, certs, seconds=1.5):
    """Clients that were there are served while 200 handshakes at a time come in that nobody ends."""
    first = hello(certs)
    with serve(command, certs.options("second")) as server, server.connect() as plain:
        c = TlsConnection(server.tls_port, certs.context())
        stop, floods = time.monotonic() + seconds, [0]

        def pour():
            while time.monotonic() < stop:
                batch = [socket.create_connection(("127.0.0.1", server.tls_port)) for _ in range(200)]
                for s in batch:
                    s.sendall(first)
                time.sleep(0.05)
                for s in batch:
                    s.close()
                floods[0] += 1

        thread = threading.Thread(target=pour)
        thread.start()
        worst = 0
        while time.monotonic() < stop:
            for client in (plain, c):
                began = time.monotonic()
                client.call("PING")
                worst = max(worst, time.monotonic() - began)
            time.sleep(0.005)
        thread.join()
        tally.check(worst < 0.5, f"worst PING under {floods[0]} x 200 handshakes", f"{worst * 1000:.0f} ms")
        tally.check(attempt(server.tls_port, certs.context()) != "refused", "after the flood: handshakes go on")
        c.close()


class Idle:
    """A connection that never says anything, one that says half: both are closed in time, which is looked at last."""

    def __init__(self, tally, command, certs):
        self.tally, self.server = tally, serve(command, certs.options())
        self.sockets = [socket.create_connection(("127.0.0.1", self.server.tls_port)) for _ in range(3)]
        self.sockets[1].sendall(hello(certs)[:100])
        self.sockets[2].sendall(hello(certs))
        self.plain = self.server.connect()

    def finish(self):
        for n, s in enumerate(self.sockets):
            s.settimeout(15)
            try:
                while s.recv(10000):
                    pass
                closed = True
            except ConnectionResetError:
                closed = True
            except TimeoutError:
                closed = False
            self.tally.check(closed, f"an idle handshake ends ({n})")
        self.tally.check(self.plain.call("PING") == ("+", b"PONG"), "an idle plain connection does not")
        self.server.stop()


def threads(tally, command, certs, seconds=1.5):
    """Clients of both kinds on all threads at the same keys; certificates and ports change meanwhile."""
    with serve(command, certs.options()) as server:
        stop, sums, errors = time.monotonic() + seconds, [], []
        context = certs.context()

        def work(number):
            try:
                with TlsConnection(server.tls_port, context, 30) if number % 3 else server.connect(30) as c:
                    count = 0
                    while time.monotonic() < stop:
                        replies = c.pipeline([["INCR", "n"], ["SET", f"v:{number}", "x" * (count % 40000)],
                                              ["GET", f"v:{number}"], ["LPUSH", "queue", "y"],
                                              ["BLPOP", "queue", "5"]])  # fmt: skip
                        count += 1
                        if replies[2] != ("$", b"x" * ((count - 1) % 40000)) or any(x[0] == "-" for x in replies):
                            errors.append(str(replies)[:200])
                            return
                    sums.append(count)
            except Exception as e:  # a thread's end must not be silent
                errors.append(repr(e))

        workers = [threading.Thread(target=work, args=(n,)) for n in range(9)]
        for t in workers:
            t.start()
        with server.connect() as c:
            changes = 0
            while time.monotonic() < stop:
                name = ("server", "second")[changes % 2]
                reply = c.call("CONFIG", "SET", "tls-cert-file", certs.path(f"{name}.crt"), "tls-key-file",
                               certs.path(f"{name}.key"))  # fmt: skip
                if reply != ("+", b"OK"):
                    errors.append(str(reply))
                attempt(server.tls_port, context)
                changes += 1
                time.sleep(0.01)
            for t in workers:
                t.join(40)
            tally.check(not errors, "clients on all threads", f"{errors[:3]}")
            tally.check(c.value("GET", "n") == str(sum(sums)).encode(), "every INCR counted once", f"{sums}")
            tally.check(changes > 2, "certificates changed under way", f"{changes}")
        tally.check(server.stop() == 0, "threads: the server ends well", server.log_tail())


def migrate(tally, command, certs):
    """MIGRATE between all pairs of servers, TLS on both sides; targets that are no TLS or not to be trusted."""
    cluster = ["--tls-cluster", "yes"]
    mine = ["--tls-client-cert-file", certs.path("client.crt"), "--tls-client-key-file", certs.path("client.key")]

    def script(source, target):
        with serve(source, certs.options() + cluster + mine) as a, serve(target, certs.options()) as b, serve(
            target, certs.options("stranger")
        ) as stranger, a.connect(20) as c, b.connect(20) as d:
            value = os.urandom(3 << 20)
            c.pipeline([["SET", f"k:{i}", f"v:{i}"] for i in range(500)] + [["SET", "big", value]])
            yield c.call("MIGRATE", "127.0.0.1", b.tls_port, "", 0, 5000, "KEYS", *(f"k:{i}" for i in range(500)))
            yield c.call("MIGRATE", "127.0.0.1", b.tls_port, "big", 0, 5000, "COPY")
            yield d.value("GET", "big") == value and d.value("DBSIZE") == 501 and c.value("DBSIZE") == 1
            yield c.call("MIGRATE", "127.0.0.1", stranger.tls_port, "big", 0, 1000)
            yield c.call("MIGRATE", "127.0.0.1", b.port, "big", 0, 500)
            yield c.call("MIGRATE", "127.0.0.1", free_port(), "big", 0, 500)
            with socket.socket() as silent:
                silent.bind(("127.0.0.1", 0))
                silent.listen()
                if source == command:  # redis-server waits without end for it
                    reply = c.call("MIGRATE", "127.0.0.1", silent.getsockname()[1], "big", 0, 200)
                    tally.check(reply[0] == "-", "MIGRATE: a silent target", f"{reply}")
            yield c.call("CONFIG", "SET", "tls-cluster", "no")
            yield c.call("MIGRATE", "127.0.0.1", b.tls_port, "big", 0, 500)[0]
            yield c.call("MIGRATE", "127.0.0.1", b.port, "big", 0, 500, "REPLACE"), c.value("DBSIZE")

    wanted = list(script(ORACLE, ORACLE))
    for source, target in ((command, command), (command, ORACLE), (ORACLE, command)):
        got = list(script(source, target))
        for n, (x, y) in enumerate(zip(wanted, got)):
            name = f"MIGRATE {n} from {os.path.basename(source.split()[0])} to {os.path.basename(target.split()[0])}"
            tally.check(x == y, name, f"{y} instead of {x}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    tally, r, command = Tally(), random.Random(options.seed), options.server
    certs = Certificates()
    parts = {
        "clients": lambda: clients(tally, command, certs),
        "agreement": lambda: agreement(tally, command, certs),
        "settings": lambda: settings.run(tally, command, certs),
        "resumption": lambda: resumption(tally, command, certs),
        "streams": lambda: streams(tally, command, certs, r),
        "readers": lambda: slow_readers(tally, command, certs),
        "ends": lambda: abrupt_ends(tally, command, certs, r),
        "goodbyes": lambda: goodbyes(tally, command, certs),
        "many": lambda: many(tally, command, certs),
        "flood": lambda: flood(tally, command, certs),
        "threads": lambda: threads(tally, command, certs),
        "migrate": lambda: migrate(tally, command, certs),
        "unix": lambda: unix_socket.run(tally, command),
    }
    wanted = options.only.split(",") if options.only else [*parts, "idle"]
    try:
        idle = Idle(tally, command, certs) if "idle" in wanted else None
        for name in wanted:
            if name in parts:
                began = time.monotonic()
                parts[name]()
                print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
        if idle:
            idle.finish()
    finally:
        certs.remove()
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
