#!/usr/bin/python3
"""How fast are saving, loading and the append-only file? usage: persistence.py 'SERVER COMMAND' [scale]

Saves and loads 5 million small strings, and one hash of 1 million fields (SAVE, and DEBUG RELOAD less a SAVE); CPU of a
SET at pipeline 16 with the append-only file (everysec) and without; SETs a second of 50 clients with appendfsync always.
"""

import json
import re
import statistics
import subprocess
import sys
import time

from target import Server

KEYS, FIELDS, REQUESTS, SYNCED, ROUNDS = 5_000_000, 1_000_000, 1_000_000, 60_000, 3


def timed(server, *words):
    start = time.perf_counter()
    server.call(*words)
    return time.perf_counter() - start


def save_and_load(command, fill):
    """{"save", "load"} in seconds, the best of some."""
    with Server(f"{command} --enable-debug-command yes") as server:
        fill(server)
        save = min(timed(server, "SAVE") for _ in range(ROUNDS))
        reload = min(timed(server, "DEBUG", "RELOAD", "NOSAVE") for _ in range(ROUNDS))
        return {"save": round(save, 3), "load": round(reload, 3)}


def strings(server, count):
    server.connection.load((b"SET", b"key:%d" % i, b"value:%d" % i) for i in range(count))


def big_hash(server, count):
    for i in range(0, count, 1000):
        words = [w for j in range(i, i + 1000) for w in (b"field:%d" % j, b"value:%d" % j)]
        server.connection.load([(b"HSET", b"hash", *words)])


def benchmark(server, clients, depth, requests, cpu=True):
    """(requests a second, server CPU microseconds a request)"""
    before = server.cpu_seconds()
    pinned = ["taskset", "-c", "1"] if cpu else []
    done = subprocess.run(
        pinned + ["redis-benchmark", "-p", str(server.port), "-c", str(clients), "-P", str(depth), "-n", str(requests),
                  "-r", "100000", "-d", "64", "-t", "set", "-q"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)  # fmt: skip
    rate = float(re.findall(r"([\d.]+) requests per second", done.stdout)[-1])
    return rate, (server.cpu_seconds() - before) / requests * 1e6


def log_cpu(command, scale):
    """CPU of a SET at pipeline 16: with the append-only file over without, round by round."""
    with Server(command, cpu=0) as plain, Server(command, cpu=0) as logged:
        logged.call("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
        logged.call("CONFIG", "SET", "appendonly", "yes")
        ratios = []
        for _ in range(5):
            without, with_log = (benchmark(s, 50, 16, int(REQUESTS * scale))[1] for s in (plain, logged))
            ratios.append(with_log / max(without, 1e-9))
        return round(statistics.median(ratios), 3)


def synced_rates(commands, scale):
    """SETs a second of 50 clients with appendfsync always: the medians, server by server, rounds in turn."""
    servers = [Server(command) for command in commands]
    try:
        for server in servers:
            server.call("CONFIG", "SET", "appendonly", "yes")
            server.call("CONFIG", "SET", "appendfsync", "always")
        rates = [[benchmark(s, 50, 1, int(SYNCED * scale), False)[0] for s in servers] for _ in range(7)]
        return [round(statistics.median(row[i] for row in rates)) for i in range(len(servers))]
    finally:
        for server in servers:
            server.stop()


def measure(command, scale=1.0):
    return {
        "strings": save_and_load(command, lambda server: strings(server, int(KEYS * scale))),
        "hash": save_and_load(command, lambda server: big_hash(server, int(FIELDS * scale))),
        "log_cpu": log_cpu(command, scale),
    }


if __name__ == "__main__":
    scale = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    print(json.dumps({**measure(sys.argv[1], scale), "synced": synced_rates([sys.argv[1]], scale)[0]}))
