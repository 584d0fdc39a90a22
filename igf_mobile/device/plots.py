"""The plots of the devices section: latency per run beside the paper's figures, and sustained runs over time."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from igf_mobile.device.checks import FRAME_BUDGETS_MS
from igf_mobile.device.comparison import PAPER, PAPER_SOURCE, DeviceView, RunRow, binned, times_s
from igf_mobile.report_plots import DARK, LIGHT, Plot, Theme, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 6.5
_ROW = 0.23
_DASHES = ("--", "-.", ":")
_HEAT = {"light": 0.06, "moderate": 0.12, "severe": 0.2, "critical": 0.3}
"""Thermal state -> how dark its time is shaded."""


def device_plots(views: Sequence[DeviceView], backends: Sequence[str]) -> list[Plot]:
    """What there is to plot of devices; `backends` of the build, which have their colours in the plots above."""
    result = []
    if any(row.run.stages.inference for view in views for row in view.rows):
        rows = sum(len(_timed(view)) + 1 for view in views)
        size = (_WIDTH, 1.1 + _ROW * rows)
        known = sorted({*backends, *(row.run.artifact.backend for view in views for row in view.rows)})
        light, dark = _both(partial(_draw_bars, views, known), size)
        caption = (
            "Bar: median; line to p99, tick at p90. Grey and hatched: not to be quoted, the table says why. "
            f"Broken lines: the paper's figures on phones ({PAPER_SOURCE})."
        )
        result.append(Plot(f"Latency on devices in ms{_fixture_note(views)}", caption, light, dark))
    for view in views:
        if rows_ := [row for row in view.rows if row.run.sustained]:
            result.append(_timeline(view, rows_))
    return result


def _both(draw: Callable[[Theme, "Figure"], None], size: tuple[float, float]) -> tuple[str, str]:
    """A figure for a light and for a dark page."""
    light, dark = (svg(partial(draw, theme), size, theme) for theme in (LIGHT, DARK))
    return light, dark


def _fixture_note(views: Sequence[DeviceView]) -> str:
    fixtures = sum(view.is_fixture for view in views)
    if not fixtures:
        return ""
    return " (fixture: not measured on a device)" if fixtures == len(views) else " (with fixtures)"


def _timed(view: DeviceView) -> list[RunRow]:
    return [row for row in view.rows if row.run.stages.inference]


def _label(row: RunRow) -> str:
    return row.run.name.replace(" on ", ", ").replace(" threads", " thr.").replace(" thread", " thr.")


def _draw_bars(views: Sequence[DeviceView], backends: Sequence[str], theme: Theme, figure: "Figure") -> None:
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    longest = max(row.run.summary["inference"].p99_ms for view in views for row in _timed(view))
    labels: list[str] = []
    headings = []
    for view in views:
        headings.append(len(labels))
        only = " (coefficients only)" if view.report.build.coefficients_only else ""
        labels.append(f"{view.name}{' (fixture)' if view.is_fixture else ''}{only}")
        for row in _timed(view):
            colour = theme.backends[backends.index(row.run.artifact.backend) % len(theme.backends)]
            _draw_bar(axes, row, len(labels), colour, theme, longest)
            labels.append(_label(row))
    for paper, dash in zip(PAPER, _DASHES, strict=True):
        label = f"{paper.device} {paper.ms:g} (paper)"
        axes.axvline(paper.ms, color=theme.ink, linestyle=dash, linewidth=0.9, label=label)
    axes.set_yticks(range(len(labels)), labels)
    for place in headings:
        axes.get_yticklabels()[place].set_fontweight("bold")
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 1.14 * max(longest, PAPER[-1].ms))
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.set_xlabel("ms")
    figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2)


def _draw_bar(axes: "Axes", row: RunRow, place: int, colour: str, theme: Theme, longest: float) -> None:
    summary = row.run.summary["inference"]
    look: dict[str, Any] = (
        {"color": colour} if row.shown else {"color": theme.faint, "hatch": "////", "edgecolor": theme.paper}
    )
    axes.barh(place, summary.median_ms, 0.72, linewidth=0, **look)
    ink = theme.ink if row.shown else theme.faint
    axes.plot([summary.median_ms, summary.p99_ms], [place, place], color=ink, linewidth=1)
    axes.plot([summary.p90_ms] * 2, [place - 0.2, place + 0.2], color=ink, linewidth=1)
    text = f"{summary.median_ms:.1f}" if row.shown else f"{summary.median_ms:.1f} not valid"
    axes.text(summary.p99_ms + 0.015 * longest, place, text, va="center", fontsize=8)


def _timeline(view: DeviceView, rows: Sequence[RunRow]) -> Plot:
    size = (_WIDTH, 0.5 + 1.45 * len(rows))
    light, dark = _both(partial(_draw_timeline, rows), size)
    caption = (
        "Solid: inference, median of a stretch, in ms. Broken: thermal headroom (1 is where severe throttling begins), "
        "or battery temperature where there is no headroom. Shaded: the thermal state, darker is hotter. "
        "Thin lines: frames of 16.7 and 33.3 ms."
    )
    return Plot(f"Sustained runs: {view.name}{_fixture_note([view])}", caption, light, dark)


def _draw_timeline(rows: Sequence[RunRow], theme: Theme, figure: "Figure") -> None:
    grid = figure.subplots(len(rows), 1, squeeze=False)
    for axes, row in zip(grid[:, 0], rows, strict=True):
        sustained = row.run.sustained
        if sustained is None:
            continue
        points = binned(times_s(sustained), sustained.samples_ms)
        axes.plot(
            *zip(*points, strict=True), color=theme.backends[0] if row.shown else theme.faint, linewidth=1.3
        )
        top = max(value for _, value in points)
        for budget in FRAME_BUDGETS_MS:
            if budget < 1.5 * top:
                axes.axhline(budget, color=theme.ink, linewidth=0.5)
        axes.set_ylim(0, 1.15 * top)
        axes.set_xlim(0, sustained.duration_s)
        axes.set_title(_label(row) + ("" if row.shown else ", not valid"), fontsize=9, loc="left")
        axes.set_ylabel("ms")
        _draw_heat(axes, row, theme)
    grid[-1, 0].set_xlabel("s")


def _draw_heat(axes: "Axes", row: RunRow, theme: Theme) -> None:
    sustained = row.run.sustained
    thermal = sustained.thermal if sustained else ()
    if sustained is None or not thermal:
        return
    ends = [*(sample.at_s for sample in thermal[1:]), sustained.duration_s]
    for sample, end in zip(thermal, ends, strict=True):
        if sample.state in _HEAT:
            axes.axvspan(sample.at_s, end, color=theme.backends[1], alpha=_HEAT[sample.state], linewidth=0)
    headroom = [(s.at_s, s.headroom) for s in thermal if s.headroom is not None]
    celsius = [(s.at_s, s.battery_celsius) for s in thermal if s.battery_celsius is not None]
    if shown := headroom or celsius:
        other = axes.twinx()
        other.plot(*zip(*shown, strict=True), color=theme.backends[1], linestyle="--", linewidth=1)
        other.set_ylabel("headroom" if headroom else "battery °C")
        other.spines[["top"]].set_visible(False)
        if headroom:
            other.set_ylim(0, max(1.2, *(value for _, value in headroom)))
