# SPDX-License-Identifier: Apache-2.0
"""A line plot as SVG: series of (x, min, median, max), the median as a line, min and max as bars. Same input, same bytes."""
import math
from collections.abc import Callable
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 840, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 290, 44, 52
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")  # told apart by the colour-blind too (Okabe and Ito)
LABEL_STEP, LABEL_LEFT = 17, WIDTH - RIGHT + 18

Point = tuple[float, float, float, float]


def ticks_linear(top: float) -> list[float]:
    """From 0 to at or above top, in at most 8 steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(top / 8))
    step = next(m * power for m in (1, 2, 5, 10, 20) if top / (m * power) <= 8)
    return [i * step for i in range(math.ceil(top / step) + 1)]


def ticks_log(bottom: float, top: float) -> list[float]:
    """Powers of two around."""
    return [2.0 ** i for i in range(math.floor(math.log2(bottom)), math.ceil(math.log2(top)) + 1)]


def number(value: float) -> str:
    return f"{value:.10g}"


def text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'


def axes(title: str, x_label: str, y_label: str, xs: dict[float, float], ys: dict[float, float]) -> list[str]:
    """xs, ys: the ticks and where they are."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [text(LEFT, 24, title, ' font-size="16" font-weight="bold"')]
    parts += [line(LEFT, y, right, y, "#dddddd") for y in ys.values()]
    parts += [text(LEFT - 8, y + 4, number(v), ' text-anchor="end"') for v, y in ys.items()]
    parts += [line(x, bottom, x, bottom + 5, "#444444") for x in xs.values()]
    parts += [text(x, bottom + 19, number(v), ' text-anchor="middle"') for v, x in xs.items()]
    parts += [line(LEFT, bottom, right, bottom, "#444444"), line(LEFT, TOP, LEFT, bottom, "#444444")]
    middle = (TOP + bottom) / 2
    parts += [text((LEFT + right) / 2, HEIGHT - 12, x_label, ' text-anchor="middle"'),
              text(18, middle, y_label, f' text-anchor="middle" transform="rotate(-90 18 {middle:.1f})"')]
    return parts


def series(points: list[Point], colour: str, at_x: Callable[[float], float], at_y: Callable[[float], float]) -> list[str]:
    path = " ".join(f"{at_x(x):.1f},{at_y(median):.1f}" for x, _, median, _ in points)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for x, low, median, high in points:
        here = at_x(x)
        parts.append(line(here, at_y(low), here, at_y(high), colour, 1.5))
        parts += [line(here - 4, at_y(end), here + 4, at_y(end), colour, 1.5) for end in (low, high)]
        parts.append(f'<circle cx="{here:.1f}" cy="{at_y(median):.1f}" r="3" fill="{colour}"/>')
    return parts


def apart(heights: list[float]) -> list[float]:
    """The same in the same order, moved so far that labels do not touch and none is below the plot."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = list(heights)
    for before, i in zip(order, order[1:]):
        placed[i] = max(placed[i], placed[before] + LABEL_STEP)
    limit = HEIGHT - BOTTOM
    for i in reversed(order):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - LABEL_STEP
    return placed


def svg(title: str, x_label: str, y_label: str, lines: dict[str, list[Point]], log: bool = False) -> str:
    """lines: name -> its points, by x. With log each min is above 0."""
    low = min(p[1] for points in lines.values() for p in points)
    top = max(p[3] for points in lines.values() for p in points)
    ticks = ticks_log(low, top) if log else ticks_linear(top)
    xs = sorted({p[0] for points in lines.values() for p in points})
    scale = math.log2 if log else float
    bottom, plot_height, plot_width = HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM, WIDTH - LEFT - RIGHT - 20

    def at_x(x: float) -> float:
        return LEFT + plot_width * x / xs[-1]

    def at_y(y: float) -> float:
        return bottom - plot_height * (scale(y) - scale(ticks[0])) / (scale(ticks[-1]) - scale(ticks[0]))

    parts = axes(title, x_label, y_label, {x: at_x(x) for x in xs}, {t: at_y(t) for t in ticks})
    ends = [at_y(points[-1][2]) for points in lines.values()]
    for (name, points), colour, end, label in zip(lines.items(), COLOURS, ends, apart(ends), strict=False):
        parts += series(points, colour, at_x, at_y)
        parts.append(line(at_x(points[-1][0]) + 6, end, LABEL_LEFT - 4, label, colour))
        parts.append(text(LABEL_LEFT, label + 4, name, f' fill="{colour}"'))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
            f'font-size="12" role="img">\n<title>{escape(title)}</title>\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
