"""tools/tidy.py finds what it should, and lets the rest be. Run: python3 -m unittest tests/tools/tidy_test.py"""

import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tools"))
import tidy  # noqa: E402


def findings(files, baseline="", committed=None):
    """What tidy says of a tree made of `files` ({path: text})."""
    with tempfile.TemporaryDirectory() as root:
        def run(*args):
            subprocess.run(["git", "-C", root, *args], check=True, capture_output=True)

        def write(path, text):
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w") as f:
                f.write(text)

        run("init", "-q")
        if committed is not None:
            write(tidy.BASELINE, committed)
            run("add", ".")
            run("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "x")
        for path, text in files.items():
            write(path, text)
        if baseline:
            write(tidy.BASELINE, baseline)
        return tidy.check(root)


def function(lines, name="F"):
    return f"int {name}(int a) {{\n" + "  a += 1;\n" * (lines - 3) + "  return a;\n}\n"


class Arrows(unittest.TestCase):
    def test_an_include_that_goes_up_is_found(self):
        for path, include in (("src/types/a.cc", "store/b.h"), ("src/store/a.h", "server/b.h"),
                              ("src/net/a.cc", "resp/b.h"), ("src/base/a.cc", "memory/b.h"),
                              ("src/persist/a.cc", "command/b.h"), ("src/commands/a.cc", "net/b.h")):
            found = findings({path: f'#pragma once\n#include "{include}"\n'})
            self.assertEqual(len(found), 1, (path, found))
            self.assertIn("[arrow]", found[0])

    def test_includes_that_go_down_are_fine(self):
        self.assertEqual(findings({"src/store/a.cc": '#include "types/b.h"\n#include "store/c.h"\n#include <map>\n',
                                   "src/server/a.cc": '#include "commands/b.h"\n#include "net/c.h"\n',
                                   "src/main.cc": '#include "server/b.h"\n'}), [])

    def test_an_unknown_folder_is_found(self):
        self.assertIn("[arrow]", findings({"src/stuff/a.cc": "\n"})[0])


class Errors(unittest.TestCase):
    def test_a_text_with_a_code_stands_in_one_file(self):
        code = '#pragma once\nconst char* a = "NOAUTH who are you";\n// "NOAUTH "\nconst char* b = "NOAUTHORITY x";\n'
        found = findings({"src/server/a.h": code, "src/resp/errors.h": code, "tests/unit/a.h": code})
        self.assertEqual(len(found), 1, found)
        self.assertIn("src/server/a.h:2", found[0])


class Sizes(unittest.TestCase):
    def test_long_function(self):
        self.assertEqual(findings({"src/base/a.cc": function(70)}), [])
        self.assertIn("lines of F: 71", findings({"src/base/a.cc": function(71)})[0])

    def test_long_method_and_braces_in_strings_and_comments(self):
        text = 'namespace a {\nclass B {\n public:\n  void G() { Say("{"); /* { */ }\n' + function(80, "H") + "};\n}\n"
        found = findings({"src/base/a.cc": text})
        self.assertEqual(len(found), 1, found)
        self.assertIn("lines of H: 80", found[0])

    def test_long_tables_are_not_functions(self):
        text = "constexpr Row kRows[] = {\n" + '    {"a", F(1)},\n' * 200 + "};\n"
        self.assertEqual(findings({"src/base/a.cc": text}), [])

    def test_files(self):
        self.assertIn("[file]", findings({"src/base/a.h": "#pragma once\n" + "int a;\n" * 300})[0])
        self.assertEqual(findings({"src/base/a.cc": "int a;\n" * 800}), [])
        self.assertIn("[file]", findings({"src/base/a.cc": "int a;\n" * 801})[0])

    def test_wide_class(self):
        methods = "".join(f"  int M{i}(int a) const;\n" for i in range(21))
        text = "#pragma once\nclass A {\n public:\n  A();\n  ~A();\n%s private:\n  int N();\n};\n"
        self.assertIn("public methods of A: 21", findings({"src/base/a.h": text % methods})[0])
        self.assertEqual(findings({"src/base/a.h": text % methods.replace("  int M3(int a) const;\n", "")}), [])


class Baseline(unittest.TestCase):
    line = "function src/base/a.cc:F %d\n"

    def test_an_exception_excuses_just_so_much(self):
        long = {"src/base/a.cc": function(80)}
        self.assertEqual(findings(long, self.line % 80), [])
        self.assertIn("80, at most 79", findings(long, self.line % 79)[0])
        self.assertIn("lower its exception", findings(long, self.line % 81)[0])
        self.assertIn("no longer needs", findings({"src/base/a.cc": function(9)}, self.line % 80)[0])

    def test_exceptions_may_only_shrink(self):
        long = {"src/base/a.cc": function(80)}
        self.assertIn("only shrink", findings(long, self.line % 80, committed="")[0])
        self.assertEqual(findings(long, self.line % 80, committed=self.line % 90), [])


class LeftOvers(unittest.TestCase):
    def test_one_finding_each(self):
        for name, text, rule in (("src/base/a.cc", "int a;  \n", "spaces"),
                                 ("src/base/a.cc", "// " + "TO" + "DO: later\n", "left-over"),
                                 ("src/base/a.h", "int a;\n", "once"),
                                 ("src/base/a.cc", "// " + "x" * 118 + "\n", "line"),
                                 ("src/base/string_util.cc", "int a;\n", "name"),
                                 ("tests/a.py", "open('/wo" + "rk/main/x')\n", "path")):
            found = findings({name: text})
            self.assertEqual(len(found), 1, found)
            self.assertIn(f"[{rule}]", found[0])


if __name__ == "__main__":
    unittest.main()
