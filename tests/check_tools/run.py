#!/usr/bin/python3
"""brim-check-rdb and brim-check-aof beside redis-check-rdb and redis-check-aof. run.py --bin build/release/bin [--seed N]

Files that redis-server made, whole, cut short and changed: the exit codes are the same, and so is what the AOF tools
say. What --fix leaves is loaded by redis-server, and is what redis-check-aof --fix leaves.

Exit codes that differ, and why (see excused()):
  - files with streams, for as long as RdbReader does not read them (the test tells, and includes them when it does);
  - types and versions of Redis 7.2 and 7.4 (RDB 11, 12; opcodes and types from 20 on): Brim loads them, 7.0 does not;
  - a version that is not four digits: redis-check-rdb reads as far as there are digits, so that "001x" is a file of
    version 1, which has no checksum; Brim refuses to load it;
  - redis-check-aof takes every file for a manifest in which some line begins with "file", so also a plain AOF with such
    a value; ours looks at the first line that is no comment;
  - the score of a sorted set in a listpack that is no number any more: Redis takes the digits in front;
  - a length in whose place an encoded text stands: Redis takes the encoding's number for the length;
  - where redis-check-rdb or redis-check-aof is ended by a signal or asks for too much memory, ours ends with 1;
  - without a checksum some changed values pass one reader and not the other: SLACK counts them.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from servers import ORACLE, Server, StartError, Tally  # noqa: E402

NO_TIME = "99999999999"


def run(program, *args, answer=""):
    p = subprocess.run(
        [program, *args], input=answer.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
    )
    return p.returncode, p.stdout.decode("latin-1")


class Pair:
    """Our tool and Redis's on the same file, each on a copy of its own folder."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs

    def run(self, *args, answer=""):
        return run(self.ours, *args, answer=answer), run(self.theirs, *args, answer=answer)

    def run_apart(self, folder, name, *options, answer=""):
        """Tools that change files: (ours, theirs, our folder, their folder)."""
        folders = [folder + ".ours", folder + ".theirs"]
        for copy in folders:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(folder, copy)
        a = run(self.ours, *options, os.path.join(folders[0], name), answer=answer)
        b = run(self.theirs, *options, os.path.join(folders[1], name), answer=answer)
        return a, b, *folders


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()


# ---- RDB

def populate(c, r, streams):
    """Every type in every encoding, expiries, two databases, a library of functions."""
    word = lambda n: "".join(r.choice("abcdefgh") for _ in range(n))  # noqa: E731
    batch = []
    for db in (0, 5):
        batch += [["SELECT", db], ["SET", "int", r.randrange(1 << 40)], ["SET", "small", 7], ["SET", "text", word(30)]]
        batch += [["SET", "packed", "abc" * 500], ["SET", "long", word(20000)], ["SET", "", "of the empty key"]]
        batch += [["RPUSH", "list", *(word(9) for _ in range(20))], ["RPUSH", "nodes", *(word(90) for _ in range(300))]]
        batch += [["RPUSH", "plain", word(9000), "x", word(9000)], ["SADD", "intset", *range(50)]]
        batch += [["SADD", "set", *(word(6) for _ in range(40))], ["HSET", "hash", *(word(6) for _ in range(40))]]
        batch += [["HSET", "table", *(word(6) for _ in range(2000))], ["HSET", "wide", "field", word(200)]]
        batch += [["ZADD", "zset", *(x for i in range(20) for x in (r.random() * 100, word(6)))]]
        batch += [["ZADD", "tree", *(x for i in range(300) for x in (r.randrange(99), word(6)))]]
        batch += [["ZADD", "ends", "inf", "a", "-inf", "b", "-0", word(80)]]
        batch += [["SET", "late", 1, "PXAT", NO_TIME], ["PEXPIRE", "hash", 10**9]]
        if streams:
            batch += [["XADD", "stream", "*", "field", word(9)] for _ in range(150)]
            batch += [["XGROUP", "CREATE", "stream", "group", 0]]
            batch += [["XREADGROUP", "GROUP", "group", "me", "COUNT", 5, "STREAMS", "stream", ">"]]
    batch.append(["FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)"])
    batch.append(["SELECT", 0])
    bad = [reply for reply in c.pipeline(batch) if reply[0] == "-"]
    assert not bad, bad[:2]


