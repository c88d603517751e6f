#!/usr/bin/python3
"""Sends the same random commands to redis-server and to the server under test and compares everything they say.

run.py --server "path/to/brim-server --threads 2" [--seed N] [--commands N] [--groups a,b] [--resp 2|3] [--threads N]

A run is cut into episodes, each with its own seed and empty servers; the first difference of an episode is shrunk to
the fewest commands that still show it and printed as redis-cli lines. See tests/differential/README.md.
"""

import argparse
import collections
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import comparison  # noqa: E402
import gen_bits  # noqa: E402,F401
import gen_collections  # noqa: E402,F401
import gen_control  # noqa: E402
import gen_geo  # noqa: E402,F401
import gen_scripts  # noqa: E402,F401
import gen_streams  # noqa: E402,F401
import gen_strings  # noqa: E402,F401
import gen_zsets  # noqa: E402,F401
import tables  # noqa: E402
from grammar import GROUPS, Grammar, Source  # noqa: E402
from servers import ORACLE, Server, Tally  # noqa: E402
from session import EPISODE_SETTINGS, Session, name_of  # noqa: E402
from shrink import shrink  # noqa: E402
from wire import quote  # noqa: E402

DATA_GROUPS = ("strings", "bits", "hashes", "lists", "sets", "zsets", "geo", "streams", "keys")
EPISODE = 2000


def settings(r):
    """Commands that lower the limits of the small encodings, so that conversions happen all the time."""
    values = {
        "hash-max-listpack-entries": ["0", "4", "8", "512"],
        "hash-max-listpack-value": ["0", "4", "16", "200"],
        "list-max-listpack-size": ["1", "2", "4", "-1", "-2", "-5"],
        "list-compress-depth": ["0", "1", "2"],
        "set-max-intset-entries": ["0", "4", "8"],
        "zset-max-listpack-entries": ["0", "4", "8"],
        "zset-max-listpack-value": ["0", "4", "16"],
        "hll-sparse-max-bytes": ["0", "24", "60", "300", "20000"],
        "stream-node-max-entries": ["0", "1", "3", "10"],
        "stream-node-max-bytes": ["0", "1", "100", "400"],
        "lazyfree-lazy-user-del": ["yes"],
        "lazyfree-lazy-server-del": ["yes"],
        "lazyfree-lazy-expire": ["yes"],
    }
    assert set(values) == set(EPISODE_SETTINGS)
    return [(0, ["CONFIG", "SET", name, r.pick(values[name])]) for name in r.sample(EPISODE_SETTINGS, r.randint(0, 5))]


def episode(seed, number, size, grammar, options):
    """The items of one episode: the same for the same seed and number."""
    r = Source(f"{seed}/{number}")
    items = settings(r) if options.settings and r.some(0.6) else []
    chosen = [g for g in grammar.groups if g in DATA_GROUPS] or list(DATA_GROUPS)
    # Half of the episodes stay with one group: commands of one type meet more often.
    focus = r.pick(grammar.groups) if r.some(0.5) and grammar.groups else None
    where = 0
    while len(items) < size:
        if options.transactions and r.some(0.5 if not grammar.groups else 0.02):
            if r.some(0.06):
                items.append((r.one(0, 1, 2), gen_control.stray(r)))
            items.extend(gen_control.transaction(r, options.any_grammar, chosen))
            continue
        if r.some(0.02):
            where = r.one(0, 0, 1, 2)
        group = focus if focus and r.some(0.9) else r.pick(grammar.groups)
        items.extend((where, args) for args in grammar.chunk(r, group))
    return items


def as_cli(items):
    """The items as lines for redis-cli; the connection's number is shown when there is more than one."""
    many = len({number for number, _ in items}) > 1
    out = []
    for number, args in items:
        if name_of(args) == b"@EXPIRE":
            args = ["PEXPIRE", args[1], "1"]
            text = " ".join(quote(a, 120) for a in args) + "   (and wait 10 ms)"
        else:
            text = " ".join(quote(a, 120) for a in args[:60])
            text += f" ... ({len(args)} words)" if len(args) > 60 else ""
        out.append((f"[{number}] " if many else "") + text)
    return out


