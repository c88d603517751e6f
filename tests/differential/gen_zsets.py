"""Generators for sorted sets."""

from grammar import gen


def _key(r):
    return r.key("zset")


def _score(r):
    p = r.random()
    if p < 0.6:
        return r.good_int(-10, 10)
    if p < 0.8:
        return repr(round(r.uniform(-10, 10), 2))
    return r.floating()


@gen("zsets", 5)
def zadd(r):
    options = [r.flag(0.15, r.one("NX", "XX", "nx")), r.flag(0.12, r.one("GT", "LT")), r.flag(0.12, "CH")]
    options += [r.flag(0.1, "INCR"), r.flag(0.02, r.one("NX", "XX", "GT", "LT"))]
    pairs = 1 if ["INCR"] in options and r.some(0.9) else r.one(1, 1, 2, 3)
    args = ["ZADD", _key(r)] + r.shuffled(options)
    for _ in range(pairs):
        args += [_score(r), r.member()]
    return args


@gen("zsets", 0.5)
def zset_bulk(r):
    count = r.pick([20, 128, 128, 500]) + r.randint(-2, 2)
    args = ["ZADD", _key(r)]
    for i in range(count):
        args += [str(r.randint(-50, 50) if r.some(0.5) else i), "m%d" % i]
    return args


@gen("zsets", 1.5)
def zincrby(r):
    return ["ZINCRBY", _key(r), _score(r), r.member()]


@gen("zsets", 1.5)
def zrem(r):
    return ["ZREM", _key(r)] + [r.member() for _ in range(r.randint(1, 4))]


@gen("zsets", 2)
def zset_read(r):
    return r.one(["ZCARD", _key(r)], ["ZSCORE", _key(r), r.member()], ["ZRANK", _key(r), r.member()],
                 ["ZREVRANK", _key(r), r.member()], ["ZMSCORE", _key(r), r.member(), r.member()])  # fmt: skip


def _bound(r):
    p = r.random()
    if p < 0.15:
        return r.one("-inf", "+inf", "inf")
    text = r.good_int(-12, 12) if r.some(0.8) else r.floating()
    return "(" + text if r.some(0.25) else text


def _lex(r):
    p = r.random()
    if p < 0.3:
        return r.one("-", "+")
    if p < 0.33:
        return r.one("a", "", "(", "[", "*", "++", "-x")
    return r.one("[", "(") + r.one("a", "b", "c", "d", "m", "m1", "x", "", "zzz", "B")


def _limit(r, chance=0.3):
    return ["LIMIT", r.count(), r.one("-1", "2", "5", "0") if r.some(0.8) else r.integer()] if r.some(chance) else []


@gen("zsets", 1)
def zcount(r):
    return ["ZCOUNT", _key(r), _bound(r), _bound(r)]


@gen("zsets", 3)
def zrange(r):
    """The unified form, by rank or score."""
    options = [r.flag(0.4, "WITHSCORES"), r.flag(0.3, "REV")]
    if r.some(0.5):
        bounds = [_bound(r), _bound(r)]
        options += [["BYSCORE"], _limit(r)]
    else:
        bounds = [r.index(), r.index()]
        options += [_limit(r, 0.04)]
    options += [r.flag(0.01, "NOPE")]
    return ["ZRANGE", _key(r)] + bounds + r.shuffled(options)


@gen("zsets", 2)
def zrange_old(r):
    if r.some(0.5):
        return [r.one("ZRANGE", "ZREVRANGE"), _key(r), r.index(), r.index()] + r.flag(0.5, "WITHSCORES")
    name = r.one("ZRANGEBYSCORE", "ZREVRANGEBYSCORE")
    return [name, _key(r), _bound(r), _bound(r)] + r.shuffled([r.flag(0.4, "WITHSCORES"), _limit(r)])


@gen("zsets", 1)
def zrangestore(r):
    options = [r.flag(0.3, "REV")]
    if r.some(0.5):
        bounds = [_bound(r), _bound(r)]
        options += [["BYSCORE"], _limit(r)]
    else:
        bounds = [r.index(), r.index()]
    options += [r.flag(0.03, r.one("WITHSCORES", "LIMIT", "NOPE"))]
    return ["ZRANGESTORE", _key(r), _key(r)] + bounds + r.shuffled(options)


@gen("zsets", 0.8)
def zremrange(r):
    if r.some(0.5):
        start = r.randint(-5, 5)
        return ["ZREMRANGEBYRANK", _key(r), str(start), str(start + r.randint(0, 2)) if r.some(0.8) else r.index()]
    return (
        ["ZREMRANGEBYSCORE", _key(r), _bound(r), _bound(r)] if r.some(0.5) else ["ZREMRANGEBYSCORE", _key(r), "3", "(5"]
    )


def _aggregate(r, count, scores):
    options = []
    if r.some(0.35):
        weights = [r.one("1", "2", "-1", "0.5", "0", "3") if r.some(0.9) else r.floating() for _ in range(count)]
        options += [["WEIGHTS"] + weights + r.flag(0.03, "1")]
    options += [["AGGREGATE", r.one("SUM", "MIN", "MAX", "min") if r.some(0.96) else "AVG"]] if r.some(0.35) else []
    return options + [r.flag(0.5, "WITHSCORES") if scores else r.flag(0.02, "WITHSCORES")]