def rdb_files(r, streams):
    """The same keys saved with a checksum and without, and with the encodings of large values."""
    files = {}
    settings = {
        "with checksum": [],
        "without checksum": ["--rdbchecksum", "no"],
        "unpacked, without checksum": ["--rdbchecksum", "no", "--rdbcompression", "no", "--hash-max-listpack-entries",
                                       "0", "--zset-max-listpack-entries", "0", "--set-max-intset-entries", "0"],
    }  # fmt: skip
    for name, extra in settings.items():
        with Server(ORACLE, extra) as server, server.connect(60) as c:
            populate(c, r, streams)
            assert c.call("SAVE") == ("+", b"OK")
            files[name] = read(os.path.join(server.folder, "dump.rdb"))
    return files


def reads_streams(pair, folder):
    path = os.path.join(folder, "stream.rdb")
    with Server(ORACLE) as server, server.connect() as c:
        c.pipeline([["XADD", "s", "*", "field", "text"], ["SAVE"]])
        shutil.copy(os.path.join(server.folder, "dump.rdb"), path)
    return pair.run(path)[0][0] == 0


def excused(data, ours, said, code):
    """Why the exit codes may differ; None when they may not. `ours` is what our tool said."""
    if code < 0 or "Server crash" in said:
        return "ended by a signal"
    if not data[5:9].isdigit():
        return "version that is no number"
    if data[:5] == b"REDIS" and data[5:9] in (b"0011", b"0012"):
        return "version of Redis 7.2 or 7.4"
    if code == 0 and "reading pairs in one piece" in ours and "Reading type 17 " in ours:
        return "score that is no number"
    if code == 0 and "a length, and found an encoded text" in ours:
        return "encoded text in the place of a length"
    if code == 0 and "reading a stream's node" in ours:
        return "within a stream's node, where redis-check-rdb does not look"
    bad = re.search(r"Invalid object type: (\d+)", said)
    if bad and (20 <= int(bad.group(1)) <= 25 or int(bad.group(1)) == 244):
        return "type of Redis 7.2 or 7.4"
    return None


SLACK = 0.01  # of the changed files without a checksum


def told(said):
    """What both RDB checkers say but the error's own words."""
    said = re.sub(r"(?m)^\d+:C .*\n?", "", said)
    said = re.sub(r"(?m)^\[additional info\] Reading type .*\n?", "", said)
    return re.sub(r"(?m)(DETECTED ---\n\[offset \d+\]).*", r"\1", said)


def check_rdb(tally, pair, r, rounds, folder, streams):
    path = os.path.join(folder, "x.rdb")
    excuses = {}
    for name, whole in rdb_files(r, streams).items():
        write(path, whole)
        ours, theirs = pair.run(path)
        tally.check(ours == theirs and ours[0] == 0, f"RDB {name}", f"{ours} instead of {theirs}")
        wrong, texts, differ = [], [], 0
        for n in range(rounds):
            data = bytearray(whole)
            if n < rounds // 3:
                del data[r.choice((r.randrange(len(data)), r.randrange(300))) :]
            else:
                for _ in range(r.choice((1, 1, 1, 4))):
                    data[r.choice((r.randrange(len(data)), r.randrange(300)))] = r.choice((0, 255, r.randrange(256)))
            write(path, data)
            ours, theirs = pair.run(path)
            why = excused(bytes(data), ours[1], theirs[1], theirs[0])
            if ours[0] not in (0, 1):
                wrong.append(f"exit code {ours[0]}: {ours[1][-300:]}")
            elif ours[0] == theirs[0]:
                if n < rounds // 3 and told(ours[1]) != told(theirs[1]):
                    texts.append(f"{told(ours[1])[-300:]} instead of {told(theirs[1])[-300:]}")
            elif why:
                excuses[why] = excuses.get(why, 0) + 1
            else:
                differ += 1
                if "without" not in name or differ > SLACK * rounds:
                    wrong.append(f"{ours[0]} instead of {theirs[0]}: {ours[1][-250:]} / {theirs[1][-400:]}")
        tally.check(not wrong, f"RDB {name}: broken files", f"{len(wrong)}: {' ;; '.join(wrong[:3])}")
        tally.check(not texts, f"RDB {name}: cut files, what is told", f"{len(texts)}: {' ;; '.join(texts[:2])}")
        print(f"RDB {name}: {differ} of {rounds} judged otherwise than redis-check-rdb")
    print(f"excused: {excuses or 'none'}")


