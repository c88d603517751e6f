"""Generators for places on the globe."""

from grammar import gen

# Crowds of places: members of one are near each other, so that searches find some of them and not others.
CENTERS = [(13.36, 38.11), (-0.12, 51.5), (179.99, -17.0), (-179.99, 0.001), (0.0, 0.0), (151.2, -33.87), (25.0, 84.9)]
CENTERS += [(-70.0, -84.0), (90.0, 66.5), (-120.0, 80.5)]
EDGES = ["180", "-180", "85.05112878", "-85.05112878", "0", "-0", "90", "1e-7", "180.0001", "85.0511288", "45", "22.5"]
SPREADS = [1e-5, 1e-3, 0.05, 1, 20]
UNITS = {"m": 1, "km": 1000, "ft": 0.3048, "mi": 1609.34}


def _number(value):
    return repr(round(value, 9))


def place(r):
    p = r.random()
    if p < 0.85:
        longitude, latitude = r.pick(CENTERS)
        spread = r.pick(SPREADS)
        longitude += r.gauss(0, spread)
        latitude += r.gauss(0, spread / 2)
        return [_number((longitude + 540) % 360 - 180), _number(max(-85.0, min(85.0, latitude)))]
    if p < 0.95:
        return [_number(r.uniform(-180, 180)), _number(r.uniform(-85, 85))]
    if p < 0.99:
        return [r.pick(EDGES), r.pick(EDGES)]
    return [r.floating(), r.floating()]


def _member(r):
    p = r.random()
    return "m%d" % r.randint(0, 24) if p < 0.85 else "m%d" % r.randint(0, 600) if p < 0.9 else r.member()


def _unit(r):
    if r.some(0.97):
        unit = r.pick(list(UNITS))
        return unit.upper() if r.some(0.2) else unit
    return r.one("cm", "", "k", "mm")


def _length(r, unit):
    """In that unit, of all sizes between a metre and the globe."""
    p = r.random()
    if p < 0.95:
        return repr(round(10 ** r.uniform(2, 7.4) / UNITS.get(unit.lower(), 1), 4))
    return r.one("0", "-1", "inf", "nan", "abc", "", "1e-3", "3e7", "1e300")


@gen("geo", 5)
def geoadd(r):
    words = ["GEOADD", r.key("geo")]
    words += r.flag(0.2, r.one("NX", "XX", "nx", "CH", "NX"))
    words += r.flag(0.2, r.one("CH", "XX", "CH"))
    for _ in range(r.one(1, 3, 8, 20, 40)):
        words += place(r) + [_member(r)]
    return words + r.flag(0.01, "x")


@gen("geo", 2)
def geodist(r):
    return ["GEODIST", r.key("geo"), _member(r), _member(r)] + ([_unit(r)] if r.some(0.6) else [])


@gen("geo", 2)
def facts(r):
    return [r.one("GEOPOS", "GEOHASH"), r.key("geo")] + [_member(r) for _ in range(r.randint(0, 4))]


def _circle(r):
    unit = _unit(r)
    return ["BYRADIUS", _length(r, unit), unit]


def _rectangle(r):
    unit = _unit(r)
    return ["BYBOX", _length(r, unit), _length(r, unit), unit]


def _count(r):
    if r.some(0.6):
        return []
    count = str(r.randint(1, 12)) if r.some(0.95) else r.integer()
    return [["COUNT", count] + r.flag(0.3, "ANY")]


def _order(r):
    return [[r.one("ASC", "DESC", "asc")]] if r.some(0.5) else []


def _with(r):
    return [r.flag(0.3, "WITHDIST"), r.flag(0.3, "WITHCOORD"), r.flag(0.2, "WITHHASH")]


@gen("geo", 6)
def geosearch(r):
    store = r.some(0.3)
    start = ["GEOSEARCHSTORE", r.key("geo" if r.some(0.6) else "zset")] if store else ["GEOSEARCH"]
    origin = ["FROMLONLAT"] + place(r) if r.some(0.5) else ["FROMMEMBER", _member(r)]
    parts = [origin, _circle(r) if r.some(0.6) else _rectangle(r)] + _count(r) + _order(r)
    parts += [r.flag(0.4, "STOREDIST")] if store else _with(r)
    parts += [r.one(["ANY"], ["WITHDIST"], ["STORE", "g1"], _circle(r), ["FROMMEMBER", "m1"])] if r.some(0.02) else []
    return start + [r.key("geo")] + r.shuffled(parts)


@gen("geo", 5)
def georadius(r):
    unit = _unit(r)
    by_member = r.some(0.4)
    name = "GEORADIUSBYMEMBER" if by_member else "GEORADIUS"
    read_only = r.some(0.3)
    words = [name + ("_RO" if read_only else ""), r.key("geo")]
    words += ([_member(r)] if by_member else place(r)) + [_length(r, unit), unit]
    parts = _count(r) + _order(r)
    if r.some(0.3 if not read_only else 0.03):
        parts += [[r.one("STORE", "STOREDIST", "store"), r.key("geo" if r.some(0.6) else "zset")]]
        parts += _with(r) if r.some(0.05) else []
    else:
        parts += _with(r)
    return words + r.shuffled(parts)


@gen("geo", 0.7)
def crowd(r):
    """More members than a listpack holds, many of them at one place: equal distances."""
    key = r.key("geo")
    words = ["GEOADD", key]
    spots = [place(r) for _ in range(r.one(3, 20, 120))]
    for i in range(r.one(20, 150, 300)):
        words += r.pick(spots) + ["m%d" % i]
    count = str(r.randint(1, 60))
    return [words, ["GEOSEARCH", key, "FROMMEMBER", "m1", "BYRADIUS", "30000", "km", "ASC", "COUNT", count]]


@gen("geo", 1)
def as_zset(r):
    """What the scores are."""
    key = r.key("geo")
    return r.one(
        ["ZRANGE", key, "0", "-1", "WITHSCORES"],
        ["ZREM", key, _member(r), _member(r)],
        ["ZADD", key, r.floating(), _member(r)],
        ["ZADD", key, r.integer(), _member(r)],
        ["DEL", key] if r.some(0.3) else ["ZCARD", key],
    )
