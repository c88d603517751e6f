#!/usr/bin/python3
"""Atomicity and order under many connections. run.py --server "brim-server --threads 2" [--seconds N] [--seed N]

Each test drives a fresh part of the keyspace from several threads, and then (or meanwhile) looks at what must hold
whatever the interleaving: sums, exactly-once delivery, first come first served, a SCAN that misses nothing.
"""

import argparse
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import monitor_tests  # noqa: E402
import pushes  # noqa: E402
import script_tests  # noqa: E402
from servers import Server, Tally  # noqa: E402
from wire import Closed  # noqa: E402

ACCOUNTS, EACH = 40, 1000


class Crew:
    """Threads that share a deadline; what one of them raises fails the test."""

    def __init__(self, seconds):
        self.until = time.monotonic() + seconds
        self.errors, self.threads = [], []

    def over(self):
        return time.monotonic() >= self.until or bool(self.errors)

    def start(self, function, *args):
        def guarded():
            try:
                function(*args)
            except Exception as error:  # noqa: BLE001
                self.errors.append(f"{function.__name__}: {error!r}")

        self.threads.append(threading.Thread(target=guarded, daemon=True))
        self.threads[-1].start()

    def join(self):
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                self.errors.append("a thread did not come back")
        return "; ".join(self.errors[:3])


def transfers(server, seconds, seed):
    """Money moves by MULTI and by WATCH; every snapshot has the same sum."""
    names = [f"account:{i}" for i in range(ACCOUNTS)]
    with server.connect() as c:
        c.call("MSET", *[word for name in names for word in (name, EACH)])
    crew = Crew(seconds)
    done = {"multi": 0, "watch": 0, "conflict": 0, "look": 0}

    def by_multi(number):
        r, c = random.Random(seed * 100 + number), server.connect(30)
        while not crew.over():
            a, b, n = *r.sample(names, 2), r.randint(1, 9)
            c.pipeline([["MULTI"], ["DECRBY", a, n], ["INCRBY", b, n], ["EXEC"]])
            done["multi"] += 1

    def by_watch(number):
        r, c = random.Random(seed * 200 + number), server.connect(30)
        while not crew.over():
            a, b = r.sample(names, 2)
            c.call("WATCH", a, b)
            x, y = int(c.value("GET", a)), int(c.value("GET", b))
            reply = c.pipeline([["MULTI"], ["SET", a, x - 1], ["SET", b, y + 1], ["EXEC"]])[-1]
            done["conflict" if reply[1] is None else "watch"] += 1

    def look(number):
        c = server.connect(30)
        while not crew.over():
            if number % 2:
                values = c.pipeline([["MULTI"], ["MGET", *names], ["EXEC"]])[-1][1][0][1]
            else:
                values = c.call("MGET", *names)[1]
            total = sum(int(v) for _, v in values)
            if total != ACCOUNTS * EACH:
                raise AssertionError(f"the sum is {total}")
            done["look"] += 1

    for i in range(4):
        crew.start(by_multi, i)
        crew.start(by_watch, i)
    crew.start(look, 0)
    crew.start(look, 1)
    errors = crew.join()
    for what in ("multi", "watch", "look"):
        if not done[what]:
            errors += f" no {what} at all"
    return errors


def queue(server, seconds, seed):
    """Producers push, blocked consumers pop: each item arrives exactly once."""
    crew = Crew(seconds)
    pushed, popped, lock = [], [], threading.Lock()
    keys = [f"queue:{i}" for i in range(3)]

    def produce(number):
        r, c = random.Random(seed * 300 + number), server.connect(30)
        for i in range(100000):
            if crew.over():
                break
            items = [f"{number}-{i}-{k}" for k in range(r.randint(1, 3))]
            c.call(r.choice(["LPUSH", "RPUSH"]), r.choice(keys), *items)
            with lock:
                pushed.extend(items)
            if r.random() < 0.2:
                time.sleep(0.001)

    def consume(number):
        r, c = random.Random(seed * 400 + number), server.connect(30)
        while True:
            reply = c.call(r.choice(["BLPOP", "BRPOP"]), *r.sample(keys, 3), 0.5)
            if reply[1] is None:
                if crew.over():
                    return
                continue
            with lock:
                popped.append(reply[1][1][1].decode())

    for i in range(3):
        crew.start(produce, i)
    for i in range(6):
        crew.start(consume, i)
    errors = crew.join()
    if sorted(pushed) != sorted(popped):
        errors += f" {len(pushed)} pushed, {len(popped)} popped, {len(set(popped))} different ones"
    return errors + ("" if pushed else " nothing was pushed")


