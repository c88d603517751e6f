#!/usr/bin/python3
"""Bad input and greedy clients. run.py --server "brim-server --threads 2" [--seed N]

What is malformed gets redis-server's error, compared live with the oracle, and the connection ends; what is too much is
cut or refused at its limit; the server stands all the time.
"""

import argparse
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from servers import ORACLE, Server, Tally, free_port  # noqa: E402
from wire import Closed, Connection, encode  # noqa: E402

LONG = b"1" * 70000
MALFORMED = {
    "count is no number": b"*x\r\n",
    "count is too large": b"*2147483648\r\n",
    "count line has no end": b"*" + LONG,
    "no dollar": b"*1\r\nGET\r\n",
    "bulk length is no number": b"*1\r\n$x\r\n",
    "bulk length is negative": b"*1\r\n$-5\r\n",
    "bulk length is too large": b"*1\r\n$536870913\r\n",
    "bulk length has no end": b"*1\r\n$" + LONG,
    "inline without end": LONG,
    "unbalanced double quote": b'SET a "b\r\n',
    "unbalanced single quote": b"SET a 'b\r\n",
    "text behind a quote": b'SET a "b"c\r\n',
    "good, then bad": b"*1\r\n$4\r\nPING\r\n*1\r\nx\r\n",
    "a browser's POST": b"POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\nSET a evil\r\nGET a\r\n",
    "a line of a browser": b"Host: 127.0.0.1\r\n\r\nSET a evil\r\n",
}
SOUND = {
    "inline": b"PING\r\nSET a 'x y'\r\nGET a\r\n",
    "inline with escapes": b'SET a "\\x41\\n\\t\\"b"\r\nGET a\r\n',
    "empty lines and arrays": b"\r\n*0\r\n*-1\r\n\r\nPING\r\n",
    "line feed only": b"PING\nECHO hi\n",
    "empty arguments": b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
    "unknown command": b"*2\r\n$3\r\nFOO\r\n$3\r\nbar\r\n",
    "too few arguments": b"*1\r\n$3\r\nGET\r\n",
    "muted while it waits": b"CLIENT REPLY OFF\r\nBLPOP q 0.05\r\nCLIENT REPLY ON\r\nPING\r\n",
    "one reply skipped": b"CLIENT REPLY SKIP\r\nBLPOP q 0.05\r\nPING\r\n",
    "letter case": b"*2\r\n$4\r\neChO\r\n$1\r\nx\r\n",
}


def answer(server, data, ends):
    """(bytes that came back, whether the server ended the connection)"""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        got = b""
        try:
            s.sendall(data)
            s.settimeout(3 if ends else 0.25)
            while True:
                piece = s.recv(65536)
                if not piece:
                    return got, True
                got += piece
        except (TimeoutError, socket.timeout):
            return got, False
        except (ConnectionResetError, BrokenPipeError):
            return got, True


def protocol(server, oracle, tally):
    for name, data in MALFORMED.items():
        ours, theirs = answer(server, data, True), answer(oracle, data, True)
        tally.check(ours == theirs and ours[1], f"malformed, {name}", f"{ours} instead of {theirs}")
    for name, data in SOUND.items():
        ours, theirs = answer(server, data, False), answer(oracle, data, False)
        tally.check(ours == theirs, name, f"{ours} instead of {theirs}")


def half_requests(server, _, tally):
    wire = encode(["SET", "half", "x" * 3000]) + encode(["GET", "half"])
    with server.connect() as c:
        for i in range(0, len(wire), 97):
            c.send_raw(wire[i : i + 97])
            time.sleep(0.001)
        tally.check(c.read() == ("+", b"OK") and c.read() == ("$", b"x" * 3000), "a request in pieces")
    gone = [server.connect() for _ in range(50)]
    for c in gone:
        c.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\nabc")
        c.close()
    tally.check(server.alive(), "clients that leave within a request")


