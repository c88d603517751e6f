#!/usr/bin/python3
"""Replay a trace as a look-aside cache. usage: replay.py TRACE[.zst] POLICY MAXMEMORY RATE 'SERVER COMMAND'

A trace has a request a line: key, and size (1 where it is missing). Requests go out in batches: the GETs of a batch
together, then a SET for each of its misses. A key asked for again in the batch in which it first missed counts as a
hit, as it would have been set by then. RATE is requests a second (0: as fast as they go); a server whose clock of
recency ticks in seconds needs it to be realistic.
"""

import json
import os
import subprocess
import sys
import time

from resp import Connection, encode
from target import Server

BATCH = 64


def read_trace(path, limit=0):
    """[(key, size)]"""
    if path.endswith(".zst"):
        text = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
    else:
        with open(path, "rb") as f:
            text = f.read()
    lines = [line.split() for line in text.split(b"\n") if line]
    return [(int(words[0]), int(words[1]) if len(words) > 1 else 1) for words in (lines[:limit] if limit else lines)]


def replay(port, requests, rate=0):
    """(hits, refused SETs)"""
    connection = Connection(port)
    value = os.urandom(max((size for _, size in requests), default=1))
    hits = refused = 0
    start = time.perf_counter()
    for first in range(0, len(requests), BATCH):
        batch = requests[first : first + BATCH]
        if rate:
            ahead = start + first / rate - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
        connection.socket.sendall(b"".join([b"*2\r\n$3\r\nGET\r\n$16\r\nkey:%012d\r\n" % key for key, _ in batch]))
        misses = {}
        for key, size in batch:
            found = isinstance(connection.read(), bytes)
            if found or key in misses:
                hits += 1
            else:
                misses[key] = size
        if misses:
            wire = b"".join([encode(b"SET", b"key:%012d" % key, value[:size]) for key, size in misses.items()])
            refused += connection.burst(wire, len(misses))
    connection.close()
    return hits, refused


def measure(command, requests, policy, maxmemory, rate=0):
    """{"hit": ratio, "keys": left at the end, "refused": SETs, "seconds"}"""
    with Server(command) as server:
        server.call("CONFIG", "SET", "maxmemory", maxmemory)
        server.call("CONFIG", "SET", "maxmemory-policy", policy)
        start = time.perf_counter()
        hits, refused = replay(server.port, requests, rate)
        return {"hit": round(hits / len(requests), 4), "keys": server.call("DBSIZE"), "refused": refused,
                "seconds": round(time.perf_counter() - start, 1)}  # fmt: skip


if __name__ == "__main__":
    path, policy, maxmemory, rate, command = sys.argv[1:6]
    print(json.dumps(measure(command, read_trace(path), policy, int(maxmemory), float(rate))))
