"""Pub/sub and client-side caching under many connections: order, nothing lost, nothing doubled, nothing stale."""

import random
import threading
import time

PUBLISHERS, SUBSCRIBERS, CHANNELS = 4, 8, 3


def order(server, crew, seed):
    """Every subscriber gets each publisher's messages in order, each once, from its subscription on to its end."""
    sent, heard, lock = [0] * PUBLISHERS, [], threading.Lock()
    ready = threading.Barrier(PUBLISHERS + SUBSCRIBERS, timeout=60)

    def publish(number):
        r, c = random.Random(seed * 10 + number), server.connect(60)
        ready.wait()
        while not crew.over():
            batch = []
            for _ in range(r.randint(1, 20)):
                sent[number] += 1
                size = r.choice([1, 50, 300, 6000])
                command = r.choice(["PUBLISH", "PUBLISH", "SPUBLISH"])
                batch.append([command, f"ch{sent[number] % CHANNELS}", f"{number}:{sent[number]}:" + "x" * size])
            counts = [n for _, n in c.pipeline(batch)]
            if min(counts) < SUBSCRIBERS // 2:
                raise AssertionError(f"{counts} subscribers got it")

    def subscribe(number):
        c = server.connect(60, 2 + number % 2)
        # Half by channel and half by pattern; all shard channels, and one channel that comes and goes.
        if number % 2:
            c.send("PSUBSCRIBE", "ch*")
            c.read()
        else:
            for i in range(CHANNELS):
                c.send("SUBSCRIBE", f"ch{i}")
                c.read()
        for i in range(CHANNELS):
            c.send("SSUBSCRIBE", f"ch{i}")
            c.read()
        ready.wait()
        last, count = [0] * PUBLISHERS, 0
        while True:
            parts = [value for _, value in c.read()[1]]
            if parts[0] in (b"subscribe", b"unsubscribe"):
                continue
            if parts[-1] == b"end":
                break
            who, which, _ = parts[-1].split(b":", 2)
            who, which = int(who), int(which)
            if which != last[who] + 1:
                raise AssertionError(f"message {which} of publisher {who} came after {last[who]}")
            last[who], count = which, count + 1
            if count % 97 == 0:
                c.send("SUBSCRIBE", "other")
            elif count % 97 == 50:
                c.send("UNSUBSCRIBE", "other")
        with lock:
            heard.append(last)

    for i in range(PUBLISHERS):
        crew.start(publish, i)
    for i in range(SUBSCRIBERS):
        crew.start(subscribe, i)
    for thread in crew.threads[:PUBLISHERS]:
        thread.join(60)
    with server.connect() as c:
        c.call("PUBLISH", "ch0", "end")
    errors = crew.join()
    if any(last != sent for last in heard) or len(heard) != SUBSCRIBERS:
        errors += f" sent {sent}, heard {heard[:3]}"
    return errors if all(sent) else errors + " nothing was sent"


def across(server, crew, seed):
    """Who publishes after another's reply comes after it, whatever the threads; so do events of one key."""
    listener = server.connect(60)
    with server.connect() as c:
        c.call("CONFIG", "SET", "notify-keyspace-events", "KA")
    listener.call("PSUBSCRIBE", "*")
    connections, sent = [server.connect(60) for _ in range(6)], []
    r = random.Random(seed)
    while not crew.over():
        c, number = r.choice(connections), len(sent)
        if r.random() < 0.5:
            c.call("PUBLISH", "numbers", number)
            sent.append((b"numbers", str(number).encode()))
        else:
            event = r.choice([("SET", b"set"), ("APPEND", b"append")])
            c.call(event[0], "key", "x")
            sent.append((b"__keyspace@0__:key", event[1]))
    got = [tuple(value for _, value in listener.read()[1])[2:] for _ in sent]
    return "" if got == sent and sent else f"{len(sent)} sent, in another order than heard"


def caches(server, crew, seed):
    """A client that keeps what it has read, and drops what it is told to, never has an old value once all is quiet."""
    keys, done = [f"cached:{i}" for i in range(50)], []

    def write(number):
        r, c = random.Random(seed * 30 + number), server.connect(60)
        while not crew.over():
            c.pipeline([r.choice([["SET", r.choice(keys), r.randrange(10**9)], ["DEL", r.choice(keys)],
                                  ["SET", r.choice(keys), "soon", "PX", r.randint(1, 20)]])
                        for _ in range(r.randint(1, 10))])  # fmt: skip

    def read(number):
        r, c, cache, asked = random.Random(seed * 40 + number), server.connect(60, 3), {}, 0
        broadcast = number % 2
        c.call("CLIENT", "TRACKING", "ON", *(["BCAST", "PREFIX", "cached:"] if broadcast else []))

        def take(reply):
            """True when it is a reply, False when it was an invalidation."""
            if reply[0] != ">":
                return True
            for _, key in reply[1][1][1]:
                cache.pop(key.decode(), None)
            return False

        def ask(*command):
            c.send(*command)
            while True:
                reply = c.read()
                if take(reply):
                    return reply[1]

        while not crew.over() or asked == 0:
            key = r.choice(keys)
            if key not in cache:
                cache[key] = ask("GET", key)
            asked += 1
            if r.random() < 0.02:
                ask("PING")
        barrier.wait()  # the writers have stopped, what was to expire has expired
        ask("PING")
        for key, value in list(cache.items()):
            with server.connect(60) as other:
                now = other.call("GET", key)[1]
            ask("PING")
            if key in cache and now != value:
                raise AssertionError(f"{key} is {now}, cached is {value}, broadcast {broadcast}")
        done.append(asked)

    readers = 6
    barrier = threading.Barrier(readers + 1, timeout=60)
    for i in range(3):
        crew.start(write, i)
    for i in range(readers):
        crew.start(read, i)
    for thread in crew.threads[:3]:
        thread.join(60)
    time.sleep(0.3)
    barrier.wait()
    errors = crew.join()
    return errors if len(done) == readers else errors + " a reader failed"
