# SPDX-License-Identifier: Apache-2.0
"""The files that are linted, read once: what git tracks below a root. Knows C well enough to blank comments and strings."""
import functools
import re
import subprocess
from pathlib import Path
from typing import NamedTuple


class Finding(NamedTuple):
    file: str
    line: int
    message: str
    where: str = ""  # the function, for an exception that names one


# Comments, strings and characters of C; a raw newline ends a broken string.
C_TOKEN = re.compile(r"""//(?:\\\n|[^\n])*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]*)"', re.MULTILINE)


def blank(text: str) -> str:
    """C text with comments gone and literals emptied; line numbers stay."""
    def empty(match: re.Match) -> str:
        token = match.group()
        newlines = "\n" * token.count("\n")
        return (token[0] * 2 if token[0] in "\"'" else " ") + newlines
    return C_TOKEN.sub(empty, text)


class Tree:
    def __init__(self, root: Path):
        self.root = root.resolve()
        listed = subprocess.run(["git", "-C", self.root, "ls-files", "-z"], capture_output=True, check=True, text=True)
        self.files = sorted(name for name in listed.stdout.split("\0")
                            if name and (self.root / name).is_file() and not (self.root / name).is_symlink())

    @functools.lru_cache(maxsize=None)
    def read(self, name: str) -> str:
        try:
            return (self.root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return ""  # not a text file

    @functools.lru_cache(maxsize=None)
    def code(self, name: str) -> str:
        return blank(self.read(name))

    def includes(self, name: str):
        """(line, path) of each #include with quotes."""
        text = self.read(name)
        return [(text.count("\n", 0, match.start()) + 1, match.group(1)) for match in INCLUDE.finditer(text)]

    def c_files(self):
        return [name for name in self.files if name.endswith((".c", ".h"))]

    def interpreted(self, suffix: str, interpreter: str):
        """Files with that suffix, or whose first line names the interpreter."""
        pattern = re.compile(rf"#!.*\b({interpreter})\b")
        return [name for name in self.files
                if name.endswith(suffix) or ("." not in Path(name).name and pattern.match(self.read(name)))]

    def shell_files(self):
        return self.interpreted(".sh", "ba|sh|bash|dash")

    def python_files(self):
        return self.interpreted(".py", "python3?")
