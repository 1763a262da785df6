# SPDX-License-Identifier: Apache-2.0
"""Small trees, each with one fault that tools/lint/run must find, at its line, and nothing else."""
import re
import shutil
import subprocess

from common import ROOT, contains, equal, run

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
GUARD = "#ifndef {0}\n#define {0}\n{1}\n#endif\n"
MANY = "".join(f"    if (n == {i})\n        return {i};\n" for i in range(16))
LONG = "".join(f"    n += {i};\n" for i in range(56))


def header(name, body):
    return SPDX + GUARD.format(f"KUBECANARY_{name.upper()}_H", body)


# A tree without a finding; each case lays its files over it.
CLEAN = {
    "lib/one.h": header("lib_one", "\nint one_get(int n);\n"),
    "lib/one.c": SPDX + '#include "lib/one.h"\n\nint one_get(int n)\n{\n'
                        '    // strcpy(a, b) in a comment\n    return n + (int)sizeof("gets(x) \\" //");\n}\n',
    "agent/main.c": SPDX + '#include "lib/one.h"\n\nint main(void)\n{\n    return one_get(1);\n}\n',
    "run.sh": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\necho \"$1\"\n",
    "tool.py": "# SPDX-License-Identifier: Apache-2.0\nprint(1)\n",
}


def c_file(name, body, include=True):
    head = f'#include "{name[:-1]}h"\n\n' if include else ""
    return SPDX + head + body


def in_one(body):
    return {"lib/one.c": c_file("lib/one.c", body)}


# name: (files laid over CLEAN, findings as file:line [rule])
CASES = {
    "clean": ({}, []),
    "banned function": (in_one("int one_get(int n)\n{\n    system(\"true\");\n    return n;\n}\n"), ["lib/one.c:6 [banned]"]),
    "banned function after a quote in a character": (
        in_one("int one_get(int n)\n{\n    return n == '\"' ? atoi(\"1\") : 0;\n}\n"), ["lib/one.c:6 [banned]"]),
    "a name that only ends in a banned one": (in_one("int one_get(int n)\n{\n    return my_system(n);\n}\n"), []),
    "format": (in_one("int one_get(int n)\n{\n  return n;\n}\n"), ["lib/one.c:5 [format]"]),
    "opening brace of a function": (in_one("int one_get(int n) {\n    return n;\n}\n"), ["lib/one.c:4 [format]"]),
    "file length": (in_one("int one_get(int n)\n{\n    return n;\n}\n" + "// line\n" * 600), ["lib/one.c:601 [file-length]"]),
    "line length": (in_one('const char one_text[] =\n    "' + "x" * 140 + '";\n'), ["lib/one.c:5 [line-length]"]),
    "function of 60 lines": (in_one(f"int one_get(int n)\n{{\n{LONG}    return n;\n}}\n"), []),
    "function of 61 lines": (in_one(f"int one_get(int n)\n{{\n{LONG}    n++;\n    return n;\n}}\n"),
                             ["lib/one.c:4 [function-length]"]),
    "complexity": (in_one(f"int one_get(int n)\n{{\n{MANY}    return n;\n}}\n"), ["lib/one.c:4 [complexity]"]),
    "complexity of a switch": (
        in_one("int one_get(int n)\n{\n    switch (n) {\n" + "".join(f"    case {i}: return {i};\n" for i in range(30)) +
               "    default: return 0;\n    }\n}\n"), []),
    "export without the file's name": (in_one("int get_one(int n)\n{\n    return n;\n}\n"), ["lib/one.c:4 [prefix]"]),
    "export named after the header's struct": (
        {"lib/one.h": header("lib_one", "\nstruct apple {\n    int n;\n};\n\nint apple_get(int n);\nint one_get(int n);\n"),
         **in_one("int apple_get(int n)\n{\n    return n;\n}\n")}, []),
    "export named after half the file": (
        {"lib/one_two.h": header("lib_one_two", "\nint one_more(int n);\n"),
         "lib/one_two.c": c_file("lib/one_two.c", "int one_more(int n)\n{\n    return n;\n}\n")}, []),
    "static needs no prefix": (in_one("static int get(int n)\n{\n    return n;\n}\n\n"
                                      "int one_get(int n)\n{\n    return get(n);\n}\n"), []),
    "typedef of a struct": (in_one("typedef struct {\n    int a;\n} pair_t;\n"), ["lib/one.c:4 [typedef]"]),
    "no SPDX line": ({"lib/one.c": '#include "lib/one.h"\n'}, ["lib/one.c:1 [spdx]"]),
    "no SPDX line below #!": ({"tools/thing": "#!/bin/sh\ntrue\n"}, ["tools/thing:1 [spdx]"]),
    "tab in yaml": ({"a.yaml": "a:\n\tb: 1\n"}, ["a.yaml:2 [space]"]),
    "white space at the end": ({"a.yaml": "a: 1 \n"}, ["a.yaml:1 [space]"]),
    "no newline at the end": ({"a.yaml": "a: 1"}, ["a.yaml:1 [space]"]),
    "lib includes agent": (
        {"agent/two.h": header("agent_two", ""), "lib/one.c": SPDX + '#include "lib/one.h"\n\n#include "agent/two.h"\n'},
        ["lib/one.c:4 [layering]"]),
    "agent includes operator": (
        {"operator/two.h": header("operator_two", ""), "agent/main.c": SPDX + '#include "operator/two.h"\n'},
        ["agent/main.c:2 [layering]"]),
    "agent includes a test": (
        {"test/two.h": header("test_two", ""), "agent/main.c": SPDX + '#include "test/two.h"\n'}, ["agent/main.c:2 [layering]"]),
    "a test includes what it likes": ({"test/t.c": SPDX + '#include "agent/x.h"\n#include "lib/one.h"\n'}, []),
    "include beside the file": ({"lib/one.c": SPDX + '#include "lib/one.h"\n\n#include "two.h"\n'}, ["lib/one.c:4 [layering]"]),
    "source without a header": ({"lib/two.c": SPDX + '#include "lib/one.h"\n'}, ["lib/two.c:1 [header]"]),
    "own header not first": (
        {"lib/two.h": header("lib_two", ""), "lib/two.c": SPDX + '#include "lib/one.h"\n\n#include "lib/two.h"\n'},
        ["lib/two.c:2 [header]"]),
    "headers in a circle": (
        {"lib/a.h": header("lib_a", '#include "lib/b.h"'), "lib/b.h": header("lib_b", '#include "lib/a.h"')},
        ["lib/a.h:1 [cycle]"]),
    "shell": ({"run.sh": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\nrm $1\n"}, ["run.sh:3 [shell]"]),
    "shell without a suffix": (
        {"tools/thing": "#!/usr/bin/env bash\n# SPDX-License-Identifier: Apache-2.0\ncd $1\n"},
        ["tools/thing:3 [shell]", "tools/thing:3 [shell]"]),
    "python": ({"tool.py": "# SPDX-License-Identifier: Apache-2.0\nimport os\n"}, ["tool.py:2 [python]"]),
    "python that does not parse": ({"tool.py": "# SPDX-License-Identifier: Apache-2.0\ndef (\n"}, ["tool.py:2 [python]"]),
}


def plant(folder, files):
    """Writes a tree and tells git of it."""
    shutil.copy(ROOT / ".clang-format", folder)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "-C", folder, "init", "-q"], check=True)
    subprocess.run(["git", "-C", folder, "add", "--all"], check=True)