def work_queue(server, seconds, seed):
    """Entries of streams go to one consumer of a group each, whoever waits; what a consumer leaves another claims."""
    crew = Crew(seconds)
    added, handled, lock = [], [], threading.Lock()
    keys = [f"stream:{i}" for i in range(3)]
    with server.connect() as c:
        for key in keys:
            c.call("XGROUP", "CREATE", key, "g", "$", "MKSTREAM")

    def produce(number):
        r, c = random.Random(seed * 500 + number), server.connect(30)
        for i in range(100000):
            if crew.over():
                break
            batch = [["XADD", r.choice(keys), "*", "n", f"{number}-{i}-{k}"] for k in range(r.randint(1, 4))]
            c.pipeline(batch)
            with lock:
                added.extend(args[4] for args in batch)
            if r.random() < 0.3:
                time.sleep(0.001)

    def consume(number):
        r, c, name = random.Random(seed * 600 + number), server.connect(30), f"c{number}"
        while True:
            some = r.sample(keys, r.randint(1, 3))
            reply = c.call("XREADGROUP", "GROUP", "g", name, "COUNT", r.randint(1, 5), "BLOCK", 300, "STREAMS", *some,
                           *[">"] * len(some))  # fmt: skip
            if reply[1] is None and crew.over():
                return
            for stream in reply[1] or ():
                key = stream[1][0][1]
                for entry in stream[1][1][1]:
                    if r.random() < 0.1:
                        continue  # it stays pending
                    if c.value("XACK", key, "g", entry[1][0][1]) == 1:
                        with lock:
                            handled.append(entry[1][1][1][1][1].decode())

    for i in range(3):
        crew.start(produce, i)
    for i in range(6):
        crew.start(consume, i)
    errors = crew.join()
    with server.connect() as c:
        for key in keys:
            reply = c.value("XAUTOCLAIM", key, "g", "last", 0, "-", "COUNT", 1000000)
            for number, fields in reply[1]:
                handled.append(fields[1].decode())
                c.call("XACK", key, "g", number)
            if c.value("XPENDING", key, "g")[0] != 0:
                errors += f" something is pending in {key}"
    if sorted(added) != sorted(handled):
        errors += f" {len(added)} added, {len(handled)} handled, {len(set(handled))} different ones"
    return errors + ("" if len(added) > 20 else " hardly anything was added")


def readers(server, seconds, seed):
    """Everybody who reads a stream on and on sees every entry, in order, waiting or not."""
    crew = Crew(seconds)
    counts, lock = [], threading.Lock()

    def produce():
        r, c = random.Random(seed * 700), server.connect(30)
        number = 0
        while not crew.over():
            c.pipeline([["XADD", "news", "*", "n", number + k] for k in range(r.randint(1, 3))])
            number = c.value("XLEN", "news")
            if r.random() < 0.5:
                time.sleep(0.001)
        c.call("XADD", "news", "*", "n", "end")

    def read(number):
        r, c, last, seen = random.Random(seed * 800 + number), server.connect(30), "0", 0
        while True:
            options = r.choice(([], ["COUNT", "2"]))
            reply = c.call("XREAD", *options, "BLOCK", 5000, "STREAMS", "other", "news", "$", last)
            if reply[1] is None:
                raise RuntimeError("nothing came for 5 seconds")
            for entry in reply[1][0][1][1][1]:
                last, value = entry[1][0][1], entry[1][1][1][1][1]
                if value == b"end":
                    with lock:
                        counts.append(seen)
                    return
                if int(value) != seen:
                    raise RuntimeError(f"{value} instead of {seen}")
                seen += 1

    for i in range(6):
        crew.start(read, i)
    crew.start(produce)
    errors = crew.join()
    return errors + ("" if len(set(counts)) == 1 and counts[0] > 20 else f" they saw {counts}")


