#!/usr/bin/python3
"""Disks that lose power, tear writes and fail. run.py --server "brim-server --threads 2" [--rounds N] [--only NAME]

The server runs over disk.cc, which traces what it does to its files and what it answers. From the trace follows what
the disk may hold after the power went at any moment (disk_model.py): each of these folders has to load, and has to hold
what had been promised by then. And each call that touches the disk fails once: nothing acknowledged is lost, writes are
refused as documented, and all goes on when the disk does.
"""

import argparse
import errno
import inspect
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))

import disk_model as model  # noqa: E402
from servers import Server, StartError, Tally  # noqa: E402
from wire import Closed, encode  # noqa: E402

MANIFEST = "appendonlydir/appendonly.aof.manifest"
WRITERS = 3
EVERY_SECOND_S = 2.2  # of acknowledged writes may be missing with everysec: one second, and the sync's own time
SMALL = ["--auto-aof-rewrite-min-size", "32kb", "--auto-aof-rewrite-percentage", "60"]


class Bench:
    """Where the shared object is, and where traces go."""

    def __init__(self):
        self.place = tempfile.mkdtemp(prefix="brim-disk-")
        self.library = os.path.join(self.place, "disk.so")
        self.built = subprocess.run(
            ["g++", "-std=c++20", "-O1", "-shared", "-fPIC", "-o", self.library, os.path.join(HERE, "disk.cc"), "-ldl"]
        ).returncode == 0  # fmt: skip
        self.traces = 0

    def new_trace(self):
        self.traces += 1
        return os.path.join(self.place, f"trace-{self.traces}")

    def close(self):
        shutil.rmtree(self.place, ignore_errors=True)


bench = None


class DiskServer(Server):
    """A server over disk.cc (`traced`), or without it, that begins with the files of `tree`."""

    def __init__(self, command, extra, tree=None, traced=True):
        self.tree, self.traced, self.control, self.disk = tree, traced, None, None
        super().__init__(command, extra)

    def start(self, wait=True):
        if self.tree is not None:
            model.write_tree(self.tree, self.folder)
            self.tree = None
        if not self.traced:
            super().start(wait)
            return
        self.drop_trace()
        self.trace = bench.new_trace()
        self.control = model.Control(self.trace + ".control")
        self.disk = model.Disk(self.folder)
        self.mine = {"LD_PRELOAD": bench.library, "BRIM_DISK_ROOT": self.folder, "BRIM_DISK_TRACE": self.trace,
                     "BRIM_DISK_CONTROL": self.trace + ".control"}  # fmt: skip
        os.environ.update(self.mine)
        try:
            super().start(wait)
        finally:
            for name in self.mine:
                del os.environ[name]

    def start_again(self):
        """After a kill, on the same disk."""
        self.kill()
        os.environ.update(self.mine)
        try:
            super().start()
        finally:
            for name in self.mine:
                del os.environ[name]

    def drop_trace(self):
        if self.control is not None:
            self.control.close()
            for path in (self.trace, self.trace + ".control"):
                if os.path.exists(path):
                    os.unlink(path)
            self.control = None

    def stop(self, seconds=15):
        code = super().stop(seconds)
        self.drop_trace()
        return code


# ---- the power goes ----------------------------------------------------------------------------------------------------


class Writer(threading.Thread):
    """Numbered steps: an element of a list, then a transaction over keys of several shards and a counter of all."""

    def __init__(self, server, number, seed, first):
        super().__init__(daemon=True)
        self.server, self.number, self.r, self.at = server, number, random.Random(seed), first
        self.over, self.error = threading.Event(), None

    def step(self, c):
        t, steps = self.number, []
        for _ in range(self.r.choice((1, 1, 2, 12))):
            self.at += 1
            pad = "." * self.r.choice((0, 0, 30, 400))  # less than a sector: no lost one lies within a value, unseen
            steps.append([["RPUSH", f"list:{t}", self.at], ["MULTI"], ["SET", f"x:{t}", f"{self.at}:{pad}"],
                          ["HSET", f"y:{t}", "f", self.at], ["INCR", "all"], ["EXEC"],
                          ["ECHO", f"ack:{t}:{self.at};"]])  # fmt: skip
        c.send_raw(b"".join(encode(args) for step in steps for args in step))
        for args in (args for step in steps for args in step):
            reply = c.read()
            if reply[0] == "-":
                raise RuntimeError(f"{args} {reply}")

    def run(self):
        try:
            with self.server.connect(20) as c:
                while not self.over.is_set():
                    self.step(c)
                    time.sleep(self.r.choice((0, 0, 0.002, 0.01)))
        except (Closed, OSError):
            pass  # the kill
        except Exception as error:  # noqa: BLE001
            self.error = repr(error)


