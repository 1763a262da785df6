# SPDX-License-Identifier: Apache-2.0
"""tools/install-packages and its lists. Nothing is installed here: a group that is wholly installed, and a stub for the rest."""
import os
import re
import shutil
import stat

from common import ROOT, contains, equal, run


def copy(folder, **lists):
    (folder / "packages").mkdir()
    shutil.copy(ROOT / "tools/install-packages", folder)
    for name, text in lists.items():
        (folder / f"packages/{name}.list").write_text(text)
    return folder / "install-packages"


def stub(folder, name, script):
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"{folder}/bin:{os.environ['PATH']}"


def check_nothing_missing(folder):
    program = copy(folder, base="# always there\nbash\ncoreutils  # too\n\n")
    equal(run(program, "base"), (0, "", ""))


def check_unknown_group(folder):
    program = copy(folder, base="bash\n")
    for arguments in ((), ("nosuch",), ("base", "nosuch"), ("../packages/base",)):
        status, out, err = run(program, *arguments)
        equal((status, out), (2, ""), arguments)
        contains(err, "groups: base")


def check_installs_what_is_missing(folder):
    program = copy(folder, base="bash\nno-such-package-a\n", more="no-such-package-b\nbash\n")
    stub(folder, "id", "echo 0")
    path = stub(folder, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >>{folder}/calls')
    status, _, err = run(program, "base", "more", PATH=path)
    equal(status, 0, err)
    call = (folder / "calls").read_text().splitlines()[-1]
    contains(call, "noninteractive ")
    contains(call, "install -y --no-install-recommends no-such-package-a no-such-package-b")
    assert " bash" not in call, call


def check_refreshes_old_lists(folder):
    program = copy(folder, base="no-such-package\n")
    stub(folder, "id", "echo 0")
    path = stub(folder, "apt-get", f'echo "$*" >>{folder}/calls; [[ "$*" == *update* ]] && touch {folder}/fresh; [ -e {folder}/fresh ]')
    status, _, err = run(program, "base", PATH=path)
    equal(status, 0, err)
    calls = [next(word for word in line.split() if word in ("update", "install")) for line in (folder / "calls").read_text().splitlines()]
    equal(calls[-2:], ["update", "install"])
    equal(calls.count("update"), 1)


def check_no_root(folder):
    program = copy(folder, base="no-such-package\n")
    stub(folder, "id", "echo 1000")
    path = stub(folder, "sudo", "exit 1")
    status, out, err = run(program, "base", PATH=path)
    equal((status, out), (1, ""))
    contains(err, "apt-get install -y --no-install-recommends no-such-package\n")


def check_lists(_folder):
    for path in sorted((ROOT / "tools/packages").glob("*.list")):
        names = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
        names = [name for name in names if name]
        equal(sorted(names), sorted(set(names)), f"{path.name}: no doubles")
        assert names and all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", name) for name in names), (path.name, names)


def cases():
    yield "nothing missing: silent", check_nothing_missing
    yield "an unknown group", check_unknown_group
    yield "only what is missing is installed", check_installs_what_is_missing
    yield "old lists are refreshed once", check_refreshes_old_lists
    yield "without root it says what to install", check_no_root
    yield "the lists name packages, each once", check_lists
