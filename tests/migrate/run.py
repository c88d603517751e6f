#!/usr/bin/python3
"""MIGRATE, compared with redis-server. run.py --server "brim-server --threads 2" [--seed N]

Keys of every type go from Brim to redis-server, back, and from Brim to Brim; the same calls, good ones and bad ones,
between every pair of servers give the same replies and leave the same keys; targets that are silent, gone, slow or
talk nonsense cost no key.
"""

import argparse
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from servers import ORACLE, Server, Tally, free_port  # noqa: E402
from wire import encode  # noqa: E402

PASSWORD = "the-word"
HOST = "127.0.0.1"


def text(r, most=40):
    if r.randrange(3) == 0:
        return bytes(r.randrange(256) for _ in range(r.randrange(most)))
    return r.choice((str(r.randrange(-(1 << 63), 1 << 63) >> r.randrange(64)), "abc" * r.randrange(1, most)))


def populate(c, r):
    """Keys of every type and encoding, a third of them with expiries; returns their names."""
    batch = []
    for kind in ("string", "long", "list", "set", "ints", "zset", "hash"):
        for n in (1, 3, 20, 700):
            key = f"{kind}:{n}"
            if kind in ("string", "long"):
                batch.append(["SET", key, text(r) * (2000 if kind == "long" else 1)])
            elif kind == "list":
                batch.append(["RPUSH", key, *(text(r, 9000 if n == 20 else 40) for _ in range(n))])
            elif kind == "set":
                batch.append(["SADD", key, *(text(r) for _ in range(n))])
            elif kind == "ints":
                batch.append(["SADD", key, *(r.randrange(-(1 << 40), 1 << 40) for _ in range(n))])
            elif kind == "zset":
                score = [r.choice((r.random() * 1e6, "inf", "-inf", "-0", 0.1)) for _ in range(n)]
                batch.append(["ZADD", key, *(x for s in score for x in (s, text(r)))])
            else:
                batch.append(["HSET", key, *(x for _ in range(n) for x in (text(r), text(r, 100)))])
            if r.randrange(3) == 0:
                batch.append(["PEXPIRE", key, r.randrange(10**6, 10**9)])
    assert all(reply[0] != "-" for reply in c.pipeline(batch))
    return c.value("KEYS", "*")


def contents(c, keys):
    """Of each key its digest and encoding; and its expiry apart."""
    values = {k: (c.value("DEBUG", "DIGEST-VALUE", k), c.value("OBJECT", "ENCODING", k)) for k in keys}
    return values, {k: c.value("PEXPIRETIME", k) for k in keys}


def same_times(before, after):
    """An expiry travels as the time that is left, so it comes a little late."""
    return all((before[k] < 0 and after[k] < 0) or 0 <= after[k] - before[k] < 5000 for k in before)


def every_type(tally, what, source, target, r):
    with Server(source) as a, Server(target) as b, a.connect(60) as c, b.connect(60) as d:
        keys = populate(c, r)
        values, times = contents(c, keys)
        for extra, left in (["COPY"], len(keys)), (["REPLACE"], 0):
            reply = c.call("MIGRATE", HOST, b.port, "", 0, 5000, *extra, "KEYS", *keys)
            tally.check(reply == ("+", b"OK"), f"{what}: MIGRATE {extra}", f"{reply}")
            tally.check(c.value("DBSIZE") == left, f"{what}: {left} keys stay after {extra}")
            there, then = contents(d, keys)
            wrong = [k for k in keys if there[k] != values[k]]
            tally.check(not wrong, f"{what}: values and encodings, {extra}", f"{wrong[:4]}")
            tally.check(same_times(times, then), f"{what}: expiries, {extra}", f"{times} {then}")


