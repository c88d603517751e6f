#!/usr/bin/python3
"""The append-only file, compared with redis-server. run.py --server "brim-server --threads 2" [--only NAME] [--seed N]

Random commands, a hard kill, a restart: the data is what it was. Folders go from Brim to redis-server and back. What a
crash, a full disk or a changed byte leaves of a file is loaded, or refused, as it should be; what was acknowledged is
there after a kill (--rounds N of them).
"""

import argparse
import inspect
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness"), os.path.join(HERE, "..", "differential")]

import corners  # noqa: E402
import gen_bits  # noqa: E402,F401
import gen_collections  # noqa: E402,F401
import gen_control  # noqa: E402
import gen_geo  # noqa: E402,F401
import gen_scripts  # noqa: E402,F401
import gen_streams  # noqa: E402,F401
import gen_strings  # noqa: E402,F401
import gen_zsets  # noqa: E402,F401
import placement  # noqa: E402
import slow_disk  # noqa: E402
from grammar import Grammar, Source  # noqa: E402
from servers import ORACLE, Server, StartError, Tally  # noqa: E402
from streams import stream_state  # noqa: E402
from wire import Closed, encode  # noqa: E402

FOLDER = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
DATABASES = (0, 1, 2, 3, 15)
DATA_GROUPS = ("strings", "bits", "hashes", "lists", "sets", "zsets", "geo", "streams", "keys")
FAR = (10**6, 10**9)
NO_LOG = b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."


def aof_server(command, *extra):
    # With everysec redis-server holds its writes back while a sync is slow.
    sync = ["--appendfsync", "no"] if command == ORACLE else []
    return Server(command, ["--appendonly", "yes", *sync, *extra])


def folder_of(server):
    return os.path.join(server.folder, FOLDER)


def manifest(folder):
    """[(name, type)] in the manifest's order."""
    with open(os.path.join(folder, MANIFEST)) as f:
        return [(words[1], words[5]) for words in (line.split() for line in f) if words]


def last_increment(folder):
    return os.path.join(folder, [name for name, kind in manifest(folder) if kind == "i"][-1])


def take_over(server, folder):
    """The server starts again with a copy of that AOF folder."""
    server.kill()
    shutil.rmtree(folder_of(server), ignore_errors=True)
    shutil.copytree(folder, folder_of(server))
    server.start()


def listing(c):
    """All keys of the selected database, once those past their time, which KEYS does not show, are gone."""
    until = time.monotonic() + 10
    while True:
        keys = c.value("KEYS", "*")
        if len(keys) == c.value("DBSIZE") or time.monotonic() > until:
            return keys
        time.sleep(0.02)


def state(server):
    """DEBUG DIGEST, and of every key when it expires; of a stream also its groups."""
    with server.connect(30) as c:
        expiries = {}
        for db in DATABASES:
            c.call("SELECT", db)
            keys = listing(c)
            for key, reply in zip(keys, c.pipeline(["PEXPIRETIME", key] for key in keys)):
                expiries[db, key] = reply[1]
            for key, reply in zip(keys, c.pipeline(["TYPE", key] for key in keys)):
                if reply[1] == b"stream":
                    expiries[db, key] = (expiries[db, key], stream_state(c, key, True))
        # Their code: redis-server lists a library's functions in an order of its own.
        libraries = sorted(repr(library[-1]) for library in c.value("FUNCTION", "LIST", "WITHCODE"))
        return c.value("DEBUG", "DIGEST"), expiries, [text[-1500:] for text in libraries]


def same(tally, name, wanted, got):
    """Whether two states are equal."""
    differ = [(k, wanted[1].get(k), got[1].get(k)) for k in wanted[1].keys() | got[1].keys()
              if wanted[1].get(k) != got[1].get(k)]  # fmt: skip
    text = f"{wanted[0]} became {got[0]}; of {len(wanted[1])} keys differ in expiry or groups: {differ[:4]}"
    return tally.check(wanted == got, name, text)