def unauthenticated(_, __, tally, command):
    extra = ["--requirepass", "secret"]
    with Server(command, extra) as ours, Server(ORACLE, extra) as theirs:
        cases = [b"*11\r\n", b"*1\r\n$16385\r\n", b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", b"*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n",
                 b"AUTH secret\r\nPING\r\n", b"HELLO 3\r\n", b"PING\r\n", b"*1\r\n$4\r\nQUIT\r\n"]  # fmt: skip
        for data in cases:
            ends = data.startswith((b"*11", b"*1\r\n"))
            a, b = answer(ours, data, ends), answer(theirs, data, ends)
            tally.check(a == b, f"unauthenticated {data!r}", f"{a} instead of {b}")


def info(server, field):
    with server.connect() as c:
        return int(re.search(rf"{field}:(\d+)".encode(), c.value("INFO", "everything")).group(1))


def resident(server):
    with open(f"/proc/{server.pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) * 1024


def ends_soon(c, seconds=10):
    """True when the server cuts the connection although its replies are not read."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            c.socket.setblocking(False)
            c.socket.send(b"PING\r\n")
        except BlockingIOError:
            pass
        except OSError:
            return True
        time.sleep(0.05)
    return False


def slow_reader(server, _, tally):
    with server.connect() as control:
        control.call("CONFIG", "SET", "client-output-buffer-limit", "normal 8mb 0 0")
        control.call("SET", "big", "x" * 100000)
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", server.port))
            raw.sendall(encode(["GET", "big"]) * 1000)
            c = type("C", (), {"socket": raw})
            tally.check(ends_soon(c), "a client that never reads is cut")
        tally.check(control.call("PING") == ("+", b"PONG"), "the others are served")
        control.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")


def query_limit(server, _, tally):
    with server.connect() as control:
        control.call("CONFIG", "SET", "client-query-buffer-limit", "1mb")
        c = server.connect()
        try:
            c.send_raw(b"*2\r\n$3\r\nSET\r\n$100000000\r\n" + b"x" * (3 << 20))
            cut = c.closed_within(5)
        except (Closed, OSError, TimeoutError):
            cut = True
        tally.check(cut, "client-query-buffer-limit")
        control.call("CONFIG", "SET", "client-query-buffer-limit", "1gb")


def max_clients(_, __, tally, command):
    with Server(command, ["--maxclients", "5"]) as server:
        time.sleep(0.3)  # the connection that waited for the start is gone
        kept = [server.connect() for _ in range(5)]
        time.sleep(0.1)
        try:
            refused = Connection(server.port)
            reply = refused.read()
        except Closed:
            reply = "closed"
        tally.check(reply == ("-", b"ERR max number of clients reached"), "maxclients", f"{reply}")
        kept[0].close()
        time.sleep(0.2)
        tally.check(server.connect().call("PING") == ("+", b"PONG"), "room again after one has left")


def many_connections(server, _, tally):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10000
    if hard != resource.RLIM_INFINITY and hard < wanted + 200:
        print(f"only {hard} open files allowed: fewer connections")
        wanted = hard - 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted + 200, hard) if hard > 0 else wanted + 200, hard))
    with server.connect() as control:
        control.call("CONFIG", "SET", "maxclients", wanted + 100)
    before, sockets = resident(server), []
    try:
        for _ in range(wanted):
            sockets.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        for s in sockets:
            s.sendall(b"PING\r\n")
        good = sum(s.recv(16) == b"+PONG\r\n" for s in sockets)
        tally.check(good == wanted, f"{wanted} connections", f"{good} were answered")
        each = (resident(server) - before) / wanted
        tally.check(each < 4096, "memory of a connection at rest", f"{each:.0f} bytes")
    finally:
        for s in sockets:
            s.close()


def large_values(server, _, tally):
    size = 512 << 20
    with server.connect(60) as c:
        c.send_raw(b"*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$%d\r\n" % size)
        piece = bytes(range(256)) * 4096
        for _ in range(size // len(piece)):
            c.socket.sendall(piece)
        c.socket.sendall(b"\r\n")
        tally.check(c.read() == ("+", b"OK"), "SET of 512 MB")
        tally.check(c.value("STRLEN", "huge") == size, "its length")
        tally.check(c.value("GETRANGE", "huge", size - 3, -1) == bytes([253, 254, 255]), "its end")
        c.send("GET", "huge")
        left, head = size, c.socket.recv(12, socket.MSG_WAITALL)
        tally.check(head == b"$536870912\r\n", "GET of 512 MB", f"{head}")
        while left > 0:
            left -= len(c.socket.recv(min(left, 1 << 20)))
        tally.check(c.socket.recv(2, socket.MSG_WAITALL) == b"\r\n", "its reply is whole")
        tally.check(c.call("APPEND", "huge", "x")[0] == "-", "APPEND beyond 512 MB is refused")
        c.call("DEL", "huge")


def pipelines(server, _, tally):
    with server.connect(60) as c:
        replies = c.pipeline([["INCR", "deep"]] * 100000)
        tally.check([n for _, n in replies] == list(range(1, 100001)), "a pipeline of 100000 commands")


def half_closed(server, _, tally):
    """Who sends much and then ends its half of the connection has all of it executed, also when its turn came later."""
    with server.connect(60) as c:
        c.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")  # its replies are 12 MB
        c.pipeline([["DEL", "sent"]] + [["RPUSH", "long", *["x" * 100] * 1000]] * 20)
        with server.connect(60) as k:
            heavy = encode(["LRANGE", "long", 0, -1])
            k.send_raw(b"".join(encode(["INCR", "sent"]) + (heavy if i % 500 == 0 else b"") for i in range(3000)))
            k.socket.shutdown(socket.SHUT_WR)
            tally.check(k.closed_within(60), "a client that has ended its half is closed")
        tally.check(c.value("GET", "sent") == b"3000", "commands before the end of a client's half", c.value("GET", "sent"))
        c.call("DEL", "long")


# Scripts that want more than there is: memory, time, depth. Each gets an error (or an answer), soon.
GREEDY = {
    "a table without end": "local t = {} while true do t[#t + 1] = {} end",
    "texts without end": "local t = {} while true do t[#t + 1] = string.rep('x', 10000) .. #t end",
    "a text that doubles": "local s = 'x' while true do s = s .. s end",
    "a giant of string.rep": "return #string.rep('x', 2^31)",
    "string.rep of nothing": "return #string.rep('', 2^50)",
    "string.rep of much": "return #string.rep(string.rep('x', 1000), 2^40)",
    "concat of references":
        "local t, s = {}, string.rep('x', 100000) for i = 1, 100000 do t[i] = s end return #table.concat(t)",
    "recursion": "local function f(n) return f(n + 1) + 1 end return f(1)",
    "recursion through pcall": "local function f() local ok, e = pcall(f) error(e, 0) end f()",
    "recursion of metamethods":
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(a, k) return a[k .. 'x'] end return t.x",
    "deep json": "return cjson.decode(string.rep('[', 1000000))",
    "json that grows": "local t = {1} for i = 1, 40 do t = {t, t} end return cjson.encode(t)",
    "deep cmsgpack": "return cmsgpack.unpack(string.rep('\\145', 1000000) .. '\\1')",
    "cmsgpack that grows": "local t = {1} for i = 1, 15 do t = {t, t, t, t} end return #cmsgpack.pack(t)",
    "a wide cmsgpack": "return cmsgpack.unpack('\\221\\127\\255\\255\\255')",
    "many results": "return #{cmsgpack.unpack(string.rep('\\1', 100000))}",
    "many results of unpack": "return #{unpack({}, 1, 1e8)}",
    "many arguments": "local t = {} for i = 1, 7000 do t[i] = 'x' end return redis.call('del', unpack(t))",
    "a deep answer": "local t = {} for i = 1, 100000 do t = {t} end return t",
    "an answer without end": "local t = {} t[1] = t return t",
    "a deep pattern": "return string.find(string.rep('a', 300000), string.rep('a?', 300000))",
    "a format": "return #string.format('%99.99f', 1e300)",
    "coroutines without end": "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
    "coroutines in coroutines": "local function f() return coroutine.wrap(f)() end return f()",
    "errors in errors": "return xpcall(function() error('a') end, function(e) error(e) end)",
    "a giant value": "return redis.call('set', 'giant', string.rep('x', 900000))",
    "keys without end": "local i = 0 while true do i = i + 1 redis.call('set', 'k' .. i, string.rep('x', 1000)) end",
    "a list without end": "while true do redis.call('rpush', 'l', string.rep('x', 1000)) end",
    "sort": "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function(a, b) return true end) return 1",
    "a long program": "return loadstring(string.rep('local a = 1 ', 100000))",
    "a deep program": "return loadstring('return ' .. string.rep('(', 100000) .. '1' .. string.rep(')', 100000))",
}  # fmt: skip


def greedy_scripts(_, __, tally, command):
    limit = 60 << 20
    with Server(command, ["--maxmemory", str(limit), "--lua-memory-limit", "10mb", "--busy-reply-threshold", "2000"]) as server:
        c = server.connect(60)
        c.call("SET", "stays", 1)
        for name, text in GREEDY.items():
            started = time.monotonic()
            try:
                reply = c.call("EVAL", text, 0)
            except RecursionError:  # nested too deeply for this program, not for the server
                reply, c = "deep", server.connect(60)
            except (Closed, OSError) as trouble:
                tally.check(False, f"greedy script: {name}", f"{trouble!r} {server.log_tail(2000)}")
                return
            took = time.monotonic() - started
            used = int(info(server, "used_memory"))
            text = f"{took:.1f} s, {used} bytes, {str(reply)[:200]}"
            tally.check(took < 20 and used < limit * 1.03, f"greedy script: {name}", text)
            c.call("DEL", "l", "giant")
            for i in range(0, 60000, 20000):
                c.call("DEL", *[f"k{k}" for k in range(i + 1, i + 20001)])
        tally.check(c.value("EVAL", "return redis.call('get', 'stays') .. cjson.encode({1})", 0) == b"1[1]", "scripts go on", "")
        vm = int(info(server, "used_memory_vm_total"))
        tally.check(vm < 12 << 20, "interpreters give back what they took", f"{vm} bytes")


def subscriptions(_, __, tally, command):
    """Who subscribes without end is cut: no key is lost for it, memory is bounded, others are answered."""
    limit = 60 << 20
    extra = ["--maxmemory", str(limit), "--maxmemory-policy", "allkeys-lru", "--maxmemory-clients", "8mb"]
    for verb, names in (("SUBSCRIBE", "channel:{}"), ("PSUBSCRIBE", "pattern:{}:*"), ("SSUBSCRIBE", "shard:{}")):
        with Server(command, extra) as server, server.connect(30) as c:
            c.pipeline([["SET", f"k:{i}", "v" * 1000] for i in range(30000)])
            before, count, cut = info(server, "used_memory"), 0, False
            with server.connect(30) as greedy:
                try:
                    while not cut and count < 2_000_000:
                        names_now = [names.format(count + i) + "x" * 40 for i in range(1000)]
                        greedy.send_raw(encode([verb, *names_now]))
                        for _ in names_now:
                            greedy.read()
                        count += 1000
                        started = time.monotonic()
                        c.call("GET", f"k:{count % 30000}")
                        slow = time.monotonic() - started
                        if slow > 1:
                            tally.check(False, f"{verb} without end: others are answered", f"after {slow:.2f} s")
                except (Closed, OSError):
                    cut = True
            tally.check(cut, f"{verb} without end: the client is cut", f"{count} channels")
            peak = info(server, "used_memory_peak")
            tally.check(peak < before + (16 << 20), f"{verb} without end: memory is bounded", f"{before} {peak}")
            time.sleep(0.5)
            tally.check(info(server, "evicted_keys") == 0, f"{verb} without end: no key is lost")
            after = info(server, "used_memory")
            tally.check(after < before + (1 << 20), f"{verb} without end: it is given back", f"{before} {after}")
            tally.check(server.stop() == 0, f"{verb} without end: exit code")


def start_up(_, __, tally, command):
    binary = command.split()[0]
    with tempfile.TemporaryDirectory() as folder:
        for line, text in (("maxmemory lots", "argument must be a memory value"), ("nonsense 1", "Bad directive"),
                           ('requirepass "x', "Unbalanced quotes"), ("port", "wrong number of arguments"),
                           ("databases 0", "must be between 1"),
                           ("appendfilename a/b", "appendfilename can't be a path, just a filename"),
                           ("appenddirname a/b", "appenddirname can't be a path, just a dirname"),
                           ('appendfilename ""', "appendfilename can't be empty"),
                           ("dbfilename a/b", "dbfilename can't be a path, just a filename"),
                           ("cluster-announce-hostname a_b", "Hostnames may only contain"),
                           ("proc-title-template {", "template format is invalid"),
                           ("loadmodule /x.so", "Can't load module from /x.so"),
                           ("sentinel monitor m 127.0.0.1 1 1", "not in sentinel mode")):  # fmt: skip
            path = os.path.join(folder, "redis.conf")
            with open(path, "w") as f:
                f.write(f"# a comment\n{line}\n")
            done = subprocess.run([binary, path, "--port", str(free_port())], capture_output=True, text=True, timeout=20,
                                  stdin=subprocess.DEVNULL)  # fmt: skip
            good = done.returncode == 1 and text in done.stderr and "at line 2" in done.stderr and line in done.stderr
            tally.check(good, f"start with {line!r}", f"{done.returncode} {done.stderr}")
    done = subprocess.run([binary, "--sentinel"], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    tally.check(done.returncode == 1 and "is no Sentinel" in done.stderr, "start with --sentinel", done.stderr)


def process_title(_, __, tally, command):
    def title(server):
        with open(f"/proc/{server.pid}/cmdline", "rb") as f:
            return f.read().rstrip(b"\0").decode()

    with Server(command) as server, server.connect() as client:
        program = server.line()[0]
        tally.check(title(server) == f"{program} 127.0.0.1:{server.port}", "title", title(server))
        for template, wanted in (("{port} {{x} ", f"{server.port} {{x}}"), ("x" * 3000, "x" * 200)):
            client.call("CONFIG", "SET", "proc-title-template", template)
            tally.check(title(server).startswith(wanted), f"title by {template[:20]!r}", title(server))
    with Server(command, ["--set-proc-title", "no"]) as server:
        tally.check("--set-proc-title" in title(server), "set-proc-title no", title(server))


def bad_settings(server, oracle, tally):
    for setting in (["maxmemory", "x"], ["maxmemory-samples", "0"], ["hz", "x"], ["save", "1"], ["save", '"x'],
                    ["latency-tracking-info-percentiles", '"5'], ["timeout", "-1"],
                    ["nosuch", "1"], ["maxmemory", "1", "maxmemory", "2"], ["daemonize", "yes"], ["activedefrag", "perhaps"],
                    ["client-output-buffer-limit", "normal 1"], ["notify-keyspace-events", "q"],
                    ["dir", "/"]):  # fmt: skip
        with server.connect() as a, oracle.connect() as b:
            ours, theirs = a.call("CONFIG", "SET", *setting), b.call("CONFIG", "SET", *setting)
            tally.check(ours == theirs, f"CONFIG SET {setting}", f"{ours} instead of {theirs}")


def busy_clients(_, __, tally, command):
    """A loaded worker rests to take more requests at once; read-coalesce-usec says how long, and 0 that it does not."""

    def sleeps(pid):
        count = 0
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status") as status:
                count += int(re.search(r"\nvoluntary_ctxt_switches:\s*(\d+)", status.read())[1])
        return count

    with Server(command) as server, server.connect() as c:
        per_request = {}
        for most in (0, 1000):
            c.call("CONFIG", "SET", "read-coalesce-usec", most)
            before = sleeps(server.process.pid)
            subprocess.run(["redis-benchmark", "-p", str(server.port), "-c", "50", "-n", "100000", "-t", "ping_mbulk", "-q"],
                           stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=120, check=True)  # fmt: skip
            per_request[most] = (sleeps(server.process.pid) - before) / 100000
        tally.check(per_request[1000] < per_request[0] / 2, "busy clients: sleeps a request", f"{per_request}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tally = Tally()
    with Server(options.server) as server, Server(ORACLE) as oracle:
        for test in (protocol, half_requests, slow_reader, query_limit, many_connections, large_values, pipelines,
                     half_closed, bad_settings):  # fmt: skip
            test(server, oracle, tally)
            tally.check(server.alive(), f"{test.__name__}: the server stands", server.log_tail())
        tally.check(server.stop() == 0, "exit code")
    for test in (unauthenticated, max_clients, greedy_scripts, subscriptions, start_up, process_title,
                 busy_clients):  # fmt: skip
        test(None, None, tally, options.server)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
