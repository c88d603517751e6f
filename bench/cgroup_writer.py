#!/usr/bin/python3
"""Does a server without maxmemory outlive a container's limit? usage: cgroup_writer.py PORT 'SERVER COMMAND' [seconds]

Starts the server in a memory cgroup of 256 MB with maxmemory 0 and writes without end. Prints whether it lives, how
many writes were answered and refused, and how often the kernel killed in the group. Where no cgroup can be made it
prints {"skipped": why}. PORT 0 is any free port.
"""

import json
import os
import random
import sys
import time

import target
from collections_limit import Sampler
from resp import Refused, encode

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "harness"))

from cgroup import Group, read  # noqa: E402

LIMIT, SECONDS, BURST = 256 << 20, 10, 500


def write_on(server, seconds):
    """(writes, refusals, text of the first) until the time is over or the server has gone."""
    pick, value = random.Random(7), random.Random(7).randbytes(4096)
    writes = refusals = 0
    first, until = None, time.time() + seconds
    try:
        while time.time() < until:
            keys = (b"k:%d" % i for i in range(writes, writes + BURST))
            burst = [encode(b"SET", key, value[: pick.randint(16, 4096)]) for key in keys]
            server.connection.socket.sendall(b"".join(burst))
            for reply in (server.connection.read() for _ in range(BURST)):
                if isinstance(reply, Refused):
                    refusals, first = refusals + 1, first or str(reply)
            writes += BURST
    except (OSError, EOFError):
        pass
    return writes, refusals, first


def alive(server):
    if server.process.poll() is not None:
        return False
    try:
        return server.call("PING") == b"PONG"
    except (OSError, EOFError):
        return False


def measure(command, seconds=SECONDS):
    try:
        group = Group(LIMIT)
    except OSError as error:
        return {"skipped": str(error)}
    try:
        with target.Server(group.start(f"{command} --maxmemory 0")) as server:
            if str(server.pid) not in read(f"{group.path}/cgroup.procs").split():
                return {"skipped": "the server did not come to run in the group"}
            sampler = Sampler(server, used=False)
            writes, refusals, first = write_on(server, seconds)
            time.sleep(0.2)
            lives, kills = alive(server), group.kills()
            sampler.stop()
            return {"lives": lives, "writes": writes, "refused": refusals, "first_refusal": first, "oom_kill": kills,
                    "peak_group/limit": round((group.peak() or 0) / LIMIT, 3),
                    "peak_pss/limit": round(sampler.resident / LIMIT, 3)}  # fmt: skip
    finally:
        group.remove()


if __name__ == "__main__":
    if sys.argv[1] != "0":
        target.free_port = lambda: int(sys.argv[1])
    print(json.dumps(measure(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else SECONDS)))
