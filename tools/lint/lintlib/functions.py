# SPDX-License-Identifier: Apache-2.0
"""Rules about C functions. Finds them by the layout that clang-format keeps: `{` and `}` alone in the first column."""
import re
from pathlib import PurePath
from typing import NamedTuple

from .tree import Finding

FUNCTION_LINES = 60
BRANCHES = 15
LAYERS = ("lib/", "agent/", "operator/")

TYPE = re.compile(r"^(?:struct|enum|union)\s+(\w+)\s*\{", re.MULTILINE)
NAME = re.compile(r"(\w+)\s*\(")
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)", re.DOTALL)
# A switch is one branch, however many cases: its length is bounded by the other rule, and tables read easily.
BRANCH = re.compile(r"\b(?:if|for|while|switch)\b|&&|\|\||\?")
PREPROCESSOR = re.compile(r"^[ \t]*#.*(?:\\\n.*)*", re.MULTILINE)


class Function(NamedTuple):
    name: str
    line: int  # of the first line of its head
    lines: int  # head and body
    static: bool
    body: str


def functions(code: str):
    """The functions of C code without comments and literals."""
    lines = PREPROCESSOR.sub(lambda m: "\n" * m.group().count("\n"), code).split("\n")
    end = -1
    for number, line in enumerate(lines):
        if line.rstrip() != "{" or number <= end:
            continue
        start = number
        while start > 0 and lines[start - 1].strip() and lines[start - 1][0] not in "}#" and \
                not lines[start - 1].rstrip().endswith(";"):
            start -= 1
        head = ATTRIBUTE.sub("", " ".join(lines[start:number]))
        match = NAME.search(head)
        end = next((i for i in range(number, len(lines)) if lines[i].rstrip() in ("}", "};")), len(lines) - 1)
        if match and "=" not in head:
            yield Function(match.group(1), start + 1, end - start + 1, bool(re.search(r"\bstatic\b", head)),
                           "\n".join(lines[number:end]))


def check_length(tree):
    for file in tree.c_files():
        for f in functions(tree.code(file)):
            if f.lines > FUNCTION_LINES:
                yield Finding(file, f.line, f"{f.name} has {f.lines} lines; at most {FUNCTION_LINES}", f.name)


def check_complexity(tree):
    for file in tree.c_files():
        for f in functions(tree.code(file)):
            branches = len(BRANCH.findall(f.body))
            if branches > BRANCHES:
                yield Finding(file, f.line, f"{f.name} has {branches} branches; at most {BRANCHES}", f.name)


def prefixes(tree, file):
    """What may stand before the first _ of a name that this file exports: the file's name, or its leading words (spec_check.c:
    spec, spec_check), or a struct or enum that its header defines (its X_init, X_free and the like)."""
    words = PurePath(file).stem.split("_")
    header = str(PurePath(file).with_suffix(".h"))
    own = TYPE.findall(tree.code(header)) if header in tree.files else []
    return {"_".join(words[:count]) for count in range(1, len(words) + 1)} | set(own)


def check_prefix(tree):
    """What a file exports says where it is from."""
    for file in tree.c_files():
        if not file.startswith(LAYERS) or PurePath(file).stem == "main":
            continue
        allowed = prefixes(tree, file)
        for f in functions(tree.code(file)):
            if not f.static and not any(f.name == p or f.name.startswith(p + "_") for p in allowed):
                yield Finding(file, f.line, f"{f.name} is neither static nor named {PurePath(file).stem}_...", f.name)
