"""redis-benchmark against several servers in turn.

The servers run on core 0, of which only one is busy at a time, redis-benchmark on core 1. Each is measured in rounds that
visit every server, so that a noisy moment meets all of them; medians are taken, and ratios of CPU are taken round by
round against the first server.
"""

import re
import statistics
import subprocess

from target import Server


class Servers:
    """One a command line, on core 0, for the length of a `with`."""

    def __init__(self, commands):
        self.all = []
        try:
            for command in commands:
                self.all.append(Server(command, cpu=0))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self.all

    def __exit__(self, *_):
        for server in self.all:
            server.stop()


def one_round(server, words, depth, requests, keys):
    """(requests a second, server CPU microseconds a request)"""
    before = server.cpu_seconds()
    done = subprocess.run(
        ["taskset", "-c", "1", "redis-benchmark", "-p", str(server.port), "-c", "50", "-P", str(depth), "-n",
         str(requests), "-r", str(keys), "-q", *words],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)  # fmt: skip
    rates = re.findall(r"([\d.]+) requests per second", done.stdout)
    if not rates:
        raise SystemExit(f"redis-benchmark said: {done.stdout[-500:]} {done.stderr[-500:]}")
    return float(rates[-1]), (server.cpu_seconds() - before) / requests * 1e6


def medians(seen):
    """Of rounds with one (rate, CPU us) a server: one {"rate", "cpu_us", "ratio" to the first server's CPU} a server."""
    return [
        {
            "rate": round(statistics.median(row[i][0] for row in seen)),
            "cpu_us": round(statistics.median(row[i][1] for row in seen), 3),
            "ratio": round(statistics.median(row[i][1] / max(row[0][1], 1e-9) for row in seen), 3),
        }
        for i in range(len(seen[0]))
    ]


def in_turn(servers, words, depth, requests, rounds, keys, before=None):
    """`words` end redis-benchmark's line; `before(server)` is done ahead of each round, not timed."""
    seen = []
    for _ in range(rounds):
        row = []
        for server in servers:
            if before:
                before(server)
            row.append(one_round(server, words, depth, requests, keys))
        seen.append(row)
    return medians(seen)