def fairness(server, seconds, seed):
    """Clients that wait for one list are served in the order in which they came."""
    waiting = [server.connect(30) for _ in range(20)]
    with server.connect() as control:
        for number, c in enumerate(waiting):
            c.send("BLPOP", "line", 0)
            for _ in range(2000):
                if b"blocked_clients:%d\r" % (number + 1) in control.value("INFO", "clients"):
                    break
                time.sleep(0.001)
        for i in range(len(waiting)):
            control.call("RPUSH", "line", i)
    got = [int(c.read()[1][1][1]) for c in waiting]
    return "" if got == list(range(len(waiting))) else f"served in the order {got}"


def counters(server, seconds, seed):
    """INCR, HINCRBY and ZINCRBY from 50 connections lose nothing."""
    crew, each = Crew(seconds + 60), 200

    def count(_):
        c = server.connect(60)
        for _ in range(each // 20):
            c.pipeline([["INCR", "n"], ["HINCRBY", "h", "f", 1], ["ZINCRBY", "z", 1, "m"]] * 20)

    for i in range(50):
        crew.start(count, i)
    errors = crew.join()
    with server.connect() as c:
        got = [int(c.value("GET", "n")), int(c.value("HGET", "h", "f")), int(float(c.value("ZSCORE", "z", "m")))]
    return errors if got == [50 * each] * 3 else errors + f" {got} instead of {50 * each}"


def movers(server, seconds, seed):
    """Things move between keys of different shards: none is lost, none is doubled."""
    crew, names = Crew(seconds), [f"box:{i}" for i in range(8)]
    with server.connect() as c:
        for i in range(100):
            c.call("RPUSH", "l" + random.Random(i).choice(names), i)
            c.call("SADD", "s" + random.Random(i).choice(names), i)
        c.call("SET", "token", "here")

    def move(number):
        r, c = random.Random(seed * 500 + number), server.connect(30)
        while not crew.over():
            a, b = r.choice(names), r.choice(names)
            what = r.randint(0, 3)
            if what == 0:
                c.call("LMOVE", "l" + a, "l" + b, r.choice(["LEFT", "RIGHT"]), r.choice(["LEFT", "RIGHT"]))
            elif what == 1:
                c.call("SMOVE", "s" + a, "s" + b, r.randint(0, 99))
            elif what == 2:
                c.call("BLMOVE", "l" + a, "l" + b, "LEFT", "RIGHT", 0.01)
            else:
                c.pipeline([["RENAME", "token", "token" + a], ["RENAME", "token" + a, "token"]])

    def look():
        c = server.connect(30)
        while not crew.over():
            lengths = [["LLEN", "l" + n] for n in names] + [["SCARD", "s" + n] for n in names]
            reply = c.pipeline([["MULTI"], *lengths, ["EXEC"]])[-1]
            total = sum(n for _, n in reply[1])
            if total != 200:
                raise AssertionError(f"{total} elements instead of 200")

    for i in range(6):
        crew.start(move, i)
    crew.start(look)
    errors = crew.join()
    with server.connect() as c:
        items = [v for n in names for _, v in c.call("LRANGE", "l" + n, 0, -1)[1]]
        tokens = len(c.call("KEYS", "token*")[1])
    if sorted(map(int, items)) != list(range(100)) or tokens != 1:
        errors += f" {len(items)} items, {tokens} tokens"
    return errors


def scan(server, seconds, seed):
    """SCAN while the keyspace grows and shrinks: what is there all the time is seen."""
    steady = {b"steady:%d" % i for i in range(2000)}
    with server.connect() as c:
        c.pipeline([["SET", key, 1] for key in steady])
    crew = Crew(seconds)

    def churn(number):
        c = server.connect(30)
        while not crew.over():
            for command in ("SET", "DEL"):
                c.pipeline(
                    [[command, f"churn:{number}:{i}"] + (["x"] if command == "SET" else []) for i in range(5000)]
                )

    def walk():
        c, rounds = server.connect(30), 0
        while not crew.over() or rounds == 0:
            seen, cursor = set(), b"0"
            while True:
                cursor, keys = (part[1] for part in c.call("SCAN", cursor, "COUNT", 50)[1])
                seen.update(key for _, key in keys)
                if cursor == b"0":
                    break
            if not steady <= seen:
                raise AssertionError(f"{len(steady - seen)} keys were not seen")
            rounds += 1

    crew.start(churn, 0)
    crew.start(churn, 1)
    crew.start(walk)
    return crew.join()


def storm(server, seconds, seed):
    """Eviction, expiry, flushes and the commands that stop all threads, all at once: the server stands and counts right."""
    crew = Crew(seconds)

    def write(number):
        r, c = random.Random(seed * 600 + number), server.connect(60)
        while not crew.over():
            batch = []
            for _ in range(50):
                key, size = f"k{r.randint(0, 5000)}", r.choice([5, 50, 500, 20000])
                batch.append(r.choice([
                    ["SET", key, "v" * size, "PX", r.randint(1, 300)], ["SET", key, "v" * size], ["APPEND", key, "x"],
                    ["HSET", "h" + key, "f", "v" * size], ["LPUSH", "l" + key, "v" * size], ["ZADD", "z" + key, 1, "m"],
                    ["DEL", key], ["GET", key], ["EXPIRE", "h" + key, 1]]))  # fmt: skip
            c.pipeline(batch)

    def disturb():
        r, c = random.Random(seed), server.connect(60)
        while not crew.over():
            c.pipeline([["INFO"], ["CLIENT", "LIST"], ["MEMORY", "STATS"], ["CONFIG", "GET", "maxmemory"]])
            c.call(*r.choice([["FLUSHALL", "ASYNC"], ["SWAPDB", 0, 1], ["CONFIG", "RESETSTAT"], ["FLUSHDB"],
                              ["MEMORY", "PURGE"]]))  # fmt: skip
            time.sleep(0.02)

    with server.connect() as c:
        c.pipeline([["CONFIG", "SET", "maxmemory", "20mb"], ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]])
    for i in range(5):
        crew.start(write, i)
    crew.start(disturb)
    errors = crew.join()
    with server.connect() as c:
        c.pipeline([["CONFIG", "SET", "maxmemory", "0"], ["FLUSHALL"]])
        # What the last FLUSHALL ASYNC condemned is freed in slices.
        until = time.time() + 10
        used = 1 << 60
        while used >= 15 << 20 and time.time() < until:
            time.sleep(0.05)
            used = int(c.value("INFO", "memory").split(b"used_memory:")[1].split(b"\r")[0])
    return errors if used < 15 << 20 else errors + f" {used} bytes are in use after FLUSHALL"


