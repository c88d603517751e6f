"""Generators for strings, and for what keys of every type share."""

from grammar import ALL_NAMES, EDGE_VALUES, NAMES, gen


def _key(r):
    return r.key("string")


@gen("strings", 5)
def set_(r):
    options = [r.flag(0.15, r.one("NX", "XX", "nx"))]
    options += [r.flag(0.15, "GET")]
    options += [r.expiry_option(keepttl=True)] if r.some(0.2) else []
    options += [r.expiry_option(keepttl=True)] if r.some(0.02) else []
    options += [r.flag(0.01, r.one("NX", "XX", "ZZ", "GET"))]
    return ["SET", _key(r), r.value()] + r.shuffled(options)


@gen("strings", 3)
def get(r):
    return [r.one("GET", "GET", "GETDEL", "STRLEN", "GET"), _key(r)]


@gen("strings")
def getex(r):
    options = r.expiry_option(persist=True) if r.some(0.7) else []
    options += r.expiry_option(persist=True) if r.some(0.05) else []
    return ["GETEX", _key(r)] + options


@gen("strings")
def getset(r):
    return [r.one("GETSET", "SETNX"), _key(r), r.value()]


@gen("strings")
def setex(r):
    name = r.one("SETEX", "PSETEX")
    return [name, _key(r), r.seconds() if name == "SETEX" else r.millis(), r.value()]


@gen("strings", 2)
def append(r):
    return ["APPEND", _key(r), r.text()]


@gen("strings", 2)
def ranges(r):
    return [r.one("GETRANGE", "SUBSTR", "GETRANGE"), _key(r), r.index(), r.index()]


@gen("strings", 2)
def setrange(r):
    p = r.random()
    if p < 0.8:
        offset = str(r.randint(0, 80))
    elif p < 0.9:
        offset = r.one("-1", "536870911", "536870912", "9223372036854775807", "abc", "70000", "16384")
    else:
        offset = r.integer()
    return ["SETRANGE", _key(r), offset, r.one("", "x") if r.some(0.3) else r.text()]


@gen("strings", 4)
def incr(r):
    name = r.one("INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT")
    key = r.pick(["n1", "n2"]) if r.some(0.6) else _key(r)
    if name in ("INCR", "DECR"):
        return [name, key]
    return [name, key, r.floating() if name == "INCRBYFLOAT" else r.integer()]


@gen("strings")
def set_number(r):
    return ["SET", r.pick(["n1", "n2"]), r.one(r.integer, r.floating)()]


@gen("strings", 2)
def mset(r):
    name = r.one("MSET", "MSET", "MSETNX")
    args = [name]
    for _ in range(r.randint(1, 4)):
        args += [_key(r) if r.some(0.8) else "nokey%d" % r.randint(1, 3), r.value()]
    return args


@gen("strings", 2)
def mget(r):
    return ["MGET"] + r.keys("string", 1, 6)


@gen("strings")
def del_some(r):
    return [r.one("DEL", "UNLINK"), _key(r)] + r.flag(0.3, "nokey1", "nokey2")


@gen("strings", 1.5)
def lcs(r):
    options = [r.flag(0.25, "LEN"), r.flag(0.35, "IDX"), r.flag(0.2, "WITHMATCHLEN")]
    options += [["MINMATCHLEN", r.integer()]] if r.some(0.25) else []
    pair = [_key(r), _key(r)]
    commands = []
    if r.some(0.6):  # short texts: the table of two long ones is large
        texts = [
            "ohmytext",
            "mynewtext",
            "abcbdab",
            "bdcaba",
            "aaaa",
            "aa",
            "",
            "xaxbxc",
            "abc",
            "foobar",
            "12345",
            "7",
        ]
        commands = [["SET", pair[0], r.pick(texts)], ["SET", pair[1], r.pick(texts)]]
    else:
        commands = [["GETRANGE", key, "0", "10"] for key in pair]
        commands += [["SETRANGE", pair[0], "3", "abc"]]
    return commands + [["LCS"] + pair + r.shuffled(options)]


