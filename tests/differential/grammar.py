"""What all command generators share: pools of keys and values, option makers, and the guard against commands whose
outcome depends on the moment (short expiry, endless blocking) or costs too much memory.

A generator is a function g(r) of a Random-like `Source`; it returns a list of commands (each a list of arguments), or
one command. Register with @gen("group", weight).
"""

import random
import time

GROUPS = ("strings", "bits", "hashes", "lists", "sets", "zsets", "geo", "streams", "keys", "scripts", "transactions",
          "connection")  # fmt: skip
_generators = {group: [] for group in GROUPS}


def gen(group, weight=1.0):
    def register(function):
        _generators[group].append((function, weight))
        return function

    return register


NAMES = {
    "string": ["s1", "s2", "s3", "s4", "n1", "n2"],
    "hash": ["h1", "h2", "h3", "h4"],
    "list": ["l1", "l2", "l3", "l4"],
    "set": ["e1", "e2", "e3", "e4", "e5"],
    "zset": ["z1", "z2", "z3", "z4"],
    "stream": ["x1", "x2", "x3", "x4"],
    "lex": ["lex1", "lex2"],
    "bits": ["b1", "b2", "b3", "b4"],
    "hll": ["p1", "p2", "p3", "p4"],
    "geo": ["g1", "g2", "g3", "g4"],
}
ALL_NAMES = [name for kind, names in NAMES.items() if kind != "lex" for name in names]
INT64 = 2**63
INTS = ["0", "1", "-1", "2", "-2", "3", "5", "7", "10", "100", "-100", "127", "128", "255", "256", "-128", "-129"]
EDGE_INTS = [
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809", "32767", "32768",
    "-32768", "-32769", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296",
    "8388607", "8388608", "-8388609", "4095", "4096", "-4097", "12", "13", "9999", "10000", "1000000000000",
    "99999999999999999999", "18446744073709551615",
]  # fmt: skip
NOT_INTS = ["", "abc", " 1", "1 ", "+1", "01", "1.0", "0x10", "1e3", "--1", "-", "-0", "nan", "\x00", "1\x00"]
FLOATS = ["0", "1", "-1", "1.5", "-2.25", "0.1", "3.0", "1e3", "1e-5", "100", "2.5e10", "0.3", "1234567.891", "-0.5"]
EDGE_FLOATS = [
    "inf", "-inf", "+inf", "Inf", "infinity", "nan", "-nan", "NaN", "1e400", "-1e400", "1e308", "-1e308", "1e-320",
    "0.30000000000000004", "123456789012345678", "9007199254740993", "-0", "-0.0", "0x1p3", "0x10", "1e", "", "abc",
    " 1", "1 ", "1_0", "1.2.3", ".5", "5.", "1e17", "1e16", "1e15", "1e21", "1e22", "3.14159265358979323846264338",
    "99999999999999999999999", "1.7976931348623157e308", "5e-324", "4.9e-324",
]  # fmt: skip
WORDS = ["a", "b", "c", "d", "foo", "bar", "hello", "Hello world", "x", "yy", "zzz", "héllo", "A", "B", "0", "1", "2"]
EDGE_VALUES = [
    b"", b"\x00", b"\r\n", b"a\x00b", b"\xff\xfe\x80", b"*1\r\n$4\r\nPING\r\n", b" ", b"\"'\\", b"x" * 44, b"x" * 45,
    b"y" * 63, b"y" * 64, b"y" * 65, b"z" * 127, b"z" * 128, b"12345678901234567890", b"1.5", b"-7", b"007",
    b"v" * 4095, b"v" * 4096, b"w" * 254, b"w" * 255, b"123456789012345678901234567890123456789012345",
]  # fmt: skip
BIG_VALUES = [b"B" * 8193, b"C" * 16383, b"D" * 16384, b"E" * 16500, b"F" * 65536, b"G" * 70000, bytes(range(256)) * 70]