def script_transfers(server, seconds, seed):
    return script_tests.script_transfers(server, seconds, seed, Crew)


def busy_scripts(server, seconds, seed):
    return script_tests.busy_scripts(server, seconds, seed, Crew)


def users(server, seconds, seed):
    """Users come, change and go while they send commands: what was forbidden before a command was sent is denied, what
    was allowed all the while is done; blocked ones too."""
    crew, epoch = Crew(seconds), {"number": 0, "allowed": None}
    seen = {"allowed": 0, "denied": 0, "killed": 0, "blocked": 0}
    with server.connect() as c:
        c.value("SET", "k1", "x")
        c.value("ACL", "SETUSER", "turns", "on", "nopass", "~k*", "+@all", "-@blocking")
        c.value("ACL", "SETUSER", "waits", "on", "nopass", "~*", "+@all")

    def change():
        r, c = random.Random(seed), server.connect(60)
        while not crew.over():
            allow = r.random() < 0.5
            epoch["allowed"], epoch["number"] = None, epoch["number"] + 1
            c.value("ACL", "SETUSER", "turns", *r.choice([["+get"], ["~k*"]] if allow else [["-get"]]))
            c.value("ACL", "SETUSER", "turns", *(["+get", "~k*"] if allow else []))
            epoch["allowed"] = allow
            time.sleep(r.choice([0, 0.001, 0.005]))

    def obey(number):
        c = server.connect(60)
        c.value("AUTH", "turns", "any")
        while not crew.over():
            before = dict(epoch)
            reply = c.pipeline([["GET", "k1"], ["MULTI"], ["GET", "k1"], ["GET", "other"], ["EXEC"], ["GET", "other"]])
            if epoch["number"] == before["number"] and before["allowed"] is not None:
                wanted = ("$", b"x") if before["allowed"] else reply[0]
                if reply[0] != wanted or (not before["allowed"] and not reply[0][1].startswith(b"NOPERM")):
                    raise AssertionError(f"allowed {before['allowed']}, the reply is {reply[0]}")
                seen["allowed" if before["allowed"] else "denied"] += 1
            if not reply[5][1].startswith(b"NOPERM"):
                raise AssertionError(f"a key of nobody's: {reply[5]}")

    def vanish(number):
        r, c, admin = random.Random(seed * 700 + number), None, server.connect(60)
        name = f"fleeting:{number}"
        while not crew.over():
            if c is None:
                admin.value("ACL", "SETUSER", name, "on", ">pw", "~*", "+@all", "(+get %R~a*)")
                c = server.connect(60)
                c.value("AUTH", name, "pw")
            try:
                c.pipeline([["SET", "k2", "x"], ["GET", "k2"], ["ACL", "WHOAMI"], ["ACL", "LIST"], ["ACL", "LOG"]])
                if r.random() < 0.3:
                    admin.value("ACL", "DELUSER", name)
                    c.pipeline([["PING"]] * 3)
                    raise AssertionError("a deleted user is served")
            except (Closed, OSError):
                seen["killed"] += 1
                c = None

    def wait(number):
        c = server.connect(60)
        c.value("AUTH", "waits", "any")
        while not crew.over():
            reply = c.call("BLPOP", "line", 0.05)
            if reply[0] == "-" and not reply[1].startswith(b"NOPERM"):
                raise AssertionError(f"{reply}")
            seen["blocked"] += reply[0] == "-"

    def feed():
        r, c = random.Random(seed * 800), server.connect(60)
        while not crew.over():
            c.value("ACL", "SETUSER", "waits", r.choice(["+blpop", "-blpop", "resetkeys", "~*"]))
            c.pipeline([["RPUSH", "line", "x"], ["ACL", "LOG", "RESET"], ["CLIENT", "LIST"], ["INFO", "stats"]])

    crew.start(change)
    crew.start(feed)
    for i in range(3):
        crew.start(obey, i)
    for i in range(2):
        crew.start(vanish, i)
        crew.start(wait, i)
    errors = crew.join()
    for what, times in seen.items():
        if not times:
            errors += f" nothing was {what}"
    return errors


