"""The proof as one offline HTML file: tables, plots, the best and the worst cases. Holds pictures of the suite."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igf_mobile.evaluate import EvalCase, Float32Array
from igf_mobile.files import write_text
from igf_mobile.matting import composite
from igf_mobile.proof.cache import Cache
from igf_mobile.proof.compare import METRICS
from igf_mobile.proof.flicker import KINDS
from igf_mobile.proof.run import GUIDED, OURS, Proof
from igf_mobile.report import environment
from igf_mobile.report_pictures import BACKGROUND, grey_uri, photograph_uri
from igf_mobile.report_plots import Plot, Theme, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 3
"""Best and worst cases, each."""


@dataclass(frozen=True)
class Panel:
    """One picture with its words."""

    caption: str
    uri: str


@dataclass(frozen=True)
class CaseStrip:
    """One photograph of the suite with its mattes."""

    name: str
    sad: float
    guided_sad: float
    panels: tuple[Panel, ...]
    size: tuple[int, int]


def write_page(path: Path, proof: Proof, suite: Sequence[EvalCase], cache: Cache) -> None:
    """Write the page to `path`. Its pictures are the suite's: keep it out of repositories where they may not go."""
    best, worst = best_and_worst(proof)
    cases = {case.name: case for case in suite}
    text = (
        environment()
        .get_template("eval.html")
        .render(
            proof=proof,
            metrics=METRICS,
            kinds=KINDS,
            images=list(cases),
            ours=OURS,
            guided=GUIDED,
            plots=_plots(proof),
            groups={
                "Best": [strip(proof, cases[name], cache) for name in best],
                "Worst": [strip(proof, cases[name], cache) for name in worst],
            },
            background=BACKGROUND,
        )
    )
    write_text(path, text)


def best_and_worst(proof: Proof) -> tuple[list[str], list[str]]:
    """Names of up to three images with our least SAD, and of as many with the most, none in both."""
    result = proof.outcome(OURS).result
    assert result is not None  # it needs nothing that can be absent
    ordered = sorted(result.per_image, key=lambda name: result.per_image[name].sad)
    count = min(SHOWN, len(ordered) // 2 or 1)
    worst = [name for name in reversed(ordered) if name not in ordered[:count]][:count]
    return ordered[:count], worst


def strip(proof: Proof, case: EvalCase, cache: Cache) -> CaseStrip:
    """Photograph, mask, truth, ours with its error and a composite, and every peer's matte."""
    panels = [
        Panel("photograph", photograph_uri(case.guidance)),
        Panel("weak mask", grey_uri(case.weak_mask)),
        Panel("true alpha", grey_uri(case.alpha)),
    ]
    for outcome in proof.outcomes:
        alpha = cache.alpha(outcome.keys[case.name]) if outcome.result else None
        if outcome.result is None or alpha is None or outcome.name == "weak mask":
            continue
        panels.append(
            Panel(f"{outcome.name}, SAD {outcome.result.per_image[case.name].sad:.2f}", grey_uri(alpha))
        )
        if outcome.name == OURS:
            panels.append(Panel("|error| of ours in the band", grey_uri(_error(case, alpha))))
            panels.append(
                Panel("ours on a colour", photograph_uri(composite(case.guidance, alpha, BACKGROUND)))
            )
    ours, guided = (proof.outcome(name).result for name in (OURS, GUIDED))
    assert ours is not None and guided is not None
    height, width = case.alpha.shape
    sads = ours.per_image[case.name].sad, guided.per_image[case.name].sad
    return CaseStrip(case.name, *sads, tuple(panels), (height, width))


def _error(case: EvalCase, alpha: Float32Array) -> Any:
    return np.where(case.region, np.abs(alpha - case.alpha), 0.0)


def _plots(proof: Proof) -> list[Plot]:
    if not proof.damage:
        return []
    found = []
    for metric in ("sad", "mse"):
        curves = {
            name: {px: (r.mean.as_dict()[metric], r.interval[metric]) for px, r in results.items()}
            for name, results in proof.damage.items()
        }
        found.append(
            drawn(
                f"{metric.upper()} against the damage of the mask",
                "Largest kernel of dilation and erosion in pixels at 512; 30 is the protocol's. Bands: 95 % intervals "
                "over the photographs. The guided filter's radius is the best of its grid at each damage.",
                lambda axes, theme, curves=curves, metric=metric: _draw_curves(axes, theme, curves, metric),  # type: ignore[misc]
                3.2,
            )
        )
    return found


def _draw_curves(axes: "Axes", theme: Theme, curves: Mapping[str, Mapping[int, Any]], metric: str) -> None:
    for i, (name, curve) in enumerate(curves.items()):
        damages = list(curve)
        colour = theme.backends[i % len(theme.backends)]
        axes.plot(damages, [curve[px][0] for px in damages], marker="os^D"[i % 4], color=colour, label=name)
        low, high = ([getattr(curve[px][1], side) for px in damages] for side in ("low", "high"))
        axes.fill_between(damages, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axvline(30, color=theme.faint, linewidth=1, zorder=0)
    axes.set_xlabel("largest kernel, px")
    axes.set_ylabel(metric.upper())
    axes.set_ylim(bottom=0)
    axes.grid(True)
    axes.legend()