class Source(random.Random):
    """The seeded source of all choices."""

    def some(self, chance):
        return self.random() < chance

    def one(self, *choices):
        return choices[int(self.random() * len(choices))]

    def pick(self, choices):
        return choices[int(self.random() * len(choices))]

    def key(self, kind):
        """A key that usually holds that type, sometimes another one or nothing."""
        p = self.random()
        if p < 0.90:
            return self.pick(NAMES[kind])
        if p < 0.97:
            return self.pick(ALL_NAMES)
        return self.one("nokey", "nokey2", "k:" + self.one("1", "2"), "", b"bin\x00\xff")

    def any_key(self):
        return self.pick(ALL_NAMES) if self.some(0.95) else self.one("nokey", "", "lex1")

    def keys(self, kind, low=1, high=4):
        return [self.key(kind) for _ in range(self.randint(low, high))]

    def integer(self):
        p = self.random()
        if p < 0.6:
            return self.pick(INTS)
        if p < 0.75:
            return str(self.randint(-200, 200))
        if p < 0.8:
            return str(self.randint(-(2**63), 2**63 - 1))
        return self.pick(EDGE_INTS) if p < 0.93 else self.pick(NOT_INTS)

    def good_int(self, low=-20, high=20):
        return str(self.randint(low, high))

    def index(self):
        """A position in a collection, with overshoots and, rarely, nonsense."""
        p = self.random()
        if p < 0.85:
            return str(self.randint(-12, 12))
        if p < 0.95:
            return str(self.randint(-600, 600))
        return self.integer()

    def count(self):
        p = self.random()
        if p < 0.8:
            return str(self.randint(0, 6))
        if p < 0.9:
            return str(self.randint(-8, 150))
        return self.integer()

    def floating(self):
        p = self.random()
        if p < 0.6:
            return self.pick(FLOATS)
        if p < 0.8:
            return repr(round(self.uniform(-100, 100), self.randint(0, 6)))
        if p < 0.85:
            return repr(self.uniform(-1e6, 1e6))
        return self.pick(EDGE_FLOATS) if self.some(0.5) else self.pick(EDGE_INTS)

    def value(self):
        p = self.random()
        if p < 0.5:
            return self.pick(WORDS)
        if p < 0.75:
            return self.pick(INTS)
        if p < 0.82:
            return self.pick(EDGE_INTS)
        if p < 0.87:
            return self.pick(FLOATS)
        if p < 0.985:
            return self.pick(EDGE_VALUES)
        return self.pick(BIG_VALUES)

    def text(self):
        """A value that is seldom a number, for string commands."""
        return self.one("foobar", "hello world", "abcabc", "ohmytext", "mynewtext") if self.some(0.4) else self.value()

    def member(self):
        """From a small set, so that members meet; sometimes a number of a larger range, or a strange one."""
        p = self.random()
        if p < 0.45:
            return "m%d" % self.randint(0, 12)
        if p < 0.7:
            return str(self.randint(-3, 12))
        if p < 0.8:
            return self.pick(WORDS)
        if p < 0.87:
            return self.pick(EDGE_INTS)
        if p < 0.93:
            return "m%d" % self.randint(0, 600)
        return self.value()

    def flag(self, chance, *words):
        return list(words) if self.some(chance) else []

    def pattern(self):
        return self.one(
            "*", "a*", "*1", "m?", "m1*", "[a-c]*", "[^a-m]*", "\\*", "h[12]", "", "?", "??", "*[", "[z-a]*", "m\\1",
            "s[1-", "**", "*a*b*", "e[!2]", "z1", "l*", "[\\]]", "f1[0-9]",
        )  # fmt: skip

    # ---- expiry: far away, or past already; see unsafe() -------------------------------------------------------------
    def seconds(self):
        p = self.random()
        if p < 0.75:
            return str(self.randint(1000, 9_000_000))
        if p < 0.9:
            return self.one("0", "-1", "-100", "-9223372036854775808")
        return self.one("9223372036854775807", "9223372036854775", "9223372036854776", "abc", "", "1.5", "-0", "+5000")

    def millis(self):
        p = self.random()
        if p < 0.75:
            return str(self.randint(1_000_000, 9_000_000_000))
        return self.one("0", "-1", "-100", "9223372036854775807", "9223372036854775000", "abc", "", "1.5")

    def at_seconds(self):
        p = self.random()
        if p < 0.75:
            return str(NOW + self.randint(1000, 9_000_000))
        return self.one("0", "1", "-1", "1000", "9223372036854775807", "9223372036854775", "abc", "")

    def at_millis(self):
        p = self.random()
        if p < 0.75:
            return str(NOW * 1000 + self.randint(1_000_000, 9_000_000_000))
        return self.one("0", "1", "-1", "100000", "9223372036854775807", "abc", "")

    def expiry_option(self, persist=False, keepttl=False):
        choices = [["EX", self.seconds()], ["PX", self.millis()], ["EXAT", self.at_seconds()]]
        choices += [["PXAT", self.at_millis()], ["ex", self.seconds()]]
        if persist:
            choices += [["PERSIST"]] * 2
        if keepttl:
            choices += [["KEEPTTL"]] * 2
        return self.pick(choices)

    def shuffled(self, parts):
        """Options of a command in random order."""
        parts = list(parts)
        self.shuffle(parts)
        return [word for part in parts for word in part]