def messages(server, seconds, seed):
    """Publishers and subscribers on all threads: order, each message once."""
    return pushes.order(server, Crew(seconds), seed)


def across(server, seconds, seed):
    return pushes.across(server, Crew(seconds / 2), seed)


def caches(server, seconds, seed):
    return pushes.caches(server, Crew(seconds), seed)


def monitors(server, seconds, seed):
    """MONITOR on all threads: each client's commands in its order, each once."""
    return monitor_tests.monitors(server, Crew(seconds), seed)


TESTS = (messages, across, caches, monitors, transfers, queue, work_queue, readers, fairness, counters, movers, scan,
         storm, users, script_transfers, busy_scripts)  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--seconds", type=float, default=3, help="for each test that runs for a time")
    parser.add_argument("--only", default="", help="names of tests, with commas between them")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}, server {options.server}", flush=True)
    tally = Tally()
    for test in TESTS:
        if options.only and test.__name__ not in options.only.split(","):
            continue
        with Server(options.server) as server:
            try:
                error = test(server, options.seconds, options.seed)
            except (OSError, Closed, RuntimeError) as trouble:  # the server is gone: its log says why
                error = f"{trouble!r}"
                time.sleep(0.5)
            alive = server.alive()
            tally.check(not error and alive, test.__name__, error + ("" if alive else "\n" + server.log_tail(12000)))
            code = server.stop()
            tally.check(code == 0, f"{test.__name__}: exit code", f"{code}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
