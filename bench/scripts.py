#!/usr/bin/python3
"""Small scripts beside redis-server. usage: scripts.py SCALE 'SERVER COMMAND' ['SERVER COMMAND'...]

How it is measured: rounds.py. `incr` is one INCR, `rate` a rate limiter of INCR, EXPIRE, TTL, `window` one
of ZREMRANGEBYSCORE, ZCARD, ZADD; `plain` is INCR without a script.
"""

import sys

from rounds import Servers, in_turn

KEYS, ROUNDS = 10_000, 5
REQUESTS = {1: 200_000, 16: 1_000_000}  # by pipeline depth
SCRIPTS = {
    "incr": ("return redis.call('incr', KEYS[1])", ["1", "key:__rand_int__"]),
    "rate": (
        "local n = redis.call('incr', KEYS[1]) if n == 1 then redis.call('expire', KEYS[1], ARGV[1]) end "
        "if n > tonumber(ARGV[2]) then return redis.call('ttl', KEYS[1]) end return n",
        ["1", "key:__rand_int__", "100", "10"],
    ),
    "window": (
        "local now = tonumber(ARGV[1]) redis.call('zremrangebyscore', KEYS[1], 0, now - 1000) "
        "local n = redis.call('zcard', KEYS[1]) if n < 10 then redis.call('zadd', KEYS[1], now, ARGV[2]) return 1 end "
        "return 0",
        ["1", "zset:__rand_int__", "5000", "m:__rand_int__"],
    ),
}


def measure(commands, scale=1.0, rounds=ROUNDS):
    """Yields (script, depth, [one entry a server: {"rate", "cpu_us", "ratio"}])."""
    with Servers(commands) as servers:
        for depth, requests in REQUESTS.items():
            for name in ("plain", *SCRIPTS):
                words = ["INCR", "plain:__rand_int__"]
                if name in SCRIPTS:
                    text, arguments = SCRIPTS[name]
                    words = ["EVALSHA", [s.call("SCRIPT", "LOAD", text) for s in servers][0].decode(), *arguments]
                yield name, depth, in_turn(servers, words, depth, int(requests * scale), rounds, KEYS)


if __name__ == "__main__":
    for name, depth, results in measure(sys.argv[2:], float(sys.argv[1])):
        print(name, f"pipeline={depth}", *results, flush=True)
