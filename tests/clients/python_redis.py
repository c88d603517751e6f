#!/usr/bin/python3
"""python3-redis: every type, pipelines, transactions, blocking pops, scan iterators, expiry, the OOM exception."""

import os
import sys
import threading
import time

import redis

PORT = int(sys.argv[1])
TLS = os.environ.get("BRIM_TLS")  # a folder of certificates; the port is then one of TLS
OPTIONS = {"ssl": True, "ssl_ca_certs": f"{TLS}/ca.crt", "ssl_certfile": f"{TLS}/client.crt",
           "ssl_keyfile": f"{TLS}/client.key"} if TLS else {}  # fmt: skip
passed = 0


def check(ok, name):
    global passed
    if not ok:
        sys.exit(f"FAILED python3-redis: {name}")
    passed += 1


def types(r):
    check(r.set("s", "v", ex=100, nx=True) and r.get("s") == "v" and 0 < r.ttl("s") <= 100, "strings")
    check(r.incr("n", 5) == 5 and r.incrbyfloat("f", 1.5) == 1.5 and r.append("s", "w") == 2, "numbers")
    check(r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "none") == ["1", "2", None], "mget")
    check(r.hset("h", mapping={"x": 1, "y": "z"}) == 2 and r.hgetall("h") == {"x": "1", "y": "z"}, "hashes")
    check(r.rpush("l", 1, 2, 3) == 3 and r.lrange("l", 0, -1) == ["1", "2", "3"] and r.lpos("l", "2") == 1, "lists")
    check(r.sadd("set", "p", "q") == 2 and r.smembers("set") == {"p", "q"} and r.sismember("set", "p"), "sets")
    check(r.zadd("z", {"m": 1.5, "n": 2}) == 2, "zadd")
    check(r.zrange("z", 0, -1, withscores=True) == [("m", 1.5), ("n", 2.0)], "zrange")
    check(r.zadd("z", {"m": 7}, gt=True, ch=True) == 1 and r.zrevrank("z", "m") == 0, "zadd gt")
    check(r.object("encoding", "h") == "listpack" and r.type("z") == "zset", "object, type")
    check(r.sort("l", desc=True) == ["3", "2", "1"], "sort")


def pipelines(r):
    with r.pipeline(transaction=False) as p:
        for i in range(1000):
            p.set(f"p:{i}", i)
        check(all(p.execute()), "pipeline")
    with r.pipeline() as p:
        p.set("t", 1).incr("t").get("t")
        check(p.execute() == [True, 2, "2"], "transaction")
        try:
            p.incr("s").set("after", 1).execute()
            check(False, "an error inside a transaction")
        except redis.ResponseError:
            check(r.get("after") == "1", "commands behind a failed one run")


def watch(r):
    with r.pipeline() as p:
        p.watch("t")
        r.set("t", "changed")
        p.multi()
        p.set("t", "lost")
        try:
            p.execute()
            check(False, "watch conflict")
        except redis.WatchError:
            check(r.get("t") == "changed", "watch conflict")


def blocking(r):
    threading.Timer(0.2, lambda: redis.Redis(port=PORT, **OPTIONS).rpush("bl", "x")).start()
    check(r.blpop("bl", timeout=5) == ("bl", "x"), "blpop")
    start = time.time()
    check(r.brpop("bl", timeout=1) is None and 0.9 < time.time() - start < 3, "brpop times out")
    threading.Timer(0.2, lambda: redis.Redis(port=PORT, **OPTIONS).zadd("bz", {"m": 1})).start()
    check(r.bzpopmin("bz", timeout=5) == ("bz", "m", 1.0), "bzpopmin")


def iterators(r):
    check(set(r.scan_iter(match="p:*", count=50)) == {f"p:{i}" for i in range(1000)}, "scan_iter")
    r.hset("bh", mapping={f"f{i}": i for i in range(2000)})
    check(len(dict(r.hscan_iter("bh"))) == 2000, "hscan_iter")
    r.sadd("bs", *range(3000))
    check(len(set(r.sscan_iter("bs"))) == 3000, "sscan_iter")


def expiry(r):
    r.set("gone", 1, px=30)
    time.sleep(0.06)
    check(r.get("gone") is None and r.expire("a", 50) and r.persist("a"), "expiry")


