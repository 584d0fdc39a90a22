"""The plot of a sensitivity: a bar per layer, the loss of SAD in percent."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from igf_mobile.files import write_text
from igf_mobile.quantize.ranking import Sensitivity
from igf_mobile.report_plots import Plot, Theme, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE_NAME = "sensitivity.svg"
_ROW, _EDGES = 0.19, 0.9


def plot(sensitivity: Sensitivity) -> Plot:
    """The ranking, the most sensitive on top."""
    rows = sensitivity.rows[::-1]

    def draw(axes: "Axes", theme: Theme) -> None:
        losses = [100.0 * row.loss for row in rows]
        colours = [theme.backends[1] if loss > 0.0 else theme.backends[2] for loss in losses]
        axes.barh([row.name for row in rows], losses, color=colours, height=0.7)
        axes.axvline(0.0, color=theme.ink, linewidth=0.8)
        axes.grid(axis="x")
        axes.tick_params(axis="y", labelsize=7, length=0)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlabel("loss of SAD, %")

    return drawn(
        f"What {sensitivity.precision} costs, {sensitivity.unit} by {sensitivity.unit}",
        f"SAD of the matte against the float network's, one {sensitivity.unit} quantized at a time, in a simulation; "
        f"all together: {100.0 * sensitivity.all_loss:+.2f} %. {sensitivity.samples} samples of "
        f"{sensitivity.suite}. Left of 0 the matte became better by chance.",
        draw,
        _EDGES + _ROW * len(rows),
    )


def write_plot(sensitivity: Sensitivity, folder: Path) -> Path:
    """Write `sensitivity.svg`, in colours for light paper."""
    path = Path(folder) / FILE_NAME
    svg = base64.b64decode(plot(sensitivity).light.partition(",")[2])
    write_text(path, svg.decode())
    return path
