"""Random scripts and functions: a command of another generator called from one, and values of all kinds on their way
between the protocol and Lua."""

import hashlib

from grammar import _generators, gen, unsafe

# Random replies could not be brought in line afterwards; times and digests differ.
_UNFIT = {
    "SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "RANDOMKEY", "SCAN", "SSCAN", "HSCAN", "ZSCAN", "OBJECT", "KEYS",
    "RESET", "HELLO", "AUTH", "DUMP", "MEMORY", "SORT", "SORT_RO", "SMEMBERS", "HGETALL", "HKEYS", "HVALS", "SINTER",
    "SUNION", "SDIFF", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "TIME", "LASTSAVE", "TOUCH", "DBSIZE",
}  # fmt: skip
_GROUPS = ("strings", "hashes", "lists", "sets", "zsets", "keys")

# Each takes a command in ARGV.
_CALLERS = [
    "return redis.call(unpack(ARGV))",
    "return redis.pcall(unpack(ARGV))",
    "redis.setresp(3) return redis.call(unpack(ARGV))",
    "redis.setresp(3) return redis.pcall(unpack(ARGV))",
    "local ok, r = pcall(redis.call, unpack(ARGV)) return {tostring(ok), r}",
    "local r = redis.pcall(unpack(ARGV)) return type(r)",
    "local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' then return r.err or r.ok or #r end return r",
    "redis.setresp(3) local r = redis.pcall(unpack(ARGV)) if type(r) ~= 'table' then return type(r) end local t = {} "
    "for k in pairs(r) do t[#t + 1] = type(k) == 'number' and 'n' or k end table.sort(t) return t",
    "local r = {} for i = 1, 3 do r[i] = redis.pcall(unpack(ARGV)) end return r",
    "redis.call('set', 'sc', 'x') local r = redis.pcall(unpack(ARGV)) redis.call('append', 'sc', 'y') return r",
    "redis.call('exists', 'sc') return redis.call(unpack(ARGV))",
    "return coroutine.wrap(function() return redis.call(unpack(ARGV)) end)()",
    "local f = function() return redis.call(unpack(ARGV)) end\nlocal r = f()\nreturn r",
    "#!lua flags=no-writes\nreturn redis.call(unpack(ARGV))",
    "#!lua flags=no-writes\nreturn redis.pcall(unpack(ARGV))",
]

_LIBRARY = """#!lua name=generated
local function call(keys, args) return redis.call(unpack(args)) end
redis.register_function('g_call', call)
redis.register_function('g_pcall', function(keys, args) return redis.pcall(unpack(args)) end)
redis.register_function{function_name='g_ro', callback=call, flags={'no-writes'}}
redis.register_function('g_keys', function(keys, args) return {#keys, #args, keys, args} end)
"""


def command(r):
    for _ in range(20):
        choices = _generators[r.one(*_GROUPS)]
        made = r.choices([g for g, _ in choices], [w for _, w in choices])[0](r)
        if made and isinstance(made[0], list):
            made = made[0]
        name = str(made[0]).upper() if made else "@"
        if name[0] != "@" and name not in _UNFIT and not unsafe(made, True):
            return made
    return ["PING"]


def keys_for(r):
    """Declared keys, seldom those that the command has."""
    keys = [r.any_key() for _ in range(r.one(0, 0, 1, 1, 2, 3))]
    return [str(len(keys))] + keys


def quoted(text):
    out = "'"
    for byte in text if isinstance(text, bytes) else text.encode():
        c = chr(byte)
        out += c if c.isalnum() or c in " .,:-_" else "\\%03d" % byte
    return out + "'"


def scalar(r):
    p = r.random()
    if p < 0.3:
        return r.one("0", "1", "-1", "3.99", "-3.99", "1e15", "2^53", "2^63", "-2^63", "1e300", "0.1", "1/3", "1/0", "100")
    if p < 0.7:
        return quoted(r.value() if r.some(0.7) else r.one("", "x" * 600, "a\r\nb", "-dash", "new\nline"))
    return r.one("true", "false", "nil", "function() end")


