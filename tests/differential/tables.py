"""Compares what COMMAND and ACL CAT say of every command that both servers know: arity, flags, keys, categories, key
specs, tips, docs. Of commands that redis-server 7.0 does not have, newer_commands.tsv tells the facts."""

import os

COMMANDS = """
append decr decrby get getdel getex getrange getset incr incrby incrbyfloat lcs mget mset msetnx psetex set setex setnx
setrange strlen substr
bitcount bitfield bitfield_ro bitop bitpos getbit setbit pfadd pfcount pfdebug pfmerge pfselftest
geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore
hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield hscan hset hsetnx hstrlen hvals
blmove blmpop blpop brpop brpoplpush lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop
rpoplpush rpush rpushx
sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember smove spop srandmember srem sscan
sunion sunionstore
xack xadd xautoclaim xclaim xdel xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|help
xgroup|setid xinfo|consumers xinfo|groups xinfo|help xinfo|stream xlen xpending xrange xread xreadgroup xrevrange xsetid
xtrim
bzmpop bzpopmax bzpopmin zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore
zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank
zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore
copy del exists expire expireat expiretime keys move object|encoding object|freq object|help object|idletime
object|refcount persist pexpire pexpireat pexpiretime pttl randomkey rename renamenx scan sort sort_ro touch ttl type unlink
multi exec discard watch unwatch
acl acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save acl|setuser
acl|users acl|whoami
auth client|getname client|help client|id client|info client|kill client|list client|no-evict client|pause client|reply
client|setname client|unblock client|unpause echo hello ping quit reset select
command command|count command|docs command|getkeys command|getkeysandflags command|help command|info command|list
config|get config|help config|resetstat config|rewrite config|set dbsize debug flushall flushdb info lastsave
lolwut memory|doctor memory|help memory|malloc-stats memory|purge memory|stats memory|usage role shutdown swapdb time
object client config memory xgroup xinfo
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


# Commands of redis-server 7.0 and of newer_commands.tsv that are not known here, and why.
ABSENT = {
    "another node is needed, which comes with replication": "failover psync replconf replicaof slaveof sync",
    "the cluster's": "sflush cluster|slot-stats",
}
# Facts that differ from redis-server's on purpose: command, field, why.
DIFFERENT = {
    ("migrate", "arguments"): "its empty string in a key's place is no keyword here",
}

_NAMES = ["name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specs"]


def _compare_info(name, a, b, tally):
    if a[1] is None or b[1] is None:
        tally.check(a[1] is None and b[1] is None, f"COMMAND INFO {name}", "not known")
        return
    wrong = []
    for label, x, y in zip(_NAMES, a[1], b[1]):  # without the subcommands: each is asked for by its own name
        if label == "tips":
            x, y = ("flags", frozenset(x[1])), ("flags", frozenset(y[1]))
        if _normal(x) != _normal(y) and (name, label) not in DIFFERENT:
            wrong.append(f"{label}: {x} expected, {y} found")
    tally.check(not wrong, f"COMMAND INFO {name}", "; ".join(wrong)[:600])


def _fields(reply):
    return dict(zip((k[1].decode() for k in reply[1][::2]), reply[1][1::2]))


def _words(reply):
    """Keywords and leaves of COMMAND DOCS' arguments: (keyword or None, type), without the names of groups."""
    found = set()
    for argument in reply[1] if reply else ():
        fields = _fields(argument)
        kind, token = fields["type"][1], fields.get("token", ("$", None))[1]
        if token is not None:
            found.add((token, None))
        if kind == b"key":
            found.add((None, b"key"))
        found |= _words(fields.get("arguments"))
    return found


def _compare_docs(name, a, b, tally):
    """Prose apart: when it came, what replaces it, the keywords and keys among its arguments (others may be more)."""
    if not tally.check(len(a[1]) == len(b[1] or ()), f"COMMAND DOCS {name}", f"{str(b)[:200]}") or not a[1]:
        return
    x, y = _fields(a[1][1]), _fields(b[1][1])
    for field in ("since", "group", "doc_flags", "deprecated_since", "replaced_by"):
        wrong = x.get(field) != y.get(field) and (name, field) not in DIFFERENT
        tally.check(not wrong, f"COMMAND DOCS {name}: {field}", f"{x.get(field)} expected, {y.get(field)} found")
    missing = _words(x.get("arguments")) - _words(y.get("arguments"))
    wrong = missing and (name, "arguments") not in DIFFERENT
    tally.check(not wrong, f"COMMAND DOCS {name}: arguments", f"{missing} are missing")


def names_of(connection):
    """Every command and subcommand."""
    names = []
    for row in connection.call("COMMAND")[1]:
        names.append(row[1][0][1].decode())
        if len(row[1]) > 9:
            names += [sub[1][0][1].decode() for sub in row[1][9][1]]
    return names


def _compare_categories(mine, theirs, tally):
    """ACL CAT: the same categories, and of each the same commands among those that both know."""
    a, b = mine.call("ACL", "CAT"), theirs.call("ACL", "CAT")
    tally.check(a == b, "ACL CAT", f"{a} expected, {b} found")
    common = set(names_of(mine)) & set(names_of(theirs))
    for _, category in a[1]:
        a, b = ({n.decode() for _, n in c.call("ACL", "CAT", category)[1]} & common for c in (mine, theirs))
        tally.check(a == b, f"ACL CAT {category.decode()}", f"missing {sorted(a - b)}, too much {sorted(b - a)}")


_KEY_FLAGS = ("RO", "RW", "OW", "RM", "NOT_KEY", "ACCESS", "UPDATE", "INSERT", "DELETE", "INCOMPLETE")


