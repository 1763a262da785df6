# SPDX-License-Identifier: Apache-2.0
"""What an agent allocates, call by call (counted.c): the release agent's objects and libraries, linked so that each call is counted where we see it."""
import fcntl
import os
import pathlib
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/musl/test/system/counted-agent"
FUNCTIONS, RING, CALLERS, NAME = 8, 64, 8, 16  # as counted.c has them
HEAD, BY, LAST = struct.Struct("2Q"), struct.Struct(f"{NAME}sQ"), struct.Struct(f"{2 + CALLERS}Q")


def build():
    """Its path. One at a time: two runs of the suite may be under way."""
    with open(ROOT / "Makefile", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["tools/deps/with", "make", "--no-print-directory", "V=musl", str(PROGRAM.relative_to(ROOT))], cwd=ROOT, check=True, stdout=sys.stderr)
    return str(PROGRAM)


class Counts:
    """Of one agent: Agent(..., env=counts.env). The file is in its folder, and may be written by anybody."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.touch()
        os.chmod(self.path, 0o666)
        self.env = {"COUNTED_FILE": str(self.path)}

    def total(self):
        """Calls from the start until now."""
        data = self.path.read_bytes()
        if len(data) != HEAD.size + FUNCTIONS * BY.size + RING * LAST.size:
            raise AssertionError(f"counted.c has other numbers: {len(data)} bytes")
        return HEAD.unpack_from(data)[1]

    def by(self):
        """Function -> calls"""
        data = self.path.read_bytes()
        return {name.rstrip(b"\0").decode(): n for name, n in (BY.unpack_from(data, HEAD.size + i * BY.size) for i in range(FUNCTIONS))}

    def who(self, since):
        """The last calls, after the first `since`: what was called, for how much, by whom (counted.c: the farther callers may be left from before)."""
        data, lines = self.path.read_bytes(), {}
        base, total = HEAD.unpack_from(data)
        names = list(self.by())
        for call in range(max(since, total - RING), total):
            function, size, *callers = LAST.unpack_from(data, HEAD.size + FUNCTIONS * BY.size + call % RING * LAST.size)
            where = [c - base - 1 for c in callers if c][1:5]  # beyond the counter's own
            line = lines.setdefault((names[function], size, *where[:2]), [0, where])
            line[0] += 1
        return "".join(f"\n  {n} x {function}({size}): {', '.join(self._names(where))}" for (function, size, *_), (n, where) in lines.items())

    @staticmethod
    def _names(where):
        said = subprocess.run(["addr2line", "-f", "-s", "-e", str(PROGRAM), *(hex(a) for a in where)], capture_output=True, text=True, check=False).stdout.split("\n")
        return [f"{function} {line}" if not line.startswith("??") else function for function, line in zip(said[::2], said[1::2])]
