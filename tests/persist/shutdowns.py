"""How the process ends: SHUTDOWN with its options, signals, what stands in the way; beside redis-server where it has no
replicas to wait for either."""

import os
import shutil
import signal
import subprocess
import threading
import time

from servers import ORACLE, Server
from wire import Closed, encode

ERRORS = b"ERR Errors trying to SHUTDOWN. Check logs."


def ended(server, seconds=10):
    """Its exit code; None: it runs on."""
    try:
        return server.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def ask(server, *words):
    """The reply to SHUTDOWN; None when the connection ended instead."""
    try:
        with server.connect(10) as c:
            return c.call("SHUTDOWN", *words)
    except (Closed, OSError):
        return None


def runs(server):
    with server.connect() as c:
        return c.call("SET", "still", "here") == ("+", b"OK")


def block_file(server):
    """From now on no snapshot can take its name."""
    path = os.path.join(server.folder, "dump.rdb")
    os.path.isfile(path) and os.unlink(path)
    os.mkdir(path)


def leftovers(server):
    return [name for _, _, names in os.walk(server.folder) for name in names if name.startswith("temp-")]


def syntax(tally, command):
    with Server(command) as ours, Server(ORACLE) as theirs, ours.connect() as a, theirs.connect() as b:
        for case in ("ABORT", "ABORT ABORT", "ABORT NOW", "ABORT FORCE", "SAVE NOSAVE", "NOSAVE SAVE NOW", "SAFE", "NOW X"):
            x, y = a.call("SHUTDOWN", *case.split()), b.call("SHUTDOWN", *case.split())
            tally.check(x == y, f"SHUTDOWN {case}", f"{x} instead of {y}")
        for value in ("save nosave", "save xx", "FORCE now save", "now default", "default", "", "nosave"):
            for name in ("shutdown-on-sigterm", "shutdown-on-sigint"):
                case = ["CONFIG", "SET", name, value]
                x, y = a.call(*case), b.call(*case)
                tally.check(x == y, f"{case}", f"{x} instead of {y}")
                x, y = a.call("CONFIG", "GET", name), b.call("CONFIG", "GET", name)
                tally.check(x == y, f"{case}, CONFIG GET", f"{x} instead of {y}")
        queued = [["MULTI"], ["SHUTDOWN"], ["EXEC"], ["MULTI"], ["BGREWRITEAOF"], ["BGSAVE"], ["EXEC"]]
        x, y = a.pipeline(queued), b.pipeline(queued)
        tally.check(x == y, "SHUTDOWN, BGREWRITEAOF and BGSAVE in a transaction", f"{x} instead of {y}")
        until = time.monotonic() + 10
        while b"rdb_saves:0" in a.value("INFO", "persistence") and time.monotonic() < until:
            time.sleep(0.02)
        tally.check(b"rdb_saves:1" in a.value("INFO", "persistence"), "what EXEC has scheduled comes")


def unsaved(tally, command):
    """No snapshot can be written: it goes on, unless told not to care; as redis-server."""
    points = ["--save", "3600 1"]
    for binary in (command, ORACLE):
        name = "redis-server" if binary == ORACLE else "Brim"
        for words, code in (("", None), ("SAVE", None), ("NOW", None), ("NOSAVE", 0), ("FORCE", 0), ("SAVE FORCE NOW", 0)):
            with Server(binary, points) as server:
                runs(server)
                block_file(server)
                reply = ask(server, *words.split())
                wanted = ("-", ERRORS) if code is None else None
                tally.check(reply == wanted, f"{name}: SHUTDOWN {words}, unsaved", f"{reply}")
                tally.check(ended(server, 0.1 if code is None else 10) == code, f"{name}: SHUTDOWN {words}: exit code")
                if code is None:
                    tally.check(server.alive() and ask(server, "ABORT")[0] == "-", f"{name}: {words}: it goes on")
                server.kill()
        for number, setting in ((signal.SIGTERM, "shutdown-on-sigterm"), (signal.SIGINT, "shutdown-on-sigint")):
            with Server(binary, points) as server:
                with server.connect() as c:
                    c.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
                runs(server)
                block_file(server)
                for _ in range(2):
                    server.process.send_signal(number)
                    tally.check(ended(server, 0.5) is None and runs(server), f"{name}: {setting}: it goes on, unsaved")
                with server.connect() as c:
                    c.call("CONFIG", "SET", setting, "nosave" if number == signal.SIGINT else "force")
                server.process.send_signal(number)
                tally.check(ended(server) == 0, f"{name}: {setting}: it ends when told not to care")


