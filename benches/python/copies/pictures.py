"""Which pictures there are, and what they show."""

from collections.abc import Iterator
from pathlib import Path

from copies import groups
from copies.libraries import LIMIT, NUMPY, OURS, OURS_2, TORCH, TORCH_2
from copies.plot import Line, svg
from copies.sampling import Measured

PICTURES = [
    (groups.SIZES_COPY, "copies-contiguous.svg", "Copy into memory that exists"),
    (groups.SIZES_TRANSPOSED, "copies-transpose.svg", "Transpose of float32 squares"),
    (groups.SIZES_CAST, "copies-cast.svg", "Cast of float32 to float16"),
]
#: Colours that stay apart for colour-blind readers (Okabe and Ito).
LOOKS = [
    (LIMIT, "memcpy, same bytes", "#000000", True, False),
    (OURS, "ndbridge", "#d55e00", False, True),
    (OURS_2, "ndbridge, 2 threads", "#d55e00", True, False),
    (NUMPY, "NumPy", "#0072b2", False, False),
    (TORCH, "torch", "#009e73", False, False),
    (TORCH_2, "torch, 2 threads", "#009e73", True, False),
]


def draw(every: list[Measured], folder: Path) -> Iterator[tuple[str, str]]:
    """Writes the pictures; their titles and files."""
    for group, file, title in PICTURES:
        chosen = [measured for measured in every if measured.case.group == group]
        lines = list(lines_of(chosen))
        if lines:
            (folder / file).write_text(svg(title, "ns per byte of the source", lines))
            yield title, file


def lines_of(chosen: list[Measured]) -> Iterator[Line]:
    for label, name, color, is_dashed, is_wide in LOOKS:
        points = [
            (groups.bytes_of(measured.case.title), measured)
            for measured in chosen
            if measured.has(label)
        ]
        costs = [(size, measured.median(label) * 1e9 / size) for size, measured in points]
        if len(costs) > 1:
            yield Line(name, color, costs, is_dashed, is_wide)