def value(r, depth=0):
    """A Lua expression."""
    if depth > 3 or r.some(0.45):
        return scalar(r)
    inner = lambda: value(r, depth + 1)  # noqa: E731
    kind = r.random()
    if kind < 0.4:
        return "{" + ",".join(inner() for _ in range(r.randint(0, 4))) + "}"
    if kind < 0.5:
        return "{ok=%s}" % r.one(quoted("fine"), quoted("two\r\nlines"), "1", "{}", scalar(r))
    if kind < 0.6:
        return "{err=%s}" % r.one(quoted("ERR wrong"), quoted("CODE two\r\nlines"), quoted("word"), "1", "{}")
    if kind < 0.68:
        return "{double=%s}" % r.one("1.5", "0", "-0.25", "1e20", "3", "1/0", quoted("x"))
    if kind < 0.78:
        # One pair: the order of more is Lua's own affair.
        return "{map={[%s]=%s}}" % (r.one("1", quoted("k"), "true", "2.5"), inner())
    if kind < 0.86:
        return "{set={[%s]=%s}}" % (r.one("1", quoted("k"), "true"), r.one("true", "1", "false"))
    if kind < 0.92:
        return "{big_number=%s}" % r.one(quoted("123456789012345678901234567890"), quoted("1\r\n2"), "1")
    return "{verbatim_string={string=%s,format=%s}}" % (
        r.one(quoted("text"), quoted("a\r\nb"), "1"),
        r.one(quoted("txt"), quoted("mkd"), quoted("longer"), quoted("t"), "1"),
    )


@gen("scripts", 6)
def call_any(r):
    script = r.pick(_CALLERS)
    name = "EVAL_RO" if r.some(0.08) else "EVAL"
    return [name, script] + keys_for(r) + command(r)


@gen("scripts", 4)
def answer(r):
    prefix = "redis.setresp(3) " if r.some(0.3) else ""
    return ["EVAL", f"{prefix}return {value(r)}", "0"]


@gen("scripts", 2)
def echo(r):
    """A value through the libraries and back."""
    expression = value(r).replace("function() end", "1")
    script = r.one(
        "return cmsgpack.unpack(cmsgpack.pack(%s))",
        "return cmsgpack.pack(%s)",
        "return {cmsgpack.unpack(cmsgpack.pack(%s, 1))}",
        "local ok, r = pcall(cjson.encode, %s) return r",
        "local ok, r = pcall(cjson.encode, %s) if not ok then return r end return cjson.decode(r)",
        "local v = %s return type(v)",
        "return tostring(type(redis.error_reply(%s)))",
        "return redis.status_reply(%s)",
        "return redis.error_reply(%s)",
        "return redis.sha1hex(%s)",
    )
    return ["EVAL", script % expression, "0"]


@gen("scripts", 2)
def packed(r):
    """Hostile bytes to cmsgpack, struct and cjson."""
    data = bytes(r.one(r.randint(0, 255), r.one(0x91, 0x81, 0xDC, 0xDD, 0xDE, 0xDF, 0xD9, 0xDB, 0xA3, 0xC0, 0xCB, 0x92), 1, 0)
                 for _ in range(r.randint(0, 14)))  # fmt: skip
    choices = (*"bBhHlLiIfdscx!<>T ", "i3", "I16", "c0", "c2", "!4", "!2", "i33", "!3", "z")
    formats = "".join(r.one(*choices) for _ in range(r.randint(0, 5)))
    script = r.one(
        "local t = {pcall(cmsgpack.unpack, ARGV[1])} return #t > 1 and t[2] or 0",
        "local t = {pcall(cmsgpack.unpack_one, ARGV[1], ARGV[3])} return #t > 1 and t[2] or 0",
        "local t = {pcall(cmsgpack.unpack_limit, ARGV[1], ARGV[4], ARGV[3])} return #t > 1 and t[2] or 0",
        "return {struct.unpack(ARGV[2], ARGV[1])}",
        "return {struct.unpack(ARGV[2], ARGV[1], ARGV[3])}",
        "return struct.pack(ARGV[2], 1, 'two', 3.5, -4, 'fife')",
        "return struct.pack(ARGV[2], 'one', 200, -3.5, 'four', 2^40)",
        "return struct.size(ARGV[2])",
        "local ok, v = pcall(cjson.decode, ARGV[1]) return tostring(type(v))",
    )
    return ["EVAL", script, "0", data, formats, r.one("0", "1", "2", "-1", "99"), r.one("0", "1", "2", "-1", "5")]


