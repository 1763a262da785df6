# SPDX-License-Identifier: Apache-2.0
"""tools/cache.sh: what is built is built once and whole, and a failure is never taken for a product."""
import subprocess

from common import ROOT, contains, equal, run

RECIPE = """
good() { echo "$$" >"$1/pid"; echo built >>"$COUNT"; }
slow() { echo built >>"$COUNT"; until [ -e "$GO" ]; do sleep 0.05; done; echo whole >"$1/file"; }
bad() { echo some output; echo half >"$1/file"; false; echo more >>"$1/file"; }
arguments() { printf '%s,' "${@:2}" >"$1/arguments"; }
"""


def shell(folder, script, **environment):
    (folder / "recipe.sh").exists() or (folder / "recipe.sh").write_text(RECIPE)
    script = f'set -u; . {ROOT}/tools/cache.sh; cd {folder}; {script}'
    return run("bash", "-c", script, KUBECANARY_CACHE=folder / "cache", COUNT=folder / "count", GO=folder / "go", **environment)


def check_once(folder):
    status, first, err = shell(folder, "cache_build a 1 recipe.sh good")
    equal(status, 0)
    contains(err, "building a-1-")
    status, second, err = shell(folder, "cache_build a 1 recipe.sh good")
    equal((status, second, err), (0, first, ""))
    equal((folder / "count").read_text(), "built\n")
    equal((folder / "cache" / first.strip().split("/")[-1] / "pid").exists(), True)


def check_key(folder):
    paths = [shell(folder, f"cache_build {what}")[1] for what in
             ("a 1 recipe.sh good", "a 2 recipe.sh good", "b 1 recipe.sh good", "a 1 recipe.sh arguments x")]
    (folder / "recipe.sh").write_text(RECIPE + "# changed\n")
    paths.append(shell(folder, "cache_build a 1 recipe.sh good")[1])
    equal(len(set(paths)), 5, paths)


def check_arguments(folder):
    out = shell(folder, "cache_build a 1 recipe.sh arguments 'one two' three")[1]
    equal((folder / "cache" / out.strip() / "arguments").read_text(), "one two,three,")


def check_failure(folder):
    """Also in a condition, where a shell's errexit is off: the command after `false` must not run."""
    for script in ("cache_build a 1 recipe.sh bad", "if x=$(cache_build a 1 recipe.sh bad); then echo taken; else exit 1; fi"):
        status, out, err = shell(folder, script)
        equal((status, out), (1, ""))
        contains(err, "    some output\n")
        contains(err, "FAILED a-1-")
    equal([p.name for p in (folder / "cache").iterdir() if p.is_dir() and p.name.startswith("a-")], [])


def start(folder):
    return subprocess.Popen(["bash", "-c", f". {ROOT}/tools/cache.sh; cd {folder}; cache_build a 1 recipe.sh slow"],
                            env={"PATH": "/usr/bin:/bin", "KUBECANARY_CACHE": str(folder / "cache"),
                                 "COUNT": str(folder / "count"), "GO": str(folder / "go")},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_together(folder):
    (folder / "recipe.sh").write_text(RECIPE)
    first = start(folder)
    contains(first.stderr.readline(), "building a-1-")
    second = start(folder)
    contains(second.stderr.readline(), "waiting for another run")
    (folder / "go").touch()
    outs = [p.communicate(timeout=60)[0] for p in (first, second)]
    equal(outs[0], outs[1])
    equal((folder / "count").read_text(), "built\n", "builds")


def check_interrupted(folder):
    (folder / "recipe.sh").write_text(RECIPE)
    first = start(folder)
    first.stderr.readline()
    first.kill()  # its recipe goes on holding the lock until it ends, as after a crash of the caller
    first.wait(timeout=60)
    (folder / "go").touch()
    status, out, _ = shell(folder, "cache_build a 1 recipe.sh slow")
    equal(status, 0)
    equal((folder / "cache" / out.strip() / "file").read_text(), "whole\n")
    equal([p.name for p in (folder / "cache/.tmp").iterdir() if p.is_dir()], [], "left over")


def check_directory_recipe(folder):
    (folder / "r").mkdir()
    (folder / "r/recipe.sh").write_text(RECIPE)
    (folder / "r/pins").write_text("one\n")
    first = shell(folder, "cache_build a 1 r good")[1]
    (folder / "r/pins").write_text("two\n")
    second = shell(folder, "cache_build a 1 r good")[1]
    assert first and second and first != second, (first, second)


def cases():
    yield "a product is built once", check_once
    yield "name, version, recipe and arguments make the key", check_key
    yield "arguments reach the recipe", check_arguments
    yield "a failed build leaves nothing and shows its log", check_failure
    yield "two runs at a time build once", check_together
    yield "a run after a killed one", check_interrupted
    yield "every file of a recipe's directory counts", check_directory_recipe