def _spec_text(spec):
    """A key spec of COMMAND INFO as newer_commands.tsv writes it."""
    fields = dict(zip((k[1] for k in spec[1][::2]), spec[1][1::2]))
    parts = (fields[b"begin_search"][1], fields[b"find_keys"][1])
    begin, find = ({k[1]: v for k, v in zip(part[::2], part[1::2])} for part in parts)
    at = {k[1]: v[1] for k, v in zip(begin[b"spec"][1][::2], begin[b"spec"][1][1::2])}
    how = {k[1]: v[1] for k, v in zip(find[b"spec"][1][::2], find[b"spec"][1][1::2])}
    flags = {f[1].decode().upper() for f in fields[b"flags"][1]}
    if begin[b"type"][1] != b"index" or find[b"type"][1] != b"range":
        return "another kind"
    place = f"@{at[b'index']} range({how[b'lastkey']},{how[b'keystep']},{how[b'limit']}) "
    return place + "/".join(name for name in _KEY_FLAGS if name in flags)


def _compare_newer(theirs, tally):
    """Commands that came after 7.0, by the facts in newer_commands.tsv."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "newer_commands.tsv")
    with open(path, encoding="utf-8") as f:
        rows = [["" if field == "-" else field for field in line.rstrip("\n").split("\t")] for line in f][1:]
    for name, _, _, arity, flags, categories, specs in rows:
        reply = theirs.call("COMMAND", "INFO", name)[1][0]
        if reply[1] is None:
            tally.check(name.lower() in _absent(), f"{name} is known")
            continue
        info = [field[1] for field in reply[1]]
        hidden = {"sentinel", "experimental"}  # flags that COMMAND does not print, or that are no flags here
        found = {f[1].decode() for f in info[2]}
        wanted = set(flags.split()) - hidden
        tally.check(str(info[1]) == arity, f"{name}: arity", f"{arity} expected, {info[1]} found")
        tally.check(found == wanted, f"{name}: flags", f"{sorted(wanted)} expected, {sorted(found)} found")
        found = {c[1].decode().lstrip("@") for c in info[6]}
        wanted = set(categories.split()) | ({"fast"} if "fast" in flags.split() else {"slow"})
        wanted |= {"write"} & set(flags.split()) | {"blocking"} & set(flags.split())
        wanted |= {"read"} if "readonly" in flags.split() else set()
        wanted |= {"admin", "dangerous"} if "admin" in flags.split() else set()
        tally.check(found == wanted, f"{name}: categories", f"{sorted(wanted)} expected, {sorted(found)} found")
        found = "; ".join(_spec_text(spec) for spec in info[8])
        tally.check(found == specs, f"{name}: key specs", f"{specs} expected, {found} found")


def _absent():
    return {name for names in ABSENT.values() for name in names.split()}


def _compare_presence(mine, theirs, tally):
    """All of redis-server's commands are known, but those that ABSENT names, and those are not."""
    here, there, absent = set(names_of(theirs)), set(names_of(mine)), _absent()
    for name in sorted(there - here - absent):
        tally.check(False, f"{name} is known")
    for name in sorted(absent & here):
        tally.check(False, f"{name} is known: ABSENT need not name it")
    tally.check(len(there - absent) > 350, "redis-server's commands are all looked at", f"{len(there)}")
    count, listed = theirs.value("COMMAND", "COUNT"), theirs.call("COMMAND", "LIST")[1]
    rows = theirs.call("COMMAND")[1]
    tally.check(count == len(rows), "COMMAND COUNT counts COMMAND's rows", f"{count} and {len(rows)}")
    tally.check({n for _, n in listed} == {n.encode() for n in here}, "COMMAND LIST names COMMAND's rows")


def _info_fields(connection):
    """Names of INFO's fields, section by section, in their order."""
    sections, name = {}, None
    for line in connection.value("INFO", "default").decode().split("\r\n"):
        if line.startswith("# "):
            name = line[2:]
            sections[name] = []
        elif ":" in line:
            sections[name].append(line.split(":")[0])
    return sections


def _compare_info_fields(mine, theirs, tally):
    """Each field of redis-server's INFO is there, in its section and its order; others may stand between."""
    for c in (mine, theirs):
        c.call("SET", "k", "v", "EX", 100)
    a, b = _info_fields(mine), _info_fields(theirs)
    tally.check([s for s in b if s in a] == list(a), "INFO: sections", f"{list(a)} expected, {list(b)} found")
    for section, fields in a.items():
        found = b.get(section, [])
        missing = [f for f in fields if f not in found]
        tally.check(not missing, f"INFO {section}: every field", f"missing {missing}")
        common = [f for f in found if f in fields]
        tally.check(common == [f for f in fields if f in found], f"INFO {section}: order", f"{common}")
    for c in (mine, theirs):
        c.call("DEL", "k")


def compare(oracle, tested, tally):
    """One check for each command."""
    with oracle.connect() as mine, tested.connect() as theirs:
        _compare_info_fields(mine, theirs, tally)
        _compare_presence(mine, theirs, tally)
        _compare_categories(mine, theirs, tally)
        _compare_newer(theirs, tally)
        both = set(names_of(mine)) & set(names_of(theirs))
        _compare_rows(mine, theirs, tally, COMMANDS + sorted(both - set(COMMANDS)))


def _compare_rows(mine, theirs, tally, names):
    asked = ["COMMAND", "INFO"] + names
    a, b = mine.call(*asked), theirs.call(*asked)
    if not tally.check(b[0] == "*" and len(b[1]) == len(a[1]), "COMMAND INFO answers for all commands", str(b)[:200]):
        return
    for name, x, y in zip(names, a[1], b[1]):
        _compare_info(name, x, y, tally)
    for name in names:
        a, b = mine.call("COMMAND", "DOCS", name), theirs.call("COMMAND", "DOCS", name)
        _compare_docs(name, a, b, tally)
