"""Curves over sizes that grow by powers, as an SVG chart with its legend."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

from loadtests.load.chart import ceiling

WIDTH, HEIGHT, LEGEND = 620, 360, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 40, 46
COLOURS = (
    "#0b6e99", "#c4521c", "#2e8540", "#7a3e9d", "#a67c00", "#b01055", "#00695c", "#5b5b5b", "#3949ab", "#8d6e63", "#689f38",
)  # fmt: skip
STYLE = "text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600}.grid{stroke:#ddd}polyline{fill:none;stroke-width:1.8}"


def curve(title: str, unit: str, sizes: Sequence[int], lines: Mapping[str, Sequence[float]]) -> str:
    """Return the chart.

    Args:
        title: What is shown, with its unit.
        unit: What the sizes count.
        sizes: Ascending; they stand in the distance of their logarithms.
        lines: Values at each size, by name.
    """
    highest = ceiling(max((value for values in lines.values() for value in values), default=1))
    inner, deep = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    logs = [log10(size) for size in sizes] or [0.0]
    span = (logs[-1] - logs[0]) or 1.0

    def x(index: int) -> float:
        return LEFT + inner * (logs[index] - logs[0]) / span

    def y(value: float) -> float:
        return TOP + deep * (1 - value / highest)

    parts = [f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = y(highest * share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{highest * share:,.4g}</text>')
    for index, size in enumerate(sizes):
        parts.append(f'<text x="{x(index):.1f}" y="{HEIGHT - 26}" text-anchor="middle">{size:,}</text>')
    parts.append(f'<text x="{LEFT + inner / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(unit)}</text>')
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(index):.1f},{y(value):.1f}" for index, value in enumerate(values))
        parts.append(f'<polyline stroke="{colour}" points="{points}"/>')
        dots = (
            f'<circle cx="{x(index):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>'
            for index, value in enumerate(values)
        )
        parts += dots
        at = TOP + 20 * number
        parts.append(f'<rect x="{WIDTH + 6}" y="{at}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH + 24}" y="{at + 11}">{escape(name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEGEND} {HEIGHT}" width="{WIDTH + LEGEND}" '
        f'height="{HEIGHT}" role="img"><title>{escape(title)}</title><style>{STYLE}</style>'
        f'<rect width="{WIDTH + LEGEND}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )
