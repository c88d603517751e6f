#!/usr/bin/python3
"""Access rules, compared with redis-server. run.py --server "brim-server --threads 2" [--seed N] [--rounds N]

Random rules on both servers: the same errors, the same users, and each command allowed or denied alike (ACL DRYRUN, and
commands sent as those users); how commands are told again is checked with a model, since the servers do not know the
same commands. ACL files, redis.conf's users, startup errors, CONFIG REWRITE, protected mode; denials by the million.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
sys.path.insert(1, os.path.join(HERE, "..", "differential"))

import comparison  # noqa: E402
import gen_acl  # noqa: E402
import gen_collections  # noqa: E402,F401
import gen_strings  # noqa: E402,F401
import gen_zsets  # noqa: E402,F401
from grammar import Grammar, Source  # noqa: E402
from servers import ORACLE, Server, StartError, Tally  # noqa: E402
from wire import Closed, quote, show  # noqa: E402

DATA_GROUPS = ("strings", "hashes", "lists", "sets", "zsets", "keys")
RANDOM_REPLIES = ["SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "RANDOMKEY", "SCAN", "SSCAN", "HSCAN", "ZSCAN"]
USERS = ["u1", "u2", "u3", "default"]


def arities(connection):
    found = {}
    for row in connection.call("COMMAND")[1]:
        for each in [row, *row[1][9][1]]:
            found[each[1][0][1].decode()] = each[1][1][1]
    return found


class Pair:
    """redis-server and the server under test, told the same."""

    def __init__(self, oracle, tested, resp):
        self.servers, self.resp, self.trouble = (oracle, tested), resp, []
        self.admins = [s.connect(20, resp) for s in self.servers]
        self.tables = [gen_acl.Table(s.connect(20)) for s in self.servers]
        known = [arities(c) for c in self.admins]
        common = {n: a for n, a in known[0].items() if known[1].get(n) == a}
        self.names = gen_acl.Names(common, self.tables[0].categories)

    def say(self, text):
        self.trouble.append(text)

    def call(self, *args, of=None):
        """Both replies; a difference is noted."""
        a, b = (c.call(*args) for c in (of or self.admins))
        if a != b and not comparison.same(list(args), a, b):
            self.say(f"{' '.join(map(quote, args))}\n    oracle  {show(a)}\n    tested  {show(b)}")
        return a, b

    def compare_user(self, name):
        """ACL GETUSER: all fields the same, descriptions of commands as the model gives them."""
        replies = [c.call("ACL", "GETUSER", name) for c in self.admins]
        flat = []
        for reply, table in zip(replies, self.tables):
            rest, described = without_commands(reply)
            flat.append(rest)
            for text in described:
                wrong = gen_acl.wrong_about(table, text.decode())
                if wrong:
                    self.say(f"{name}: {wrong}")
        if flat[0] != flat[1]:
            self.say(f"ACL GETUSER {name}\n    oracle  {show(replies[0])}\n    tested  {show(replies[1])}")

    def connections(self, name, password):
        """One on each server, authenticated; None when neither lets in."""
        pair = [s.connect(20, self.resp) for s in self.servers]
        a, _ = self.call("AUTH", name, password, of=pair)
        return pair if a == ("+", b"OK") else None


def without_commands(reply):
    """The reply of GETUSER with the values of "commands" taken out, and those."""
    described = []

    def walk(item):
        kind, value = item
        if not isinstance(value, tuple):
            return item
        out = []
        for i, each in enumerate(value):
            if i > 0 and value[i - 1] == ("$", b"commands"):
                described.append(each[1])
            else:
                out.append(walk(each))
        return (kind, tuple(out))

    return walk(reply), described


def random_rules(pair, r, rounds):
    """Users made of random rules; what they may do by DRYRUN and in fact; what ACL LOG says of it."""
    grammar = Grammar(DATA_GROUPS, RANDOM_REPLIES)
    checks = 0
    for number in range(rounds):
        pair.call("ACL", "DELUSER", "u1", "u2", "u3")
        pair.call("ACL", "SETUSER", "default", "reset", "on", "nopass", "+@all", "~*", "&*")
        pair.call("ACL", "LOG", "RESET")
        pair.call("CONFIG", "SET", "acl-pubsub-default", r.one("resetchannels", "resetchannels", "allchannels"))
        for name in USERS[:3]:
            for _ in range(r.randint(1, 3)):
                pair.call("ACL", "SETUSER", name, *gen_acl.rules(r, pair.names))
            if r.some(0.7):
                pair.call(
                    "ACL", "SETUSER", name, "on", ">one", *r.one([], ["+@all"], ["+@all", "-@slow"], ["~k*", "+@read"])
                )
            pair.compare_user(name)
            for _ in range(40):
                pair.call("ACL", "DRYRUN", name, *gen_acl.command(r, pair.names))
            act(pair, r, grammar, name)
            checks += 50
        compare_log(pair)
        if pair.trouble:
            return f"round {number}: " + "\n  ".join(pair.trouble[:4])
    return "" if checks else "nothing was checked"


def act(pair, r, grammar, name):
    """Commands as the user, in and outside of transactions, his rules changing meanwhile."""
    password = r.one("one", "one", "one", "two", "wrong")
    lines = pair.connections(name, password)
    if lines is None:
        return
    for _ in range(r.randint(3, 12)):
        p = r.random()
        if p < 0.12:
            pair.call("ACL", "SETUSER", name, gen_acl.command_rule(r, pair.names))
        elif p < 0.3:
            pair.call("MULTI", of=lines)
            for args in grammar.chunk(r, None, True):
                pair.call(*args, of=lines)
            if r.some(0.5):
                pair.call(
                    "ACL", "SETUSER", name, *r.one(["resetkeys"], ["-@write"], ["nocommands"], ["+@all", "-@hash"])
                )
            transaction(pair, lines)
        else:
            for args in grammar.chunk(r):
                if args[0] != "@expire":
                    pair.call(*args, of=lines)
    for line in lines:
        line.close()


def transaction(pair, lines):
    """EXEC, its parts compared one by one only by their kind: order is not promised in some."""
    a, b = (line.call("EXEC") for line in lines)
    if a[0] == b[0] == "*" and a[1] is not None and b[1] is not None and len(a[1]) == len(b[1]):
        errors = [[part for part in reply[1] if part[0] == "-"] for reply in (a, b)]
        if errors[0] == errors[1]:
            return
    elif a == b:
        return
    pair.say(f"EXEC\n    oracle  {show(a)}\n    tested  {show(b)}")


def compare_log(pair):
    logs = []
    for admin in pair.admins:
        entries = []
        for _, entry in admin.call("ACL", "LOG", "200")[1]:
            fields = dict(zip((k[1] for k in entry[::2]), entry[1::2]))
            entries.append([fields[k][1] for k in (b"count", b"reason", b"context", b"object", b"username")])
        logs.append(entries)
    if logs[0] != logs[1]:
        different = next((x for x in zip(*logs) if x[0] != x[1]), (len(logs[0]), len(logs[1])))
        pair.say(f"ACL LOG: {different[0]} expected, {different[1]} found")


def differential(options, tally):
    for resp in (2, 3):
        with Server(ORACLE) as oracle, Server(options.server) as tested:
            pair = Pair(oracle, tested, resp)
            error = random_rules(pair, Source(f"{options.seed}/{resp}"), options.rounds)
            tally.check(not error, f"random rules, RESP{resp}", error)
            check_alive(tested, tally, f"random rules, RESP{resp}")


def check_alive(server, tally, name):
    alive = server.alive()
    code = server.stop() if alive else server.process.returncode
    tally.check(
        alive and code == 0, f"{name}: the server ends well", f"{code} {server.log_tail() if not alive else ''}"
    )


# ---- files -----------------------------------------------------------------------------------------------------------
GOOD_LINES = [
    "user ann on nopass ~* +@all", "user bob off >x ~k* +get", "user default on nopass ~* &* +@all", "", "  ",
    "user carl on (+get ~a*) (+set %W~b &c)", "user dora on ~a +get -get +@list\r", "\tuser e on +select|0",
    "user  on", "user f (+get ~a", "user g (+get ~a (~b)",
]  # fmt: skip
BAD_LINES = [
    "user", "users a on", "# comment", "USER a on", "user a foo", "user b +nosuch", "user c ~* ~x",
    "user d +nosuch -nosuch bar foo", 'user e "on"', "user\ta on", "user f +@all on off x y", "user g ~a +get )", "bla",
    "user h <nosuch", "user i #abc",
]  # fmt: skip


def load_files(options, tally):
    """ACL LOAD: the same verdict, word for word, and nothing changes unless all is good."""
    r = Source(f"{options.seed}/files")
    with Server(ORACLE, wait=False) as oracle, Server(options.server, wait=False) as tested:
        pair = (oracle, tested)
        for server in pair:
            server.kill()
            path = os.path.join(server.folder, "users.acl")
            write(path, "user keep on >secret +ping ~*\n")
            server.extra += ["--aclfile", path]
            server.start()
        trouble = ""
        for number in range(60):
            lines = [r.pick(GOOD_LINES) for _ in range(r.randint(0, 5))]
            if r.some(0.4):
                lines += [r.pick(BAD_LINES) for _ in range(r.randint(1, 3))]
                r.shuffle(lines)
            text = "\n".join(lines) + r.one("", "\n")
            replies, before, after = [], [], []
            for server in pair:
                write(os.path.join(server.folder, "users.acl"), text)
                with server.connect() as c:
                    before.append(c.call("ACL", "LIST"))
                    kind, said = c.call("ACL", "LOAD")
                    replies.append((kind, said.replace(server.folder.encode(), b"")))
                    after.append(c.call("ACL", "LIST"))
            loaded = replies[1] == ("+", b"OK")
            if replies[0] != replies[1] or (not loaded and before[1] != after[1]):
                trouble = f"file {number}: {text!r}\n  {replies[0]}\n  {replies[1]}\n  {before[1]} {after[1]}"
            elif loaded and [names(x) for x in after] != [names(after[0])] * 2:
                trouble = f"file {number}: {text!r}: {after[0]} expected, {after[1]} found"
            if trouble:
                break
        tally.check(not trouble, "ACL LOAD of random files", trouble)
        saved_and_loaded(tested, tally)
        check_alive(tested, tally, "ACL LOAD")


def names(reply):
    return [line[1].split(b" ")[:3] for line in reply[1]]


def write(path, text):
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)


def saved_and_loaded(server, tally):
    """ACL SAVE, then LOAD, gives the same users, strange names and patterns included; who is not default is cut."""
    path = os.path.join(server.folder, "users.acl")
    write(path, "user default on nopass ~* &* +@all\n")
    with server.connect() as c:
        c.value("ACL", "LOAD")
        strange = ["~a\"b'", "&)(", "%R~a)", "+select|0", "+config|get", "-@all", "+@list"]
        c.value("ACL", "SETUSER", "x(\"'\\", "on", ">p", *strange)
        c.value(
            "ACL", "SETUSER", "y", "on", "nopass", "(%R~a) +get)", "(~'a\"b' &\\x)", "(~'x)' +set)", "+@all", "-@fast"
        )
        c.value("ACL", "SETUSER", "", "on", "nopass", "+ping")
        before = c.call("ACL", "LIST")
        other = server.connect()
        other.value("AUTH", "y", "any")
        c.value("ACL", "SAVE")
        c.value("ACL", "DELUSER", "x(\"'\\", "")
        c.value("ACL", "LOAD")
        after = c.call("ACL", "LIST")
        tally.check(before == after, "ACL SAVE and LOAD", f"{before} before, {after} after")
        tally.check(other.closed_within(5), "ACL LOAD closes users' connections")
        left = [name for name in os.listdir(server.folder) if "temp" in name or "tmp" in name]
        tally.check(not left, "ACL SAVE leaves no temporary file", str(left))
        os.remove(path)
        os.mkdir(path)
        reply = c.call("ACL", "SAVE")
        tally.check(
            reply[1].startswith(b"ERR There was an error trying to save the ACLs."), "ACL SAVE that fails", str(reply)
        )
        reply = c.call("ACL", "LOAD")
        tally.check(reply[0] == "-" and c.call("ACL", "LIST") == after, "ACL LOAD of a folder", str(reply))
        os.rmdir(path)
        reply = c.call("ACL", "LOAD")
        wanted = f"ERR Error loading ACLs, opening file '{path}': No such file or directory".encode()
        tally.check(reply == ("-", wanted) and c.call("ACL", "LIST") == after, "ACL LOAD without a file", str(reply))


# ---- redis.conf ------------------------------------------------------------------------------------------------------
def startup(options, tally):
    """Lines `user` of redis.conf: good ones make users, bad ones stop the start with the reason."""
    bad = {
        "user ann on foo": "Error in user declaration 'foo': Syntax error",
        "user ann on\nuser ann off": "Error in user declaration 'ann': Duplicate user found. A user can only be defined once",
        "user ann on (~a": "Error in user declaration '(~a': Unmatched parenthesis",
        "user": "Bad directive or wrong number of arguments",
        "user ann on +nosuch": "Error loading ACL rule '+nosuch' for the user named 'ann': Unknown command or category",
        'user "a b" on': "Spaces not allowed in ACL usernames",
        "aclfile nosuch.acl": "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file 'nosuch.acl'",
        "aclfile nosuch.acl\nuser ann on": "use one of both",
    }
    with Server(options.server) as server:
        server.kill()
        path = os.path.join(server.folder, "redis.conf")
        server.config_file = path
        for text, reason in bad.items():
            write(path, text + "\n")
            done = subprocess.run(server.line(), capture_output=True, text=True, timeout=20, check=False)
            said = done.stdout + done.stderr
            tally.check(
                done.returncode == 1 and reason in said, f"start with {text!r}", f"{done.returncode} {said[-600:]}"
            )
        rewritten(server, path, tally)


def rewritten(server, path, tally):
    """CONFIG REWRITE puts the users in place of the lines; the server starts with them again."""
    write(path, "# first\nuser ann on nopass ~a* +get\n# second\nuser bob on >x +@all\nrequirepass foo\n"
                "user default on nopass ~* +@all\n")  # fmt: skip
    server.start()
    with server.connect() as c:
        lines = [line.decode() for line in c.value("ACL", "LIST")]
        wanted = "user default on nopass sanitize-payload ~* resetchannels +@all"
        tally.check(lines[2] == wanted, "redis.conf's users", str(lines))
        tally.check(c.value("CONFIG", "GET", "requirepass") == [b"requirepass", b"foo"], "requirepass beside users")
        c.value("ACL", "DELUSER", "ann")
        c.value("ACL", "SETUSER", 'q"uote', "on", "(+get ~'a\"b')", "~x'y")
        c.value("ACL", "SETUSER", "", "on", "(+get ~a)")
        c.value("CONFIG", "SET", "requirepass", "bar")
        before = c.call("ACL", "LIST")
        c.value("CONFIG", "REWRITE")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    tally.check(text.startswith('# first\nuser "" on') and "# second\nuser bob on" in text, "CONFIG REWRITE", text)
    server.restart()
    with server.connect() as c:
        c.value("AUTH", "bar")
        after = c.call("ACL", "LIST")
        tally.check(before == after, "users after CONFIG REWRITE and restart", f"{before} before, {after} after")
        tally.check(c.value("CONFIG", "GET", "requirepass") == [b"requirepass", b"bar"], "requirepass after restart")


# ---- protected mode --------------------------------------------------------------------------------------------------
def outer_address():
    """An address of this machine that is not the loopback's; None: it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # nothing is sent
            address = s.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