def odd_rdbs(tally, pair, folder):
    """Files made by hand: what redis-server does not write by itself."""
    path = os.path.join(folder, "odd.rdb")
    end = b"\xff" + bytes(8)
    cases = {
        "nothing": b"", "no RDB": b"NOTREDIS0010", "version 0": b"REDIS0000" + end, "version 14": b"REDIS0014" + end,
        "version 1": b"REDIS0001\xff", "empty": b"REDIS0010" + end, "more behind": b"REDIS0010" + end + b"more",
        "empty hash": b"REDIS0010\x04\x01k\0" + end, "empty list": b"REDIS0010\x12\x01k\0" + end,
        "module value": b"REDIS0010\x07\x01k\x81abcdefgh\x02\x05\x05\x01x\0" + end,
        "old module value": b"REDIS0010\x06\x01k\1" + end,
        "module's field": b"REDIS0010\xf7\x81abcdefgh\x02\x02\x05\x01x\0" + end,
        "key twice": b"REDIS0010\0\x01k\x01v\0\x01k\x01v" + end, "database 65536": b"REDIS0010\xfe\x80\0\1\0\0" + end,
        "field twice": b"REDIS0010\x04\x01k\x02\1a\1b\1a\1b" + end, "type 8": b"REDIS0010\x08\x01k\1" + end,
        "type 99": b"REDIS0010\x63\x01k\1" + end, "seconds": b"REDIS0010\xfd\1\0\0\0\0\1k\1v" + end,
        "freq, idle": b"REDIS0010\xf9\1\xf8\2\0\1k\1v" + end, "wrong sum": b"REDIS0010\xff" + b"x" * 8,
        "long text": b"REDIS0010\0\x01k\x81\0\0\0\0\xff\xff\xff\xff" + end,
    }  # fmt: skip
    for name, data in cases.items():
        write(path, data)
        ours, theirs = pair.run(path)
        tally.check(ours[0] == theirs[0], f"odd RDB: {name}", f"{ours} instead of {theirs}")
    for args in ([], [path, path], [os.path.join(folder, "nofile")], [folder], ["-v"], ["--version"]):
        ours, theirs = pair.run(*args)
        tally.check(ours[0] == theirs[0], f"brim-check-rdb {args}", f"{ours} instead of {theirs}")


# ---- AOF

MANIFEST = "appendonly.aof.manifest"


