"""A disk that takes its time, by a shared object over the server: what waits for it and what goes on."""

import contextlib
import os
import random
import subprocess
import tempfile
import threading
import time

from servers import Server, StartError
from wire import encode

SLOW_WRITE = """
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
ssize_t write(int fd, const void* bytes, size_t size) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  path[n < 0 ? 0 : n] = 0;
  if (strstr(path, ".incr.aof")) while (access("slow-write", F_OK) == 0) usleep(500);
  return syscall(SYS_write, fd, bytes, size);
}
"""


@contextlib.contextmanager
def preloaded(tally, command, source, *extra):
    """A server with an append-only file over the shared object made of that C source; None where that cannot be."""
    with tempfile.TemporaryDirectory() as place, Server(command) as server:
        library = os.path.join(place, "disk.so")
        with open(os.path.join(place, "disk.c"), "w") as f:
            f.write(source)
        built = subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, f.name], stderr=subprocess.DEVNULL)
        if built.returncode != 0:
            print("skipped, no compiler here", flush=True)
            yield None
            return
        server.kill()
        server.extra = ["--appendonly", "yes", *extra]
        os.environ["LD_PRELOAD"] = library
        try:
            server.start()
        except StartError as error:
            tally.check("ASan runtime" in f"{error}", "over a shared object: starts", f"{error}")
            server = None
        finally:
            del os.environ["LD_PRELOAD"]
        yield server


def run_on(r, number, size):
    """Writes and reads of one client, as many bytes; each reply tells its place. (commands, replies wanted)."""
    commands, wanted, length = [], [], 0
    while length < size:
        value = b"%d:" % len(commands) + b"v" * r.choice((1, 100, 3000))
        commands.append(encode(["SET", f"{number}", value]))
        commands.append(encode(["GET", f"{number}"]))
        commands.append(encode(["APPEND", f"log:{number}", "x"]))
        wanted += [("+", b"OK"), ("$", value), (":", len(wanted) // 3 + 1)]
        length += sum(map(len, commands[-3:]))
    return b"".join(commands), wanted


def slow_writes(tally, command, seed):
    """A write that hangs: who waits for it gets no reply and is not executed without end, the others are served; then
    all replies come, in order, and all of it is in the file."""
    r = random.Random(seed)
    with preloaded(tally, command, SLOW_WRITE, "--appendfsync", "no") as server:
        if server is None:
            return
        mark = os.path.join(server.folder, "slow-write")
        with server.connect() as c, contextlib.ExitStack() as stack:
            # A write of some length: the disk counts as busy from then on, and another thread writes.
            open(mark, "w").close()
            c.send("SET", "a", 1)
            time.sleep(0.02)
            os.unlink(mark)
            tally.check(c.read() == ("+", b"OK"), "after a slow write", "")
            open(mark, "w").close()
            crew = [stack.enter_context(server.connect(60)) for _ in range(4)]
            work = [run_on(r, i, 4 << 20) for i in range(len(crew))]
            sending = [threading.Thread(target=line.send_raw, args=(bytes_,), daemon=True)
                       for line, (bytes_, _) in zip(crew, work)]  # fmt: skip
            for thread in sending:
                thread.start()
            began = time.monotonic()
            time.sleep(0.05)
            pings = [c.call("PING") for _ in range(200)]
            tally.check(pings == [("+", b"PONG")] * 200 and time.monotonic() - began < 3, "the others are served")
            done = [c.call("STRLEN", f"log:{i}")[1] for i in range(len(crew))]
            far = [wanted[:3 * n] for n, (_, wanted) in zip(done, work)]
            ahead = sum(len(reply[1]) for each in far for reply in each[1::3])
            tally.check(0 < ahead < 2 << 20, "not executed without end", f"{done}, {ahead} bytes")
            tally.check(not any(line.buffer for line in crew), "no reply before it is written")
            os.unlink(mark)
            for thread in sending:
                thread.join(30)
            for i, (line, (_, wanted)) in enumerate(zip(crew, work)):
                got = [line.read() for _ in wanted]
                wrong = next((j for j, (one, other) in enumerate(zip(got, wanted)) if one != other), None)
                tally.check(wrong is None, f"replies of client {i}", f"{wrong}: {wrong is not None and got[wrong]}")
        server.kill()
        server.start()
        with server.connect() as c:
            there = [(c.value("GET", f"{i}"), c.value("STRLEN", f"log:{i}")) for i in range(len(work))]
            wanted = [(wanted[-2][1], len(wanted) // 3) for _, wanted in work]
            tally.check(there == wanted, "all of it was in the file", f"{there}"[:200])


SUITE = (slow_writes,)