@gen("scripts", 1.5)
def function(r):
    name = r.one("g_call", "g_pcall", "g_ro", "g_keys", "G_CALL", "g_nosuch")
    return [r.one("FCALL", "FCALL", "FCALL_RO"), name] + keys_for(r) + command(r)


@gen("scripts", 1)
def library(r):
    return r.one(
        ["FUNCTION", "LOAD", "REPLACE", _LIBRARY], ["FUNCTION", "LOAD", "REPLACE", _LIBRARY],
        ["FUNCTION", "LOAD", "REPLACE", _LIBRARY], ["FUNCTION", "LOAD", _LIBRARY], ["FUNCTION", "DELETE", "generated"],
        ["FUNCTION", "DELETE", "nosuch"], ["FUNCTION", "FLUSH"], ["FUNCTION", "LIST", "LIBRARYNAME", "nosuch*"],
        ["FUNCTION", "STATS"], ["FUNCTION", "LOAD", "#!lua name=x\nlocal a"], ["FUNCTION", "RESTORE", "x"],
        ["FUNCTION", "NOPE"], ["FUNCTION"], ["FUNCTION", "KILL"], ["FUNCTION", "LIST", "NOPE"],
    )  # fmt: skip


@gen("scripts", 1.5)
def cached(r):
    script = r.pick(_CALLERS[:3])
    digest = r.one("0" * 40, "x", sha1(script), sha1(script), sha1(script).upper())
    return r.one(
        ["SCRIPT", "LOAD", script], ["SCRIPT", "LOAD", "return +"], ["SCRIPT", "EXISTS", digest, "0" * 40],
        ["SCRIPT", "KILL"], ["SCRIPT", "FLUSH"], ["SCRIPT", "NOPE"], ["SCRIPT"], ["SCRIPT", "EXISTS"],
        ["EVALSHA", digest] + keys_for(r) + command(r), ["EVALSHA", digest] + keys_for(r) + command(r),
        ["EVALSHA_RO", digest] + keys_for(r) + command(r), ["EVALSHA", digest, "9", "a"], ["EVAL", script, "x"],
        ["EVAL", script], ["EVAL", script, "-1"],
    )  # fmt: skip


@gen("scripts", 1.5)
def broken(r):
    return ["EVAL", r.one(
        "x = 1", "return nosuch", "redis.call = 1", "error('mine')", "error({err='MINE here'})", "return 1 +", "local t t.x = 1",
        "return redis.call()", "return redis.call({})", "return redis.pcall('nosuch')", "return redis.call('get')",
        "return redis.call('multi')", "return redis.call('config', 'get', '*')", "string.x = 1", "rawset(_G, 'a', 1)",
        "return {pcall(error, {err='X y'})}", "return {xpcall(function() error('a') end, function(e) return e end)}",
        "return loadstring('return ' .. ARGV[1])()", "return select(2, loadstring(ARGV[1]))", "return #KEYS, #ARGV",
        "KEYS[2] = 'x' return KEYS", "return table.concat(KEYS, ',')", "return string.format('%5.2f|%d|%s|%q', 1.5, 3, 'x', 'y')",
        "return tostring(nil) .. tostring(1.5) .. tostring(true)", "return {string.find('hello', 'l+')}",
        "return string.gsub('hello world', 'o', '0')", "for w in string.gmatch('a b', '%a') do redis.call('lpush', 'gm', w) end",
        "return {unpack({1, 2, 3}, 2)}", "return {math.floor(3.7), math.max(1, 5), math.fmod(7, 3)}", "return bit.bxor(5, 3)",
        "return redis.log(1)", "return redis.setresp(5)", "return redis.set_repl(9)", "return redis.acl_check_cmd('nosuch')",
        "assert(false, 'no')", "return ('x'):rep(3, ',')", "return tonumber('0x10')", "return tonumber('abc') or 'none'",
    )] + keys_for(r) + [r.value()]  # fmt: skip


def sha1(text):
    return hashlib.sha1(text.encode()).hexdigest()
