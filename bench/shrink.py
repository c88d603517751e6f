#!/usr/bin/python3
"""Is the memory of deleted data given back, and good for other data? usage: shrink.py PORT 'SERVER COMMAND' [scale]

Loads 2 million values of 80 bytes, deletes a random 90 %, waits 10 s and prints resident over used bytes. Then, under
300 MB and allkeys-lru, loads values of 600 bytes until used_memory has grown by 200 MB, and on until the limit is
near: no key should be evicted on that way. Scale multiplies all of it. PORT 0 is any free port.
"""

import json
import random
import sys
import time

import target
from collections_limit import Sampler, set_limit
from resp import Refused

KEYS, LIMIT, GROWTH = 2_000_000, 300 << 20, 200 << 20
SMALL, OTHER, BATCH, WAIT_S = 80, 600, 2_000, 10
NEAR = 0.97  # of the limit: a server may begin to evict a little before it


def delete_most(connection, keys, share=0.9):
    chosen = random.Random(7).sample(range(keys), int(keys * share))
    groups = (chosen[i : i + 50] for i in range(0, len(chosen), 50))
    return connection.load(((b"DEL", *(b"k:%d" % i for i in group)) for group in groups), 100)


def load_other(server, first, until_used):
    """Load values until used_memory is there, or until their bytes alone would be; (index after the last, errors)."""
    value, i, errors = b"o" * OTHER, first, 0
    last = first + max(0, until_used - int(server.info("used_memory"))) // OTHER
    while i < last and int(server.info("used_memory")) < until_used:
        errors += server.connection.load((b"SET", b"o:%d" % j, value) for j in range(i, i + BATCH))
        i += BATCH
    return i, errors


def give_back(server, keys):
    """Part one: {"resident", "used" (bytes), "resident/used", ...} after most was deleted."""
    time.sleep(0.5)
    empty = server.resident()
    try:
        server.call("CONFIG", "SET", "activedefrag", "yes")
        defrag = True
    except Refused:
        defrag = False
    value = b"v" * SMALL
    errors = server.connection.load((b"SET", b"k:%d" % i, value) for i in range(keys))
    full = server.resident()
    errors += delete_most(server.connection, keys)
    time.sleep(WAIT_S)
    resident, used = server.resident(), int(server.info("used_memory"))
    return {"activedefrag": defrag, "errors": errors, "resident_empty": empty, "resident_full": full,
            "resident": resident, "used": used, "resident/used": round(resident / used, 3)}  # fmt: skip


def take_again(server, scale):
    """Part two: what other values find of the memory given back."""
    limit = int(LIMIT * scale)
    set_limit(server, limit)
    sampler = Sampler(server)
    evicted, used = int(server.info("evicted_keys")), int(server.info("used_memory"))
    next_, errors = load_other(server, 0, min(used + int(GROWTH * scale), int(limit * NEAR)))
    grown, early = int(server.info("used_memory")) - used, int(server.info("evicted_keys")) - evicted
    next_, more = load_other(server, next_, int(limit * NEAR))
    sampler.stop()
    return {
        "errors": errors + more,
        "grown/asked": round(grown / (GROWTH * scale), 3),
        "evicted_while_growing": early,
        "loaded": next_,
        "used/limit": round(int(server.info("used_memory")) / limit, 3),
        "evicted_before_limit": int(server.info("evicted_keys")) - evicted,
        "peak_pss/limit": round(sampler.resident / limit, 3),
    }


def measure(command, scale=1.0):
    with target.Server(command) as server:
        out = {"deleted": give_back(server, int(KEYS * scale))}
        out["again"] = take_again(server, scale)
        return out


if __name__ == "__main__":
    if sys.argv[1] != "0":
        target.free_port = lambda: int(sys.argv[1])
    print(json.dumps(measure(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 1.0)))