class Promises:
    """What the replies have promised so far."""

    ACK = re.compile(rb"ack:(\d+):(\d+);")

    def __init__(self):
        self.acked = {}  # writer: [(time in us, number)]

    def play(self, record):
        if record[0] == model.SENT:
            for t, n in self.ACK.findall(record[6]):
                self.acked.setdefault(int(t), []).append((record[4], int(n)))

    def due(self, writer, before_us):
        return max((n for at, n in self.acked.get(writer, ()) if at < before_us), default=0)


def state_of(c, t):
    x = int((c.value("GET", f"x:{t}") or b"0").split(b":")[0])
    return x, int(c.value("HGET", f"y:{t}", "f") or 0), c.value("LLEN", f"list:{t}")


def wrong_with(c, due):
    """What is wrong in a loaded folder; `due`: writer to the number that has to be there."""
    errors, total = [], 0
    for t in range(WRITERS):
        x, y, size = state_of(c, t)
        total += x
        if x != y:
            errors.append(f"writer {t}: half of a transaction, {x} and {y}")
        if size not in (x, x + 1):
            errors.append(f"writer {t}: no prefix, {size} elements and {x} transactions")
        if x < due[t]:
            errors.append(f"writer {t}: {x} are there, {due[t]} were acknowledged")
        tail = [int(v) for v in c.value("LRANGE", f"list:{t}", -20, -1)]
        if tail != list(range(size - len(tail) + 1, size + 1)):
            errors.append(f"writer {t}: the list ends with {tail}")
    everything = int(c.value("GET", "all") or 0)
    if everything != total:
        errors.append(f"no prefix: {everything} transactions of all, {total} of each")
    return errors


def one_life(server, r, seconds, first, between):
    """Writers for that long, `between` now and then, a kill. The writers' errors."""
    crew = [Writer(server, t, r.random(), first[t]) for t in range(WRITERS)]
    for writer in crew:
        writer.start()
    until = time.monotonic() + seconds
    with server.connect(20) as c:
        while time.monotonic() < until and server.alive():
            time.sleep(r.uniform(0, 0.2))
            between(c)
    server.kill()
    for writer in crew:
        writer.join(20)
    return [w.error for w in crew if w.error]


def crash_points(trace, r, count):
    """Positions in the trace: half of them beside something that is not a plain write."""
    events = [i for i, record in enumerate(trace) if record[0] not in (model.WRITE, model.SENT)]
    points = []
    for _ in range(count):
        at = r.choice(events) + r.randrange(-1, 3) if events and r.random() < 0.6 else r.randrange(len(trace))
        points.append(min(max(at, 0), len(trace) - 1))
    return sorted(points)


def fix(command, folder):
    """brim-check-aof --fix over the last increment; what it said."""
    tool = os.path.join(os.path.dirname(command.split()[0]), "brim-check-aof")
    done = subprocess.run([tool, "--fix", os.path.join(folder, MANIFEST)], input=b"y\n", capture_output=True, timeout=30)
    return done.stdout.decode(errors="replace")


def load(tally, command, extra, tree, mode, name):
    """A server that has loaded that folder, or None. With sectors missing in the middle it may want its file mended."""
    server = None
    try:
        server = DiskServer.__new__(DiskServer)
        server.__init__(command, extra, tree, traced=False)
        return server
    except StartError as error:
        if mode == "sectors" and re.search(r"offset \d+", f"{error}"):
            said = fix(command, server.folder)
            try:
                server.start()
                return server
            except StartError as again:
                error = f"{again}\n{said}"
        tally.check(False, f"{name}: starts", f"{error}")
        if os.environ.get("BRIM_KEEP"):
            shutil.copytree(server.folder, os.path.join(os.environ["BRIM_KEEP"], f"{time.time()}"))
        server.stop()
        return None


