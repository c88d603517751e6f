#!/usr/bin/python3
"""CPU per request of commands of all types at pipeline 16. usage: commands.py SCALE 'SERVER COMMAND' ['SERVER COMMAND'...]

redis-benchmark's own tests, and XADD and XREADGROUP. How it is measured: rounds.py.
"""

import sys

from rounds import Servers, in_turn

KEYS, ROUNDS, DEPTH = 100_000, 5, 16
REQUESTS = {"zadd": 1_000_000, "hset": 1_000_000, "lpush": 1_000_000, "sadd": 1_000_000, "incr": 1_000_000,
            "mset": 200_000, "xadd": 600_000, "xreadgroup": 300_000}  # fmt: skip
WORDS = {
    "xadd": ["XADD", "stream", "*", "field", "value"],
    "xreadgroup": ["XREADGROUP", "GROUP", "group", "consumer", "COUNT", "1", "STREAMS", "stream", ">"],
}


def empty(server):
    server.call("FLUSHALL")


def fill_stream(entries):
    def fill(server):
        empty(server)
        server.call("XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM")
        server.connection.load((b"XADD", b"stream", b"*", b"field", b"value") for _ in range(entries))

    return fill


def measure(commands, scale=1.0, rounds=ROUNDS):
    """Yields (operation, [one entry a server: {"rate", "cpu_us", "ratio" to the first server's CPU}])."""
    with Servers(commands) as servers:
        for operation, requests in REQUESTS.items():
            requests = int(requests * scale)
            words = WORDS.get(operation) or ["-t", operation]
            before = fill_stream(requests) if operation == "xreadgroup" else empty
            yield operation, in_turn(servers, words, DEPTH, requests, rounds, KEYS, before)


if __name__ == "__main__":
    for operation, results in measure(sys.argv[2:], float(sys.argv[1])):
        print(operation, *results, flush=True)
