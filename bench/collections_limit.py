#!/usr/bin/python3
"""Is maxmemory kept by lists and hashes? usage: collections_limit.py PORT 'SERVER COMMAND' [seconds]

300 MB, allkeys-lru, and a churn of whole lists (DEL and RPUSH) and hashes (HSET) of 64 bytes to 64 KB. From band to
band both the number of elements and their size move, so that what one band filled has to serve another. Prints the
peaks against the limit, and the slowest PING beside what the machine itself is late by. PORT 0 is any free port.
"""

import json
import random
import sys
import threading
import time

import target
from prober import Prober
from resp import Connection, encode

LIMIT = 300 << 20
# bytes of a whole collection, bytes of an element; one band after the other
BANDS = [((2_000, 32_000), (8, 60)), ((64, 600), (8, 24)), ((16_000, 64_000), (70, 200)), ((64, 2_000), (30, 120)),
         ((1_000, 16_000), (8, 16))]  # fmt: skip
KEYS, BURST, BODIES = 2_000_000, 100, 120


def set_limit(server, bytes_, policy="allkeys-lru"):
    server.call("CONFIG", "SET", "maxmemory", bytes_)
    server.call("CONFIG", "SET", "maxmemory-policy", policy)


class Sampler:
    """Follows a server's memory from a thread: the peaks of what it counts and of what is resident."""

    def __init__(self, server, used=True, pause_s=0.05):
        self.server, self.count_used, self.pause_s = server, used, pause_s
        self.used = self.resident = 0
        self.going = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        connection = Connection(self.server.port) if self.count_used else None
        while self.going:
            if connection:
                self.used = max(self.used, int(connection.info("used_memory", "memory")))
            self.resident = max(self.resident, self.server.tree_memory())
            time.sleep(self.pause_s)

    def stop(self):
        self.going = False
        self.thread.join(10)


def bodies(pick, total, element):
    """Ready-made lists and hashes of a band: (head before the key, rest of the command after it)."""
    out = []
    for i in range(BODIES):
        size = int(total[0] * (total[1] / total[0]) ** pick.random())
        is_list, items = i % 2 == 0, []
        while size > 0:
            if not is_list:
                name = b"f%d" % len(items)
                items.append(name)
                size -= len(name)
            value = pick.randbytes(max(1, min(pick.randint(*element), size)))
            items.append(value)
            size -= len(value)
        wire = encode(b"RPUSH" if is_list else b"HSET", b"", *items)
        head, rest = wire.split(b"$0\r\n\r\n", 1)
        out.append((is_list, head, rest))
    return out


class Churn:
    def __init__(self, seed=7):
        self.random = random.Random(seed)
        self.bands = [bodies(self.random, *band) for band in BANDS]

    def burst(self, band):
        """(wire, commands) that write BURST collections of a band, each under a random key."""
        pick, choices = self.random, self.bands[band]
        parts, commands = [], BURST
        for _ in range(BURST):
            is_list, head, rest = choices[int(pick.random() * BODIES)]
            key = b"%c:%d" % (b"l" if is_list else b"h", int(pick.random() * KEYS))
            key = b"$%d\r\n%b\r\n" % (len(key), key)
            if is_list:
                parts += (b"*2\r\n$3\r\nDEL\r\n", key)
                commands += 1
            parts += (head, key, rest)
        return b"".join(parts), commands

    def run(self, connection, seconds):
        """(collections written, error replies)."""
        written = errors = 0
        start, step = time.time(), seconds / len(BANDS)
        while (now := time.time()) < start + seconds:
            errors += connection.burst(*self.burst(min(len(BANDS) - 1, int((now - start) / step))))
            written += BURST
        return written, errors


def measure(command, seconds=25.0):
    """`ops` are whole collections written."""
    churn = Churn()
    with target.Server(command) as server:
        set_limit(server, LIMIT)
        prober, sampler = Prober(server.port), Sampler(server)
        start, cpu = time.time(), server.cpu_seconds()
        ops, errors = churn.run(server.connection, seconds)
        took, cpu = time.time() - start, server.cpu_seconds() - cpu
        prober.stop()
        sampler.stop()
        return {
            "ops": ops,
            "errors": errors,
            "peak_used/limit": round(sampler.used / LIMIT, 3),
            "peak_pss/limit": round(sampler.resident / LIMIT, 3),
            "worst_ping_ms": prober.worst_ms,
            "machine_late_ms": prober.late_ms,
            "evicted": int(server.info("evicted_keys")),
            "ops_per_second": round(ops / took),
            "cpu_us_per_op": round(cpu / ops * 1e6, 1),
        }


if __name__ == "__main__":
    if sys.argv[1] != "0":
        target.free_port = lambda: int(sys.argv[1])
    print(json.dumps(measure(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 25.0)))
