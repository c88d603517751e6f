"""A memory control group of its own for a server under test, version 1 or 2."""

import os
import re
import shlex
import sys
import time

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
        self.path = f"{ROOT}/{'' if self.two else 'memory/'}brim-test-{os.getpid()}"
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
