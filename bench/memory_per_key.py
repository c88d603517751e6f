#!/usr/bin/python3
"""Bytes per element of common shapes of data. usage: memory_per_key.py 'SERVER COMMAND' [scale] [shape,shape...]

Each shape is loaded into a fresh server; what the process grew by is divided by the number of elements.
"""

import json
import sys
import time

from target import Server


def key(i):
    return b"key:%012d" % i


def member(i):
    return b"m%015d" % i


def user(i):
    return (b"HSET", b"user:%011d" % i, b"name", b"Alice %d" % (i % 99999), b"email",
            b"alice%d@example.com" % (i % 9999), b"age", b"%d" % (i % 99), b"country", b"JP", b"score",
            b"%d" % (i % 9999))  # fmt: skip


def reading(i):
    return b"XADD", b"x", b"%d-0" % (1700000000000 + i), b"temp", b"%d" % (i % 100), b"hum", b"%d" % (i % 90)


_64, _1000 = b"v" * 64, b"x" * 1000

# name: (elements, bytes of key and value in each, the command that adds element i)
SHAPES = {
    "str8": (1_000_000, 24, lambda i: (b"SET", key(i), b"%08d" % (i * 7919 % 10**8))),
    "str8raw": (1_000_000, 24, lambda i: (b"SET", key(i), b"v%07d" % (i % 10**7))),
    "str64": (1_000_000, 80, lambda i: (b"SET", key(i), _64)),
    "str64ttl": (1_000_000, 88, lambda i: (b"SET", key(i), _64, b"EX", b"%d" % (100_000 + i % 5000))),
    "str1000": (300_000, 1016, lambda i: (b"SET", key(i), _1000)),
    "hash5": (300_000, 78, user),
    "bighash": (500_000, 32, lambda i: (b"HSET", b"h", member(i), member(i + 1))),
    "bigzset": (500_000, 24, lambda i: (b"ZADD", b"z", b"%d" % (i * 7919 % 10**9), member(i))),
    "bigset": (500_000, 16, lambda i: (b"SADD", b"s", member(i))),
    "biglist": (500_000, 16, lambda i: (b"RPUSH", b"l", member(i))),
    "bigstream": (500_000, 30, reading),
}


def measure(command, shape, scale=1.0):
    """{"resident": bytes per element, "used": by the server's own count, "errors": refused commands}."""
    count, _, make = SHAPES[shape]
    count = int(count * scale)
    with Server(command) as server:
        time.sleep(0.3)
        resident, used = server.resident(), int(server.info("used_memory"))
        errors = server.connection.load(make(i) for i in range(count))
        time.sleep(1.2)  # time enough for a server to tidy up after the load
        return {
            "resident": round((server.resident() - resident) / count, 1),
            "used": round((int(server.info("used_memory")) - used) / count, 1),
            "errors": errors,
        }


if __name__ == "__main__":
    scale = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    for name in sys.argv[3].split(",") if len(sys.argv) > 3 else SHAPES:
        print(name, "payload", SHAPES[name][1], json.dumps(measure(sys.argv[1], name, scale)), flush=True)