def crashes(tally, command, r, server, extra, points, grace_us, name, wrong):
    """Loads what the trace leaves at some moments. Returns (a folder to go on with, what it holds)."""
    trace, promises, at, last = list(model.records(server.trace)), Promises(), 0, None
    for point in crash_points(trace, r, points):
        while at <= point:
            server.disk.play(trace[at])
            promises.play(trace[at])
            at += 1
        mode = r.choice(model.MODES)
        tree = server.disk.after_crash(r, mode)
        now_us = trace[point][4]
        loaded = load(tally, command, extra, tree, mode, f"{name}, {mode}, at {point} of {len(trace)}")
        if loaded is None:
            continue
        with loaded.connect(30) as c:
            due = [promises.due(t, now_us - grace_us) for t in range(WRITERS)]
            errors = wrong(c, due)
            good = tally.check(not errors, f"{name}, {mode}, at {point} of {len(trace)}", "; ".join(errors[:4]))
            if good:
                last = (tree, [state_of(c, t)[0] for t in range(WRITERS)])
                c.pipeline([["LTRIM", f"list:{t}", 0, last[1][t] - 1] for t in range(WRITERS)])
        loaded.kill()
        if good:
            # What came after the crash comes on top of what the crash has left.
            last = (tree_of(loaded.folder), last[1])
        elif os.environ.get("BRIM_KEEP"):
            model.write_tree(tree, os.path.join(os.environ["BRIM_KEEP"], f"{time.time()}"))
        loaded.stop()
    return last


def tree_of(folder):
    out = {}
    for place, folders, files in os.walk(folder):
        for each in folders:
            out[os.path.relpath(os.path.join(place, each), folder)] = None
        for each in files:
            if each != "log":
                with open(os.path.join(place, each), "rb") as f:
                    out[os.path.relpath(os.path.join(place, each), folder)] = f.read()
    return out


def power(tally, command, seed, rounds, sync):
    """Lives of a server with an append-only file, each begun with what the crash before it has left."""
    r = random.Random(seed)
    extra = ["--appendonly", "yes", "--appendfsync", sync, *SMALL]
    points = 8 if sync == "always" else 6
    tree, first, done = None, [0] * WRITERS, 0
    while done < rounds:
        preamble = r.choice(("yes", "no"))
        server = DiskServer(command, [*extra, "--aof-use-rdb-preamble", preamble], tree)
        try:
            seconds = r.uniform(0.3, 1.0) + (0 if sync == "always" else EVERY_SECOND_S + 0.5)
            rewrite = lambda c: r.random() < 0.3 and c.call("BGREWRITEAOF")  # noqa: E731
            if r.random() < 0.5:
                # A kill alone, before it: what is not synced yet is still there then.
                errors = one_life(server, r, r.uniform(0.1, 0.5), first, rewrite)
                server.start_again()
                with server.connect(20) as c:
                    first = [state_of(c, t)[0] for t in range(WRITERS)]
                    c.pipeline([["LTRIM", f"list:{t}", 0, first[t] - 1] for t in range(WRITERS)])
            errors = one_life(server, r, seconds, first, rewrite)
            tally.check(not errors, f"power, {sync}: writers", f"{errors[:2]}")
            grace_us = 0 if sync == "always" else int(EVERY_SECOND_S * 1e6)
            name = f"power, {sync}, seed {seed}, {done}"
            last = crashes(tally, command, r, server, extra, min(points, rounds - done), grace_us, name, wrong_with)
            done += points
            tree, first = last if last is not None and r.random() < 0.8 else (None, [0] * WRITERS)
        finally:
            server.stop()


def power_always(tally, command, seed, rounds):
    """The power goes, appendfsync always: every acknowledged write is there."""
    power(tally, command, seed, rounds, "always")


def power_everysec(tally, command, seed, rounds):
    """The power goes, appendfsync everysec: a prefix is there, and all but the last second."""
    power(tally, command, seed, rounds, "everysec")