# Times are counted from one fixed moment a run, so that a seed gives the same sequence within the tolerance.
NOW = int(time.time())


def _upper(arg):
    return (arg if isinstance(arg, bytes) else str(arg).encode("utf-8", "surrogateescape")).upper()


def _int(arg):
    try:
        text = arg.decode("ascii") if isinstance(arg, bytes) else str(arg)
        return int(text) if text.strip() == text and "_" not in text else None
    except (ValueError, UnicodeDecodeError):
        return None


def _short(value, millis, at):
    """Would this expiry fall into the time of the test run (or be near enough to flicker)?"""
    if value is None:
        return False
    seconds = value / 1000 if millis else value
    if at:
        seconds -= NOW
        return -3600 < seconds < 900
    return 0 < seconds < 900


_BLOCKING = {b"BLPOP": -1, b"BRPOP": -1, b"BZPOPMIN": -1, b"BZPOPMAX": -1, b"BRPOPLPUSH": 3, b"BLMOVE": 5}
_BLOCKING.update({b"BLMPOP": 1, b"BZMPOP": 1})
_EXPIRE = {b"EXPIRE": (2, 0, 0), b"PEXPIRE": (2, 1, 0), b"EXPIREAT": (2, 0, 1), b"PEXPIREAT": (2, 1, 1)}
_EXPIRE.update({b"SETEX": (2, 0, 0), b"PSETEX": (2, 1, 0)})
_EXPIRE_OPTIONS = {b"EX": (0, 0), b"PX": (1, 0), b"EXAT": (0, 1), b"PXAT": (1, 1)}
_NEVER = {b"SHUTDOWN", b"QUIT", b"MONITOR", b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"SYNC", b"PSYNC", b"DEBUG"}
_NEVER |= {b"REPLICAOF", b"SLAVEOF", b"SAVE", b"BGSAVE", b"BGREWRITEAOF", b"FAILOVER", b"WAIT"}


_SCRIPTS = {b"EVAL", b"EVAL_RO", b"EVALSHA", b"EVALSHA_RO", b"FCALL", b"FCALL_RO"}
def _large_bit(arg):
    """A bit offset that would make a string of more than 300 KB (or a field's number that could)."""
    word = _upper(arg)
    number = _int(arg[1:] if word.startswith(b"#") else arg)
    return number is not None and 2_400_000 < abs(number) * (64 if word.startswith(b"#") else 1) < 2**70