def facts(c, section="persistence"):
    lines = c.value("INFO", section).decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def await_fact(c, wanted, seconds=20):
    """Waits until INFO persistence says all of `wanted`; False when it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        there = facts(c)
        if all(there.get(name) == value for name, value in wanted.items()):
            return True
        time.sleep(0.01)
    return False


def await_rewrite(c, seconds=30):
    return await_fact(c, {"aof_rewrite_in_progress": "0", "aof_rewrite_scheduled": "0"}, seconds)


# ---- random commands ---------------------------------------------------------------------------------------------------


class Workload:
    """Random commands on three connections of one server, and what the generators of the differential test lack."""

    def __init__(self, server, r, fleeting=False, sink=None):
        self.server, self.r, self.fleeting, self.sink = server, r, fleeting, sink
        self.grammar = Grammar((*DATA_GROUPS, "scripts"))
        self.payloads = []
        self.connect()

    def connect(self):
        self.lines = [self.server.connect(30) for _ in range(3)]
        if not self.payloads:
            self.payloads = self.make_payloads()

    def close(self):
        for line in self.lines:
            line.close()

    def make_payloads(self):
        c = self.lines[0]
        c.pipeline([["SET", "p1", "text"], ["RPUSH", "p2", 1, 2, "x" * 100], ["SADD", "p3", *range(9)],
                    ["ZADD", "p4", 1, "a", 2.5, "b"], ["HSET", "p5", "f", 1, "g", "y" * 70]])  # fmt: skip
        payloads = [reply[1] for reply in c.pipeline(["DUMP", f"p{i}"] for i in range(1, 6))]
        c.call("DEL", "p1", "p2", "p3", "p4", "p5")
        return payloads

    def restore(self):
        r = self.r
        ttl = r.one(0, r.randint(*FAR))
        options = r.flag(0.8, "REPLACE")
        if ttl and r.some(0.4):
            ttl, options = int(time.time() * 1000) + ttl, [*options, "ABSTTL"]
        return ["RESTORE", r.any_key(), ttl, r.pick(self.payloads), *options]

    def extra(self):
        r = self.r
        kind = r.randrange(13)
        if kind > 9:
            return [self.script()]
        if kind < 3:
            return [self.restore()]
        if kind < 5:
            return [["SELECT", r.pick(DATABASES)]]
        if kind == 5:
            many = [f"m{r.randrange(40)}" for _ in range(20)]
            return [["SADD", "e1", *many], ["SPOP", "e1", r.randrange(8)], ["SPOP", "e2"], ["SPOP", "e1", 10**6]]
        if kind == 6 and self.sink:
            return [["MIGRATE", "127.0.0.1", self.sink.port, r.any_key(), 0, 5000, *r.one([], ["COPY"]), "REPLACE"]]
        if self.fleeting:
            return [
                r.one(
                    ["SET", r.key("string"), r.value(), "PX", r.randint(1, 300)],
                    ["PEXPIRE", r.any_key(), r.randint(1, 300)],
                    ["GETEX", r.key("string"), "PX", r.randint(1, 300)],
                    ["RESTORE", r.any_key(), r.randint(1, 300), r.pick(self.payloads), "REPLACE"],
                )
            ]
        return [["COPY", r.any_key(), r.any_key(), "DB", r.pick(DATABASES), "REPLACE"]]

    def script(self):
        r = self.r
        text = r.one(
            "redis.call('select', 1) redis.call('set', KEYS[1], ARGV[1]) redis.call('select', 0) redis.call('incr', 'n9')",
            "return redis.call('spop', KEYS[1], 3)",
            "redis.call('expire', KEYS[1], 1000000) redis.call('sadd', KEYS[2], 'x', ARGV[1]) redis.call('incr', 'hidden')",
            "for i = 1, 5 do redis.call('lpush', KEYS[1], i) end error('half')",
            "redis.call('set', KEYS[1], redis.call('time')[1]) return redis.call('restore', KEYS[2], 0, ARGV[2], 'REPLACE')",
            "redis.call('rpush', KEYS[1], 'a') return redis.call('blpop', KEYS[1], KEYS[2], 0)",
            "local t = redis.call('smembers', KEYS[1]) if #t > 0 then redis.call('srem', KEYS[1], t[1]) end return #t",
            "return redis.call('sort', KEYS[1], 'ALPHA', 'STORE', KEYS[2])",
        )
        keys = [r.key(r.one("set", "list", "string")), r.key("list")]
        return ["EVAL", text, 2, *keys, r.value(), r.pick(self.payloads)]

    def items(self, count):
        """That many [(connection, command)]; one connection's follow each other."""
        r, out = self.r, []
        while len(out) < count:
            where = r.randrange(3)
            if r.some(0.06):
                out.extend(gen_control.transaction(r, self.grammar, DATA_GROUPS))
            elif r.some(0.15):
                out.extend((where, args) for args in self.extra())
            else:
                chunk = self.grammar.chunk(r)
                out.extend((where, args) for args in chunk if args[0] != "@expire")
        return out

    def blocked(self):
        """Two connections wait, the third gives."""
        r, (a, b, c) = self.r, self.lines
        c.pipeline([["SELECT", 0], ["DEL", "x1"], ["XGROUP", "CREATE", "x1", "g1", "$", "MKSTREAM"]])
        for line in (a, b):
            line.call("DISCARD")
            line.call("SELECT", 0)
            line.send(*r.one(["BLPOP", "l1", "l2", "1"], ["BRPOP", "l2", "l1", "1"],
                             ["BLMOVE", "l1", "l3", "LEFT", "RIGHT", "1"], ["BLMPOP", "1", "2", "l1", "l2", "RIGHT"],
                             ["XREADGROUP", "GROUP", "g1", "waiting", "BLOCK", "1000", "STREAMS", "x1", ">"],
                             ["BZPOPMIN", "z1", "1"], ["BZMPOP", "1", "1", "z1", "MAX"]))  # fmt: skip
        give = [["RPUSH", "l1", "a", "b", "c"], ["RPUSH", "l2", "d", "e", "f"], ["ZADD", "z1", 1, "g", 2, "h"],
                ["XADD", "x1", "*", "f", "v"], ["XADD", "x1", "MAXLEN", "~", 40, "*", "f", "w"]]
        if r.some(0.5):
            give = [["MULTI"], *give, ["LPOP", "l1"], ["EXEC"]]
        c.pipeline([["DEL", "l1", "l2", "z1"], ["DISCARD"]] + give)
        a.read()
        b.read()

    def play(self, count):
        items, at = self.items(count), 0
        while at < len(items):
            end = at + 1
            while end < len(items) and items[end][0] == items[at][0] and end - at < 50:
                end += 1
            line = self.lines[items[at][0]]
            line.send_raw(b"".join(encode(args) for _, args in items[at:end]))
            line.read_raw(end - at)
            at = end
        for _ in range(3):
            self.blocked()

    def crash(self):
        """A hard kill; what an EXEC did not end is over."""
        self.close()
        self.server.kill()
        self.server.start()
        self.connect()


def crash_and_compare(tally, name, work, oracle, limit_off=False):
    server = work.server
    work.close()  # open transactions end
    if limit_off:
        with server.connect() as c:
            c.call("CONFIG", "SET", "maxmemory", 0)
    if work.fleeting:
        time.sleep(0.4)
    before = state(server)
    server.kill()
    server.start()
    same(tally, name, before, state(server))
    server.kill()
    checked = subprocess.run(
        ["redis-check-aof", os.path.join(folder_of(server), MANIFEST)], capture_output=True, stdin=subprocess.DEVNULL
    )
    tally.check(checked.returncode == 0, f"{name}: redis-check-aof", f"{checked.stdout[-300:]}")
    take_over(oracle, folder_of(server))
    same(tally, f"{name}: in redis-server", before, state(oracle))
    server.start()
    work.connect()


def workload(tally, command, seed):
    """Random commands, a kill, a restart; redis-server loads the folder too."""
    with aof_server(ORACLE) as oracle, Server(ORACLE) as sink:
        with aof_server(command) as server:
            work = Workload(server, Source(seed), sink=sink)
            for part in range(3):
                work.play(1500)
                crash_and_compare(tally, f"workload {part}", work, oracle)
        with aof_server(command, "--aof-timestamp-enabled", "yes", "--lazyfree-lazy-expire", "yes") as server:
            work = Workload(server, Source(seed + 1), fleeting=True, sink=sink)
            for part in range(2):
                work.play(1200)
                crash_and_compare(tally, f"keys that expire {part}", work, oracle)


def rewrites(tally, command, seed):
    """The same while the file is rewritten again and again."""
    for part, preamble in enumerate(("yes", "no")):
        rewrite_often(tally, command, seed + part, part, preamble)


def rewrite_often(tally, command, seed, part, preamble):
    with aof_server(ORACLE) as oracle, aof_server(command, "--aof-use-rdb-preamble", preamble) as server:
        with server.connect() as c:
            c.pipeline([["HSET", f"more:{i}", "f", "v" * 40] for i in range(3000)])
        work = Workload(server, Source(seed + 2))
        with server.connect(30) as c:
            for _ in range(5):
                reply = c.call("BGREWRITEAOF")
                tally.check(reply == ("+", b"Background append only file rewriting started"), "started", f"{reply}")
                work.play(250)
                tally.check(await_rewrite(c), "a rewrite ends")
            c.call("BGREWRITEAOF")
            work.play(100)
        crash_and_compare(tally, f"rewrites {part}", work, oracle)
        names = {name for name, _ in manifest(folder_of(server))} | {MANIFEST}
        there = {name for name in os.listdir(folder_of(server)) if not name.startswith("temp-")}
        tally.check(there <= names | {n for n in there if ".base." in n}, "nothing else is left", f"{there - names}")


