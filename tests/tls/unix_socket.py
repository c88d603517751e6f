"""The Unix socket beside redis-server's: what CLIENT LIST shows, permissions, left-over files, the end."""

import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time

from servers import ORACLE, Server
from wire import Connection


def transcript(command, folder, tally):
    path = os.path.join(folder, "socket")
    steps = []
    for perm in ("0", "700", "777"):
        with open(path, "w") as left_over:
            left_over.write("not a socket")
        server = Server(command, ["--unixsocket", path, "--unixsocketperm", perm])
        mode = os.stat(path).st_mode
        steps.append((stat.S_ISSOCK(mode), oct(mode & 0o777)))
        with Connection(path) as c:
            steps.append(c.call("PING"))
            line = c.value("CLIENT", "LIST").decode()
            steps.append(re.findall(r"(laddr=\S+|addr=\S+|flags=\S+)", line.replace(path, "PATH")))
            steps.append(c.call("CONFIG", "GET", "unixsocketperm"))
            steps.append(c.call("CONFIG", "SET", "unixsocket", "/elsewhere"))
            steps.append(c.call("DEBUG", "JMAP")[1][:7])
            said = subprocess.run(["redis-cli", "-s", path], input="SET a b\nGET a\n", capture_output=True, text=True,
                                  timeout=10).stdout  # fmt: skip
            steps.append(said)
            deadline = time.monotonic() + 5  # redis-cli has gone, but its end may still lie before another thread
            while c.value("CLIENT", "LIST").count(b"\n") > 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            steps.append(c.call("CLIENT", "KILL", "ADDR", f"{path}:0", "SKIPME", "yes"))
        if perm == "700":  # a stale socket of a server that was killed
            server.kill()
            steps.append(os.path.exists(path))
            server.start()
            with Connection(path) as c:
                steps.append(c.call("PING"))
        steps.append(server.stop())
        steps.append(os.path.exists(path))
    bad = Server(command, ["--unixsocket", os.path.join(folder, "none", "socket")], wait=False)
    steps.append(bad.process.wait(10))
    bad.stop()
    return steps


def dealt(tally, command, folder):
    """Its connections are served by all threads, big values included; the port may be closed."""
    path = os.path.join(folder, "socket")
    with Server(command, ["--unixsocket", path, "--protected-mode", "yes"]) as server:
        value, right = os.urandom(1 << 20), []

        def work(number):
            with Connection(path, 30) as c:
                for i in range(20):
                    replies = c.pipeline([["SET", f"k:{number}", value[i:]], ["GET", f"k:{number}"], ["INCR", "n"]])
                    right.append(replies[1] == ("$", value[i:]))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        tally.check(len(right) == 120 and all(right), "six clients on the Unix socket", f"{len(right)}, {right.count(True)}")
        with Connection(path) as c:
            tally.check(c.value("GET", "n") == b"120", "all of them counted")
            tally.check(c.call("CONFIG", "SET", "port", "0") == ("+", b"OK"), "port 0 beside the Unix socket")
            tally.check(c.call("PING") == ("+", b"PONG"), "it goes on")
        with Connection(path) as c:
            tally.check(c.call("PING") == ("+", b"PONG"), "and takes new connections")


def outside_address():
    """An address of this machine that is not its loopback's; None: there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # nothing is sent
            return s.getsockname()[0]
        except OSError:
            return None


def protected(tally, command):
    """protected-mode: who comes from outside is refused unless there is a password."""
    address = outside_address()
    if address is None or address.startswith("127."):
        print("no address but the loopback's: protected-mode is not tested")
        return
    answers = []
    for binary in (command, ORACLE):
        with Server(binary, ["--bind", "0.0.0.0"]) as server, server.connect() as c:
            seen = []

            def outside():
                with socket.create_connection((address, server.port), timeout=5) as s:
                    s.settimeout(5)
                    got = b""
                    try:
                        s.sendall(b"PING\r\n")
                        while not got.endswith(b"\n"):
                            piece = s.recv(4096)
                            if not piece:
                                break
                            got += piece
                    except ConnectionResetError:
                        pass
                    return got

            seen.append(outside())
            seen.append(re.search(rb"rejected_connections:(\d+)", c.value("INFO", "stats")).group(1))
            for words in (("protected-mode", "no"), ("protected-mode", "yes", "requirepass", "secret")):
                c.call("CONFIG", "SET", *words)
                seen.append(outside())
            answers.append(seen)
    tally.check(answers[0] == answers[1] and answers[0][0].startswith(b"-DENIED"), "protected-mode", f"{answers}")


def run(tally, command):
    folder = tempfile.mkdtemp(prefix="brim-unix-")
    try:
        ours, theirs = transcript(command, folder, tally), transcript(ORACLE, folder, tally)
        for n, (x, y) in enumerate(zip(ours, theirs)):
            tally.check(x == y, f"Unix socket, step {n}", f"{x} instead of {y}")
        dealt(tally, command, folder)
        protected(tally, command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
