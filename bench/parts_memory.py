"""Parts of the measurement: what data takes, the limit, and the disk. Each takes the table and run.py's arguments."""

import concurrent.futures

import cgroup_writer
import collections_limit
import empty
import growth
import memory_limit
import memory_per_key
import persistence
import shrink
import traces

# The most that a figure may be; for the memory shapes in resident bytes an element.
SHAPE_BARS = {"str8": 45, "str8raw": 48, "str64": 104, "str64ttl": 113, "str1000": 1100, "hash5": 130, "bighash": 54,
              "bigzset": 60, "bigset": 38, "biglist": 18.8, "bigstream": 13.6}  # fmt: skip
EMPTY_BAR_MB, GROWTH_BAR_MS, LIMIT_BAR = 12, 5, 1.01
RESIDENT_BAR, CHURN_PING_BAR_MS, SHRINK_BAR = 1.05, 5, 1.15
LOG_CPU_BAR = 1.25
SAVE_RATE_BAR = 0.8  # of the writes a second without a snapshot
MB = 1 << 20


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
        for best in ("ping_ms", "raw_ms", "late_ms"):
            result[best] = min(result[best], before[best])
        for worst in ("resident", "used", "errors"):
            if worst in result:
                result[worst] = max(result[worst], before[worst])
    return other


def add_pings(table, what, mine, other):
    table.at_most(f"{what}: worst PING", mine["ping_ms"], other["ping_ms"], CHURN_PING_BAR_MS, " ms")
    table.add(f"{what}: worst PING, stalls and all", f"{mine['raw_ms']} ms", f"{other['raw_ms']} ms")
    table.add(f"{what}: longest stall of a processor", f"{mine['late_ms']} ms", f"{other['late_ms']} ms")


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
        add_pings(table, what, mine, other)
        table.add(f"{what}: SETs a second", f"{mine['rate']:,}", f"{other['rate']:,}", ">= redis-server",
                  mine["rate"] >= other["rate"])  # fmt: skip
        for phase, verb in (("snapshot", "BGSAVE"), ("rewrite", "BGREWRITEAOF")):
            mine, other, what = ours[phase], theirs[phase], f"{verb} under writes, threads {threads}"
            table.at_most(f"{what}: resident / maxmemory", mine["resident"], other["resident"], RESIDENT_BAR)
            add_pings(table, what, mine, other)
            table.add(f"{what}: SETs, share of without", mine["rate/without"], other["rate/without"],
                      f">= {SAVE_RATE_BAR}", mine["rate/without"] >= SAVE_RATE_BAR)  # fmt: skip


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
