"""What the two servers tell of changes: keyspace events, and the keys that a client in broadcast mode is told of.

Both are asked after each batch of commands. Events are compared in order, the keys as sets: how many messages they come
in hangs on what was read together.
"""

SETTINGS = ["notify-keyspace-events", "KEAmn"]
_SYNC = b"__keysync"
# Which keys SORT looks for hangs on the order of a set's members. redis-server looks for every stream twice in XREAD and
# XREADGROUP, and in XAUTOCLAIM before it knows the command to be one.
UNLIKE_MISSES = (b"SORT", b"XREAD", b"XAUTOCLAIM")
# redis-server changes a value's bytes in it, and tells nobody.
QUIET_CHANGE = b"PFDEBUG"


class _Watch:
    """Two connections to one server that hear of everything."""

    def __init__(self, server, timeout):
        self.events = server.connect(timeout, 2)
        self.tracker = server.connect(timeout, 3)
        self.events.call("PSUBSCRIBE", "__key*")
        self.tracker.call("CLIENT", "TRACKING", "ON", "BCAST")

    def close(self):
        self.events.close()
        self.tracker.close()

    def heard(self, publisher):
        """(the events since the last call, the keys that were said to have changed)"""
        publisher.send("PUBLISH", _SYNC, "")
        publisher.read()
        events, keys = [], set()
        while True:
            _, _, channel, message = (part for _, part in self.events.read()[1])
            if channel == _SYNC:
                break
            events.append((channel, message))
        self.tracker.send("PING")
        while True:
            kind, value = self.tracker.read()
            if kind == "+":
                return events, keys
            keys |= {None} if value[1][1] is None else {key for _, key in value[1][1]}


def _plain(events, misses):
    """Without what differs by right: a key past its time may go as expired or, replaced by a command, as deleted; and
    the look-ups of some commands (then `misses` is False)."""
    out = [(channel.replace(b"__:expired", b"__:del"), b"del" if message == b"expired" else message)
           for channel, message in events]  # fmt: skip
    return out if misses else [e for e in out if e[1] != b"keymiss" and not e[0].endswith(b"__:keymiss")]


class Watches:
    """Hears both servers; `publishers` are connections to them that nobody else uses meanwhile."""

    def __init__(self, oracle, tested, timeout):
        self.pair = _Watch(oracle, timeout), _Watch(tested, timeout)

    def close(self):
        for watch in self.pair:
            watch.close()

    def difference(self, publishers, misses=True, quiet=False):
        """None, or (what it is about, the oracle's, the other's)."""
        (events, keys), (other_events, other_keys) = (w.heard(p) for w, p in zip(self.pair, publishers))
        events, other_events = _plain(events, misses), _plain(other_events, misses)
        if events != other_events:
            at = next((i for i, (a, b) in enumerate(zip(events, other_events)) if a != b),
                      min(len(events), len(other_events)))  # fmt: skip
            return "events", events[max(0, at - 1) : at + 4], other_events[max(0, at - 1) : at + 4]
        if not keys <= other_keys or (keys != other_keys and not quiet):
            return "invalidations", sorted(keys - other_keys, key=repr), sorted(other_keys - keys, key=repr)
        return None
