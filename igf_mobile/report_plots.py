"""The plots of the report: SVG from Matplotlib, the same bytes for the same records, light and dark.

Backends differ by colour, and by place or by how a marker is filled, so that a grey print still tells them apart.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from igf_mobile.manifest import ArtifactRecord
from igf_mobile.parity import IDENTICAL_DB, MATTE
from igf_mobile.report_pictures import data_uri
from igf_mobile.schemes import SCHEMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SQNR_TICKS = (0, 30, 40, 50, 70, 100, 130)
"""The bounds of the bands of `report.SQNR_BANDS`, then round numbers."""

_WIDTH = 5.0
_ROW = 0.21
_FILLS = ("full", "none", "left", "bottom")
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Plot:
    """One plot, drawn for both colour schemes of a browser."""

    title: str
    caption: str
    light: str
    """Data URI."""
    dark: str


@dataclass(frozen=True)
class Theme:
    """Colours of one colour scheme; `backends` for series of any kind."""

    ink: str
    faint: str
    paper: str
    backends: tuple[str, ...]


@dataclass(frozen=True)
class _Look:
    """A theme, and the place of each backend in it, which is the same in every plot."""

    theme: Theme
    backends: tuple[str, ...]

    def colour(self, backend: str) -> str:
        return self.theme.backends[self.backends.index(backend) % len(self.theme.backends)]

    def marker(self, backend: str) -> dict[str, Any]:
        fill = _FILLS[self.backends.index(backend) % len(_FILLS)]
        return {
            "color": self.colour(backend),
            "fillstyle": fill,
            "markerfacecoloralt": "none",
            "markersize": 7.5,
        }


LIGHT = Theme("#1c2128", "#d5dae1", "#ffffff", ("#0072b2", "#c2510a", "#00805d", "#9a4f86"))
DARK = Theme("#e6e9ed", "#3a424c", "#1c2127", ("#5eb3ea", "#f0a04b", "#42c9a0", "#d98fc4"))

_Draw = Callable[["Axes", Sequence[ArtifactRecord], _Look], None]


def drawn(title: str, caption: str, draw: Callable[["Axes", Theme], None], height: float) -> Plot:
    """A plot of anything: `draw` is called once for each colour scheme."""
    light, dark = (_svg(draw, height, theme) for theme in (LIGHT, DARK))
    return Plot(title, caption, light, dark)


def is_reference(record: ArtifactRecord) -> bool:
    """A stand-in measured it, not the runtime it is made for."""
    return record.ran_on.startswith("reference evaluation")


def sad_ratio(record: ArtifactRecord) -> float:
    """SAD of the matte over the float model's; NaN where not measured."""
    return record.parity.quantities()[MATTE, "sad_ratio"] if record.parity else math.nan


def plots(records: Sequence[ArtifactRecord]) -> list[Plot]:
    """What there is to plot: nothing of artifacts that were not measured."""
    backends = tuple(backend for backend, _ in _by_backend(records))
    measured = [record for record in records if record.parity]
    sized = [record for record in measured if math.isfinite(sad_ratio(record))]
    compared = [record for record in measured if math.isfinite(_sqnr_db(record))]
    timed = [record for record in records if record.latency and math.isfinite(record.latency.p99_ms)]

    def plot(title: str, caption: str, shown: Sequence[ArtifactRecord], draw: _Draw, height: float) -> Plot:
        def themed(axes: "Axes", theme: Theme) -> None:
            draw(axes, shown, _Look(theme, backends))

        return drawn(title, caption, themed, height)

    result = []
    if sized:
        result.append(
            plot(
                "Size and matte error",
                "Error against the true alpha, as a ratio to the float model's; 1 is no loss. "
                "Lower left is better.",
                sized,
                _draw_sizes,
                3.4,
            )
        )
    if compared:
        result.append(
            plot(
                "Distance of alpha, SQNR in dB",
                "fp32 against the float model, the others against their backend's fp32. Longer is better. "
                "Hatched: reference evaluation.",
                compared,
                _draw_sqnr,
                _bar_height(compared),
            )
        )
    if timed:
        result.append(
            plot(
                "Latency in ms",
                "Bar: median; line to p99, tick at p90. On the computer that made the build, not on a phone.",
                timed,
                _draw_latency,
                _bar_height(timed),
            )
        )
    return result


def _sqnr_db(record: ArtifactRecord) -> float:
    return record.parity.alpha.sqnr_db if record.parity else math.nan


def _svg(draw: Callable[["Axes", Theme], None], height: float, theme: Theme) -> str:
    def draw_figure(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes, theme)

    return svg(draw_figure, (_WIDTH, height), theme)


