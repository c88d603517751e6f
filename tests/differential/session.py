"""Plays one sequence of commands on the oracle and on the server under test, and stops at the first difference.

An item is (connection number, arguments). Commands of one connection travel in pipelines; a change of connection, and a
command whose reply is random, waits for everything before it, so that both servers see one and the same order.
"""

import time

import comparison
import events
from wire import Closed, encode, parse, show, split

BATCH = 50
_TRANSACTION_WORDS = {b"MULTI", b"EXEC", b"DISCARD", b"RESET", b"HELLO"}


def name_of(args):
    name = args[0] if isinstance(args[0], bytes) else str(args[0]).encode("utf-8", "surrogateescape")
    return name.upper()


class Difference:
    """What differed, where: `index` is the item's place in the sequence (None: the final keyspace)."""

    def __init__(self, kind, index, args, oracle, tested, detail=""):
        self.kind, self.index, self.args, self.oracle, self.tested, self.detail = (
            kind,
            index,
            args,
            oracle,
            tested,
            detail,
        )

    def signature(self):
        """Differences with the same signature are taken for the same one."""
        name = name_of(self.args).decode("latin-1") if self.args else ""
        if self.kind in ("crash", "hang", "closed"):
            return (self.kind,)
        return (self.kind, name, self.detail if self.kind == "keyspace" else "")

    def lines(self):
        out = []
        if self.kind in ("crash", "hang", "closed"):
            out.append(f"the server under test: {self.kind} {self.detail}")
        elif self.detail:
            out.append(self.detail)
        if self.oracle is not None:
            out += [f"  oracle  {show(self.oracle)}", f"  tested  {show(self.tested) if self.tested else '-'}"]
        return out


class _Line:
    """One connection's state on both sides."""

    def __init__(self, oracle, tested):
        self.oracle, self.tested = oracle, tested
        self.queue = None  # the commands queued since MULTI


class _Broken(Exception):
    """The server under test closed the connection, hangs or died."""


