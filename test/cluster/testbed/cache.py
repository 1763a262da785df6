# SPDX-License-Identifier: Apache-2.0
"""Keyed products in the cache: a directory named by name, version and the hash of its recipe. It is made under a temporary
name and renamed when whole, so that an interrupted build is never taken for a good one."""
import fcntl
import hashlib
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from . import paths


def digest(*parts) -> str:
    """The hash of a recipe: of texts, and of files and folders by name and content."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]
            for file in files:
                total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        else:
            total.update(str(part).encode() + b"\0")
    return total.hexdigest()[:16]


def where(name: str, version: str, key: str) -> Path:
    return paths.cache() / f"{name}-{version}-{key}"


@contextmanager
def _locked(name: str):
    """One builder at a time for a product, over all processes. Yields the folder for what is not whole yet."""
    folder = paths.cache() / ".tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def product(name: str, version: str, key: str, make) -> Path:
    """The product's directory; make(folder) fills it if it is not there yet."""
    whole = where(name, version, key)
    if whole.is_dir():
        return whole
    with _locked(whole.name) as folder:
        if whole.is_dir():
            return whole
        for old in folder.glob(f"{whole.name}.part-*"):
            shutil.rmtree(old)
        part = folder / f"{whole.name}.part-{os.getpid()}"
        part.mkdir()
        try:
            make(part)
            part.rename(whole)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return whole
