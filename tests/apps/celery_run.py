#!/usr/bin/python3
"""Celery, unchanged: a worker of two processes on the server as broker and result store. celery_run.py PORT"""

import os
import subprocess
import sys
import time

os.environ["BROKER"] = f"redis://127.0.0.1:{sys.argv[1]}/3"
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)

from celery import chain, chord, group  # noqa: E402
from celery_tasks import add, app, broken, count, stubborn, total  # noqa: E402

JOBS = 300


def check(name, good, detail=""):
    if not good:
        print(f"FAILED celery: {name} {detail}")
        raise SystemExit(1)


def worker():
    line = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-c", "2", "--loglevel", "CRITICAL", "-n", "tests@%h"]
    return subprocess.Popen(line, cwd=here, stdin=subprocess.DEVNULL)


def run():
    waiting = 60
    check("a task", add.delay(2, 3).get(timeout=waiting) == 5)
    check("a chain", chain(add.s(1, 2), add.s(4), add.s(10)).delay().get(timeout=waiting) == 17)
    check("a group", group(add.s(i, i) for i in range(20)).delay().get(timeout=waiting) == [2 * i for i in range(20)])
    check("a chord", chord((add.s(i, 1) for i in range(20)), total.s()).delay().get(timeout=waiting) == 210)
    check("retries", stubborn.delay(2).get(timeout=waiting) == 2)
    result = broken.delay()
    check("a failure", isinstance(result.get(timeout=waiting, propagate=False), RuntimeError) and result.failed())
    began = time.time()
    check("a countdown", add.apply_async((1, 1), countdown=1).get(timeout=waiting) == 2 and time.time() - began >= 1)
    late = add.apply_async((1, 1), countdown=3)
    late.revoke()
    jobs = group(count.s("counted") for _ in range(JOBS)).delay().get(timeout=waiting)
    check("each task ran once", sorted(jobs) == list(range(1, JOBS + 1)), f"{len(set(jobs))} of {JOBS}")
    check("control", bool(app.control.ping(timeout=3)))
    inspected = app.control.inspect(timeout=3).stats()
    check("inspection", inspected and all("total" in stats for stats in inspected.values()))
    check("a revoked task does not run", isinstance(late.get(timeout=waiting, propagate=False), Exception))
    add.delay(1, 1).forget()
    print("12 passed celery")


process = worker()
try:
    run()
finally:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
