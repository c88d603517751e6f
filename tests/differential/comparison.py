"""When are two replies to one command the same? Errors byte for byte; order only where the order is promised."""

import re

from tables import COMMANDS

COMMON = set(COMMANDS)


def _sorted(items):
    return sorted(items, key=repr)


def _close(a, b, tolerance):
    if a == b:
        return True
    if a[0] != ":" or b[0] != ":" or a[1] < 0 or b[1] < 0:
        return False
    return abs(a[1] - b[1]) <= tolerance


def exact(_, a, b):
    return a == b


def multiset(_, a, b):
    if a == b:
        return True
    return a[0] == b[0] and a[0] in "*~" and a[1] is not None and b[1] is not None and _sorted(a[1]) == _sorted(b[1])


def pairs(_, a, b):
    """Field and value pairs in any order; RESP2 array or RESP3 map."""
    if a == b:
        return True
    if a[0] != b[0] or a[0] not in "*%" or a[1] is None or b[1] is None or len(a[1]) != len(b[1]):
        return False
    return _sorted(zip(a[1][::2], a[1][1::2])) == _sorted(zip(b[1][::2], b[1][1::2]))


def seconds(_, a, b):
    return _close(a, b, 3)


def millis(_, a, b):
    return _close(a, b, 3000)


def same_kind(_, a, b):
    """Only the type of the reply; errors still byte for byte."""
    if a[0] == "-" or b[0] == "-":
        return a == b
    return a[0] == b[0] and (a[1] is None) == (b[1] is None)


def same_length(args, a, b):
    return same_kind(args, a, b) and (a[0] not in "*%~" or a[1] is None or len(a[1]) == len(b[1]))


def sort(args, a, b):
    """Without an order (BY without *) a set's elements come as they lie; equal weights leave the order open too."""
    if a == b:
        return True
    words = [_word(x) for x in args]
    by = next((args[i + 1] for i, w in enumerate(words[:-1]) if w == "BY"), None)
    if by is None or "STORE" in words or a[0] != "*" or b[0] != "*":
        return False
    unordered = "*" not in _text(by)
    if unordered and "LIMIT" in words:
        return len(a[1]) == len(b[1])
    return (unordered or "ALPHA" in words) and multiset(args, a, b)


def _text(arg):
    return arg.decode("latin-1") if isinstance(arg, bytes) else str(arg)


def _word(arg):
    return _text(arg).upper()


def hello(_, a, b):
    if a[0] == "-" or b[0] == "-":
        return a == b
    if a[0] != b[0] or len(a[1]) != len(b[1]) or a[1][::2] != b[1][::2]:
        return False
    free = {b"server", b"version", b"id"}
    return all(x == y for k, x, y in zip(a[1][::2], a[1][1::2], b[1][1::2]) if k[1] not in free)


def _client_fields(reply):
    return [re.findall(rb"([a-z-]+)=", line) for line in reply[1].split(b"\n") if line]


# Fields that came after 7.0 and that a newer server may show.
_NEW_CLIENT_FIELDS = {b"lib-name", b"lib-ver", b"io-thread", b"watch", b"tot-net-in", b"tot-net-out", b"tot-cmds"}


def client(args, a, b):
    sub = _word(args[1]) if len(args) > 1 else ""
    if a[0] == "-" or b[0] == "-":
        return a == b
    if sub in ("INFO", "LIST"):
        if a[0] not in "$=" or a[0] != b[0]:
            return False
        mine = [[f for f in line if f not in _NEW_CLIENT_FIELDS] for line in _client_fields(b)]
        return _client_fields(a) == mine
    if sub == "ID":
        return a[0] == b[0] == ":"
    if sub == "HELP":
        return a[0] == b[0]
    if sub == "TRACKINGINFO":
        return same_length(args, a, b)
    return a == b


def config(args, a, b):
    if len(args) > 1 and _word(args[1]) == "HELP":
        return a[0] == b[0]
    if a[0] == "-" or b[0] == "-":
        # Brim has two policies more and says so.
        return a == (b[0], b[1].replace(b", volatile-lrm, allkeys-lrm", b"") if b[0] == "-" else b[1])
    if len(args) > 1 and _word(args[1]) == "GET" and a[0] == b[0] and a[0] in "*%":
        mine = {k: v for k, v in zip(b[1][::2], b[1][1::2])}
        return all(mine.get(k) == v for k, v in zip(a[1][::2], a[1][1::2]))  # the other may know more
    return a == b


