#!/usr/bin/python3
"""Checks what the compiler does not: the folders' arrows, sizes, names and left-overs.

usage: tidy.py [ROOT]        prints one line a finding and exits 1 when there is any

Exceptions stand in tools/tidy_baseline.txt, one a line: RULE WHERE NUMBER. An exception may only shrink: it fails when
the code has become better than it, and, against the last commit, when it is new or larger.
"""

import os
import re
import subprocess
import sys

# What each folder of src/ may include besides itself; src/README.md draws it. main.cc may include everything.
_BASE = {"base"}
_MEMORY = _BASE | {"memory"}
_TYPES = _MEMORY | {"types"}
_STORE = _TYPES | {"store"}
_COMMAND = _STORE | {"resp", "command"}
_SERVER = _COMMAND | {"commands", "persist", "net", "server"}
MAY_INCLUDE = {
    "base": set(),
    "memory": _BASE,
    "net": _MEMORY,
    "resp": _MEMORY,
    "types": _MEMORY,
    "store": _TYPES,
    "command": _STORE | {"resp"},
    "commands": _COMMAND,
    "persist": _STORE | {"resp"},
    "server": _SERVER - {"server"},
    "tools": _SERVER,
    "script": _SERVER,
    "replication": _SERVER,
    "cluster": _SERVER,
    "cli": {"base", "resp"},
}

HEADER_LINES = 300
SOURCE_LINES = 800
FUNCTION_LINES = 70
PUBLIC_METHODS = 20
LINE_CHARS = 120
SCRIPT_LINE_CHARS = 130  # tables of test data are not made clearer by breaking their rows
HARD_SOURCE_LINES = 1000  # no exception goes past it

BAD_NAME_PARTS = {"util", "utils", "common", "misc", "manager", "helper", "helpers"}
LEFT_OVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
MACHINE_PATH = re.compile(r"/(?:work|root|home)/\w")
# Codes that clients match on: a text that begins with one stands in ERRORS alone.
ERROR_CODES = """WRONGTYPE NOSCRIPT BUSY NOAUTH WRONGPASS NOPERM EXECABORT READONLY LOADING MISCONF BUSYKEY UNKILLABLE NOTBUSY
NOGROUP BUSYGROUP NOPROTO OOM UNBLOCKED INVALIDOBJ IOERR NOREPLICAS MASTERDOWN CROSSSLOT CLUSTERDOWN TRYAGAIN INPROG
NOGOODSLAVE NOMASTERLINK UNKNOWN"""
ERROR_TEXT = re.compile(r'"-?(' + "|".join(ERROR_CODES.split()) + ") ")
ERRORS = "src/resp/errors.h"
CODE = (".cc", ".h")
LINE_RULES = CODE + (".py", ".sh", ".txt", ".cmake", ".mjs", ".js")
BASELINE = "tools/tidy_baseline.txt"


