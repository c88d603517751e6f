#!/usr/bin/python3
"""prometheus-redis-exporter: each metric that it draws from redis-server it draws from us. exporter.py 'SERVER COMMAND'"""

import os
import re
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from servers import ORACLE, Server, free_port  # noqa: E402
from wire import Connection  # noqa: E402

# The exporter's own work.
EXCUSED = {"redis_exporter_last_scrape_duration_seconds"}
COMMANDS = (
    ["SET", "k", "v"], ["SET", "t", "v", "EX", "1000"], ["GET", "k"], ["GET", "none"], ["LPUSH", "l", "1"], ["GET", "l"],
    ["CONFIG", "SET", "maxmemory", "100mb"], ["XADD", "s", "*", "a", "1"], ["XGROUP", "CREATE", "s", "g", "0"],
    ["CONFIG", "SET", "slowlog-log-slower-than", "0", "latency-monitor-threshold", "1"], ["DEBUG", "SLEEP", "0.02"],
)  # fmt: skip


def use(port):
    connection = Connection(port)
    for words in COMMANDS:
        connection.call(*words)


def metrics(port):
    """What the exporter says of the server on that port."""
    web = free_port()
    line = ["prometheus-redis-exporter", "--redis.addr", f"redis://127.0.0.1:{port}", "--web.listen-address",
            f"127.0.0.1:{web}", "--check-single-keys", "db0=l", "--check-single-streams", "db0=s",
            "--include-system-metrics"]  # fmt: skip
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{web}/metrics", timeout=5) as page:
                    return page.read().decode()
            except OSError:
                time.sleep(0.1)
        raise SystemExit("FAILED exporter: no answer")
    finally:
        process.terminate()
        process.wait(10)


def names(text):
    """The metrics, with the labels that tell one from another and without those that hold what only one server has."""
    out = set()
    for line in text.splitlines():
        found = re.match(r"(redis_\w+)(?:\{(.*)\})? ", line)
        if found:
            labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")
            kept = ",".join(f"{k}={v}" if k in ("cmd", "db", "key", "err", "group", "stream") else k for k, v in labels)
            out.add(f"{found[1]}{{{kept}}}")
    return out


with Server(sys.argv[1], ["--enable-debug-command", "yes"]) as ours, Server(ORACLE) as theirs:
    seen = []
    for server in (ours, theirs):
        use(server.port)
        seen.append(metrics(server.port))
    up = [re.search(r"^redis_up (\d)", text, re.M) for text in seen]
    missing = sorted(n for n in names(seen[1]) - names(seen[0]) if n.split("{")[0] not in EXCUSED)
    needed = ("redis_slowlog_length", "redis_latency_spike_last", "redis_latency_percentiles_usec")
    unseen = [name for name in needed if not any(n.startswith(name) for n in names(seen[0]))]
    if missing or unseen or any(u is None or u[1] != "1" for u in up):
        print("FAILED exporter: not exported from us: " + " ".join(missing + unseen or ["redis_up 1"]))
        raise SystemExit(1)
    print(f"{len(names(seen[1]))} metrics passed exporter")
