"""Makes access rules, right and wrong ones, commands for ACL DRYRUN, and a model of how redis-server 7.0 tells a user's
commands again (the fewest categories and names), by which each server's own description is checked."""

PATTERNS = ["*", "k*", "s*", "h?", "z1", "[el]*", "l[12]", "n*", "", "\\*", "*1", "s1", "e*", "a)b", 'q"']
CHANNELS = ["*", "news", "n*", "ch:1", "ch:*", ""]
PASSWORDS = ["one", "two", "", "a b", "three\x00x"]
HASH = "b2d1f4f1a7ecf4c1c4e6c1d6a8b77a4e2a3a1bb0fdc29d2a7c3a1dfab9d9c001"
WORDS = [
    "1", "2", "0", "3", "STORE", "GET", "BY", "KEYS", "STREAMS", "LIMIT", "LEFT", "COUNT", "MATCH", "AUTH", "WEIGHTS",
    "nosort", "*", "ch:1", "news", "",
]  # fmt: skip


class Names:
    """What rules can be about: commands that both servers know."""

    def __init__(self, commands, categories):
        self.top = sorted(n for n in commands if "|" not in n)
        self.subs = sorted(n for n in commands if "|" in n)
        self.containers = sorted({n.split("|")[0] for n in self.subs})
        self.plain = [n for n in self.top if n not in self.containers]
        self.arity = commands
        self.categories = categories


def _case(r, word):
    return word.upper() if r.some(0.1) else word


def command_rule(r, names):
    p = r.random()
    if p < 0.35:
        return r.one("+", "-") + _case(r, r.pick(names.top))
    if p < 0.5:
        return r.one("+", "-") + _case(r, r.pick(names.subs))
    if p < 0.56:
        return "+" + r.pick(names.plain) + "|" + r.one("0", "1", "x", "ABC", "encoding")
    if p < 0.9:
        return r.one("+@", "-@") + _case(r, r.pick(names.categories))
    return r.one("+@all", "-@all", "allcommands", "nocommands")


def key_rule(r):
    pattern = r.pick(PATTERNS)
    return r.one("~", "~", "%R~", "%W~", "%RW~", "%wr~") + pattern if r.some(0.9) else r.one("allkeys", "resetkeys")


def channel_rule(r):
    return "&" + r.pick(CHANNELS) if r.some(0.85) else r.one("allchannels", "resetchannels")


def user_rule(r):
    password = r.pick(PASSWORDS)
    return r.one(
        "on", "on", "off", "nopass", "resetpass", ">" + password, ">" + password, "<" + password, "#" + HASH, "!" + HASH,
        "sanitize-payload", "skip-sanitize-payload", "clearselectors", "reset", "ON", "",
    )  # fmt: skip


def wrong_rule(r, names):
    return r.one(
        "foo", "+", "-", "+@", "~a b", "&a b", "%~x", "%", "%R", "%RR~x", "#abc", "!x", "(on)", "(", ")", "+nosuch",
        "-get|x", "+config|nosuch", "+config|", "+config|set|x", "+get|a|b", "+|x", "-@nosuch", "(~a", "\x00", "+get\x00x",
        "~a\x00b", '(~"a b")', '(~"a)', "on\x00x", "(+nosuch)", "@all", "+" + r.pick(names.subs) + "|x",
    )  # fmt: skip


def selector_rule(r, names):
    inner = [r.one(command_rule(r, names), key_rule(r), channel_rule(r)) for _ in range(r.randint(0, 5))]
    return "(" + " ".join(w for w in inner if '"' not in w) + ")"


def rules(r, names):
    """The words behind ACL SETUSER name."""
    words = []
    for _ in range(r.choice([0, 1, 2, 4, 8, 14])):
        p = r.random()
        if p < 0.45:
            words.append(command_rule(r, names))
        elif p < 0.62:
            words.append(key_rule(r))
        elif p < 0.7:
            words.append(channel_rule(r))
        elif p < 0.85:
            words.append(user_rule(r))
        elif p < 0.985:
            words += selector_rule(r, names).split(" ") if r.some(0.3) else [selector_rule(r, names)]
        else:
            words.append(wrong_rule(r, names))
    return words