class Saver(Writer):
    """Steps whose promise is a save: of what was written before it."""

    def step(self, c):
        for _ in range(self.r.randrange(1, 30)):
            self.at += 1
            t = self.number
            c.pipeline([["RPUSH", f"list:{t}", self.at], ["MULTI"], ["SET", f"x:{t}", self.at],
                        ["HSET", f"y:{t}", "f", self.at], ["INCR", "all"], ["EXEC"]])  # fmt: skip
        if self.number == 0:
            self.save(c)

    def save(self, c):
        if self.r.random() < 0.5:
            good = c.call("SAVE") == ("+", b"OK")
        else:
            good = c.call("BGSAVE")[0] == "+"
            while good and b"rdb_bgsave_in_progress:1" in c.value("INFO", "persistence"):
                time.sleep(0.001)
            good = good and b"rdb_last_bgsave_status:ok" in c.value("INFO", "persistence")
        if good:
            c.call("ECHO", f"ack:{self.number}:{self.at};")


def power_saves(tally, command, seed, rounds):
    """The power goes while snapshots are written: what a save has promised is there, whole."""
    global Writer
    r, points, done, plain = random.Random(seed), 8, 0, Writer
    Writer = Saver
    try:
        while done < rounds:
            server = DiskServer(command, ["--rdbcompression", r.choice(("yes", "no"))])
            try:
                errors = one_life(server, r, r.uniform(0.3, 0.8), [0] * WRITERS, lambda c: None)
                tally.check(not errors, "power, saves: writers", f"{errors[:2]}")
                crashes(tally, command, r, server, [], points, 0, f"power, saves, seed {seed}, {done}", wrong_with)
                done += points
            finally:
                server.stop()
    finally:
        Writer = plain


def power_adopts(tally, command, seed, rounds):
    """The power goes while a single file of redis-server 6 is taken over: nothing of it is lost."""
    r = random.Random(seed)
    steps = b"".join(encode(args) for i in range(1, 200) for args in (["SET", "n", i], ["RPUSH", "list", i]))
    for done in range(0, rounds, 6):
        server = DiskServer(command, ["--appendonly", "yes"], {"appendonly.aof": steps})
        try:
            server.kill()
            trace, at = list(model.records(server.trace)), 0
            for point in sorted(r.randrange(len(trace)) for _ in range(6)):
                while at <= point:
                    server.disk.play(trace[at])
                    at += 1
                mode = r.choice(model.MODES)
                name = f"power, an old file, {done}, {mode}, at {point} of {len(trace)}"
                loaded = load(tally, command, ["--appendonly", "yes"], server.disk.after_crash(r, mode), mode, name)
                if loaded is None:
                    continue
                with loaded.connect() as c:
                    there = c.value("GET", "n"), c.value("LLEN", "list")
                    tally.check(there == (b"199", 199), name, f"{there}")
                loaded.stop()
        finally:
            server.stop()


def canary(tally, command, seed, rounds):
    """A disk whose syncs do nothing is found out."""
    r, found = random.Random(seed), []
    server = DiskServer(command, ["--appendonly", "yes", "--appendfsync", "always"])
    try:
        one_life(server, r, 0.3, [0] * WRITERS, lambda c: None)
        promises = Promises()
        for record in model.records(server.trace):
            promises.play(record)
            if record[0] != model.SYNC:
                server.disk.play(record)
        loaded = load(tally, command, [], server.disk.after_crash(r, "nothing"), "nothing", "canary")
        with loaded.connect() as c:
            found = wrong_with(c, [promises.due(t, 1 << 62) for t in range(WRITERS)])
        loaded.stop()
    finally:
        server.stop()
    tally.check(len(found) >= WRITERS, "canary", f"{found}")


# ---- the disk fails ----------------------------------------------------------------------------------------------------


