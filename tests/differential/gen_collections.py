"""Generators for hashes, lists and sets."""

from grammar import gen


def _numbered(r, prefix, limits):
    """Many members at once, ending near a limit of the small encodings."""
    count = r.pick(limits) + r.randint(-2, 2)
    start = r.one(0, 0, 0, 300)
    return ["%s%d" % (prefix, i) for i in range(start, start + max(count, 1))]


# ---- hashes -----------------------------------------------------------------------------------------------------------
def _hash(r):
    return r.key("hash")


@gen("hashes", 5)
def hset(r):
    args = [r.one("HSET", "HSET", "HMSET"), _hash(r)]
    for _ in range(r.one(1, 1, 2, 3)):
        args += [r.member(), r.value()]
    return args


@gen("hashes")
def hsetnx(r):
    return ["HSETNX", _hash(r), r.member(), r.value()]


@gen("hashes", 0.5)
def hash_bulk(r):
    args = ["HSET", _hash(r)]
    for field in _numbered(r, "m", [8, 8, 64, 128, 128, 512]):
        args += [field, r.one("1", "v", "12345")]
    return args


@gen("hashes", 3)
def hash_read(r):
    name = r.one("HGET", "HEXISTS", "HSTRLEN", "HGET")
    return [name, _hash(r), r.member()]


@gen("hashes", 2)
def hash_whole(r):
    return [r.one("HGETALL", "HKEYS", "HVALS", "HLEN"), _hash(r)]


@gen("hashes", 1.5)
def hmget(r):
    return ["HMGET", _hash(r)] + [r.member() for _ in range(r.randint(1, 5))]


@gen("hashes", 2)
def hdel(r):
    return ["HDEL", _hash(r)] + [r.member() for _ in range(r.randint(1, 4))]


@gen("hashes", 0.1)
def hash_gone(r):
    return ["DEL", _hash(r)]


@gen("hashes", 2)
def hincr(r):
    if r.some(0.5):
        return ["HINCRBY", _hash(r), r.member(), r.integer()]
    return ["HINCRBYFLOAT", _hash(r), r.member(), r.floating()]


def _random_args(r, with_word):
    if r.some(0.3):
        return []
    count = str(r.randint(-15, 15)) if r.some(0.9) else r.integer()
    return [count] + r.flag(0.4, with_word) + r.flag(0.02, "x")


@gen("hashes", 0.6)
def hrandfield(r):
    return ["HRANDFIELD", _hash(r)] + _random_args(r, "WITHVALUES")


def _scan(r, name, key):
    options = [["MATCH", r.pattern()]] if r.some(0.4) else []
    options += [["COUNT", r.count()]] if r.some(0.4) else []
    options += [["NOPE"]] if r.some(0.02) else []
    return [name, key, "0" if r.some(0.95) else r.one("abc", "-1", "")] + r.shuffled(options)


@gen("hashes", 0.5)
def hscan(r):
    return _scan(r, "HSCAN", _hash(r))


@gen("hashes", 0.3)
def hash_encoding(r):
    return ["OBJECT", "ENCODING", _hash(r)]


# ---- lists ------------------------------------------------------------------------------------------------------------
def _list(r):
    return r.key("list")


def _side(r):
    return r.one("LEFT", "RIGHT", "left", "Right") if r.some(0.97) else "UP"


@gen("lists", 0.6)
def push_series(r):
    """In a row, as pipelines fill a queue; now and then one is different."""
    key, name = _list(r), r.one("LPUSH", "RPUSH")
    return [[name, r.key("list") if r.some(0.02) else key, r.value()] + [r.value()] * r.some(0.03)
            for _ in range(r.one(2, 3, 5, 20, 40))]  # fmt: skip


@gen("lists", 5)
def push(r):
    name = r.one("LPUSH", "RPUSH", "LPUSH", "RPUSH", "LPUSHX", "RPUSHX")
    return [name, _list(r)] + [r.member() if r.some(0.6) else r.value() for _ in range(r.one(1, 1, 2, 4))]


@gen("lists", 0.4)
def list_bulk(r):
    return [r.one("LPUSH", "RPUSH"), _list(r)] + _numbered(r, r.one("m", "", "some longer text "), [20, 128, 512, 2000])


@gen("lists", 0.15)
def list_large(r):
    return [["RPUSH", _list(r)] + [b"p" * r.one(4000, 8000, 8180, 8192, 9000, 70000) for _ in range(r.randint(1, 3))]]


@gen("lists", 2)
def pop(r):
    return [r.one("LPOP", "RPOP"), _list(r)] + ([r.count()] if r.some(0.3) else [])


@gen("lists", 2)
def list_read(r):
    return r.one(["LLEN", _list(r)], ["LINDEX", _list(r), r.index()], ["LRANGE", _list(r), r.index(), r.index()])


@gen("lists", 1)
def lrange_all(r):
    return ["LRANGE", _list(r), "0", "-1"]