def script(c, d, ports):
    """Calls on the source c; d is the target. Yields (what, reply or fact) for each."""
    open_port, locked_port, closed_port = ports

    def migrate(port, *words):
        return " ".join(map(str, words)), c.call("MIGRATE", HOST, port, *words)

    def state():
        for connection, where in (c, "source"), (d, "target"):
            for db in (0, 7):
                connection.call("SELECT", db)
                names = sorted(connection.value("KEYS", "*"))
                yield f"keys of {where}, {db}", [(k, connection.value("GET", k)) for k in names]
            connection.call("SELECT", 0)

    def reset(*names):
        c.call("FLUSHALL")
        d.call("FLUSHALL")
        c.pipeline([["SET", k, f"value of {k}"] for k in names])

    reset("a", "b", "c")
    yield migrate(open_port, "a", 0, 1000)
    yield migrate(open_port, "a", 0, 1000)
    yield migrate(open_port, "b", 7, 1000, "copy")
    yield migrate(open_port, "b", 7, 1000, "Copy")
    yield migrate(open_port, "b", 7, 1000, "COPY", "REPLACE")
    yield migrate(open_port, "b", 7, 0, "REPLACE")
    yield migrate(open_port, "c", 0, -5)
    yield from state()

    # Some there, some not, one in the way.
    reset("a", "b", "c", "d")
    d.call("SET", "b", "in the way")
    yield migrate(open_port, "", 0, 1000, "KEYS", "a", "none", "b", "c")
    yield from state()
    yield migrate(open_port, "", 0, 1000, "REPLACE", "KEYS", "b", "d", "none")
    yield from state()
    yield migrate(open_port, "", 0, 1000, "KEYS", "none", "neither")
    yield migrate(open_port, "", 0, 1000, "KEYS")
    yield migrate(open_port, "", 0, 1000)
    yield migrate(open_port, "none", 0, 1000)

    reset("a", "KEYS", "")
    yield migrate(open_port, "", 0, 1000, "KEYS", "a", "KEYS", "")
    yield from state()
    reset("a")
    yield migrate(open_port, "", 0, 1000, "KEYS", "a", "a")
    yield from state()

    # Expired, and in the last millisecond.
    reset("a", "b")
    c.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    c.call("PEXPIRE", "a", 1)
    time.sleep(0.01)
    yield migrate(open_port, "a", 0, 1000)
    c.call("SET", "a", 1, "PX", 1)
    time.sleep(0.01)
    yield migrate(open_port, "", 0, 1000, "KEYS", "a", "b")
    c.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    yield from state()

    # Passwords.
    reset("a", "b", "c", "keys")
    yield migrate(locked_port, "a", 0, 1000)
    yield migrate(locked_port, "a", 0, 1000, "AUTH", "wrong")
    yield migrate(locked_port, "", 0, 1000, "AUTH2", "default", "wrong", "KEYS", "a", "b")
    yield migrate(locked_port, "", 0, 1000, "AUTH2", "nobody", PASSWORD, "KEYS", "a", "b")
    yield migrate(locked_port, "a", 0, 1000, "AUTH", PASSWORD)
    yield migrate(locked_port, "", 0, 1000, "auth2", "default", PASSWORD, "keys", "b", "c")
    yield migrate(locked_port, "keys", 0, 1000, "AUTH", "keys")
    yield migrate(open_port, "keys", 0, 1000, "AUTH", PASSWORD)
    yield from state()

    # No database of that number, no number, no syntax.
    reset("a", "b")
    yield migrate(open_port, "a", 99, 1000)
    yield migrate(open_port, "", 99, 1000, "KEYS", "a", "b")
    for words in (
        ["a", "x", 1000], ["a", 0, "x"], ["a", "x", "y", "nope"], ["a", 0, 1000, "nope"], ["a", 0, 1000, "AUTH"],
        ["a", 0, 1000, "AUTH2", "x"], ["a", 0, 1000, "AUTH2"], ["a", 0, 1000, "KEYS", "a"], ["a", 0, 1000, "KEYS"],
        ["a", 0, 1000, "COPY", "KEYS", "b"], ["a", 0], ["a", "1.5", 1000], ["", 0, 1000, "nope", "KEYS", "a"],
    ):  # fmt: skip
        yield migrate(open_port, *words)

    # Nobody there.
    yield migrate(closed_port, "a", 0, 1000)
    yield migrate("word", "a", 0, 1000)
    yield migrate(-1, "a", 0, 1000)
    yield "no such host", c.call("MIGRATE", "no.such.host.invalid", open_port, "a", 0, 1000)
    yield "empty host", c.call("MIGRATE", "", closed_port, "none", 0, 1000)
    yield from state()

    # In a transaction, and what others see of it.
    reset("a", "b")
    yield "WATCH", c.call("WATCH", "a")
    yield migrate(open_port, "a", 0, 1000)
    yield "MULTI and EXEC", c.pipeline([["MULTI"], ["GET", "b"], ["EXEC"]])
    yield "in MULTI", c.pipeline(
        [["MULTI"], ["MIGRATE", HOST, open_port, "b", 0, 1000], ["EXISTS", "b"], ["EXEC"]]
    )
    yield from state()
    reset("a", "b", "c")
    before = changes(c)
    yield migrate(open_port, "", 0, 1000, "KEYS", "a", "b", "none")
    yield "changes", changes(c) - before
    before = changes(c)
    yield migrate(open_port, "c", 0, 1000, "COPY")
    yield "changes of COPY", changes(c) - before


def changes(c):
    for line in c.value("INFO", "persistence").split():
        if line.startswith(b"rdb_changes_since_last_save:"):
            return int(line.split(b":")[1])


