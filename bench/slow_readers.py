#!/usr/bin/python3
"""Clients that ask and never read must not cost data. usage: slow_readers.py 'SERVER COMMAND' [connections]

300 MB, allkeys-lru, filled to 270 MB; then every connection asks four times for a value of 1 MB and reads nothing.
Prints the keys that this cost, the peak of memory, and the slowest GET of a client that behaves.
"""

import json
import resource
import socket
import sys
import time

from collections_limit import Sampler
from prober import Prober
from resp import encode
from target import Server

LIMIT, FILL = 300 << 20, 270 << 20
SECONDS = 8


def fill(server):
    server.call("SET", "big", b"x" * (1 << 20))
    i = 0
    while int(server.info("used_memory")) < FILL:
        server.connection.load((b"SET", b"k:%d" % j, b"v" * 1000) for j in range(i, i + 5000))
        i += 5000


def ask_and_leave(port, connections):
    """Connections with a small receive window that have asked for 4 MB and will not read it."""
    out = []
    for _ in range(connections):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        out.append(s)
    for s in out:
        try:
            s.sendall(encode("GET", "big") * 4)
        except OSError:
            pass  # cut already
    return out


def measure(command, connections=1000):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, connections + 200), hard))
    with Server(command) as server:
        server.call("CONFIG", "SET", "maxmemory", LIMIT)
        server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        fill(server)
        keys, evicted = server.call("DBSIZE"), int(server.info("evicted_keys"))
        prober = Prober(server.port, [("GET", f"k:{i}") for i in range(1000)], 0.001)
        sampler = Sampler(server, used=False)
        sockets = ask_and_leave(server.port, connections)
        time.sleep(SECONDS)
        prober.stop()
        sampler.stop()
        left = int(server.info("connected_clients")) - 1
        evicted = int(server.info("evicted_keys")) - evicted
        for s in sockets:
            s.close()
        return {"keys": keys, "evicted": evicted, "resident": round(sampler.resident / LIMIT, 3),
                "connected": left, "get_ms": prober.worst_ms, "late_ms": prober.late_ms}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000)))
