"""The report's look inside the artifacts: heat maps at hair and at flat background, activation ranges, float16."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igf_mobile import composites
from igf_mobile.composites import load_composites
from igf_mobile.contents.findings import CROPS, places, read_findings
from igf_mobile.contents.halves import LARGEST
from igf_mobile.images import FloatArray, read_image
from igf_mobile.report_pictures import grey_uri, heat_uri, photograph_uri
from igf_mobile.report_plots import Plot, Theme, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.2
_TIGHTEST = 12
"""Tensors that the float16 table shows."""


@dataclass(frozen=True)
class Crop:
    """One place of a proof composite in all artifacts. Pictures are data URIs."""

    what: str
    photograph: str
    true_alpha: str
    float_alpha: str
    differences: dict[str, tuple[str, float]]
    """`<backend>-<scheme>` -> heat map of |alpha - float alpha|, and its largest value."""


def contents_page(folder: Path, artifacts: Sequence[str]) -> dict[str, Any]:
    """What the template sees: "crops", "ranges" (a plot or None) and "halves" (rows or None).

    Raises:
        DamagedFile: `contents.json` or a crop is damaged.
    """
    found = read_findings(folder)
    halves = sorted(found["float16"], key=lambda r: -float(r["largest"]))[:_TIGHTEST] if found else None
    return {
        "crops": _crops(folder, artifacts),
        "ranges": _ranges(found["activations"]) if found and found["activations"] else None,
        "halves": halves,
        "half_end": LARGEST,
    }


def _crops(folder: Path, artifacts: Sequence[str]) -> list[Crop]:
    root = folder / CROPS
    if not (root / "float").is_dir():
        return []
    samples = load_composites(composites.FOLDERS["proof"])
    result = []
    for what, place in places(samples).items():
        reference = _read(root / "float" / f"{what}.png")
        if reference is None:
            continue
        mattes = {name: _read(root / name / f"{what}.png") for name in artifacts}
        differences = {name: np.abs(alpha - reference) for name, alpha in mattes.items() if alpha is not None}
        result.append(
            Crop(
                what,
                photograph_uri(place.cut([s.guidance for s in samples])),
                grey_uri(place.cut([s.alpha for s in samples])),
                grey_uri(reference),
                {name: (heat_uri(d), float(d.max())) for name, d in differences.items()},
            )
        )
    return result


def _read(path: Path) -> FloatArray | None:
    return read_image(path)[..., 0] if path.is_file() else None


def _ranges(activations: dict[str, Any]) -> Plot:
    """A strip per layer: how often its input takes a value, and the int8 range of each artifact."""
    names = sorted({name for row in activations.values() for name in row["grids"]})

    def draw(axes: "Axes", theme: Theme) -> None:
        for y, row in enumerate(activations.values()):
            width = (row["maximum"] - row["minimum"]) or 1.0
            counts = np.log1p(np.array(row["counts"], float))
            axes.imshow(
                counts[None] / max(counts.max(), 1e-9),
                extent=(0.0, 1.0, y + 0.42, y - 0.05),
                aspect="auto",
                cmap="Greys" if theme.paper == "#ffffff" else "gray",
                vmin=-0.1,
                vmax=1.4,
            )
            for place, name in enumerate(names):
                if name in row["grids"]:
                    low, high = ((value - row["minimum"]) / width for value in row["grids"][name])
                    colour = theme.backends[place % len(theme.backends)]
                    height = y - 0.12 - 0.1 * place
                    axes.plot(
                        (low, high),
                        (height, height),
                        color=colour,
                        linewidth=1.5,
                        label=name if y == 0 else None,
                    )
        axes.set_yticks(
            range(len(activations)), [name.removeprefix("hourglass.") for name in activations], fontsize=7
        )
        axes.set_xlim(-0.6, 1.6)
        axes.set_xticks((0.0, 0.5, 1.0))
        axes.set_ylim(len(activations) - 0.4, -0.6)
        axes.set_xlabel("0 and 1: least and greatest value over the calibration set")
        axes.legend(fontsize=7, loc="upper right")

    return drawn(
        "Inputs of the int8 convolutions",
        "Grey: histogram (logarithmic) over the calibration set. Lines: what each artifact's int8 can hold; values "
        "outside are clipped.",
        draw,
        _ROW * 1.4 * len(activations) + 0.8,
    )
