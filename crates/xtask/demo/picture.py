"""Digits before and after a change, as a picture."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw(path, rows):
    """Writes a PNG: one row of digits for each (title, digits)."""
    columns = max(len(digits) for _, digits in rows)
    figure = Figure(figsize=(columns, 1.35 * len(rows)), layout="tight")
    # A canvas without a window: the demo runs where there is no screen.
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for (title, digits), line in zip(rows, axes, strict=True):
        line[0].set_title(title, loc="left", fontsize=9)
        for digit, axis in zip(digits, line, strict=False):
            axis.imshow(digit, cmap="gray_r", vmin=0, vmax=16)
        for axis in line:
            axis.set_axis_off()
    figure.savefig(path, dpi=110)