class Session:
    def __init__(self, oracle, tested, resp=2, timeout=10, listen=False):
        self.oracle, self.tested, self.resp, self.timeout = oracle, tested, resp, timeout
        self.listen, self.watches = listen, None
        # A command was sent, for this batch or a later EXEC, of which not everything is compared (events.py).
        self.unlike_misses = self.quiet_changes = False
        self.lines = {}
        self.defaults = {}  # of each server its own
        self.commands = 0
        self.reset()
        self._remember_defaults()

    # ---- connections ---------------------------------------------------------------------------------------------------
    def line(self, number):
        if number not in self.lines:
            resp = 2 if number == "keyspace" else self.resp
            self.lines[number] = _Line(self.oracle.connect(self.timeout, resp), self._connect_tested(resp))
        return self.lines[number]

    def _connect_tested(self, resp):
        try:
            return self.tested.connect(self.timeout, resp)
        except (Closed, OSError) as e:
            raise _Broken(str(e)) from e

    def reset(self):
        """Both servers empty, with default settings and fresh connections; a dead server is started again."""
        for line in self.lines.values():
            line.oracle.close()
            line.tested.close()
        self.lines = {}
        if self.watches:
            self.watches.close()
            self.watches = None
        for attempt in range(2):
            if not self.tested.alive():
                self.tested.restart()
            try:
                line = self.line("keyspace")
                for connection, server in ((line.oracle, self.oracle), (line.tested, self.tested)):
                    settings = self.defaults.get(server, {}).items()
                    connection.pipeline([["FLUSHALL"]] + [["CONFIG", "SET", name, value] for name, value in settings])
                    # Keys then go when they are looked at, on both at the same command.
                    connection.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
                    if self.listen:
                        connection.call("CONFIG", "SET", *events.SETTINGS)
                if self.listen:
                    self.watches = events.Watches(self.oracle, self.tested, self.timeout)
                return
            except (Closed, OSError, _Broken):
                self.tested.kill()
                self.lines.pop("keyspace", None)
                if attempt:
                    raise

    def _remember_defaults(self):
        line = self.line("keyspace")
        for connection, server in ((line.oracle, self.oracle), (line.tested, self.tested)):
            self.defaults[server] = {}
            for name in EPISODE_SETTINGS + CONNECTION_SETTINGS:
                reply = connection.call("CONFIG", "GET", name)
                if reply[0] == "*" and reply[1]:
                    self.defaults[server][name] = reply[1][1][1]

    # ---- playing -------------------------------------------------------------------------------------------------------
    def play(self, items, check_every=0):
        """The first difference, or None. `check_every`: compare the keyspaces after so many items, and at the end."""
        batch, start = [], 0
        index = -1
        try:
            for index, (number, args) in enumerate(items):
                special = self._special(args)
                if batch and (special or number != batch[0][0] or len(batch) == BATCH):
                    found = self._run_batch(batch, start) or self._heard(start + len(batch) - 1, batch[-1][1])
                    if found:
                        return found
                    batch = []
                if special:
                    found = special(self.line(number), index, args)
                    if found:
                        return found
                    self._heard(index, args)  # what chance has chosen is made even by other commands
                else:
                    if not batch:
                        start = index
                    batch.append((number, args))
                if check_every and index % check_every == check_every - 1 and not batch:
                    found = self.compare_keyspaces()
                    if found:
                        return found
                    self._heard(index, args)
            found = (self._run_batch(batch, start) or self._heard(index, batch[-1][1])) if batch else None
            return found or (self.compare_keyspaces() if check_every else None)
        except _Broken as e:
            return self._broken(index, str(e))

    def _heard(self, index, args):
        if not self.watches:
            return None
        line = self.line("keyspace")
        try:
            differs = self.watches.difference((line.oracle, line.tested), not self.unlike_misses, self.quiet_changes)
        except (Closed, OSError) as e:
            raise _Broken(f"hang: no event in {self.timeout} s: {e!r}") from e
        if not differs:
            return None
        kind, mine, theirs = differs
        return Difference(kind, index, args, None, None, f"  oracle  {mine}\n  tested  {theirs}")

    def _broken(self, index, text):
        time.sleep(0.05)
        if not self.tested.alive():
            log = self.tested.log_tail(3000)
            return Difference("crash", index, None, None, None, f"exit {self.tested.process.returncode}\n{log}")
        kind = "hang" if "hang" in text else "closed"
        if kind == "hang":
            self.tested.kill()
        return Difference(kind, index, None, None, None, text)

    def _both(self, line, payload, count):
        """The raw replies of both servers to `payload`."""
        line.oracle.send_raw(payload)
        try:
            line.tested.send_raw(payload)
        except Closed as e:
            line.oracle.read_raw(count)
            raise _Broken("closed the connection") from e
        try:
            expected = line.oracle.read_raw(count)
        except (TimeoutError, Closed) as e:
            raise RuntimeError(f"the oracle itself does not answer {payload[:1000]!r}") from e
        try:
            got = line.tested.read_raw(count)
        except Closed as e:
            raise _Broken("closed the connection") from e
        except TimeoutError as e:
            raise _Broken(f"hang: no reply in {self.timeout} s") from e
        except ValueError as e:
            raise _Broken(f"closed: {e}") from e
        return expected, got

    def _run_batch(self, batch, start):
        line = self.line(batch[0][0])
        payload = b"".join(encode(args) for _, args in batch)
        if all(other.queue is None for other in self.lines.values()):
            self.unlike_misses = self.quiet_changes = False
        self.unlike_misses |= any(name_of(args).startswith(events.UNLIKE_MISSES) for _, args in batch)
        self.quiet_changes |= any(name_of(args) == events.QUIET_CHANGE for _, args in batch)
        self.commands += len(batch)
        expected, got = self._both(line, payload, len(batch))
        tracked = line.queue is not None or any(name_of(args) in _TRANSACTION_WORDS for _, args in batch)
        if expected == got and not tracked:
            return None
        mine, theirs = split(expected), split(got)
        for offset, (_, args) in enumerate(batch):
            found = self._compare_one(line, args, mine[offset], theirs[offset], start + offset)
            if found:
                return found
        if len(line.oracle.buffer) != len(line.tested.buffer):
            return Difference(
                "reply", start + len(batch) - 1, batch[-1][1], None, None, "one server sent more than asked"
            )
        return None

    def _compare_one(self, line, args, a, b, index):
        queue = line.queue
        name = name_of(args)
        if name == b"EXEC" and queue is not None and a[0] == b[0] == "*" and a[1] and b[1] and len(a[1]) == len(b[1]):
            line.queue = None
            for queued, x, y in zip(queue, a[1], b[1]):
                if not comparison.same(queued, x, y):
                    return Difference("reply", index, queued, x, y, "inside EXEC")
            return None
        if name == b"MULTI" and a == ("+", b"OK"):
            line.queue = []
        elif name in (b"EXEC", b"DISCARD", b"RESET") and a != ("+", b"QUEUED"):
            line.queue = None
        if a == ("+", b"QUEUED") and queue is not None:
            queue.append(args)
        if a == b or (queue is None and comparison.same(args, a, b)):
            return None
        return Difference("reply", index, args, a, b)

    # ---- commands whose reply is random ----------------------------------------------------------------------------------
    def _special(self, args):
        method = _SPECIAL.get(name_of(args).decode("latin-1"))
        return getattr(self, method) if method else None

    def _ask(self, line, args):
        expected, got = self._both(line, encode(args), 1)
        self.commands += 1
        return parse(expected)[0], parse(got)[0]

    def _expire(self, line, index, args):
        if line.queue is not None or len(args) < 2:
            return None
        a, b = self._ask(line, ["PEXPIRE", args[1], "1"])
        if a != b:
            return Difference("reply", index, ["PEXPIRE", args[1], "1"], a, b)
        time.sleep(0.01)
        return None

    def _spop(self, line, index, args):
        if line.queue is not None:
            return None
        a, b = self._ask(line, args)
        if not comparison.same_length(args, a, b):
            return Difference("reply", index, args, a, b)
        if a[0] == "-" or a[1] is None or a[1] == ():
            return None
        popped = set(a[1]) if a[0] in "*~" else {a}
        taken = set(b[1]) if b[0] in "*~" else {b}
        if len(taken) != len(popped):
            return Difference("reply", index, args, a, b, "the same member twice")
        key, back, away = args[1], [m[1] for m in popped - taken], [m[1] for m in taken - popped]
        if back:
            line.oracle.call("SADD", key, *back)
            if line.oracle.call("SREM", key, *away) != (":", len(away)):
                return Difference("reply", index, args, a, b, "a member that was not in the set")
        return self._same_set_encoding(line, index, args, key)

    def _same_set_encoding(self, line, index, args, key):
        """Which encoding the rest has may hang on what was drawn: build the set anew on both sides then."""
        a, b = self._ask(line, ["OBJECT", "ENCODING", key])
        if a == b:
            return None
        members = sorted(m[1] for m in line.oracle.call("SMEMBERS", key)[1])
        when = line.oracle.call("PEXPIRETIME", key)[1]
        for command in [["DEL", key], ["SADD", key] + members] + ([["PEXPIREAT", key, when]] if when > 0 else []):
            a, b = self._ask(line, command)
            if a != b:
                return Difference("reply", index, args, a, b, f"while building the set again: {command[0]}")
        return None

    def _random_members(self, line, index, args):
        if line.queue is not None:
            return None
        a, b = self._ask(line, args)
        if a == b:
            return None
        if not comparison.same_length(args, a, b):
            return Difference("reply", index, args, a, b)
        name, key = name_of(args).decode(), args[1]
        with_values = len(args) > 3
        if name == "SRANDMEMBER":
            whole = set(line.oracle.call("SMEMBERS", key)[1])
        elif name == "HRANDFIELD":
            flat = line.oracle.call("HGETALL", key)[1]
            whole = set(zip(flat[::2], flat[1::2])) if with_values else set(flat[::2])
        else:
            whole = set(_pairs(line.oracle.call("ZRANGE", key, "0", "-1", "WITHSCORES")))
            whole = whole if with_values else {m for m, _ in whole}
        drawn = list(_pairs(b) if with_values else b[1]) if b[0] in "*~" else [b]
        if not set(drawn) <= whole:
            return Difference("reply", index, args, a, b, "something that is not in the collection")
        if len(args) > 2 and int(args[2]) > 0 and len(set(drawn)) != len(drawn):
            return Difference("reply", index, args, a, b, "drawn twice")
        return None

    def _randomkey(self, line, index, args):
        if line.queue is not None:
            return None
        a, b = self._ask(line, args)
        if not comparison.same_kind(args, a, b):
            return Difference("reply", index, args, a, b)
        if a[0] == "$" and b[1] is not None and line.oracle.call("EXISTS", b[1]) != (":", 1):
            return Difference("reply", index, args, a, b, "a key that is not there")
        return None

    def _scan(self, line, index, args):
        if line.queue is not None:
            return None
        at = 1 if name_of(args) == b"SCAN" else 2
        a, b = self._ask(line, args)
        if a[0] == "-" or b[0] == "-" or len(args) <= at:
            return None if a == b else Difference("reply", index, args, a, b)
        if str(args[at]) != "0":  # a cursor out of thin air: anything may come
            return None
        paired = name_of(args) in (b"HSCAN", b"ZSCAN")
        try:
            mine = self._iterate(line.oracle, args, at, a, paired)
            theirs = self._iterate(line.tested, args, at, b, paired)
        except (Closed, TimeoutError) as e:
            raise _Broken("hang or closed while scanning") from e
        if mine != theirs:
            detail = (
                f"missing {sorted(mine - theirs, key=repr)[:5]!r}, too much {sorted(theirs - mine, key=repr)[:5]!r}"
            )
            return Difference("reply", index, args, a, b, "a whole iteration: " + detail)
        return None

    @staticmethod
    def _iterate(connection, args, at, reply, paired):
        found, command = set(), list(args)
        for _ in range(200_000):
            if reply[0] != "*" or len(reply[1]) != 2 or reply[1][0][0] != "$" or reply[1][1][0] != "*":
                return {("shape", show(reply))}
            cursor, items = reply[1][0][1], reply[1][1][1]
            found |= set(zip(items[::2], items[1::2])) if paired else set(items)
            if cursor == b"0":
                return found
            command[at] = cursor
            reply = connection.call(*command)
        return {("endless", "")}

    # ---- keyspace --------------------------------------------------------------------------------------------------------
    def _both_pipeline(self, commands):
        payload = b"".join(map(encode, commands))
        expected, got = self._both(self.line("keyspace"), payload, len(commands))
        return split(expected), split(got)

    def compare_keyspaces(self):
        """Compares names, types, encodings, expiry and contents of all databases in use."""
        try:
            for db in (0, 1, 2, 3, 15):
                found = self._compare_db(db)
                if found:
                    return found
            return None
        except _Broken as e:
            return self._broken(None, str(e))

    def _compare_db(self, db):
        commands = [["SELECT", str(db)], ["KEYS", "*"]]
        a, b = self._both_pipeline(commands)
        mine, theirs = {k[1] for k in a[1][1]}, {k[1] for k in b[1][1]}
        if mine != theirs:
            args = ["KEYS", "*"]
            return Difference(
                "keyspace", None, args, a[1], b[1], f"db {db}: keys {mine ^ theirs!r} are on one side only"
            )
        keys = sorted(mine)
        if not keys:
            return None
        facts = [command for key in keys for command in (["TYPE", key], ["OBJECT", "ENCODING", key], ["PTTL", key])]
        a, b = self._both_pipeline(facts)
        contents = []
        for i, key in enumerate(keys):
            for j, same in ((0, comparison.exact), (1, comparison.exact), (2, comparison.millis)):
                if not same(None, a[3 * i + j], b[3 * i + j]):
                    what = ["TYPE", "OBJECT ENCODING", "PTTL"][j]
                    return Difference("keyspace", None, facts[3 * i + j], a[3 * i + j], b[3 * i + j], what)
            kind, encoding = a[3 * i][1], a[3 * i + 1][1]
            if kind in _WHOLE:
                contents.append(([w if w != "key" else key for w in _WHOLE[kind]], encoding))
        a, b = self._both_pipeline([c for c, _ in contents])
        for (command, encoding), x, y in zip(contents, a, b):
            same = comparison.xinfo if command[0] == "XINFO" else comparison.exact
            if encoding == b"hashtable":
                same = comparison.pairs if command[0] == "HGETALL" else comparison.multiset
            if not same(command, x, y):
                return Difference("keyspace", None, command, x, y, "contents, " + encoding.decode())
        return None


