#!/usr/bin/python3
"""Saving and loading, compared with redis-server. run.py --server "brim-server --threads 2" [--seed N]

Files and DUMP payloads go both ways and the whole keyspaces are compared by DEBUG DIGEST; cuts taken while clients
write are consistent; files that are cut short or changed never crash the server.
--snapshots 100 and --keys 1000000 are the long forms of two tests; --only: some of them.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness"), os.path.join(HERE, "..", "differential")]

import gen_collections  # noqa: E402,F401
import gen_strings  # noqa: E402,F401
import gen_zsets  # noqa: E402,F401
import big_values  # noqa: E402
import idempotent_ids  # noqa: E402
import round_trip  # noqa: E402
import shutdowns  # noqa: E402
import snapshots  # noqa: E402
import versions  # noqa: E402
from servers import ORACLE, Server, Tally  # noqa: E402
from streams import stream_commands, stream_state, text  # noqa: E402
from wire import Closed  # noqa: E402


def populate(c, r, keys):
    """Keys of every type and encoding, in three databases, some with expiries."""
    for db in (0, 3, 9):
        batch = [["SELECT", db]]
        for i in range(keys):
            key, kind, n = f"k{db}:{i}", r.randrange(12), r.choice((1, 3, 20, 200, 700))
            if kind == 0:
                batch.append(["SET", key, text(r)])
            elif kind == 1:
                batch.append(["SET", key, text(r, 3000) * r.choice((1, 1, 40))])
            elif kind == 2:
                batch.append(["RPUSH", key, *(text(r, r.choice((8, 40, 9000 if n < 20 else 40))) for _ in range(n))])
            elif kind == 3:
                batch.append(
                    ["SADD", key, *(r.randrange(-(1 << r.choice((7, 15, 31, 62))), 1 << 20) for _ in range(n))]
                )
            elif kind == 4:
                batch.append(["SADD", key, *(text(r) for _ in range(n))])
            elif kind in (5, 6):
                score = lambda: r.choice(
                    (r.random() * 1e6, r.randrange(-5, 5), "inf", "-inf", "-0", 1e300, 0.1)
                )  # noqa: E731
                batch.append(["ZADD", key, *(x for _ in range(n) for x in (score(), text(r)))])
            elif kind in (10, 11):
                batch += stream_commands(r, key, n)
            else:
                batch.append(["HSET", key, *(x for _ in range(n) for x in (text(r), text(r, r.choice((20, 100)))))])
            if r.randrange(4) == 0:
                batch.append(["PEXPIRE", key, r.randrange(100000, 10**9)])
        bad = [reply for reply in c.pipeline(batch) if reply[0] == "-"]
        assert not bad, bad[:2]
    c.call("SELECT", 0)


def digest(c):
    return c.value("DEBUG", "DIGEST")


def names(c, said_in_commands=False):
    """Every key with its type, encoding and expiry; of streams, everything: the digest leaves their groups out."""
    out = {}
    for db in (0, 3, 9):
        c.call("SELECT", db)
        for key in c.value("KEYS", "*"):
            kind = c.value("TYPE", key)
            state = stream_state(c, key, said_in_commands) if kind in (b"stream", "stream") else None
            out[db, key] = (kind, c.value("OBJECT", "ENCODING", key), c.value("PEXPIRETIME", key), state)
    c.call("SELECT", 0)
    return out


def move_file(tally, what, source, target, r, keys):
    """Saved by one, loaded by the other."""
    with Server(source) as a:
        with a.connect(60) as c:
            populate(c, r, keys)
            tally.check(c.call("SAVE") == ("+", b"OK"), f"{what}: SAVE")
            wanted, listing = digest(c), names(c)
        with Server(target) as b:
            folder = b.folder
            b.kill()
            shutil.copy(os.path.join(a.folder, "dump.rdb"), os.path.join(folder, "dump.rdb"))
            b.start()
            with b.connect(60) as c:
                tally.check(digest(c) == wanted, f"{what}: the same digest")
                there = names(c)
                different = [k for k in listing if there.get(k) != listing[k]]
                tally.check(
                    there == listing,
                    f"{what}: keys, encodings, expiries",
                    f"{[(k, listing[k], there.get(k)) for k in different[:3]]}",
                )


def reload(tally, command, r):
    with Server(command) as server, server.connect(60) as c:
        populate(c, r, 150)
        before, listing = digest(c), names(c)
        tally.check(c.call("DEBUG", "RELOAD") == ("+", b"OK"), "DEBUG RELOAD")
        tally.check(digest(c) == before and names(c) == listing, "DEBUG RELOAD changes nothing")


def payloads(tally, command, r):
    """DUMP here, RESTORE there, both ways; hostile payloads get an error."""
    with Server(command) as ours, Server(ORACLE) as oracle, ours.connect(60) as a, oracle.connect(60) as b:
        populate(a, r, 120)
        populate(b, r, 120)
        dumps = []
        for source, target, prefix in ((a, b, "from-brim:"), (b, a, "from-redis:")):
            keys = source.value("KEYS", "*")
            keys = [k for k in keys if not k.startswith(b"from")]
            for key in keys:
                payload = source.value("DUMP", key)
                dumps.append(payload)
                ttl = max(0, source.value("PTTL", key))
                reply = target.call("RESTORE", prefix.encode() + key, ttl, payload)
                tally.check(reply == ("+", b"OK"), f"RESTORE {prefix}{key!r}", f"{reply}")
            checks = [
                key
                for key in keys
                if source.value("DEBUG", "DIGEST-VALUE", key)
                != target.value("DEBUG", "DIGEST-VALUE", prefix.encode() + key)
            ]
            tally.check(not checks, f"values of {prefix}", f"{checks[:3]}")
            streams = [key for key in keys if source.value("TYPE", key) in (b"stream", "stream")]
            different = [
                key
                for key in streams
                if stream_state(source, key, False) != stream_state(target, prefix.encode() + key, False)
            ]
            tally.check(streams and not different, f"streams of {prefix}", f"{different[:3]}")
        for case in (
            ["RESTORE", "new", "-1", dumps[0]], ["RESTORE", "new", "x", dumps[0]], ["RESTORE", "new", 0, b"short"],
            ["RESTORE", "new", 0, dumps[0][:-1] + b"x"], ["RESTORE", "new", 0, dumps[0], "IDLETIME", "-1"],
            ["RESTORE", "new", 0, dumps[0], "FREQ", 256], ["RESTORE", "new", 0, dumps[0], "FREQ"],
            ["RESTORE", "new", 0, dumps[0], "IDLETIME", 1, "FREQ", 1], ["RESTORE", "new", 0, dumps[0], "NOPE"],
            ["SET", "there", 1], ["RESTORE", "there", 0, dumps[0]], ["RESTORE", "there", 0, dumps[0], "REPLACE"],
            ["RESTORE", "there", 1, dumps[0], "REPLACE", "ABSTTL"], ["EXISTS", "there"], ["DUMP", "nokey"],
            ["RESTORE", "new2", 100000, dumps[0], "IDLETIME", 1000], ["RESTORE", "new2", 0, dumps[0]],
        ):  # fmt: skip
            x, y = a.call(*case), b.call(*case)
            tally.check(x == y, f"{[w if len(str(w)) < 30 else '...' for w in case]}", f"{x} instead of {y}")
        survived = 0
        for _ in range(3000):
            payload = bytearray(r.choice(dumps)[:-8])
            for _ in range(r.choice((1, 1, 2, 5))):
                payload[r.randrange(len(payload) - 2)] = r.randrange(256)
            if r.randrange(4) == 0:
                del payload[r.randrange(len(payload) - 2) : -2]
            reply = a.call("RESTORE", "hostile", 0, bytes(payload) + b"\0" * 8, "REPLACE")
            survived += reply[0] == "+" or reply[1].startswith(b"ERR")
        tally.check(survived == 3000, "hostile payloads", f"{survived}")
        tally.check(ours.alive(), "hostile payloads: the server stands", ours.log_tail())


def cuts(tally, command, count):
    """Transfers between accounts go on while cuts are taken: in each file the sum is what it always is."""
    accounts, total = 400, 400 * 1000
    with Server(command) as server, server.connect(60) as c:
        c.pipeline([["SET", f"a:{i}", 1000] for i in range(accounts)])
        c.pipeline([["HSET", f"h:{i}", "f", "v" * 50] for i in range(20000)])
        over, errors = threading.Event(), []

        def transfer(seed):
            r, mine = random.Random(seed), server.connect(60)
            while not over.is_set():
                batch = []
                for _ in range(40):
                    x, y, n = r.randrange(accounts), r.randrange(accounts), r.randrange(10)
                    batch += [["MULTI"], ["DECRBY", f"a:{x}", n], ["INCRBY", f"a:{y}", n], ["EXEC"]]
                    batch += [["HSET", f"h:{r.randrange(20000)}", "g", n], ["DEL", f"h:{r.randrange(20000)}"],
                              ["RENAME", f"h:{r.randrange(20000)}", f"h:{r.randrange(20000)}"]]  # fmt: skip
                mine.pipeline(batch)

        crew = [threading.Thread(target=transfer, args=(i,), daemon=True) for i in range(3)]
        for t in crew:
            t.start()
        with Server(command) as second:
            for n in range(count):
                reply = c.call("BGSAVE")
                if reply != ("+", b"Background saving started"):
                    errors.append(f"{reply}")
                until = time.monotonic() + 30
                while b"rdb_bgsave_in_progress:1" in c.value("INFO", "persistence") and time.monotonic() < until:
                    time.sleep(0.01)
                second.kill()
                shutil.copy(os.path.join(server.folder, "dump.rdb"), os.path.join(second.folder, "dump.rdb"))
                second.start()
                with second.connect(60) as d:
                    there = sum(int(v) for v in d.value("MGET", *(f"a:{i}" for i in range(accounts))))
                    if there != total:
                        errors.append(f"cut {n}: {there} instead of {total}")
        over.set()
        for t in crew:
            t.join()
        tally.check(not errors, f"{count} cuts while clients write", "; ".join(errors[:5]))


def broken_files(tally, command, r):
    """Cut short or changed: the server says where and ends with 1, or loads it; it never crashes."""
    with Server(command) as server, server.connect() as c:
        populate(c, r, 12)
        c.call("SAVE")
        with open(os.path.join(server.folder, "dump.rdb"), "rb") as f:
            whole = f.read()
    crashes, silent = [], 0
    words = command.split()
    with tempfile.TemporaryDirectory() as folder:
        for n in range(60):
            data = bytearray(whole)
            if n < 30:
                del data[r.randrange(1, len(data)) :]
            else:
                data[r.randrange(len(data))] ^= 1 << r.randrange(8)
            with open(os.path.join(folder, "dump.rdb"), "wb") as f:
                f.write(data)
            line = words + ["--port", "0", "--unixsocket", os.path.join(folder, "s"), "--save", "", "--dir", folder]
            process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            try:
                said, _ = process.communicate(timeout=3)
                if process.returncode != 1:
                    crashes.append(f"{n}: exit code {process.returncode}")
                silent += b"at offset" not in said
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=20)
                crashes.append(f"{n}: it was loaded")
        tally.check(not crashes, "broken files end the start", "; ".join(crashes[:4]))
        tally.check(silent == 0, "and the log says at which offset")


def life(tally, command):
    """Save points, the end of the process, trouble with the disk."""
    with Server(command, ["--save", "1 5"]) as server:
        with server.connect() as c:
            c.pipeline([["SET", f"k:{i}", i] for i in range(100)])
            until = time.monotonic() + 10
            while b"rdb_saves:0" in c.value("INFO", "persistence") and time.monotonic() < until:
                time.sleep(0.1)
            tally.check(b"rdb_saves:1" in c.value("INFO", "persistence"), "a save point saves")
            c.call("SET", "last", "one")
        server.process.terminate()
        tally.check(server.process.wait(20) == 0, "SIGTERM: exit code")
        server.start()
        with server.connect() as c:
            tally.check(c.value("GET", "last") == b"one" and c.value("DBSIZE") == 101, "SIGTERM saves")
            shutil.rmtree(server.folder)
            tally.check(c.call("SAVE")[0] == "-", "SAVE into a folder that is gone")
            reply = c.call("SET", "a", 1)
            tally.check(reply[0] == "-" and reply[1].startswith(b"MISCONF Redis is configured"), "MISCONF", f"{reply}")
            tally.check(c.value("GET", "last") == b"one", "reads are served meanwhile")
            os.mkdir(server.folder)
            c.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
            tally.check(c.call("SET", "a", 1) == ("+", b"OK"), "stop-writes-on-bgsave-error no")
            c.call("CONFIG", "SET", "save", "")
            try:
                c.call("SHUTDOWN", "NOSAVE")
            except (Closed, OSError):
                pass
            tally.check(server.process.wait(20) == 0, "SHUTDOWN NOSAVE: exit code")


def base_of(folder):
    """The name of the AOF's base by its manifest, and its bytes."""
    with open(os.path.join(folder, "appendonlydir", "appendonly.aof.manifest")) as f:
        lines = [line.split() for line in f]
    name = next(words[1] for words in lines if words[5] == "b")
    with open(os.path.join(folder, "appendonlydir", name), "rb") as f:
        return name, f.read()


