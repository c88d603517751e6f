#!/usr/bin/python3
"""Requests a second and server CPU per request of GET and SET. usage: throughput.py SCALE 'SERVER COMMAND' ['SERVER COMMAND'...]

How it is measured: rounds.py.
"""

import sys

from rounds import Servers, in_turn

KEYS, ROUNDS = 1_000_000, 5
REQUESTS = {1: 300_000, 16: 2_000_000, 64: 3_000_000}  # by pipeline depth


def measure(commands, scale=1.0, rounds=ROUNDS):
    """Yields (operation, depth, [one entry a server: {"rate", "cpu_us", "ratio" to the first server's CPU}])."""
    with Servers(commands) as servers:
        for server in servers:
            server.connection.load((b"SET", b"key:%012d" % i, b"v" * 64) for i in range(KEYS))
        for depth, requests in REQUESTS.items():
            for operation in ("get", "set"):
                words = ["-d", "64", "-t", operation]
                yield operation, depth, in_turn(servers, words, depth, int(requests * scale), rounds, KEYS)


if __name__ == "__main__":
    for operation, depth, results in measure(sys.argv[2:], float(sys.argv[1])):
        print(operation, f"pipeline={depth}", *results, flush=True)
