"""The language of the case files: words of commands, expected replies, and when a reply matches (README.md)."""

import re

_ESCAPES = {"n": 10, "r": 13, "t": 9, "a": 7, "b": 8, '"': 34, "\\": 92}


class Bad(Exception):
    """The case file is not well written."""


def _quoted(text, pos):
    """(bytes, position after the closing quote) of the string that opens at `pos`."""
    out, pos = bytearray(), pos + 1
    while pos < len(text):
        c = text[pos]
        if c == '"':
            return bytes(out), pos + 1
        if c == "\\":
            c = text[pos + 1 : pos + 2]
            if c == "x":
                out.append(int(text[pos + 2 : pos + 4], 16))
                pos += 4
                continue
            if c not in _ESCAPES:
                raise Bad(f"unknown escape \\{c}")
            out.append(_ESCAPES[c])
            pos += 2
            continue
        out += c.encode()
        pos += 1
    raise Bad("a quote is not closed")


def _function(text, pos):
    """(words, position after) of rep(x,65) or seq(f% v%,1,128) at `pos`; None when there is neither."""
    m = re.compile(r"(rep|seq)\(").match(text, pos)
    if not m:
        return None
    end = text.index(")", pos)
    parts = text[m.end() : end].split(",")
    if m.group(1) == "rep":
        return [parts[0].encode() * int(parts[1])], end + 1
    words = parts[0].split(" ")
    low, high = int(parts[1]), int(parts[2])
    return [w.replace("%", str(i)).encode() for i in range(low, high + 1) for w in words], end + 1


def words(text, values):
    """The arguments of a command line; `values` are what `let` lines kept, used as $name."""
    out, pos = [], 0
    while pos < len(text):
        if text[pos] == " ":
            pos += 1
            continue
        made = _function(text, pos)
        if made:
            out += made[0]
            pos = made[1]
        elif text[pos] == '"':
            word, pos = _quoted(text, pos)
            out.append(word)
        else:
            end = text.find(" ", pos)
            end = len(text) if end < 0 else end
            word = re.sub(r"\$(\w+)", lambda m: _value(values, m.group(1)), text[pos:end])
            out.append(word.encode())
            pos = end
    return out


def _value(values, name):
    if name not in values:
        raise Bad(f"${name} was never set")
    return values[name]


# ---- expected replies ---------------------------------------------------------------------------------------------------
_OPEN = {"": "*", "map": "%", "set": "~", "push": ">", "unordered": "unordered", "pairs": "pairs", "attribute": "|"}


def pattern(text, values):
    """The expected reply: a tree of tuples that match() understands."""
    tree, pos = _pattern(text, 0, values)
    if text[pos:].strip():
        raise Bad(f"something after the reply: {text[pos:]!r}")
    return tree


def _pattern(text, pos, values):
    while text[pos : pos + 1] in (" ", "\n"):
        pos += 1
    m = re.compile(r"(map|set|push|unordered|pairs|attribute|)\[").match(text, pos)
    if m:
        items, pos = [], m.end()
        while True:
            while text[pos : pos + 1] in (" ", "\n"):
                pos += 1
            if pos >= len(text):
                raise Bad("a bracket is not closed")
            if text[pos] == "]":
                return ("list", _OPEN[m.group(1)], items), pos + 1
            item, pos = _pattern(text, pos, values)
            items.append(item)
    made = _function(text, pos)
    if made:
        return ("is", "$", made[0][0]), made[1]
    if text[pos : pos + 1] == '"':
        value, pos = _quoted(text, pos)
        return ("is", "$", value), pos
    if text[pos : pos + 1] == "/":
        end = re.compile(r"/(?=[\s\]]|$)").search(text, pos + 1)
        if not end:
            raise Bad("a pattern is not closed")
        return ("re", re.compile(text[pos + 1 : end.start()].encode(), re.S)), end.end()
    if text[pos : pos + 1] in ("-", "+") and not re.compile(r"[-+]\d+(\.\.\S+)?(?=[\s\]]|$)").match(text, pos):
        return _line(text, pos)
    end = re.compile(r"[\s\]]|$").search(text, pos).start()
    return _word(text[pos:end], values), end


def _line(text, pos):
    """A simple string or an error: to the end of the line, or quoted when it stands inside brackets."""
    kind = text[pos]
    if text[pos + 1 : pos + 2] == '"':
        value, pos = _quoted(text, pos + 1)
        return ("is", kind, value), pos
    end = text.find("\n", pos)
    end = len(text) if end < 0 else end
    if kind == "+" and "]" in text[pos:end]:
        end = re.compile(r"[\s\]]").search(text, pos).start()
    return ("is", kind, text[pos + 1 : end].strip().encode()), end


def _word(word, values):
    fixed = {
        "nil": ("is", "$", None), "nil-array": ("is", "*", None), "null": ("is", "_", None), "any": ("any",),
        "...": ("rest",), "any-int": ("kind", ":"), "any-string": ("kind", "$="), "any-error": ("kind", "-"),
    }  # fmt: skip
    if word in fixed:
        return fixed[word]
    kept = word
    word = re.sub(r"\$(\w+)", lambda m: _value(values, m.group(1)), word)
    m = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", word)
    if m:
        return ("range", int(m.group(1)), int(m.group(2)))
    if re.fullmatch(r"-?\d+", word):
        return ("is", ":", int(word))
    if re.fullmatch(r"\$\w+", kept):
        return ("is", "$", word.encode())
    if word[:1] in (",", "#", "("):
        return ("is", word[0], word[1:].encode())
    raise Bad(f"not an expected reply: {word!r}")


def match(tree, reply):
    """Does the reply fit the expected one?"""
    what = tree[0]
    kind, value = reply
    if what == "any":
        return True
    if what == "is":
        return (kind, value) == (tree[1], tree[2])
    if what == "kind":
        return kind in tree[1] and value is not None
    if what == "re":
        return kind in "$+-=," and value is not None and tree[1].search(value) is not None
    if what == "range":
        return kind == ":" and tree[1] <= value <= tree[2]
    if what == "list":
        return _match_list(tree[1], tree[2], reply)
    return False


def _match_list(kind, items, reply):
    if reply[1] is None or reply[0] not in "*%~>|":
        return False
    have = list(reply[1])
    if kind in ("unordered", "pairs"):
        step = 2 if kind == "pairs" else 1
        if len(have) != len(items) or len(items) % step:
            return False
        groups = [have[i : i + step] for i in range(0, len(have), step)]
        for i in range(0, len(items), step):
            wanted = items[i : i + step]
            found = next((g for g in groups if all(match(w, x) for w, x in zip(wanted, g))), None)
            if found is None:
                return False
            groups.remove(found)
        return True
    if reply[0] != kind:
        return False
    if items and items[-1] == ("rest",):
        items, have = items[:-1], have[: len(items) - 1]
    return len(items) == len(have) and all(match(w, x) for w, x in zip(items, have))
