"""MONITOR under many connections: what each client did, in its order, each once; what happened to a key, in that order."""

import random
import re
import threading

WRITERS, MONITORS, KEYS = 5, 4, 7
_MARK = re.compile(rb'"(\d+):(\d+)"$')
_SET = re.compile(rb'"(?:SET|set)" "(shared:\d)" "(\d+:\d+)"$')
# Reads a key that it has not declared, so that it may have to begin anew.
_SCRIPT = "redis.call('get', ARGV[2]) redis.call('echo', ARGV[1]) redis.call('set', KEYS[1], ARGV[1]) return 1"


def _command(who, number, r):
    """A writer's next request, as a list of commands; how many lines carry its mark."""
    mark, key = f"{who}:{number}", f"shared:{r.randrange(KEYS)}"
    if number % 11 == 0:
        return [["EVAL", _SCRIPT, 1, key, mark, f"hidden:{r.randrange(50)}"]], 2
    if number % 7 == 0:
        return [["MULTI"], ["SET", key, mark], ["EXEC"]], 1
    if number % 13 == 0:
        return [["SET", key, mark, "EX", "a"], ["BLPOP", "none", "0.001"]], 0
    return [["SET", key, mark]], 1


def _lines(number):
    return 2 if number % 11 == 0 else 1 if number % 7 == 0 else 0 if number % 13 == 0 else 1


class _View:
    """What a monitor has seen of each writer."""

    def __init__(self, from_the_start):
        self.last = {who: (0, 0) if from_the_start else None for who in range(WRITERS)}
        self.keys, self.count = {}, 0

    def take(self, line):
        found = _MARK.search(line)
        if not found:
            return
        who, number = int(found.group(1)), int(found.group(2))
        self.count += 1
        if self.last[who] is not None:
            before, times = self.last[who]
            if before == 0 or times == _lines(before):
                before, times = before + 1, 0
                while _lines(before) == 0:
                    before += 1
            if number != before:
                raise AssertionError(f"{line} came after {self.last[who]}, {before} expected")
            self.last[who] = (number, times + 1)
        elif _lines(number) == 1:
            self.last[who] = (number, 1)
        found = _SET.search(line)
        if found:
            self.keys[found.group(1)] = found.group(2)


def monitors(server, crew, seed):
    sent, views, done = [0] * WRITERS, [], {"visits": 0}
    ready = threading.Barrier(WRITERS + MONITORS, timeout=60)

    def write(who):
        r, c = random.Random(seed * 10 + who), server.connect(60)
        ready.wait()
        while not crew.over():
            batch = []
            for _ in range(r.randint(1, 20)):
                sent[who] += 1
                batch += _command(who, sent[who], r)[0]
            c.pipeline(batch)

    def watch(number):
        c, view = server.connect(60, 2 + number % 2), _View(True)
        c.call("MONITOR")
        ready.wait()
        while True:
            line = c.read()[1]
            if line.endswith(b'"end"'):
                break
            view.take(line)
        views.append(view)

    def visit():
        r = random.Random(seed * 10 + 99)
        while not crew.over():
            c, view = server.connect(60), _View(False)
            c.call("MONITOR")
            for _ in range(r.randint(0, 30)):
                c.send("PING")
                while True:
                    line = c.read()[1]
                    view.take(line)
                    if line.endswith(b'"PING"'):
                        break
            if r.random() < 0.3:
                c.close()
                continue
            c.send("RESET")
            while True:
                line = c.read()[1]
                if line == b"RESET":
                    break
                view.take(line)
            if c.call("PING") != ("+", b"PONG"):
                raise AssertionError("a line came behind RESET")
            done["visits"] += 1
            c.close()

    for i in range(WRITERS):
        crew.start(write, i)
    for i in range(MONITORS):
        crew.start(watch, i)
    crew.start(visit)
    for thread in crew.threads[:WRITERS]:
        thread.join(60)
    with server.connect() as c:
        c.call("ECHO", "end")
        values = {key: c.value("GET", key) for key in (f"shared:{i}" for i in range(KEYS))}
    errors = crew.join()
    for view in views:
        for who, number in enumerate(sent):
            while _lines(number) == 0:
                number -= 1
            if view.last[who] != (number, _lines(number)):
                errors += f" writer {who}: {sent[who]} sent, {view.last[who]} seen"
        for key, value in values.items():
            if view.keys.get(key.encode()) != value:
                errors += f" {key} is {value}, {view.keys.get(key.encode())} was shown last"
    if len(views) != MONITORS or not all(sent) or not done["visits"]:
        errors += f" {len(views)} monitors, {sent} sent, {done}"
    return errors
