"""Snapshots taken while clients write, each compared with what the databases held at its cut.

Where the cut went is in the snapshot itself. Writers of the first kind work on shared keys of all types and raise one
counter in each transaction: the counter's value puts all of their transactions in one order, and the snapshot has to
be the state after the first so many of them. Writers of the second kind have a database of their own and a number of
their own, so that shards are written to at the same time. redis-server plays the same transactions up to there; the
digests of the two have to be equal.
"""

import os
import random
import shutil
import threading
import time

from grammar import Grammar, Source
from servers import ORACLE, Server
from wire import Closed, encode

GROUPS = ("strings", "hashes", "lists", "sets", "zsets", "keys")
# Their effect is not told by the state before and their words.
CHANCE = {"SPOP", "SORT", "@expire", "RESTORE", "MIGRATE", "WAIT", "FLUSHALL", "SWAPDB", "MOVE", "SELECT", "OBJECT"}
OWN_DATABASES = (6, 7)
DATABASES = 16
ORDERED = 3
BIG_KEYS = 4  # of each kind, which are written in parts
BIG = 6000  # elements of each, or more


def big_fill():
    """[commands] that make the big keys, a transaction each."""
    out = []
    for n in range(BIG_KEYS):
        out.append([["SET", f"big:text:{n}", "abcdefgh" * 9000], ["SET", f"big:noise:{n}", random.Random(n).randbytes(200_000)]])
        for at in range(0, BIG, 500):
            block = range(at, at + 500)
            out.append([
                ["HSET", f"big:hash:{n}", *(w for i in block for w in (f"f{i}", "v" * (i % 90)))],
                ["SADD", f"big:set:{n}", *(f"m{i}" for i in block)],
                ["ZADD", f"big:zset:{n}", *(w for i in block for w in (i * 7 % 1000, f"m{i}"))],
                ["RPUSH", f"big:list:{n}", *("e" * (i % 120) + str(i) for i in block)],
                *(["XADD", f"big:stream:{n}", f"{i + 1}-0", "f", i, "g", "w" * (i % 50)] for i in block),
            ])  # fmt: skip
    return out


