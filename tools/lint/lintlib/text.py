# SPDX-License-Identifier: Apache-2.0
"""Rules that look at text only: banned names, lengths, first lines, white space."""
import re

from .tree import Finding

FILE_LINES = 600
LINE_COLUMNS = 140  # clang-format holds to 110 what it can break; literals and tables may be wider, up to here

BANNED = {
    "strcpy": "base_copy", "strcat": "lib/buf.h", "strncpy": "base_copy", "strncat": "lib/buf.h", "sprintf": "snprintf",
    "vsprintf": "vsnprintf", "gets": "getline", "strtok": "strtok_r or strcspn", "atoi": "base_parse_u64",
    "atol": "base_parse_u64", "atoll": "base_parse_u64", "atof": "strtod with its checks", "system": "posix_spawn",
    "popen": "posix_spawn", "alloca": "a fixed array", "setjmp": "errors that return", "longjmp": "errors that return",
    "tmpnam": "mkstemp", "mktemp": "mkstemp",
}
BANNED_CALL = re.compile(rf"\b({'|'.join(BANNED)})\s*\(")
TYPEDEF = re.compile(r"\btypedef\s+(struct|enum|union)\b")
SPDX = "SPDX-License-Identifier: Apache-2.0"


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def check_banned(tree):
    for name in tree.c_files():
        code = tree.code(name)
        for match in BANNED_CALL.finditer(code):
            word = match.group(1)
            yield Finding(name, line_of(code, match.start()), f"{word} is banned; use {BANNED[word]}")


def check_typedef(tree):
    for name in tree.c_files():
        code = tree.code(name)
        for match in TYPEDEF.finditer(code):
            yield Finding(name, line_of(code, match.start()), f"no typedef for a {match.group(1)}")


def check_file_length(tree):
    for name in sorted(set(tree.c_files() + tree.python_files() + tree.shell_files())):
        lines = tree.read(name).count("\n")
        if lines > FILE_LINES:
            yield Finding(name, FILE_LINES + 1, f"{lines} lines; at most {FILE_LINES}, better 350")


def check_line_length(tree):
    for name in tree.c_files() + [f for f in tree.files if f.endswith(".def")]:
        for number, line in enumerate(tree.read(name).split("\n"), 1):
            if len(line) > LINE_COLUMNS:
                yield Finding(name, number, f"{len(line)} columns; at most {LINE_COLUMNS}")


def check_spdx(tree):
    """First line, or below a `#!` line or a shellcheck directive."""
    own = [f for f in tree.files if f.endswith((".S", ".def", ".mk")) or f.split("/")[-1] in ("Makefile", "Dockerfile")]
    for name in sorted(set(tree.c_files() + tree.python_files() + tree.shell_files() + own)):
        lines = tree.read(name).split("\n", 2)
        if lines[0].startswith("#!") or lines[0].startswith("# shellcheck "):
            lines = lines[1:]
        if SPDX not in lines[0]:
            yield Finding(name, 1, f"does not begin with {SPDX}")


def check_space(tree):
    """No tab where blanks indent, no blank at a line's end, a newline at the end of the file and not two."""
    suffixes = (".c", ".h", ".S", ".def", ".py", ".sh", ".yaml", ".yml", ".json")
    for name in sorted({f for f in tree.files if f.endswith(suffixes)} | set(tree.python_files() + tree.shell_files())):
        text = tree.read(name)
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line:
                yield Finding(name, number, "tab")
            if line != line.rstrip():
                yield Finding(name, number, "white space at the end of the line")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield Finding(name, text.count("\n") + 1, "the file does not end with exactly one newline")