@gen("strings", 0.4)
def boundary(r):
    """Around the sizes where a string's representation changes."""
    key = _key(r)
    size = r.pick(
        [0, 1, 7, 8, 15, 16, 43, 44, 45, 63, 64, 65, 127, 128, 255, 256, 1023, 4096, 16383, 16384, 16385, 40000]
    )
    return [["SET", key, b"q" * size], ["APPEND", key, b"w" * r.randint(0, 3)], ["OBJECT", "ENCODING", key]]


# ---- keys of every type ------------------------------------------------------------------------------------------------
@gen("keys", 2)
def keys_del(r):
    return [r.one("DEL", "UNLINK", "EXISTS", "TOUCH")] + [r.any_key() for _ in range(r.randint(1, 4))]


@gen("keys", 2)
def key_facts(r):
    return r.one(["TYPE"], ["OBJECT", "ENCODING"], ["OBJECT", "REFCOUNT"], ["OBJECT", "IDLETIME"], ["TYPE"]) + [
        r.any_key()
    ]


@gen("keys", 0.3)
def object_odd(r):
    return r.one(["OBJECT", "FREQ", r.any_key()], ["OBJECT", "NOPE", "x"], ["OBJECT"], ["OBJECT", "ENCODING"])


@gen("keys", 3)
def rename(r):
    return [r.one("RENAME", "RENAME", "RENAMENX"), r.any_key(), r.any_key()]


@gen("keys", 2)
def copy(r):
    options = [r.flag(0.4, "REPLACE")]
    options += [["DB", r.one("0", "1", "2", "0", "-1", "99", "abc", "9223372036854775808")]] if r.some(0.4) else []
    return ["COPY", r.any_key(), r.any_key()] + r.shuffled(options)


@gen("keys", 1.5)
def move(r):
    return ["MOVE", r.any_key(), r.one("0", "1", "2", "3", "16", "-1", "abc", "15") if r.some(0.3) else r.one("1", "2")]


@gen("keys", 1)
def select(r):
    db = r.one("0", "1", "2", "0") if r.some(0.9) else r.one("15", "16", "-1", "abc", "", "99999999999")
    return ["SELECT", db]


@gen("keys", 0.4)
def swapdb(r):
    return ["SWAPDB", r.one("0", "1", "2", "x", "-1"), r.one("0", "1", "2", "16", "abc")]


@gen("keys", 0.08)
def flush(r):
    return [r.one("FLUSHDB", "FLUSHDB", "FLUSHALL")] + r.one([], ["SYNC"], ["ASYNC"], ["NOPE"], ["SYNC", "ASYNC"])


@gen("keys", 4)
def expire(r):
    name = r.one("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT")
    when = {"EXPIRE": r.seconds, "PEXPIRE": r.millis, "EXPIREAT": r.at_seconds, "PEXPIREAT": r.at_millis}[name]()
    options = r.one("NX", "XX", "GT", "LT", "nx", "ZZ").split() if r.some(0.4) else []
    options += r.one("NX", "XX", "GT", "LT").split() if r.some(0.08) else []
    return [name, r.any_key(), when] + options