def rewrite(tally, c, *then):
    """BGREWRITEAOF to its end; `then` is sent behind it at once."""
    replies = c.pipeline([["BGREWRITEAOF"], *then])
    tally.check(not [r for r in replies if r[0] == "-"], "BGREWRITEAOF", f"{replies}")
    until = time.monotonic() + 30
    while b"aof_rewrite_in_progress:1" in c.value("INFO", "persistence") and time.monotonic() < until:
        time.sleep(0.01)


def add_corners(c):
    """What `populate` rarely or never makes."""
    every_byte = bytes(range(256))
    zeros = [word for i in range(300) for word in ("-0" if i % 2 else i % 3, f"m{i}")]
    batch = [
        ["SELECT", 15], ["SET", every_byte, every_byte * 400], ["SET", "empty", ""], ["SET", "", "no name"],
        ["SET", "int", -(1 << 63)], ["APPEND", "raw", "1"], ["HSET", "h:empty", "", ""], ["SADD", "s:empty", ""],
        ["ZADD", "z:zeros", *zeros], ["ZADD", "z:all", *(word for i in range(200) for word in (1, f"n{i}"))],
        ["ZADD", "z:all", *(word for i in range(200) for word in ("-0", f"n{i}"))],
        ["ZADD", "z:scores", 5e-324, "a", 1.7976931348623157e308, "b", 0.1, "c", 1 / 3, "d", 1e17, "e",
         (1 << 53) + 2, "f", "inf", "g", "-inf", "h", "-1e-300", "i"],
        ["RPUSH", "l:64", *range(64)], ["RPUSH", "l:65", *range(65)], ["RPUSH", "l:128", *range(128)],
        ["RPUSH", "l:bytes", every_byte, "", "x" * 100000, every_byte * 100, -1, 1 << 40],
        ["CONFIG", "SET", "list-max-listpack-size", "3"], ["RPUSH", "l:nodes", *range(200)],
        ["DEBUG", "QUICKLIST-PACKED-THRESHOLD", "100b"], ["RPUSH", "l:plain", "a" * 99, every_byte, "b" * 200],
        ["DEBUG", "QUICKLIST-PACKED-THRESHOLD", "0"], ["CONFIG", "SET", "list-max-listpack-size", "-2"],
        ["CONFIG", "SET", "set-max-listpack-entries", "128"], ["SADD", "s:listpack", "a", 1, every_byte],
        ["CONFIG", "SET", "set-max-listpack-entries", "0"],
        ["SET", "soon", 1, "PX", 50], ["SET", "late", 1, "PXAT", 1 << 62], ["SELECT", 0],
    ]  # fmt: skip
    bad = [reply for reply in c.pipeline(batch) if reply[0] == "-"]
    assert not bad, bad[:2]


