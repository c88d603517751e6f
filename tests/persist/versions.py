"""RDB files of every version, with the encodings of old and new ones: what redis-server 7.0 loads is the same there, what
only later servers write is what it says. And what a file holds besides keys: settings, functions, modules."""

import os
import struct
import time

from servers import ORACLE, Server, StartError
from streams import stream_state

HERE = os.path.dirname(os.path.abspath(__file__))
SEEDS = os.path.join(HERE, "..", "fuzz", "corpus", "rdb_fuzz")
NEWEST_OF_ORACLE = 10
FAR_S, FAR_MS = 2_000_000_000, 4_000_000_000_123
# Which version brought which types; before version 5 there is no checksum at the end.
TYPES = {1: (0, 1, 2, 3, 4, 9), 2: (10, 11, 12), 4: (13,), 7: (14,), 8: (5,), 9: (15,), 10: (16, 17, 18, 19)}
LATER = {11: (20, 21), 12: (22, 23, 24, 25), 13: (26,)}
# A stream without entries, of the form that does not tell its first id: redis-server takes the greatest there is.
ODD = ("stream_small_1", "stream_empty_1")
# Hashes with times of fields.
TIMED = ("hmeta", "hmeta_rc", "hpackex", "hpack_rc")


def text(data):
    assert len(data) < 64
    return bytes([len(data)]) + data


def file_of(version, body):
    magic = b"VALKEY%03d" % version if version >= 80 else b"REDIS%04d" % version
    return magic + body + b"\xff" + (bytes(8) if version >= 5 else b"")


def seeds():
    """[(name, type, the rest)]: values as files have them, also of servers that are not here."""
    out = []
    for name in sorted(os.listdir(SEEDS)):
        with open(os.path.join(SEEDS, name), "rb") as f:
            data = f.read()
        out.append((name.encode(), data[0], data[1:]))
    return out


def keys_of(types):
    # That one ends early.
    return b"".join(
        bytes([kind]) + text(name) + data for name, kind, data in seeds() if kind in types and name != b"hmeta_big"
    )


def start(server, data):
    """What the log says; None when it runs."""
    server.kill()
    with open(os.path.join(server.folder, "dump.rdb"), "wb") as f:
        f.write(data)
    open(server.log_path, "w").close()
    try:
        server.start()
        return None
    except StartError:
        return server.log_tail()


def contents(server):
    with server.connect() as c:
        out = {"digest": c.value("DEBUG", "DIGEST")}
        for db in (0, 2):
            c.call("SELECT", db)
            for key in c.value("KEYS", "*"):
                kind = c.value("TYPE", key)
                is_stream = kind in ("stream", b"stream") and key.decode() not in ODD
                state = stream_state(c, key, True) if is_stream else None
                out[db, key] = kind, c.value("OBJECT", "ENCODING", key), c.value("PEXPIRETIME", key), state
        return out


def old_ones(tally, ours, theirs):
    types = ()
    for version in range(1, NEWEST_OF_ORACLE + 1):
        types += TYPES.get(version, ())
        body = b"\xfe\x00" + keys_of(types) + b"\xfe\x02"
        body += b"\xfd" + struct.pack("<i", FAR_S) + b"\0" + text(b"seconds") + text(b"1")
        body += b"\xfd" + struct.pack("<i", 1) + b"\0" + text(b"past") + text(b"1")
        if version >= 3:
            body += b"\xfc" + struct.pack("<q", FAR_MS) + b"\0" + text(b"milliseconds") + text(b"2")
        if version >= 7:
            body = b"\xfa" + text(b"redis-ver") + text(b"4.0.0") + b"\xfa" + text(b"else") + b"\xc0\x07" + body
            body = body.replace(b"\xfe\x02", b"\xfe\x02\xfb\x03\x02", 1)
        if version >= 9:
            body += b"\xf8\x05\0" + text(b"idle") + text(b"3") + b"\xf9\x07\0" + text(b"often") + text(b"4")
        data = file_of(version, body)
        said = [start(server, data) for server in (ours, theirs)]
        if not tally.check(said == [None, None], f"version {version} is loaded", f"{said}"):
            continue
        got, wanted = contents(ours), contents(theirs)
        differ = [(k, got.get(k), wanted.get(k)) for k in wanted.keys() | got.keys() if got.get(k) != wanted.get(k)]
        tally.check(not differ and len(got) > 8, f"version {version}: as redis-server loads it", f"{differ[:4]}")