def argument(r):
    p = r.random()
    return r.pick(WORDS) if p < 0.4 else r.any_key() if p < 0.9 else str(r.randint(-2, 12))


# Of their malformed forms redis-server takes other words for keys, which no handler ever sees.
LOOSE = ("xread", "xreadgroup", "migrate")


def command(r, names):
    """A command with about as many arguments as it takes, most of them keys or what a command looks for."""
    name = r.pick(names.plain) if r.some(0.8) else r.pick(names.subs)
    while name in LOOSE:
        name = r.pick(names.plain)
    words = [_case(r, w) for w in name.split("|")]
    arity = names.arity[name]
    missing = abs(arity) - len(words) + (r.choice([0, 0, 1, 2, 4]) if arity < 0 else 0) + r.choice([0] * 30 + [-1, 1])
    return words + [argument(r) for _ in range(max(missing, 0))]


class Table:
    """A server's commands with their categories, as COMMAND gives them."""

    def __init__(self, connection):
        self.categories = [c.decode() for c in connection.value("ACL", "CAT")]
        self.members, self.top, self.subs = {}, [], {}
        for row in connection.call("COMMAND")[1]:
            name = self._add(row)
            self.top.append(name)
            self.subs[name] = [self._add(sub) for sub in row[1][9][1]]

    def _add(self, row):
        name = row[1][0][1].decode()
        self.members[name] = {c[1].decode().lstrip("@") for c in row[1][6][1]}
        return name

    def reach(self, name):
        return {name, *self.subs.get(name, ())}

    def in_category(self, category):
        return {n for n, c in self.members.items() if category in c}

    def reach_of_category(self, category):
        return set().union(*(self.reach(n) for n in self.in_category(category)))


class Commands:
    """The commands of a description: which are allowed, also those to come, and by which first arguments."""

    def __init__(self, table, description):
        self.table, self.allowed, self.future, self.first = table, set(), False, {}
        for word in description.split(" "):
            self._apply(word)

    def _apply(self, word):
        name = word[1:]
        if name == "@all":
            self.allowed, self.future = (set(self.table.members) if word[0] == "+" else set()), word[0] == "+"
            return
        if not name.startswith("@") and name not in self.table.members:
            command, argument = name.split("|", 1)
            self.first.setdefault(command, []).append(argument)
            return
        reach = self.table.reach_of_category(name[1:]) if name.startswith("@") else self.table.reach(name)
        self.allowed = self.allowed | reach if word[0] == "+" else self.allowed - reach

    def described(self):
        """(the words up to the last category, the set of the others)."""
        table, plus, minus = self.table, "+" if not self.future else "-", "-" if not self.future else "+"
        words, told, rest, used = [minus + "@all"], set(), set(self.allowed), set()
        told = set(table.members) if self.future else told
        while True:
            best, least, most = None, 1 << 30, 0
            for category in table.categories:
                if category in used:
                    continue
                members = table.in_category(category)
                on = len(members & rest)
                off = len(members) - on
                wrong, right = (on, off) if self.future else (off, on)
                if right > wrong and (wrong < least or (wrong == least and right > most)):
                    best, least, most = category, wrong, right
            if best is None:
                break
            reach = table.reach_of_category(best)
            told, rest = (told - reach, rest | reach) if self.future else (told | reach, rest - reach)
            words.append(f"{plus}@{best}")
            used.add(best)
        singles = set()
        for name in table.top:
            for each in [name, *table.subs[name]]:
                if (each in told) != (each in self.allowed):
                    singles.add(("+" if each in self.allowed else "-") + each)
                    reach = table.reach(each)
                    told = told | reach if each in self.allowed else told - reach
        for name, arguments in self.first.items():
            singles |= {f"+{name}|{argument}" for argument in arguments}
        return words, singles


def wrong_about(table, description):
    """Empty when the description is the one that the model would give; else what that is."""
    words, singles = Commands(table, description).described()
    got = description.split(" ")
    if got[: len(words)] == words and set(got[len(words) :]) == singles and len(got) == len(words) + len(singles):
        return ""
    return f"{' '.join(words)} and {sorted(singles)} expected, {description} found"
