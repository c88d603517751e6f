#!/usr/bin/python3
"""The README's memory story, played against a running server. usage: story.py PORT TRACE.zst...

Replays request traces through python3-redis as a look-aside cache under an eviction policy, then turns eviction off and
writes until the server refuses. What clients in other languages see then is shown by tests/clients.
"""

import os
import subprocess
import sys
import time

import redis

BATCH = 64


def replay(client, path):
    """(requests, hits) of the trace, GET and on a miss SET."""
    text = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
    requests = [line.split() for line in text.split(b"\n") if line]
    value, hits = os.urandom(1 << 20), 0
    for first in range(0, len(requests), BATCH):
        batch = requests[first : first + BATCH]
        pipe = client.pipeline(transaction=False)
        for words in batch:
            pipe.get(b"key:" + words[0])
        misses = {}
        for words, found in zip(batch, pipe.execute()):
            if found is not None or words[0] in misses:
                hits += 1
            else:
                misses[words[0]] = int(words[1]) if len(words) > 1 else 64
        if misses:
            pipe = client.pipeline(transaction=False)
            for key, size in misses.items():
                pipe.set(b"key:" + key, value[:size])
            pipe.execute()
    return len(requests), hits


def fill_until_refused(client):
    """Bytes written and the exception's text."""
    written = 0
    while True:
        try:
            client.set(f"report:{written}", b"x" * 100)
            written += 100
        except redis.exceptions.ResponseError as error:
            return written, f"{type(error).__name__}: {error}"


def main():
    client = redis.Redis(port=int(sys.argv[1]))
    for path in sys.argv[2:]:
        before, start = client.info("stats")["evicted_keys"], time.time()
        requests, hits = replay(client, path)
        memory = client.info("memory")
        print(f"{os.path.basename(path):24s} {requests:8d} requests {hits / requests:7.2%} hits "
              f"{client.info('stats')['evicted_keys'] - before:7d} evicted {client.dbsize():7d} keys "
              f"used {memory['used_memory_human']} of {memory['maxmemory_human']} {time.time() - start:6.1f} s")  # fmt: skip
    client.config_set("maxmemory-policy", "noeviction")
    written, text = fill_until_refused(client)
    print(f"noeviction: {written} bytes more, then {text}")


if __name__ == "__main__":
    main()
