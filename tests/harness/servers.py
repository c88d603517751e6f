"""Start servers for tests on free ports of 127.0.0.1, and end them by pid whatever happens."""

import atexit
import ctypes
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from wire import Closed, Connection

ORACLE = "redis-server"
_running = []
_reports = []  # commands of servers in whose log a sanitizer has spoken
_libc = ctypes.CDLL(None)


def _end_with_parent():
    """In the child: the kernel kills it when the test is killed hard (PR_SET_PDEATHSIG)."""
    _libc.prctl(1, signal.SIGKILL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class StartError(Exception):
    """A server did not answer PING; the text holds the end of its log."""


class Server:
    """A running server. `command` is a binary or a command line, for instance "brim-server --threads 2".

    Directives that the suite needs follow it: port, bind, dir, no persistence; `extra` come last and so win.
    """

    def __init__(self, command, extra=(), config_file=None, wait=True):
        self.command, self.extra, self.config_file = command, list(extra), config_file
        self.folder = tempfile.mkdtemp(prefix="brim-test-")
        self.port = self.process = None
        _running.append(self)
        self.start(wait)

    @property
    def is_oracle(self):
        return os.path.basename(shlex.split(self.command)[0]).startswith(("redis-server", "valkey-server"))

    def line(self):
        words = shlex.split(self.command)
        before = words[:1] + ([self.config_file] if self.config_file else []) + words[1:]
        before += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder]
        before += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        if self.is_oracle:
            before += ["--enable-debug-command", "yes"]
        elif "--enable-debug-command" not in before:
            before += ["--enable-debug-command", "yes"]
        return before + self.extra

    def start(self, wait=True):
        for attempt in range(3):
            self.port = free_port()
            self.log_path = os.path.join(self.folder, "log")
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen(
                    self.line(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent
                )
            self.pid = self.process.pid
            if not wait:
                return
            try:
                self._await_ready()
                return
            except StartError:
                self.kill()
                if attempt == 2 or "in use" not in self.log_tail():
                    raise

    def _await_ready(self):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                with Connection(self.port, timeout=10) as c:
                    reply = c.call("PING")
                    if reply[0] == "+" or (reply[0] == "-" and not reply[1].startswith(b"LOADING")):
                        # BRIM_TEST_SETUP: a command that each server under test gets first.
                        setup = os.environ.get("BRIM_TEST_SETUP", "").split()
                        if setup and not self.is_oracle:
                            c.call(*setup)
                        return
            except (OSError, Closed):
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise StartError(f"did not start: {shlex.join(self.line())}\n{self.log_tail()}")

    def log_tail(self, size=4000):
        try:
            with open(self.log_path, "rb") as f:
                return f.read()[-size:].decode(errors="replace")
        except OSError:
            return ""

    def _show_report(self):
        """Prints what a sanitizer said in the log: it fails the run (Tally.finish), whatever the test looked at."""
        try:
            with open(self.log_path, "rb") as f:
                log = f.read()
        except OSError:
            return
        found = re.search(rb"==\d+==ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error: ", log)
        if found:
            _reports.append(self.command)
            start = log.rfind(b"\n", 0, found.start()) + 1
            print(log[start : start + 6000].decode(errors="replace"), flush=True)

    def alive(self):
        return self.process.poll() is None

    def connect(self, timeout=10, resp=2):
        return Connection(self.port, timeout, resp)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        self.kill()
        self.start()

    def stop(self, seconds=15):
        """Ends it; returns its exit code (negative: the signal)."""
        code = None
        if self.process:
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(seconds)
                except subprocess.TimeoutExpired:
                    self.kill()
            code = self.process.returncode
            self.log_at_end = self.log_tail()
        self._show_report()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self in _running:
            _running.remove(self)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _end_all(*_):
    for server in list(_running):
        server.kill()
        server.stop()


def _on_signal(number, _):
    sys.exit(128 + number)


atexit.register(_end_all)
signal.signal(signal.SIGTERM, _on_signal)
signal.signal(signal.SIGHUP, _on_signal)


class Tally:
    """Counts checks and prints the last line that every runner ends with."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, ok, name, detail=""):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}" + (f": {detail}" if detail else ""), flush=True)
        return ok

    def finish(self):
        """Prints the last line; returns the exit code."""
        if _reports:
            self.check(False, "a sanitizer reported something", ", ".join(_reports))
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