def busy(tally, command):
    """A save or a rewrite is running: it is given up, and the files are those before it."""
    with Server(command, ["--save", "3600 1000000"]) as server:
        with server.connect(60) as c:
            c.pipeline([["SET", f"k:{i}", "x" * 3000] for i in range(20000)])
            c.call("SET", "n", 1)
            c.call("SAVE")
            size = os.path.getsize(os.path.join(server.folder, "dump.rdb"))
            c.call("SET", "n", 2)
            reply = c.pipeline([["BGSAVE"]])[0]
        began = time.monotonic()
        gone = ask(server, "NOSAVE")
        tally.check(reply[0] == "+" and gone is None and ended(server) == 0, "BGSAVE, SHUTDOWN NOSAVE", f"{reply} {gone}")
        tally.check(time.monotonic() - began < 5, "it does not wait for the save")
        tally.check(not leftovers(server), "no unfinished file", f"{leftovers(server)}")
        tally.check(os.path.getsize(os.path.join(server.folder, "dump.rdb")) == size, "the file before it")
        server.start()
        with server.connect() as c:
            tally.check(c.value("GET", "n") == b"1" and c.value("DBSIZE") == 20001, "the data before it")
            c.send_raw(encode(["SET", "n", 3]) + encode(["BGSAVE"]) + encode(["SHUTDOWN"]) + encode(["SET", "n", 4]))
            got = []
            try:
                while True:
                    got.append(c.read())
            except (Closed, OSError):
                pass
        tally.check(ended(server) == 0 and len(got) == 2, "nothing is done behind SHUTDOWN", f"{got}")
        server.start()
        with server.connect() as c:
            tally.check(c.value("GET", "n") == b"3", "SHUTDOWN saves what there is")


def first_base(tally, command):
    """Turned on a moment ago: the append-only file says nothing yet."""
    for words, code in (("", None), ("NOSAVE", None), ("FORCE", 0)):
        with Server(command) as server:
            with server.connect(60) as c:
                c.pipeline([["SET", f"k:{i}", "x" * 1000] for i in range(40000)])
                c.send_raw(encode(["CONFIG", "SET", "appendonly", "yes"]) + encode(["SHUTDOWN", *words.split()]))
                got = []
                try:
                    got = [c.read(), c.read()]
                except (Closed, OSError):
                    pass
            name = f"the first rewrite is running, SHUTDOWN {words}"
            tally.check(code is not None or got == [("+", b"OK"), ("-", ERRORS)], name, f"{got}")
            tally.check(ended(server, 0.2 if code is None else 10) == code, f"{name}: exit code")
            if code is None:
                with server.connect() as c:
                    c.call("SET", "last", 1)
                    until = time.monotonic() + 20
                    while b"aof_rewrite_in_progress:1" in c.value("INFO", "persistence") and time.monotonic() < until:
                        time.sleep(0.01)
                tally.check(ask(server) is None and ended(server) == 0, f"{name}: later it ends")
                server.extra = ["--appendonly", "yes"]
                server.start()
                with server.connect() as c:
                    tally.check(c.value("DBSIZE") == 40001, f"{name}: all is there", f"{c.value('DBSIZE')}")


