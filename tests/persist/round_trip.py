"""Many random keys of every type and encoding, and functions, there and back between Brim and redis-server: RDB files,
append-only files as recorded and with both forms of the base. Each time the whole of it is compared: DEBUG DIGEST, and of
every key what that leaves out, which is its type, encoding and expiry, and the groups of streams."""

import os
import random
import shutil

from servers import ORACLE, Server
from streams import stream_commands, stream_state
from wire import encode

FOLDER = "appendonlydir"
CHUNK = 400
DATABASES = (0, 3, 9)
# A line a key: type, encoding, expiry.
LISTING = """
local out = {}
for i, key in ipairs(KEYS) do
  out[i] = redis.call('TYPE', key).ok .. ' ' .. redis.call('OBJECT', 'ENCODING', key) .. ' ' ..
      redis.call('PEXPIRETIME', key)
end
return table.concat(out, '\\n')
"""
LIBRARIES = (
    "#!lua name=one\nredis.register_function('one', function() return 1 end)",
    "#!lua name=counters\nlocal function add(keys, args) return redis.call('INCRBY', keys[1], args[1]) end\n"
    "redis.register_function('add', add)\nredis.register_function{function_name='peek', callback=function(keys) "
    "return redis.call('GET', keys[1]) end, flags={'no-writes'}, description='what is there'}\n",
    "#!lua name=long\n-- " + "a comment that LZF makes short " * 200 + "\nredis.register_function('nothing', function() end)",
)


def word(r):
    kind = r.randrange(5)
    if kind == 0:
        return b"%d" % (r.randrange(-(1 << 63), 1 << 63) >> r.randrange(64))
    if kind == 1:
        return r.randbytes(r.randrange(1, 40))
    return b"%x" % r.getrandbits(8 * r.randrange(1, 20))


def score(r):
    return r.choice((b"%.17g" % (r.random() * 10 ** r.randrange(-5, 20)), b"%d" % r.randrange(-9, 9), b"inf", b"-inf", b"-0"))


def special(r, key, n):
    """What is stored as a string or a sorted set and is something else to its commands."""
    kind = r.randrange(3)
    if kind == 0:
        return [b"SETBIT", key, b"%d" % r.randrange(400, 20_000), b"1"]
    if kind == 1:
        return [b"PFADD", key, *(word(r) for _ in range(r.choice((1, n, n, 5 * n))))]
    place = lambda: (b"%.6f" % r.uniform(-180, 180), b"%.6f" % r.uniform(-85, 85))  # noqa: E731
    return [b"GEOADD", key, *(x for _ in range(n) for x in (*place(), word(r)))]


def one_key(r, key):
    kind = r.randrange(11)
    # Mostly small, some beyond the limits of the small encodings.
    n = r.choice((1, 1, 2, 3, 5, 8, 13)) if r.random() < 0.97 else r.choice((130, 300, 600))
    if kind < 3:
        value = word(r) if r.random() < 0.9 else r.choice((b"ab" * r.randrange(2000), r.randbytes(r.randrange(20000))))
        return [b"SET", key, value]
    if kind == 3:
        return [b"RPUSH", key, *((r.randbytes(9000) if r.random() < 0.01 else word(r)) for _ in range(n))]
    if kind == 4:
        return [b"SADD", key, *(b"%d" % (r.getrandbits(r.choice((7, 15, 31, 62))) - 50) for _ in range(n))]
    if kind == 5:
        return [b"SADD", key, *(word(r) for _ in range(n))]
    if kind < 8:
        return [b"ZADD", key, *(x for _ in range(n) for x in (score(r), word(r)))]
    if kind == 10:
        return special(r, key, n)
    return [b"HSET", key, *(x for _ in range(n) for x in (word(r), word(r) if r.random() < 0.98 else b"x" * 100))]


def big_keys(r, elements):
    """A key of each kind with many elements, a thousand a command."""
    for start in range(0, elements, 1000):
        some = [b"%d:" % i + r.randbytes(8) for i in range(start, start + 1000)]
        yield [b"HSET", b"big:hash", *(x for w in some for x in (w, w))]
        yield [b"SADD", b"big:set", *some]
        yield [b"ZADD", b"big:zset", *(x for w in some for x in (score(r), w))]
        yield [b"RPUSH", b"big:list", *some]
        yield [b"PFADD", b"big:pf", *some]
        yield [b"SADD", b"big:ints", *(b"%d" % r.getrandbits(40) for _ in some)]