def command(*words):
    words = [str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def make_aof(r, folder, *extra):
    """The folder of a multi-part AOF of a redis-server that rewrote once, with timestamps and transactions."""
    with Server(ORACLE, ["--appendonly", "yes", "--aof-timestamp-enabled", "yes", *extra]) as server:
        with server.connect(60) as c:
            for part in range(2):
                for i in range(60):
                    c.call("SET", f"key:{part}:{i}", "v" * r.randrange(200))
                    if i % 10 == 0:
                        c.pipeline([["MULTI"], ["INCR", "n"], ["RPUSH", "l", i, "a\r\nb"], ["EXEC"]])
                    if i == 30:
                        time.sleep(1.1)  # another timestamp
                if part == 0:
                    c.call("BGREWRITEAOF")
                    until = time.monotonic() + 20
                    while ".2.base" not in str(os.listdir(os.path.join(server.folder, "appendonlydir"))):
                        assert time.monotonic() < until
                        time.sleep(0.02)
        server.process.terminate()
        server.process.wait(20)
        shutil.copytree(os.path.join(server.folder, "appendonlydir"), folder)


def split_increment(folder):
    """Makes two increments of the one, parted in front of the second timestamp."""
    names = sorted(n for n in os.listdir(folder) if n.endswith(".incr.aof"))
    assert len(names) == 1, names
    data = read(os.path.join(folder, names[0]))
    at = data.index(b"#TS:", len(data) // 3)
    write(os.path.join(folder, names[0]), data[:at])
    write(os.path.join(folder, "appendonly.aof.3.incr.aof"), data[at:])
    with open(os.path.join(folder, MANIFEST), "a") as f:
        f.write("file appendonly.aof.3.incr.aof seq 3 type i\n")
    return names[0], "appendonly.aof.3.incr.aof"


def same_words(said, folder=""):
    """Without what may differ: log prefixes, the line counted over all files, folders, how odd bytes are shown."""
    said = re.sub(r"(?m)^\d+:C \d.*?# ", "", said)
    said = re.sub(r"ok_up_to_line=\d+", "ok_up_to_line", said)
    said = re.sub(r"redis-check-aof|brim-check-aof", "check-aof", re.sub(r"\S*/((redis|brim)-check)", r"\1", said))
    said = re.sub(r"(?s), got: .*?\nAOF analyzed", ", got\nAOF analyzed", said)
    said = re.sub(r"(?s)If you insist.*", "", said)
    if folder:
        said = said.replace(folder + "/", "")
    return "\n".join(line for line in said.split("\n") if line)


def same(tally, name, ours, theirs, folders=("", "")):
    a, b = (ours[0], same_words(ours[1], folders[0])), (theirs[0], same_words(theirs[1], folders[1]))
    return tally.check(a == b, name, f"{a} instead of {b}")


def tree(folder):
    return {name: read(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}


def loads(folder, extra=()):
    """Whether redis-server starts with the AOF."""
    server = Server(ORACLE, ["--appendonly", "yes", "--aof-load-truncated", "no", *extra], wait=False)
    with server:
        server.kill()
        shutil.rmtree(os.path.join(server.folder, "appendonlydir"), ignore_errors=True)
        shutil.copytree(folder, os.path.join(server.folder, "appendonlydir"))
        try:
            server.start()
        except StartError as e:
            return f"{e}"
    return ""


def broken(r, data):
    data = bytearray(data)
    if r.randrange(2):
        del data[r.randrange(len(data)) :]
    else:
        for _ in range(r.choice((1, 1, 3))):
            data[r.randrange(len(data))] = r.choice((0, 10, 13, 35, 42, 255, r.randrange(256)))
    return bytes(data)


def check_multi_part(tally, pair, r, rounds, folder):
    for kind, extra in (("RDB", []), ("RESP", ["--aof-use-rdb-preamble", "no"])):
        good = os.path.join(folder, "good" + kind)
        make_aof(r, good, *extra)
        first, last = split_increment(good)
        base = next(n for n in os.listdir(good) if ".base." in n)
        manifest = os.path.join(good, MANIFEST)
        ours, theirs = pair.run(manifest)
        same(tally, f"AOF with {kind} base", ours, theirs)
        tally.check(ours[0] == 0, f"AOF with {kind} base is valid", ours[1])
        error = loads(good)
        tally.check(not error, f"redis-server loads the AOF with {kind} base", error)
        wrong, fixed, unlike, unloaded = [], 0, [], []
        for n in range(rounds):
            bad = os.path.join(folder, "bad")
            shutil.rmtree(bad, ignore_errors=True)
            shutil.copytree(good, bad)
            victim = r.choice((base, first, last, last))
            write(os.path.join(bad, victim), broken(r, read(os.path.join(good, victim))))
            ours, theirs = pair.run(os.path.join(bad, MANIFEST))
            rdb = victim == base and kind == "RDB"
            if ours[0] != theirs[0] and theirs[0] >= 0:
                wrong.append(f"{victim}: {ours} instead of {theirs}")
            elif not rdb and theirs[0] >= 0 and same_words(ours[1], bad) != same_words(theirs[1], bad):
                wrong.append(f"{victim}: {same_words(ours[1], bad)[-400:]} instead of {same_words(theirs[1], bad)[-400:]}")
            ours, theirs, a, b = pair.run_apart(bad, MANIFEST, "--fix", answer="y\n")
            if theirs[0] >= 0 and (ours[0] != theirs[0] or tree(a) != tree(b)):
                unlike.append(f"{victim}: {ours} instead of {theirs}")
            elif ours[0] == 0 and "Successfully truncated" in ours[1]:
                fixed += 1
                # What is left are whole commands; that a changed one is still a command, no tool can tell.
                if fixed <= 8 and len(read(os.path.join(bad, victim))) < len(read(os.path.join(good, victim))):
                    error = loads(a)
                    if error:
                        unloaded.append(error[-300:])
        tally.check(not wrong, f"broken AOFs with {kind} base", f"{len(wrong)}: {' ;; '.join(wrong[:3])}")
        tally.check(not unlike, f"--fix with {kind} base", f"{len(unlike)}: {' ;; '.join(unlike[:3])}")
        tally.check(fixed > 0 and not unloaded, f"fixed AOFs with {kind} base are loaded", f"{fixed}, {unloaded[:2]}")
        timestamps(tally, pair, good, kind, first, last)


def timestamps(tally, pair, good, kind, first, last):
    stamps = [int(s) for n in (first, last) for s in re.findall(rb"#TS:(\d+)", read(os.path.join(good, n)))]
    for t in (1, *sorted({*stamps, *(s - 1 for s in stamps), *(s + 1 for s in stamps)}), 0, "x", "", "9" * 30):
        ours, theirs, a, b = pair.run_apart(good, MANIFEST, "--truncate-to-timestamp", str(t))
        same(tally, f"{kind} base, --truncate-to-timestamp {t}", ours, theirs, (a, b))
        tally.check(tree(a) == tree(b), f"{kind} base, --truncate-to-timestamp {t}: the files")
        if ours[0] == 0 and "Successfully" in ours[1]:
            error = loads(a)
            tally.check(not error, f"{kind} base cut to {t} is loaded", error)


def check_single(tally, pair, folder):
    """Files without a manifest, with and without an RDB in front; made by hand."""
    one, ts = command("SET", "a", 1), lambda n: b"#TS:%d\r\n" % n
    multi, execute = command("MULTI"), command("exec")
    cases = [
        b"", one, one + b"junk", one + one[:-1], one + multi + one, multi + one + execute, one + multi + multi,
        one + execute, one + b"*1\r\n$-1\r\n", one + b"*1\r\n$99999\r\nabc", one + b"*1\r\n+a\r\n", one + b"*\xff\r\n",
        one + b"*1", one + b"#foo\r\n" + one, b"#a\r\n", one + b"*\r\n" + one, b"RED", b"REDIS0010",
        one + multi + one + b"*1\r\n$", one + b"#" + b"x" * 2000 + b"\r\n", one + b"*-5\r\n", one + b"*0\r\n",
        one + b"*" + b"0" * 150 + b"1\r\n$1\r\na\r\n", one + b"*1\r\n$3\r\nabcde\r\n", one + b"* 1\r\n$ 1\r\na\r\n",
        one + b"*1\r\n$99999999999999999999\r\n", one + b"*99999999999999999999\r\n", multi * 2, execute, b"*1\n",
        one + b"*1\r\n$0\r\n\r\n", b"#", b"#TS:", one + b"#" + b"x" * 1022 + b"\n" + one, b"\n", b"file", b"#\nfile x\n",
        b"#\n#\n" + one, b"REDIS0010\xff" + bytes(8), b"REDIS0010\xff" + bytes(8) + one, b"REDIS001",
        b"REDIS0010\xff" + bytes(8) + one + b"x", b"REDIS0010\xff" + bytes(8) + b"x",
    ]  # fmt: skip
    name = "x.aof"
    home = os.path.join(folder, "single")
    os.makedirs(home, exist_ok=True)
    for data in cases:
        write(os.path.join(home, name), data)
        for options, answer in (([], ""), (["--fix"], "y\n"), (["--fix"], "n\n"), (["--fix"], "")):
            ours, theirs, a, b = pair.run_apart(home, name, *options, answer=answer)
            what = f"{options} {answer!r} {data[-60:]!r}"
            if b"REDIS" in data[:5]:
                tally.check(ours[0] == theirs[0], what, f"{ours} instead of {theirs}")
            else:
                same(tally, what, ours, theirs, (a, b))
            tally.check(tree(a) == tree(b), f"{what}: the file")
    stamped = ts(10) + one + ts(20) + one
    for data, t in (
        (stamped, 5), (stamped, 10), (stamped, 15), (stamped, 20), (stamped, 25), (b"#TS:x\r\n", 1), (one, 7),
        (one + b"#TS:20", 15), (stamped + b"junk", 30), (stamped + b"junk", 15), (b"", 5),
    ):  # fmt: skip
        write(os.path.join(home, name), data)
        ours, theirs, a, b = pair.run_apart(home, name, "--truncate-to-timestamp", str(t))
        same(tally, f"--truncate-to-timestamp {t} {data[-60:]!r}", ours, theirs, (a, b))
        tally.check(tree(a) == tree(b), f"--truncate-to-timestamp {t} {data[-60:]!r}: the file")
    # Within a transaction ours cuts in front of MULTI, so that what is left is whole.
    write(os.path.join(home, name), ts(10) + multi + ts(20) + one + execute)
    ours, theirs, a, b = pair.run_apart(home, name, "--truncate-to-timestamp", "15")
    same(tally, "a timestamp in a transaction", ours, theirs, (a, b))
    tally.check(tree(a)[name] == ts(10), "a timestamp in a transaction: the file", f"{tree(a)}")


def manifests(tally, pair, folder):
    home = os.path.join(folder, "manifests")
    os.makedirs(home)
    path = os.path.join(home, "x.manifest")
    for name in ("a", "b c"):
        write(os.path.join(home, name), command("SET", "a", 1))
    good = b"file a seq 1 type b\n"
    for text in (
        b"file a seq 1 type b", good, good + b"\n", good + good, b"file a seq 2 type i\n" * 2, b"file a seq 0 type b\n",
        b"file a seq x type b\n", b"file a seq 1 type x\n", b"file a seq 1 type base other 3\n", b"file a seq 1\n",
        b"file a seq 1 type b odd\n", b"file a/b seq 1 type b\n", b"file a\\b seq 1 type b\n", b"#\n" + good, b"#c",
        b'file "a"x seq 1 type b\n', b"FILE a SEQ 1 TYPE b\n", b"file a seq 1 type b \t\r\n", b"file   a seq 1 type b\n",
        *(b"file a seq 1 type b x " + b"y" * n + b"\n" for n in (1000, 1001, 1002, 1010)),
        b"#" + b"c" * 1023 + good, b"file a seq 1 type b\0\n" + good,
        b"file a seq -3 type i\n", b"file a seq 1x type b\n", b"file no seq 1 type b\n",
        b'file a seq 1 type ""\n', b"filea b c d e f\n",
        good + b"#c\nfile x'y seq 1 type i\n", good + b"   #c\n", b"file a seq 1 type h\n" * 2,
        b'file "b c" seq 1 type i\n', good + b'file "b\\x20c" seq 1 type i\n#', b"file b c seq 1 type i\n",
        b"file a seq 1 file a type b\n",
    ):  # fmt: skip
        write(path, text)
        ours, theirs = pair.run(path)
        same(tally, f"manifest {text[:60]!r} ({len(text)} bytes)", ours, theirs)
    for text in (b"#" + b"c" * 1500 + b"\n" + good, b'file "" seq 1 type b\n'):
        write(path, text)
        ours, theirs = pair.run(path)
        tally.check(ours[0] == theirs[0], f"manifest {text[:60]!r}, exit code", f"{ours} instead of {theirs}")
    write(path, command("SET", "a", "file"))
    ours, theirs = pair.run(path)
    tally.check((ours[0], theirs[0]) == (0, 1), "an AOF with a value `file`", f"{ours}, redis-check-aof: {theirs}")
    here = os.getcwd()
    os.chdir(home)
    write(path, good)
    same(tally, "a manifest in this folder", *pair.run("x.manifest"))
    for args in ([], ["-v"], ["x", "y"], ["--fix"], ["--foo", "a"], ["."], ["nofile"], ["--fix", "--fix", "a"],
                 ["--truncate-to-timestamp", "5"], ["a"], ["./a"]):  # fmt: skip
        same(tally, f"brim-check-aof {args}", *pair.run(*args))
    os.chdir(here)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="the folder of brim-check-rdb and brim-check-aof")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    tally, r = Tally(), random.Random(options.seed)
    tools = os.path.abspath(options.bin)
    rdb = Pair(os.path.join(tools, "brim-check-rdb"), "redis-check-rdb")
    aof = Pair(os.path.join(tools, "brim-check-aof"), "redis-check-aof")
    with tempfile.TemporaryDirectory(prefix="brim-test-") as folder:
        streams = reads_streams(rdb, folder)
        if not streams:
            print("streams are left out: RdbReader does not read them yet")
        check_rdb(tally, rdb, r, options.rounds, folder, streams)
        odd_rdbs(tally, rdb, folder)
        check_single(tally, aof, folder)
        manifests(tally, aof, folder)
        check_multi_part(tally, aof, r, options.rounds // 2, folder)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