class Story:
    """A fixed sequence of everything that touches the disk; knows what was acknowledged."""

    def __init__(self, server, appendonly):
        self.server, self.appendonly = server, appendonly
        self.acked, self.tried, self.refusals = {}, {}, set()
        # While the append-only file is off, or has no base yet, a reply promises nothing.
        self.promises, self.unpromised = True, {}

    def write(self, c, name):
        self.tried[name] = self.tried.get(name, 0) + 1
        pad = "." * 300_000 if name == "k2" else ""  # big ones are written from where they were received
        reply = c.call("SET", name, f"{self.tried[name]}:{pad}")
        if reply[0] == "-":
            self.refusals.add(reply[1])
        else:
            (self.acked if self.promises else self.unpromised)[name] = self.tried[name]

    def promise(self):
        self.promises = True
        self.acked.update(self.unpromised)
        self.unpromised.clear()

    def writes(self, c):
        for i in range(3):
            self.write(c, f"k{i}")

    def quiet(self, c):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            said = c.value("INFO", "persistence")
            if b"rdb_bgsave_in_progress:0" in said and b"aof_rewrite_in_progress:0" in said:
                return
            time.sleep(0.005)

    def tell(self):
        with self.server.connect(20) as c:
            self.writes(c)
            for what in (["BGREWRITEAOF"], ["BGSAVE"], ["SAVE"]) if self.appendonly else (["BGSAVE"], ["SAVE"]):
                c.call(*what)
                self.writes(c)
                self.quiet(c)
                self.writes(c)
            if self.appendonly:
                for setting in ("no", "yes"):
                    c.call("CONFIG", "SET", "appendonly", setting)
                    self.promises = False
                    self.writes(c)
                    self.quiet(c)
                said = c.value("INFO", "persistence")
                if b"aof_enabled:1" in said and b"aof_last_bgrewrite_status:ok" in said:
                    self.promise()
                time.sleep(0.15)
                self.writes(c)

    def recovered(self, c, tally, name):
        """The disk works again: within some seconds everything does."""
        until = time.monotonic() + 6
        while time.monotonic() < until:
            reply = c.call("SET", "again", 1)
            if reply[0] != "-":
                break
            self.refusals.add(reply[1])
            if reply[1].startswith(b"MISCONF Redis is configured"):
                c.call("SAVE")  # with save points these wait for the next good save
            time.sleep(0.02)
        tally.check(reply[0] != "-", f"{name}: writes go on", f"{reply}")
        if self.appendonly and b"aof_enabled:1" not in c.value("INFO", "persistence"):
            tally.check(c.call("CONFIG", "SET", "appendonly", "yes") == ("+", b"OK"), f"{name}: appendonly yes again")
        self.quiet(c)
        tally.check(c.call("SAVE") == ("+", b"OK"), f"{name}: SAVE again")
        if self.appendonly:
            reply = c.call("BGREWRITEAOF")
            tally.check(reply[0] == "+", f"{name}: BGREWRITEAOF again", f"{reply}")
            self.quiet(c)
            self.promise()
            tally.check(c.value("WAITAOF", 1, 0, 0) == [1, 0], f"{name}: WAITAOF")
        said = c.value("INFO", "persistence").decode()
        for field in ("rdb_last_bgsave_status:ok", "aof_last_bgrewrite_status:ok", "aof_last_write_status:ok"):
            tally.check(field in said, f"{name}: {field}")
        self.writes(c)
        if self.appendonly:
            tally.check(c.value("WAITAOF", 1, 0, 0) == [1, 0], f"{name}: WAITAOF again")
        else:
            tally.check(c.call("SAVE") == ("+", b"OK"), f"{name}: the last SAVE")


def lost(c, story):
    """What was acknowledged and is not there."""
    errors = []
    for name, tried in story.tried.items():
        there = int((c.value("GET", name) or b"0").split(b":")[0])
        if not story.acked.get(name, 0) <= there <= tried:
            errors.append(f"{name}: {there} is there, {story.acked.get(name, 0)} was acknowledged of {tried}")
    return errors


def leftovers(folder):
    """Temporary files, and files of the append-only file that the manifest does not name."""
    found = [path for path in tree_of(folder) if "temp-" in path]
    path = os.path.join(folder, MANIFEST)
    if not os.path.exists(path):
        return found
    with open(path) as f:
        named = {line.split()[1] for line in f if line.strip()}
    place = os.path.dirname(path)
    return found + [name for name in os.listdir(place) if name not in named and not name.endswith(".manifest")]


KNOWN_REFUSALS = (b"MISCONF Errors writing to the AOF file: ", b"MISCONF Redis is configured to save RDB snapshots")


