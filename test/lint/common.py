# SPDX-License-Identifier: Apache-2.0
"""Running a program and comparing, with both values in the message."""
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*command, **environment):
    """(exit status, stdout, stderr)"""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, timeout=120,
                            env={**os.environ, **{k: str(v) for k, v in environment.items()}})
    return result.returncode, result.stdout, result.stderr


def equal(got, want, what=""):
    assert got == want, f"{what}\ngot:  {got!r}\nwant: {want!r}"


def contains(text, part):
    assert part in text, f"{part!r} is not in:\n{text}"