def new_ones(tally, ours):
    every = tuple(kind for kinds in (*TYPES.values(), *LATER.values()) for kind in kinds)
    for version in LATER:
        data = file_of(version, b"\xfe\x00\xf4\x05\x01\x00" + keys_of(every))
        if not tally.check(start(ours, data) is None, f"version {version} is loaded", ours.log_tail(400)):
            continue
        with ours.connect() as c:
            there = c.value("DBSIZE")
            tally.check(there >= 20, f"version {version}: keys", f"{there}")
            for name in TIMED:
                fields = [pair for pair in c.value("HKEYS", name)]
                times = c.value("HPEXPIRETIME", name, "FIELDS", len(fields), *fields) if fields else []
                tally.check(any(t > 0 for t in times), f"version {version}: times of {name}'s fields", f"{fields} {times}")
            streams = [c.value("XLEN", f"stream_groups_{form}") for form in (1, 2, 3)]
            tally.check(streams == [2, 2, 2], f"version {version}: streams of three forms", f"{streams}")
    name, data = next((name, data) for name, kind, data in seeds() if name == b"hvalkey")
    said = start(ours, file_of(80, b"\xfe\x00\x16" + text(name) + data + b"\0" + text(b"a") + text(b"b")))
    if tally.check(said is None, "Valkey's version 80 is loaded", f"{said}"):
        with ours.connect() as c:
            fields = c.value("HKEYS", name)
            times = c.value("HPEXPIRETIME", name, "FIELDS", len(fields), *fields)
            tally.check(c.value("GET", "a") == b"b" and any(t > 0 for t in times), "Valkey's hash", f"{fields} {times}")


def refused(tally, ours, theirs):
    module = b"\x12" * 8
    tests = (
        ("version 0", file_of(0, b""), "RDB version 0"), ("version 14", file_of(14, b""), "RDB version 14"),
        ("no RDB file", b"REDIX0010\xff" + bytes(8), "signature"),
        ("a module's value", file_of(9, b"\x07" + text(b"m") + b"\x81" + module + b"\x02\x05\x00"), "modules are not supported"),
        ("a function of a release candidate", file_of(10, b"\xf6" + text(b"f") + text(b"LUA") + b"\0" + text(b"code")),
         "release candidate"),
        ("a library that does not compile", file_of(10, b"\xf5" + text(b"#!lua name=x\nnonsense nonsense")), "library"),
        ("a database too many", file_of(10, b"\xfe\x20\0" + text(b"a") + text(b"b")), "databases"),
        ("a key twice", file_of(10, (b"\0" + text(b"a") + text(b"b")) * 2), "twice"),
        ("an unknown type", file_of(10, b"\x30" + text(b"a") + text(b"b")), "offset"),
    )  # fmt: skip
    for name, data, words in tests:
        said = start(ours, data)
        tally.check(said is not None and words in said and "offset" in said, f"{name} is refused, and why", f"{said}")
        other = start(theirs, data)
        tally.check(other is not None, f"{name} is refused by redis-server", f"{other}")
    library = b"#!lua name=one\nredis.register_function('one', function() return 1 end)"
    aux = b"\xf7\x81" + module + b"\x02\x02\x02\x01\x01\x05\x03" + bytes(4) + b"\x04" + bytes(8) + b"\x05" + text(b"abc") + b"\0"
    said = start(ours, file_of(10, aux + b"\xf5\x40" + bytes([len(library)]) + library + b"\0" + text(b"a") + text(b"b")))
    if tally.check(said is None, "a module's auxiliary fields are skipped", f"{said}"):
        with ours.connect() as c:
            tally.check(c.value("GET", "a") == b"b" and c.value("FCALL", "one", 0) == 1, "and what follows is there")


def checksums(tally, ours, theirs):
    """A wrong one is refused, none (0) is taken, also a wrong one with rdbchecksum no."""
    body = b"\xfe\x00\0" + text(b"a") + text(b"b")
    wrong = file_of(9, body)[:-8] + b"\1" * 8
    tally.check(start(ours, wrong) is not None and start(theirs, wrong) is not None, "a wrong checksum is refused")
    for server in (ours, theirs):
        server.extra = ["--rdbchecksum", "no"]
        tally.check(start(server, wrong) is None, "rdbchecksum no: nobody looks", server.log_tail(300))
        server.extra = []