def transcript(source, target):
    with Server(source) as a, Server(target) as b, Server(target, ["--requirepass", PASSWORD]) as locked:
        ports = (b.port, locked.port, free_port())
        with a.connect(30) as c, b.connect(30) as d:
            return list(script(c, d, ports))


def pairs(tally, ours):
    wanted = transcript(ORACLE, ORACLE)
    for what, source, target in (
        ("Brim to redis-server", ours, ORACLE), ("redis-server to Brim", ORACLE, ours), ("Brim to Brim", ours, ours),
    ):  # fmt: skip
        got = transcript(source, target)
        tally.check(len(got) == len(wanted), f"{what}: the same number of replies")
        for n, (x, y) in enumerate(zip(wanted, got)):
            tally.check(x[1] == y[1], f"{what}: {n}: {x[0]}", f"{y[1]} instead of {x[1]}")


def many(tally, ours):
    """More keys than fit into a send, from a call of more keys than FindKeys tells one by one."""
    with Server(ours) as a, Server(ours) as b, a.connect(60) as c, b.connect(60) as d:
        names = [f"k:{i}" for i in range(50000)]
        c.pipeline([["SET", k, k * 10] for k in names])
        d.call("SET", names[777], "in the way")
        reply = c.call("MIGRATE", HOST, b.port, "", 0, 10000, "KEYS", *names)
        wanted = ("-", b"ERR Target instance replied with error: BUSYKEY Target key name already exists.")
        tally.check(reply == wanted, "50000 keys, one in the way", f"{reply}")
        tally.check(c.value("KEYS", "*") == [names[777].encode()], "it alone stays")
        tally.check(d.value("DBSIZE") == 50000, "the others are there", f"{d.value('DBSIZE')}")
        tally.check(d.value("GET", names[49999]) == names[49999].encode() * 10, "with their values")
        c.call("SET", "big", os.urandom(40 << 20))
        digest = c.value("DEBUG", "DIGEST-VALUE", "big")
        tally.check(c.call("MIGRATE", HOST, b.port, "big", 0, 10000) == ("+", b"OK"), "a value of 40 MiB")
        tally.check(d.value("DEBUG", "DIGEST-VALUE", "big") == digest and not c.value("EXISTS", "big"), "is moved")


class Target:
    """A listener that sends `answer` once it has read something, then ends the connection or holds it open."""

    def __init__(self, answer, hold, backlog=8, accepts=True):
        self.answer, self.hold, self.taken = answer, hold, []
        self.socket = socket.socket()
        self.socket.bind((HOST, 0))
        self.socket.listen(backlog)
        self.port = self.socket.getsockname()[1]
        if accepts:
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.taken.append(peer)
            if self.answer is not None:
                peer.recv(1 << 16)
                peer.sendall(self.answer)
            if not self.hold:
                peer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for peer in self.taken:
            peer.close()


READING = ("-", b"IOERR error or timeout reading to target instance")
WRITING = ("-", b"IOERR error or timeout writing to target instance")


def bad_targets(tally, command):
    """Whose answer does not come, or is none. Nonsense is not sent to redis-server, which takes it for a yes."""
    oracle = command == ORACLE
    cases = [
        ("silent", None, True, READING, 300, 3),
        ("silent after SELECT", b"+OK\r\n", True, READING, 300, 3),
        ("closes after SELECT", b"+OK\r\n", False, READING, 0, 3),
        ("half a line", b"+OK\r\n+O", True, READING, 300, 3),
        ("one key taken", b"+OK\r\n+OK\r\n", True, READING, 300, 2),
        ("one key taken, then the end", b"+OK\r\n+OK\r\n", False, READING, 0, 2),
        ("an error, then silence", b"+OK\r\n-BAD thing\r\n", True,
         ("-", b"ERR Target instance replied with error: BAD thing"), 300, 3),
        ("an error for SELECT", b"-NO\r\n+OK\r\n-x y\r\n+OK\r\n", True,
         ("-", b"ERR Target instance replied with error: NO"), 0, 3),
        ("an empty line", b"\r\n", True, READING, 0, 3),
    ]  # fmt: skip
    if not oracle:
        cases += [
            ("nonsense", b"HTTP/1.1 400 Bad Request\r\n\r\n", True, READING, 0, 3),
            ("other replies", b"+OK\r\n:1\r\n$2\r\nOK\r\n*0\r\n", True, READING, 0, 3),
            ("a long line", b"+" + b"x" * 200000 + b"\r\n", True, READING, 0, 3),
        ]
    with Server(command) as server, server.connect(30) as c:
        for what, answer, hold, wanted, least_ms, left in cases:
            c.call("MSET", "a", 1, "b", 2, "c", 3)
            with Target(answer, hold) as target:
                began = time.monotonic()
                reply = c.call("MIGRATE", HOST, target.port, "", 0, 300, "KEYS", "a", "b", "c")
                took_ms = (time.monotonic() - began) * 1000
            tally.check(reply == wanted, f"{what}: reply", f"{reply}")
            tally.check(least_ms - 5 <= took_ms <= least_ms + 1500, f"{what}: time", f"{took_ms} ms")
            tally.check(c.value("DBSIZE") == left, f"{what}: keys", f"{c.value('KEYS', '*')}")
            c.call("FLUSHALL")
        # Nothing is read: the sockets' buffers are full at some time.
        c.call("SET", "big", os.urandom(32 << 20))
        with Target(None, True) as target:
            reply = c.call("MIGRATE", HOST, target.port, "big", 0, 200)
        tally.check(reply == WRITING and c.value("EXISTS", "big") == 1, "reads nothing", f"{reply}")
        # Nobody accepts and the queue is full.
        with Target(None, True, backlog=0, accepts=False) as target:
            waiting = []
            for _ in range(3):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex((HOST, target.port))
                waiting.append(s)
            time.sleep(0.05)
            reply = c.call("MIGRATE", HOST, target.port, "big", 0, 200)
            tally.check(reply == WRITING, "does not accept", f"{reply}")
            for s in waiting:
                s.close()
        tally.check(server.alive(), "bad targets: the server stands", server.log_tail())


