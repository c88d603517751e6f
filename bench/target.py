"""Start a server to be measured, and read what the kernel knows of it."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

from resp import Connection

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A running server. `command` is a binary or a command line; without persistence, on a free port of 127.0.0.1."""

    def __init__(self, command, cpu=None):
        self.port, self.folder = free_port(), tempfile.mkdtemp(prefix="brim-bench-")
        line = [] if cpu is None else ["taskset", "-c", str(cpu)]
        line += shlex.split(command) + ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder]
        line += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.pid, self.shared_bytes = self.process.pid, None
        self.connection = self._connect(line)

    def _connect(self, line):
        for _ in range(200):
            try:
                connection = Connection(self.port)
                connection.call("PING")
                return connection
            except (OSError, EOFError):
                time.sleep(0.05)
                if self.process.poll() is not None:
                    break
        with open(self.log_path) as log:
            text = log.read()[-2000:]
        self.process.kill()
        raise SystemExit(f"did not start: {shlex.join(line)}\n{text}")

    def call(self, *args):
        return self.connection.call(*args)

    def info(self, field):
        return self.connection.info(field)

    def cpu_seconds(self):
        """User and system time of all its threads."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def resident(self):
        """Resident bytes of the process."""
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) * 1024

    def tree_memory(self):
        """Resident bytes of the process and its children, of pages that they share with others their share (Pss). While
        there are no children, what is shared are pages of libraries: it is found out once, for to find it the system
        walks all pages, some milliseconds in which nothing else runs on that core, and latencies are measured beside."""
        children = self._children()
        if children:
            return sum(self._proportional(pid) for pid in [self.pid] + children)
        if self.shared_bytes is None:
            self.shared_bytes = self._resident() - self._proportional(self.pid)
        return self._resident() - self.shared_bytes

    def _resident(self):
        try:
            with open(f"/proc/{self.pid}/statm") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return 0  # it ended meanwhile

    @staticmethod
    def _proportional(pid):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024
        except (OSError, AttributeError):
            return 0  # it ended meanwhile

    def _children(self):
        out = []
        try:
            for task in os.listdir(f"/proc/{self.pid}/task"):
                with open(f"/proc/{self.pid}/task/{task}/children") as f:
                    out += [int(pid) for pid in f.read().split()]
        except OSError:
            pass
        return out

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
