"""Random streams, and what a stream is, for comparing two of them."""


def text(r, most=40):
    kind = r.randrange(6)
    if kind == 0:
        return str(r.randrange(-(1 << 63), 1 << 63) >> r.randrange(64))
    if kind == 1:
        return bytes(r.randrange(256) for _ in range(r.randrange(most)))
    if kind == 2:
        return "abc" * r.randrange(1, most)
    return "".join(r.choice("abcdefgh") for _ in range(r.randrange(1, most)))


def stream_commands(r, key, n):
    """A stream of some n entries: other fields now and then, deleted entries, groups with what is pending in all states,
    nodes of which nothing is left."""
    out = []
    ids = []
    for i in range(n):
        fields = r.choice((["temp", "hum"], ["temp", "hum"], ["temp", "hum"], ["a"], [text(r, 9) or "f"] * 3))
        ids.append(f"{i // 3}-{i % 3 + 1}")
        out.append(["XADD", key, ids[-1], *(w for f in fields for w in (f, text(r)))])
    some = lambda: r.sample(ids, min(len(ids), r.choice((1, 5, 40))))  # noqa: E731
    for group in r.sample(("g", "workers", "", "\0"), r.choice((0, 0, 1, 3))):
        out.append(["XGROUP", "CREATE", key, group, r.choice(("0", "$", "2-1")), "ENTRIESREAD", r.choice((-1, 0, 7))])
        out.append(["XGROUP", "CREATECONSUMER", key, group, "idle"])
        for consumer in ("alice", "bob", text(r) or "c"):
            out.append(["XREADGROUP", "GROUP", group, consumer, "COUNT", r.choice((1, 9, 150)), "STREAMS", key, ">"])
        out.append(["XACK", key, group, *some()])
        out.append(["XCLAIM", key, group, "bob", 0, *some(), "TIME", 1000 + r.randrange(9), "RETRYCOUNT", r.choice((0, 300))])
    out.append(["XDEL", key, *some()])
    if r.randrange(3) == 0:
        out.append(["XDEL", key, *ids[n // 4 : n // 2], "0-1"])
    if r.randrange(6) == 0:
        out.append(["XTRIM", key, "MAXLEN", r.choice((0, 2, n // 2))])
    if r.randrange(6) == 0:
        out.append(["XSETID", key, f"{n + 5}-0", "ENTRIESADDED", n + 9])
    return out


def stream_state(c, key, said_in_commands):
    """All that a stream is, but for what commands do not say: where nodes end, when consumers were seen, and pending
    entries that were deleted."""
    state = c.call("XINFO", "STREAM", key, "FULL", "COUNT", "0")[1]
    if not said_in_commands:
        return state
    fields = {name[1]: value[1] for name, value in zip(state[::2], state[1::2])}
    there = {entry[1][0] for entry in fields[b"entries"]}

    def pending(rows):
        return [row[1] for row in rows if row[1][0] in there]

    groups = []
    for group in fields[b"groups"]:
        group = {name[1]: value[1] for name, value in zip(group[1][::2], group[1][1::2])}
        consumers = [{name[1]: value[1] for name, value in zip(c[1][::2], c[1][1::2])} for c in group[b"consumers"]]
        consumers = [(consumer[b"name"], pending(consumer[b"pending"])) for consumer in consumers]
        groups.append((group[b"name"], group[b"last-delivered-id"], group[b"entries-read"], group[b"lag"], consumers))
        groups.append(pending(group[b"pending"]))
    told = (b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added", b"recorded-first-entry-id")
    return [fields[name] for name in told] + [fields[b"entries"], groups]
