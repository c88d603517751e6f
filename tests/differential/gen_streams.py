"""Generators for streams and their groups.

Ids are given, never drawn from the clock (`*`): the two servers' clocks differ. They rise through an episode, so that
most XADDs succeed, and those that are asked for are mostly among the latest. Idle times are either none or above 100
seconds, and what is asked for lies in between.
"""

from grammar import gen

GROUPS = ["g1", "g2"]
CONSUMERS = ["alice", "bob", "carol", "d"]
EDGE_IDS = [
    "-", "+", "0", "0-0", "0-1", "18446744073709551615-18446744073709551615", "18446744073709551615", "abc", "", "1-",
    "-1", "1-a", "01", "+1", " 1", "1-01", "$", ">", "*", "1-*", "18446744073709551616", "1-18446744073709551616",
    "1-1-1", "9223372036854775808-9223372036854775808",
]  # fmt: skip


def _key(r):
    return r.key("stream")


def _clock(r, step=0):
    r.stream_clock = getattr(r, "stream_clock", 0) + step
    return r.stream_clock


def _id(r):
    """Of an entry that may be there."""
    p = r.random()
    if p < 0.93:
        now = _clock(r)
        ms = r.randint(max(now - 25, 0), now + 1) if r.some(0.85) else r.randint(0, now + 3)
        return str(ms) if r.some(0.25) else f"{ms}-{r.one(0, 0, 0, 1, 1, 2)}"
    return r.pick(EDGE_IDS)


def _ids(r, high=4):
    return [_id(r) for _ in range(r.randint(1, high))]


def _new_id(r):
    p = r.random()
    if p < 0.55:
        return f"{_clock(r, r.one(0, 1, 1, 1, 2))}-{r.one('*', '*', '*', '0', '1')}"
    if p < 0.9:
        return f"{_clock(r, 1)}-{r.one('0', '0', '1', '2', '7', '18446744073709551615')}"
    if p < 0.97:
        return str(_clock(r, 1))
    return _id(r) if r.some(0.97) else r.pick(EDGE_IDS[4:7])


def _pairs(r):
    p = r.random()
    if p < 0.7:  # the same fields again and again
        fields = r.one(["f"], ["f"], ["temp", "hum"], ["1", "2", "3"])
    else:
        fields = [r.one("a", "b", "f", r.member()) for _ in range(r.one(1, 1, 2, 3, 9))]
    return [word for field in fields for word in (field, r.value() if r.some(0.3) else r.good_int())]


def _trim(r):
    if r.some(0.6):
        threshold = str(r.randint(0, 30)) if r.some(0.95) else r.integer()
        words = ["MAXLEN"]
    else:
        threshold = _id(r)
        words = ["MINID"]
    about = r.one("", "", "=", "~", "~")
    words += ([about] if about else []) + [threshold]
    if r.some(0.3 if about == "~" else 0.02):
        words += ["LIMIT", str(r.randint(0, 30)) if r.some(0.95) else r.integer()]
    return words


@gen("streams", 8)
def xadd(r):
    options = [r.flag(0.06, "NOMKSTREAM"), _trim(r) if r.some(0.12) else [], _trim(r) if r.some(0.004) else []]
    return ["XADD", _key(r)] + r.shuffled(options) + [_new_id(r)] + _pairs(r) + r.flag(0.01, "odd")


@gen("streams", 0.3)
def xadd_many(r):
    """Enough for several nodes."""
    key = r.pick(["x1", "x2", "x3"])
    fields = r.one(["f"], ["temp", "hum"])
    out = []
    for i in range(r.pick([20, 60, 130])):
        out.append(["XADD", key, f"{_clock(r, r.one(0, 1))}-*"] + [w for f in fields for w in (f, str(i))])
    return out


@gen("streams", 1.2)
def xtrim(r):
    return ["XTRIM", _key(r)] + _trim(r) + r.flag(0.01, "x")


@gen("streams", 2)
def xdel(r):
    return ["XDEL", _key(r)] + _ids(r)


def _bound(r):
    p = r.random()
    if p < 0.25:
        return r.one("-", "+")
    return ("(" if r.some(0.2) else "") + _id(r)


@gen("streams", 4)
def xrange(r):
    count = ["COUNT", r.count()] if r.some(0.4) else []
    name = r.one("XRANGE", "XREVRANGE")
    bounds = [_bound(r), _bound(r)] if r.some(0.5) else ["-", "+"] if name == "XRANGE" else ["+", "-"]
    return [name, _key(r)] + bounds + count + r.flag(0.01, r.one("COUNT", "x"))


@gen("streams", 1)
def xlen(r):
    return ["XLEN", _key(r)]


@gen("streams", 0.5)
def xsetid(r):
    options = [["ENTRIESADDED", str(r.randint(0, 700)) if r.some(0.9) else r.integer()] if r.some(0.4) else []]
    options += [["MAXDELETEDID", _id(r)] if r.some(0.4) else []]
    return ["XSETID", _key(r), _id(r)] + r.shuffled(options) + r.flag(0.02, "ENTRIESADDED")


def _group(r):
    return r.pick(GROUPS) if r.some(0.97) else r.one("nogroup", "", b"bin\x00\xff")


def _consumer(r):
    return r.pick(CONSUMERS) if r.some(0.97) else r.one("", "new", b"\x00\xff")