def _pairs(reply):
    """Pairs of a reply WITHSCORES or WITHVALUES: nested in RESP3, flat in RESP2."""
    items = reply[1]
    if items and items[0][0] == "*":
        return [item[1] for item in items]
    return list(zip(items[::2], items[1::2]))


_WHOLE = {
    b"string": ["GET", "key"],
    b"list": ["LRANGE", "key", "0", "-1"],
    b"set": ["SMEMBERS", "key"],
    b"hash": ["HGETALL", "key"],
    b"stream": ["XINFO", "STREAM", "key", "FULL", "COUNT", "0"],
    b"zset": ["ZRANGE", "key", "0", "-1", "WITHSCORES"],
}
EPISODE_SETTINGS = [
    "hash-max-listpack-entries", "hash-max-listpack-value", "list-max-listpack-size", "list-compress-depth",
    "set-max-intset-entries", "zset-max-listpack-entries", "zset-max-listpack-value", "hll-sparse-max-bytes",
    "lazyfree-lazy-user-del", "lazyfree-lazy-server-del", "lazyfree-lazy-expire",
    "stream-node-max-entries", "stream-node-max-bytes",
]  # fmt: skip
CONNECTION_SETTINGS = [
    "lfu-log-factor", "lfu-decay-time", "maxmemory-samples", "maxmemory-eviction-tenacity", "slowlog-log-slower-than",
    "tcp-keepalive", "maxmemory", "maxmemory-policy", "hz", "client-query-buffer-limit", "timeout", "save",
    "active-defrag-ignore-bytes",
]  # fmt: skip

# Which method of Session runs a command that cannot go into a batch.
_SPECIAL = {
    "@EXPIRE": "_expire", "SPOP": "_spop", "SRANDMEMBER": "_random_members", "HRANDFIELD": "_random_members",
    "ZRANDMEMBER": "_random_members", "RANDOMKEY": "_randomkey", "SCAN": "_scan", "SSCAN": "_scan", "HSCAN": "_scan",
    "ZSCAN": "_scan",
}  # fmt: skip
