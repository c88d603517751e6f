"""Connections move between threads while appendfsync always has clients wait for a disk: to one thread, and back."""

import contextlib
import os
import random
import re
import threading
import time

from slow_disk import preloaded

# A sync takes 100 us, or 6 ms while the file slow-sync is there.
TIMED_SYNC = """
#include <unistd.h>
int fdatasync(int fd) {
  (void)fd;
  usleep(access("slow-sync", F_OK) == 0 ? 6000 : 100);
  return 0;
}
"""
BIG = 1 << 20


class Crew:
    """Clients that count, each in a key of its own, over and over; every reply has to be the next number."""

    def __init__(self, server, number):
        self.lines = [server.connect(30) for _ in range(number)]
        self.counts = [0] * number
        self.wrong = []
        self.rest = 0.001
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        r = random.Random(1)
        while not self.ended:
            some = r.sample(range(len(self.lines)), 4)
            sent = [(i, r.choice((1, 1, 1, 20))) for i in some]
            for i, count in sent:
                for _ in range(count):
                    self.lines[i].send("INCR", f"count:{i}")
            for i, count in sent:
                for _ in range(count):
                    self.counts[i] += 1
                    reply = self.lines[i].read()
                    if reply != (":", self.counts[i]):
                        self.wrong.append((i, self.counts[i], reply))
            time.sleep(self.rest)

    def end(self):
        self.ended = True
        self.thread.join(30)


def threads_of(c):
    """Client id -> the thread that serves it."""
    listing = c.value("CLIENT", "LIST")
    return {int(id_): int(thread) for id_, thread in re.findall(rb"\bid=(\d+).*\bio-thread=(\d+)", listing)}


def await_threads(c, ids, good, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        of = threads_of(c)
        if good({of[i] for i in ids}):
            return True
        time.sleep(0.1)
    return False


class Heavy:
    """Clients that keep a thread busy with reads."""

    def __init__(self, server):
        self.lines = [server.connect(30) for _ in range(6)]
        self.ids = [line.value("CLIENT", "ID") for line in self.lines]
        for i, line in enumerate(self.lines):
            line.call("SETRANGE", f"big:{i}", BIG, "x")
        self.ended = False
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(len(self.lines))]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        while not self.ended:
            self.lines[i].pipeline([["BITPOS", f"big:{i}", 1]] * 100)

    def end(self):
        self.ended = True
        for thread in self.threads:
            thread.join(30)


class Tied:
    """Clients that others know by their thread, each with something that has to come to it at the end."""

    def __init__(self, server, stack):
        def line(resp=2):
            return stack.enter_context(server.connect(30, resp=resp))

        self.subscribed, self.queued, self.watching, self.target, self.plain = line(), line(), line(), line(3), line()
        self.blocked, self.tracking = line(), line()
        self.subscribed.call("SUBSCRIBE", "news")
        self.queued.pipeline([["MULTI"], ["SET", "queued", 1]])
        self.watching.pipeline([["SET", "watched", 1], ["WATCH", "watched"], ["MULTI"], ["SET", "never", 1]])
        self.blocked.send("BLPOP", "queue", 0)
        self.tracking.call("CLIENT", "TRACKING", "ON", "REDIRECT", self.target.value("CLIENT", "ID"))
        self.tracking.call("GET", "tracked")

    def check(self, tally, when):
        self.plain.pipeline([["PUBLISH", "news", when], ["SET", "watched", 2], ["RPUSH", "queue", "x"],
                             ["SET", "tracked", when]])  # fmt: skip
        tally.check(self.subscribed.read()[1][2] == ("$", when.encode()), f"{when}: a subscriber", "")
        tally.check(self.blocked.read()[1][1] == ("$", b"x"), f"{when}: a blocked client", "")
        got = self.target.read()
        tally.check(got[0] == ">" and got[1][1][1] == (("$", b"tracked"),), f"{when}: who is redirected to", f"{got}")
        tally.check(self.queued.call("EXEC")[1] == (("+", b"OK"),), f"{when}: MULTI", "")
        got = self.watching.call("EXEC")
        tally.check(got[1] is None, f"{when}: WATCH", f"{got}")


def kill_some(tally, server, c, r):
    """CLIENT KILL finds who has just been handed over, too."""
    missed = 0
    for _ in range(20):
        victim = server.connect(10)
        victim.call("INCR", "killed")
        time.sleep(r.random() / 5)
        found = c.value("CLIENT", "KILL", "ID", victim.value("CLIENT", "ID"))
        missed += found != 1 or not victim.closed_within(5)
        victim.close()
    tally.check(missed == 0, "CLIENT KILL", f"{missed} are still there")


def gathered(tally, command, seed):
    """With appendfsync always clients come to be served by one thread, until that is too busy or the disk too slow; none
    loses a request or a reply."""
    with preloaded(tally, command, TIMED_SYNC, "--appendfsync", "always") as server, contextlib.ExitStack() as stack:
        if server is None:
            return
        c = stack.enter_context(server.connect(30))
        several = int(c.call("CONFIG", "GET", "threads")[1][1][1]) > 1
        tied = Tied(server, stack)
        crew = Crew(server, 16)
        of = threads_of(c)
        ids = sorted(of)[-16:]
        together = [("gathered", lambda on: on == {0}), ("apart", lambda on: len(on) > 1)]
        try:
            tally.check(await_threads(c, ids, together[0][1]), "clients are gathered on the first thread", f"{threads_of(c)}")
            stays = {i: of[i] for i in of if i < ids[0]}
            kill_some(tally, server, c, random.Random(seed))
            if several:
                crew.rest = 0.02
                heavy = Heavy(server)
                tally.check(await_threads(c, heavy.ids, together[1][1]), "too busy: they are spread", f"{threads_of(c)}")
                heavy.end()
                crew.rest = 0.001
                tally.check(await_threads(c, ids, together[0][1]), "gathered again", f"{threads_of(c)}")
                open(os.path.join(server.folder, "slow-sync"), "w").close()
                tally.check(await_threads(c, ids, together[1][1]), "a slow disk: they are spread", f"{threads_of(c)}")
            tied_ids = {line.value("CLIENT", "ID") for line in (tied.target, tied.tracking)}
            of = threads_of(c)
            tally.check(all(of[i] == stays[i] for i in tied_ids), "who is known by its thread stays", f"{of} {stays}")
            tied.check(tally, "after moving")
        finally:
            crew.end()
        tally.check(not crew.wrong, "replies of those that moved", f"{crew.wrong[:3]}")
        server.kill()
        server.start()
        with server.connect() as c:
            there = [int(c.value("GET", f"count:{i}") or 0) for i in range(16)]
        tally.check(there == crew.counts, "all that was acknowledged is there", f"{there} {crew.counts}")


SUITE = (gathered,)
