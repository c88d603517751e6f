#!/usr/bin/python3
"""Requests a second and server CPU per request. usage: throughput.py SCALE 'SERVER COMMAND' ['SERVER COMMAND'...]

The servers run on core 0, of which only one is busy at a time, redis-benchmark on core 1. Each operation is measured
in rounds that visit every server in turn, so that a noisy moment meets all of them; medians are taken, and ratios of
CPU are taken round by round against the first server.
"""

import re
import statistics
import subprocess
import sys

from target import Server

KEYS, ROUNDS = 1_000_000, 5
REQUESTS = {1: 300_000, 16: 2_000_000, 64: 3_000_000}  # by pipeline depth


def one_round(server, operation, depth, requests):
    """(requests a second, server CPU microseconds a request)"""
    before = server.cpu_seconds()
    done = subprocess.run(
        ["taskset", "-c", "1", "redis-benchmark", "-p", str(server.port), "-c", "50", "-P", str(depth), "-n",
         str(requests), "-r", str(KEYS), "-d", "64", "-t", operation, "-q"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)  # fmt: skip
    rates = re.findall(r"([\d.]+) requests per second", done.stdout)
    if not rates:
        raise SystemExit(f"redis-benchmark said: {done.stdout[-500:]} {done.stderr[-500:]}")
    return float(rates[-1]), (server.cpu_seconds() - before) / requests * 1e6


def measure(commands, scale=1.0, rounds=ROUNDS):
    """Yields (operation, depth, [one entry a server: {"rate", "cpu_us", "ratio" to the first server's CPU}])."""
    servers = []
    try:
        for command in commands:
            servers.append(Server(command, cpu=0))
            servers[-1].connection.load((b"SET", b"key:%012d" % i, b"v" * 64) for i in range(KEYS))
        for depth, requests in REQUESTS.items():
            for operation in ("get", "set"):
                seen = [[one_round(s, operation, depth, int(requests * scale)) for s in servers] for _ in range(rounds)]
                yield operation, depth, [
                    {
                        "rate": round(statistics.median(row[i][0] for row in seen)),
                        "cpu_us": round(statistics.median(row[i][1] for row in seen), 3),
                        "ratio": round(statistics.median(row[i][1] / max(row[0][1], 1e-9) for row in seen), 3),
                    }
                    for i in range(len(servers))
                ]
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    for operation, depth, results in measure(sys.argv[2:], float(sys.argv[1])):
        print(operation, f"pipeline={depth}", *results, flush=True)
