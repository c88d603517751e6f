#!/usr/bin/python3
"""Memory under pressure, at a small scale. run.py --server "brim-server --threads 2"

Each test fills a server to its limit, does to it what fills other servers' memory, and looks at what it cost: keys,
resident memory, clients, errors. The full-size figures are in bench/.
"""

import argparse
import os
import random
import re
import resource
import shlex
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from cgroup import Group  # noqa: E402
from servers import Server, Tally  # noqa: E402
from wire import Closed, encode  # noqa: E402

MB = 1 << 20
OOM = b"OOM command not allowed when used memory > 'maxmemory'."


def info(c, field):
    found = re.search(rf"(?m)^{field}:([^\r\n]*)".encode(), c.value("INFO", "everything"))
    return int(found.group(1)) if found else None


def resident(server):
    with open(f"/proc/{server.pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


class Watch:
    """Resident memory's peak, seen every few milliseconds."""

    def __init__(self, server):
        self.server, self.peak, self.over = server, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            try:
                self.peak = max(self.peak, resident(self.server))
            except OSError:
                return
            time.sleep(0.003)

    def end(self):
        self.over = True
        self.thread.join()
        return self.peak


def limit(c, megabytes, policy):
    c.call("CONFIG", "SET", "maxmemory", megabytes * MB, "maxmemory-policy", policy)


def fill(c, megabytes, size=1000, name="k"):
    """Keys until that much is used; returns how many."""
    count = 0
    while info(c, "used_memory") < megabytes * MB:
        c.pipeline([["SET", f"{name}:{i}", "v" * size] for i in range(count, count + 500)])
        count += 500
    return count


def churn(command, tally):
    """Values of shifting size: resident memory stays, and nobody gets an error."""
    r = random.Random(1)
    with Server(command) as server, server.connect(60) as c:
        empty = resident(server)
        limit(c, 60, "allkeys-lru")
        watch, errors = Watch(server), 0
        for low, high in ((10, 200), (500, 8000), (30, 90), (2000, 64000), (16, 48)):
            for _ in range(60 if high > 10000 else 120):
                batch = [
                    ["SET", f"k:{r.randrange(400000)}", "v" * int(low * (high / low) ** r.random())] for _ in range(300)
                ]
                errors += sum(kind == "-" for kind, _ in c.pipeline(batch))
        peak = watch.end()
        tally.check(errors == 0, "churn: no error replies", f"{errors}")
        tally.check(peak - empty < 60 * MB + 12 * MB, "churn: resident memory", f"{(peak - empty) / MB:.1f} MB of 60")
        tally.check(info(c, "brim_pressure_compact_bytes") > 0, "churn: pages were compacted")
        tally.check(info(c, "used_memory") <= 60 * MB * 1.02, "churn: used memory")


def collections_churn(command, tally):
    """The same with lists, hashes, sets and sorted sets, which are still right afterwards."""
    r = random.Random(2)
    with Server(command) as server, server.connect(60) as c:
        empty = resident(server)
        limit(c, 60, "allkeys-lru")
        watch, errors, wrong = Watch(server), 0, 0
        for low, high in ((2, 10), (100, 600), (1, 4), (300, 900)):
            for _ in range(60):
                batch, n = [], int(low * (high / low) ** r.random())
                for _ in range(8):
                    key, items = r.randrange(3000), [f"{i:04d}" + "x" * r.randrange(8, 80) for i in range(n)]
                    batch += [["DEL", f"l:{key}"], ["RPUSH", f"l:{key}", *items], ["DEL", f"h:{key}"],
                              ["HSET", f"h:{key}", *(x for i in items for x in (i[:4], i))], ["DEL", f"z:{key}"],
                              ["ZADD", f"z:{key}", *(x for i in items for x in (int(i[:4]), i))],
                              ["SADD", f"s:{key}", *items]]  # fmt: skip
                errors += sum(kind == "-" for kind, _ in c.pipeline(batch))
        peak = watch.end()
        for key in range(3000):
            fields = c.value("HGETALL", f"h:{key}")
            wrong += any(k != v[:4] for k, v in zip(fields[::2], fields[1::2]))
            items = c.value("LRANGE", f"l:{key}", 0, -1)
            wrong += [x[:4] for x in items] != [b"%04d" % i for i in range(len(items))]
            scores = c.value("ZRANGE", f"z:{key}", 0, -1)
            wrong += [x[:4] for x in scores] != [b"%04d" % i for i in range(len(scores))]
        tally.check(errors == 0, "collections: no error replies", f"{errors}")
        tally.check(wrong == 0, "collections: what is left is right", f"{wrong} are wrong")
        tally.check(
            peak - empty < 60 * MB + 12 * MB, "collections: resident memory", f"{(peak - empty) / MB:.1f} MB of 60"
        )


def shrink(command, tally):
    """Most keys deleted at random: active defragmentation gives their memory back."""
    r = random.Random(3)
    with Server(command) as server, server.connect(60) as c:
        c.call("CONFIG", "SET", "activedefrag", "yes", "active-defrag-ignore-bytes", "1mb")
        empty = resident(server)
        for i in range(0, 300000, 1000):
            c.pipeline([["SET", f"k:{j}", "v" * 80] for j in range(i, i + 1000)])
        gone = [i for i in range(300000) if r.random() < 0.9]
        for i in range(0, len(gone), 1000):
            c.pipeline([["DEL", *(f"k:{j}" for j in gone[i : i + 1000])]])
        until = time.monotonic() + 10
        while time.monotonic() < until and resident(server) - empty > info(c, "used_memory") * 1.15 + 4 * MB:
            time.sleep(0.2)
        used, there = info(c, "used_memory"), resident(server) - empty
        tally.check(
            there < used * 1.15 + 4 * MB, "shrink: resident follows used", f"{there / MB:.1f} of {used / MB:.1f} MB"
        )
        left = sorted(set(range(300000)) - set(gone))
        values = c.pipeline([["GET", f"k:{i}"] for i in left])
        tally.check(all(v == ("$", b"v" * 80) for v in values), "shrink: what is left is right")


def connect_many(server, count):
    out = []
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(10)
        s.connect(("127.0.0.1", server.port))
        out.append(s)
    return out


def readers(command, tally, kind):
    """Clients that ask and never read cost no key and no limit, and a client that behaves is served meanwhile."""
    with Server(command) as server, server.connect(60) as c:
        empty = resident(server)
        limit(c, 60, "allkeys-lru")
        item = "x" * 100
        c.call("SET", "value", "x" * (512 << 10))
        c.pipeline(
            [["RPUSH", "list", *[item] * 1000]] * 5 + [["HSET", "hash", *(x for i in range(5000) for x in (i, item))]]
        )
        keys, evicted = fill(c, 52), info(c, "evicted_keys")
        question = {"value": ["GET", "value"], "list": ["LRANGE", "list", 0, -1], "hash": ["HGETALL", "hash"]}[kind]
        watch, slowest, sockets = Watch(server), 0, connect_many(server, 200)
        for s in sockets:
            try:
                s.sendall(encode(question) * 4)
            except OSError:
                pass
        until = time.monotonic() + 3
        while time.monotonic() < until:
            began = time.monotonic()
            c.call("GET", f"k:{random.randrange(keys)}")
            slowest = max(slowest, time.monotonic() - began)
        peak = watch.end()
        tally.check(
            info(c, "evicted_keys") == evicted, f"readers of a {kind}: no key goes", f"{info(c, 'evicted_keys')}"
        )
        tally.check(
            peak - empty < 60 * MB + 18 * MB, f"readers of a {kind}: memory", f"{(peak - empty) / MB:.1f} MB of 60"
        )
        tally.check(slowest < 0.5, f"readers of a {kind}: the others are served", f"{slowest * 1000:.0f} ms")
        if kind != "value":
            tally.check(info(c, "evicted_clients") > 0, f"readers of a {kind}: some are cut")
            tally.check("maxmemory-clients" in server.log_tail(), f"readers of a {kind}: the log says who")
        for s in sockets:
            s.close()


def listeners(command, tally, kind):
    """Subscribers, or clients that track all keys, that never read: the same as for readers."""
    questions = {
        "subscribers": encode(["SUBSCRIBE", "news"]),
        "events": encode(["PSUBSCRIBE", "__key*"]),
        "monitors": encode(["MONITOR"]),
        "tracking": encode(["HELLO", 3]) + encode(["CLIENT", "TRACKING", "ON", "BCAST"]),
    }
    with Server(command) as server, server.connect(60) as c, server.connect(60) as d:
        empty = resident(server)
        limit(c, 60, "allkeys-lru")
        keys, evicted = fill(c, 52), info(c, "evicted_keys")
        c.call("CONFIG", "SET", "notify-keyspace-events", "KEA" if kind == "events" else "")
        watch, slowest, sockets, told = Watch(server), 0, connect_many(server, 200), 0
        for s in sockets:
            s.sendall(questions[kind])
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if kind == "subscribers":
                d.pipeline([["PUBLISH", "news", "m" * 1000]] * 20)
            else:
                d.pipeline([["SET", f"k:{(told * 20 + i) % keys}", "w" * 1000] for i in range(20)])
            told += 1
            began = time.monotonic()
            c.call("GET", f"k:{random.randrange(keys)}")
            slowest = max(slowest, time.monotonic() - began)
        peak, now = watch.end(), info(c, "evicted_keys")
        tally.check(now == evicted, f"{kind} that do not read: no key goes", f"{now - evicted} of {keys}")
        tally.check(
            peak - empty < 60 * MB + 12 * MB, f"{kind} that do not read: memory", f"{(peak - empty) / MB:.1f} MB of 60"
        )
        tally.check(slowest < 0.5, f"{kind} that do not read: the others are served", f"{slowest * 1000:.0f} ms")
        if kind != "tracking":  # those share what they are told, so that 200 may stay
            tally.check(info(c, "evicted_clients") > 0, f"{kind} that do not read: some are cut", f"told {told * 20} times")
            tally.check("maxmemory-clients" in server.log_tail(), f"{kind} that do not read: the log says who")
        for s in sockets:
            s.close()


def track(server, keys):
    """A client for which the server remembers so many keys."""
    reader = server.connect(60, 3)
    reader.call("CLIENT", "TRACKING", "ON")
    for i in range(0, keys, 2000):
        reader.call("MGET", *(f"tracked:{j:08d}" for j in range(i, i + 2000)))
    return reader


def seconds_until_less(c, field, most, seconds=20):
    """How long it takes until the figure is at most that; an infinity when it does not get there."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        if info(c, field) <= most:
            return time.monotonic() - began
        time.sleep(0.02)
    return float("inf")


def forgotten_keys(command, tally):
    """What clients had read is given back soon once nobody needs it, and a PING is answered meanwhile."""
    ends = {
        "FLUSHALL": lambda c, reader: c.call("FLUSHALL"),
        "the client goes": lambda c, reader: reader.socket.close(),
        "tracking is off": lambda c, reader: reader.send("CLIENT", "TRACKING", "OFF"),
        "the limit is lowered": lambda c, reader: c.call("CONFIG", "SET", "tracking-table-max-keys", 1000),
    }
    with Server(command) as server, server.connect(60) as c:
        for name, end in ends.items():
            reader = track(server, 200000)
            before = info(c, "brim_used_tracking")
            end(c, reader)
            took = seconds_until_less(c, "brim_used_tracking", MB // 4)
            tally.check(before > 8 * MB, f"forgotten keys, {name}: there was something", f"{before / MB:.1f} MB")
            tally.check(took < 5, f"forgotten keys, {name}: given back", f"after {took:.2f} s")
            if name == "the limit is lowered":
                seconds_until_less(c, "tracking_total_keys", 1000)
                left = info(c, "tracking_total_keys")
                # Each worker may take one too many.
                tally.check(990 <= left <= 1000, "forgotten keys: as many as may be stay", f"{left}")
            reader.socket.close()


def forgotten_keys_when_full(command, tally):
    """Remembered keys that have become garbage cost neither a key nor a client, however little memory there is."""
    with Server(command) as server, server.connect(60) as c, server.connect(60) as slow:
        limit(c, 100, "allkeys-lru")
        reader = track(server, 200000)
        fill(c, 42)
        keys, evicted = c.value("DBSIZE"), info(c, "evicted_keys")
        slow.send_raw(b"*2\r\n$4\r\nECHO\r\n$40000\r\n" + b"x" * 39000)
        time.sleep(0.3)
        # FLUSHDB makes everything garbage, in whatever database; at once the rest has to do with less than all.
        replies = c.pipeline([["SELECT", 1], ["FLUSHDB"], ["SELECT", 0], ["CONFIG", "SET", "maxmemory", 46 * MB],
                              *(["SET", f"k:{i}", "w" * 1000] for i in range(2000))])  # fmt: skip
        tally.check(all(reply == ("+", b"OK") for reply in replies), "forgotten keys when full: all is served")
        took = seconds_until_less(c, "brim_used_tracking", MB // 4)
        tally.check(took < 5, "forgotten keys when full: given back", f"after {took:.2f} s")
        tally.check(c.value("DBSIZE") == keys and info(c, "evicted_keys") == evicted,
                    "forgotten keys when full: no key goes", f"{keys - c.value('DBSIZE')} of {keys}")  # fmt: skip
        tally.check(info(c, "evicted_clients") == 0, "forgotten keys when full: nor a client", server.log_tail())
        slow.send_raw(b"x" * 1000 + b"\r\n")
        tally.check(slow.read() == ("$", b"x" * 40000), "forgotten keys when full: a request is ended")
        tally.check(reader.call("PING")[0] in ">+", "forgotten keys when full: who tracked is there")


def few_left(command, tally):
    """Tables of subscriptions and remembered keys take what is in them, not what was."""
    with Server(command) as server, server.connect(60) as c:
        for on, off in (("SUBSCRIBE", "UNSUBSCRIBE"), ("PSUBSCRIBE", "PUNSUBSCRIBE"), ("SSUBSCRIBE", "SUNSUBSCRIBE")):
            d, figures = server.connect(60), []
            for word, first in ((on, 0), (off, 100)):
                for i in range(first, 50000, 100):
                    d.send(word, *(f"channel:{j:08d}" for j in range(i, i + 100)))
                    d.read_raw(100)
                figures.append(info(c, "brim_used_pubsub"))
            many, few = figures
            tally.check(many > 3 * MB, f"few left, {on}: there were many", f"{many / MB:.1f} MB")
            tally.check(few < many // 50, f"few left, {on}: memory follows", f"{few / MB:.2f} of {many / MB:.1f} MB")
            d.socket.close()
            took = seconds_until_less(c, "brim_used_pubsub", 4096)
            tally.check(took < 5, f"few left, {on}: all is given back", f"after {took:.2f} s")
        reader = track(server, 200000)
        many = info(c, "brim_used_tracking")
        for i in range(1000, 200000, 1000):
            c.call("MSET", *(x for j in range(i, i + 1000) for x in (f"tracked:{j:08d}", "v")))
        few = info(c, "brim_used_tracking")
        tally.check(info(c, "tracking_total_keys") == 1000, "few left: as many remembered keys as are unchanged")
        tally.check(few < many // 50, "few left: their memory", f"{few / MB:.2f} of {many / MB:.1f} MB")
        reader.socket.close()


def query_buffers(command, tally):
    """Half requests of many clients; one that asked to be spared stays."""
    with Server(command) as server, server.connect(60) as c:
        limit(c, 60, "allkeys-lru")
        fill(c, 56)
        evicted = info(c, "evicted_keys")
        spared = server.connect()
        spared.call("CLIENT", "NO-EVICT", "on")
        spared.send_raw(b"*2\r\n$3\r\nGET\r\n$40000\r\n" + b"x" * 30000)
        sockets = connect_many(server, 2000)
        for s in sockets:
            try:
                s.sendall(b"*2\r\n$3\r\nGET\r\n$16000\r\n" + b"x" * 12000)
            except OSError:
                pass
        time.sleep(0.5)
        tally.check(
            info(c, "evicted_keys") == evicted, "query buffers: no key goes", f"{info(c, 'evicted_keys') - evicted}"
        )
        tally.check(info(c, "evicted_clients") > 0, "query buffers: clients are cut")
        spared.send_raw(b"x" * 10000 + b"\r\n")
        tally.check(spared.read() == ("$", None), "query buffers: CLIENT NO-EVICT is spared")
        for s in sockets:
            s.close()


def big_commands(command, tally):
    """What cannot fit is refused before it allocates, and leaves no trace."""
    with Server(command) as server, server.connect(60) as c:
        limit(c, 40, "noeviction")
        c.pipeline([["SADD", "a", *(f"{i}-{j}" for j in range(1000))] for i in range(100)])
        c.pipeline([["ZADD", "z", *(x for j in range(1000) for x in (j, f"{i}-{j}"))] for i in range(100)])
        c.call("SET", "giant", "x" * (6 * MB))
        c.pipeline([["HSET", "many", *(x for j in range(1000) for x in (f"{i}-{j}", "v" * 20))] for i in range(80)])
        c.call("CLIENT", "NO-EVICT", "on")  # the APPEND below is more than a client may have when memory is full
        watch, before = Watch(server), resident(server)
        refused = [["SETRANGE", "far", 500 * MB, "x"], ["SETRANGE", "giant", 300 * MB, "x"], ["COPY", "giant", "second"],
                   ["COPY", "many", "more"], ["SUNIONSTORE", "u", "a"], ["ZUNIONSTORE", "zu", 2, "z", "a", "WEIGHTS", 2, 3],
                   ["ZDIFFSTORE", "zd", 2, "z", "none"], ["SDIFFSTORE", "sd", "a", "none"], ["APPEND", "giant", "x" * 9 * MB],
                   ["ZINTERSTORE", "zi", 2, "z", "z"], ["SINTERSTORE", "si", "a", "a"]]  # fmt: skip
        # Leave too little for any of them.
        while c.call("SET", f"pad:{random.random()}", "p" * 200000)[0] != "-":
            pass
        for args in refused:
            reply = c.call(*args)
            tally.check(reply == ("-", OOM), f"big commands: {args[0]} is refused", f"{reply}")
        peak = watch.end()
        tally.check(
            peak - before < 30 * MB, "big commands: nothing big was allocated", f"{(peak - before) / MB:.1f} MB"
        )
        gone = c.value("EXISTS", "far", "second", "more", "u", "zu", "zd", "sd", "zi", "si")
        tally.check(gone == 0, "big commands: they leave no key", f"{gone}")
        tally.check(c.value("STRLEN", "giant") == 6 * MB, "big commands: and change none")
        # With a policy that may make room, room is made.
        limit(c, 40, "allkeys-random")
        reply = c.call("SETRANGE", "far", 8 * MB, "x")
        tally.check(reply == (":", 8 * MB + 1), "big commands: room is made for what fits", f"{reply}")
        tally.check(
            info(c, "used_memory") < 44 * MB, "big commands: under the limit", f"{info(c, 'used_memory') / MB:.1f}"
        )
        reply = c.call("SETRANGE", "far", 100 * MB, "x")
        tally.check(reply == ("-", OOM), "big commands: not for what does not", f"{reply}")
        reply = c.pipeline([["MULTI"], ["SETRANGE", "far2", 100 * MB, "x"], ["SET", "small", "1"], ["EXEC"]])[-1]
        tally.check(reply == ("*", (("-", OOM), ("+", b"OK"))), "big commands: in a transaction", f"{reply}")


def big_replies(command, tally):
    """A reply of many times what clients may have costs no key, no other client and no memory; it is refused."""
    with Server(command) as server, server.connect(60) as c, server.connect(60) as other:
        limit(c, 100, "allkeys-lru")
        c.call("CONFIG", "SET", "maxmemory-clients", 8 * MB)
        value = "v" * 1000
        for at in range(0, 25000, 1000):
            c.pipeline([["RPUSH", "list", *(f"{value}{i}" for i in range(at, at + 1000))]])
        fill(c, 40, 100)
        keys, watch = c.value("DBSIZE"), Watch(server)
        reads = [["LRANGE", "list", 0, -1], ["SRANDMEMBER", "set", -(10**12)],
                 ["EVAL", "return redis.call('lrange', KEYS[1], 0, -1)", 1, "list"]]  # fmt: skip
        c.call("SADD", "set", "a", "b")
        for args in reads:
            kind, text = other.call(*args)
            tally.check(kind == "-" and b"OOM" in text, f"big replies: {args[0]} is refused", f"{kind} {text[:80]}")
        reply = other.pipeline([["MULTI"], ["LLEN", "list"], reads[0], ["EXEC"]])[-1][1]
        tally.check(reply[0] == (":", 25000) and reply[1][0] == "-", "big replies: in a transaction", f"{reply}"[:200])
        tally.check(len(other.value("LRANGE", "list", 0, 999)) == 1000, "big replies: a small one is not")
        peak = watch.end()
        tally.check(c.value("DBSIZE") == keys + 1, "big replies: no key goes", f"{c.value('DBSIZE') - keys - 1}")
        tally.check(info(c, "evicted_clients") == 0, "big replies: nor a client")
        tally.check(peak < 100 * MB, "big replies: memory", f"{peak / MB:.1f} MB")


def big_pops(command, tally):
    """What changes something and answers with it is refused for the size of its reply before anything is changed."""
    noise = random.Random(5)

    def members(at):
        return [b"%06d" % i + noise.randbytes(800) for i in range(at, at + 1000)]

    with Server(command) as server, server.connect(60) as c:
        limit(c, 110, "allkeys-lru")
        c.call("CONFIG", "SET", "maxmemory-clients", 8 * MB)
        c.call("XGROUP", "CREATE", "stream", "group", "0", "MKSTREAM")
        for at in range(0, 25000, 1000):
            c.call("RPUSH", "list", *members(at))
            c.call("SADD", "set", *members(at))
            c.call("ZADD", "zset", *(word for m in members(at) for word in (1, m)))
            c.pipeline([["XADD", "stream", "*", "field", m] for m in members(at)])
        c.call("XREADGROUP", "GROUP", "group", "first", "COUNT", 3, "STREAMS", "stream", ">")
        fill(c, 30, 100)
        keys, watch, digest = c.value("DBSIZE"), Watch(server), c.value("DEBUG", "DIGEST")
        for args in (["LPOP", "list", 25000], ["RPOP", "list", 20000], ["LMPOP", 1, "list", "LEFT", "COUNT", 25000],
                     ["BLMPOP", 1, 1, "list", "LEFT", "COUNT", 25000], ["SPOP", "set", 25000], ["SPOP", "set", 24000],
                     ["ZPOPMIN", "zset", 25000], ["ZMPOP", 1, "zset", "MAX", "COUNT", 20000],
                     ["XREADGROUP", "GROUP", "group", "c", "STREAMS", "stream", ">"], ["DUMP", "zset"],
                     ["SORT", "list", "ALPHA"], ["SORT", "list", "BY", "none", "STORE", "list"],
                     ["EVAL", "return redis.call('lpop', KEYS[1], 25000)", 1, "list"]):  # fmt: skip
            kind, text = c.call(*args)
            tally.check(kind == "-" and b"OOM" in text, f"big pops: {args[:2]} is refused", f"{kind} {text}"[:90])
        peak = watch.end()
        tally.check(c.value("DEBUG", "DIGEST") == digest, "big pops: nothing has changed")
        tally.check(c.value("DBSIZE") == keys, "big pops: no key goes", f"{keys - c.value('DBSIZE')}")
        # The limit, an empty server's, the slack, and a reply of what clients may have, which grew.
        tally.check(peak < 150 * MB, "big pops: memory", f"{peak / MB:.1f} MB")
        for args in (["LPOP", "list", 100], ["SPOP", "set", 100], ["ZPOPMIN", "zset", 50], ["SORT", "small"],
                     ["XREADGROUP", "GROUP", "group", "c", "COUNT", 100, "STREAMS", "stream", ">"]):  # fmt: skip
            tally.check(c.call(*args)[0] == "*", f"big pops: {args[:2]} of a few")
        claim = ["XAUTOCLAIM", "stream", "group", "other", 0, "-", "COUNT"]
        c.call("DEL", "list", "set", "zset")  # so that the stream is not evicted for the reply that follows
        c.call("CONFIG", "SET", "maxmemory-clients", 0)
        c.call("XREADGROUP", "GROUP", "group", "c", "COUNT", 20000, "STREAMS", "stream", ">")
        c.call("CONFIG", "SET", "maxmemory-clients", 8 * MB)
        reply = c.call(*claim, 20000)
        tally.check(reply[0] == "-" and b"OOM" in reply[1], "big pops: XAUTOCLAIM of many", f"{reply}"[:90])
        reply = c.call(*claim, 100)
        tally.check(reply[0] == "*", "big pops: and of a few", f"{reply}"[:200])


def waiting_clients(command, tally):
    """What is queued by MULTI, watched or waited for is its client's memory: clients go, not keys."""
    with Server(command) as server, server.connect(60) as c:
        limit(c, 60, "allkeys-lru")
        fill(c, 50, 1000)
        keys = c.value("DBSIZE")
        clients = []
        for n in range(40):
            d = server.connect(60)
            clients.append(d)
            try:
                if n % 2:
                    d.send("BLPOP", f"{n}" + "k" * 1_000_000, 0)
                else:
                    d.pipeline([["WATCH", f"{n}" + "w" * 300_000], ["MULTI"], *([["SET", "x", "y" * 10_000]] * 100)])
            except (Closed, OSError):
                pass
        time.sleep(0.5)
        tally.check(c.value("DBSIZE") == keys, "waiting clients: no key goes", f"{keys - c.value('DBSIZE')}")
        tally.check(info(c, "evicted_clients") > 0, "waiting clients: clients do")


def many_arguments(command, tally):
    """What one command of very many arguments took is given back when it is over."""
    with Server(command) as server, server.connect(60) as c:
        clients = [server.connect(60) for _ in range(4)]  # of all workers
        for n, each in enumerate(clients):
            each.call("RPUSH", f"list:{n}", *(f"v{i}" for i in range(200000)))
        c.call("DEL", *(f"none:{i}" for i in range(200000)))
        overhead = info(c, "used_memory_overhead")
        tally.check(overhead < 2 * MB, "many arguments: their places are not kept", f"{overhead / MB:.1f} MB")
        used, deadline = info(c, "used_memory"), time.time() + 10
        while time.time() < deadline and resident(server) > used + 20 * MB:
            time.sleep(0.1)
        left = resident(server) - used
        tally.check(left <= 20 * MB, "many arguments: the memory goes to the system", f"{left / MB:.1f} MB more")


def scripts(command, tally):
    """What scripts have left is given back while nobody runs any: at maxmemory keys would go for it."""

    def below(c, field, most):
        deadline = time.time() + 20
        while info(c, field) > most and time.time() < deadline:
            time.sleep(0.05)
        return info(c, field)

    with Server(command) as server, server.connect(60) as c:
        c.value("EVAL", "local t = {} for i = 1, 500000 do t[i] = 'text ' .. i end return #t", 0)
        left = below(c, "used_memory_vm_eval", 4 * MB)
        tally.check(left <= 4 * MB, "scripts: garbage", f"{left / MB:.1f} MB")
        c.call("RPUSH", "list", *(["v" * 100] * 100000))
        used = info(c, "used_memory")
        c.value("EVAL", "return #redis.call('LRANGE', 'list', 0, -1)", 0)
        left = below(c, "used_memory", used + 4 * MB) - used
        tally.check(left <= 4 * MB, "scripts: a big reply", f"{left / MB:.1f} MB")
        body = "local t = {} for i = 1, 300000 do t[i] = 'text ' .. i end"
        for name in "ab":
            text = f"#!lua name={name}\n{body}\nredis.register_function('{name}', function() return #t end)"
            c.call("FUNCTION", "LOAD", text)
        tally.check(c.value("FCALL", "a", 0) == 300000, "scripts: a library that holds much")
        full = info(c, "used_memory_vm_functions")
        c.call("FUNCTION", "DELETE", "b")
        left = below(c, "used_memory_vm_functions", full - 5 * MB)
        tally.check(left <= full - 5 * MB, "scripts: a deleted library of two", f"{(full - left) / MB:.1f} MB less")
        tally.check(c.value("FCALL", "a", 0) == 300000, "scripts: the other one keeps what it has")
        c.call("FUNCTION", "DELETE", "a")
        left = below(c, "used_memory_vm_functions", 0)
        tally.check(left == 0, "scripts: the last library", f"{left} bytes")
        tally.check(c.call("FCALL", "a", 0)[0] == "-", "scripts: it is gone")


def served_waiters(command, tally):
    """A client that was served leaves nothing behind of the time it would have waited."""
    with Server(command) as server, server.connect(60) as c:
        waiting = [server.connect(60) for _ in range(200)]

        def round_of_all():
            for client in waiting:
                client.send_raw(encode(["BLPOP", "queue", 3600]))
            while info(c, "blocked_clients") < len(waiting):
                pass
            c.call("RPUSH", "queue", *(["x"] * len(waiting)))
            for client in waiting:
                client.read()

        round_of_all()
        before = info(c, "allocator_allocated")
        for _ in range(100):
            round_of_all()
        left = info(c, "allocator_allocated") - before
        tally.check(left < MB / 2, "served waiters: memory", f"{left} bytes more")


def push_series(command, tally):
    """Pipelines of pushes to one list until nothing fits: what was answered with a length is there, in its order."""
    with Server(command) as server, server.connect(60) as c:
        limit(c, 12, "noeviction")
        pushed, errors = [], set()
        for batch in range(4000):
            values = [b"%d:%d" % (batch, i) + b"x" * 100 for i in range(60)]
            for value, (kind, reply) in zip(values, c.pipeline([["RPUSH", "list", value] for value in values])):
                if kind == ":":
                    pushed.append(value)
                    if reply != len(pushed):
                        tally.check(False, "push series: the length", f"{reply}, {len(pushed)} were pushed")
                        return
                else:
                    errors.add(reply)
            if errors:
                break
        tally.check(errors == {OOM}, "push series: refused when full", repr(errors))
        limit(c, 60, "noeviction")  # the reply, too, wants room
        there = [item for _, item in c.call("LRANGE", "list", 0, -1)[1]]
        tally.check(there == pushed and len(there) > 10000, "push series: all that was answered", f"{len(there)}")
        limit(c, 12, "allkeys-lru")
        c.call("DEL", "list")
        replies = []
        for batch in range(4000):
            replies += c.pipeline([["RPUSH", f"list:{batch // 10}", b"x" * 100] for _ in range(60)])
        lengths = [n for kind, n in replies if kind == ":"]
        tally.check(len(lengths) == len(replies), "push series: none refused while others can go", repr(replies[-1]))
        tally.check(info(c, "evicted_keys") > 0, "push series: others went")


def refused_memory(command, tally):
    """The system refuses memory (a ulimit): errors, and the server lives."""
    words = shlex.split(command)
    limited = f"prlimit --data={120 * MB} {shlex.join(words)}"
    with Server(limited) as server, server.connect(60) as c:
        errors = 0
        for i in range(400):
            try:
                replies = c.pipeline(
                    [["SET", f"k:{i}:{j}", "v" * r] for j, r in enumerate((100, 5000, 60000, 300000, 900))]
                )
                errors += sum(kind == "-" for kind, _ in replies)
            except (Closed, OSError):
                errors += 1
                c = server.connect(60)
        tally.check(server.alive(), "refused memory: the server stands", server.log_tail())
        tally.check(errors > 0, "refused memory: errors are replied")
        tally.check(c.value("GET", "k:0:0") == b"v" * 100, "refused memory: reads are served")
        c.call("FLUSHALL")
        time.sleep(0.3)
        tally.check(c.call("SET", "again", "v" * 100000) == ("+", b"OK"), "refused memory: writes again after FLUSHALL")
        code = server.stop()
        tally.check(code == 0, "refused memory: exit code", f"{code} {server.log_at_end}")


NEIGHBOUR = """
import sys, time
kept = [bytearray(b"x" * (1 << 20)) for _ in range(int(sys.argv[1]))]
print("there", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        kept.append(bytearray(b"x" * (1 << 20)))
        time.sleep(0.03)
    print("more", flush=True)
"""


def container(command, tally):
    """A container with another process in it and no maxmemory: errors, then evictions, and nobody is killed."""
    try:
        group = Group(128 * MB)
    except OSError as error:
        print(f"container: skipped, {error}", flush=True)
        return
    words = shlex.split(group.start(shlex.join([sys.executable, "-c", NEIGHBOUR, "40"])))
    neighbour = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        neighbour.stdout.readline()
        with Server(group.start(command)) as server, server.connect(60) as c:
            refused = text = None
            for i in range(400):
                replies = c.pipeline([["SET", f"k:{i}:{j}", "v" * (1 + j * 20)] for j in range(400)])
                refused = [text for kind, text in replies if kind == "-"]
                if len(refused) == 400:
                    break
            keys = c.value("DBSIZE")
            tally.check(refused == [OOM] * 400, "container: writes are refused", f"{len(refused)} {refused[:1]}")
            tally.check(c.call("SETRANGE", "big", 60 * MB, "x")[0] == "-", "container: a big command is refused")
            others = info(c, "brim_container_others")
            tally.check(40 * MB <= others < 60 * MB, "container: what others take is known", f"{others}")
            said = c.value("MEMORY", "DOCTOR").decode()
            tally.check("Others in this container take" in said, "container: MEMORY DOCTOR says so", said)
            c.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            neighbour.stdin.write("20\n")
            neighbour.stdin.flush()
            errors = 0
            for i in range(100):
                errors += sum(kind == "-" for kind, _ in c.pipeline([["SET", f"n:{i}:{j}", "v" * 4000] for j in range(100)]))
            neighbour.stdout.readline()
            time.sleep(0.1)
            tally.check(c.value("DBSIZE") < keys, "container: keys make room for a neighbour that grows")
            tally.check(errors < 100, "container: writes go on", f"{errors} errors")
            tally.check(server.alive() and neighbour.poll() is None, "container: both live", server.log_tail())
            tally.check(not group.kills(), "container: the kernel killed nobody", f"{group.kills()}")
    finally:
        neighbour.kill()
        neighbour.wait()
        group.remove()


def percent(command, tally):
    """maxmemory as a share of the machine, and settings that turn the new rungs off."""
    with Server(command, ["--maxmemory", "10%", "--maxmemory-clients", "0", "--maxmemory-resident", "no"]) as server:
        with server.connect() as c:
            total = info(c, "total_system_memory")
            have = info(c, "maxmemory")
            tally.check(0 < have <= total // 10, "percent: maxmemory is a share", f"{have} of {total}")
            tally.check(c.value("CONFIG", "GET", "maxmemory")[1] == b"10%", "percent: CONFIG GET")
            tally.check(info(c, "brim_client_limit") == 0, "percent: maxmemory-clients 0 is no limit")


def doctor(command, tally):
    """MEMORY DOCTOR names what is wrong, with the command that mends it."""

    def says(c, *texts):
        said = c.value("MEMORY", "DOCTOR").decode()
        return all(text in said for text in texts), said

    with Server(command) as server, server.connect(60) as c:
        good, said = says(c, "too little to judge")
        tally.check(good, "doctor: of an empty server", said)
        limit(c, 40, "noeviction")
        while c.call("SET", f"pad:{random.random()}", "p" * 20000)[0] != "-":
            pass
        good, said = says(c, "CONFIG SET maxmemory", "refused", "OOM error")
        tally.check(good, "doctor: of a full server", said)
        c.call("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        good, said = says(c, "volatile-lru", "no key has one", "maxmemory-policy allkeys-lru")
        tally.check(good, "doctor: of a policy without candidates", said)
        c.call("CONFIG", "SET", "maxmemory", "0", "maxmemory-guard", "0")
        good, said = says(c, "There is no limit", "maxmemory 75%")
        tally.check(good, "doctor: of no limit", said)
        c.call("FLUSHALL")
        fill(c, 8)
        good, said = says(c, "Peak", "MEMORY PURGE")
        tally.check(good, "doctor: of a peak", said)
        c.call("CONFIG", "SET", "maxmemory", "40mb", "maxmemory-clients", "5mb")
        big = server.connect()
        try:
            big.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$20000000\r\n" + b"x" * 6000000)
        except (Closed, OSError):
            pass
        time.sleep(0.3)
        good, said = says(c, "1 clients were closed", "CLIENT NO-EVICT", "maxmemory-clients")
        tally.check(good, "doctor: of clients cut", said)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--only", default="", help="tests to run, with commas between them")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if hard < 0 else min(4096, hard), hard))
    tests = {
        f.__name__: f
        for f in (churn, collections_churn, shrink, query_buffers, big_commands, big_replies, big_pops, waiting_clients,
                  many_arguments, scripts, served_waiters, push_series, refused_memory, container, percent, doctor,
                  forgotten_keys, forgotten_keys_when_full, few_left)  # fmt: skip
    }
    for kind in ("value", "list", "hash"):
        tests[f"readers_{kind}"] = lambda command, tally, kind=kind: readers(command, tally, kind)
    for kind in ("subscribers", "events", "tracking", "monitors"):
        tests[f"listeners_{kind}"] = lambda command, tally, kind=kind: listeners(command, tally, kind)
    tally = Tally()
    for name, test in tests.items():
        if options.only and name not in options.only.split(","):
            continue
        try:
            test(options.server, tally)
        except (Closed, OSError) as error:
            tally.check(False, name, repr(error))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
