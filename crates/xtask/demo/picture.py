"""Digits before and after a change, as a picture."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw(path, rows):
    """Writes a PNG: one row of digits for each (title, digits)."""
    columns = max(len(digits) for _, digits in rows)
    figure = Figure(figsize=(columns, 1.4 * len(rows)))
    # A canvas without a window: the demo runs where there is no screen.
    FigureCanvasAgg(figure)
    strips = figure.subfigures(len(rows), squeeze=False)[:, 0]
    for (title, digits), strip in zip(rows, strips, strict=True):
        strip.suptitle(title, fontsize=10)
        for position, digit in enumerate(digits, 1):
            axis = strip.add_subplot(1, columns, position)
            axis.imshow(digit, cmap="gray_r", vmin=0, vmax=16)
            axis.set_xticks([])
            axis.set_yticks([])
    figure.savefig(path, dpi=110)
