"""Generators for transactions and for the connection's and server's own commands."""

from grammar import _generators, gen

_UNFIT_QUEUED = {"SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "RANDOMKEY", "SCAN", "SSCAN", "HSCAN", "ZSCAN"}
_UNFIT_QUEUED |= {"RESET", "HELLO", "AUTH"}


def fit_for_queue(args):
    """Random replies cannot be brought in line afterwards when they happen inside EXEC."""
    return str(args[0]).upper() not in _UNFIT_QUEUED


def transaction(r, grammar, groups):
    """Items (connection, command) of one transaction, with all that can go wrong with it."""
    conn = r.one(0, 0, 1, 2)
    other = r.one(0, 1, 2)
    items = []

    def add(where, commands):
        items.extend((where, args) for args in commands)

    def writes(where, queued, low=0, high=3):
        for _ in range(r.randint(low, high)):
            commands = [c for c in grammar.chunk(r, r.pick(groups), queued) if fit_for_queue(c)]
            add(where, commands)

    watched = r.some(0.45)
    if watched:
        add(conn, [["WATCH"] + [r.any_key() for _ in range(r.randint(1, 3))]])
        if r.some(0.5):
            writes(other, False, 0, 2)
        if r.some(0.1):
            add(other if other != conn else conn, [r.one(["FLUSHDB"], ["SWAPDB", "0", "1"], ["FLUSHALL"])])
        if r.some(0.1):
            add(conn, [["UNWATCH"]])
    add(conn, [["MULTI"]])
    writes(conn, True, 1, 4)
    if r.some(0.1):
        bad = r.one(
            ["NOSUCHCOMMAND", "x"], ["GET"], ["SET", "s1"], ["MULTI"], ["WATCH", "s1"], ["LPUSH", "l1"], ["CLIENT"]
        )
        add(conn, [bad])
    if r.some(0.2) and other != conn:
        writes(other, False, 1, 2)
    if r.some(0.1):
        add(conn, [r.one(["UNWATCH"], ["SELECT", "1"], ["PING"], ["CONFIG", "GET", "maxmemory"], ["OBJECT", "HELP"])])
    add(conn, [["DISCARD"] if r.some(0.1) else ["RESET"] if r.some(0.02) else ["EXEC"]])
    return items


def stray(r):
    return r.one(
        ["EXEC"], ["DISCARD"], ["UNWATCH"], ["WATCH"], ["EXEC", "x"], ["MULTI", "x"], ["DISCARD", "x"], ["UNWATCH", "x"]
    )


@gen("connection", 1)
def ping(r):
    return r.one(["PING"], ["PING", r.value()], ["ECHO", r.value()], ["PING", "a", "b"], ["ECHO"])


@gen("connection", 1)
def names(r):
    if r.some(0.5):
        return ["CLIENT", "GETNAME"]
    return ["CLIENT", "SETNAME", r.one("", "bob", "a b", "new\nline", "x" * 30, "ok-name", "é", "~", "\x7f")]


@gen("connection", 0.5)
def hello(r):
    return r.one(["HELLO"], ["HELLO", "2"], ["HELLO", "3"], ["HELLO", "4"], ["HELLO", "abc"], ["HELLO", "3", "SETNAME", "me"],
                 ["HELLO", "2", "SETNAME", "a b"], ["HELLO", "3", "AUTH", "default", "x"], ["HELLO", "3", "NOPE"],
                 ["HELLO", "3", "SETNAME"], ["HELLO", "3", "AUTH", "nobody", "x"], ["HELLO", ""], ["HELLO", "1"])  # fmt: skip


@gen("connection", 0.2)
def reset(r):
    return ["RESET"]


@gen("connection", 0.5)
def auth(r):
    return r.one(["AUTH", "x"], ["AUTH", "default", "x"], ["AUTH", "nobody", "x"], ["AUTH"], ["AUTH", "a", "b", "c"])


@gen("connection", 1.5)
def client(r):
    return ["CLIENT"] + r.one(
        ["ID"], ["INFO"], ["LIST"], ["LIST", "TYPE", "normal"], ["LIST", "TYPE", "nope"], ["LIST", "ID", "999999"],
        ["LIST", "ID", "abc"], ["LIST", "ID"], ["LIST", "TYPE"], ["LIST", "NOPE"], ["KILL", "ID", "999999"],
        ["KILL", "ID", "abc"], ["KILL", "1.2.3.4:5"], ["KILL", "TYPE", "nope"], ["KILL", "USER", "nobody"], ["KILL"],
        ["KILL", "ADDR", "1.2.3.4:5"], ["KILL", "LADDR", "1.2.3.4:5"], ["KILL", "SKIPME", "maybe"], ["KILL", "NOPE", "x"],
        ["KILL", "ID", "0"], ["KILL", "ID", "-1"], ["KILL", "TYPE", "replica"], ["KILL", "TYPE", "pubsub"],
        ["NO-EVICT", "on"], ["NO-EVICT", "off"], ["NO-EVICT", "x"], ["NO-EVICT"], ["UNBLOCK", "999999"], ["UNBLOCK", "abc"],
        ["UNBLOCK", "999999", "ERROR"], ["UNBLOCK", "999999", "TIMEOUT"], ["UNBLOCK", "1", "x"], ["UNPAUSE"], ["NOPE"],
        ["NOPE", "x"], ["GETREDIR"], ["TRACKINGINFO"], ["GETNAME", "x"], ["SETNAME"], ["HELP"], ["ID", "x"],
        ["REPLY", "ON"], ["REPLY", "x"], ["PAUSE", "abc"], ["PAUSE", "-1"], ["PAUSE", "1", "x"], ["PAUSE"], [],
    )  # fmt: skip


@gen("connection", 1)
def server_facts(r):
    return r.one(["TIME"], ["LASTSAVE"], ["ROLE"], ["COMMAND", "COUNT"], ["TIME", "x"], ["ROLE", "x"], ["DBSIZE", "x"],
                 ["OBJECT", "HELP"], ["CONFIG", "HELP"], ["COMMAND", "HELP"], ["MEMORY", "HELP"], ["MEMORY", "NOPE"],
                 ["MEMORY"], ["COMMAND", "NOPE"], ["COMMAND", "COUNT", "x"], ["CONFIG"], ["CONFIG", "NOPE"], ["LASTSAVE", "x"],
                 ["MEMORY", "USAGE"], ["MEMORY", "STATS", "x"], ["MEMORY", "PURGE"], ["CONFIG", "RESETSTAT"])  # fmt: skip


@gen("connection", 0.6)
def unknown(r):
    args = [r.value() for _ in range(r.randint(0, 5))]
    return [r.one("NOSUCH", "", "GETT", "x" * 200, "foo bar", "new\r\nline", "SET ", "-ERR", "\x00", "é")] + args


_CONFIG_NAMES = [
    "maxmemory", "maxmemory-policy", "hash-max-listpack-entries", "hash-max-ziplist-entries", "list-max-ziplist-size",
    "timeout", "maxmemory-samples", "lazyfree-lazy-expire", "lfu-log-factor", "lfu-decay-time", "hz", "zset-max-*",
    "set-max-intset-entries", "proto-max-bulk-len", "client-query-buffer-limit", "tcp-keepalive", "databases", "nope*",
    "activedefrag", "maxmemory-eviction-tenacity", "list-compress-depth", "client-output-buffer-limit", "save",
    "appendonly", "appendfsync", "lazyfree-*", "active-defrag-*", "slowlog-log-slower-than",
]  # fmt: skip


@gen("connection", 1)
def config_get(r):
    return ["CONFIG", "GET"] + [r.pick(_CONFIG_NAMES) for _ in range(r.one(1, 1, 2, 3))]


@gen("connection", 1)
def config_set(r):
    """Values that are refused, and good ones that change nothing a test sees."""
    good = (
        ["lfu-log-factor", "5"],
        ["lfu-decay-time", "3"],
        ["maxmemory-samples", "7"],
        ["maxmemory-eviction-tenacity", "20"],
    )
    good += (
        ["slowlog-log-slower-than", "-1"],
        ["lazyfree-lazy-expire", "yes"],
        ["tcp-keepalive", "60"],
        ["maxmemory", "0"],
    )
    good += ["maxmemory-policy", "noeviction"], ["hz", "20"], ["client-query-buffer-limit", "1gb"], ["maxmemory", "8gb"]
    good += ["hash-max-listpack-value", "64"], ["active-defrag-ignore-bytes", "100mb"], ["timeout", "0"]
    bad = (
        ["maxmemory", "abc"],
        ["maxmemory", "-1"],
        ["maxmemory-policy", "nope"],
        ["nope", "1"],
        ["maxmemory-samples", "0"],
    )
    bad += ["hz", "abc"], ["databases", "5"], ["port", "99999"], ["lfu-log-factor", "-1"], ["appendfsync", "x"]
    bad += (
        ["lazyfree-lazy-expire", "maybe"],
        ["maxmemory-eviction-tenacity", "101"],
        ["timeout", "-1"],
        ["maxmemory", ""],
    )
    bad += ["client-output-buffer-limit", "wrong 1 2 3"], ["client-output-buffer-limit", "normal 1"], ["save", "x"]
    bad += (
        ["set-max-intset-entries", "-1"],
        ["list-max-listpack-size", "x"],
        ["list-compress-depth", "-1"],
        ["maxmemory", "1xb"],
    )
    bad += ["hash-max-listpack-entries", "99999999999999999999"], ["tcp-keepalive", "x"], ["maxclients", "0"]
    bad += ["client-query-buffer-limit", "1"], ["proto-max-bulk-len", "5"], ["daemonize", "yes"], ["unixsocket", "x"]
    bad += (
        ["loglevel", "nope"],
        ["maxmemory-clients", "101%"],
        ["slowlog-max-len", "-1"],
        ["notify-keyspace-events", "!"],
    )
    pairs = [r.pick(good) if r.some(0.6) else r.pick(bad) for _ in range(r.one(1, 1, 1, 2, 3))]
    return ["CONFIG", "SET"] + [word for pair in pairs for word in pair]


@gen("connection", 1.5)
def command_table(r):
    """What the command table says of random commands; also of wrong ones."""
    group = r.one("strings", "hashes", "lists", "sets", "zsets", "streams", "keys")
    function = r.pick(_generators[group])[0]
    commands = function(r)
    args = commands if not isinstance(commands[0], (list, tuple)) else commands[-1]
    if str(args[0]).startswith("@"):
        args = ["GET", "x"]
    return r.one(
        ["COMMAND", "GETKEYS"] + list(args),
        ["COMMAND", "GETKEYSANDFLAGS"] + list(args),
        ["COMMAND", "INFO", args[0], "nosuch"],
        ["COMMAND", "LIST", "FILTERBY", "PATTERN", r.one("zr*", "*get*", "nope", "set")],
        ["COMMAND", "LIST", "FILTERBY", r.one("ACLCAT", "NOPE", "PATTERN"), r.one("list", "nope", "hash")],
    )
