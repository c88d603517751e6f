"""Values that are too big for one slice of a snapshot's walk: the others are served meanwhile, the memory stays, and
what changes during it is in the file as it was."""

import contextlib
import os
import random
import shutil
import time

from servers import ORACLE, Server
from wire import encode

FIELDS = 100_000  # or what all_of_it is told
MOST_BYTES = 32 << 20  # that a save may take
MOST_PING = 0.1


def fill(c):
    for at in range(0, FIELDS, 1000):
        block = range(at, at + 1000)
        c.pipeline([
            ["HSET", "hash", *(w for i in block for w in (f"field:{i}", f"value:{i}"))],
            ["SADD", "set", *(f"member:{i}" for i in block)],
            ["ZADD", "zset", *(w for i in block for w in (i % 777, f"member:{i}"))],
            ["RPUSH", "list", *(f"element number {i}" for i in block)],
        ])  # fmt: skip
    c.pipeline([["XADD", "stream", f"{i + 1}-1", "field", i, "other", "x" * (i % 40)] for i in range(FIELDS // 8)])
    c.call("XGROUP", "CREATE", "stream", "group", "0")
    for i in range(20):
        c.call("XREADGROUP", "GROUP", "group", f"consumer:{i}", "COUNT", FIELDS // 200, "STREAMS", "stream", ">")
    c.call("SET", "noise", random.Random(1).randbytes(60_000_000))
    c.call("SET", "text", "some text and more of it, " * 2_000_000)
    c.call("RPUSH", "long", random.Random(2).randbytes(3_000_000), "b", "c" * 2_000_000)


def resident(server):
    with open(f"/proc/{server.pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak(server):
    with open(f"/proc/{server.pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))


def peak_from_now(server):
    """The kernel's note of the most resident memory begins anew."""
    with open(f"/proc/{server.pid}/clear_refs", "w") as f:
        f.write("5")
    return peak(server)


def is_sanitized(server):
    """Its times and its memory say nothing then."""
    with open(f"/proc/{server.pid}/exe", "rb") as f:
        program = f.read()
    return b"__asan_init" in program or b"__tsan_init" in program


def watch(server, c, field):
    """Until it is over: (worst PING, resident memory at most)."""
    worst = 0
    peak_from_now(server)
    until = time.monotonic() + 300
    with server.connect(300) as pinger:
        while time.monotonic() < until:
            for _ in range(20):
                began = time.perf_counter()
                pinger.call("PING")
                worst = max(worst, time.perf_counter() - began)
                time.sleep(0.0005)
            if field in c.value("INFO", "persistence"):
                break
    return worst, peak(server)


@contextlib.contextmanager
def redis_with(path, extra=()):
    """A client of a redis-server that has read a snapshot's file or an AOF's folder."""
    with Server(ORACLE, extra, wait=False) as oracle:
        oracle.kill()
        if os.path.isdir(path):
            shutil.copytree(path, os.path.join(oracle.folder, "appendonlydir"), dirs_exist_ok=True)
        else:
            shutil.copy(path, os.path.join(oracle.folder, "dump.rdb"))
        oracle.start()
        with oracle.connect(120) as c:
            yield c


def as_redis_reads_it(tally, what, path, wanted, extra=()):
    with redis_with(path, extra) as c:
        tally.check(c.value("DEBUG", "DIGEST") == wanted, what)
        pending = c.value("XPENDING", "stream", "group")
        tally.check(pending[0] == FIELDS // 10 and len(pending[3]) == 20, f"{what}: what is pending", str(pending[:3]))


def quiet(tally, command, threads, names):
    """Nobody changes them."""
    with Server(command, ["--threads", str(threads), "--save", "", "--auto-aof-rewrite-percentage", "0"]) as server:
        with server.connect(300) as c:
            fill(c)
            wanted = c.value("DEBUG", "DIGEST")
            for name, orders, field in (
                ("BGSAVE", [["BGSAVE"]], b"rdb_bgsave_in_progress:0"),
                ("the base of an AOF", [["CONFIG", "SET", "aof-use-rdb-preamble", "no"], ["CONFIG", "SET", "appendonly", "yes"]],
                 b"aof_rewrite_in_progress:0"),
            ):  # fmt: skip
                if name not in names:
                    continue
                before = resident(server)
                for order in orders:
                    c.call(*order)
                worst, most = watch(server, c, field)
                what = f"{name} of big values, {threads} threads"
                if not is_sanitized(server):
                    tally.check(most - before < MOST_BYTES, f"{what}: memory", f"{(most - before) >> 20} MB more")
                    tally.check(worst < MOST_PING, f"{what}: PING", f"{worst * 1000:.1f} ms")
                if name == "BGSAVE":
                    as_redis_reads_it(tally, what, os.path.join(server.folder, "dump.rdb"), wanted)
                else:
                    folder = os.path.join(server.folder, "appendonlydir")
                    as_redis_reads_it(tally, what, folder, wanted, ["--appendonly", "yes"])


def changed_meanwhile(tally, command):
    """Each of them, while it is being written."""
    with Server(command, ["--save", ""]) as server, server.connect(300) as c:
        fill(c)
        c.call("DEBUG", "SNAPSHOT", "STRESS")
        wanted = c.value("DEBUG", "DIGEST")
        c.call("BGSAVE")
        for order in (["HSET", "hash", "field:7", "changed"], ["SREM", "set", "member:9"], ["ZADD", "zset", 5, "new"],
                      ["LPOP", "list"], ["XADD", "stream", "*", "a", "b"], ["APPEND", "noise", "x"],
                      ["SETRANGE", "text", 5, "x"], ["UNLINK", "long"], ["RENAME", "text", "hash"]):  # fmt: skip
            time.sleep(0.02)
            tally.check(c.call(*order)[0] != "-", f"{order[0]} while it is saved")
        watch(server, c, b"rdb_bgsave_in_progress:0")
        as_redis_reads_it(tally, "what it was at the cut", os.path.join(server.folder, "dump.rdb"), wanted)
        c.call("BGSAVE")
        c.call("FLUSHALL")
        watch(server, c, b"rdb_bgsave_in_progress:0")
        tally.check(b"rdb_last_bgsave_status:ok" in c.value("INFO", "persistence"), "a save of what is flushed")
        fill(c)
        c.call("BGSAVE")
        time.sleep(0.05)
        tally.check(c.call("SAVE")[1] == b"ERR Background save already in progress", "SAVE in the middle of one")
        wanted = c.value("DEBUG", "DIGEST")
        tally.check(c.call("DEBUG", "RELOAD") == ("+", b"OK"), "RELOAD in the middle of one")
        tally.check(c.value("DEBUG", "DIGEST") == wanted, "it is the same again")
        c.call("BGSAVE")
        time.sleep(0.05)
        c.send("SHUTDOWN", "NOSAVE")  # gives the save up
        tally.check(server.process.wait(60) == 0, "SHUTDOWN in the middle of one")
        tally.check(not [f for f in os.listdir(server.folder) if f.startswith("temp-")], "no file of it is left")


def hot(tally, command):
    """The first write after the cut is to the biggest of all: it waits for the file, and takes no memory."""
    with Server(command, ["--save", ""]) as server, server.connect(300) as c:
        noise = random.Random(3)
        for at in range(0, FIELDS, 1000):
            c.call("HSET", "hash", *(w for i in range(at, at + 1000) for w in (f"field:{i}", noise.randbytes(300))))
        for what, order in (("HSET", ["HSET", "hash", "field:1", "x"]), ("UNLINK", ["UNLINK", "hash"])):
            wanted = c.value("DEBUG", "DIGEST")
            before = peak_from_now(server)
            c.send_raw(encode(["BGSAVE"]) + encode(order))
            tally.check(c.read()[0] == "+" and c.read()[0] == ":", f"{what} of what is saved")
            grown = peak(server) - before
            watch(server, c, b"rdb_bgsave_in_progress:0")
            if not is_sanitized(server):
                tally.check(grown < MOST_BYTES, f"{what} of what is saved: memory", f"{grown >> 20} MB more")
            with redis_with(os.path.join(server.folder, "dump.rdb")) as theirs:
                tally.check(theirs.value("DEBUG", "DIGEST") == wanted, f"{what} of what is saved: the file")


def only_writers_wait(tally, command):
    """Who changes what is still to be saved waits for it; nobody else does, and the file is of the cut."""
    with Server(command, ["--save", ""]) as server, server.connect(300) as c, server.connect(300) as d:
        for at in range(0, 6 * FIELDS, 1000):
            c.call("HSET", "hash", *(w for i in range(at, at + 1000) for w in (f"field:{i}", f"value:{i}")))
        changes = {"HSET": [["HSET", "hash", "new", "x"]], "EXPIRE": [["EXPIRE", "hash", 1000]],
                   "EXEC": [["MULTI"], ["SET", "n", 1], ["HSET", "hash", "new", "y"], ["EXEC"]],
                   "EVAL": [["EVAL", "return redis.call('hset', KEYS[1], 'new', 'z')", 1, "hash"]],
                   "a pipeline": [["SET", "n", 2], ["HDEL", "hash", "new"], ["GET", "n"]]}  # fmt: skip
        for what, commands in changes.items():
            wanted = c.value("DEBUG", "DIGEST")
            c.call("BGSAVE")
            d.send_raw(b"".join(map(encode, commands)))
            worst, _ = watch(server, c, b"rdb_bgsave_in_progress:0")
            got = [d.read() for _ in commands]
            tally.check(all(kind != "-" for kind, _ in got), f"{what} of what is saved, {commands}", f"{got}")
            if not is_sanitized(server):
                tally.check(worst < MOST_PING, f"{what} of what is saved: PING", f"{worst * 1000:.1f} ms")
            with redis_with(os.path.join(server.folder, "dump.rdb")) as theirs:
                tally.check(theirs.value("DEBUG", "DIGEST") == wanted, f"{what} of what is saved: the file")


def all_of_it(tally, command, fields):
    global FIELDS
    FIELDS = fields
    quiet(tally, command, 1, {"BGSAVE", "the base of an AOF"})
    quiet(tally, command, 2, {"BGSAVE"})
    changed_meanwhile(tally, command)
    hot(tally, command)
    only_writers_wait(tally, command)
