"""The picture of a soak: six panels over the same minutes, with a line where something was broken."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.soak.watch import Series

mpl.use("Agg")
Panel = tuple[str, Mapping[str, Series], str]  # title, series by label, scale


def draw(path: Path, title: str, panels: Sequence[Panel], strikes: Sequence[tuple[float, str]], begin: float) -> None:
    """Write the picture to *path*; times are monotonic seconds, *begin* is minute 0."""
    figure = Figure(figsize=(15, 3 * len(panels)), layout="constrained")
    axes: Any = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    figure.suptitle(title)
    for axis, (name, series, scale) in zip(axes, panels, strict=True):
        axis.set_title(name, loc="left", fontsize=10)
        for label, points in series.items():
            axis.plot([(at - begin) / 60 for at, _ in points], [value for _, value in points], label=label, lw=1)
        axis.set_yscale(scale)
        if scale != "log":
            axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(loc="upper left", fontsize=7)
        for at, _ in strikes:
            axis.axvline((at - begin) / 60, color="red", alpha=0.25, lw=0.7)
    for at, what in strikes:
        axes[0].annotate(
            what, ((at - begin) / 60, 1), xycoords=("data", "axes fraction"), rotation=90, fontsize=6, va="top"
        )
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=80)
