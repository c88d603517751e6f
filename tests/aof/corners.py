"""Corners of the append-only file: records that are lost, big arguments, transactions that turn it on, WAITAOF, what the
power's failure leaves of a file's end and of an increment that is not the last."""

import os
import re
import time

from servers import ORACLE, Server, StartError
from wire import encode

FOLDER = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
MB = 1 << 20


def aof_server(command, *extra):
    return Server(command, ["--appendonly", "yes", *extra])


def await_said(c, words, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        said = c.value("INFO", "persistence")
        if all(word in said for word in words):
            return True
        time.sleep(0.01)
    return False


def lost_records(tally, command, seed):
    """No memory for a record: writes are refused until a rewrite has brought what it would have said."""
    for sync in ("everysec", "always"):
        with aof_server(command, "--appendfsync", sync) as server:
            with server.connect() as c, server.connect() as d:
                c.pipeline([["SET", f"k:{i}", i] for i in range(100)])
                replies = c.pipeline([["SET", "n", 1], ["DEBUG", "LOSE-RECORD"], ["SET", "n", 2]])
                wanted = ("-", b"MISCONF Errors writing to the AOF file: Cannot allocate memory")
                tally.check(replies[2] == wanted, f"a lost record, {sync}", f"{replies}")
                tally.check(d.value("GET", "n") == b"1", "reads go on")
                healed = await_said(c, [b"aof_last_write_status:ok", b"aof_rewrites:1", b"aof_rewrite_in_progress:0"])
                tally.check(healed, "a rewrite heals it")
                tally.check(d.call("SET", "n", 3) == ("+", b"OK"), "writes go on")
            server.restart()
            with server.connect() as c:
                tally.check(c.value("DBSIZE") == 101 and c.value("GET", "n") == b"3", "all is there")


def turned_on(tally, command, seed):
    """What a transaction does behind the CONFIG SET that turns the file on is recorded with it."""
    with Server(command) as server:
        with server.connect() as c:
            c.call("SET", "before", 1)
            queued = [["INCR", "n"], ["CONFIG", "SET", "appendonly", "yes"], ["INCR", "n"], ["SET", "x", "y" * 300_000]]
            c.pipeline([["MULTI"], *queued, ["EXEC"]])
            # No further command: it would carry along what was forgotten.
            until = time.monotonic() + 10
            while not os.path.exists(os.path.join(server.folder, FOLDER, MANIFEST)) and time.monotonic() < until:
                time.sleep(0.02)
            time.sleep(0.2)
        server.kill()
        server.extra = ["--appendonly", "yes"]
        server.start()
        with server.connect() as c:
            there = c.value("MGET", "before", "n"), c.value("STRLEN", "x")
            tally.check(there == ([b"1", b"2"], 300_000), "turned on within a transaction", f"{there}")
            c.pipeline([["MULTI"], ["INCR", "n"], ["BGREWRITEAOF"], ["INCR", "n"], ["EXEC"]])
            tally.check(await_said(c, [b"aof_rewrites:1", b"aof_rewrite_in_progress:0"]), "the rewrite comes after EXEC")
        server.restart()
        with server.connect() as c:
            tally.check(c.value("GET", "n") == b"4", "BGREWRITEAOF in a transaction: nothing is done twice")


def wait_for_disks(tally, command, seed):
    """WAITAOF: there are no replicas, so who wants some waits until the time is over."""
    with aof_server(command) as server, server.connect() as c, server.connect() as d:
        c.call("SET", "a", 1)
        for words, low, high, wanted in (
            ((0, 0, 0), 0, 0.1, (0, 0)), ((1, 0, 0), 0, 2, (1, 0)), ((0, 1, 200), 0.19, 1, (1, 0)),
            ((1, 2, 150), 0.14, 2, (1, 0)),
        ):  # fmt: skip
            began = time.monotonic()
            reply = c.call("WAITAOF", *words)
            took = time.monotonic() - began
            good = reply == ("*", tuple((":", n) for n in wanted)) or (words[0] == 0 and reply[1][1] == (":", 0))
            tally.check(good and low <= took <= high, f"WAITAOF {words}", f"{reply} after {took:.3f} s")
        began = time.monotonic()
        reply = c.pipeline([["MULTI"], ["WAITAOF", 1, 1, 0], ["EXEC"]])[2]
        tally.check(reply == ("*", (("*", ((":", 1), (":", 0))),)), "WAITAOF in a transaction", f"{reply}")
        for how, wanted in (("TIMEOUT", ("*", ((":", 1), (":", 0)))),
                            ("ERROR", ("-", b"UNBLOCKED client unblocked via CLIENT UNBLOCK"))):  # fmt: skip
            number = c.value("CLIENT", "ID")
            c.send("WAITAOF", 1, 1, 0)
            tally.check(c.quiet_for(0.3), "WAITAOF without an end")
            tally.check(d.call("CLIENT", "UNBLOCK", number, how) == (":", 1), "CLIENT UNBLOCK")
            reply = c.read()
            tally.check(reply == wanted, f"CLIENT UNBLOCK {how}", f"{reply}")
    with Server(command) as server, server.connect(20) as c:
        c.pipeline([["SET", f"k:{i}", "x" * 1000] for i in range(20000)])
        replies = c.pipeline([["CONFIG", "SET", "appendonly", "yes"], ["WAITAOF", 1, 0, 0], ["INFO", "persistence"]])
        tally.check(replies[1] == ("*", ((":", 1), (":", 0))), "WAITAOF waits for the first base", f"{replies[1]}")
        tally.check(b"aof_rewrite_in_progress:0" in replies[2][1], "and that it is done")


def peak(server):
    with open(f"/proc/{server.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024


def big_arguments(tally, command, seed):
    """They are written from where they were received: no further copy; what is recorded is right all the same."""
    big = os.urandom(MB) * 100
    for sync in ("everysec", "always"):
        with aof_server(command, "--appendfsync", sync) as server:
            with server.connect(60) as c:
                c.call("SET", "big", big)
                # As received, and as stored. (Sanitizers have their own bill.)
                slack = 30 * MB + (2 if "san/" in command else 0) * len(big)
                tally.check(peak(server) < 2 * len(big) + slack, "memory of a big SET", f"{peak(server) / MB:.0f} MB")
                some = big[: 700_000]
                c.pipeline([["SET", "told", some, "PX", 10**9], ["SET", "if", some, "NX"], ["GETSET", "old", some],
                            ["RPUSH", "list", some, 1, some], ["HSET", "hash", "f", some, some, 2], ["SADD", "set", some],
                            ["MULTI"], ["APPEND", "told", some], ["SET", "in", some], ["INCR", "n"],
                            ["LSET", "list", 1, some], ["EXEC"], ["ZADD", "z", 1, some], ["SETRANGE", "in", 9, some],
                            ["LPOP", "list"], ["DEL", "if"], ["SET", "if", some + b"x"]])  # fmt: skip
                wanted = c.value("DEBUG", "DIGEST")
            server.restart()
            with server.connect(60) as c:
                tally.check(c.value("DEBUG", "DIGEST") == wanted, f"big arguments, {sync}")
                tally.check(c.value("STRLEN", "big") == len(big), "the biggest")


class Folders:
    """Starts of a server with the files that are given."""

    def __init__(self, command, *extra):
        self.server = aof_server(command, *extra)

    def start(self, files):
        """What the log says; None when it runs."""
        server = self.server
        server.kill()
        folder = os.path.join(server.folder, FOLDER)
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        for name, data in files.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)
        open(server.log_path, "w").close()
        try:
            server.start()
            return None
        except StartError:
            return server.log_tail()

    def read(self, name):
        with open(os.path.join(self.server.folder, FOLDER, name), "rb") as f:
            return f.read()

    def close(self):
        self.server.stop()


def sets(first, last):
    return b"".join(encode(["SET", "n", i]) for i in range(first, last + 1))


def manifest(*increments):
    return b"".join(b"file %s seq %d type i\n" % (name.encode(), i + 1) for i, name in enumerate(increments))


def ends_of_files(tally, command, seed):
    """Tails that can be the beginning of a command are cut off, others refused, as redis-server does; zeros are cut off."""
    ours, theirs = Folders(command), Folders(ORACLE)
    start = encode(["SELECT", 0]) + sets(1, 5)
    for tail in (b"", b"*", b"*1", b"*12", b"*3\r", b"*3\r\n", b"*3\r\n$", b"*3\r\n$3", b"*3\r\n$3\r\nSE", b"*3\r\n$3\r\nSET\r",
                 b"*x", b"*0", b"*-1", b"x", b"\n", b"*3\r\n+3", b"*3\r\n$3\r\nSETX\r\n$1", b"**"):  # fmt: skip
        files = {MANIFEST: manifest("a"), "a": start + tail}
        said, other = ours.start(files), theirs.start(files)
        tally.check((said is None) == (other is None), f"the tail {tail!r}", f"{said and said[-300:]} {other and other[-300:]}")
        tally.check(said is None or "offset" in said, f"the tail {tail!r}: where", f"{said}")
    for tail in (b"", b"*", b"*3\r\n", b"*3\r\n$3\r\nSE", b"*3\r\n$3\r\nSET\r\n$", sets(6, 6)[:-1]):
        said = ours.start({MANIFEST: manifest("a"), "a": start + tail + bytes(3000)})
        good = tally.check(said is None, f"{tail!r} and zeros", f"{said and said[-400:]}")
        if good:
            with ours.server.connect() as c:
                tally.check(c.value("GET", "n") == b"5", f"{tail!r} and zeros: the data")
                c.call("SET", "n", 77)
            ours.server.restart()
            with ours.server.connect() as c:
                tally.check(c.value("GET", "n") == b"77", f"{tail!r} and zeros: continued")
    said = ours.start({MANIFEST: manifest("a"), "a": start + bytes(3000) + sets(6, 6)})
    tally.check(said is not None and "offset" in said, "zeros in the middle are refused")
    ours.close()
    theirs.close()


def mark(size, state):
    return b"#PREV:%020d %s\r\n" % (size, state)


def unsynced_increments(tally, command, seed):
    """The power went before an increment was on the disk that is not the last: what there is is a prefix."""
    lenient, strict = Folders(command), Folders(command, "--aof-load-truncated", "no")
    first = encode(["SELECT", 0]) + sets(1, 5)
    second = encode(["SELECT", 0]) + sets(6, 9)
    cut = len(first) - len(sets(5, 5))
    cases = (
        ("whole", first, mark(len(first), b"open") + second, 9, False),
        ("cut within a command", first[:-3], mark(len(first), b"open") + second, 4, True),
        ("cut between two", first[:cut], mark(len(first), b"open") + second, 4, True),
        ("zeros", first[:-9] + bytes(9), mark(len(first), b"open") + second, 4, True),
        ("a hole", first[:50] + bytes(9) + first[59:], mark(len(first), b"open") + second, 1, True),
        ("empty", b"", mark(len(first), b"open") + second, None, True),
        ("edited later", first[:cut], mark(len(first), b"done") + second, 9, False),
        ("half a mark", first[:-3], mark(len(first), b"open")[:20], 4, False),
        ("zeros for a mark", first[:-3], bytes(512) + second, 4, True),
        ("nothing behind it", first[:-3], b"", 4, False),
        ("only a mark behind it", first[:-3], mark(len(first), b"done"), 4, False),
    )
    for name, one, two, wanted, dropped in cases:
        files = {MANIFEST: manifest("a", "b"), "a": one, "b": two}
        said = lenient.start(files)
        if not tally.check(said is None, f"{name}: starts", f"{said and said[-400:]}"):
            continue
        with lenient.server.connect() as c:
            there = c.value("GET", "n")
            tally.check(there == (wanted and b"%d" % wanted), f"{name}: {wanted}", f"{there}")
            tally.check((b"file b" not in lenient.read(MANIFEST)) == dropped, f"{name}: the manifest")
            tally.check(lenient.read("b").endswith(two[len(mark(0, b"done")) :]), f"{name}: the file stays")
            c.call("SET", "n", 99)
        lenient.server.restart()
        with lenient.server.connect() as c:
            tally.check(c.value("GET", "n") == b"99", f"{name}: continued")
        said = strict.start(files)
        whole = one == first or name == "edited later"
        tally.check((said is None) == whole, f"{name}: aof-load-truncated no", f"{said and said[-300:]}")
    said = lenient.start({MANIFEST: manifest("a", "b"), "a": first[:-3], "b": mark(len(first), b"done") + second})
    tally.check(said is not None and "Unexpected end of file" in said, "cut after it was synced: refused", f"{said}")
    lenient.close()
    strict.close()


def turned_on_in_a_rewrite(tally, command, seed):
    """BGREWRITEAOF with the file off, and at once CONFIG SET appendonly yes."""
    for keys in (300, 50_000):
        with Server(command) as server:
            with server.connect(20) as c:
                c.pipeline([["SET", f"k:{i}", i] for i in range(keys)])
                replies = c.pipeline([["BGREWRITEAOF"], ["CONFIG", "SET", "appendonly", "yes"], ["INCR", "n"]])
                tally.check([kind for kind, _ in replies] == ["+", "+", ":"], "appendonly in a rewrite", f"{replies}")
                ended = await_said(c, [b"aof_enabled:1", b"aof_rewrite_in_progress:0", b"aof_rewrite_scheduled:0"])
                tally.check(ended, "appendonly in a rewrite: it ends")
            server.extra = ["--appendonly", "yes"]
            server.restart()
            with server.connect() as c:
                tally.check(c.value("DBSIZE") == keys + 1, "appendonly in a rewrite: all is there")


SUITE = (lost_records, turned_on, turned_on_in_a_rewrite, wait_for_disks, big_arguments, ends_of_files, unsynced_increments)
