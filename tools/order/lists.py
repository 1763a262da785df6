# SPDX-License-Identifier: Apache-2.0
"""The lists of functions beside this file: a name a line, first those that run all the time, then, after an empty line, those of start, reload and
end. Several files add up: the agent's, and what it has more with jemalloc."""
import pathlib
import re


class ListError(Exception):
    pass


def read(files: list[str]) -> tuple[list[str], list[str]]:
    running: list[str] = []
    starting: list[str] = []
    for file in files:
        blocks = pathlib.Path(file).read_text(encoding="ascii").strip().split("\n\n")
        if len(blocks) != 2:
            raise ListError(f"{file}: {len(blocks)} lists, not two with an empty line between")
        for names, into in zip(blocks, (running, starting)):
            into += names.split("\n")
    bad = [name for name in running + starting if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name)]
    if bad:
        raise ListError(f"not a function's name: {bad[0]!r}")
    return running, starting
