#!/usr/bin/python3
"""Is maxmemory kept? usage: memory_limit.py 'SERVER COMMAND' [seconds]

300 MB, allkeys-lru. First a churn of SETs whose sizes move from band to band, so that pages filled with one size have
to serve another; then snapshots (BGSAVE) while everything is overwritten. Prints the peaks against the limit.
"""

import json
import random
import sys
import threading
import time

from resp import Connection, Refused, encode
from target import Server

LIMIT = 300 << 20
BANDS = [(10, 200), (500, 8000), (30, 90), (2000, 64000), (16, 48)]  # value sizes, one band after the other
BURST = 500


class Watch:
    """Two threads that follow a server: its memory, and how long a PING takes."""

    def __init__(self, server):
        self.server, self.going = server, True
        self.reset()
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self._memory, self._ping)]
        for thread in self.threads:
            thread.start()

    def reset(self):
        self.used, self.resident, self.ping_ms = 0, 0, 0.0

    def _memory(self):
        connection = Connection(self.server.port)
        while self.going:
            self.used = max(self.used, int(connection.info("used_memory", "memory")))
            self.resident = max(self.resident, self.server.tree_memory())
            time.sleep(0.05)

    def _ping(self):
        connection = Connection(self.server.port)
        while self.going:
            start = time.perf_counter()
            connection.call("PING")
            self.ping_ms = max(self.ping_ms, (time.perf_counter() - start) * 1e3)
            time.sleep(0.002)

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join(5)


class Churn:
    def __init__(self, server, seed=7):
        self.server, self.random = server, random.Random(seed)
        self.bytes = self.random.randbytes(70_000)

    def run(self, until, sizes):
        """SET random keys with sizes between sizes(now) until that time; (commands, errors)."""
        commands = errors = 0
        pick = self.random
        while time.time() < until:
            low, high = sizes(time.time())
            burst = []
            for _ in range(BURST):
                size = int(low * (high / low) ** pick.random())
                burst.append(encode(b"SET", b"k:%d" % pick.randrange(2_000_000), self.bytes[:size]))
            errors += self.server.connection.burst(b"".join(burst), BURST)
            commands += BURST
        return commands, errors


def churn_phase(server, watch, churn, seconds):
    start = time.time()
    step = seconds / len(BANDS)
    commands, errors = churn.run(start + seconds, lambda now: BANDS[min(len(BANDS) - 1, int((now - start) / step))])
    return {
        "commands": commands,
        "errors": errors,
        "used": round(watch.used / LIMIT, 3),
        "resident": round(watch.resident / LIMIT, 3),
        "ping_ms": round(watch.ping_ms, 1),
        "evicted": int(server.info("evicted_keys")),
    }


def snapshot_phase(server, watch, churn, seconds):
    """None when the server makes no snapshots."""
    server.call("FLUSHALL")
    time.sleep(1)
    churn.run(time.time() + min(8, seconds / 2), lambda now: (100, 1000))
    time.sleep(0.5)
    watch.reset()
    saves, end = 0, time.time() + seconds / 2
    try:
        server.call("BGSAVE")
        while time.time() < end and saves < 3:
            churn.run(time.time() + 0.3, lambda now: (100, 1000))
            if server.info("rdb_bgsave_in_progress") == "0":
                saves += 1
                server.call("BGSAVE")
    except Refused:
        return None
    return {"resident": round(watch.resident / LIMIT, 3), "ping_ms": round(watch.ping_ms, 1), "saves": saves}


def measure(command, seconds=25.0):
    with Server(command) as server:
        server.call("CONFIG", "SET", "maxmemory", LIMIT)
        server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        watch, churn = Watch(server), Churn(server)
        out = {"churn": churn_phase(server, watch, churn, seconds)}
        out["snapshot"] = snapshot_phase(server, watch, churn, seconds)
        watch.stop()
        return out


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 25.0)))