def populate(server, seed, keys):
    r = random.Random(seed)
    with server.connect(120) as c:
        bad = [x for x in c.pipeline(["FUNCTION", "LOAD", code] for code in LIBRARIES) if x[0] == "-"]
        for start in range(0, keys, CHUNK):
            batch = [encode([b"SELECT", b"%d" % r.choice(DATABASES)])]
            for i in range(start, min(start + CHUNK, keys)):
                key = b"k:%d" % i if i % 3 else r.randbytes(6) + b"%d" % i
                batch.append(encode(one_key(r, key)))
                if r.random() < 0.2:
                    batch.append(encode([b"PEXPIREAT", key, b"%d" % (4_000_000_000_000 + r.getrandbits(30))]))
            c.send_raw(b"".join(batch))
            assert b"\r\n-" not in c.read_raw(len(batch))
            for i in range(CHUNK // 100):
                stream = stream_commands(r, f"stream:{start + i}", r.choice((1, 3, 10, 10, 40)) if r.random() < 0.97 else 400)
                bad += [x for x in c.pipeline(stream) if x[0] == "-"]
        for command in big_keys(r, max(2000, keys // 10)):
            bad += [x for x in [c.call(*command)] if x[0] == "-"]
    assert not bad, bad[:2]


def functions(c):
    out = []
    for library in c.value("FUNCTION", "LIST", "WITHCODE"):
        library[5] = sorted(library[5])  # they have no order
        out.append(repr(library))
    return sorted(out)


def everything(server, said_in_commands=False):
    """{what: bytes} of all that the server holds. What commands do not say of a stream is left out if so asked."""
    with server.connect(600) as c:
        out = {"digest": c.value("DEBUG", "DIGEST"), "functions": functions(c)}
        for db in DATABASES:
            c.call("SELECT", db)
            keys = sorted(c.value("KEYS", "*"))
            for start in range(0, len(keys), CHUNK):
                some = keys[start : start + CHUNK]
                lines = c.value("EVAL", LISTING, len(some), *some)
                out[db, start] = (some[0], lines)
                for key, line in zip(some, lines.split(b"\n")):
                    if line.startswith(b"stream"):
                        out[db, key] = hash(repr(stream_state(c, key, said_in_commands)))
        c.call("SELECT", 0)
        return out


def same(tally, name, got, wanted):
    differ = [k for k in wanted.keys() | got.keys() if got.get(k) != wanted.get(k)]
    detail = "; ".join(f"{k}: {got.get(k)} instead of {wanted.get(k)}"[:300] for k in differ[:4])
    tally.check(not differ, name, f"{len(differ)} differ: {detail}")


def rewrite(server, preamble):
    with server.connect(600) as c:
        c.call("CONFIG", "SET", "aof-use-rdb-preamble", preamble)
        c.call("BGREWRITEAOF")
        while b"aof_rewrite_in_progress:1" in c.value("INFO", "persistence"):
            pass


def take_over(target, source, name):
    """`target` starts again with that file or folder of `source`."""
    target.kill()
    for each in ("dump.rdb", FOLDER):
        path = os.path.join(target.folder, each)
        shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.unlink(path)
    path = os.path.join(source.folder, name)
    (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, os.path.join(target.folder, name))
    target.extra = ["--appendonly", "yes" if name == FOLDER else "no", "--appendfsync", "no"]
    target.start()


def save(server):
    with server.connect(600) as c:
        assert c.call("SAVE") == ("+", b"OK")


def both_ways(tally, command, seed, keys):
    on = ["--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0"]
    with Server(ORACLE, on) as theirs, Server(command) as ours, Server(ORACLE) as back:
        populate(theirs, seed, keys)
        save(theirs)
        # Strings that a command has grown have another encoding when they are loaded: the measure is what redis-server
        # makes of its own file.
        take_over(back, theirs, "dump.rdb")
        wanted = everything(back)
        tally.check(wanted["digest"] == everything(theirs)["digest"], f"{keys} keys: redis-server's own")
        take_over(ours, theirs, "dump.rdb")
        same(tally, f"{keys} keys: redis-server's RDB file", everything(ours), wanted)
        save(ours)
        take_over(back, ours, "dump.rdb")
        same(tally, f"{keys} keys: Brim's RDB file", everything(back), wanted)
        # What redis-server writes as commands is not all that it had (some negative zeros, groups' counts): the measure is
        # what it makes of it itself.
        for how in ("as recorded", "no", "yes"):
            if how != "as recorded":
                rewrite(theirs, how)
            take_over(back, theirs, FOLDER)
            take_over(ours, theirs, FOLDER)
            got = everything(ours, True)
            same(tally, f"{keys} keys: redis-server's commands, preamble {how}", got, everything(back, True))
        tally.check(got["digest"] == wanted["digest"], f"{keys} keys: nothing got lost on the way")
        for preamble in ("yes", "no"):
            rewrite(ours, preamble)
            take_over(back, ours, FOLDER)
            same(tally, f"{keys} keys: Brim's rewrite, preamble {preamble}", everything(back, True), got)
    with Server(command, on) as ours, Server(ORACLE) as back:
        populate(ours, seed + 1, keys)
        take_over(back, ours, FOLDER)
        same(tally, f"{keys} keys: as Brim recorded them", everything(back, True), everything(ours, True))
    print(f"{keys} keys: 8 ways between redis-server and Brim", flush=True)