def waits(tally, command):
    """Replicas lag (DEBUG says so): SHUTDOWN waits for them, writes wait meanwhile."""
    with Server(command, ["--shutdown-timeout", "20"]) as server, server.connect() as a, server.connect() as b, \
            server.connect() as d:  # fmt: skip
        a.call("DEBUG", "REPLICAS-LAG", 1)
        b.send("SHUTDOWN")
        tally.check(b.quiet_for(0.3), "SHUTDOWN waits")
        said = a.value("INFO", "server")
        left = int(said.split(b"shutdown_in_milliseconds:")[1].split(b"\r\n")[0]) if b"shutdown_in" in said else 0
        tally.check(10_000 < left <= 20_000, "shutdown_in_milliseconds", f"{left}")
        d.send("SET", "held", 1)
        tally.check(d.quiet_for(0.2) and a.value("GET", "held") is None, "writes wait")
        tally.check(a.call("SHUTDOWN", "ABORT") == ("+", b"OK"), "SHUTDOWN ABORT")
        reply = b.read()
        tally.check(reply == ("-", ERRORS), "who asked is told", f"{reply}")
        tally.check(d.read() == ("+", b"OK"), "writes go on")
        tally.check(b"shutdown_in" not in a.value("INFO", "server"), "no shutdown_in_milliseconds")
        tally.check(a.call("SHUTDOWN", "ABORT") == ("-", b"ERR No shutdown in progress."), "nothing to abort")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        tally.check(b"shutdown_in" in a.value("INFO", "server"), "a signal waits too")
        tally.check(a.call("SHUTDOWN", "ABORT") == ("+", b"OK") and runs(server), "and is called off")
        b.send("SHUTDOWN")
        b.quiet_for(0.2)
        a.call("DEBUG", "REPLICAS-LAG", 0)
        tally.check(ended(server) == 0, "it ends when they have caught up")
    for words, settings, seconds in (("", ["1"], 5), ("NOW", ["100"], 1), ("", ["0"], 1)):
        with Server(command, ["--shutdown-timeout", *settings]) as server:
            with server.connect() as c:
                c.call("DEBUG", "REPLICAS-LAG", 1)
            began = time.monotonic()
            asking = threading.Thread(target=ask, args=(server, *words.split()), daemon=True)
            asking.start()
            name = f"SHUTDOWN {words}, shutdown-timeout {settings[0]}"
            tally.check(ended(server) == 0 and time.monotonic() - began < seconds, name, f"{time.monotonic() - began:.1f} s")
            asking.join(5)
    with Server(command) as server:
        with server.connect() as c:
            c.call("DEBUG", "REPLICAS-LAG", 1)
        server.process.send_signal(signal.SIGINT)
        tally.check(ended(server, 0.3) is None, "the first SIGINT waits")
        server.process.send_signal(signal.SIGINT)
        tally.check(ended(server) == 1, "the second one does not")


def loading(tally, command):
    """A signal while the data is being loaded: it ends at once, and the file is as it was."""
    with Server(command, ["--save", "3600 1"]) as server:
        with server.connect(60) as c:
            c.call("DEBUG", "POPULATE", 1_500_000)
            c.call("SAVE")
        server.kill()
        path = os.path.join(server.folder, "dump.rdb")
        before = os.path.getsize(path), os.path.getmtime(path)
        for how in ("SIGTERM", "SHUTDOWN", "SHUTDOWN SAVE"):
            server.start(wait=False)
            reply = None
            for _ in range(1000):
                try:
                    with server.connect() as c:
                        reply = c.call("PING")
                        if reply[1].startswith(b"LOADING") and how != "SIGTERM":
                            c.call(*how.split())
                        break
                except (Closed, OSError):
                    time.sleep(0.002)
            if how == "SIGTERM":
                server.process.terminate()
            code = ended(server)
            met = reply is not None and reply[1].startswith(b"LOADING")
            tally.check(met and code == 0, f"{how} while loading", f"{reply} {code}")
            tally.check((os.path.getsize(path), os.path.getmtime(path)) == before, f"{how} while loading: the file")
            server.kill()


def stale_files(tally, command):
    """What killed processes have left is removed at the start; what a living one writes, and others' files, stay."""
    with subprocess.Popen(["sleep", "60"]) as living, Server(command, ["--appendonly", "yes"]) as server:
        server.kill()
        dead = subprocess.run(["sh", "-c", "echo $$"], capture_output=True).stdout.decode().strip()
        aof = os.path.join(server.folder, "appendonlydir")
        gone = [f"temp-{dead}.rdb", f"temp-rewriteaof-{dead}.aof", f"temp-rewriteaof-bg-{dead}.aof"]
        kept = [f"temp-{living.pid}.rdb", "temp-x.rdb", f"temp-{dead}.rdb.old", f"xtemp-{dead}.rdb", "temp--5.rdb"]
        for folder in (server.folder, aof):
            for name in gone + kept:
                open(os.path.join(folder, name), "w").close()
        server.start()
        for folder in (server.folder, aof):
            there = set(os.listdir(folder))
            tally.check(not there & set(gone), "unfinished files are removed", f"{there & set(gone)}")
            tally.check(set(kept) <= there, "others stay", f"{set(kept) - there}")
        living.kill()


def all_of_it(tally, command):
    for test in (syntax, unsaved, busy, first_base, waits, loading, stale_files):
        test(tally, command)