@gen("keys", 3)
def ttl(r):
    return [r.one("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "PERSIST"), r.any_key()]


@gen("keys", 0.4)
def expires_now(r):
    """Set a short expiry, let it pass, look."""
    key = r.any_key()
    look = r.one(["GET", key], ["EXISTS", key], ["TYPE", key], ["TTL", key], ["KEYS", "*"], ["RENAME", key, "s1"],
                 ["APPEND", key, "x"], ["SADD", key, "a"], ["LPUSH", key, "a"], ["SUNION", key, "e1"], ["DEL", key],
                 ["MGET", key, "s1"], ["COPY", key, "s2"], ["OBJECT", "ENCODING", key], ["PERSIST", key],
                 ["EXPIRE", key, "100000"], ["SORT", key, "ALPHA"], ["ZADD", key, "1", "a"], ["HSETNX", key, "f", "v"],
                 ["SCAN", "0", "COUNT", "1000"], ["LCS", key, "s1"], ["SETRANGE", key, "0", ""], ["GETDEL", key],
                 ["SET", key, "v", "KEEPTTL"], ["SET", key, "v", "XX"], ["SMOVE", key, "e1", "a"], ["TOUCH", key])  # fmt: skip
    return [["@expire", key], look]


@gen("keys", 0.7)
def all_keys(r):
    return ["KEYS", r.pattern()]


@gen("keys", 0.5)
def dbsize(r):
    return [["KEYS", "*"], ["DBSIZE"]]


@gen("keys", 0.7)
def scan(r):
    options = [["MATCH", r.pattern()]] if r.some(0.4) else []
    options += [["COUNT", r.count()]] if r.some(0.4) else []
    options += (
        [["TYPE", r.one("string", "list", "set", "zset", "hash", "stream", "nope", "STRING")]] if r.some(0.3) else []
    )
    options += [["NOPE"]] if r.some(0.02) else []
    return ["SCAN", "0" if r.some(0.95) else r.one("abc", "-1", "", "1.5")] + r.shuffled(options)


@gen("keys", 0.4)
def randomkey(r):
    return ["RANDOMKEY"]


@gen("keys", 0.3)
def memory_usage(r):
    return ["MEMORY", "USAGE", r.any_key()] + r.one([], [], ["SAMPLES", r.count()], ["NOPE"], ["SAMPLES"])


@gen("keys", 3)
def fill_one(r):
    """Something of each type, so that the key commands have what to work on."""
    kind = r.pick(["string", "hash", "list", "set", "zset", "stream"])
    key = r.pick(NAMES[kind])
    return {
        "stream": ["XADD", key, "1-*", r.member(), r.member()],
        "string": ["SET", key, r.value()],
        "hash": ["HSET", key, r.member(), r.value()],
        "list": ["RPUSH", key, r.value(), r.member()],
        "set": ["SADD", key, r.member(), r.member()],
        "zset": ["ZADD", key, r.good_int(), r.member()],
    }[kind]


# ---- SORT -------------------------------------------------------------------------------------------------------------
def _sort_options(r, store):
    options = []
    p = r.random()
    if p < 0.35:
        options += [["BY", r.one("nosort", "w_*", "w_*", "hw_*->f", "nokey_*", "s1", "*", "w_*->", "hw_*->", "l1*")]]
    if r.some(0.3):
        options += [["LIMIT", r.count(), r.one("-1", "2", "0", "5", "100") if r.some(0.8) else r.integer()]]
    for _ in range(r.one(0, 0, 0, 1, 2)):
        options += [["GET", r.one("#", "w_*", "hw_*->f", "nokey_*", "hw_*->nofield", "s1", "*")]]
    options += [[r.one("ASC", "DESC", "desc")]] if r.some(0.4) else []
    by_weight = any(o[0] == "BY" and "*" in o[1] for o in options)
    limited = any(o[0] == "LIMIT" for o in options)
    if r.some(0.6) and not (by_weight and (store or limited)):  # equal weights would leave the order open
        options += [["ALPHA"]]
    options += [["STORE", r.any_key()]] if store else []
    options += [["NOPE"]] if r.some(0.02) else []
    return options


@gen("keys", 1.5)
def sort(r):
    kind = r.one("list", "set", "zset", "list")
    store = r.some(0.25)
    name = "SORT" if store or r.some(0.7) else "SORT_RO"
    commands = []
    if r.some(0.4):
        for i in r.sample(range(10), 4):
            commands.append(["SET", "w_%d" % i, r.good_int(-50, 50)])
            commands.append(["HSET", "hw_%d" % i, "f", r.good_int(-50, 50)])
    key = r.key(kind)
    if r.some(0.7):  # numbers, else the sort is refused most of the time
        key = r.pick(NAMES[kind])
        numbers = [
            str(r.randint(0, 9)) if r.some(0.8) else repr(round(r.uniform(-9, 9), 1)) for _ in range(r.randint(1, 8))
        ]
        commands.append(["DEL", key])
        if kind == "zset":
            commands.append(["ZADD", key] + [word for n in numbers for word in (r.good_int(), n)])
        else:
            commands.append(["RPUSH" if kind == "list" else "SADD", key] + numbers)
    return commands + [[name, key] + r.shuffled(_sort_options(r, store))]


@gen("keys", 0.5)
def clean_strange(r):
    """Keys that strange arguments made are removed now and then, so that the pools stay small."""
    return ["DEL", "", b"bin\x00\xff", "k:1", "k:2", r.pick(ALL_NAMES), r.pick(EDGE_VALUES)]
