# SPDX-License-Identifier: Apache-2.0
"""The Makefile: a static variant without the folders of its libraries is refused, as it would link this host's."""
from common import ROOT, contains, equal, run

PREFIXES = {"musl": ("MUSL_PREFIX",), "glibc": ("GLIBC_PREFIX", "JEMALLOC_PREFIX")}


def dry(variant, **environment):
    quiet = {name: "" for names in PREFIXES.values() for name in names} | {"MAKEFLAGS": "", "MAKELEVEL": ""}
    return run("make", "-C", ROOT, "-n", f"V={variant}", f"build/{variant}/lib.a", **quiet | environment)


def check_refused(_folder):
    for variant, names in PREFIXES.items():
        for missing in names:
            status, _, err = dry(variant, **{name: "/there" for name in names if name != missing})
            equal(status, 2, variant)
            contains(err, f"V={variant} needs {missing}")
            contains(err, f"tools/deps/with make V={variant}")


def check_taken(_folder):
    for variant, names in {**PREFIXES, "dev": ()}.items():
        status, _, err = dry(variant, **{name: "/there" for name in names})
        equal((status, err), (0, ""), variant)


def cases():
    yield "a variant without its libraries is refused", check_refused
    yield "one that has them is built", check_taken
