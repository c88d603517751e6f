"""What streams remember of idempotent adding, through every way in which a server goes on after its end; and payloads that
are not what Redis 8.6 writes."""

import os
import random
import shutil
import struct

from servers import ORACLE, Server
from wire import encode

FOLDER = "appendonlydir"
KEYS = (b"s", b"t", b"u")


class Model:
    """Per stream {pid: {iid: id}}, the oldest first, as long as no time is over."""

    def __init__(self, r):
        self.r = r
        self.known = {key: {} for key in KEYS}
        self.maxsize = dict.fromkeys(KEYS, 100)
        self.length = dict.fromkeys(KEYS, 0)
        self.added = dict.fromkeys(KEYS, 0)

    def take(self, key, pid, iid, reply):
        """The reply to an XADD; False when it is not the one that is due."""
        records = self.known[key].setdefault(pid, {})
        if iid in records:
            return reply == records[iid]
        while len(records) >= self.maxsize[key]:
            del records[next(iter(records))]
        records[iid] = reply
        self.length[key] += 1
        self.added[key] += 1
        return reply not in list(records.values())[:-1]

    def words(self, key):
        pid = self.r.choice((b"p", b"q", b"\0" * 3, b"123", b"long" * 50))
        if self.r.random() < 0.3:
            value = b"%d" % self.r.randrange(60)
            return pid, (b"auto", value), [b"XADD", key, b"IDMPAUTO", pid, b"*", b"f", value]
        iid = self.r.choice((b"%d", b"order-%d", b"\xff%d\0")) % self.r.randrange(60)
        return pid, iid, [b"XADD", key, b"IDMP", pid, iid, b"*", b"f", b"v"]

    def run(self, tally, c, count):
        good = True
        for _ in range(count):
            key = self.r.choice(KEYS)
            kind = self.r.random()
            if kind < 0.02 and self.length[key] > 0:
                self.length[key] -= c.value("XTRIM", key, "MAXLEN", self.length[key] // 2)
            elif kind < 0.04:
                size = self.r.choice((3, 20, 100))
                c.call("XADD", key, "*", "plain", "1")
                self.length[key] += 1
                c.call("XCFGSET", key, "IDMP-DURATION", 86400, "IDMP-MAXSIZE", size)
                if size != self.maxsize[key] or self.added[key] == 0:
                    self.maxsize[key], self.known[key] = size, {}
            elif kind < 0.1:
                some = [self.words(key) for _ in range(3)]
                replies = c.pipeline([["MULTI"], *(words for _, _, words in some), ["EXEC"]])[-1][1]
                good &= all([self.take(key, pid, iid, reply[1]) for (pid, iid, _), reply in zip(some, replies)])
            else:
                pid, iid, words = self.words(key)
                good &= self.take(key, pid, iid, c.value(*words))
        tally.check(good, "each second time the first id")

    def compare(self, tally, c, name):
        for key in KEYS:
            state = c.value("XINFO", "STREAM", key)
            state = dict(zip(state[::2], state[1::2]))
            records = sum(len(records) for records in self.known[key].values())
            got = [state[b"length"], state[b"idmp-maxsize"], state[b"pids-tracked"], state[b"iids-tracked"]]
            wanted = [self.length[key], self.maxsize[key], len([1 for x in self.known[key].values() if x]), records]
            tally.check(got == wanted, f"{name}: what is remembered", f"{got} instead of {wanted}")
            batch, ids = [], []
            for pid, records in self.known[key].items():
                for iid, at in records.items():
                    option = [b"IDMP", pid, iid] if isinstance(iid, bytes) else [b"IDMPAUTO", pid]
                    batch.append([b"XADD", key, *option, b"*", b"f", b"v" if isinstance(iid, bytes) else iid[1]])
                    ids.append(at)
            replies = [reply[1] for reply in c.pipeline(batch)]
            tally.check(replies == ids, f"{name}: the ids of the first time")
            tally.check(c.value("XLEN", key) == self.length[key], f"{name}: nothing is added")


def rewritten(c, preamble):
    c.call("CONFIG", "SET", "aof-use-rdb-preamble", preamble)
    c.call("BGREWRITEAOF")
    while b"aof_rewrite_in_progress:1" in c.value("INFO", "persistence"):
        pass


def restarts(tally, command, seed):
    model = Model(random.Random(seed))
    with Server(command, ["--appendonly", "yes", "--appendfsync", "no"]) as server:
        with server.connect(60) as c:
            for key in KEYS:
                c.call("XADD", key, "*", "plain", "1")
                model.length[key] = 1
                c.call("XCFGSET", key, "IDMP-DURATION", 86400)
            model.added = dict.fromkeys(KEYS, 1)  # limits of their own: from now on only others make them forget
            model.run(tally, c, 600)
            model.compare(tally, c, "at once")
        for way in ("as recorded", "a base of commands", "an RDB base", "a snapshot", "a snapshot after all"):
            with server.connect(60) as c:
                if way.startswith("a snapshot"):
                    tally.check(c.call("DEBUG", "RELOAD") == ("+", b"OK"), way)
                elif way != "as recorded":
                    rewritten(c, "no" if way == "a base of commands" else "yes")
                model.run(tally, c, 200)
            if not way.startswith("a snapshot"):
                server.kill()
                server.start()
            with server.connect(60) as c:
                model.compare(tally, c, way)


def torn(tally, command):
    """A file that ends between an entry and its idempotent id has neither."""
    with Server(command, ["--appendonly", "yes"]) as server:
        with server.connect() as c:
            c.call("XADD", "s", "IDMP", "p", "1", "*", "f", "v")
            whole = c.value("XADD", "s", "IDMP", "p", "2", "*", "f", "v")
            c.call("XADD", "s", "IDMP", "p", "3", "*", "f", "v")
        server.kill()
        folder = os.path.join(server.folder, FOLDER)
        path = os.path.join(folder, next(name for name in sorted(os.listdir(folder)) if ".incr." in name))
        with open(path, "rb") as f:
            data = f.read()
        at = data.rindex(b"XIDMPRECORD") + 3
        with open(path, "wb") as f:
            f.write(data[:at])
        server.start()
        with server.connect() as c:
            tally.check(c.value("XLEN", "s") == 2, "an entry without its idempotent id is none")
            tally.check(c.value("XADD", "s", "IDMP", "p", "2", "*", "f", "v") == whole, "what came before is there")
            c.call("XADD", "s", "IDMP", "p", "3", "*", "f", "v")
            tally.check(c.value("XLEN", "s") == 3, "it is added when it is sent again")


def recorded_by_redis(tally, command):
    """An XADD with the option and the id, of which only the last says which entry it was."""
    with Server(command, ["--appendonly", "yes"]) as server:
        server.kill()
        shutil.rmtree(os.path.join(server.folder, FOLDER))
        lines = [["SELECT", "0"], ["XADD", "s", "IDMP", "p", "i", "5-5", "f", "v"]]
        lines.append(["XCFGSET", "s", "IDMP-DURATION", "86400"])
        lines.append(["XADD", "s", "IDMPAUTO", "p", "9999999999999-1", "f", "v"])
        lines.append(["XIDMPRECORD", "s", "p", "gone", "9999999999998-7"])
        with open(os.path.join(server.folder, "appendonly.aof"), "wb") as f:
            f.write(b"".join(encode(line) for line in lines))
        server.start()
        with server.connect() as c:
            tally.check(c.value("XLEN", "s") == 2, "an XADD with option and id is replayed", server.log_tail(300))
            again = c.value("XADD", "s", "IDMPAUTO", "p", "*", "f", "v")
            tally.check(again == b"9999999999999-1", "and remembered", f"{again}")
            again = c.value("XADD", "s", "IDMP", "p", "gone", "*", "f", "v")
            tally.check(again == b"9999999999998-7", "an XIDMPRECORD of an entry that is gone", f"{again}")


def versions(tally, command):
    """A file is of Redis 8.6's version only while there is something to remember."""

    def saved(c, server):
        assert c.call("SAVE") == ("+", b"OK")
        with open(os.path.join(server.folder, "dump.rdb"), "rb") as f:
            return f.read(9)

    with Server(command) as server, Server(ORACLE) as oracle:
        with server.connect() as c:
            c.call("XADD", "plain", "1-1", "f", "v")
            tally.check(saved(c, server) == b"REDIS0010", "nothing idempotent: version 10")
            c.call("XADD", "s", "IDMP", "p", "i", "*", "f", "v")
            c.call("XGROUP", "CREATE", "s", "g", "0")
            c.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
            c.call("COPY", "s", "t")
            state = c.call("XINFO", "STREAM", "s", "FULL")
            tally.check(saved(c, server) == b"REDIS0013", "an idempotent id: version 13")
            c.call("DEBUG", "RELOAD")
            tally.check(c.call("XINFO", "STREAM", "s", "FULL") == state, "all of the stream is there again")
            c.call("DEL", "s")
            tally.check(saved(c, server) == b"REDIS0013", "a copy is left: version 13")
            c.call("FLUSHALL", "SYNC")
            c.call("XADD", "plain", "1-1", "f", "v")
            tally.check(saved(c, server) == b"REDIS0010", "it is gone: version 10")
        oracle.kill()
        shutil.copy(os.path.join(server.folder, "dump.rdb"), os.path.join(oracle.folder, "dump.rdb"))
        oracle.start()
        with oracle.connect() as c:
            tally.check(c.value("XLEN", "plain") == 1, "redis-server loads it then")


def text(data):
    return bytes([len(data)]) + data


def idmp(producers, duration=100, maxsize=100, added=7, duplicates=8):
    """The end of a stream of Redis 8.6: numbers below 16384."""
    number = lambda n: bytes([n]) if n < 64 else bytes([0x40 | n >> 8, n & 255])  # noqa: E731
    out = number(duration) + number(maxsize) + number(len(producers))
    for pid, records in producers:
        out += text(pid) + number(len(records))
        for iid, ms, seq in records:
            out += text(iid) + b"\x81" + struct.pack(">Q", ms) + number(seq)
    return out + number(added) + number(duplicates)


def payloads(tally, command):
    far = 99999999999999  # ahead of every clock: remembered from the time of loading on
    good = [(b"p", [(b"a", far, 1), (b"b", far, 2)]), (b"q", [(b"a", far, 3)])]
    bad = {
        "an iid twice": idmp([(b"p", [(b"a", far, 1), (b"a", far, 2)])]),
        "an empty iid": idmp([(b"p", [(b"", far, 1)])]),
        "an empty pid": idmp([(b"", [(b"a", far, 1)])]),
        "more than there is": idmp([])[:-3] + b"\x3f\x01\x01",
        "an end in the middle": idmp(good)[:-4],
        "nothing": b"",
    }
    with Server(command) as server, server.connect() as c:
        c.call("XADD", "s", "1-1", "f", "v")
        body = b"\x1a" + c.value("DUMP", "s")[1:-10]
        footer = struct.pack("<H", 13) + bytes(8)
        for name, end in bad.items():
            reply = c.call("RESTORE", "bad", 0, body + end + footer)
            tally.check(reply == ("-", b"ERR Bad data format"), f"{name} is refused", f"{reply}")
        tally.check(c.call("RESTORE", "r", 0, body + idmp(good) + footer) == ("+", b"OK"), "a stream of Redis 8.6")
        state = c.value("XINFO", "STREAM", "r")
        state = dict(zip(state[::2], state[1::2]))
        got = [state[name] for name in (b"idmp-duration", b"pids-tracked", b"iids-tracked", b"iids-added", b"iids-duplicates")]
        tally.check(got == [100, 2, 3, 7, 8], "what it remembers", f"{got}")
        again = c.value("XADD", "r", "IDMP", "q", "a", "*", "f", "v")
        tally.check(again == b"%d-3" % far, "the first id of another life", f"{again}")
        c.call("RESTORE", "few", 0, body + idmp(good, maxsize=1) + footer)
        state = c.value("XINFO", "STREAM", "few")
        tally.check(dict(zip(state[::2], state[1::2]))[b"iids-tracked"] == 2, "no more of each than the stream keeps")


def all_of_it(tally, command, seed):
    restarts(tally, command, seed)
    torn(tally, command)
    recorded_by_redis(tally, command)
    versions(tally, command)
    payloads(tally, command)