class Runner:
    def __init__(self, options, oracle, tested):
        self.options, self.oracle, self.tested = options, oracle, tested
        self.session = Session(oracle, tested, options.resp, options.timeout, options.events)
        self.seen = collections.Counter()
        self.minimal = {}

    def play(self, items, keyspace=True):
        self.session.reset()
        return self.session.play(items, self.options.check_every if keyspace else 0)

    def shrunk(self, items, found):
        """The minimal items and their difference."""
        if found.index is not None and found.kind in ("reply", "events", "invalidations"):
            items = items[: found.index + 1]
        elif found.index is not None and found.kind != "keyspace":
            items = items[: found.index + 60]
        signature, keyspace = found.signature(), found.kind == "keyspace"
        last = [items, found]
        slow, self.session.timeout = self.session.timeout, min(self.session.timeout, 2)

        def fails(candidate):
            difference = self.play(candidate, keyspace)
            if difference and difference.signature()[:2] == signature[:2]:
                last[:] = [list(candidate), difference]
                return True
            return False

        if fails(items):
            shrink(items, fails, self.options.shrink_seconds)
        self.session.timeout = slow
        return last

    def report(self, number, items, found):
        before = found.signature()
        if self.seen[before] == 0 or self.options.all:
            items, found = self.shrunk(items, found)
            text = "\n".join(f"    {line}" for line in as_cli(items) + found.lines())
            listen = " --events" if self.options.events else ""
            where = f"--seed {self.options.seed} --resp {self.options.resp}{listen} --episode {number}"
            print(
                f"DIFFERENCE {' '.join(filter(None, before[:2]))}  ({len(items)} commands; {where})\n{text}", flush=True
            )
        self.seen[before] += 1

    def run(self, grammar):
        options, number, planned = self.options, options_first(self.options), 0
        started = time.monotonic()
        while planned < options.commands and time.monotonic() - started < options.seconds:
            size = min(EPISODE, options.commands - planned)
            items = episode(options.seed, number, size, grammar, options)
            planned += len(items)
            found = self.play(items)
            if found:
                self.report(number, items, found)
                if len(self.seen) >= options.max_differences:
                    print(f"stopped after {options.max_differences} different differences")
                    break
            number += 1
            if options.episode is not None:
                break
        return number - options_first(options), time.monotonic() - started


def options_first(options):
    return options.episode or 0


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="command line of the server under test")
    parser.add_argument("--oracle", default=ORACLE, help="command line of the oracle (default redis-server)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", type=int, default=40_000)
    parser.add_argument("--groups", default=",".join(GROUPS), help="of " + ",".join(GROUPS))
    parser.add_argument("--resp", type=int, choices=(2, 3), default=2)
    parser.add_argument("--threads", type=int, default=0, help="adds --threads N to the server under test")
    parser.add_argument("--episode", type=int, default=None, help="play only this episode of the seed")
    parser.add_argument("--events", action="store_true", help="compare keyspace events and invalidated keys")
    parser.add_argument("--skip", default="", help="commands not to send, with commas between them")
    parser.add_argument("--check-every", type=int, default=700, help="items between comparisons of the keyspace")
    parser.add_argument("--max-differences", type=int, default=8)
    parser.add_argument("--all", action="store_true", help="shrink every difference, also one that looks known")
    parser.add_argument(
        "--no-settings", dest="settings", action="store_false", help="leave the encodings' limits alone"
    )
    parser.add_argument("--no-tables", dest="tables", action="store_false", help="do not compare COMMAND's table")
    parser.add_argument("--shrink-seconds", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=240, help="no new episode after this time")
    parser.add_argument("--timeout", type=float, default=20, help="seconds until a server that is silent hangs")
    options = parser.parse_args()
    options.groups = [g for g in options.groups.split(",") if g]
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if options.events and "connection" in options.groups:  # it would close the listeners and change what they hear
        options.groups.remove("connection")
    options.transactions = "transactions" in options.groups
    return options


def main():
    options = parse_options()
    skip = [name for name in options.skip.split(",") if name]
    grammar = Grammar([g for g in options.groups if g != "transactions"], skip)
    options.any_grammar = Grammar(DATA_GROUPS, skip)
    command = options.server + (f" --threads {options.threads}" if options.threads else "")
    print(f"seed {options.seed}, resp {options.resp}, groups {','.join(options.groups)}, server {command}", flush=True)
    tally = Tally()
    with Server(options.oracle) as oracle, Server(command) as tested:
        if options.tables and options.episode is None:
            tables.compare(oracle, tested, tally)
        runner = Runner(options, oracle, tested)
        episodes, seconds = runner.run(grammar)
        print(f"{runner.session.commands} commands in {episodes} episodes, {seconds:.1f} s")
        for signature, times in runner.seen.most_common():
            print(f"  {' '.join(filter(None, signature))}: {times} episodes")
        tally.passed += episodes - sum(runner.seen.values())
        tally.failed += sum(runner.seen.values())
        alive, log = tested.alive(), tested.log_path
        if alive:
            tested.process.terminate()
            try:
                code = tested.process.wait(30)
            except Exception:  # it hangs: the with statement ends it
                code = "none, it hangs"
            with open(log, "rb") as f:
                tail = f.read()[-3000:].decode(errors="replace")
            tally.check(code == 0, "the server's exit code after SIGTERM is 0", f"{code}\n{tail}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