def to_itself(tally, ours):
    """The target waits for a lock that the source holds: the timeout ends it and the key stays."""
    with Server(ours) as server, server.connect(30) as c:
        c.call("SET", "a", 1)
        for _ in range(4):
            reply = c.call("MIGRATE", HOST, server.port, "a", 0, 100)
            tally.check(reply[0] == "-", "to itself", f"{reply}")
            tally.check(c.value("GET", "a") == b"1", "to itself: the key stays")


def unseen_on_its_way(tally, ours):
    """Whoever writes a key that is being moved waits until it is gone."""
    with Server(ours) as server, server.connect(30) as c, server.connect(30) as other:
        c.call("SET", "a", "old")
        with Target(None, True) as target:
            c.send_raw(encode(["MIGRATE", HOST, target.port, "a", 0, 2000]))
            until = time.monotonic() + 5
            while not target.taken and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.1)
            other.send("APPEND", "a", " and new")
            tally.check(other.quiet_for(0.3), "a write waits while the key is on its way")
            target.taken[0].sendall(b"+OK\r\n+OK\r\n")
            tally.check(c.read() == ("+", b"OK"), "the key is moved")
            tally.check(other.read() == (":", 8), "the write finds it gone")


def table(tally, ours):
    """COMMAND INFO and GETKEYS say what redis-server's do."""

    def sorted_names(reply):
        if isinstance(reply[1], tuple):
            items = [sorted_names(item) for item in reply[1]]
            names = all(item[0] == "+" for item in items)
            return reply[0], sorted(items) if names else items
        return reply

    with Server(ours) as a, Server(ORACLE) as b, a.connect() as c, b.connect() as d:
        for case in (
            ["INFO", "migrate"], ["GETKEYS", "migrate", "h", 1, "k", 0, 1],
            ["GETKEYS", "migrate", "h", 1, "", 0, 1, "keys", "a", "b"],
            ["GETKEYS", "migrate", "h", 1, "k", 0, 1, "keys", "a", "b"], ["GETKEYS", "migrate", "h", 1, "k", 0, 1, "keys"],
            ["GETKEYS", "migrate", "h", 1, "", 0, 1, "auth", "keys", "keys", "c"],
            ["GETKEYS", "migrate", "h", 1, "", 0, 1, "auth2", "keys", "keys", "keys", "c"],
            ["GETKEYS", "migrate", "h", 1, "", 0, 1, "keys", "a", "keys", "c"],
            ["GETKEYSANDFLAGS", "migrate", "h", 1, "", 0, 1, "copy", "keys", "x"],
        ):  # fmt: skip
            x, y = sorted_names(c.call("COMMAND", *case)), sorted_names(d.call("COMMAND", *case))
            tally.check(x == y, f"COMMAND {case}", f"{x} instead of {y}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tally, r, ours = Tally(), random.Random(options.seed), options.server
    every_type(tally, "Brim to redis-server", ours, ORACLE, r)
    every_type(tally, "redis-server to Brim", ORACLE, ours, r)
    every_type(tally, "Brim to Brim", ours, ours, r)
    pairs(tally, ours)
    many(tally, ours)
    bad_targets(tally, ORACLE)
    bad_targets(tally, ours)
    to_itself(tally, ours)
    unseen_on_its_way(tally, ours)
    table(tally, ours)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
