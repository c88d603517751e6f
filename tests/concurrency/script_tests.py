"""Scripts are atomic whatever they touch: money moved by scripts, looked at by scripts and by transactions."""

import random
import time

ACCOUNTS, EACH = 40, 1000

# Each finds other locks: declared keys; keys in ARGV, met before or after the first write; commands that need every
# thread paused, before or after it.
_MOVES = {
    "declared": "local n = tonumber(ARGV[1]) redis.call('decrby', KEYS[1], n) redis.call('incrby', KEYS[2], n) return 1",
    "hidden": "redis.call('decrby', ARGV[2], ARGV[1]) redis.call('incrby', ARGV[3], ARGV[1]) return 1",
    "late": "redis.call('decrby', KEYS[1], ARGV[1]) redis.call('incrby', ARGV[3], ARGV[1]) return 1",
    "read": "local n = redis.call('get', KEYS[1]) local m = redis.call('get', ARGV[3]) "
    "redis.call('set', KEYS[1], n - ARGV[1]) redis.call('set', ARGV[3], m + ARGV[1]) return 1",
    "all": "redis.call('decrby', KEYS[1], ARGV[1]) redis.call('dbsize') redis.call('incrby', ARGV[3], ARGV[1]) return 1",
    "paused": "redis.call('info', 'cpu') redis.call('decrby', KEYS[1], ARGV[1]) redis.call('incrby', KEYS[2], ARGV[1])",
    "late pause": "redis.call('decrby', KEYS[1], ARGV[1]) redis.call('info', 'cpu') redis.call('incrby', KEYS[2], ARGV[1])",
    "fails": "redis.call('decrby', KEYS[1], ARGV[1]) redis.call('incrby', ARGV[3], ARGV[1]) redis.call('lpush', KEYS[1], 1)",
}
_LIBRARY = """#!lua name=bank
local function move(keys, args)
  redis.call('decrby', keys[1], args[1])
  redis.call('incrby', args[3], args[1])
end
redis.register_function('move', move)
"""
_SUM = "local s = 0 for i, k in ipairs(%s) do s = s + redis.call('get', k) end return s"


def script_transfers(server, seconds, seed, crew_of):
    names = [f"account:{i}" for i in range(ACCOUNTS)]
    with server.connect() as c:
        c.call("MSET", *[word for name in names for word in (name, EACH)])
        c.call("FUNCTION", "LOAD", "REPLACE", _LIBRARY)
    crew = crew_of(seconds)
    done = {"move": 0, "look": 0}

    def move(number):
        r, c = random.Random(seed * 100 + number), server.connect(30)
        while not crew.over():
            a, b, n = *r.sample(names, 2), r.randint(1, 9)
            kind = r.choice(list(_MOVES))
            # Now and then a text of its own: what is not known of a script yet has to be found out.
            text = _MOVES[kind] + (f" -- {r.randint(0, 300)}" if r.random() < 0.3 else "")
            if kind == "paused" and r.random() < 0.9:
                continue
            command = ["EVAL", text, 2, a, b, n, a, b]
            if r.random() < 0.15:
                command = ["FCALL", "move", 2, a, b, n, a, b]
            if r.random() < 0.15:
                c.pipeline([["MULTI"], ["PING"], command, ["EXEC"]])
            elif r.random() < 0.1:
                c.pipeline([["WATCH", a], ["MULTI"], ["DECRBY", a, n], command, ["INCRBY", a, n], ["EXEC"]])
            else:
                c.call(*command)
            done["move"] += 1

    def total_of(reply, nested=False):
        if reply[0] != "*":
            raise AssertionError(f"the reply is {reply}")
        return total_of(reply[1][0]) if nested else sum(int(v) for _, v in reply[1])

    def look(number):
        r, c = random.Random(seed * 200 + number), server.connect(30)
        while not crew.over():
            which = r.randrange(4)
            if which == 0:
                total = int(c.value("EVAL", _SUM % "KEYS", len(names), *names))
            elif which == 1:
                total = int(c.value("EVAL_RO", _SUM % "ARGV" + f" -- {r.randint(0, 300)}", 0, *names))
            elif which == 2:
                total = total_of(c.pipeline([["MULTI"], ["MGET", *names], ["EXEC"]])[-1], nested=True)
            else:
                total = total_of(c.call("MGET", *names))
            if total != ACCOUNTS * EACH:
                raise AssertionError(f"the sum is {total}, seen in way {which}")
            done["look"] += 1

    def disturb():
        r, c = random.Random(seed), server.connect(30)
        while not crew.over():
            c.call(*r.choice([["INFO"], ["CONFIG", "SET", "timeout", "0"], ["SCRIPT", "FLUSH"], ["CLIENT", "LIST"],
                              ["FUNCTION", "LOAD", "REPLACE", _LIBRARY], ["FUNCTION", "LIST"]]))  # fmt: skip
            time.sleep(0.01)

    for i in range(5):
        crew.start(move, i)
    for i in range(2):
        crew.start(look, i)
    crew.start(disturb)
    errors = crew.join()
    for what, count in done.items():
        if not count:
            errors += f" no {what} at all"
    return errors