def command(args, a, b):
    sub = _word(args[1]) if len(args) > 1 else ""
    if sub in ("COUNT", "HELP", "", "DOCS"):
        return same_kind(args, a, b)
    if sub == "LIST" and a[0] == b[0] == "*":
        # Each server knows commands that the other does not.
        mine, theirs = ({item[1].decode("latin-1") for item in reply[1]} for reply in (a, b))
        return mine & COMMON == theirs & COMMON
    if sub == "INFO":
        return same_length(args, a, b)
    return a == b


def memory(args, a, b):
    return same_kind(args, a, b)


def object_(args, a, b):
    sub = _word(args[1]) if len(args) > 1 else ""
    if sub == "IDLETIME":
        return _close(a, b, 120)
    return a[0] == b[0] == "*" if sub == "HELP" else a == b


def _timed(place):
    """Rows of which one element is a time."""

    def same_rows(_, a, b):
        if a == b:
            return True
        if a[0] != b[0] or a[0] != "*" or a[1] is None or b[1] is None or len(a[1]) != len(b[1]):
            return False
        for x, y in zip(a[1], b[1]):
            if x[0] != "*" or y[0] != "*" or len(x[1]) != len(y[1]) or len(x[1]) <= place:
                return False
            if not _close(x[1][place], y[1][place], 3000):
                return False
            if x[1][:place] + x[1][place + 1 :] != y[1][:place] + y[1][place + 1 :]:
                return False
        return True

    return same_rows


def xpending(args, a, b):
    return a == b or (len(args) > 3 and _timed(2)(args, a, b))


def xinfo(args, a, b):
    """Exact, but for idle times and the times of deliveries."""
    if a == b:
        return True
    if len(args) > 1 and _word(args[1]) == "HELP":
        return a[0] == b[0]
    if a[0] != b[0] or a[0] not in "*%" or a[1] is None or b[1] is None or len(a[1]) != len(b[1]):
        return False
    name = None  # of a field, whose value comes next
    for x, y in zip(a[1], b[1]):
        rows = name == b"pending" and x[0] == "*" and x[1] and x[1][0][0] == "*"
        if name in (b"idle", b"seen-time"):
            same_value = _close(x, y, 3000)
        elif rows:
            same_value = _timed(len(x[1][0][1]) - 2)(args, x, y)
        else:
            same_value = x == y or (x[0] in "*%" and xinfo(args, x, y))
        if not same_value:
            return False
        name = x[1] if x[0] == "$" and name is None else None
    return True


def xgroup(args, a, b):
    return a == b or (len(args) > 1 and _word(args[1]) == "HELP" and a[0] == b[0])


_BY_NAME = {
    "TTL": seconds, "EXPIRETIME": seconds, "PTTL": millis, "PEXPIRETIME": millis, "SMEMBERS": multiset,
    "SINTER": multiset, "SUNION": multiset, "SDIFF": multiset, "KEYS": multiset, "HKEYS": multiset, "HVALS": multiset,
    "HGETALL": pairs, "SORT": sort, "SORT_RO": sort, "HELLO": hello, "CLIENT": client, "CONFIG": config,
    "COMMAND": command, "MEMORY": memory, "OBJECT": object_, "TIME": same_kind, "LASTSAVE": same_kind,
    "INFO": same_kind, "XPENDING": xpending, "XINFO": xinfo, "XGROUP": xgroup,
}  # fmt: skip


def same(args, a, b):
    """Is `b` a right answer to the command, when the oracle said `a`?"""
    return _BY_NAME.get(_word(args[0]), exact)(args, a, b)


def known_difference(args, a, b):
    """Differences that are meant: commands and options that came after 7.0, which the oracle does not know."""
    name = _word(args[0])
    if name == "CLIENT" and len(args) > 1 and _word(args[1]) in ("NO-TOUCH", "SETINFO"):
        return True
    return False