def eviction(tally, command, seed):
    """The same while keys are evicted."""
    with aof_server(ORACLE) as oracle, aof_server(command) as server:
        work, r = Workload(server, Source(seed + 3)), random.Random(seed)
        with server.connect(30) as c:
            c.pipeline([["SET", f"fill:{i}", "x" * 500] for i in range(4000)])
            c.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            limit = int(facts(c, "memory")["used_memory"]) + 200_000
            c.call("CONFIG", "SET", "maxmemory", limit)
            for part in range(2):
                for _ in range(4):
                    c.pipeline([["SET", f"fill:{r.randrange(10**6)}", "x" * 500] for i in range(600)])
                    c.pipeline([["MULTI"], ["SET", "big", "y" * 30000], ["INCR", "n"], ["EXEC"]])
                    work.play(200)
                if part == 0:
                    c.call("BGREWRITEAOF")
            evicted = int(facts(c, "stats")["evicted_keys"])
            tally.check(evicted > 100, "keys were evicted", f"{evicted}")
        crash_and_compare(tally, "eviction", work, oracle, limit_off=True)


def fleeting(tally, command, seed):
    """A kill while keys wait for their end: they end after the restart, the others stay."""
    with aof_server(command) as server:
        with server.connect() as c:
            c.pipeline([["SET", f"k:{i}", i] for i in range(400)])
            c.pipeline([["PEXPIRE", f"k:{i}", 1 + i * 2] for i in range(0, 400, 2)])
            c.pipeline([["HSET", "h", "f", 1], ["PEXPIRE", "h", 60], ["SET", "kept", 1, "PX", 60], ["PERSIST", "kept"]])
            time.sleep(0.1)
            c.call("BGREWRITEAOF")
            c.pipeline([["SET", f"late:{i}", i, "PX", 50 + i * 4] for i in range(100)])
        server.kill()
        time.sleep(0.3)
        server.start()
        time.sleep(0.6)
        with server.connect() as c:
            there = sorted(c.value("KEYS", "*"))
            wanted = sorted([f"k:{i}".encode() for i in range(1, 400, 2)] + [b"kept"])
            tally.check(there == wanted, "keys that ended meanwhile", f"{len(there)} keys, {set(there) ^ set(wanted)}"[:300])
            tally.check(c.value("PTTL", "kept") == -1, "PERSIST", "")


# ---- from redis-server -------------------------------------------------------------------------------------------------


def as_recorded(oracle):
    """What redis-server makes of its own files: they lack some of what it had, as how many entries a group has read."""
    oracle.restart()
    return state(oracle)


def from_redis(tally, command, seed):
    """Folders that redis-server wrote, loaded by Brim and continued."""
    kinds = (("preamble", ["--aof-use-rdb-preamble", "yes"]), ("commands", ["--aof-use-rdb-preamble", "no"]),
             ("timestamps", ["--aof-timestamp-enabled", "yes", "--aof-use-rdb-preamble", "no"]))  # fmt: skip
    for n, (name, options) in enumerate(kinds):
        with aof_server(ORACLE, *options) as oracle, aof_server(command) as server:
            work = Workload(oracle, Source(seed + 10 + n))
            with oracle.connect(30) as c:
                for _ in range(3):
                    work.play(400)
                    c.call("BGREWRITEAOF")
                    work.play(300)
                    await_rewrite(c)
            work.play(300)
            work.close()
            wanted = as_recorded(oracle)
            oracle.kill()
            take_over(server, folder_of(oracle))
            same(tally, f"from redis-server: {name}", wanted, state(server))
            work = Workload(server, Source(seed + 20 + n))
            work.play(300)
            crash_and_compare(tally, f"from redis-server: {name}, continued", work, oracle)
            work.close()
            with server.connect(30) as c:
                before = state(server)
                c.call("BGREWRITEAOF")
                tally.check(await_rewrite(c), f"from redis-server: {name}, rewritten")
            server.restart()
            same(tally, f"from redis-server: {name}, rewritten", before, state(server))
    old_files(tally, command, seed)


def old_files(tally, command, seed):
    """Single files of versions before 7: commands; a snapshot and commands."""
    with aof_server(ORACLE) as oracle:
        work = Workload(oracle, Source(seed + 30))
        work.play(600)
        work.close()
        parts = []
        for rewritten in (False, True):
            if rewritten:
                with oracle.connect(30) as c:
                    c.call("BGREWRITEAOF")
                    await_rewrite(c)
                work = Workload(oracle, Source(seed + 31))
                work.play(300)
                work.close()
            files = []
            for name in (name for name, kind in manifest(folder_of(oracle)) if kind != "h"):
                with open(os.path.join(folder_of(oracle), name), "rb") as f:
                    files.append(f.read())
            parts.append((b"".join(files if rewritten else files[1:]), as_recorded(oracle)))
    for name, (data, wanted) in zip(("commands", "snapshot and commands"), parts):
        with Server(command) as server:
            server.kill()
            with open(os.path.join(server.folder, "appendonly.aof"), "wb") as f:
                f.write(data)
            server.extra = ["--appendonly", "yes"]
            server.start()
            same(tally, f"old file: {name}", wanted, state(server))
            tally.check(not os.path.exists(os.path.join(server.folder, "appendonly.aof")), "the old file has moved")
            server.restart()
            same(tally, f"old file: {name}, again", wanted, state(server))


# ---- broken files ------------------------------------------------------------------------------------------------------


class Starts:
    """Starts of a server in a folder of files that are given; ended when it says whether it loaded them."""

    def __init__(self, command, *extra):
        self.server = aof_server(command, *extra)
        self.server.kill()

    def run(self, files):
        """Exit code (None: it runs) and what the log says."""
        server = self.server
        server.kill()
        shutil.rmtree(folder_of(server), ignore_errors=True)
        os.mkdir(folder_of(server))
        for name, data in files.items():
            with open(os.path.join(folder_of(server), name), "wb") as f:
                f.write(data)
        open(server.log_path, "w").close()
        try:
            server.start()
            return None, server.log_tail()
        except StartError:
            return server.process.returncode, server.log_tail()

    def close(self):
        self.server.stop()


def read_folder(folder):
    files = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            files[name] = f.read()
    return files


def request(*args):
    return encode(args)


