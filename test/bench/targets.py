# SPDX-License-Identifier: Apache-2.0
"""What the agent (the musl release) is meant to cost at most, and whether it does: one probe a target a second, 24 buckets."""
import statistics

# by number of targets
TARGETS = {
    "resident MB": {10: 0.4, 100: 0.5, 1000: 1.0, 5000: 3.0},
    "CPU s/min": {10: 0.12, 100: 0.35, 1000: 1.2, 5000: 4.0},
    "scrape CPU ms": {10: 0.2, 100: 0.5, 1000: 3, 5000: 15},
    "RTT error us": {10: 50, 100: 50, 1000: 50, 5000: 150},
    "false loss": {10: 0, 100: 0, 1000: 0, 5000: 0},
}
DIGITS = {"resident MB": 2, "CPU s/min": 2, "scrape CPU ms": 2, "RTT error us": 1, "false loss": 0}


def spread(values: list[float], digits: int) -> str:
    if not values:
        return "-"
    return "/".join(f"{v:.{digits}f}" for v in (min(values), statistics.median(values), max(values)))


def is_met(name: str, values: list[float], limit: float) -> bool:
    """By the median of the rounds, an error by its size; of false loss none is allowed in any."""
    if name == "false loss":
        return max(values) <= limit
    return abs(statistics.median(values)) <= limit


def table(measured: dict[str, dict[int, list[float]]]) -> list[str]:
    """Of what was measured, by name and number of targets: each round's."""
    lines = ["| what | targets | at most | measured | met? |", "|---|---|---|---|---|"]
    for name, limits in TARGETS.items():
        for count, limit in limits.items():
            values = measured[name].get(count, [])
            met = "not measured" if not values else "yes" if is_met(name, values, limit) else "**no**"
            lines.append(f"| {name} | {count} | {limit:g} | {spread(values, DIGITS[name])} | {met} |")
    return lines