@gen("lists", 1.5)
def lset(r):
    return ["LSET", _list(r), r.index(), r.value()]


@gen("lists", 1.5)
def linsert(r):
    return ["LINSERT", _list(r), r.one("BEFORE", "AFTER", "after") if r.some(0.97) else "UNDER", r.member(), r.value()]


@gen("lists", 1.5)
def lrem(r):
    return ["LREM", _list(r), r.one("0", "1", "-1", "2", "-2") if r.some(0.9) else r.integer(), r.member()]


@gen("lists", 0.6)
def ltrim(r):
    return ["LTRIM", _list(r)] + (["0", str(r.randint(5, 40))] if r.some(0.5) else [r.index(), r.index()])


@gen("lists", 1)
def lpos(r):
    options = [["RANK", r.one("1", "2", "-1", "-2", "3", "0") if r.some(0.8) else r.integer()]] if r.some(0.5) else []
    options += [["COUNT", r.count()]] if r.some(0.5) else []
    options += [["MAXLEN", r.count()]] if r.some(0.3) else []
    options += [["NOPE", "1"]] if r.some(0.02) else []
    return ["LPOS", _list(r), r.member()] + r.shuffled(options)


@gen("lists", 1.5)
def lmove(r):
    if r.some(0.3):
        return ["RPOPLPUSH", _list(r), _list(r)]
    return ["LMOVE", _list(r), _list(r), _side(r), _side(r)]


@gen("lists", 1)
def lmpop(r):
    keys = r.keys("list", 1, 3)
    numkeys = str(len(keys)) if r.some(0.93) else r.integer()
    return ["LMPOP", numkeys] + keys + [_side(r)] + (["COUNT", r.count()] if r.some(0.4) else [])


def _timeout(r):
    return "0.003" if r.some(0.9) else r.one("-1", "abc", "", "nan", "1e400", "-0.5")


@gen("lists", 0.6)
def blocking_lists(r):
    keys = r.keys("list", 1, 3)
    return r.one(
        [r.one("BLPOP", "BRPOP")] + keys + [_timeout(r)],
        ["BRPOPLPUSH", _list(r), _list(r), _timeout(r)],
        ["BLMOVE", _list(r), _list(r), _side(r), _side(r), _timeout(r)],
        ["BLMPOP", _timeout(r), str(len(keys))] + keys + [_side(r)] + (["COUNT", r.count()] if r.some(0.4) else []),
    )


@gen("lists", 0.1)
def list_gone(r):
    return ["DEL", _list(r)]


# ---- sets -------------------------------------------------------------------------------------------------------------
def _set(r):
    return r.key("set")


@gen("sets", 5)
def sadd(r):
    return ["SADD", _set(r)] + [r.member() for _ in range(r.one(1, 2, 3, 5))]


@gen("sets", 1.5)
def sadd_ints(r):
    return ["SADD", _set(r)] + [r.integer() if r.some(0.2) else r.good_int() for _ in range(r.randint(1, 5))]


@gen("sets", 0.4)
def set_bulk(r):
    return ["SADD", _set(r)] + _numbered(r, r.one("", "", "m"), [16, 128, 512, 512])


@gen("sets", 2)
def srem(r):
    return ["SREM", _set(r)] + [r.member() for _ in range(r.randint(1, 4))]


@gen("sets", 2)
def set_read(r):
    return r.one(["SCARD", _set(r)], ["SISMEMBER", _set(r), r.member()], ["SMEMBERS", _set(r)])


@gen("sets", 1)
def smismember(r):
    return ["SMISMEMBER", _set(r)] + [r.member() for _ in range(r.randint(1, 4))]


@gen("sets", 1.5)
def smove(r):
    return ["SMOVE", _set(r), _set(r), r.member()]


@gen("sets", 2.5)
def set_algebra(r):
    return [r.one("SINTER", "SUNION", "SDIFF")] + r.keys("set", 1, 4)


@gen("sets", 1.5)
def set_store(r):
    return [r.one("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"), _set(r)] + r.keys("set", 1, 3)


@gen("sets", 1)
def sintercard(r):
    keys = r.keys("set", 1, 3)
    numkeys = str(len(keys)) if r.some(0.9) else r.integer()
    return ["SINTERCARD", numkeys] + keys + (["LIMIT", r.count()] if r.some(0.4) else []) + r.flag(0.02, "NOPE")


@gen("sets", 0.7)
def spop(r):
    return ["SPOP", _set(r)] + ([r.count()] if r.some(0.5) else [])


@gen("sets", 0.6)
def srandmember(r):
    return ["SRANDMEMBER", _set(r)] + _random_args(r, "x")[:1]


@gen("sets", 0.5)
def sscan(r):
    return _scan(r, "SSCAN", _set(r))


@gen("sets", 0.3)
def set_encoding(r):
    return ["OBJECT", "ENCODING", _set(r)]


@gen("sets", 0.1)
def set_gone(r):
    return ["DEL", _set(r)]