def _sources(r, high=3):
    return [r.key("zset") if r.some(0.8) else r.key("set") for _ in range(r.randint(1, high))]


@gen("zsets", 2)
def zalgebra(r):
    keys = _sources(r)
    numkeys = str(len(keys)) if r.some(0.95) else r.integer()
    if r.some(0.25):
        return ["ZDIFF", numkeys] + keys + r.flag(0.5, "WITHSCORES")
    return [r.one("ZUNION", "ZINTER"), numkeys] + keys + r.shuffled(_aggregate(r, len(keys), True))


@gen("zsets", 1.5)
def zalgebra_store(r):
    keys = _sources(r)
    numkeys = str(len(keys)) if r.some(0.95) else r.integer()
    if r.some(0.25):
        return ["ZDIFFSTORE", _key(r), numkeys] + keys
    name = r.one("ZUNIONSTORE", "ZINTERSTORE")
    return [name, _key(r), numkeys] + keys + r.shuffled(_aggregate(r, len(keys), False))


@gen("zsets", 0.8)
def zintercard(r):
    keys = _sources(r)
    numkeys = str(len(keys)) if r.some(0.92) else r.integer()
    return ["ZINTERCARD", numkeys] + keys + (["LIMIT", r.count()] if r.some(0.4) else [])


@gen("zsets", 1)
def zpop(r):
    return [r.one("ZPOPMIN", "ZPOPMAX"), _key(r)] + ([r.count()] if r.some(0.4) else [])


@gen("zsets", 0.7)
def zmpop(r):
    keys = r.keys("zset", 1, 3)
    numkeys = str(len(keys)) if r.some(0.93) else r.integer()
    side = r.one("MIN", "MAX", "min") if r.some(0.97) else "MID"
    return ["ZMPOP", numkeys] + keys + [side] + (["COUNT", r.count()] if r.some(0.4) else [])


@gen("zsets", 0.4)
def blocking_zsets(r):
    keys = r.keys("zset", 1, 3)
    timeout = "0.003" if r.some(0.9) else r.one("-1", "abc", "", "nan")
    if r.some(0.6):
        return [r.one("BZPOPMIN", "BZPOPMAX")] + keys + [timeout]
    side = r.one("MIN", "MAX")
    return ["BZMPOP", timeout, str(len(keys))] + keys + [side] + (["COUNT", r.count()] if r.some(0.4) else [])


@gen("zsets", 0.6)
def zrandmember(r):
    if r.some(0.3):
        return ["ZRANDMEMBER", _key(r)]
    count = str(r.randint(-15, 15)) if r.some(0.9) else r.integer()
    return ["ZRANDMEMBER", _key(r), count] + r.flag(0.4, "WITHSCORES")


@gen("zsets", 0.5)
def zscan(r):
    options = [["MATCH", r.pattern()]] if r.some(0.4) else []
    options += [["COUNT", r.count()]] if r.some(0.4) else []
    return ["ZSCAN", _key(r), "0" if r.some(0.95) else r.one("abc", "-1")] + r.shuffled(options)


@gen("zsets", 0.3)
def zset_encoding(r):
    return ["OBJECT", "ENCODING", _key(r)]


@gen("zsets", 0.1)
def zset_gone(r):
    return ["DEL", _key(r)]


# ---- by text: only meaningful where all scores are the same, so on keys of their own -----------------------------------
def _lex_key(r):
    return r.one("lex1", "lex2") if r.some(0.95) else r.one("s1", "nokey", "l1", "h1")


@gen("zsets", 1.5)
def lex_fill(r):
    if r.some(0.3):
        return ["ZREM", _lex_key(r), r.member(), r.one("a", "b", "c")]
    args = ["ZADD", _lex_key(r)]
    for _ in range(r.randint(1, 5)):
        args += [
            "0",
            r.one("a", "b", "c", "d", "aa", "ab", "B", "x", "", "m1", "m10", "m2") if r.some(0.8) else r.member(),
        ]
    return args


@gen("zsets", 0.1)
def lex_bulk(r):
    return ["ZADD", r.one("lex1", "lex2")] + [w for i in range(r.one(30, 129, 300)) for w in ("0", "m%d" % i)]


@gen("zsets", 2)
def lex_range(r):
    p = r.random()
    if p < 0.3:
        return [r.one("ZRANGEBYLEX", "ZREVRANGEBYLEX"), _lex_key(r), _lex(r), _lex(r)] + _limit(r)
    if p < 0.6:
        options = [["BYLEX"], r.flag(0.3, "REV"), _limit(r), r.flag(0.03, "WITHSCORES"), r.flag(0.02, "BYSCORE")]
        return ["ZRANGE", _lex_key(r), _lex(r), _lex(r)] + r.shuffled(options)
    if p < 0.8:
        return ["ZLEXCOUNT", _lex_key(r), _lex(r), _lex(r)]
    if p < 0.9:
        return ["ZREMRANGEBYLEX", _lex_key(r), _lex(r), _lex(r)]
    options = [["BYLEX"], r.flag(0.3, "REV"), _limit(r)]
    return ["ZRANGESTORE", _key(r), _lex_key(r), _lex(r), _lex(r)] + r.shuffled(options)
