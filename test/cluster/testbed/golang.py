# SPDX-License-Identifier: Apache-2.0
"""Go itself, and programs built from pinned modules. The versions and sums of all modules stand in build.d/*/go.{mod,sum}; the
module cache and the build cache are in our own cache directory, so nothing is left in the user's."""
import json
import os
import re
import selectors
import subprocess
import time

from . import cache, paths
from .shell import Failure, run, say

VERSION = "1.26.8"
TOOLCHAIN = f"golang.org/toolchain@v0.0.1-go{VERSION}.linux-amd64"
TOOLCHAIN_SUM = "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="
PROGRESS_SECONDS = 10


def environment() -> dict:
    folder = paths.cache() / "go"
    # GOPATH holds the checksum database's tree, XDG_CONFIG_HOME go's counters: they too stay out of the user's home.
    own = {"GOPATH": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "GOMODCACHE": str(folder / "mod"),
           "GOCACHE": str(folder / "build"), "GOFLAGS": "-modcacherw", "GOWORK": "off", "GOENV": "off", "GOTOOLCHAIN": "local",
           "CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "amd64"}
    return {**os.environ, **own}


def _installed() -> bool:
    try:
        return f" go{VERSION} " in run(["go", "version"], env=environment()).stdout
    except Failure:
        return False


def _fetch(folder) -> None:
    say(f"go {VERSION}: fetching the toolchain")
    answer = json.loads(run(["go", "mod", "download", "-json", TOOLCHAIN], env=environment(), timeout=600, cwd="/").stdout)
    if answer.get("Sum") != TOOLCHAIN_SUM:
        raise Failure(f"{TOOLCHAIN}: the sum is {answer.get('Sum')}, not {TOOLCHAIN_SUM}")
    run(["cp", "-a", answer["Dir"] + "/.", folder])
    for program in [*folder.glob("bin/*"), *folder.glob("pkg/tool/*/*")]:
        program.chmod(0o755)


def program() -> str:
    """The go command of exactly our version: the machine's own, or one that any older go fetched as a module."""
    if _installed():
        return "go"
    return str(cache.product("go", VERSION, cache.digest(TOOLCHAIN_SUM), _fetch) / "bin" / "go")


def _report(tool, argv, total, output) -> None:
    """Runs go build -v and says from time to time how many of its packages are compiled."""
    started = told = time.monotonic()
    compiled, tail = 0, []
    with subprocess.Popen(argv, cwd=paths.RECIPES / tool.name, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          preexec_fn=lambda: os.nice(5)) as build, selectors.DefaultSelector() as ready:
        ready.register(build.stdout, selectors.EVENT_READ)
        rest = b""
        while True:
            ready.select(PROGRESS_SECONDS)
            chunk = os.read(build.stdout.fileno(), 65536) if ready.select(0) else None
            if chunk == b"":
                break
            *lines, rest = (rest + (chunk or b"")).split(b"\n")
            tail = (tail + [line.decode(errors="replace") for line in lines])[-40:]
            compiled += sum(re.fullmatch(rb"[\w.~/-]+", line) is not None for line in lines)
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                say(f"{tool.name} {tool.version}: {compiled} of at most {total} packages, {told - started:.0f} s")
        build.wait()
    if build.returncode != 0:
        raise Failure(f"{tool.name}: go build failed\n" + "\n".join(tail))
    say(f"{tool.name} {tool.version}: built in {time.monotonic() - started:.0f} s -> {output}")


def build(tool, folder) -> None:
    """Builds a tool's programs into folder/bin and copies the files that it takes from its module into folder/share."""
    go, recipe = program(), paths.RECIPES / tool.name
    say(f"{tool.name} {tool.version}: fetching its modules")
    packages = list(tool.programs.values())
    common = ["-mod=readonly", "-tags", tool.tags]
    total = len(run([go, "list", "-deps", *common, *packages], cwd=recipe, env=environment(), timeout=900).stdout.split())
    (folder / "bin").mkdir()
    for name, package in tool.programs.items():
        argv = [go, "build", "-v", "-trimpath", *common, "-ldflags", f"-s -w {tool.ldflags}", "-o", folder / "bin" / name, package]
        _report(tool, [str(a) for a in argv], total, name)
    if tool.share:
        source = run([go, "list", "-m", "-mod=readonly", "-f", "{{.Dir}}", tool.module], cwd=recipe, env=environment()).stdout.strip()
        run(["cp", "-r", f"{source}/{tool.share}", folder / "share"])
    for link, target in tool.links.items():
        (folder / "bin" / link).symlink_to(target)
