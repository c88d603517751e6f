#!/usr/bin/python3
"""Does the differential runner find what it should? redis-server against redis-server that was made to differ."""

import os
import re
import select
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))

from servers import ORACLE, Server, Tally  # noqa: E402


def _pump(client, port):
    """Bytes both ways; one reply is falsified, one word crashes the proxy and one makes it silent."""
    server = socket.create_connection(("127.0.0.1", port))
    silent = False
    while True:
        readable, _, _ = select.select([client, server], [], [])
        for side in readable:
            data = side.recv(1 << 18)
            if not data:
                client.close()
                server.close()
                return
            if side is client:
                asked = data.upper()
                if b"\r\nGETSET\r\n" in asked and os.environ["PROXY_FAULT"] == "crash":
                    os.kill(os.getpid(), 11)
                silent = silent or (b"\r\nGETSET\r\n" in asked and os.environ["PROXY_FAULT"] == "hang")
                server.sendall(data)
            elif not silent:
                if os.environ["PROXY_FAULT"] == "falsify":
                    data = data.replace(b"\r\n$4\r\nzset\r\n", b"\r\n$4\r\nZset\r\n").replace(
                        b"+zset\r\n", b"+Zset\r\n"
                    )
                client.sendall(data)


def proxy(arguments):
    """A server for the runner: redis-server behind a proxy that listens on the port it was told."""
    port = int(arguments[arguments.index("--port") + 1])
    with Server(ORACLE) as behind, socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_pump, args=(client, behind.port), daemon=True).start()


def run(tally, name, server, expected, most_commands, *options, env=None):
    """`expected`: a pattern in the output, or None when no difference may be found."""
    line = [sys.executable, os.path.join(HERE, "run.py"), "--server", server, "--commands", "6000", "--timeout", "4"]
    line += ["--no-tables", "--max-differences", "1", *options]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=300)
    text = done.stdout + done.stderr
    if expected is None:
        tally.check(done.returncode == 0 and "DIFFERENCE" not in text, name, text[-1500:])
        return
    found = re.search(expected, text)
    length = re.search(r"\((\d+) commands;", text)
    ok = done.returncode == 1 and found and length and int(length.group(1)) <= most_commands
    tally.check(ok, name, f"exit {done.returncode}\n{text[-1500:]}")


def main():
    if "--proxy" in sys.argv:
        proxy(sys.argv[2:])
    tally = Tally()
    for resp in ("2", "3"):
        run(tally, f"equal servers, RESP{resp}", ORACLE, None, 0, "--resp", resp)
    run(
        tally,
        "another limit of an encoding",
        f"{ORACLE} --hash-max-listpack-entries 100",
        "DIFFERENCE .*(OBJECT|SCAN|HGETALL)",
        2,
        "--no-settings",
        "--groups",
        "hashes",
    )
    run(
        tally,
        "a missing command",
        f"{ORACLE} --rename-command INCR NOINCR",
        "DIFFERENCE reply INCR",
        1,
        "--groups",
        "strings",
    )
    run(
        tally,
        "fewer databases",
        f"{ORACLE} --databases 2",
        "DIFFERENCE .*(SELECT|COPY|MOVE|SWAPDB)",
        2,
        "--groups",
        "keys",
    )
    this = f"{sys.executable} {os.path.abspath(__file__)} --proxy"
    run(
        tally,
        "a false reply",
        this,
        "DIFFERENCE (reply|keyspace) TYPE",
        2,
        "--groups",
        "keys,zsets",
        env={"PROXY_FAULT": "falsify"},
    )
    run(tally, "a crash", this, "DIFFERENCE crash", 1, "--groups", "strings", env={"PROXY_FAULT": "crash"})
    run(
        tally,
        "a hang",
        this,
        "DIFFERENCE hang",
        1,
        "--groups",
        "strings",
        "--shrink-seconds",
        "40",
        env={"PROXY_FAULT": "hang"},
    )
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
