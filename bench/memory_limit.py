#!/usr/bin/python3
"""Is maxmemory kept? usage: memory_limit.py 'SERVER COMMAND' [seconds]

300 MB, allkeys-lru. First a churn of SETs whose sizes move from band to band, so that pages filled with one size have
to serve another; then snapshots (BGSAVE), and rewrites of the append-only file, while everything is overwritten. Prints
the peaks against the limit.
"""

import json
import random
import sys
import threading
import time

from prober import Prober
from resp import Connection, Refused, encode
from target import Server

LIMIT = 300 << 20
BANDS = [(10, 200), (500, 8000), (30, 90), (2000, 64000), (16, 48)]  # value sizes, one band after the other
BURST = 500


class Watch:
    """Follows a server: its memory from a thread, and how long a PING takes from a process."""

    def __init__(self, server):
        self.server = server
        self.begin()

    def begin(self):
        self.used = self.resident = 0
        self.going = True
        self.thread = threading.Thread(target=self._memory, daemon=True)
        self.thread.start()
        self.prober = Prober(self.server.port)

    def _memory(self):
        connection = Connection(self.server.port)
        while self.going:
            self.used = max(self.used, int(connection.info("used_memory", "memory")))
            self.resident = max(self.resident, self.server.tree_memory())
            time.sleep(0.05)

    def end(self):
        self.going = False
        self.thread.join(5)
        self.prober.stop()
        return {"resident": round(self.resident / LIMIT, 3), "ping_ms": self.prober.worst_ms, "raw_ms": self.prober.raw_ms,
                "late_ms": self.prober.late_ms}  # fmt: skip


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
    rate = round(commands / (time.time() - start))
    return {"commands": commands, "rate": rate, "errors": errors, **watch.end(), "used": round(watch.used / LIMIT, 3),
            "evicted": int(server.info("evicted_keys"))}  # fmt: skip


def await_end(server, field):
    while server.info(field) != "0":
        time.sleep(0.02)


def rate_of(churn, seconds, sizes, until=None):
    """SETs a second for so long, or until until() is true, which is asked some times a second."""
    start, written = time.time(), 0
    while time.time() < start + seconds:
        written += churn.run(min(start + seconds, time.time() + 0.3), sizes)[0]
        if until is not None and until():
            break
    return written / (time.time() - start)


def background_phase(server, watch, churn, seconds, command, field):
    """BGSAVE or BGREWRITEAOF, three times, whole, under writes; between them the same writes without, and watched in the
    same way, since the machine's speed drifts. The share is the median of the three. None when refused."""
    server.call("FLUSHALL")
    time.sleep(1)
    sizes = lambda now: (100, 1000)  # noqa: E731
    churn.run(time.time() + min(8, seconds / 2), sizes)
    watch.begin()
    without, during = [], []
    for _ in range(3):
        without.append(rate_of(churn, seconds / 6, sizes))
        try:
            server.call(command)
        except Refused:
            watch.end()
            return None
        during.append(rate_of(churn, seconds, sizes, lambda: server.info(field) == "0"))
        await_end(server, field)
    shares = sorted(with_it / plain for plain, with_it in zip(without, during))
    return {**watch.end(), "times": len(during), "rate": round(sum(during) / 3), "rate/without": round(shares[1], 3)}


def rewrite_phase(server, watch, churn, seconds):
    """The same with an append-only file (everysec), with and without its rewrite."""
    server.call("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
    server.call("CONFIG", "SET", "appendonly", "yes")
    await_end(server, "aof_rewrite_in_progress")
    return background_phase(server, watch, churn, seconds, "BGREWRITEAOF", "aof_rewrite_in_progress")


def measure(command, seconds=25.0, phases=("churn", "snapshot", "rewrite")):
    """A dictionary a phase; the first one is always run."""
    with Server(command) as server:
        server.call("CONFIG", "SET", "maxmemory", LIMIT)
        server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        watch, churn = Watch(server), Churn(server)
        out = {"churn": churn_phase(server, watch, churn, seconds)}
        if "snapshot" in phases:
            out["snapshot"] = background_phase(server, watch, churn, seconds, "BGSAVE", "rdb_bgsave_in_progress")
        if "rewrite" in phases:
            out["rewrite"] = rewrite_phase(server, watch, churn, seconds)
        return out


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 25.0)))
