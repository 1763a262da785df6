# SPDX-License-Identifier: Apache-2.0
"""The files that come of the numbers: measured.json, tables.md and a plot for each of PLOTS in a folder; and the part of docs/allocator.md between MARKS."""
import json
import pathlib

import plot
import tables

MARKS = "<!-- measured: written by make bench-allocator UPDATE=1 -->\n", "<!-- end of what was measured -->\n"
X, Y = "processors that the program sees", "resident memory, MB"
# File: title, logarithmic? The rows of a plot are those of the group that it is named after.
PLOTS = {
    "jemalloc.svg": ("The stand-in on jemalloc", False),
    "system.svg": ("The stand-in on the system's malloc", False),
    "agent.svg": ("Our agent beside the stand-in", True),
}
BESIDE = ("jemalloc", "jemalloc, narenas:1", "jemalloc, narenas:1, 4 threads", "musl")  # in the agent's plot


def rows_of(results: dict, file: str) -> list[dict]:
    group = file.removesuffix(".svg")
    return [row for row in results["rows"] if row["group"] == group or (group == "agent" and row["name"] in BESIDE)]


def drawing(results: dict, file: str) -> str:
    title, log = PLOTS[file]
    lines = {row["name"]: [(n, *tables.spread(row, n, "resident")) for n in results["cores"]] for row in rows_of(results, file)}
    return plot.svg(title, X, Y + (" (logarithmic)" if log else ""), lines, log)


def text(results: dict) -> str:
    """JSON with one run of one program a line, so that a new measurement can be read as a difference."""
    head = json.dumps({**results, "rows": []}, indent=1).removesuffix("[]\n}")
    rows = []
    for row in results["rows"]:
        cores = [f'   "{n}": [\n    ' + ",\n    ".join(json.dumps(seen) for seen in runs) + "]" for n, runs in row["by_cores"].items()]
        rows.append(f'  {{"name": {json.dumps(row["name"])}, "group": {json.dumps(row["group"])}, "by_cores": {{\n' + ",\n".join(cores) + "}}")
    return head + "[\n" + ",\n".join(rows) + "]}\n"


def write(results: dict, folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "measured.json").write_text(text(results), encoding="utf-8")
    for file in PLOTS:
        (folder / file).write_text(drawing(results, file), encoding="utf-8")


def replaced(results: dict, page: str) -> str:
    """The page with the tables of these results between the marks."""
    before, found, rest = page.partition(MARKS[0])
    _, found_end, after = rest.partition(MARKS[1])
    if not found or not found_end:
        raise ValueError("the page has no place for the tables")
    return f"{before}{MARKS[0]}\n{tables.markdown(results)}\n{MARKS[1]}{after}"


def update(results: dict, page: pathlib.Path) -> None:
    page.write_text(replaced(results, page.read_text(encoding="utf-8")), encoding="utf-8")
