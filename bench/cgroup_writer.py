#!/usr/bin/python3
"""Does a server without maxmemory outlive a container's limit? usage: cgroup_writer.py PORT 'SERVER COMMAND' [seconds]

Starts the server in a memory cgroup of 256 MB with maxmemory 0 and writes without end. Prints whether it lives, how
many writes were answered and refused, and how often the kernel killed in the group. Where no cgroup can be made it
prints {"skipped": why}. PORT 0 is any free port.
"""

import json
import os
import random
import re
import shlex
import sys
import time

import target
from collections_limit import Sampler
from resp import Refused, encode

LIMIT, SECONDS, BURST = 256 << 20, 10, 500
ROOT = "/sys/fs/cgroup"


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def write(path, value):
    with open(path, "w") as f:
        f.write(str(value))


class Group:
    """A memory cgroup of its own at the top of the hierarchy, version 2 or 1. OSError when it cannot be made.

    Not below this process's group: in version 2 a group that holds processes cannot pass a limit on, and whoever
    made that group would find another in it.
    """

    def __init__(self, limit):
        self.two = "memory" in read(f"{ROOT}/cgroup.controllers").split()
        if not self.two and not os.path.exists(f"{ROOT}/memory/memory.limit_in_bytes"):
            raise OSError(f"no memory controller in {ROOT}")
        self.path = f"{ROOT}/{'' if self.two else 'memory/'}brim-bench-{os.getpid()}"
        os.mkdir(self.path)
        try:
            if self.two:
                self._limit_two(limit)
            else:
                self._limit_one(limit)
        except OSError:
            self.remove()
            raise

    def _limit_two(self, limit):
        if "memory" not in read(f"{ROOT}/cgroup.subtree_control").split():
            raise OSError("the memory controller is not given to groups (cgroup.subtree_control)")
        write(f"{self.path}/memory.max", limit)
        if os.path.exists(f"{self.path}/memory.swap.max"):
            write(f"{self.path}/memory.swap.max", 0)

    def _limit_one(self, limit):
        write(f"{self.path}/memory.limit_in_bytes", limit)
        try:
            write(f"{self.path}/memory.memsw.limit_in_bytes", limit)
        except OSError:
            pass  # a kernel that does not count swap

    def start(self, command):
        """The command line that runs `command` inside."""
        inside = 'echo $$ > "$0" && exec "$@"'
        return shlex.join(["sh", "-c", inside, f"{self.path}/cgroup.procs", *shlex.split(command)])

    def kills(self):
        text = read(f"{self.path}/memory.events" if self.two else f"{self.path}/memory.oom_control")
        found = re.search(r"^oom_kill (\d+)$", text, re.M)
        return int(found.group(1)) if found else None

    def peak(self):
        text = read(f"{self.path}/memory.peak" if self.two else f"{self.path}/memory.max_usage_in_bytes")
        return int(text) if text.strip() else None

    def remove(self):
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.05)  # the last process has not quite gone
        print(f"could not remove {self.path}", file=sys.stderr)


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