@gen("streams", 2.5)
def xgroup(r):
    read = ["ENTRIESREAD", r.one("-1", "0", "3", "10", "700") if r.some(0.95) else r.integer()] if r.some(0.2) else []
    start = r.one("$", "0", "0") if r.some(0.6) else _id(r)
    p = r.random()
    if p < 0.55:
        options = [r.flag(0.6, "MKSTREAM"), read, r.flag(0.02, "x")]
        return ["XGROUP", "CREATE", _key(r), _group(r), start] + r.shuffled(options)
    if p < 0.7:
        return ["XGROUP", "SETID", _key(r), _group(r), start] + read
    if p < 0.73:
        return ["XGROUP", "DESTROY", _key(r), _group(r)]
    if p < 0.86:
        return ["XGROUP", "CREATECONSUMER", _key(r), _group(r), _consumer(r)]
    return ["XGROUP", "DELCONSUMER", _key(r), _group(r), _consumer(r)]


def _read_tail(r, ids):
    keys = [_key(r) for _ in range(r.one(1, 1, 1, 2, 3))]
    count = ["COUNT", r.count()] if r.some(0.7) else []
    block = ["BLOCK", r.one("1", "2", "-1", "x", "1.5") if r.some(0.1) else "1"] if r.some(0.05) else []
    out = r.shuffled([count, block]) + ["STREAMS"] + keys + [ids(r) for _ in keys]
    return out + r.flag(0.01, "x")


@gen("streams", 2.5)
def xread(r):
    return ["XREAD"] + _read_tail(r, lambda r: _id(r) if r.some(0.9) else r.one("0", "$"))


@gen("streams", 2)
def read_and_handle(r):
    """The usual life of an entry, with what can happen between."""
    key, group = r.pick(["x1", "x2", "x3"]), r.pick(GROUPS[:2])
    out = [["XGROUP", "CREATE", key, group, r.one("0", "$"), "MKSTREAM"]] if r.some(0.5) else []
    for _ in range(r.randint(1, 6)):
        out.append(["XADD", key, f"{_clock(r, 1)}-*", "f", r.good_int()])
        out.append(["XREADGROUP", "GROUP", group, r.pick(CONSUMERS), "COUNT", r.one("1", "2", "10"), "STREAMS", key, ">"])
        if r.some(0.4):
            out.append(["XACK", key, group] + _ids(r, 3))
        if r.some(0.2):
            out.append(["XDEL", key] + _ids(r, 3))
        if r.some(0.15):
            out.append(["XCLAIM", key, group, r.pick(CONSUMERS), "0"] + _ids(r, 3) + ["IDLE", "100000"])
    return out + [["XINFO", "STREAM", key, "FULL"]]


@gen("streams", 6)
def xreadgroup(r):
    head = [["GROUP", _group(r), _consumer(r)] if r.some(0.99) else [], r.flag(0.12, "NOACK")]
    return ["XREADGROUP"] + r.shuffled(head) + _read_tail(r, lambda r: ">" if r.some(0.75) else _id(r))


@gen("streams", 3)
def xack(r):
    return ["XACK", _key(r), _group(r)] + _ids(r, 6)


@gen("streams", 3)
def xpending(r):
    args = ["XPENDING", _key(r), _group(r)]
    if r.some(0.3):
        return args
    idle = ["IDLE", r.one("0", "50000", "-5")] if r.some(0.25) else []
    return args + idle + [_bound(r), _bound(r), r.count()] + ([_consumer(r)] if r.some(0.3) else [])


def _min_idle(r):
    return r.one("0", "0", "0", "50000", "-1", "1000000000000") if r.some(0.97) else r.one("abc", "", "1.5")


@gen("streams", 3)
def xclaim(r):
    options = [["IDLE", r.one("0", "100000", "200000", "x")] if r.some(0.3) else []]
    options += [["TIME", r.one("1000", "99999999999999", "-1", "x")] if r.some(0.1) else []]
    options += [["RETRYCOUNT", r.one("0", "3", "-1", "9223372036854775807", "x")] if r.some(0.15) else []]
    options += [r.flag(0.3, "FORCE"), r.flag(0.3, "JUSTID"), ["LASTID", _id(r)] if r.some(0.08) else []]
    options += [r.flag(0.01, "NOPE")]
    return ["XCLAIM", _key(r), _group(r), _consumer(r), _min_idle(r)] + _ids(r, 5) + r.shuffled(options)


@gen("streams", 2)
def xautoclaim(r):
    options = [["COUNT", r.one("1", "2", "5", "100", "0", "-1", "x")] if r.some(0.4) else [], r.flag(0.4, "JUSTID")]
    start = r.one("-", "0", "0-0") if r.some(0.5) else _bound(r)
    return ["XAUTOCLAIM", _key(r), _group(r), _consumer(r), _min_idle(r), start] + r.shuffled(options)


@gen("streams", 2)
def xinfo(r):
    p = r.random()
    if p < 0.3:
        return ["XINFO", "GROUPS", _key(r)]
    if p < 0.5:
        return ["XINFO", "CONSUMERS", _key(r), _group(r)]
    full = ["FULL"] + (["COUNT", r.count()] if r.some(0.5) else []) if r.some(0.5) else []
    return ["XINFO", "STREAM", _key(r)] + full + r.flag(0.01, "x")


@gen("streams", 0.25)
def stream_as_key(r):
    """What happens to a stream as a key."""
    key = _key(r)
    return r.one(
        ["COPY", key, _key(r), "REPLACE"], ["RENAME", key, _key(r)], ["TYPE", key], ["OBJECT", "ENCODING", key],
        ["SET", key, "x"], ["SCAN", "0", "TYPE", "stream"], ["PERSIST", key], ["EXPIRE", key, r.seconds()],
    )  # fmt: skip


@gen("streams", 0.06)
def stream_gone(r):
    return ["DEL", r.pick(["x1", "x2", "x3", "x4"])]