def big_op(r):
    """A change of a big key; what is left of it to be written comes first."""
    n, i, text = r.randrange(BIG_KEYS), r.randrange(BIG), "v" * r.choice((1, 10, 100))
    return r.choice((["HSET", f"big:hash:{n}", f"f{i}", text], ["HDEL", f"big:hash:{n}", f"f{i}"],
                     ["SREM", f"big:set:{n}", f"m{i}"], ["SADD", f"big:set:{n}", f"m{i}"],
                     ["ZADD", f"big:zset:{n}", i, f"m{i}"], ["ZADD", f"big:zset:{n}", "-0.0", f"m{i}"],
                     ["LSET", f"big:list:{n}", i // 2, text], ["RPOPLPUSH", f"big:list:{n}", f"big:list:{n}"],
                     ["XDEL", f"big:stream:{n}", f"{i}-0"], ["XTRIM", f"big:stream:{n}", "MAXLEN", BIG - i // 60],
                     ["APPEND", f"big:text:{n}", "tail"], ["SETRANGE", f"big:noise:{n}", i, text],
                     ["PEXPIREAT", f"big:hash:{n}", 4_000_000_000_000 + i], ["RENAME", f"big:set:{n}", f"big:set:{n}"],
                     ["MOVE", f"big:zset:{n}", 3], ["COPY", f"big:zset:{n}", f"big:zset:{i % BIG_KEYS}", "REPLACE"]))  # fmt: skip


def pool_op(r, keys, other_db, big=True):
    """A command on one of many keys, whose numbers tell their types; some go to another database."""
    if big and r.random() < 0.004:
        return big_op(r)
    n = r.randrange(keys)
    kind, key = n % 6, f"k:{n}"
    small, text = r.randrange(30), "v" * r.choice((1, 10, 100, 700))
    if r.random() < 0.12:
        other = f"k:{r.randrange(keys // 6) * 6 + kind}"
        return r.choice((["DEL", key], ["RENAME", key, other], ["COPY", key, other, "REPLACE"], ["UNLINK", key, other],
                         ["PEXPIREAT", key, 4_000_000_000_000 + small], ["PERSIST", key], ["MOVE", key, other_db],
                         ["COPY", key, other, "DB", other_db, "REPLACE"]))  # fmt: skip
    if kind == 0:
        return r.choice((["SET", key, text], ["APPEND", key, text], ["SETRANGE", key, small, text],
                         ["SET", key, text * 40], ["SETEX", key, 10**8, text]))  # fmt: skip
    if kind == 1:
        return r.choice((["HSET", key, f"f{small}", text], ["HDEL", key, f"f{small}"], ["HINCRBY", key, "n", 1],
                         ["HSET", key, *(w for i in range(60) for w in (f"f{i + small}", i))]))  # fmt: skip
    if kind == 2:
        return r.choice((["RPUSH", key, text, small], ["LPOP", key], ["LTRIM", key, 0, 40], ["LSET", key, 0, text],
                         ["LINSERT", key, "BEFORE", small, text],
                         ["LMOVE", key, f"k:{n // 12 * 6 + 2}", "LEFT", "RIGHT"]))  # fmt: skip
    if kind == 3:
        return r.choice((["SADD", key, small, small + 1], ["SREM", key, small], ["SADD", key, f"m{small}"],
                         ["SMOVE", key, f"k:{n // 12 * 6 + 3}", small], ["SADD", key, *range(small, small + 150)]))  # fmt: skip
    if kind == 4:
        return r.choice((["ZADD", key, r.random() * 100, f"m{small}"], ["ZREM", key, f"m{small}"], ["ZPOPMIN", key],
                         ["ZINCRBY", key, 1.5, f"m{small}"], ["ZREMRANGEBYRANK", key, 0, 3],
                         ["ZADD", key, *(w for i in range(140) for w in (i, f"m{i + small}"))]))  # fmt: skip
    return r.choice((["INCR", key], ["INCRBY", key, small], ["GETSET", key, small], ["SETBIT", key, small * 9, 1]))


class Writer(threading.Thread):
    """Transactions with a number each; `log` has them in the order in which they happened."""

    def __init__(self, server, number, seed, keys):
        super().__init__(daemon=True)
        self.server, self.number, self.keys, self.go = server, number, keys, threading.Event()
        self.r, self.source = random.Random(seed), Source(seed)
        self.own = None if number < ORDERED else OWN_DATABASES[(number - ORDERED) % len(OWN_DATABASES)]
        self.grammar = Grammar(GROUPS)
        self.log, self.at, self.over, self.error = [], 0, threading.Event(), None

    def steps(self):
        """Some [(database, commands)], a transaction each."""
        if self.own is None and self.r.random() < 0.25:
            chunk = [args for args in self.grammar.chunk(self.source) if str(args[0]).upper() not in CHANCE]
            return [(2, chunk)] if chunk else []
        out = []
        for _ in range(self.r.choice((1, 5, 20))):
            if self.r.random() < 0.001 and self.own is None:
                out.append((4, [["FLUSHDB"] if self.r.random() < 0.5 else ["SWAPDB", 3, 4]]))
            count, other_db = self.r.choice((1, 1, 2)), 3 if self.own is None else self.own + len(OWN_DATABASES)
            big = self.own is None
            out.append((self.own or 0, [pool_op(self.r, self.keys, other_db, big) for _ in range(count)]))
        return out

    def play(self, c, steps):
        sent = []
        for db, commands in steps:
            self.at += 1
            count = ["INCR", "count"] if self.own is None else ["SET", f"count:{self.number}", self.at]
            sent += [["SELECT", db], ["MULTI"], *commands, ["SELECT", 0], count, ["EXEC"]]
        c.send_raw(b"".join(encode(args) for args in sent))
        at = self.at - len(steps)
        for db, commands in steps:
            at += 1
            for _ in range(len(commands) + 4):
                c.read()
            reply = c.read()
            if reply[0] != "*" or reply[1] is None:
                self.log.append((None, db, commands))  # refused as a whole; so the counter did not move
                continue
            number = reply[1][-1][1] if self.own is None else at
            self.log.append((number, db, commands))

    def run(self):
        try:
            with self.server.connect(60) as c:
                while not self.over.is_set():
                    if self.go.wait(0.05):
                        self.play(c, self.steps())
        except (Closed, OSError):
            pass
        except Exception as error:  # noqa: BLE001
            self.error = repr(error)


class Model:
    """redis-server, brought to where a snapshot was cut."""

    def __init__(self, server, crew):
        self.c, self.crew = server.connect(120), crew
        self.read = [0] * len(crew)
        self.waiting = {}  # number: (database, commands) of the shared keys
        self.ordered = 0
        self.own = {w.number: 0 for w in crew if w.own is not None}
        self.queues = {w.number: [] for w in crew if w.own is not None}

    def collect(self):
        for i, writer in enumerate(self.crew):
            log = writer.log
            while self.read[i] < len(log):
                number, db, commands = log[self.read[i]]
                self.read[i] += 1
                if number is None:
                    continue
                if writer.own is not None:
                    self.queues[writer.number].append((number, db, commands))
                else:
                    self.waiting[number] = (db, commands)

    def play(self, db, commands):
        return [["SELECT", db], ["MULTI"], *commands, ["EXEC"]]

    def advance(self, ordered, own):
        """To that count of the shared transactions and of each writer's own. False: they were never acknowledged."""
        until = time.monotonic() + 20
        while True:
            self.collect()
            ready = all(n in self.waiting for n in range(self.ordered + 1, ordered + 1)) and all(
                own[t] == self.own[t] or (q and q[-1][0] >= own[t]) for t, q in self.queues.items()
            )
            if ready:
                break
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        sent = []
        for number in range(self.ordered + 1, ordered + 1):
            sent += self.play(*self.waiting.pop(number))
        self.ordered = ordered
        for t, queue in self.queues.items():
            while queue and self.own[t] < own[t]:
                number, db, commands = queue.pop(0)
                sent += self.play(db, commands)
                self.own[t] = number
        sent += [["SELECT", 0], ["SET", "count", self.ordered]] * (self.ordered > 0)
        sent += [["SET", f"count:{t}", n] for t, n in self.own.items() if n > 0]
        for i in range(0, len(sent), 2000):
            self.c.pipeline(sent[i : i + 2000])
        return True


def difference(ours, theirs):
    """The first keys that differ."""
    found = []
    for db in range(DATABASES):
        listing = []
        for c in (ours, theirs):
            c.call("SELECT", db)
            keys = sorted(c.value("KEYS", "*"))
            digests = [c.value("DEBUG", "DIGEST-VALUE", *keys[i : i + 500]) for i in range(0, len(keys), 500)]
            listing.append(dict(zip(keys, (d for part in digests for d in part))))
            c.call("SELECT", 0)
        found += [(db, k) for k in listing[0].keys() | listing[1].keys() if listing[0].get(k) != listing[1].get(k)]
    return f"{len(found)} keys differ: {sorted(found)[:5]}"


def counts(c, crew):
    own = {w.number: int(c.value("GET", f"count:{w.number}") or 0) for w in crew if w.own is not None}
    return int(c.value("GET", "count") or 0), own


def wait_for(c, done):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if done(c.value("INFO", "persistence")):
            return True
        time.sleep(0.005)
    return False


def newest_base(folder):
    folder = os.path.join(folder, "appendonlydir")
    with open(os.path.join(folder, "appendonly.aof.manifest")) as f:
        lines = [line.split() for line in f]
    return os.path.join(folder, next(words[1] for words in lines if words[5] == "b"))


def against_model(tally, command, seed, count, keys):
    r = random.Random(seed)
    logged = ["--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0"]
    with Server(command, logged) as server, Server(command) as second, Server(ORACLE) as oracle:
        crew = [Writer(server, t, seed * 100 + t, keys) for t in range(ORDERED + len(OWN_DATABASES))]
        filler = Writer(server, 0, seed * 100 + 50, keys)
        with server.connect(120) as c:
            for i in range(0, keys, 500):  # so that the walk takes its time
                filler.play(c, [(0, [pool_op(r, keys, 3, False) for _ in range(40)]) for _ in range(25)])
            filler.play(c, [(0, commands) for commands in big_fill()])
        crew[0].log = filler.log
        model = Model(oracle, crew)
        for writer in crew:
            writer.start()
        during = 0
        with server.connect(120) as c, second.connect(120) as loaded:
            for n in range(count):
                for writer in crew:
                    writer.go.set()
                time.sleep(r.uniform(0.02, 0.15))
                rewrite = n % 4 == 3
                c.call("DEBUG", "SNAPSHOT", "STRESS" if n % 2 == 0 else "AUTO")
                c.call("DEBUG", "COMPACTION", "STRESS" if n % 5 < 3 else "AUTO")
                before = int(c.value("GET", "count"))
                reply = c.call("BGREWRITEAOF" if rewrite else "BGSAVE")
                what = f"snapshot {n} ({'rewrite' if rewrite else 'save'})"
                tally.check(reply[0] == "+", f"{what} begins", f"{reply}")
                field = b"aof_rewrite_in_progress:0" if rewrite else b"rdb_bgsave_in_progress:0"
                tally.check(wait_for(c, lambda said: field in said), f"{what} ends")
                after = int(c.value("GET", "count"))
                during += after - before
                for writer in crew:
                    writer.go.clear()
                source = newest_base(server.folder) if rewrite else os.path.join(server.folder, "dump.rdb")
                shutil.copy(source, os.path.join(second.folder, "dump.rdb"))
                reply = loaded.call("DEBUG", "RELOAD", "NOSAVE")
                if not tally.check(reply == ("+", b"OK"), f"{what} is loaded", f"{reply} {second.log_tail(500)}"):
                    break
                where, own = counts(loaded, crew)
                tally.check(before <= where <= after, f"{what}: where it was cut", f"{before} {where} {after}")
                if not tally.check(model.advance(where, own), f"{what}: acknowledged up to there"):
                    break
                same = loaded.value("DEBUG", "DIGEST") == model.c.value("DEBUG", "DIGEST")
                detail = "" if same else difference(loaded, model.c)
                if not tally.check(same, f"{what} is the state after {where} transactions and {own}", detail):
                    break
            c.call("CONFIG", "SET", "aof-use-rdb-preamble", "no")
            for writer in crew:
                writer.go.set()
            tally.check(c.call("BGREWRITEAOF")[0] == "+", "a rewrite as commands begins")
            tally.check(wait_for(c, lambda said: b"aof_rewrite_in_progress:0" in said), "a rewrite as commands ends")
            for writer in crew:
                writer.over.set()
            for writer in crew:
                writer.join(30)
            errors = [w.error for w in crew if w.error]
            tally.check(not errors, "the writers", f"{errors}")
            tally.check(during > 20 * count, "transactions while snapshots were written", f"{during}")
        with server.connect(60) as c:
            where, own = counts(c, crew)
            tally.check(model.advance(where, own), "all of them")
        server.restart()
        with server.connect(120) as c:
            same = c.value("DEBUG", "DIGEST") == model.c.value("DEBUG", "DIGEST")
            tally.check(same, "base and increments are the last state", "" if same else difference(c, model.c))
        print(f"{count} snapshots: {during} transactions while they were written, {where} in all", flush=True)