def first_reply(address, port):
    with socket.create_connection((address, port), timeout=10) as s:
        data = b""
        while b"\r\n" not in data:
            got = s.recv(4096)
            if not got:
                break
            data += got
            if data.startswith(b"+"):
                break
        return data


def ask(address, port):
    with socket.create_connection((address, port), timeout=10) as s:
        s.sendall(b"PING\r\n")
        return s.recv(4096)


def protected(options, tally):
    address = outer_address()
    if address is None:
        print("no address but the loopback's: protected mode is not tested")
        return
    said = []
    for command in (ORACLE, options.server):
        with Server(command, extra=["--bind", "0.0.0.0", "--protected-mode", "yes"]) as server:
            said.append(first_reply(address, server.port))
            with server.connect() as c:
                refused = b"rejected_connections:1\r" in c.value("INFO", "stats")
                tally.check(refused, f"{command}: refusals are counted")
                c.value("CONFIG", "SET", "protected-mode", "no")
                tally.check(ask(address, server.port) == b"+PONG\r\n", f"{command}: protected-mode no lets in")
                c.value("CONFIG", "SET", "protected-mode", "yes")
                c.value("CONFIG", "SET", "requirepass", "foo")
                tally.check(ask(address, server.port).startswith(b"-NOAUTH"), f"{command}: so does a password")
    tally.check(said[0] == said[1] and said[0].startswith(b"-DENIED"), "the refusal of protected mode", str(said))


