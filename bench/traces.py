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
RUNS_AT_ONCE = 8


def find(folder):
    return sorted(glob.glob(os.path.join(folder, "*.txt.zst")) + glob.glob(os.path.join(folder, "*.txt")))


def _one(job):
    path, limit, policy, megabytes, command, speed = job
    requests = replay.read_trace(path, limit)
    rate = speed * min(FASTEST, max(1000, len(requests) / SECONDS))
    return replay.measure(command, requests, policy, megabytes << 20, rate)


def measure(folder, commands, limit=0, policies=POLICIES, limits_mb=LIMITS_MB, speed=1.0):
    """Yields (trace name, policy, megabytes, [one result a server]).

    A paced run leaves the machine mostly idle, so many go on at once, each in a process of its own, those that are
    compared with each other at the same time.
    """
    settings = list(itertools.product(find(folder), limits_mb, policies))
    jobs = [(path, limit, policy, megabytes, command, speed)
            for path, megabytes, policy in settings for command in commands]  # fmt: skip
    with concurrent.futures.ProcessPoolExecutor(RUNS_AT_ONCE * len(commands)) as pool:
        results = pool.map(_one, jobs)
        for path, megabytes, policy in settings:
            name = os.path.basename(path).split(".")[0]
            yield name, policy, megabytes, [next(results) for _ in commands]


if __name__ == "__main__":
    for row in measure(sys.argv[1], sys.argv[2:]):
        print(*row, flush=True)