def broken(tally, command, seed):
    """Cut short anywhere: the prefix, or a refusal that says where. A changed middle, a file that is gone: refused."""
    with aof_server(command) as server:
        with server.connect() as c:
            for i in range(1, 16):
                c.call("SET", "n", i)
            c.call("BGREWRITEAOF")
            await_rewrite(c)
            for i in range(16, 31):
                c.call("SET", "n", i)
            c.pipeline([["MULTI"], ["SET", "n", 31], ["SET", "m", 31], ["EXEC"]])
            for i in range(32, 36):
                c.call("SET", "n", i)
        server.kill()
        files, last = read_folder(folder_of(server)), os.path.basename(last_increment(folder_of(server)))
    whole = files[last]
    mark = whole.index(b"*")  # behind a mark in a comment
    tally.check(whole[mark:].startswith(request("SELECT", 0) + request("SET", "n", 16)), "the increment", f"{whole[:80]}")
    marks = [(whole.index(request("SET", "n", i)) + len(request("SET", "n", i)), i)
             for i in range(16, 36) if i != 31]  # fmt: skip
    marks.append((whole.index(request("EXEC")) + len(request("EXEC")), 31))
    lenient, strict = Starts(command), Starts(command, "--aof-load-truncated", "no")
    borders = {0, mark, mark + len(request("SELECT", 0)), len(whole)} | {end for end, _ in marks}
    for cut in sorted({*range(0, len(whole), 20), whole.index(request("EXEC"))}):
        wanted = max([i for end, i in marks if end <= cut], default=15)
        code, said = lenient.run({**files, last: whole[:cut]})
        if not tally.check(code is None, f"cut at {cut}: starts", said):
            continue
        with lenient.server.connect() as c:
            n, m = c.value("MGET", "n", "m")
            tally.check(int(n) == wanted and (m == b"31") == (wanted >= 31), f"cut at {cut}", f"{n} {m}, not {wanted}")
            c.call("SET", "after", cut)
        if cut % 100 == 0:
            lenient.server.restart()
            with lenient.server.connect() as c:
                there = c.value("MGET", "n", "after")
                tally.check(there == [b"%d" % wanted, b"%d" % cut], f"cut at {cut}, continued, again", f"{there}")
        if cut % 100 == 60 and cut not in borders:
            code, said = strict.run({**files, last: whole[:cut]})
            good = max(b for b in borders if b <= cut)
            where = re.search(r"Unexpected end of file reading the append only file .*\b%d\b" % good, said)
            tally.check(code == 1 and where, f"cut at {cut}: refused, and where", f"{code} {good} {said[-400:]}")
    # Within an increment that is not the last there is no crash that explains it.
    middle = {**files, last: whole[:-5], "appendonly.aof.9.incr.aof": request("SET", "n", 99)}
    middle[MANIFEST] += b"file appendonly.aof.9.incr.aof seq 9 type i\n"
    code, said = lenient.run(middle)
    tally.check(code == 1 and "Unexpected end of file" in said, "an earlier increment cut short", f"{code} {said[-300:]}")
    for name, data in (("a length", whole.replace(b"$3\r\nSET", b"$9\r\nSET", 6).replace(b"$9\r\nSET", b"$3\r\nSET", 5)),
                       ("a command", whole[:200].replace(b"SET", b"SOT") + whole[200:]),
                       ("rubbish", whole[:100] + b"\0" * 100 + whole[200:])):  # fmt: skip
        code, said = lenient.run({**files, last: data})
        where = re.search(r"Bad file format reading the append only file .*offset \d+", said)
        tally.check(code == 1 and where, f"{name} in the middle is refused", f"{code} {said[-400:]}")
    base = next(name for name in files if ".base." in name)
    for name in (last, base):
        code, said = lenient.run({key: data for key, data in files.items() if key != name})
        tally.check(code == 1 and name in said, f"{name} is missing", f"{code} {said[-300:]}")
    code, said = lenient.run({**files, base: files[base][:-9]})
    tally.check(code == 1, "a base cut short", f"{code} {said[-300:]}")
    code, said = lenient.run({**files, MANIFEST: b"file x seq y\n"})
    tally.check(code == 1 and "manifest" in said, "a broken manifest", f"{code} {said[-300:]}")
    lenient.close()
    strict.close()


# ---- kills under writers -----------------------------------------------------------------------------------------------


class Writer(threading.Thread):
    """Writes numbers that grow, and knows which were acknowledged."""

    def __init__(self, server, number, seed, first):
        super().__init__(daemon=True)
        self.server, self.number, self.r = server, number, random.Random(seed)
        self.acked = self.sent = first
        self.error = None

    def batch(self, c):
        """A pipeline of some single writes, or one of transactions; acknowledged one by one."""
        t, steps = self.number, []
        for _ in range(self.r.choice((1, 1, 3, 20))):
            self.sent += 1
            n = self.sent
            one = [["SET", f"n:{t}", n], ["RPUSH", f"list:{t}", n]]
            two = [["SET", f"x:{t}", n], ["SET", f"y:{t}", n], ["HSET", f"z:{t}", "f", n]]
            # The list comes first: whatever a cut leaves, no number stands without it.
            steps.append([one[1], one[0], ["MULTI"], *two, ["EXEC"]])
        c.send_raw(b"".join(encode(args) for step in steps for args in step))
        for step in steps:
            for _ in step:
                reply = c.read()
                if reply[0] == "-":
                    raise RuntimeError(f"{reply}")
            self.acked += 1

    def run(self):
        try:
            with self.server.connect(20) as c:
                while True:
                    self.batch(c)
        except (Closed, OSError):
            pass  # the kill
        except Exception as error:  # noqa: BLE001
            self.error = repr(error)


class Consumer(threading.Thread):
    """Pushes with one connection what it waits for with another: nothing that was taken comes back."""

    def __init__(self, server, start):
        super().__init__(daemon=True)
        self.server, self.pushed, self.sent, self.taken = server, start, start, []
        self.error = None

    def run(self):
        try:
            with self.server.connect(20) as a, self.server.connect(20) as b:
                while True:
                    b.send("BLPOP", "queue", 10)
                    self.sent += 1
                    a.call("RPUSH", "queue", self.sent)
                    self.pushed = self.sent
                    self.taken.append(int(b.read()[1][1][1]))
        except (Closed, OSError):
            pass
        except Exception as error:  # noqa: BLE001
            self.error = repr(error)


