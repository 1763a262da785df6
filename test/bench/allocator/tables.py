# SPDX-License-Identifier: Apache-2.0
"""What was measured, as Markdown. `results` is what `run` writes to measured.json: {"machine": text, "runs", "rounds", "targets", "cores": [N...],
"rows": [{"name", "group", "by_cores": {"N": [{"cores", "threads", "limit", "arenas", "kb": {kind: kB}}, one a run]}}]}."""
import statistics

TITLES = {"resident": "Resident, MB", "pss": "PSS, MB", "private_dirty": "Private dirty, MB"}


def spread(row: dict, cores: int, kind: str) -> tuple[float, float, float]:
    """min, median, max over the runs, in MB of 1,024 kB."""
    values = [seen["kb"][kind] / 1024 for seen in row["by_cores"][str(cores)]]
    return min(values), statistics.median(values), max(values)


def megabytes(row: dict, cores: int, kind: str) -> str:
    values = spread(row, cores, kind)
    return "/".join(f"{v:.{1 if values[1] >= 10 else 2}f}" for v in values)


def came_to(row: dict, cores: int, _: str) -> str:
    """Threads; arenas that there are, and could be, as far as the allocator tells."""
    numbers = {(seen["threads"], seen["arenas"], seen["limit"]) for seen in row["by_cores"][str(cores)]}
    return "; ".join(f"{threads}, {arenas or ''}{f' of {limit}' if limit else ''}".replace(",  of", ", of") for threads, arenas, limit in sorted(numbers))


def table(results: dict, title: str, cell, kind: str = "") -> str:
    cores = results["cores"]
    lines = [f"| {title} | " + " | ".join(f"{n} cores" for n in cores) + " |", "|---|" + "---|" * len(cores)]
    lines += [f"| {row['name']} | " + " | ".join(cell(row, n, kind) for n in cores) + " |" for row in results["rows"]]
    return "\n".join(lines) + "\n"


def markdown(results: dict) -> str:
    """All tables, and the plots by their file names."""
    head = (f"{results['machine']}.\nStand-in: {results['rounds']} rounds of each thread. Agent: {results['targets']} ICMP targets, one probe a second each. "
            f"min/median/max of {results['runs']} runs; MB of 1,024 kB.\n")
    parts = [head, *(table(results, title, megabytes, kind) for kind, title in TITLES.items()), table(results, "Threads, arenas", came_to)]
    return "\n".join(parts)
