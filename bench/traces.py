#!/usr/bin/python3
"""Hit ratios on a folder of traces, servers side by side. usage: traces.py FOLDER 'SERVER COMMAND'...

Every trace, two policies, two absolute limits of memory, paced so that a trace lasts about two minutes.
"""

import concurrent.futures
import glob
import itertools
import os
import sys

import replay

POLICIES = ("allkeys-lru", "allkeys-lfu")
LIMITS_MB = (3, 6)
FASTEST, SECONDS = 9000, 110  # requests a second at most; how long a short trace is made to last


def find(folder):
    return sorted(glob.glob(os.path.join(folder, "*.txt.zst")) + glob.glob(os.path.join(folder, "*.txt")))


def _one(job):
    path, limit, policy, megabytes, command, speed = job
    requests = replay.read_trace(path, limit)
    rate = speed * min(FASTEST, max(1000, len(requests) / SECONDS))
    return replay.measure(command, requests, policy, megabytes << 20, rate)


def measure(folder, commands, limit=0, policies=POLICIES, limits_mb=LIMITS_MB, speed=1.0):
    """Yields (trace name, policy, megabytes, [one result a server]); runs of one limit go side by side."""
    with concurrent.futures.ProcessPoolExecutor(len(policies) * len(commands)) as pool:
        for path in find(folder):
            name = os.path.basename(path).split(".")[0]
            for megabytes in limits_mb:
                jobs = [(path, limit, policy, megabytes, command, speed)
                        for policy, command in itertools.product(policies, commands)]  # fmt: skip
                results = list(pool.map(_one, jobs))
                for i, policy in enumerate(policies):
                    yield name, policy, megabytes, results[i * len(commands) : (i + 1) * len(commands)]


if __name__ == "__main__":
    for row in measure(sys.argv[1], sys.argv[2:]):
        print(*row, flush=True)