def busy_scripts(server, seconds, seed, crew_of):
    """Long scripts of several connections, read-only and writing: nobody hangs, everybody gets an answer."""
    with server.connect() as c:
        c.call("CONFIG", "SET", "busy-reply-threshold", "60")
    crew = crew_of(seconds)
    done = {"killed": 0, "busy": 0, "served": 0, "ended": 0}
    loop = "redis.call('get', KEYS[1]) while true do end"
    slow = "redis.call('incr', KEYS[1]) for i = 1, 6000000 do end return redis.call('get', ARGV[1])"

    def runs(number):
        r, c = random.Random(seed * 100 + number), server.connect(20)
        while not crew.over():
            text, key = r.choice([loop, slow]), f"k{r.randint(0, 20)}"
            reply = c.call("EVAL", text, 1, key, f"k{r.randint(0, 20)}")
            done["ended"] += reply[0] != "-"
            time.sleep(r.random() * 0.1)

    def kills():
        c = server.connect(20)
        while True:
            reply = c.call("SCRIPT", "KILL")
            done["killed"] += reply[0] == "+"
            if crew.over() and reply[0] == "-" and reply[1].startswith(b"NOTBUSY"):
                # The ones that run are below the threshold yet.
                time.sleep(0.15)
                if c.call("SCRIPT", "KILL")[0] == "-" and crew.threads[0].is_alive() is False:
                    return
            time.sleep(0.02)

    def works(number):
        r, c = random.Random(seed * 300 + number), server.connect(20)
        while not crew.over():
            key = f"k{r.randint(0, 20)}"
            command = r.choice([["INCR", key], ["MGET", key, "k1", "k2"], ["INFO", "memory"], ["BLPOP", "l", "0.01"],
                                ["WATCH", key], ["UNWATCH"], ["CONFIG", "GET", "maxmemory"], ["EVAL", "return 1", "0"],
                                ["EVAL", "return redis.call('incr', KEYS[1])", "1", key], ["LPUSH", "l", "x"]])  # fmt: skip
            reply = c.call(*command)
            busy = reply[0] == "-" and reply[1].startswith(b"BUSY")
            done["busy" if busy else "served"] += 1
            if r.random() < 0.02:
                c.close()
                c = server.connect(20)

    for i in range(2):
        crew.start(runs, i)
    for i in range(4):
        crew.start(works, i)
    crew.start(kills)
    errors = crew.join()
    with server.connect() as c:
        c.call("CONFIG", "SET", "busy-reply-threshold", "5000")
    for what in ("killed", "busy", "served", "ended"):
        if not done[what]:
            errors += f" no {what} at all"
    return errors
