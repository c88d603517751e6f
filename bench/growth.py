#!/usr/bin/python3
"""Does anybody wait while the table grows? usage: growth.py 'SERVER COMMAND' [keys]

Small keys are inserted in bursts of 16, and each burst is timed until its last reply. A second pass over the same keys
grows nothing: its slowest burst is what the machine itself adds. Server on core 0, load on core 1.
"""

import gc
import json
import os
import sys
import time

from target import Server

BURST, LATE_MS = 16, 5.0


def one_pass(connection, keys):
    """Times of all bursts in milliseconds, sorted."""
    clock, receive, send = time.perf_counter, connection.socket.recv_into, connection.socket.sendall
    buffer = bytearray(4096)
    times = []
    for first in range(0, keys, BURST):
        wire = b"".join([b"*3\r\n$3\r\nSET\r\n$12\r\n%012d\r\n$4\r\nabcd\r\n" % i for i in range(first, first + BURST)])
        waiting = 5 * BURST  # "+OK\r\n" each
        start = clock()
        send(wire)
        while waiting > 0:
            got = receive(buffer)
            if not got or buffer[:1] == b"-":
                raise SystemExit(f"refused: {bytes(buffer[:got])!r}")
            waiting -= got
        times.append((clock() - start) * 1e3)
    times.sort()
    return times


def measure(command, keys=8_000_000):
    """Worst and 99.9th percentile while growing, how many bursts were late, and the worst without growth."""
    keys -= keys % BURST
    with Server(command, cpu=0) as server:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(before)})
        gc.disable()
        try:
            grown = one_pass(server.connection, keys)
            again = one_pass(server.connection, keys)
        finally:
            gc.enable()
            os.sched_setaffinity(0, before)
        return {
            "worst_ms": round(grown[-1], 2),
            "p999_ms": round(grown[int(len(grown) * 0.999)], 3),
            "late": sum(t > LATE_MS for t in grown),
            "no_growth_worst_ms": round(again[-1], 2),
        }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8_000_000)))