def settled_digest(c):
    """A key past its time is gone when it has been looked at; until then it is part of the digest."""
    c.pipeline([["SELECT", 15], ["EXISTS", "soon"], ["SELECT", 0]])
    return digest(c)


def commands_base(tally, command, r):
    """aof-use-rdb-preamble no: the base is commands, which both servers load."""
    setting = ["--appendonly", "yes", "--aof-use-rdb-preamble", "no", "--databases", "16"]
    with Server(command, setting) as server:
        tally.check(base_of(server.folder) == ("appendonly.aof.1.base.aof", b""), "the first base is empty")
        with server.connect(60) as c:
            populate(c, r, 300)
            add_corners(c)
            # What is said meanwhile counts from the next rewrite on.
            rewrite(tally, c, ["CONFIG", "SET", "aof-use-rdb-preamble", "yes"], ["CONFIG", "SET", "appendfsync", "no"])
            c.call("CONFIG", "SET", "aof-use-rdb-preamble", "no")
            name, data = base_of(server.folder)
            tally.check(name == "appendonly.aof.2.base.aof" and data[:1] == b"*", "a base of commands", f"{name}")
            most = {}
            for count, word in re.findall(rb"\*(\d+)\r\n\$\d+\r\n(RPUSH|SADD|ZADD|HMSET)\r\n", data):
                most[word] = max(most.get(word, 0), int(count))
            tally.check(
                most == {b"RPUSH": 66, b"SADD": 66, b"ZADD": 130, b"HMSET": 130}, "64 elements a command", f"{most}"
            )
            c.pipeline([["SELECT", 3], ["SET", "after", 1], ["SELECT", 0]])
            time.sleep(0.1)
            wanted, listing = settled_digest(c), names(c, True)
        server.restart()
        with server.connect(60) as c:
            tally.check(settled_digest(c) == wanted, "a base of commands: the same digest")
            tally.check(names(c, True) == listing, "a base of commands: keys, encodings, expiries")
        with Server(ORACLE, setting) as oracle:
            oracle.kill()
            shutil.rmtree(os.path.join(oracle.folder, "appendonlydir"))
            shutil.copytree(os.path.join(server.folder, "appendonlydir"), os.path.join(oracle.folder, "appendonlydir"))
            manifest = os.path.join(oracle.folder, "appendonlydir", "appendonly.aof.manifest")
            checked = subprocess.run(["redis-check-aof", manifest], stdout=subprocess.PIPE)
            tally.check(checked.returncode == 0, "a base of commands: redis-check-aof", f"{checked.stdout[-200:]}")
            oracle.start()
            with oracle.connect(60) as c:
                tally.check(settled_digest(c) == wanted, "a base of commands: redis-server's digest")
                tally.check(names(c, True) == listing, "a base of commands: redis-server's keys")
        with server.connect(60) as c:
            c.call("CONFIG", "SET", "aof-timestamp-enabled", "yes")
            rewrite(tally, c)
            tally.check(base_of(server.folder)[1][:5] == b"#TS:1", "a base of commands: the time stamp")
            server.restart()
        with server.connect(60) as c:
            tally.check(settled_digest(c) == wanted, "a base with a time stamp: the same digest")
            c.call("CONFIG", "SET", "aof-use-rdb-preamble", "yes")
            rewrite(tally, c)
            name, data = base_of(server.folder)
            tally.check(name == "appendonly.aof.4.base.rdb" and data[:5] == b"REDIS", "an RDB base again", f"{name}")
            server.restart()
        with server.connect(60) as c:
            tally.check(settled_digest(c) == wanted, "an RDB base again: the same digest")


