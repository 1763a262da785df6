# SPDX-License-Identifier: Apache-2.0
"""tools/images: what is in an image, that the same programs give the same bytes, and what it refuses."""
import hashlib
import io
import json
import shutil
import subprocess
import tarfile

from common import ROOT, contains, equal, run

NAMES = ("kubecanary-agent", "kubecanary-agent-jemalloc", "kubecanary-operator")
PROGRAMS = (*NAMES, "kubecanary-http")


def programs(folder):
    """A static program under each name."""
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    for name in PROGRAMS:
        subprocess.run(["gcc", "-static", "-o", folder / name, folder / "main.c"], check=True)
    return folder


def pack(folder, output, **environment):
    return run(ROOT / "tools/images", "--programs", folder, "--output", output, SOURCE_DATE_EPOCH=1000000000, **environment)


def check_contents(folder):
    equal(pack(programs(folder), folder / "out")[0], 0)
    with tarfile.open(folder / "out/kubecanary-agent-jemalloc.tar") as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
    for name, data in files.items():
        if name.startswith("blobs/sha256/"):
            equal(hashlib.sha256(data).hexdigest(), name.split("/")[-1], "digest of a blob")
    version = (ROOT / "VERSION").read_text().strip()
    docker = json.loads(files["manifest.json"])[0]
    equal(docker["RepoTags"], [f"localhost/kubecanary-agent-jemalloc:{version}"])
    entry = json.loads(files["index.json"])["manifests"][0]
    manifest = json.loads(files["blobs/sha256/" + entry["digest"].split(":")[1]])
    equal("blobs/sha256/" + manifest["config"]["digest"].split(":")[1], docker["Config"])
    config = json.loads(files[docker["Config"]])
    equal(config["config"]["User"], "65532:65532")
    equal(config["config"]["Entrypoint"], ["/kubecanary-agent"])
    equal(config["created"], "2001-09-09T01:46:40Z")
    equal(config["config"]["Labels"]["org.opencontainers.image.version"], version)
    with tarfile.open(fileobj=io.BytesIO(files[docker["Layers"][0]])) as layer:
        members = layer.getmembers()
        equal([(m.name, m.mode, m.uid, m.mtime) for m in members], [("kubecanary-agent", 0o755, 0, 0), ("kubecanary-http", 0o755, 0, 0)])
        equal(layer.extractfile(members[0]).read(), (folder / NAMES[1]).read_bytes(), "the program")


def check_reproducible(folder):
    programs(folder)
    pack(folder, folder / "a")
    for name in PROGRAMS:
        shutil.copy(folder / name, folder / f"{name}.new")  # other times
        (folder / f"{name}.new").rename(folder / name)
    pack(folder, folder / "b")
    for name in NAMES:
        equal((folder / f"a/{name}.tar").read_bytes() == (folder / f"b/{name}.tar").read_bytes(), True, name)


def check_dynamic(folder):
    programs(folder)
    subprocess.run(["gcc", "-o", folder / NAMES[0], folder / "main.c"], check=True)
    status, _, err = pack(folder, folder / "out")
    equal(status, 1)
    contains(err, "kubecanary-agent: not static")


def check_not_a_program(folder):
    programs(folder)
    (folder / NAMES[0]).write_text("#!/bin/sh\n")
    status, _, err = pack(folder, folder / "out")
    equal((status, "not a 64-bit little-endian ELF program" in err), (1, True), err)


def check_missing(folder):
    status, _, err = pack(folder, folder / "out")
    equal(status, 1)
    contains(err, "kubecanary-agent")


def cases():
    yield "one file, user 65532, an entry point, labels", check_contents
    yield "the same programs give the same bytes", check_reproducible
    yield "a dynamic program is refused", check_dynamic
    yield "a script is refused", check_not_a_program
    yield "a missing program is an error", check_missing
