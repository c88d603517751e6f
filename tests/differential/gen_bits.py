"""Generators for strings as bits and for HyperLogLogs, whose bytes are compared by GET."""

from grammar import gen

WIDTHS = ["u1", "u2", "u3", "u4", "u5", "u7", "u8", "u13", "u16", "u31", "u32", "u33", "u62", "u63"]
WIDTHS += ["i1", "i2", "i3", "i5", "i8", "i9", "i16", "i17", "i32", "i63", "i64"]


def _key(r):
    return r.key("bits")


def _bit(r):
    """A bit's number: near, sometimes far, rarely nonsense."""
    p = r.random()
    if p < 0.7:
        return str(r.randint(0, 200))
    if p < 0.9:
        return str(r.randint(0, 4000))
    if p < 0.95:
        return str(r.randint(120_000, 300_000))  # around the size where a string becomes a block of its own
    return r.one("-1", "4294967295", "4294967296", "9223372036854775807", "abc", "", "1.5", "#1", "01")


# ---- SETBIT and those that look ----------------------------------------------------------------------------------------
@gen("bits", 5)
def setbit(r):
    return ["SETBIT", _key(r), _bit(r), r.one("0", "1", "1", "1") if r.some(0.96) else r.integer()]


@gen("bits", 2)
def getbit(r):
    return ["GETBIT", _key(r), _bit(r)]


@gen("bits", 1.5)
def bytes_below(r):
    """Texts of all sizes to work on; integers too."""
    p = r.random()
    if p < 0.3:
        return ["SET", _key(r), r.value()]
    if p < 0.8:
        size = r.pick([1, 2, 3, 7, 8, 9, 15, 31, 32, 33, 63, 64, 100, 1000])
        ends = [b"\x00", b"\xff", b"", bytes([r.randint(0, 255)])]
        return ["SET", _key(r), r.pick([b"\x00", b"\xff"]) * size + r.pick(ends) + r.pick(ends)]
    if p < 0.9:
        return ["SETRANGE", _key(r), str(r.randint(0, 40)), bytes(r.randint(0, 255) for _ in range(r.randint(1, 9)))]
    return [["SET", _key(r), b"\x00" * r.pick([16383, 16384, 20000])], ["DEL", _key(r)]]


@gen("bits", 3)
def bitcount(r):
    words = ["BITCOUNT", _key(r)]
    if r.some(0.8):
        words += [r.index(), r.index()]
        words += r.flag(0.5, r.one("BIT", "BYTE", "bit", "byte", "BITS"))
    return words


@gen("bits", 4)
def bitpos(r):
    words = ["BITPOS", _key(r), r.one("0", "1") if r.some(0.96) else r.integer()]
    if r.some(0.7):
        words += [r.index()]
        if r.some(0.7):
            words += [r.index()]
            words += r.flag(0.5, r.one("BIT", "BYTE", "bit", "byte", "BITS"))
    return words


@gen("bits", 4)
def bitop(r):
    name = r.one("AND", "OR", "XOR", "NOT", "and", "xor", "NAND") if r.some(0.98) else ""
    sources = [r.key("bits") for _ in range(1 if name == "NOT" and r.some(0.95) else r.randint(1, 5))]
    commands = [["BITOP", name, r.key("bits")] + sources]
    if r.some(0.2):
        commands.append(["OBJECT", "ENCODING", commands[0][2]])
    return commands


# ---- BITFIELD ----------------------------------------------------------------------------------------------------------
def _type(r):
    return r.pick(WIDTHS) if r.some(0.96) else r.one("u64", "i65", "i0", "u0", "x8", "i", "", "8", "I8", "u08", "i-1")


def _offset(r):
    p = r.random()
    if p < 0.6:
        return str(r.randint(0, 130))
    if p < 0.9:
        return "#%d" % r.randint(0, 12)
    return str(r.randint(0, 3000)) if p < 0.97 else r.one("-1", "#-1", "#", "abc", "#abc", "4294967296")


def _operand(r):
    if r.some(0.5):
        return str(r.randint(-300, 300))
    return r.integer() if r.some(0.2) else str(r.randint(-(2**63), 2**63 - 1) >> r.randint(0, 62))