def progress(tally, command):
    """INFO says how far loading is, commands that need no data are answered, the others get -LOADING; more than maxmemory
    is loaded all the same."""
    with Server(command) as server:
        with server.connect(60) as c:
            c.call("DEBUG", "POPULATE", 1_000_000, "key", 50)
            c.call("SAVE")
        size = os.path.getsize(os.path.join(server.folder, "dump.rdb"))
        server.kill()
        server.extra = ["--maxmemory", "20mb", "--maxmemory-policy", "noeviction"]
        server.start(wait=False)
        seen, refusals = [], set()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with server.connect() as c:
                    said = c.value("INFO", "persistence").decode()
                    fields = dict(line.split(":", 1) for line in said.split("\r\n") if ":" in line)
                    if fields["loading"] == "0":
                        break
                    seen.append(fields)
                    refusals.add(c.call("GET", "a"))
            except OSError:
                time.sleep(0.001)  # it does not listen yet
        refusals.discard(("$", None))  # it was just over
        tally.check(refusals == {("-", b"LOADING Redis is loading the dataset in memory")}, "-LOADING", f"{refusals}")
        steps = [int(fields["loading_loaded_bytes"]) for fields in seen]
        told = seen and {fields["loading_total_bytes"] for fields in seen} == {str(size)}
        tally.check(told and steps == sorted(steps) and len(set(steps)) > 2, "loading tells how far it is", f"{steps[:9]}")
        wanted = {"loading_start_time", "loading_total_bytes", "loading_rdb_used_mem", "loading_loaded_bytes",
                  "loading_loaded_perc", "loading_eta_seconds"}  # fmt: skip
        tally.check(seen and wanted <= seen[0].keys(), "INFO's fields while loading", f"{seen[:1]}")
        with server.connect(60) as c:
            tally.check(c.value("DBSIZE") == 1_000_000, "more than maxmemory is loaded", f"{c.value('DBSIZE')}")
            reply = c.call("SET", "one", "more")
            tally.check(reply[0] == "-" and reply[1].startswith(b"OOM"), "and then it is full", f"{reply}")


def names(tally, command):
    """dbfilename and dir, changed while it runs; rdbcompression; LASTSAVE; what INFO says of a save."""
    with Server(command, ["--enable-protected-configs", "yes"]) as server, server.connect() as c:
        os.mkdir(os.path.join(server.folder, "other"))
        c.call("SET", "a", "x" * 10_000)
        sizes = {}
        for compress in ("yes", "no"):
            c.call("CONFIG", "SET", "rdbcompression", compress)
            c.call("CONFIG", "SET", "dbfilename", f"{compress}.rdb")
            tally.check(c.call("SAVE") == ("+", b"OK"), f"SAVE to {compress}.rdb")
            sizes[compress] = os.path.getsize(os.path.join(server.folder, f"{compress}.rdb"))
        tally.check(sizes["yes"] < 1000 and sizes["no"] > 10_000, "rdbcompression", f"{sizes}")
        tally.check(c.call("CONFIG", "SET", "dir", os.path.join(server.folder, "other")) == ("+", b"OK"), "CONFIG SET dir")
        before = c.value("LASTSAVE")
        tally.check(c.call("SAVE") == ("+", b"OK") and os.path.exists(os.path.join(server.folder, "other", "no.rdb")),
                    "SAVE to another folder")  # fmt: skip
        said = c.value("INFO", "persistence").decode()
        tally.check(before <= c.value("LASTSAVE") and "rdb_changes_since_last_save:0" in said, "LASTSAVE and INFO", said)
        for bad in ("a/b", "../x"):
            reply = c.call("CONFIG", "SET", "dbfilename", bad)
            tally.check(reply[0] == "-" and b"dbfilename can't be a path, just a filename" in reply[1], f"dbfilename {bad}",
                        f"{reply}")  # fmt: skip


def all_of_it(tally, command):
    with Server(command) as ours, Server(ORACLE) as theirs:
        old_ones(tally, ours, theirs)
        new_ones(tally, ours)
        refused(tally, ours, theirs)
        checksums(tally, ours, theirs)
    progress(tally, command)
    names(tally, command)
