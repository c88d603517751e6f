#!/usr/bin/python3
"""What clients cost that do nothing, or half of it. usage: idle_buffers.py PORT 'SERVER COMMAND' [connections]

First many connections that have sent one PING: resident bytes by which each makes the server grow. Then, on a fresh
server of 300 MB under allkeys-lru filled to 290 MB, many that send 12,000 bytes of a request of 16,000 and stay:
prints the keys evicted, the peak of memory, and the slowest GET of a client that behaves. PORT 0 is any free port.
"""

import json
import sys
import time

import target
from collections_limit import Sampler, set_limit
from prober import Prober
from slow_collections import allow_connections, connect_all, fill, say, still_connected

LIMIT, FILL, SECONDS = 300 << 20, 290 << 20, 6
HALF = b"*2\r\n$3\r\nGET\r\n$16000\r\n" + b"h" * 12_000
PING = b"*1\r\n$4\r\nPING\r\n"


def at_rest(command, connections):
    """Resident bytes a connection that has had one answer."""
    with target.Server(command) as server:
        allow_connections(server, connections)
        time.sleep(0.5)
        before = server.resident()
        sockets = connect_all(server.port, connections)
        say(sockets, [PING] * connections)
        answered = sum(s.recv(64) == b"+PONG\r\n" for s in sockets)
        time.sleep(1.5)
        grown = server.resident() - before
        for s in sockets:
            s.close()
        return {"bytes_per_connection": round(grown / connections), "answered": answered}


def half_requests(command, connections):
    with target.Server(command) as server:
        allow_connections(server, connections)
        set_limit(server, LIMIT)
        fill(server, FILL)
        keys, evicted = server.call("DBSIZE"), int(server.info("evicted_keys"))
        prober = Prober(server.port, [("GET", f"k:{i}") for i in range(1000)], 0.001)
        sampler = Sampler(server, used=False)
        sockets = connect_all(server.port, connections, 65536)
        say(sockets, [HALF] * connections)
        time.sleep(SECONDS)
        prober.stop()
        sampler.stop()
        evicted = int(server.info("evicted_keys")) - evicted
        left = still_connected(server)
        for s in sockets:
            s.close()
        return {"keys": keys, "evicted": evicted, "peak_pss/limit": round(sampler.resident / LIMIT, 3),
                "still_connected": left, "worst_get_ms": prober.worst_ms,
                "machine_late_ms": prober.late_ms}  # fmt: skip


def measure(command, connections=10_000):
    allow_connections(None, connections)
    rest = at_rest(command, connections)
    return {"connections": connections, **rest, **half_requests(command, connections)}


if __name__ == "__main__":
    if sys.argv[1] != "0":
        target.free_port = lambda: int(sys.argv[1])
    print(json.dumps(measure(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 10_000)))
