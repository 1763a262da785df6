# SPDX-License-Identifier: Apache-2.0
"""The format rule: clang-format of Debian 12 (14) with the tree's .clang-format; the first place of each file is a finding."""
import concurrent.futures
import os
import re
import shutil
import subprocess

from .tree import Finding

WARNING = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+):\d+: error: ", re.MULTILINE)
AT_ONCE = 16


def check_format(tree):
    program = shutil.which("clang-format-14") or "clang-format"
    files = tree.c_files()

    def run(some):
        command = [program, "--dry-run", "-Werror", "--ferror-limit=0", *some]
        result = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
        found = {}
        for match in WARNING.finditer(result.stderr):
            found.setdefault(match["file"], int(match["line"]))
        if result.returncode and not found:
            raise RuntimeError(result.stderr)
        return found

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(run, [files[i:i + AT_ONCE] for i in range(0, len(files), AT_ONCE)]):
            for file, line in found.items():
                yield Finding(file, line, f"not as clang-format writes it: {os.path.basename(program)} -i {file}")