def svg(draw: Callable[["Figure"], None], size: tuple[float, float], theme: Theme) -> str:
    """A figure of `size` inches (width, height) as a data URI; the same bytes for the same drawing."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the user's matplotlibrc would change the bytes
        matplotlib.rcParams.update(_style(theme))
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return data_uri(stream.getvalue(), "image/svg+xml")


def _style(theme: Theme) -> dict[Any, Any]:
    return {
        "svg.hashsalt": "igf",
        "svg.fonttype": "path",
        "text.parse_math": False,
        "font.size": 9,
        "text.color": theme.ink,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.ink,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "grid.color": theme.faint,
        "grid.linewidth": 0.6,
        "hatch.color": theme.paper,
        "hatch.linewidth": 1.2,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "axes.axisbelow": True,
    }


def _draw_sizes(axes: "Axes", records: Sequence[ArtifactRecord], look: _Look) -> None:
    """A marker per scheme; backends differ by colour and by how the marker is filled."""
    from matplotlib.lines import Line2D

    schemes = [name for name in SCHEMES if any(record.scheme == name for record in records)]
    markers = dict(zip(schemes, _MARKERS, strict=False))
    for record in records:
        marker = {"marker": markers.get(record.scheme, "*"), **look.marker(record.backend)}
        axes.plot(record.bytes / 1e3, sad_ratio(record), linestyle="", **marker)
    keys = [
        Line2D([], [], linestyle="", marker="o", label=backend, **look.marker(backend))
        for backend, _ in _by_backend(records)
    ]
    keys += [
        Line2D(
            [], [], linestyle="", marker=marker, color=look.theme.ink, markerfacecolor="none", label=scheme
        )
        for scheme, marker in markers.items()
    ]
    axes.axhline(1.0, color=look.theme.ink, linewidth=0.8, zorder=0)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.99), max(high, 1.05))  # rounding must not look like a difference
    axes.set_xlim(left=0)
    axes.ticklabel_format(useOffset=False)
    axes.set_xlabel("size in KB")
    axes.set_ylabel("SAD / SAD of the float model")
    axes.grid(True)
    axes.figure.legend(handles=keys, loc="outside upper left", ncols=4, columnspacing=1.2, handletextpad=0.2)


def _draw_sqnr(axes: "Axes", records: Sequence[ArtifactRecord], look: _Look) -> None:
    top = SQNR_TICKS[-1]

    def draw(record: ArtifactRecord, row: int, colour: str) -> None:
        decibel = _sqnr_db(record)
        hatch = "////" if is_reference(record) else None
        axes.barh(
            row, min(decibel, top), 0.72, color=colour, hatch=hatch, edgecolor=look.theme.paper, linewidth=0
        )
        text = "identical" if decibel >= IDENTICAL_DB else f"{decibel:.0f}"
        axes.text(min(decibel, top) + 1.5, row, text, va="center", fontsize=8)

    _bars(axes, records, look, draw)
    axes.set_xlim(0, top + 18)
    axes.set_xticks(SQNR_TICKS)
    axes.set_xlabel("dB")


def _draw_latency(axes: "Axes", records: Sequence[ArtifactRecord], look: _Look) -> None:
    longest = max(record.latency.p99_ms for record in records if record.latency)

    def draw(record: ArtifactRecord, row: int, colour: str) -> None:
        latency = record.latency
        if latency is None:
            return
        axes.barh(row, latency.median_ms, 0.72, color=colour, linewidth=0)
        axes.plot([latency.median_ms, latency.p99_ms], [row, row], color=look.theme.ink, linewidth=1)
        axes.plot([latency.p90_ms] * 2, [row - 0.2, row + 0.2], color=look.theme.ink, linewidth=1)
        axes.text(latency.p99_ms + 0.015 * longest, row, f"{latency.median_ms:.1f}", va="center", fontsize=8)

    _bars(axes, records, look, draw)
    axes.set_xlim(0, 1.14 * longest)
    axes.set_xlabel("ms")


def _bars(
    axes: "Axes",
    records: Sequence[ArtifactRecord],
    look: _Look,
    draw: Callable[[ArtifactRecord, int, str], None],
) -> None:
    """Rows from the top: a backend's name, then a bar for each of its artifacts."""
    labels: list[str] = []
    headings = []
    for backend, group in _by_backend(records):
        headings.append(len(labels))
        labels.append(backend)
        for record in group:
            draw(record, len(labels), look.colour(backend))
            labels.append(record.scheme)
    axes.set_yticks(range(len(labels)), labels)
    for row in headings:
        axes.get_yticklabels()[row].set_fontweight("bold")
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")


def _bar_height(records: Sequence[ArtifactRecord]) -> float:
    return 0.6 + _ROW * (len(records) + len(_by_backend(records)))


def _by_backend(records: Sequence[ArtifactRecord]) -> list[tuple[str, list[ArtifactRecord]]]:
    ordered = sorted(records, key=lambda record: record.backend)  # stable: schemes stay in their order
    return [(backend, list(group)) for backend, group in groupby(ordered, key=lambda record: record.backend)]
