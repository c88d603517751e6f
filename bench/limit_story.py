#!/usr/bin/python3
"""Brim's memory against redis-server's, drawn. usage: limit_story.py PORT 'BRIM' 'REDIS' OUT.svg [seconds]

The churn of memory_limit.py on each server in turn, its resident memory every 100 ms; writes OUT.svg, and the samples
to OUT.csv. PORT 0 is any free port.
"""

import os
import sys
import threading
import time

import memory_limit
import picture
import target
from collections_limit import set_limit

EVERY_S, SECONDS = 0.1, 25


def samples_of(command, seconds):
    """[(seconds, bytes)] of one server under the churn."""
    with target.Server(command) as server:
        set_limit(server, memory_limit.LIMIT)
        out, going, start = [], True, time.time()

        def follow():
            while going:
                out.append((round(time.time() - start, 3), server.tree_memory()))
                time.sleep(max(0.0, start + len(out) * EVERY_S - time.time()))

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        step, bands = seconds / len(memory_limit.BANDS), memory_limit.BANDS
        memory_limit.Churn(server).run(start + seconds, lambda t: bands[min(len(bands) - 1, int((t - start) / step))])
        going = False
        thread.join(5)
        return out


def main():
    if sys.argv[1] != "0":
        target.free_port = lambda: int(sys.argv[1])
    seconds = float(sys.argv[5]) if len(sys.argv) > 5 else SECONDS
    samples = {name: samples_of(command, seconds) for name, command in zip(("Brim", "redis-server"), sys.argv[2:4])}
    svg = sys.argv[4]
    with open(os.path.splitext(svg)[0] + ".csv", "w") as f:
        f.write("seconds,server,pss_bytes\n")
        f.writelines(f"{s},{name},{b}\n" for name, points in samples.items() for s, b in points)
    with open(svg, "w") as f:
        f.write(picture.draw(samples, memory_limit.LIMIT))


if __name__ == "__main__":
    main()
