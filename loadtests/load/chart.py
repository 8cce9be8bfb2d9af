"""The course of load tests as an SVG chart: requests per second, and latencies, one panel for each."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from loadtests.load.seen import Second, Seen

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 34, 30
HEAD = 40
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600}.axis{fill:#666;font-size:11px}"
    ".grid{stroke:#ddd}.rate{stroke:#0b6e99}.p50{stroke:#2e8540}.p95{stroke:#c4521c}"
    "polyline{fill:none;stroke-width:1.6;stroke-linejoin:round}rect{fill:#fff}"
)

Line = tuple[str, Callable[[Second], float]]
RATE: tuple[Line, ...] = (("rate", lambda second: second.requests),)
LATENCY: tuple[Line, ...] = (("p50", lambda second: second.p50), ("p95", lambda second: second.p95))


def chart(seen: Mapping[str, Seen], subtitle: str) -> str:
    """Return the chart of load tests by name.

    Args:
        seen: What each saw.
        subtitle: Where and with what it was measured.
    """
    rows = len(seen)
    height, width = HEAD + rows * HEIGHT, 2 * WIDTH
    panels = []
    for row, (name, one) in enumerate(seen.items()):
        course = one.course[:-1] or one.course  # the last second is not a whole one
        top = HEAD + row * HEIGHT
        panels.append(_panel(0, top, f"{name}: requests per second", course, RATE))
        panels.append(_panel(WIDTH, top, f"{name}: p50 and p95, ms", course, LATENCY))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>Load tests</title><style>{STYLE}</style>"
        f'<rect width="{width}" height="{height}"/><text x="{LEFT}" y="24">{escape(subtitle)}</text>{"".join(panels)}</svg>\n'
    )


def _panel(left: float, top: float, title: str, course: Sequence[Second], lines: Sequence[Line]) -> str:
    """Return one panel with its axes."""
    highest = ceiling(max((value(second) for second in course for _, value in lines), default=1))
    inner, deep = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    seconds = max(len(course) - 1, 1)

    def place(index: int, value: float) -> str:
        return f"{left + LEFT + inner * index / seconds:.1f},{top + TOP + deep * (1 - value / highest):.1f}"

    parts = [f'<text class="title" x="{left + LEFT}" y="{top + TOP - 12}">{escape(title)}</text>']
    for share in (0, 0.5, 1):
        y = top + TOP + deep * (1 - share)
        parts.append(f'<line class="grid" x1="{left + LEFT}" x2="{left + WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="axis" x="{left + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{highest * share:,.4g}</text>'
        )
    for second in (0, seconds):
        x = left + LEFT + inner * second / seconds
        parts.append(f'<text class="axis" x="{x:.1f}" y="{top + HEIGHT - 12}" text-anchor="middle">{second} s</text>')
    for style, value in lines:
        points = " ".join(place(index, value(second)) for index, second in enumerate(course))
        parts.append(f'<polyline class="{style}" points="{points}"/>')
    return "".join(parts)


def ceiling(value: float) -> float:
    """Return the next round number: 1, 2, 3, 4, 5, 6 or 8 times a power of ten."""
    scale = 1.0
    while scale * 10 <= value:
        scale *= 10
    while scale > value > 0:
        scale /= 10
    return next((step * scale for step in (1, 2, 3, 4, 5, 6, 8) if step * scale >= value), 10 * scale)