def without_comments_and_strings(text):
    """The text with comments, strings and character literals blanked; lines stay where they are."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/'  # comments
        r'|R"(?P<d>[^(\s"]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"'  # strings
        r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'",  # characters; not the ' of 1'000
        re.S,
    )

    def blank(m):
        s = m.group(0)
        edge = '"' if s[0] in '"R' else ""
        return edge + re.sub(r"[^\n]", " ", s[len(edge) : len(s) - len(edge)]) + edge

    return pattern.sub(blank, text)


def classify(head):
    """What the brace after `head` (text since the last ; { or }) opens at namespace or class level."""
    if re.search(r"\bnamespace\b", head) or re.search(r'\bextern\s*"', head):
        return "namespace"
    type_start = r"(template\s*<.*>\s*)?(typedef\s+|static\s+|constexpr\s+|inline\s+)*(class|struct|union)\b"
    if re.match(type_start, head, re.S) and not re.search(r"\)\s*(const|noexcept|override|final|\s)*$", head):
        return "class"
    if re.match(r"enum\b", head):
        return "data"
    if "(" in head and re.search(r"(\)|\bconst|\bnoexcept|\boverride|\bfinal|&|>|\w)$", head):
        return "function"
    return "data"


def method_name(statement):
    """The name when the statement of a class body declares a method; no constructors, no defaulted ones."""
    if "(" not in statement or re.match(r"(using|friend|typedef|static_assert|template\s*<.*>\s*friend)\b", statement):
        return None
    before = statement[: statement.index("(")]
    if "=" in before and "operator" not in before:
        return None
    if re.search(r"=\s*(delete|default)\s*$", statement) or "~" in before:
        return None
    words = before.split()
    return words[-1].lstrip("*&") if len(words) > 1 else None  # one word alone: a constructor


class Shape:
    """Lengths of the functions and public methods of the classes in one C++ file."""

    def __init__(self, text):
        self.functions = []  # (name, line, lines)
        self.classes = []  # (name, line, public methods)
        self._read(without_comments_and_strings(text))

    def _read(self, text):
        text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)
        stack, start, line = [], 0, 1
        # start: where the statement being read began
        for i, c in enumerate(text):
            if c == "\n":
                line += 1
            elif c == "{":
                self._open(stack, text[start:i], line)
                start = i + 1
            elif c == "}":
                if stack:
                    self._close(stack.pop(), line)
                start = i + 1
            elif c in ";:" and self._at_declarations(stack):
                if c == ":":
                    word = text[start:i].strip()
                    if word in ("public", "private", "protected"):
                        stack[-1]["public"] = word == "public"
                        start = i + 1
                    continue
                self._count_method(stack, text[start:i].strip())
                start = i + 1

    @staticmethod
    def _at_declarations(stack):
        return not stack or stack[-1]["kind"] in ("namespace", "class")

    def _count_method(self, stack, statement):
        if stack and stack[-1]["kind"] == "class" and stack[-1]["public"]:
            name = method_name(statement)
            if name and name != stack[-1]["name"]:
                stack[-1]["methods"].add(name)

    def _open(self, stack, raw, line):
        head = raw.strip()
        if not self._at_declarations(stack):
            stack.append({"kind": "inner"})
            return
        kind = classify(head)
        first = line - raw.lstrip().count("\n")
        scope = {"kind": kind, "line": first, "name": ""}
        if kind == "class":
            m = re.search(r"(?:class|struct|union)\s+(?:alignas\([^)]*\)\s*)?(\w+)", head)
            scope.update(name=m.group(1) if m else "?", public="class" not in head.split(), methods=set())
        elif kind == "function":
            m = re.search(r"([\w:~]+|operator\S+)\s*\(", head)
            scope["name"] = m.group(1) if m else "?"
            if not head.startswith((",", ":")):
                self._count_method(stack, head)
        stack.append(scope)

    def _close(self, scope, line):
        if scope["kind"] == "function":
            self.functions.append((scope["name"], scope["line"], line - scope["line"] + 1))
        elif scope["kind"] == "class":
            self.classes.append((scope["name"], scope["line"], len(scope["methods"])))


def includes_up(path, text):
    """(line, message) for every include of a file in src/ that breaks an arrow."""
    parts = path.split("/")
    if parts[0] != "src" or len(parts) < 3:
        return
    folder = parts[1]
    if folder not in MAY_INCLUDE:
        yield 1, f"folder src/{folder} is not in the drawing of src/README.md"
        return
    for number, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\s*#\s*include\s*"([^"/]+)/', line)
        if m and m.group(1) != folder and m.group(1) not in MAY_INCLUDE[folder]:
            yield number, f"{folder} may not include {m.group(1)}"


class Tidy:
    """Gathers findings of all files; sizes can be excused by the baseline."""

    def __init__(self, baseline):
        self.baseline = dict(baseline)
        self.findings = []
        self.used = set()

    def say(self, rule, where, message):
        self.findings.append(f"{where}: {message} [{rule}]")

    def size(self, rule, key, where, value, limit, message):
        if value <= limit:
            return
        allowed = self.baseline.get((rule, key))
        if allowed is None or value > allowed:
            self.say(rule, where, f"{message}: {value}, at most {allowed or limit}")
        elif value < allowed:
            self.say("baseline", where, f"{rule} has become {value}: lower its exception ({allowed}) in {BASELINE}")
        self.used.add((rule, key))

    def file(self, path, text):
        stem, ext = os.path.splitext(os.path.basename(path))
        if BAD_NAME_PARTS & set(re.split(r"[_\-.]", stem.lower())):
            self.say("name", path, "a file's name says what is in it, not " + ", ".join(sorted(BAD_NAME_PARTS)))
        if "/corpus/" in path:
            return  # inputs of fuzzers: any bytes
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            where = f"{path}:{number}"
            if LEFT_OVER.search(line):
                self.say("left-over", where, "unfinished work")
            if MACHINE_PATH.search(line):
                self.say("path", where, "a path of somebody's machine")
            if line != line.rstrip() and ext != ".md":
                self.say("spaces", where, "spaces at the end of the line")
            longest = SCRIPT_LINE_CHARS if ext == ".py" else LINE_CHARS
            if ext in LINE_RULES and ext != ".txt" and len(line) > longest:
                self.say("line", where, f"{len(line)} characters, at most {longest}")
        if ext in CODE:
            self.code(path, text, ext)

    def code(self, path, text, ext):
        if path.startswith("src/") and path != ERRORS:
            for number, line in enumerate(text.split("\n"), 1):
                if ERROR_TEXT.search(line) and not line.lstrip().startswith("//"):
                    self.say("error text", f"{path}:{number}", f"belongs into {ERRORS}")
        lines = text.count("\n")
        limit = HEADER_LINES if ext == ".h" else SOURCE_LINES
        self.size("file", path, path, lines, limit, "lines")
        if lines > HARD_SOURCE_LINES:
            self.say("file", path, f"{lines} lines: past {HARD_SOURCE_LINES} there are no exceptions")
        if ext == ".h" and not re.search(r"^#pragma once$", text, re.M):
            self.say("once", path, "no #pragma once")
        for number, message in includes_up(path, text):
            self.say("arrow", f"{path}:{number}", message)
        shape = Shape(text)
        for name, line, count in shape.functions:
            self.size("function", f"{path}:{name}", f"{path}:{line}", count, FUNCTION_LINES, f"lines of {name}")
        for name, line, count in shape.classes:
            self.size("class", f"{path}:{name}", f"{path}:{line}", count, PUBLIC_METHODS, f"public methods of {name}")

    def stale(self):
        for rule, key in sorted(set(self.baseline) - self.used):
            self.say("baseline", key, f"no longer needs its exception ({rule}): take it out of {BASELINE}")


def parse_baseline(text):
    out = {}
    for line in text.split("\n"):
        words = line.split()
        if words and not words[0].startswith("#"):
            out[(words[0], words[1])] = int(words[2])
    return out


def git(root, *args):
    p = subprocess.run(["git", "-C", root, *args], capture_output=True, text=True)
    return p.stdout if p.returncode == 0 else None


def files_of(root):
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for path in sorted(set((listed or "").split("\0")) - {""}):
        full = os.path.join(root, path)
        if os.path.isfile(full) and not os.path.islink(full):
            yield path, full


def read(path):
    with open(path, "rb") as f:
        return f.read()


def check(root):
    """All findings of the tree at `root`, as printable lines."""
    try:
        baseline = parse_baseline(read(os.path.join(root, BASELINE)).decode())
    except FileNotFoundError:
        baseline = {}
    tidy = Tidy(baseline)
    before = git(root, "show", f"HEAD:{BASELINE}")
    if before is not None:
        before = parse_baseline(before)
        for key, value in baseline.items():
            if value > before.get(key, 0):
                tidy.say("baseline", BASELINE, f"{' '.join(key)} {value}: exceptions may only shrink")
    for path, full in files_of(root):
        data = read(full)
        if b"\0" in data[:8000]:
            continue
        try:
            tidy.file(path, data.decode())
        except UnicodeDecodeError:
            tidy.say("text", path, "not UTF-8")
    tidy.stale()
    return tidy.findings


if __name__ == "__main__":
    found = check(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), ".."))
    print("\n".join(found) if found else "tidy: nothing to say")
    sys.exit(1 if found else 0)