def findings(folder):
    status, out, err = run(ROOT / "tools/lint/run", "--root", folder)
    equal(err, "", "stderr")
    found = re.findall(r"^([^\s:]+:\d+): .* (\[[a-z-]+\])$", out, re.MULTILINE)
    equal(status, 1 if found else 0, f"exit status after {out}")
    contains(out.splitlines()[-1], " passed, ")
    return [" ".join(f) for f in found]


def cases():
    def case(files, want):
        def check(folder):
            plant(folder, {**CLEAN, **files})
            equal(findings(folder), want)
        return check

    for name, (files, want) in CASES.items():
        yield name, case(files, want)
    yield "an exception lets one function off", check_exception
    yield "an exception that lets nothing off", check_idle_exception
    yield "files that git does not track are left alone", check_untracked


def check_exception(folder):
    bad = "int one_get(int n)\n{\n    system(\"true\");\n" + MANY + "    return n;\n}\n"
    plant(folder, {**CLEAN, **in_one(bad), "tools/lint/exceptions": "# why\ncomplexity lib/one.c:one_get\n"})
    equal(findings(folder), ["lib/one.c:6 [banned]"])


def check_idle_exception(folder):
    plant(folder, {**CLEAN, "tools/lint/exceptions": "# none\ncomplexity lib/one.c:one_get\n"})
    equal(findings(folder), ["tools/lint/exceptions:2 [exceptions]"])


def check_untracked(folder):
    plant(folder, CLEAN)
    (folder / "lib/new.c").write_text("int main() { gets(0); }\n")
    equal(findings(folder), [])