@gen("bits", 6)
def bitfield(r):
    words = [r.one("BITFIELD", "BITFIELD", "BITFIELD", "BITFIELD_RO"), _key(r)]
    for _ in range(r.randint(0, 5)):
        p = r.random()
        if p < (0.3 if words[0] == "BITFIELD" else 0.9):
            words += ["GET", _type(r), _offset(r)]
        elif p < 0.5:
            words += ["SET", _type(r), _offset(r), _operand(r)]
        elif p < 0.8:
            words += ["INCRBY", _type(r), _offset(r), _operand(r)]
        else:
            words += ["OVERFLOW", r.one("WRAP", "SAT", "FAIL", "sat", "fail", "FAIL", "SAT", "NOPE")]
    return words


# ---- HyperLogLog -------------------------------------------------------------------------------------------------------
def _hll(r):
    return r.key("hll")


@gen("bits", 5)
def pfadd(r):
    elements = [r.member() if r.some(0.3) else "x%d" % r.randint(0, 100_000) for _ in range(r.randint(0, 12))]
    return ["PFADD", _hll(r)] + elements


@gen("bits", 0.5)
def pfadd_many(r):
    """Enough to become dense by themselves."""
    first = r.randint(0, 1_000_000)
    key = _hll(r)
    size = r.pick([100, 300, 900, 2000])
    commands = [["PFADD", key] + ["y%d" % i for i in range(first, first + size)]]
    return commands + [["PFDEBUG", "ENCODING", key], ["PFCOUNT", key], ["OBJECT", "ENCODING", key]]


@gen("bits", 3)
def pfcount(r):
    return ["PFCOUNT"] + [_hll(r) for _ in range(r.one(1, 1, 1, 2, 3))]


@gen("bits", 2)
def pfmerge(r):
    return ["PFMERGE", _hll(r)] + [_hll(r) for _ in range(r.randint(0, 3))]


@gen("bits", 1)
def pfdebug(r):
    return ["PFDEBUG", r.one("ENCODING", "DECODE", "DECODE", "TODENSE", "GETREG", "NOPE", "encoding"), _hll(r)]


@gen("bits", 1)
def forged(r):
    """HyperLogLogs that clients made up or damaged. What redis-server would read past the string's end is left out."""
    key = _hll(r)
    p = r.random()
    header = b"HYLL" + bytes([r.pick([0, 1, 1, 1, 1, 2])]) + b"\x00" * 3 + r.pick([b"\x00" * 8, b"\x00" * 7 + b"\x80"])
    if p < 0.3:
        runs = [
            r.pick([0x3F, 0x00, 0x80, 0x84, 0xFF, 0x93, 0x20, r.randint(0x80, 0xFF)]) for _ in range(r.randint(0, 30))
        ]
        body = bytes(runs) + r.pick([b"", b"\x7f\xff", b"\x7f\xf0", b"\x7f\x00"]) + b"\x00" * r.one(0, 0, 1, 16)
        commands = [["SET", key, header + body]]
    elif p < 0.5:
        left, body = 16384, b""
        for _ in range(r.randint(0, 40)):
            if r.some(0.5):
                size = r.randint(1, 4)
                body += bytes([0x80 | r.randint(0, 31) << 2 | size - 1])
            else:
                size = r.randint(1, 64)
                body += bytes([size - 1])
            left -= size
        commands = [["SET", key, header + body + bytes([0x40 | left - 1 >> 8, (left - 1) & 255])]]
    elif p < 0.8:
        commands = [["SETRANGE", key, str(r.randint(5, 40)), bytes([r.randint(0x80, 0xFF)])]]
    elif p < 0.9:
        commands = [["SET", key, header + bytes([r.randint(0, 255)]) * 12288]]
    else:
        commands = [["APPEND", key, b"\x00"]]
    return commands + [["PFCOUNT", key], ["PFADD", key, r.member(), r.member()], ["PFCOUNT", key], ["DEL", key]]


@gen("bits", 0.3)
def clean(r):
    return ["DEL", _hll(r), _key(r)]
