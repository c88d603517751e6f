#!/usr/bin/python3
"""Measure brim-server beside redis-server and print one table. usage: run.py [--quick] [--only PART,PART] [options]

Parts: empty memory throughput commands publish scripts tls growth limit persistence readers collections
shrink slow subscribers idle cgroup traces.
A full run writes docs/measurements.md; --quick is smaller in everything, for finding out whether something went wrong,
and writes nothing.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys

import parts_clients
import parts_memory
import parts_requests
from table import Table

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
MB = 1 << 20

PARTS = {
    "empty": parts_memory.part_empty,
    "memory": parts_memory.part_memory,
    "throughput": parts_requests.part_throughput,
    "commands": parts_requests.part_commands,
    "publish": parts_requests.part_publish,
    "scripts": parts_requests.part_scripts,
    "tls": parts_requests.part_tls,
    "growth": parts_memory.part_growth,
    "limit": parts_memory.part_limit,
    "persistence": parts_memory.part_persistence,
    "readers": parts_clients.part_readers,
    "collections": parts_memory.part_collections,
    "shrink": parts_memory.part_shrink,
    "slow": parts_clients.part_slow,
    "subscribers": parts_clients.part_subscribers,
    "idle": parts_clients.part_idle,
    "cgroup": parts_memory.part_cgroup,
    "traces": parts_memory.part_traces,
}


def machine():
    """One line that says what this was measured on."""
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    with open("/proc/meminfo") as f:
        gigabytes = int(f.readline().split()[1]) / MB
    return (f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} cores, {gigabytes:.0f} GB of memory, "
            f"{platform.system()} {platform.release()}")  # fmt: skip


def version(command):
    done = subprocess.run(command.split() + ["--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout.strip().split("\n")[0]


def write_report(table, run, started):
    head = f"""# Measured beside redis-server

Written by `./dev bench` on {started:%Y-%m-%d %H:%M} UTC. Machine: {machine()}.
Both servers ran in the same session, without persistence; Brim with `threads 1` where nothing else is said.
redis-server: {version(run.baseline)}. Brim: commit {commit()}.
Worst PINGs and GETs are less the time for which the host let a processor of this virtual machine stand still.
A bar is what this project has promised; absolute figures drift from machine to machine, ratios hold.

"""
    path = os.path.join(ROOT, "docs", "measurements.md")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(head + table.markdown() + "\n")
    print(f"written to {os.path.relpath(path, ROOT)}")


def commit():
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--quick", action="store_true", help="smaller in everything; writes no report")
    p.add_argument("--only", default=",".join(PARTS), help="parts to run, with commas between")
    p.add_argument("--server", default=os.path.join(ROOT, "build", "release", "bin", "brim-server"))
    p.add_argument("--baseline", default="redis-server", help="the server to compare with")
    p.add_argument("--traces", default=os.path.join(ROOT, "..", "shared", "traces"), help="folder of request traces")
    p.add_argument("--plain", action="store_true", help="the server has no --threads (to try this with redis-server)")
    p.add_argument("--write", action="store_true", help="write docs/measurements.md also after a partial or quick run")
    run = p.parse_args()
    run.one, run.two = (run.server,) * 2 if run.plain else (f"{run.server} --threads 1", f"{run.server} --threads 2")
    return run


def main():
    run, table = arguments(), Table()
    started = datetime.datetime.now(datetime.timezone.utc)
    parts = run.only.split(",")
    for name in parts:
        if name not in PARTS:
            sys.exit(f"no part {name}; there are: {' '.join(PARTS)}")
    for name in parts:
        PARTS[name](table, run)
    if run.write or (not run.quick and len(parts) == len(PARTS)):
        write_report(table, run, started)
    print(f"{table.missed} of the bars missed" if table.missed else "all bars met")
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
