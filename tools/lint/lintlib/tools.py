# SPDX-License-Identifier: Apache-2.0
"""Rules that Debian's linters hold: shellcheck and pyflakes."""
import json
import re
import subprocess

from .tree import Finding


def output(tree, *command):
    """(stdout, stderr) of a linter; it exits 1 when it has findings."""
    result = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
    if result.returncode not in (0, 1):
        raise RuntimeError(f"{command[0]}: {result.stderr}")
    return result.stdout, result.stderr


def check_shell(tree):
    files = tree.shell_files()
    if files:
        for found in json.loads(output(tree, "shellcheck", "-x", "--format=json", *files)[0]):
            if found["level"] != "style":
                yield Finding(found["file"], found["line"], f"SC{found['code']}: {found['message']}")


def check_python(tree):
    files = tree.python_files()
    if not files:
        return
    # What does not parse is reported on stderr, followed by the line itself.
    for line in "".join(output(tree, "pyflakes3", *files)).splitlines():
        match = re.match(r"([^:]+):(\d+):(?:\d+:?)? ?(.*)", line)
        if match and match.group(1) in files:
            yield Finding(match.group(1), int(match.group(2)), match.group(3))