def check_round(c, crew, consumer):
    """What is wrong after the restart."""
    errors = [t.error for t in (*crew, consumer) if t.error]
    for w in crew:
        t = w.number
        n, x, y = (int(v or 0) for v in c.value("MGET", f"n:{t}", f"x:{t}", f"y:{t}"))
        z, size = int(c.value("HGET", f"z:{t}", "f") or 0), c.value("LLEN", f"list:{t}")
        tail = [int(v) for v in c.value("LRANGE", f"list:{t}", -200, -1)]
        if not (w.acked <= n <= w.sent and w.acked <= size <= w.sent and n <= size):
            errors.append(f"writer {t}: {n} and {size} items, {w.acked} acknowledged of {w.sent}")
        if not (x == y == z) or x < w.acked:
            errors.append(f"writer {t}: a transaction in parts: {x} {y} {z}, {w.acked} acknowledged")
        if tail != list(range(size - len(tail) + 1, size + 1)):
            errors.append(f"writer {t}: the list {tail[-10:]} of {size}")
        w.after = size
        c.pipeline([["SET", f"n:{t}", size], ["SET", f"x:{t}", size], ["SET", f"y:{t}", size],
                    ["HSET", f"z:{t}", "f", size]])  # fmt: skip
    left = [int(v) for v in c.value("LRANGE", "queue", 0, -1)]
    if set(left) & set(consumer.taken):
        errors.append(f"taken and still there: {set(left) & set(consumer.taken)}")
    if len(left) > 1:
        errors.append(f"more left than was on its way: {left}")
    c.call("DEL", "queue")
    return errors


class Killed:
    """What the kills met."""

    def __init__(self):
        self.kills = self.writes = self.rewriting = self.loading = 0

    def __str__(self):
        return (f"{self.kills} kills, {self.rewriting} of them while a base was written, {self.loading} more while loading; "
                f"{self.writes} acknowledged writes and transactions")  # fmt: skip


def start_again(server, r, killed):
    """Sometimes it is killed while it loads, too."""
    if r.random() < 0.1:
        server.start(wait=False)
        time.sleep(r.uniform(0, 0.1))
        server.kill()
        killed.loading += 1
    server.start()


def kill_rounds(tally, server, r, rounds, name, killed):
    """False when it did not start again."""
    last, popped = [0] * 4, 0
    with server.connect(30) as c:
        fill(c, 20_000, "ballast")  # so that a base takes its time
    for n in range(rounds):
        crew = [Writer(server, t, r.random(), last[t]) for t in range(4)]
        consumer = Consumer(server, popped)
        for t in (*crew, consumer):
            t.start()
        time.sleep(r.uniform(0.05, 0.5))
        if r.random() < 0.5:
            with server.connect() as c:
                c.call("BGREWRITEAOF")
            time.sleep(r.choice((0, r.uniform(0, 0.05), r.uniform(0, 0.3))))
        tally.check(server.alive(), f"{name}, {n}: it runs until then", server.log_tail())
        server.kill()
        killed.kills += 1
        killed.rewriting += os.path.exists(os.path.join(folder_of(server), f"temp-{server.pid}.rdb"))
        for t in (*crew, consumer):
            t.join(20)
        try:
            start_again(server, r, killed)
        except StartError as error:
            return tally.check(False, f"{name}, {n}: starts again", f"{error}")
        with server.connect(30) as c:
            errors = check_round(c, crew, consumer)
            there = c.value("DBSIZE")
        if there < 20_000:
            errors.append(f"{there} keys")
        tally.check(not errors, f"{name}, {n}", "; ".join(errors[:4]))
        killed.writes += 4 * sum(w.acked - old for w, old in zip(crew, last))
        last, popped = [w.after for w in crew], consumer.sent
    return True