def one_failure(tally, command, extra, appendonly, kind, skip, error, lasting, partly):
    name = f"{' '.join(extra[1:4:2])}: {model.KINDS[kind]} {skip} fails{' from then on' if lasting else ''}"
    name += f"{', half of it' if partly else ''}, {errno.errorcode[error]}"
    server = DiskServer(command, extra)
    try:
        server.control.fail(kind, error, skip, lasting, partly)
        story = Story(server, appendonly)
        try:
            story.tell()
        except (Closed, OSError):
            pass
        failed = server.control.failed
        server.control.heal()
        try:
            with server.connect(20) as c:
                story.recovered(c, tally, name)
                left = leftovers(server.folder)
                tally.check(not left or kind == model.UNLINK, f"{name}: nothing is left over", f"{left}")
        except (Closed, OSError):
            server.alive() and time.sleep(0.2)
            ends = "always" in extra and server.process.poll() == 1
            tally.check(ends, f"{name}: it stands", server.log_tail(1500))
        unknown = [text for text in story.refusals if not text.startswith(KNOWN_REFUSALS)]
        tally.check(not unknown, f"{name}: refusals", f"{unknown}")
        server.kill()
        # Then the power goes too: what the disk did not say it has is gone.
        for record in model.records(server.trace):
            server.disk.play(record)
        tree = server.disk.after_crash(random.Random(0), "nothing")
        loaded = load(tally, command, extra, tree, "nothing", name)
        if loaded is None:
            return failed
        with loaded.connect(20) as c:
            errors = lost(c, story)
            tally.check(not errors, name, "; ".join(errors[:4]) + server.log_tail(1500) * bool(errors))
        loaded.stop()
        return failed
    finally:
        server.stop()


def failures(tally, command, seed, rounds):
    """Each write, sync, rename, open and so on fails in turn."""
    r, cases = random.Random(seed), []
    for extra in (["--appendonly", "yes", "--appendfsync", "everysec"], ["--appendonly", "yes", "--appendfsync", "always"],
                  ["--appendonly", "no", "--save", "3600 1000000"]):  # fmt: skip
        appendonly = extra[1] == "yes"
        server = DiskServer(command, extra)
        before = server.control.calls()
        Story(server, appendonly).tell()
        counts = [after - old for after, old in zip(server.control.calls(), before)]
        server.stop()
        for kind, count in enumerate(counts):
            for skip in range(count):
                error = r.choice((errno.EIO, errno.ENOSPC)) if kind != model.SYNC else errno.EIO
                cases.append((extra, appendonly, kind, skip, error, r.random() < 0.5, kind == model.WRITE and r.random() < 0.5))
    r.shuffle(cases)
    # A few of each kind first.
    seen = {}
    for case in cases:
        seen.setdefault((case[0][3], case[2]), []).append(case)
    ordered = [group[i] for i in range(max(map(len, seen.values()))) for group in seen.values() if i < len(group)]
    hits = sum(one_failure(tally, command, *case) > 0 for case in ordered[:rounds])
    tally.check(hits >= min(rounds, len(ordered)) * 0.8, "failures were met", f"{hits} of {min(rounds, len(ordered))}")
    print(f"failures: {min(rounds, len(ordered))} of {len(cases)} calls", flush=True)


SUITE = (canary, power_always, power_everysec, power_saves, power_adopts, failures)
ROUNDS = {"canary": 1, "power_always": 24, "power_everysec": 12, "power_saves": 8, "power_adopts": 6, "failures": 14}


def main():
    global bench
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="of each test; else a few: " + f"{ROUNDS}")
    parser.add_argument("--only", help="names of tests, with commas: " + " ".join(f.__name__ for f in SUITE))
    options = parser.parse_args()
    tally, bench = Tally(), Bench()
    try:
        if not bench.built:
            print("skipped: no compiler here")
            return 1
        for test in SUITE:
            if options.only and test.__name__ not in options.only.split(","):
                continue
            started = time.monotonic()
            test(tally, options.server, options.seed, options.rounds or ROUNDS[test.__name__])
            print(f"{test.__name__}: {inspect.getdoc(test).split(chr(10))[0]} {time.monotonic() - started:.1f} s", flush=True)
        return tally.finish()
    finally:
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
