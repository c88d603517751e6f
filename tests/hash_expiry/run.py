#!/usr/bin/python3
"""Expiry of single hash fields. run.py --server "brim-server --threads 2" [--seed N] [--rounds N] [--fields N]

Random commands against a model, through saving, reloading, rewriting and kill -9; files and payloads of other servers;
many fields whose time comes at once; background expiry beside writers, renames and snapshots.
"""

import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from servers import ORACLE, Server, Tally  # noqa: E402
from wire import plain  # noqa: E402

FAR = 33177117420000  # ms since 1970: the year 3021
KEYS = ("a", "b", "c", "d")


def server_ms(c):
    seconds, micros = c.value("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


class Model:
    """Hashes as {field: [value, time or None]}; `due` is the time that has come for all fields before it."""

    def __init__(self):
        self.hashes, self.now = {}, 0

    def past(self, cell):
        return cell[1] is not None and cell[1] < self.now

    def live(self, key):
        return {f: cell for f, cell in self.hashes.get(key, {}).items() if not self.past(cell)}

    def drop(self, key, fields):
        """Fields that a command names and whose time is past go."""
        there = self.hashes.get(key, {})
        for f in fields:
            if f in there and self.past(there[f]):
                del there[f]
        self.settle(key)

    def settle(self, key):
        if not self.hashes.get(key, True):
            del self.hashes[key]

    def reap(self):
        for key in list(self.hashes):
            self.drop(key, list(self.hashes[key]))

    def expire(self, key, at, condition, fields):
        out = []
        for f in fields:
            cell = self.live(key).get(f)
            if cell is None:
                out.append(-2)
                continue
            have = cell[1]
            if (
                (condition == "NX" and have is not None)
                or (condition == "XX" and have is None)
                or (condition == "GT" and (have is None or at <= have))
                or (condition == "LT" and have is not None and at >= have)
            ):
                out.append(0)
            elif at <= self.now:
                del self.hashes[key][f]
                out.append(2)
            else:
                cell[1] = at
                out.append(1)
        self.settle(key)
        return out

    def hset(self, key, pairs):
        there, added = self.hashes.setdefault(key, {}), 0
        for f, v in pairs:
            added += f not in there
            there[f] = [v, None]
        return added

    def hsetex(self, key, condition, keep, at, pairs):
        self.drop(key, [f for f, _ in pairs])
        live = self.live(key)
        if condition == "FNX" and any(f in live for f, _ in pairs):
            return 0
        if condition == "FXX" and not all(f in live for f, _ in pairs):
            return 0
        there = self.hashes.setdefault(key, {})
        for f, v in pairs:
            old = there.get(f)
            there[f] = [v, old[1] if keep and old else at]
            if at is not None and at <= self.now:
                del there[f]
        self.settle(key)
        return 1


class Play:
    """One random command after the other, sent and modelled; replies are compared a batch at a time."""

    def __init__(self, tally, r, what):
        self.tally, self.r, self.what = tally, r, what
        self.model, self.batch, self.wanted, self.soon = Model(), [], [], FAR

    def add(self, command, wanted):
        self.batch.append(command)
        self.wanted.append(wanted)

    def time(self):
        """A time: far away, past, or the one that comes at the end of the round."""
        p = self.r.random()
        if p < 0.45:
            return FAR + self.r.randrange(5) * 1000
        return self.soon if p < 0.9 else self.r.randrange(2, 10**12)

    def field(self):
        return self.r.choice(("f", "f", "17", "-5")) + str(self.r.randrange(self.span))

    def fields(self):
        return [self.field() for _ in range(self.r.choice((1, 1, 2, 5)))]

    def pairs(self):
        return [(self.field(), self.r.choice(("v", "1", "-70000", "x" * 40, "y" * 90))) for _ in self.fields()]

    def step(self):
        m, r, key = self.model, self.r, self.r.choice(KEYS)
        kind, fields = r.randrange(20), self.fields()
        counted = ["FIELDS", len(fields), *fields]
        if kind < 3:
            pairs = self.pairs()
            self.add(["HSET", key, *(w for p in pairs for w in p)], m.hset(key, pairs))
        elif kind < 8:
            at, condition = self.time(), r.choice(("", "", "NX", "XX", "GT", "LT"))
            wanted = m.expire(key, at, condition, fields)
            self.add(["HPEXPIREAT", key, at, *([condition] if condition else []), *counted], wanted)
        elif kind < 11:
            self.hsetex(key)
        elif kind == 11:
            cells = [m.live(key).get(f) for f in fields]
            self.add(["HPEXPIRETIME", key, *counted], [-2 if c is None else -1 if c[1] is None else c[1] for c in cells])
        elif kind == 12:
            out = []
            for f in fields:
                cell = m.live(key).get(f)
                out.append(-2 if cell is None else -1 if cell[1] is None else 1)
                if cell is not None:
                    cell[1] = None
            self.add(["HPERSIST", key, *counted], out)
        elif kind == 13:
            self.hgetex(key, fields, counted)
        elif kind == 14:
            m.drop(key, fields)
            out = []
            for f in fields:
                cell = m.hashes.get(key, {}).pop(f, None)
                out.append(None if cell is None else cell[0].encode())
            m.settle(key)
            self.add(["HGETDEL", key, *counted], out)
        elif kind == 15:
            gone = 0
            for f in fields:
                gone += m.hashes.get(key, {}).pop(f, None) is not None
            m.settle(key)
            self.add(["HDEL", key, *fields], gone)
        elif kind == 16:
            self.hincrby(key)
        else:
            self.others(key, fields)

    def hsetex(self, key):
        m, pairs = self.model, self.pairs()
        condition, keep = self.r.choice(("", "", "FNX", "FXX")), self.r.random() < 0.3
        at = None if keep or self.r.random() < 0.2 else self.time()
        words = [condition] if condition else []
        words += ["KEEPTTL"] if keep else [] if at is None else ["PXAT", at]
        wanted = m.hsetex(key, condition, keep, at, pairs)
        self.add(["HSETEX", key, *words, "FIELDS", len(pairs), *(w for p in pairs for w in p)], wanted)

    def hgetex(self, key, fields, counted):
        m, at = self.model, self.r.choice((None, 0, self.time()))
        m.drop(key, fields)
        out = []
        for f in fields:
            cell = m.hashes.get(key, {}).get(f)
            out.append(None if cell is None else cell[0].encode())
            if cell is None or at is None:
                continue
            if at == 0:
                cell[1] = None
            elif at <= m.now:
                del m.hashes[key][f]
            else:
                cell[1] = at
        m.settle(key)
        self.add(["HGETEX", key, *([] if at is None else ["PERSIST"] if at == 0 else ["PXAT", at]), *counted], out)

    def hincrby(self, key):
        m, f = self.model, "n" + str(self.r.randrange(3))
        m.drop(key, [f])
        cell = m.hashes.setdefault(key, {}).setdefault(f, ["0", None])
        cell[0] = str(int(cell[0]) + 3)
        if self.r.random() < 0.5:
            self.add(["HINCRBY", key, f, 3], int(cell[0]))
        else:
            self.add(["HINCRBYFLOAT", key, f, "3"], cell[0].encode())

    def others(self, key, fields):
        m, to, kind = self.model, self.r.choice(KEYS), self.r.randrange(9)
        if kind == 0 and to != key:
            copy = {f: list(cell) for f, cell in m.hashes.get(key, {}).items()}
            if copy:
                m.hashes[to] = copy
            self.add(["COPY", key, to, "REPLACE"], int(bool(copy)))
        elif kind == 1 and to != key and key in m.hashes:
            m.hashes[to] = m.hashes.pop(key)
            self.add(["RENAME", key, to], "OK")
        elif kind == 2:
            self.add(["HLEN", key], len(m.hashes.get(key, {})))
        elif kind == 3:
            m.drop(key, fields)
            cells = [m.hashes.get(key, {}).get(f) for f in fields]
            self.add(["HMGET", key, *fields], [None if c is None else c[0].encode() for c in cells])
        elif kind == 4:
            self.add(["HGETALL", key], {f: cell[0] for f, cell in m.live(key).items()})
        elif kind == 5:
            self.add(["HRANDFIELD", key, 1000], set(m.live(key)))
        elif kind == 6:
            f = fields[0]
            m.drop(key, [f])
            is_new = f not in m.hashes.get(key, {})
            if is_new:
                m.hset(key, [(f, "nx")])
            self.add(["HSETNX", key, f, "nx"], int(is_new))
        elif kind == 7 and self.r.random() < 0.1:
            self.add(["DEL", key], int(m.hashes.pop(key, None) is not None))
        elif kind == 8:
            f = fields[0]
            m.drop(key, [f])
            self.add(["HEXISTS", key, f], int(f in m.hashes.get(key, {})))

    def compare(self, c):
        replies = c.pipeline(self.batch)
        for command, wanted, reply in zip(self.batch, self.wanted, replies):
            got = reply if reply[0] == "-" else plain(reply)
            if isinstance(wanted, dict):
                got = {got[i].decode(): got[i + 1].decode() for i in range(0, len(got), 2)}
            elif isinstance(wanted, set):
                got = {f.decode() for f in got}
            elif wanted == "OK":
                wanted = b"OK"
            self.tally.check(got == wanted, f"{self.what}: {command}", f"{got} instead of {wanted}")
        self.batch, self.wanted = [], []

    def compare_all(self, c, name):
        """Everything that can be seen of every hash."""
        for key in KEYS:
            live = self.model.live(key)
            reply = c.value("HGETALL", key)
            got = {reply[i].decode(): reply[i + 1].decode() for i in range(0, len(reply), 2)}
            self.tally.check(got == {f: v for f, (v, _) in live.items()}, f"{self.what}: {name}: {key}", f"{got} {live}")
            if live:
                times = c.value("HPEXPIRETIME", key, "FIELDS", len(live), *live)
                wanted = [-1 if at is None else at for _, at in live.values()]
                self.tally.check(times == wanted, f"{self.what}: {name}: times of {key}", f"{times} {wanted}")


def model_test(tally, command, seed, rounds):
    """Rounds of random commands; between them the time of some of the fields comes, and what may happen to a server
    happens."""
    r = random.Random(seed)
    entries = r.choice((2, 8, 512))
    extra = ["--appendonly", "yes", "--appendfsync", "always", "--hash-max-listpack-entries", str(entries),
             "--aof-use-rdb-preamble", r.choice(("yes", "no")), "--save", ""]  # fmt: skip
    with Server(command, extra) as server:
        c = server.connect(60)
        play = Play(tally, r, f"seed {seed}")
        for number in range(rounds):
            play.span = r.choice((4, 30, 300))
            lazily = r.random() < 0.5
            c.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
            play.model.now = server_ms(c) - 1
            play.soon = play.model.now + 400
            for _ in range(150):
                play.step()
            play.compare(c)
            if server_ms(c) >= play.soon:
                tally.check(False, f"seed {seed}: the machine is too slow for the model")
                return
            while server_ms(c) <= play.soon + 1:
                time.sleep(0.01)
            play.model.now = play.soon + 1
            if not lazily:
                c.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
                play.model.reap()
                await_lengths(tally, c, play)
            play.compare_all(c, f"round {number}")
            play.soon = FAR
            for _ in range(60):
                play.step()
            play.compare(c)
            c = disturb(tally, server, c, play, r)
        c.close()


def await_lengths(tally, c, play):
    wanted = [len(play.model.hashes.get(key, {})) for key in KEYS]
    until = time.monotonic() + 3
    while [c.value("HLEN", key) for key in KEYS] != wanted and time.monotonic() < until:
        time.sleep(0.01)
    got = [c.value("HLEN", key) for key in KEYS]
    tally.check(got == wanted, f"{play.what}: what is due goes", f"{got} {wanted}")
    memory = [reply[1] for reply in c.pipeline([["MEMORY", "USAGE", key] for key in KEYS])]
    tally.check(all(m is None or m > 0 for m in memory), "MEMORY USAGE")


def disturb(tally, server, c, play, r):
    what = r.choice(("reload", "kill", "rewrite", "restore", "compact", "nothing"))
    if what == "reload":
        tally.check(c.call("DEBUG", "RELOAD") == ("+", b"OK"), "DEBUG RELOAD")
        play.model.reap()
    elif what == "kill":
        c.close()
        server.restart()
        c = server.connect(60)
        play.model.reap()
        await_lengths(tally, c, play)
    elif what == "rewrite":
        c.call("CONFIG", "SET", "aof-use-rdb-preamble", r.choice(("yes", "no")))
        c.call("BGREWRITEAOF")
        until = time.monotonic() + 30
        while b"aof_rewrite_in_progress:1" in c.value("INFO", "persistence") and time.monotonic() < until:
            time.sleep(0.01)
    elif what == "restore":
        for key in KEYS:
            payload = c.value("DUMP", key)
            if payload is None:
                continue
            before = c.value("DEBUG", "DIGEST-VALUE", key)
            timed = any(at is not None for _, at in play.model.hashes[key].values())
            version = struct.unpack("<H", payload[-10:-8])[0]
            tally.check(version == (12 if timed else 10), "DUMP's version", f"{version} {timed}")
            tally.check(c.call("RESTORE", key, 0, payload, "REPLACE") == ("+", b"OK"), "RESTORE")
            tally.check(c.value("DEBUG", "DIGEST-VALUE", key) == before, "DUMP and RESTORE keep the digest")
    elif what == "compact":
        c.call("MEMORY", "PURGE")
        c.call("DEBUG", "COMPACTION", "STRESS")
    play.compare_all(c, what)
    return c


def crc64(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x95AC9329AC4BC9B5 if crc & 1 else crc >> 1
    return crc


def text(word):
    word = word if isinstance(word, bytes) else str(word).encode()
    return bytes([len(word)]) + word


def wide(n):
    """A length of 8 bytes."""
    return b"\x81" + struct.pack(">Q", n)


def listpack(*words):
    body = b"".join(bytes([0x80 | len(w)]) + w + bytes([len(w) + 1]) if isinstance(w, bytes)
                    else b"\xf4" + struct.pack("<q", w) + b"\x09" for w in words)  # fmt: skip
    return struct.pack("<IH", len(body) + 7, len(words)) + body + b"\xff"


PAST, T = 1700000001000, FAR
FORMS = {
    # what the object is, the version of its format, and the fields that are to come of it
    "22 of 7.4's candidates": (b"\x16\x02" + wide(T) + text("f") + text("v") + b"\0" + text("g") + text("w"), 12,
                               {"f": T, "g": -1}),
    "23 of 7.4's candidates": (b"\x17" + text(listpack(b"f", b"v", T, b"g", b"w", 0)), 12, {"f": T, "g": -1}),
    "24": (b"\x18" + struct.pack("<q", T) + b"\x03\x01" + text("f") + text("v") + b"\0" + text("g") + text("w") + b"\x06"
           + text("h") + text("x"), 12, {"f": T, "g": -1, "h": T + 5}),
    "25": (b"\x19" + struct.pack("<q", T) + text(listpack(b"f", b"v", T, b"g", b"w", 0)), 12, {"f": T, "g": -1}),
    "25 in a wrong order": (b"\x19" + struct.pack("<q", T) + text(listpack(b"g", b"w", 0, b"f", b"v", T)), 12,
                            {"f": T, "g": -1}),
    "22 of Valkey 9": (b"\x16\x02" + text("f") + text("v") + struct.pack("<q", T) + text("g") + text("w")
                       + struct.pack("<q", -1), 80, {"f": T, "g": -1}),
    "24 without times": (b"\x18" + struct.pack("<q", (1 << 48) - 1) + b"\x01\0" + text("f") + text("v"), 12, {"f": -1}),
}  # fmt: skip
HOSTILE = {
    "a time too far": (b"\x16\x01" + wide(1 << 50) + text("f") + text("v"), 12),
    "a time above all with an earliest": (b"\x18" + struct.pack("<q", (1 << 48) - 2) + b"\x01\x05" + text("f") + text("v"), 12),
    "an earliest below 0": (b"\x18" + struct.pack("<q", -5) + b"\x01\x05" + text("f") + text("v"), 12),
    "an earliest too far": (b"\x18" + struct.pack("<q", 1 << 49) + b"\x01\x05" + text("f") + text("v"), 12),
    "a field twice": (b"\x18" + struct.pack("<q", T) + b"\x02" + (b"\x01" + text("f") + text("v")) * 2, 12),
    "a field twice in one piece": (b"\x19" + struct.pack("<q", T) + text(listpack(b"f", b"v", T, b"f", b"v", 0)), 12),
    "a time that is text": (b"\x19" + struct.pack("<q", T) + text(listpack(b"f", b"v", b"t")), 12),
    "a time below 0": (b"\x19" + struct.pack("<q", T) + text(listpack(b"f", b"v", -1)), 12),
    "no time": (b"\x19" + struct.pack("<q", T) + text(listpack(b"f", b"v")), 12),
    "Valkey's with a time below -1": (b"\x16\x01" + text("f") + text("v") + struct.pack("<q", -2), 80),
    "Valkey's with time 0": (b"\x16\x01" + text("f") + text("v") + struct.pack("<q", 0), 80),
    "more than there is": (b"\x18" + struct.pack("<q", T) + wide(1 << 60) + b"\x01" + text("f") + text("v"), 12),
    "none": (b"\x18" + struct.pack("<q", T) + b"\x00", 12),
    "a type that is ours alone": (b"\xc8\x01" + text("f") + text("v") + struct.pack("<q", T), 12),
    "a version between": (FORMS["25"][0], 14),
}  # fmt: skip


def footed(body, version):
    body += struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def forms(tally, command):
    """Payloads and files as Redis 7.4 and Valkey 9 write them."""
    with Server(command) as server, server.connect(60) as c:
        for name, (body, version, times) in FORMS.items():
            reply = c.call("RESTORE", "h", 0, footed(body, version), "REPLACE")
            tally.check(reply == ("+", b"OK"), f"RESTORE of type {name}", f"{reply}")
            got = c.value("HPEXPIRETIME", "h", "FIELDS", len(times), *times)
            tally.check(got == list(times.values()), f"times of type {name}", f"{got}")
            values = {"f": b"v", "g": b"w", "h": b"x"}
            tally.check(c.value("HMGET", "h", *times) == [values[f] for f in times], f"values of type {name}")
        for name, (body, version) in HOSTILE.items():
            reply = c.call("RESTORE", "h", 0, footed(body, version), "REPLACE")
            tally.check(reply[0] == "-", f"RESTORE of {name}", f"{reply}")
        c.call("RESTORE", "h", 0, footed(FORMS["24"][0].replace(struct.pack("<q", T), struct.pack("<q", PAST)), 12), "REPLACE")
        until = time.monotonic() + 3
        while c.value("HLEN", "h") != 1 and time.monotonic() < until:
            time.sleep(0.01)
        tally.check(c.value("HGETALL", "h") == [b"g", b"w"], "RESTORE of fields that are due")
        check_files(tally, command, server, c)


def check_files(tally, command, server, c):
    tool = os.path.join(os.path.dirname(command.split()[0]), "brim-check-rdb")
    for name, version in (("REDIS0012", 12), ("VALKEY080", 80)):
        data = name.encode() + b"\xfa" + text("redis-ver") + text("7.4.0") + b"\xfe\x00"
        wanted = {}
        for key, (body, of, times) in FORMS.items():
            if of != version:
                continue
            data += body[:1] + text(key) + body[1:]
            wanted[key] = times
        late = struct.pack("<q", PAST)
        both = struct.pack("<q", T)
        if version == 80:
            data += b"\x16" + text("due") + b"\x02" + text("f") + text("v") + late + text("g") + text("w") + both
            data += b"\x16" + text("gone") + b"\x01" + text("f") + text("v") + late
        else:
            data += b"\x19" + text("due") + late + text(listpack(b"f", b"v", PAST, b"g", b"w", T))
            data += b"\x18" + text("gone") + late + b"\x01\x01" + text("f") + text("v")
        wanted["due"] = {"f": -2, "g": T}
        data += b"\xff"
        data += struct.pack("<Q", crc64(data))
        path = os.path.join(server.folder, "dump.rdb")
        with open(path, "wb") as f:
            f.write(data)
        if os.path.exists(tool):
            checked = subprocess.run([tool, path], stdout=subprocess.PIPE)
            tally.check(checked.returncode == 0, f"brim-check-rdb of {name}", f"{checked.stdout[-300:]}")
        reply = c.call("DEBUG", "RELOAD", "NOSAVE")
        tally.check(reply == ("+", b"OK"), f"loading {name}", f"{reply} {server.log_tail(300)}")
        for key, times in wanted.items():
            got = c.value("HPEXPIRETIME", key, "FIELDS", len(times), *times)
            tally.check(got == list(times.values()), f"{name}: {key}", f"{got}")
        tally.check(c.value("EXISTS", "gone") == 0 and c.value("HLEN", "due") == 1, f"{name}: what is due is left out")


def versions(tally, command):
    """A file has Redis 7.4's version only when a hash needs it; without such hashes redis-server 7.0 loads it."""
    with Server(command) as server, server.connect(60) as c:
        def version():
            c.call("SAVE")
            with open(os.path.join(server.folder, "dump.rdb"), "rb") as f:
                return f.read(9)

        c.call("HSET", "h", "f", "v", "g", "w")
        c.call("HSET", "big", *(w for i in range(700) for w in (f"f{i}", i)))
        tally.check(version() == b"REDIS0010", "no field expiry: version 10")
        for key in ("h", "big"):
            c.call("HEXPIRE", key, 1000, "FIELDS", 1, "f" if key == "h" else "f7")
            tally.check(version() == b"REDIS0012", "field expiry: version 12")
            digest = c.value("DEBUG", "DIGEST")
            tally.check(c.call("DEBUG", "RELOAD") == ("+", b"OK") and c.value("DEBUG", "DIGEST") == digest, "RELOAD")
            tally.check(b"subexpiry=1" in c.value("INFO", "keyspace"), "INFO after RELOAD")
            got = c.value("OBJECT", "ENCODING", key)
            tally.check(got == (b"listpackex" if key == "h" else b"hashtable"), "encoding after RELOAD", f"{key} {got}")
            c.call("HPERSIST", key, "FIELDS", 1, "f" if key == "h" else "f7")
            tally.check(version() == b"REDIS0010", "the last time is taken away: version 10")
        with Server(ORACLE) as oracle:
            folder = oracle.folder
            oracle.kill()
            shutil.copy(os.path.join(server.folder, "dump.rdb"), os.path.join(folder, "dump.rdb"))
            oracle.start()
            with oracle.connect() as o:
                tally.check(o.value("DEBUG", "DIGEST") == c.value("DEBUG", "DIGEST"), "redis-server 7.0 loads it")
                payload = c.value("DUMP", "big")
                tally.check(o.call("RESTORE", "again", 0, payload) == ("+", b"OK"), "and RESTOREs it")


def load_test(tally, command, fields, limit_ms):
    """`fields` fields of one hash and as many of small hashes are due in the same second: what they hold is given back
    soon after, and PING stays quick meanwhile."""
    with Server(command, ["--save", ""]) as server, server.connect(60) as c, server.connect(60) as pinger:
        empty = used(c)
        at = server_ms(c) + 4000 + fields // 100
        half = fields // 2
        for start in range(0, half, 1000):
            words = [w for i in range(start, start + 1000) for w in (f"field:{i}", "some value")]
            c.call("HSETEX", "big", "PXAT", at + start % 1000, "FIELDS", 1000, *words)
            c.pipeline([["HSETEX", f"hash:{start + i}", "PXAT", at + i, "FIELDS", 10,
                         *(w for k in range(10) for w in (f"f{k}", "some value"))] for i in range(0, 1000, 10)])  # fmt: skip
        full = used(c)
        tally.check(server_ms(c) < at, "all is set before the first is due")
        while server_ms(c) < at - 100:
            time.sleep(0.01)
        worst, done_ms, last = 0.0, None, at + 1000
        while done_ms is None and server_ms(c) < last + 10000:
            began = time.perf_counter()
            pinger.call("PING")
            worst = max(worst, time.perf_counter() - began)
            if server_ms(c) > last and c.value("DBSIZE") == 0:
                done_ms = server_ms(c) - last
        gone = stat(c, "expired_subkeys")
        tally.check(gone == half * 2, "all fields went by themselves", f"{gone}")
        tally.check(done_ms is not None and done_ms < limit_ms, "within the time", f"{done_ms} ms after the last was due")
        until = time.monotonic() + 3
        while used(c) - empty > (full - empty) / 20 and time.monotonic() < until:
            time.sleep(0.02)
        tally.check(used(c) - empty <= (full - empty) / 20, "and their memory", f"{empty} {full} {used(c)}")
        cpu_ms = stat(c, "expire_cycle_cpu_milliseconds")
        print(f"{half * 2} fields: the last gone {done_ms} ms after it was due, slowest PING {worst * 1000:.2f} ms")
        print(f"{full - empty} bytes held, {used(c) - empty} left, {cpu_ms} ms of CPU")


def stat(c, name):
    for line in c.value("INFO", "everything").split(b"\r\n"):
        if line.startswith(name.encode() + b":"):
            return int(line.split(b":")[1])
    raise AssertionError(f"INFO has no {name}")


def used(c):
    return stat(c, "used_memory")


def together(tally, command, seconds, seed):
    """Writers on several connections while fields expire, keys move and snapshots are taken: in the end everything is
    gone, and what the AOF says is the same."""
    with Server(command, ["--appendonly", "yes", "--save", ""]) as server, server.connect(60) as c:
        until, errors = time.monotonic() + seconds, []

        def work(number):
            r, mine = random.Random(seed * 100 + number), server.connect(60)
            key = lambda: f"h{r.randrange(12)}"  # noqa: E731
            while time.monotonic() < until and not errors:
                batch = []
                for _ in range(30):
                    kind, n = r.randrange(12), r.choice((1, 3, 60, 200))
                    fields = [f"f{r.randrange(300)}" for _ in range(n)]
                    if kind < 5:
                        pairs = [w for f in fields for w in (f, "v" * r.randrange(60))]
                        batch.append(["HSETEX", key(), "PX", r.randrange(1, 400), "FIELDS", n, *pairs])
                    elif kind == 5:
                        batch.append(["HPEXPIRE", key(), r.randrange(300), "FIELDS", n, *fields])
                    elif kind == 6:
                        batch.append([r.choice(("HPERSIST", "HTTL", "HGETDEL")), key(), "FIELDS", n, *fields])
                    elif kind == 7:
                        batch += [["MULTI"], ["HGETALL", key()], ["HINCRBY", key(), "n", 1], ["EXEC"]]
                    elif kind == 8:
                        batch.append(r.choice((["HSCAN", key(), 0], ["HRANDFIELD", key(), 5], ["HKEYS", key()])))
                    elif kind == 9:
                        batch.append(r.choice((["COPY", key(), key() + "x"], ["RENAME", key(), key()], ["UNLINK", key()])))
                    elif kind == 10:
                        batch.append(["HSET", key(), *(w for f in fields for w in (f, "plain"))])
                    else:
                        batch.append(["HDEL", key(), *fields])
                for reply in mine.pipeline(batch):
                    if reply[0] == "-" and b"no such key" not in reply[1]:
                        errors.append(f"{reply}")

        crew = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(4)]
        for thread in crew:
            thread.start()
        while time.monotonic() < until:
            c.call("BGSAVE")
            c.call("BGREWRITEAOF")
            time.sleep(0.2)
        for thread in crew:
            thread.join(60)
        tally.check(not errors, "writers beside expiry", "; ".join(errors[:3]))
        time.sleep(1)
        digest = c.value("DEBUG", "DIGEST")
        server.restart()
        with server.connect(60) as d:
            time.sleep(0.5)
            tally.check(d.value("DEBUG", "DIGEST") == digest, "the AOF says the same")
            for key in d.value("KEYS", "*"):
                fields = d.value("HKEYS", key)
                d.call("HPEXPIRE", key, 1, "FIELDS", len(fields), *fields)
            until = time.monotonic() + 5
            while d.value("DBSIZE") != 0 and time.monotonic() < until:
                time.sleep(0.02)
            tally.check(d.value("DBSIZE") == 0, "all fields went, and the hashes with them")


def migrate(tally, command):
    with Server(command) as a, Server(command) as b, a.connect() as c, b.connect() as d:
        for key, entries in (("small", 3), ("big", 700)):
            c.call("HSET", key, *(w for i in range(entries) for w in (f"f{i}", i)))
            c.call("HPEXPIREAT", key, FAR, "FIELDS", 2, "f0", "f2")
            wanted = c.value("DEBUG", "DIGEST-VALUE", key)
            reply = c.call("MIGRATE", "127.0.0.1", b.port, key, 0, 5000)
            tally.check(reply == ("+", b"OK"), "MIGRATE", f"{reply}")
            tally.check(d.value("DEBUG", "DIGEST-VALUE", key) == wanted, "MIGRATE keeps the times")
        with Server(ORACLE) as oracle, oracle.connect() as o:
            d.call("HSET", "plain", "a", 1)
            tally.check(d.call("MIGRATE", "127.0.0.1", oracle.port, "plain", 0, 5000) == ("+", b"OK"), "to redis-server")
            refused = d.call("MIGRATE", "127.0.0.1", oracle.port, "big", 0, 5000)
            tally.check(refused[0] == "-" and d.value("EXISTS", "big") == 1, "what 7.0 does not know stays", f"{refused}")
            tally.check(o.value("HGET", "plain", "a") == b"1", "what it knows goes")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fields", type=int, default=100000)
    parser.add_argument("--limit-ms", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    tally, command = Tally(), options.server
    tests = {
        "forms": lambda: forms(tally, command),
        "versions": lambda: versions(tally, command),
        "migrate": lambda: migrate(tally, command),
        "load": lambda: load_test(tally, command, options.fields, options.limit_ms),
        "together": lambda: together(tally, command, options.seconds, options.seed),
        "model": lambda: [
            model_test(tally, command, seed, options.rounds) for seed in range(options.seed, options.seed + options.seeds)
        ],
    }
    for name, test in tests.items():
        if not options.only or name in options.only.split(","):
            test()
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