def _unsafe_stream(name, args, queued):
    """Idle times that pass meanwhile, waiting that is long, and ids from the clock."""
    if name in (b"XREAD", b"XREADGROUP"):
        for word, value in zip(args[1:], args[2:]):
            if _upper(word) == b"BLOCK" and not queued and _int(value) is not None and not -1 <= _int(value) - 1 < 20:
                return True
        return name == b"XREAD" and any(_upper(word) == b"+" for word in args)
    if name in (b"XCLAIM", b"XAUTOCLAIM") and len(args) > 4:
        return 0 < (_int(args[4]) or 0) < 40_000
    if name == b"XPENDING":
        return any(_upper(w) == b"IDLE" and 0 < (_int(v) or 0) < 40_000 for w, v in zip(args, args[1:]))
    if name == b"XADD":
        return any(_upper(word) == b"*" for word in args[2:])
    return False


def unsafe(args, queued):
    """True for commands that a random change made depend on time, endless, or very large."""
    name = _upper(args[0])
    if name in _NEVER:
        return True
    if name in _SCRIPTS and len(args) > 3:
        keys = _int(args[2])
        called = args[3 + keys :] if keys is not None and 0 <= keys < len(args) else []
        if called and unsafe(called, True):
            return True
    if name in _BLOCKING and not queued:
        at = _BLOCKING[name]
        if -len(args) < at < len(args):
            try:
                timeout = float(args[at])
            except (ValueError, TypeError):
                timeout = -1
            if timeout == 0 or timeout > 0.02 or timeout != timeout:
                return True
    if name in _EXPIRE:
        at, millis, absolute = _EXPIRE[name]
        if len(args) > at and _short(_int(args[at]), millis, absolute):
            return True
    if name in (b"SET", b"GETEX"):
        for word, value in zip(args[1:], args[2:]):
            option = _EXPIRE_OPTIONS.get(_upper(word))
            if option and _short(_int(value), *option):
                return True
    if _unsafe_stream(name, args, queued):
        return True
    if name == b"SETRANGE" and len(args) > 2 and 300_000 < (_int(args[2]) or 0) < 2**29 + 1:
        return True
    if name in (b"SETBIT", b"BITFIELD") and any(_large_bit(arg) for arg in args[2:]):
        return True
    if name in (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER") and len(args) > 2:
        value = _int(args[2])
        if value is not None and -(2**63) < value < -2000:
            return True
    if name == b"CLIENT" and len(args) > 1 and _upper(args[1]) in (b"PAUSE", b"REPLY", b"TRACKING", b"CACHING"):
        return True
    return False


def _spoil(r, args):
    """A command with one thing wrong, or odd."""
    args = list(args)
    p = r.random()
    if p < 0.3 and len(args) > 1:
        args.pop(r.randint(1, len(args) - 1))
    elif p < 0.5:
        args.insert(r.randint(1, len(args)), r.one("x", "1", "", "NX", "GET", "WITHSCORES", "LIMIT"))
    elif p < 0.6:
        args = args[:1]
    elif len(args) > 1:
        at = r.randint(1, len(args) - 1)
        args[at] = r.one(r.integer, r.floating, r.value, r.any_key)()
    return args


def _casing(r, args):
    if r.some(0.04) and isinstance(args[0], str):
        return [r.one(args[0].lower(), args[0].title(), args[0].swapcase())] + list(args[1:])
    return args


class Grammar:
    """Draws commands of the chosen groups."""

    def __init__(self, groups, skip=()):
        self.skip = {name.upper().encode() for name in skip}
        self.tables = {group: _generators[group] for group in groups if _generators[group]}
        self.groups = list(self.tables)
        self.weights = {g: [w for _, w in table] for g, table in self.tables.items()}
        self.functions = {g: [f for f, _ in table] for g, table in self.tables.items()}

    def chunk(self, r, group=None, queued=False):
        """A few commands that belong together, already checked."""
        group = group or r.pick(self.groups)
        function = r.choices(self.functions[group], self.weights[group])[0]
        commands = function(r)
        if commands and not isinstance(commands[0], (list, tuple)):
            commands = [commands]
        out = []
        for args in commands:
            if args[0] == "@expire":
                if not queued:
                    out.append(args)
                continue
            if r.some(0.04):
                args = _spoil(r, args)
            args = _casing(r, args)
            if _upper(args[0]) not in self.skip and not unsafe(args, queued):
                out.append(args)
        return out
