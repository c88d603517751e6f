"""Compares what COMMAND says of every command of the first issue: arity, flags, keys, categories, key specs, docs."""

COMMANDS = """
append decr decrby get getdel getex getrange getset incr incrby incrbyfloat lcs mget mset msetnx psetex set setex setnx
setrange strlen substr
hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield hscan hset hsetnx hstrlen hvals
blmove blmpop blpop brpop brpoplpush lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop
rpoplpush rpush rpushx
sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember smove spop srandmember srem sscan
sunion sunionstore
bzmpop bzpopmax bzpopmin zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore
zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank
zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore
copy del exists expire expireat expiretime keys move object|encoding object|freq object|help object|idletime
object|refcount persist pexpire pexpireat pexpiretime pttl randomkey rename renamenx scan sort sort_ro touch ttl type unlink
multi exec discard watch unwatch
auth client|getname client|help client|id client|info client|kill client|list client|no-evict client|pause client|reply
client|setname client|unblock client|unpause echo hello ping quit reset select
command command|count command|docs command|getkeys command|getkeysandflags command|help command|info command|list
config|get config|help config|resetstat config|rewrite config|set dbsize debug flushall flushdb info lastsave
memory|doctor memory|help memory|malloc-stats memory|purge memory|stats memory|usage role shutdown swapdb time
object client config memory
""".split()


def _normal(reply):
    """Flags and categories without order."""
    if reply[0] in "*~" and reply[1] and all(item[0] == "+" for item in reply[1]):
        return ("flags", frozenset(item[1] for item in reply[1]))
    if reply[0] in "*~%" and reply[1] is not None:
        items = reply[1]
        if items and items[0][1] == b"notes":  # prose about a key spec
            items = items[2:]
        return (reply[0], tuple(_normal(item) for item in items))
    return reply


_NAMES = ["name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specs"]


def _compare_info(name, a, b, tally):
    if a[1] is None or b[1] is None:
        tally.check(a[1] is None and b[1] is None, f"COMMAND INFO {name}", "not known")
        return
    wrong = []
    for label, x, y in zip(_NAMES, a[1], b[1]):  # without the subcommands: each is asked for by its own name
        if label != "tips" and _normal(x) != _normal(y):
            wrong.append(f"{label}: {x} expected, {y} found")
    tally.check(not wrong, f"COMMAND INFO {name}", "; ".join(wrong)[:600])


def _arguments(reply):
    """The argument tree of COMMAND DOCS as comparable data; None when there is none."""
    if reply[1] is None:
        return None
    docs = dict(zip((k[1] for k in reply[1][::2]), reply[1][1::2]))
    return docs.get(b"arguments"), docs.get(b"since"), docs.get(b"group")


def compare(oracle, tested, tally):
    """One check for each command."""
    with oracle.connect() as mine, tested.connect() as theirs:
        asked = ["COMMAND", "INFO"] + COMMANDS
        a, b = mine.call(*asked), theirs.call(*asked)
        if not tally.check(
            b[0] == "*" and len(b[1]) == len(a[1]), "COMMAND INFO answers for all commands", str(b)[:200]
        ):
            return
        for name, x, y in zip(COMMANDS, a[1], b[1]):
            _compare_info(name, x, y, tally)
        for name in COMMANDS:
            a, b = mine.call("COMMAND", "DOCS", name), theirs.call("COMMAND", "DOCS", name)
            ok = len(a[1]) == len(b[1] or ()) and (not a[1] or _arguments(a[1][1])[1:] == _arguments(b[1][1])[1:])
            tally.check(ok, f"COMMAND DOCS {name}", f"since or group: {str(b)[:200]}")