def server(r):
    check(r.ping() and r.client_setname("tester") and r.client_getname() == "tester", "client name")
    check(r.info()["redis_version"] == "7.0.15" and r.info("memory")["used_memory"] > 0, "info")
    check(r.config_get("maxmemory")["maxmemory"] == "0" and r.dbsize() > 1000, "config, dbsize")
    check(r.memory_usage("l") > 0 and r.time()[0] > 0, "memory usage, time")
    check(any(c["name"] == "tester" for c in r.client_list()), "client list")


def pubsub(r):
    p = r.pubsub(ignore_subscribe_messages=True)
    p.subscribe("news", "other")
    p.psubscribe("n*")
    for _ in range(3):
        p.get_message(timeout=2)
    check(r.publish("news", "hello") == 2, "publish")
    check(p.get_message(timeout=2)["data"] == "hello" and p.get_message(timeout=2)["pattern"] == "n*", "messages")
    check(r.pubsub_numsub("news") == [("news", 1)] and r.pubsub_numpat() == 1, "pubsub numsub, numpat")
    check(sorted(r.pubsub_channels()) == ["news", "other"], "pubsub channels")
    heard = []
    q = r.pubsub()
    q.subscribe(**{"jobs": lambda message: heard.append(message["data"])})
    thread = q.run_in_thread(sleep_time=0.01)
    until = time.time() + 5
    while r.publish("jobs", "x") == 0 and time.time() < until:
        time.sleep(0.01)
    while not heard and time.time() < until:
        time.sleep(0.01)
    thread.stop()
    check(heard == ["x"], "a handler in a thread")
    p.ping("are you there")
    check(p.parse_response()[1] == "are you there", "ping while subscribed")
    p.unsubscribe()
    p.punsubscribe()
    p.close()


def keyspace_events(r):
    r.config_set("notify-keyspace-events", "Ex$")
    p = r.pubsub(ignore_subscribe_messages=True)
    p.psubscribe("__keyevent@*__:*")
    p.get_message(timeout=2)
    r.set("brief", 1, px=30)
    events = [p.get_message(timeout=3) for _ in range(2)]
    check([e["channel"][15:] for e in events] == ["set", "expired"], "set and expired are told")
    check(all(e["data"] == "brief" for e in events), "of the key")
    p.close()
    r.config_set("notify-keyspace-events", "")


def client_side_caching(r):
    # As applications do it with RESP2: one connection hears the invalidations of the others.
    p = r.pubsub(ignore_subscribe_messages=True)
    p.subscribe("__redis__:invalidate")
    p.get_message(timeout=2)
    ids = [c["id"] for c in r.client_list(_type="pubsub")]
    check(len(ids) == 1, "the listener is in CLIENT LIST TYPE pubsub")
    reader = redis.Redis(port=PORT, **OPTIONS, decode_responses=True, single_connection_client=True)
    check(reader.execute_command("CLIENT", "TRACKING", "ON", "REDIRECT", ids[0]) in (True, b"OK", "OK"), "tracking on")
    check(reader.client_getredir() == int(ids[0]), "getredir")
    reader.get("s")
    r.set("s", "changed")
    check(p.get_message(timeout=3)["data"] == ["s"], "the key is invalid")
    reader.close()
    p.close()


def out_of_memory(r):
    r.config_set("maxmemory", r.info("memory")["used_memory"])
    try:
        r.set("more", "x" * 100000)
        r.set("more2", "x")
        check(False, "no OOM error")
    except redis.exceptions.ResponseError as error:
        check("used memory > 'maxmemory'" in str(error), "the OOM error is a ResponseError")
    check(r.get("a") == "1" and r.delete("p:1") == 1, "reading and deleting go on")
    r.config_set("maxmemory", 0)
    check(r.set("more", "x"), "writing goes on after CONFIG SET")


for protocol in ("tcp",):
    client = redis.Redis(port=PORT, **OPTIONS, decode_responses=True)
    client.flushall()
    for test in (types, pipelines, watch, blocking, iterators, expiry, server, pubsub, keyspace_events, client_side_caching,
                 out_of_memory):
        test(client)
print(f"python3-redis {redis.__version__}: {passed} passed, 0 failed")
