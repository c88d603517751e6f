#!/usr/bin/python3
"""Clients that are told of things and never read must not cost data.
usage: slow_subscribers.py subscribers|tracking 'SERVER COMMAND' [connections]

300 MB, allkeys-lru, filled to 270 MB. `subscribers`: 1000 connections subscribe to a channel, read nothing, and 1 KB
messages are published to it without a pause. `tracking`: 100 connections track all keys in broadcast mode, read
nothing, and keys are written over without a pause. Prints the keys that this cost, the peak of memory, how many
connections are left, and the slowest GET of a client that behaves.
"""

import json
import multiprocessing
import resource
import socket
import sys
import time

from collections_limit import Sampler
from prober import Prober
from resp import Connection, encode
from slow_readers import FILL, LIMIT
from target import Server

SECONDS, CONNECTIONS = 8, {"subscribers": 1000, "tracking": 100}
PROBED = 1000  # keys


def fill(server):
    i = 0
    while int(server.info("used_memory")) < FILL:
        server.connection.load((b"SET", b"k:%d" % j, b"v" * 1000) for j in range(i, i + 5000))
        i += 5000
    return i


def listen(port, mode, connections):
    """Connections with a small receive window that ask to be told, and will not read it."""
    out = []
    for _ in range(connections):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        if mode == "subscribers":
            s.sendall(encode("SUBSCRIBE", "news"))
        else:
            s.sendall(encode("HELLO", 3) + encode("CLIENT", "TRACKING", "ON", "BCAST"))
        out.append(s)
    return out


def tell(port, mode, keys, seconds, pipe):
    """Publishes, or writes keys over, as fast as it is answered; sends how often."""
    connection, count, batch, refused = Connection(port), 0, 20, 0
    until = time.monotonic() + seconds
    message = encode("PUBLISH", "news", b"m" * 1000) * batch
    while time.monotonic() < until:
        if mode == "subscribers":
            refused += connection.burst(message, batch)
        else:
            wire = b"".join(encode("SET", f"k:{(count + i) % keys}", b"w" * 1000) for i in range(batch))
            refused += connection.burst(wire, batch)
        count += batch
    pipe.send((count, refused))


def measure(mode, command, connections=None):
    connections = connections or CONNECTIONS[mode]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, connections + 200), hard))
    with Server(command) as server:
        server.call("CONFIG", "SET", "maxmemory", LIMIT)
        server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        filled = fill(server)
        keys, evicted = server.call("DBSIZE"), int(server.info("evicted_keys"))
        sockets = listen(server.port, mode, connections)
        prober = Prober(server.port, [("GET", f"k:{i}") for i in range(PROBED)], 0.001)
        sampler = Sampler(server, used=False)
        mine, far = multiprocessing.Pipe()
        teller = multiprocessing.get_context("fork").Process(
            target=tell, args=(server.port, mode, filled, SECONDS, far), daemon=True
        )
        teller.start()
        told, refused = mine.recv() if mine.poll(SECONDS + 60) else (0, 0)
        teller.join()
        prober.stop()
        sampler.stop()
        left = int(server.info("connected_clients")) - 1
        result = {"told": told, "refused": refused, "keys": keys, "evicted": int(server.info("evicted_keys")) - evicted,
                  "resident": round(sampler.resident / LIMIT, 3), "connected": left,
                  "cut": [int(server.info(f) or 0) for f in ("evicted_clients", "client_output_buffer_limit_disconnections")],
                  "get_ms": prober.worst_ms, "late_ms": prober.late_ms}  # fmt: skip
        for s in sockets:
            s.close()
        return result


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in CONNECTIONS:
        raise SystemExit(__doc__)
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)))
