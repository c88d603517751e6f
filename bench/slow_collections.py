#!/usr/bin/python3
"""Clients that ask and never read, many ways. usage: slow_collections.py PORT 'SERVER COMMAND' [connections] [kind]

300 MB, allkeys-lru, filled to 270 MB, then every connection asks and reads nothing. By kind:
  values   each connection MGETs a value of its own of about 100 KB until that makes 1 MB (100 MB of values together)
  lrange   four times LRANGE 0 -1 of one list of 1 MB
  hgetall  four times HGETALL of one hash of 1 MB
Prints the keys that this cost, the peak of memory, and the slowest GET of a client that behaves. PORT 0 is any free
port.
"""

import json
import resource
import socket
import sys
import time

import target
from collections_limit import Sampler, set_limit
from prober import Prober
from resp import encode

LIMIT, FILL, SECONDS = 300 << 20, 270 << 20, 8
KINDS = ("values", "lrange", "hgetall")
VALUES, VALUE, ITEMS, ITEM, TIMES = 1000, 100 << 10, 10_000, 100, 4


def load_kind(server, kind):
    """Store what will be asked for."""
    if kind == "values":
        server.connection.load(((b"SET", b"big:%d" % i, b"%010d" % i * (VALUE // 10)) for i in range(VALUES)), 50)
    elif kind == "lrange":
        server.connection.load(((b"RPUSH", b"list", b"%0*d" % (ITEM, i)) for i in range(ITEMS)))
    else:
        server.connection.load(((b"HSET", b"hash", b"f%05d" % i, b"%0*d" % (ITEM - 6, i)) for i in range(ITEMS)))


def question(kind, i):
    """What connection i sends."""
    if kind == "values":
        return encode("MGET", f"big:{i % VALUES}") * (-(-(1 << 20) // VALUE))
    return encode(*(("LRANGE", "list", "0", "-1") if kind == "lrange" else ("HGETALL", "hash"))) * TIMES


def fill(server, used):
    """Small values until used_memory is there."""
    i, value = 0, b"v" * 1000
    while int(server.info("used_memory")) < used:
        server.connection.load((b"SET", b"k:%d" % j, value) for j in range(i, i + 2000))
        i += 2000


def allow_connections(server, count):
    """Raise the limit on open files of this process and the server's on clients (files: inherited at its start)."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = count + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(hard, wanted), hard))
    if server:
        server.call("CONFIG", "SET", "maxclients", count + 100)


def connect_all(port, count, receive_bytes=4096):
    out = []
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        s.settimeout(20)
        s.connect(("127.0.0.1", port))
        out.append(s)
    return out


def say(sockets, wires):
    """Each socket sends its wire, as far as the server lets it."""
    for s, wire in zip(sockets, wires):
        try:
            s.sendall(wire)
        except OSError:
            pass  # cut already


def still_connected(server):
    """Clients other than the one that asks."""
    return int(server.info("connected_clients")) - 1


def measure(command, connections=1000, kind="values", seconds=SECONDS):
    allow_connections(None, connections)
    with target.Server(command) as server:
        set_limit(server, LIMIT)
        load_kind(server, kind)
        fill(server, FILL)
        keys, evicted = server.call("DBSIZE"), int(server.info("evicted_keys"))
        prober = Prober(server.port, [("GET", f"k:{i}") for i in range(1000)], 0.001)
        sampler = Sampler(server, used=False)
        sockets = connect_all(server.port, connections)
        say(sockets, (question(kind, i) for i in range(connections)))
        time.sleep(seconds)
        prober.stop()
        sampler.stop()
        evicted = int(server.info("evicted_keys")) - evicted
        left = still_connected(server)
        for s in sockets:
            s.close()
        return {"kind": kind, "connections": connections, "keys": keys, "evicted": evicted,
                "peak_pss/limit": round(sampler.resident / LIMIT, 3), "still_connected": left,
                "worst_get_ms": prober.worst_ms, "machine_late_ms": prober.late_ms}  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] != "0":
        target.free_port = lambda: int(sys.argv[1])
    connections = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    for kind in sys.argv[4:] or ["values"]:
        print(json.dumps(measure(sys.argv[2], connections, kind)), flush=True)
