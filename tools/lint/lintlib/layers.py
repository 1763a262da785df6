# SPDX-License-Identifier: Apache-2.0
"""Rules about the include graph: who may know whom, a header for each source, no circles."""
from .tree import Finding

# A folder: the folders whose headers it may include. Folders that are not named (tests, tools) may include anything.
MAY_INCLUDE = {"lib": {"lib"}, "agent": {"agent", "lib"}, "operator": {"operator", "lib"}}


def folder(name: str) -> str:
    return name.split("/", 1)[0]


def check_layering(tree):
    for name in tree.c_files():
        for line, path in tree.includes(name):
            allowed = MAY_INCLUDE.get(folder(name))
            if path.startswith(("/", ".")) or "/" not in path:
                yield Finding(name, line, f'"{path}": include by the path from the root')
            elif allowed and folder(path) not in allowed:
                yield Finding(name, line, f'"{path}": {folder(name)}/ may include {", ".join(sorted(allowed))} only')


def check_header(tree):
    """X.c has X.h and includes it first, so that the header stands on its own. Programs (main.c) and tests have none."""
    files = set(tree.files)
    for name in tree.c_files():
        if folder(name) not in MAY_INCLUDE or not name.endswith(".c") or name.endswith("/main.c"):
            continue
        header = name[:-1] + "h"
        includes = tree.includes(name)
        if header not in files:
            yield Finding(name, 1, f"has no {header}")
        elif not includes or includes[0][1] != header:
            yield Finding(name, includes[0][0] if includes else 1, f'does not include "{header}" first')


def check_cycle(tree):
    """Headers that include each other in a circle."""
    graph = {name: [path for _, path in tree.includes(name)] for name in tree.c_files() if name.endswith(".h")}
    done, circles = set(), set()

    def visit(name, path):
        if name in path:
            circle = path[path.index(name):]
            first = circle.index(min(circle))
            circles.add(tuple(circle[first:] + circle[:first]))
        elif name in graph and name not in done:
            for other in graph[name]:
                visit(other, path + [name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    for circle in circles:
        yield Finding(circle[0], 1, "includes itself: " + " -> ".join(circle + (circle[0],)))