# ---- many denials ----------------------------------------------------------------------------------------------------
def flood(options, tally):
    """Denied commands, as fast as they come: memory is bounded, others are served."""
    batch, rounds, crowd = 5000, options.denials // 20_000, 4
    with Server(options.server) as server:
        with server.connect() as c:
            c.value("ACL", "SETUSER", "u", "on", "nopass", "~k*", "+get")
            used = lambda: int(c.value("INFO", "memory").split(b"used_memory:")[1].split(b"\r")[0])  # noqa: E731
            before, slowest = used(), 0.0

            def deny(number):
                d = server.connect(60)
                d.value("AUTH", "u", "x")
                payload = b"".join(b"*2\r\n$3\r\nGET\r\n$10\r\n%d:%08d\r\n" % (number, i) for i in range(batch))
                for _ in range(rounds):
                    d.send_raw(payload)
                    d.read_raw(batch)

            threads = [threading.Thread(target=deny, args=(i,)) for i in range(crowd)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                began = time.monotonic()
                c.value("PING")
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.01)
            grown, denied = used() - before, crowd * rounds * batch
            counted = int(c.value("INFO", "stats").split(b"acl_access_denied_key:")[1].split(b"\r")[0])
            tally.check(counted == denied, "every denial is counted", f"{counted} of {denied}")
            tally.check(len(c.value("ACL", "LOG", 10**6)) == 128, "the log is bounded")
            tally.check(grown < 1 << 20, "memory is bounded", f"{grown} bytes more after {denied} denials")
            tally.check(slowest < 2, "others are served", f"PING took {slowest:.3f} s")
            key = b"x" * (1 << 20)
            d = server.connect(60)
            d.value("AUTH", "u", "x")
            d.pipeline([["GET", key + b"%d" % i] for i in range(200)])
            d.close()
            tally.check(used() - before < 3 << 20, "long names are cut in the log", f"{used() - before} bytes")
        check_alive(server, tally, "many denials")


PARTS = {"differential": differential, "files": load_files, "startup": startup, "protected": protected, "flood": flood}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--rounds", type=int, default=150, help="of random rules")
    parser.add_argument("--denials", type=int, default=1_000_000)
    parser.add_argument("--only", default="", help="of " + ",".join(PARTS))
    options = parser.parse_args()
    print(f"seed {options.seed}, server {options.server}", flush=True)
    tally = Tally()
    for name, part in PARTS.items():
        if options.only and name not in options.only.split(","):
            continue
        try:
            part(options, tally)
        except (OSError, Closed, RuntimeError, StartError, ValueError) as error:
            tally.check(False, name, repr(error))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