def kills(tally, command, seed, rounds):
    """A kill at any moment: what was acknowledged is there, a transaction is whole or not at all."""
    r = random.Random(seed)
    for sync in ("always", "everysec"):
        killed = Killed()
        while killed.kills < rounds // 2:
            # A new server now and then: the data grows.
            some = min(40, rounds // 2 - killed.kills)
            with aof_server(command, "--appendfsync", sync, "--auto-aof-rewrite-min-size", "64kb") as server:
                if not kill_rounds(tally, server, r, some, f"kill {killed.kills}, {sync}", killed):
                    return
        tally.check(killed.writes > 40 * rounds, f"{sync}: writes were acknowledged", f"{killed.writes}")
        if rounds >= 100:
            tally.check(killed.rewriting > rounds // 20, f"{sync}: kills while a base is written", f"{killed.rewriting}")
        print(f"appendfsync {sync}: {killed}", flush=True)


# ---- on and off, rewrites ----------------------------------------------------------------------------------------------


def fill(c, count, prefix="h"):
    c.pipeline([["HSET", f"{prefix}:{i}", "f", "v" * 50, "g", i] for i in range(count)])


def switching(tally, command, seed):
    """CONFIG SET appendonly, under writes and back; a folder that is there already."""
    with Server(command) as server:
        with server.connect(30) as c:
            fill(c, 5000)
            writer = Writer(server, 0, seed, 0)
            writer.start()
            time.sleep(0.1)
            for n in range(2):
                reply = c.call("CONFIG", "SET", "appendonly", "yes")
                tally.check(reply == ("+", b"OK"), f"appendonly yes, {n}", f"{reply}")
                tally.check(await_fact(c, {"aof_enabled": "1", "aof_rewrite_in_progress": "0"}), f"it is on, {n}")
                time.sleep(0.1)
                if n == 0:
                    tally.check(c.call("CONFIG", "SET", "appendonly", "no") == ("+", b"OK"), "appendonly no")
                    tally.check(facts(c)["aof_enabled"] == "0", "it is off")
                    time.sleep(0.1)
                    fill(c, 100, "while-off")
                    c.call("DEL", "h:1")
        server.kill()
        writer.join(20)
        server.extra = ["--appendonly", "yes"]
        server.start()
        with server.connect() as c:
            n = int(c.value("GET", "n:0"))
            tally.check(writer.acked <= n <= writer.sent, "what was written while it was on", f"{n} {writer.acked}")
            tally.check(c.value("DBSIZE") == 4999 + 100 + 5, "what was written while it was off", f"{c.value('DBSIZE')}")
            tally.check(not writer.error, "the writer", f"{writer.error}")


def during_save(tally, command, seed):
    """CONFIG SET appendonly yes while a BGSAVE runs: the first rewrite comes after it, nothing is told twice."""
    with Server(command) as server:
        with server.connect(30) as c:
            fill(c, 30000)
            got = c.pipeline([["BGSAVE"], ["CONFIG", "SET", "appendonly", "yes"], ["INCR", "n"]])
            tally.check([g[0] for g in got] == ["+", "+", ":"], "appendonly yes during BGSAVE", f"{got}")
            for _ in range(200):
                c.pipeline([["INCR", "n"], ["RPUSH", "l", "x"]])
            tally.check(await_fact(c, {"aof_rewrites": "1", "aof_rewrite_in_progress": "0"}), "the rewrite came")
            c.pipeline([["MULTI"], ["INCR", "n"], ["CONFIG", "SET", "appendonly", "no"], ["INCR", "n"], ["EXEC"]])
            c.call("CONFIG", "SET", "appendonly", "yes")
            tally.check(await_fact(c, {"aof_rewrites": "2", "aof_rewrite_in_progress": "0"}), "the second one too")
            c.call("INCR", "n")
            wanted = state(server)
        server.extra = ["--appendonly", "yes"]
        server.restart()
        same(tally, "appendonly yes during BGSAVE", wanted, state(server))


def older_folder(tally, command, seed):
    """appendonly no where an AOF is, then on: the folder stays what it is until a rewrite has replaced it."""
    with aof_server(command) as server:
        with server.connect() as c:
            fill(c, 100, "first")
            c.call("INCR", "n")
            first = state(server)
        server.kill()
        kept = read_folder(folder_of(server))
        on, off = ["--appendonly", "yes"], []
        server.extra = off
        server.start()
        with server.connect(30) as c:
            tally.check(c.value("DBSIZE") == 0, "appendonly no loads no AOF")
            fill(c, 20000, "other")
            c.pipeline([["CONFIG", "SET", "appendonly", "yes"], ["SET", "early", 1]])
            server.kill()
        there = read_folder(folder_of(server))
        tally.check(all(there.get(name) == data for name, data in kept.items()), "the older files are as they were")
        server.extra = on
        server.start()
        same(tally, "killed before the first rewrite is done: the old data", first, state(server))
        server.extra = off
        server.restart()
        with server.connect(30) as c:
            fill(c, 3000, "other")
            c.pipeline([["CONFIG", "SET", "appendonly", "yes"], ["SET", "early", 1]])
            tally.check(await_rewrite(c), "the first rewrite over an older folder")
            c.call("SET", "late", 1)
            wanted = state(server)
        server.extra = on
        server.restart()
        same(tally, "on in a folder that has an older AOF", wanted, state(server))
        server.extra = off
        server.restart()
        with server.connect(30) as c:
            fill(c, 50, "third")
            reply = c.call("BGREWRITEAOF")
            tally.check(reply[0] == "+" and await_rewrite(c), "BGREWRITEAOF while it is off", f"{reply}")
            wanted = state(server)
            fill(c, 50, "fourth")
        server.extra = on
        server.restart()
        same(tally, "what BGREWRITEAOF wrote while it was off", wanted, state(server))


def growth(tally, command, seed):
    """Rewrites by percentage."""
    with aof_server(command, "--auto-aof-rewrite-min-size", "50kb", "--auto-aof-rewrite-percentage", "100") as server:
        with server.connect(30) as c:
            until = time.monotonic() + 15
            while int(facts(c)["aof_rewrites"]) < 2 and time.monotonic() < until:
                c.pipeline([["SET", f"k:{i}", "v" * 100] for i in range(300)])
                time.sleep(0.02)
            await_rewrite(c)
            there = facts(c)
            tally.check(int(there["aof_rewrites"]) >= 2, "rewrites by growth", f"{there}")
            tally.check(int(there["aof_current_size"]) < 2_000_000, "the size", there["aof_current_size"])
            c.call("CONFIG", "SET", "auto-aof-rewrite-percentage", 0)
            await_rewrite(c)
            there = facts(c)
            sizes = sum(os.path.getsize(os.path.join(folder_of(server), name)) for name, kind in
                        manifest(folder_of(server)) if kind != "h")  # fmt: skip
            tally.check(int(there["aof_current_size"]) == sizes, "aof_current_size", f"{there['aof_current_size']} {sizes}")
            for _ in range(20):
                c.pipeline([["SET", f"k:{i}", "v" * 100] for i in range(300)])
            time.sleep(0.3)
            tally.check(facts(c)["aof_rewrites"] == there["aof_rewrites"], "none with percentage 0")
            wanted = state(server)
        server.restart()
        same(tally, "after rewrites by growth", wanted, state(server))


def together(tally, command, seed):
    """Saves, rewrites and the end of the process meet."""
    oracle_says = {}
    with aof_server(ORACLE) as server, server.connect(30) as c:
        # The fork of redis-server is still there when the second command of the pipeline runs.
        for first, second in (("BGSAVE", "BGREWRITEAOF"), ("BGREWRITEAOF", "BGSAVE"), ("BGREWRITEAOF", "BGREWRITEAOF")):
            oracle_says[first, second] = c.pipeline([[first], [second]])
            time.sleep(0.3)
            await_fact(c, {"rdb_bgsave_in_progress": "0", "aof_rewrite_in_progress": "0", "aof_rewrite_scheduled": "0"})
    with aof_server(command) as server:
        with server.connect(30) as c:
            fill(c, 30000)
            for (first, second), wanted in oracle_says.items():
                before = facts(c)
                got = c.pipeline([[first], [second]])
                tally.check(got == wanted, f"{first}, then {second}", f"{got} instead of {wanted}")
                quiet = {"rdb_bgsave_in_progress": "0", "aof_rewrite_in_progress": "0", "aof_rewrite_scheduled": "0"}
                tally.check(await_fact(c, quiet), f"{first}, then {second}: both end")
                after = facts(c)
                if second == "BGREWRITEAOF" and first == "BGSAVE":
                    grown = int(after["aof_rewrites"]) - int(before["aof_rewrites"])
                    tally.check(grown == 1, "the scheduled rewrite came", f"{grown}")
            reply = c.pipeline([["BGREWRITEAOF"], ["BGSAVE", "SCHEDULE"]])[1]
            tally.check(reply == ("+", b"Background saving scheduled"), "BGSAVE SCHEDULE", f"{reply}")
            saves = facts(c)["rdb_saves"]
            until = time.monotonic() + 20
            while facts(c)["rdb_saves"] == saves and time.monotonic() < until:
                time.sleep(0.02)
            tally.check(facts(c)["rdb_saves"] != saves, "the scheduled save came")
            await_rewrite(c)
            # SAVE while rewriting, RELOAD of the log while rewriting
            got = c.pipeline([["BGREWRITEAOF"], ["SAVE"], ["SET", "after", "save"]])
            tally.check([g[0] for g in got] == ["+", "+", "+"], "SAVE while rewriting", f"{got}")
            await_rewrite(c)
            wanted = state(server)
            reply = c.call("DEBUG", "LOADAOF")
            tally.check(reply == ("+", b"OK") and state(server) == wanted, "DEBUG LOADAOF", f"{reply}")
        for how in (["SHUTDOWN", "NOSAVE"], ["SHUTDOWN", "SAVE"], ["SHUTDOWN"], None):
            with server.connect(30) as c:
                c.call("INCR", "shutdowns")
                wanted = state(server)
                c.send_raw(encode(["BGREWRITEAOF"]) + encode(["INCR", "shutdowns"]) + (encode(how) if how else b""))
                if how is None:
                    c.read()
                    c.read()  # what is not acknowledged may stay undone
                    server.process.terminate()
                try:
                    code = server.process.wait(20)
                except subprocess.TimeoutExpired:
                    code = "none: it hangs"
                tally.check(code == 0, f"{how or 'SIGTERM'} while rewriting", f"{code} {server.log_tail(300)}")
            server.kill()
            server.start()
            with server.connect(30) as c:
                there = c.value("DECR", "shutdowns")
            same(tally, f"after {how or 'SIGTERM'} while rewriting", wanted, state(server))
            tally.check(there >= 1, "the counter", f"{there}")


# ---- the disk ----------------------------------------------------------------------------------------------------------


def full_disk(tally, command, seed):
    """No room: writes are refused, reads are served; with room again they go on by themselves and nothing is lost."""
    place = tempfile.mkdtemp(prefix="brim-disk-")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if mounted.returncode != 0:
        print("full disk: skipped, no mount here", flush=True)
        os.rmdir(place)
        return
    try:
        on_full_disk(tally, command, place)
    finally:
        subprocess.run(["umount", "-l", place])
        os.rmdir(place)


def on_full_disk(tally, command, place):
    filler = os.path.join(place, "filler")
    extra = ["--dir", place, "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"]
    with aof_server(command, *extra) as server:
        written, acked = set(), 0

        def write_until(c, refused, seconds):
            """Writes until one is refused, or taken; True when that came in time."""
            nonlocal acked
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                acked += 1
                reply = c.call("SET", f"k:{acked}", f"{acked}:" + "x" * 1000)
                if reply[0] != "-":
                    written.add(acked)
                if (reply[0] == "-") == refused:
                    return reply
                if reply[0] == "-":
                    time.sleep(0.01)
            return None

        with server.connect(10) as c:
            for turn in range(2):
                with open(filler, "wb") as f:
                    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
                    f.write(b"\0" * (free - 200_000))
                reply = write_until(c, True, 10)
                tally.check(reply and reply[1].startswith(b"MISCONF Errors writing to the AOF file: No space left"),
                            f"MISCONF, {turn}", f"{reply}")  # fmt: skip
                tally.check(c.value("GET", "k:1") is not None, "reads are served")
                tally.check(facts(c)["aof_last_write_status"] == "err", "aof_last_write_status")
                if turn == 1:
                    reply = c.call("BGREWRITEAOF")  # it cannot; what is written afterwards has its place all the same
                    await_rewrite(c)
                    tally.check(facts(c)["aof_last_bgrewrite_status"] == "err", "aof_last_bgrewrite_status", f"{reply}")
                os.unlink(filler)
                tally.check(write_until(c, False, 2), f"writes go on by themselves, {turn}")
                tally.check(facts(c)["aof_last_write_status"] == "ok", "aof_last_write_status, later")
                for _ in range(20):
                    write_until(c, False, 1)
        server.kill()
        try:
            server.start()
        except StartError as error:
            tally.check(False, "after a full disk: starts", f"{error}")
            return
        with server.connect() as c:
            lost = [i for i in written if not (c.value("GET", f"k:{i}") or b"").startswith(b"%d:" % i)]
            tally.check(not lost, "after a full disk: nothing is missing", f"{len(lost)} of {len(written)}: {lost[:5]}")
    for path in os.listdir(place):
        path = os.path.join(place, path)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    extra[3] = "always"
    with aof_server(command, *extra) as server, server.connect(10) as c:
        with open(filler, "wb") as f:
            free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
            f.write(b"\0" * (free - 100_000))
        acked = 0
        try:
            while acked < 1000 and c.call("SET", f"k:{acked + 1}", "x" * 1000) == ("+", b"OK"):
                acked += 1
        except (Closed, OSError):
            pass
        try:
            code = server.process.wait(5)
        except subprocess.TimeoutExpired:
            code = None
        tally.check(code == 1 and 0 < acked < 1000, "always, and no room: it ends", f"{code} after {acked}")
        os.unlink(filler)
        server.start()
        with server.connect() as d:
            size = d.value("DBSIZE")
            tally.check(acked <= size <= acked + 1, "always: what was acknowledged is there", f"{size} of {acked}")


FAILING_SYNC = """
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd) {
  while (access("slow-sync", F_OK) == 0) usleep(1000);
  if (access("no-sync", F_OK) != 0) return (int)syscall(SYS_fdatasync, fd);
  errno = EIO;
  return -1;
}
"""


def failing_sync(tally, command, seed):
    """A sync that fails stops writes; one that works again lets them go on."""
    with slow_disk.preloaded(tally, command, FAILING_SYNC) as server:
        if server is None:
            return
        mark = os.path.join(server.folder, "no-sync")
        with server.connect() as c:
            c.call("SET", "a", 0)
            open(mark, "w").close()
            tally.check(await_write(c, True), "a failing sync: MISCONF")
            tally.check(c.call("WAITAOF", 1, 0, 50) == ("*", ((":", 0), (":", 0))), "a failing sync: WAITAOF")
            os.unlink(mark)
            tally.check(await_write(c, False), "a sync that works again")
            tally.check(facts(c)["aof_last_write_status"] == "ok", "a sync that works again: aof_last_write_status")
            slow_sync(tally, server, c)
            c.call("CONFIG", "SET", "appendfsync", "always")
            c.call("SET", "a", 1)
            open(mark, "w").close()
            try:
                reply = c.call("SET", "a", 2)
            except (Closed, OSError):
                reply = None
            tally.check(reply is None and server.process.wait(5) == 1, "always: a failing sync ends it", f"{reply}")


def slow_sync(tally, server, c):
    """WAITAOF while the disk takes its time: only who asked waits."""
    mark = os.path.join(server.folder, "slow-sync")
    tally.check(await_rewrite(c), "the rewrite after a failed sync")
    with server.connect() as d, server.connect() as e:
        open(mark, "w").close()
        c.call("SET", "b", 1)
        for line in (d, e):
            line.send("WAITAOF", 1, 0, 0)
        began = time.monotonic()
        replies = [c.call("SET", "b", i)[0] for i in range(100)]
        tally.check(replies == ["+"] * 100 and time.monotonic() - began < 1, "others go on", f"{replies}")
        tally.check(d.quiet_for(0.2) and e.quiet_for(0.01), "WAITAOF while a sync is slow")
        os.unlink(mark)
        wanted = ("*", ((":", 1), (":", 0)))
        got = [line.read() for line in (d, e)]
        tally.check(got == [wanted, wanted], "WAITAOF when it is done", f"{got}")
        # One that the end of the file meets is told so.
        open(os.path.join(server.folder, "no-sync"), "w").close()
        tally.check(await_write(c, True), "a failing sync again")
        d.send("WAITAOF", 1, 0, 0)
        e.send("WAITAOF", 0, 1, 400)
        tally.check(d.quiet_for(0.1), "WAITAOF while syncs fail")
        c.call("CONFIG", "SET", "appendonly", "no")
        reply = d.read()
        tally.check(reply == ("-", NO_LOG), "appendonly no while one waits", f"{reply}")
        tally.check(e.read() == ("*", ((":", 0), (":", 0))), "who wants replicas waits on")
        os.unlink(os.path.join(server.folder, "no-sync"))
        c.call("CONFIG", "SET", "appendonly", "yes")
        tally.check(await_rewrite(c), "on again")
        tally.check(c.call("WAITAOF", 1, 0, 0) == wanted, "WAITAOF then")


def await_write(c, refused):
    """Writes until one is refused, or taken; True when that came within three seconds."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        if (c.call("SET", "w", 1)[0] == "-") == refused:
            return True
        time.sleep(0.02)
    return False


# ---- replies -----------------------------------------------------------------------------------------------------------

FIELDS = {
    "aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled", "aof_last_rewrite_time_sec",
    "aof_current_rewrite_time_sec", "aof_last_bgrewrite_status", "aof_rewrites", "aof_last_write_status",
    "aof_last_cow_size", "aof_current_size", "aof_base_size", "aof_pending_rewrite", "aof_buffer_length",
    "aof_pending_bio_fsync", "aof_delayed_fsync",
}  # fmt: skip


def replies(tally, command, seed):
    """WAITAOF, INFO, replies that waited for the file, DEBUG."""
    with aof_server(ORACLE) as oracle, oracle.connect() as c:
        theirs = {name for name in facts(c) if name.startswith("aof_")}
        c.call("CONFIG", "SET", "appendonly", "no")
        theirs_off = {name for name in facts(c) if name.startswith("aof_")}
    with aof_server(command, "--appendfsync", "always") as server:
        with server.connect() as c:
            ours = {name for name in facts(c) if name.startswith("aof_")}
            tally.check(FIELDS <= ours and theirs <= ours, "INFO's fields", f"missing {(FIELDS | theirs) - ours}")
            c.call("SET", "a", 1)
            reply = c.call("WAITAOF", 1, 0, 0)
            tally.check(reply == ("*", ((":", 1), (":", 0))), "WAITAOF 1 0 0", f"{reply}")
            tally.check(c.call("WAITAOF", 2, 0, 0)[0] == "-" and c.call("WAITAOF", 1, 0, -1)[0] == "-", "WAITAOF refuses")
            # Replies that wait for the file: order, the last ones before the end, long ones.
            got = c.pipeline([["SET", "a", 2], ["GET", "a"], ["MULTI"], ["INCR", "a"], ["EXEC"], ["GET", "a"]])
            tally.check(got[1] == ("$", b"2") and got[5] == ("$", b"3"), "replies in order", f"{got}")
            c.call("SET", "big", "x" * 3_000_000)
            got = c.pipeline([["SET", "b", 1], ["GET", "big"], ["SET", "b", 2], ["GET", "b"]])
            tally.check(len(got[1][1]) == 3_000_000 and got[3] == ("$", b"2"), "a long reply among them")
        with server.connect() as c:
            c.send_raw(encode(["SET", "q", 1]) + encode(["QUIT"]))
            got = [c.read(), c.read()]
            tally.check(got == [("+", b"OK")] * 2 and c.closed_within(5), "SET and QUIT", f"{got}")
        ended = 0
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
                s.sendall(b"INCR half\r\n")
                s.shutdown(socket.SHUT_WR)
                ended += s.recv(100).startswith(b":")
        tally.check(ended == 50, "a client that sends nothing more gets its reply", f"{ended} of 50")
        with server.connect() as c:
            c.pipeline([["CONFIG", "SET", "appendonly", "no"]])
            reply = c.call("WAITAOF", 1, 0, 0)
            tally.check(reply == ("-", NO_LOG), "WAITAOF while it is off", f"{reply}")
            ours = {name for name in facts(c) if name.startswith("aof_")}
            tally.check(theirs_off <= ours and "aof_current_size" not in ours, "INFO's fields while it is off",
                        f"{theirs_off ^ ours}")  # fmt: skip


def script_effects(tally, command, seed):
    """What a script does is recorded as one piece; what it wants left out is."""
    with aof_server(command) as server:
        with server.connect() as c:
            c.call("SET", "start", 1)
            c.call("EVAL", "redis.call('incr', 'a') redis.call('incr', 'b') return redis.call('get', 'a')", 0)
            c.call("EVAL", "return redis.call('incr', 'single')", 0)
            c.call("EVAL", "return redis.call('get', 'a')", 0)
            c.call("EVAL", "redis.set_repl(redis.REPL_NONE) redis.call('set', 'left', 'out') redis.set_repl(redis.REPL_ALL) "
                   "redis.call('set', 'taken', 'in')", 0)  # fmt: skip
            c.pipeline([["MULTI"], ["SET", "m", 1], ["EVAL", "redis.call('incr', 'm')", 0], ["EXEC"]])
            c.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function(k) redis.call('incr', 'f') end)")
            c.call("FCALL", "f", 0)
            time.sleep(0.05)
        with open(last_increment(folder_of(server)), "rb") as f:
            words = re.findall(rb"\$\d+\r\n([^\r]*)\r\n", f.read())
        wanted = b"SELECT 0 SET start 1 MULTI incr a incr b EXEC incr single set taken in MULTI SET m 1 incr m EXEC".split()
        tally.check(words[: len(wanted)] == wanted, "the record", f"{words}")
        tally.check(words[len(wanted) : len(wanted) + 2] == [b"FUNCTION", b"LOAD"], "FUNCTION LOAD is recorded", f"{words}")
        server.kill()
        server.start()
        with server.connect() as c:
            got = [v for _, v in c.call("MGET", "a", "b", "single", "taken", "m", "f", "left")[1]]
            tally.check(got == [b"1", b"1", b"1", b"in", b"2", b"1", None], "after a kill", f"{got}")
            c.call("FCALL", "f", 0)
            tally.check(c.value("GET", "f") == b"2", "a function after a kill", "")


SUITE = (
    script_effects, workload, rewrites, eviction, fleeting, from_redis, broken, kills, switching, during_save, older_folder,
    growth, together, full_disk, failing_sync, replies, *corners.SUITE, *slow_disk.SUITE,
    *placement.SUITE,
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="names of tests, with commas: " + " ".join(f.__name__ for f in SUITE))
    parser.add_argument("--rounds", type=int, default=16, help="of kills")
    parser.add_argument("--times", action="store_true", help="print how long each test took")
    options = parser.parse_args()
    only = options.only.split(",") if options.only else [f.__name__ for f in SUITE]
    tally = Tally()
    for test in SUITE:
        if test.__name__ not in only:
            continue
        started = time.monotonic()
        more = [options.rounds] if "rounds" in inspect.signature(test).parameters else []
        test(tally, options.server, options.seed, *more)
        if options.times:
            print(f"{test.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
