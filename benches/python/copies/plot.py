"""Pictures of cost against size, as SVG: lines over two logarithmic axes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 46, 56
INK, GRID = "#222", "#ddd"


@dataclass(frozen=True)
class Line:
    label: str
    color: str
    #: Sizes in bytes and what stands over them.
    points: list[tuple[float, float]]
    is_dashed: bool = False
    is_wide: bool = False


@dataclass(frozen=True)
class Axis:
    """Logarithmic: `low` lies at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def svg(title: str, unit: str, lines: list[Line]) -> str:
    """A picture; `lines` hold two points at least."""
    points = [point for line in lines for point in line.points]
    sizes, costs = [x for x, _ in points], [y for _, y in points]
    across = Axis(min(sizes), max(sizes), LEFT, WIDTH - RIGHT)
    bottom, top = (
        10 ** math.floor(math.log10(min(costs))),
        10 ** math.ceil(math.log10(max(costs))),
    )
    up = Axis(bottom, top, HEIGHT - BOTTOM, TOP)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="13" fill="{INK}">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 26, title, 'font-size="16" font-weight="bold"'),
        *size_grid(across),
        *cost_grid(up, unit),
        *(drawn(line, across, up) for line in lines),
        *key(lines),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def size_grid(axis: Axis) -> Iterator[str]:
    power = 2 * math.ceil(math.log2(axis.low) / 2)
    low, middle = HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2
    while 2**power <= axis.high:
        x = axis.at(2**power)
        yield rule(x, TOP, x, low)
        yield text(x, low + 18, size(2**power), 'text-anchor="middle" font-size="11"')
        power += 2
    yield text(middle, HEIGHT - 14, "bytes of the source", 'text-anchor="middle"')


def cost_grid(axis: Axis, unit: str) -> Iterator[str]:
    for exponent in range(round(math.log10(axis.low)), round(math.log10(axis.high)) + 1):
        y = axis.at(10.0**exponent)
        yield rule(LEFT, y, WIDTH - RIGHT, y)
        yield text(LEFT - 8, y + 4, f"{10.0**exponent:g}", 'text-anchor="end" font-size="11"')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield text(18, middle, unit, f'text-anchor="middle" transform="rotate(-90 18 {middle})"')


def drawn(line: Line, across: Axis, up: Axis) -> str:
    points = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in line.points)
    return f'<polyline points="{points}" fill="none" {stroke(line)}/>'


def key(lines: list[Line]) -> Iterator[str]:
    x = WIDTH - RIGHT + 16
    for number, line in enumerate(lines):
        y = TOP + 14 + 22 * number
        yield f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" {stroke(line)}/>'
        yield text(x + 34, y + 4, line.label)


def stroke(line: Line) -> str:
    dashes = ' stroke-dasharray="6 4"' if line.is_dashed else ""
    width = 3.2 if line.is_wide else 1.8
    return f'stroke="{line.color}" stroke-width="{width}" stroke-linejoin="round"{dashes}'


def rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'


def size(nbytes: int) -> str:
    for exponent, name in ((30, "G"), (20, "M"), (10, "K")):
        if nbytes >= 1 << exponent:
            return f"{nbytes >> exponent}{name}"
    return str(nbytes)
