# SPDX-License-Identifier: Apache-2.0
"""Where things are: the tree, the cache, the default state directory."""
import os
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]
CLUSTER = TREE / "test" / "cluster"
RECIPES = CLUSTER / "build.d"
IMAGES = TREE / "build" / "images"
STATE = TREE / "build" / "cluster"


def cache() -> Path:
    """The cache directory, the same as tools/cache.sh names."""
    named = os.environ.get("KUBECANARY_CACHE")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base).absolute() / "kubecanary"
