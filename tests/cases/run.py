#!/usr/bin/python3
"""Runs case files against a server.

run.py --server "path/to/brim-server --threads 2" [--filter WORD] [--record] [file ...]

The language is described in README.md. --record fills in the replies that a file leaves out, from the server's own.
"""

import argparse
import glob
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
sys.path.insert(1, os.path.join(HERE, "..", "differential"))

from language import Bad, match, pattern, words  # noqa: E402
from servers import Server, StartError, Tally  # noqa: E402
from tables import COMMANDS  # noqa: E402
from wire import Closed, show  # noqa: E402

QUIET_SECONDS = 0.06
_STEP = re.compile(r"(let \w+ |until [\d.]+ |repeat \d+ )?(\w*)(>>|>|<)( |$)(.*)", re.S)
_DIRECTIVES = ("config", "server", "only", "sleep", "quiet", "closed", "blocked", "raw", "clients", "slow")


class Failed(Exception):
    pass


class Test:
    """One test of a file: its name, and its lines as (line number, text, lines of the expected reply)."""

    def __init__(self, path, number, name):
        self.path, self.number, self.name, self.steps = path, number, name, []

    def directive(self, word):
        """What follows the directive, when the test has it."""
        for _, text, _ in self.steps:
            if text.split(" ", 1)[0] == word:
                return text[len(word) + 1 :]
        return None


def is_step(line):
    return bool(_STEP.match(line)) or line.split(" ", 1)[0] in _DIRECTIVES


def read_file(path):
    """The tests of a file."""
    tests = []
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("=== "):
            tests.append(Test(path, number, line[4:].strip()))
        elif not tests:
            raise Bad(f"{path}:{number}: before the first === line")
        elif is_step(line):
            tests[-1].steps.append((number, line, []))
        elif tests[-1].steps:
            tests[-1].steps[-1][2].append(line)
        else:
            raise Bad(f"{path}:{number}: a reply without a command")
    return tests


class Play:
    """One run of one test."""

    def __init__(self, test, server, used, record):
        self.test, self.server, self.used, self.record = test, server, used, record
        self.connections, self.values, self.settings = {}, {}, {}
        self.recorded = {}

    def connection(self, name):
        if name not in self.connections:
            self.connections[name] = self.server.connect(timeout=10)
        return self.connections[name]

    def run(self):
        try:
            admin = self.connection("_admin")
            if self.test.directive("server") is None:
                admin.pipeline([["FLUSHALL"], ["CONFIG", "RESETSTAT"], ["CLIENT", "UNPAUSE"]])
            for number, text, expected in self.test.steps:
                try:
                    self.step(number, text, "\n".join(expected))
                except Failed as e:
                    raise Failed(f"{self.test.path}:{number}: {text[:200]}\n    {e}") from e
                except Bad as e:
                    raise Failed(f"{self.test.path}:{number}: badly written: {text[:200]}: {e}") from e
                except (Closed, TimeoutError, OSError) as e:
                    raise Failed(f"{self.test.path}:{number}: {text[:200]}\n    {type(e).__name__} {e}") from e
        finally:
            self.end()

    def end(self):
        for name, connection in self.connections.items():
            if name != "_admin":
                connection.close()
        if self.server.alive() and "_admin" in self.connections:
            try:
                self.connections["_admin"].pipeline([["CONFIG", "SET", k, v] for k, v in self.settings.items()])
            except (Closed, OSError):
                pass
            self.connections["_admin"].close()

    def step(self, number, text, expected):
        m = _STEP.match(text)
        if not m:
            return self.directive(*(text.split(" ", 1) + [""])[:2])
        prefix, name, arrow, _, rest = m.groups()
        connection = self.connection(name)
        if arrow == "<":
            return self.expect(connection.read(), rest + expected)
        command = words(rest, self.values)
        self.used.add(command[0].lower().decode("latin-1"))
        if len(command) > 1:
            self.used.add((command[0] + b"|" + command[1]).lower().decode("latin-1"))
        if prefix and prefix.startswith("repeat"):
            return self.repeat(int(prefix.split()[1]), connection, command)
        if prefix and prefix.startswith("until"):
            return self.until(float(prefix.split()[1]), connection, command, expected)
        connection.send(*command)
        if arrow == ">>":
            if expected.strip():
                raise Bad("a reply after >>: expect it with NAME<")
            return None
        reply = connection.read()
        if prefix:
            if reply[0] not in ":$+=":
                raise Failed(f"no value: {show(reply)}")
            value = reply[1]
            self.values[prefix.split()[1]] = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            return None
        if not expected.strip():
            if self.record:
                self.recorded[number] = show(reply, 0, 10**6)
                return None
            raise Bad("no reply is expected; any means that whatever comes is right")
        return self.expect(reply, expected)

    def expect(self, reply, expected):
        if not match(pattern(expected, self.values), reply):
            raise Failed(f"expected {expected.strip()}\n    got      {show(reply, 2000, 400)}")

    def repeat(self, times, connection, command):
        done = [[w.replace(b"%", b"%d" % i) for w in command] for i in range(times)]
        for args, reply in zip(done, connection.pipeline(done)):
            if reply[0] == "-":
                raise Failed(f"{args[:4]}: {show(reply)}")

    def until(self, seconds, connection, command, expected):
        end = time.monotonic() + seconds
        while True:
            reply = connection.call(*command)
            if match(pattern(expected, self.values), reply):
                return
            if time.monotonic() > end:
                raise Failed(f"expected within {seconds} s {expected.strip()}\n    got      {show(reply)}")
            time.sleep(0.02)

    def directive(self, word, rest):
        if word == "config":
            admin = self.connection("_admin")
            name, value = words(rest, self.values)
            if name not in self.settings:
                before = admin.call("CONFIG", "GET", name)
                if not before[1]:
                    raise Failed(f"CONFIG GET {name.decode()} knows nothing")
                self.settings[name] = before[1][1][1]
            self.expect(admin.call("CONFIG", "SET", name, value), "+OK")
        elif word == "sleep":
            time.sleep(float(rest))
        elif word == "quiet":
            for name in rest.split() or [""]:
                if not self.connection(name).quiet_for(QUIET_SECONDS):
                    raise Failed(f"{name} has a reply: {show(self.connection(name).read())}")
        elif word == "closed":
            for name in rest.split() or [""]:
                if not self.connection(name).closed_within(5) or self.connection(name).buffer:
                    raise Failed(f"{name or 'the connection'} is open, or there are more replies")
        elif word in ("blocked", "clients"):
            self.await_info("blocked_clients" if word == "blocked" else "connected_clients", int(rest))
        elif word == "raw":
            name, data = rest.split(" ", 1) if not rest.startswith('"') else ("", rest)
            self.connection(name).send_raw(b"".join(words(data, self.values)))

    def await_info(self, field, wanted):
        end, found = time.monotonic() + 5, None
        while time.monotonic() < end:
            info = self.connection("_admin").call("INFO", "clients")[1]
            m = re.search(rb"^%s:(\d+)" % field.encode(), info, re.M)
            found = int(m.group(1)) if m else None
            if found == wanted:
                return
            time.sleep(0.005)
        raise Failed(f"{field} is {found}, not {wanted}")