def moves(tally, command, r):
    move_file(tally, "redis-server to Brim", ORACLE, command, r, 300)
    move_file(tally, "Brim to redis-server", command, ORACLE, r, 300)
    move_file(tally, "Brim to Brim", command, command, r, 100)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--snapshots", type=int, default=6, help="compared with a model")
    parser.add_argument("--pool", type=int, default=12000, help="keys that are written to meanwhile")
    parser.add_argument("--keys", type=int, default=10000, help="of the round trips")
    parser.add_argument("--fields", type=int, default=100_000, help="of the big values")
    parser.add_argument("--only", help="names of tests, with commas")
    options = parser.parse_args()
    tally, r, ours = Tally(), random.Random(options.seed), options.server
    tests = {
        "moves": lambda: moves(tally, ours, r),
        "reload": lambda: reload(tally, ours, r),
        "payloads": lambda: payloads(tally, ours, r),
        "cuts": lambda: cuts(tally, ours, options.cuts),
        "broken_files": lambda: broken_files(tally, ours, r),
        "commands_base": lambda: commands_base(tally, ours, r),
        "life": lambda: life(tally, ours),
        "versions": lambda: versions.all_of_it(tally, ours),
        "idempotent_ids": lambda: idempotent_ids.all_of_it(tally, ours, options.seed),
        "shutdowns": lambda: shutdowns.all_of_it(tally, ours),
        "round_trip": lambda: round_trip.both_ways(tally, ours, options.seed, options.keys),
        "big_values": lambda: big_values.all_of_it(tally, ours, options.fields),
        "snapshots": lambda: snapshots.against_model(tally, ours, options.seed, options.snapshots, options.pool),
    }
    for name in options.only.split(",") if options.only else tests:
        started = time.monotonic()
        tests[name]()
        print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
