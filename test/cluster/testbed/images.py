# SPDX-License-Identifier: Apache-2.0
"""Container images with one static program on nothing, written without any tool: a docker archive is a tar with a layer, a
configuration and a manifest. Times and owners are fixed, so the same program gives the same image."""
import hashlib
import io
import json
import tarfile
from pathlib import Path

from . import cache, paths, tools
from .shell import run

PAUSE = "localhost/pause:1"
PROMETHEUS = "localhost/prometheus:1"
RELOADER = "localhost/prometheus-config-reloader:1"
COREDNS = "localhost/coredns:1"
FOREIGN = "localhost/foreign:1"


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))


def _tar(files: dict, mode: int) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            _add(archive, name, data, mode)
    return whole.getvalue()


def archive(program: Path, tag: str) -> bytes:
    # /bin is where prometheus-operator expects its programs.
    layer = _tar({f"bin/{program.name}": program.read_bytes()}, 0o755)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
                         "config": {"Entrypoint": [f"/bin/{program.name}"], "User": "65532:65532"},
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": [f"{digest}/layer.tar"]}]).encode()
    return _tar({config_name: config, f"{digest}/layer.tar": layer, "manifest.json": manifest}, 0o644)


def _cached(name: str, key: str, tag: str, program) -> Path:
    """An archive of the cache; program(folder) names the program, and may build it in folder."""
    def make(folder: Path) -> None:
        (folder / "image.tar").write_bytes(archive(program(folder), tag))
    return cache.product(f"image-{name}", "1", key, make) / "image.tar"


def pause() -> Path:
    source = paths.CLUSTER / "pause.c"

    def compiled(folder: Path) -> Path:
        run(["gcc", "-std=gnu17", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-o", folder / "pause", source])
        return folder / "pause"
    return _cached("pause", cache.digest(source, Path(__file__), PAUSE), PAUSE, compiled)


def _of_tool(tool: str, program: str, tag: str) -> Path:
    key = cache.digest(tools.tool(tool).key(), Path(__file__), tag)
    return _cached(program, key, tag, lambda folder: tools.program(program))


def monitoring() -> list:
    """The images of Prometheus and of the config reloader that prometheus-operator puts beside it."""
    return [_of_tool("prometheus", "prometheus", PROMETHEUS),
            _of_tool("prometheus-operator", "prometheus-config-reloader", RELOADER)]


def coredns() -> Path:
    return _of_tool("coredns", "coredns", COREDNS)


def foreign() -> Path:
    """A program that is not ours, with a jemalloc of its own (test/cluster/foreign)."""
    folder_of_it = paths.CLUSTER / "foreign"

    def compiled(folder: Path) -> Path:
        jemalloc = Path(run([folder_of_it / "build"], timeout=900).stdout.strip())
        run(["gcc", "-std=gnu17", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-isystem", jemalloc / "include",
             "-o", folder / "foreign", folder_of_it / "foreign.c", jemalloc / "lib" / "libjemalloc.a", "-lm", "-pthread"])
        return folder / "foreign"
    return _cached("foreign", cache.digest(folder_of_it, Path(__file__), FOREIGN), FOREIGN, compiled)


def own() -> list:
    """kubecanary's own images, as `make images` left them."""
    return sorted(paths.IMAGES.glob("*.tar"))