def record(path, replies):
    """Writes the replies below their commands."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    out = []
    for number, line in enumerate(lines, 1):
        out.append(line)
        if number in replies:
            out.append(replies[number])
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out))


class Runner:
    def __init__(self, options):
        self.options, self.tally, self.used = options, Tally(), set()
        self.shared = None

    def server(self):
        if self.shared is None or not self.shared.alive():
            if self.shared is not None:
                print(f"    the server ended by itself: {self.shared.log_tail(2000)}", flush=True)
                self.shared.stop()
            self.shared = Server(self.options.server)
        return self.shared

    def run_test(self, test):
        """The replies recorded."""
        only = test.directive("only")
        shared = self.server()
        if only and only != ("redis" if shared.is_oracle else "brim"):
            return {}
        own = test.directive("server")
        started, server = time.monotonic(), None
        try:
            server = (
                Server(self.options.server, extra=[w.decode() for w in words(own, {})]) if own is not None else shared
            )
            play = Play(test, server, self.used, self.options.record)
            play.run()
            self.tally.passed += 1
            took = time.monotonic() - started
            if self.options.verbose:
                print(f"passed {os.path.basename(test.path)}: {test.name} ({took:.2f} s)")
            return play.recorded
        except (Failed, StartError, Closed, OSError) as e:
            self.tally.check(
                False, f"{os.path.basename(test.path)}: {test.name}", f"\n    {type(e).__name__ if not str(e) else e}"
            )
            return {}
        finally:
            if server is not None and server is not shared:
                server.stop()

    def run(self):
        paths = self.options.files or sorted(glob.glob(os.path.join(HERE, "*.txt")))
        for path in paths:
            replies = {}
            for test in read_file(path):
                if self.options.filter in test.name or self.options.filter in os.path.basename(path):
                    replies.update(self.run_test(test))
            if replies:
                record(path, replies)
        if not self.options.files and not self.options.filter:
            for name in COMMANDS:
                self.tally.check(name in self.used, f"every command has a case: {name}")
        code = self.shared.stop() if self.shared else 0
        self.tally.check(code == 0, "the server's exit code after SIGTERM is 0", str(code))
        return self.tally.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="command line of the server")
    parser.add_argument("--filter", default="", help="only tests (or files) with this in their name")
    parser.add_argument("--record", action="store_true", help="fill in missing replies")
    parser.add_argument("--verbose", "-v", action="store_true")
    parser.add_argument("files", nargs="*")
    return Runner(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
