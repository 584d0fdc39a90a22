"""What a look inside the artifacts found, kept in the build for the report: ranges, and crops of mattes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from igf_mobile.composites import CompositeSample
from igf_mobile.contents.layers import Layer
from igf_mobile.errors import DamagedFile
from igf_mobile.files import write_text
from igf_mobile.images import write_alpha

if TYPE_CHECKING:
    from igf_mobile.contents.expected import Expected
    from igf_mobile.contents.halves import HalfRange

FILE_NAME = "contents.json"
CROPS = "crops"
SIDE = 128
"""Of a crop, in pixels."""
BINS = 48


@dataclass(frozen=True)
class Place:
    """Where a crop is."""

    sample: int
    top: int
    left: int

    def cut(self, planes: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Of the sample's (H,W) or (H,W,C)."""
        return planes[self.sample][self.top : self.top + SIDE, self.left : self.left + SIDE]


def places(samples: Sequence[CompositeSample]) -> dict[str, Place]:
    """ "hair", where true alpha varies most, and "flat background", where it is 0 and the picture varies least.

    Empty where the samples are smaller than a crop.
    """
    return _places(tuple(samples))


@lru_cache(maxsize=1)  # the same samples for every artifact of a build
def _places(samples: tuple[CompositeSample, ...]) -> dict[str, Place]:
    alphas, guidances = [s.alpha for s in samples], [s.guidance for s in samples]
    hair: list[tuple[float, Place]] = []
    flat: list[tuple[float, Place]] = []
    for index, sample in enumerate(samples):
        height, width = sample.alpha.shape
        for top in range(0, height - SIDE + 1, SIDE // 4):
            for left in range(0, width - SIDE + 1, SIDE // 4):
                place = Place(index, top, left)
                alpha = place.cut(alphas)
                # Soft values tell hair from the edge of a plain outline, whose variance is as great.
                hair.append((float((alpha * (1.0 - alpha)).mean()), place))
                if alpha.max() == 0.0:
                    flat.append((float(place.cut(guidances).std()), place))
    found = {}
    if hair:
        found["hair"] = max(hair, key=lambda item: item[0])[1]
    if flat:
        found["flat background"] = min(flat, key=lambda item: item[0])[1]
    return found


def write_crops(
    folder: Path, name: str, samples: Sequence[CompositeSample], alphas: Sequence[npt.NDArray[np.float32]]
) -> None:
    """Write `crops/<name>/<place>.png` of alphas (1,1,H,W)."""
    for what, place in places(samples).items():
        crop = place.cut([alpha[0, 0] for alpha in alphas])
        write_alpha(folder / CROPS / name / f"{what}.png", np.nan_to_num(crop).clip(0.0, 1.0))


def write_findings(
    folder: Path, halves: Sequence["HalfRange"], matched: Mapping[str, Sequence[tuple[Layer, "Expected"]]]
) -> None:
    """Write `contents.json`: float16 ranges, and each layer's input over the calibration set with its int8 ranges.

    Args:
        folder: the build.
        halves: of the float model.
        matched: `<backend>-<scheme>` -> its convolutions and what they are in the checkpoint.
    """
    activations: dict[str, dict[str, Any]] = {}
    for artifact, pairs in matched.items():
        for layer, wanted in pairs:
            if layer.source is None:
                continue
            row = activations.setdefault(wanted.name, _histogram(wanted))
            row["grids"][artifact] = [layer.source.minimum, layer.source.maximum]
    document = {"float16": [_finite(asdict(r)) for r in halves], "activations": activations}
    write_text(folder / FILE_NAME, json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n")


def _histogram(wanted: "Expected") -> dict[str, Any]:
    source = wanted.source
    counts, _ = np.histogram(
        source.values, BINS, (source.minimum, max(source.maximum, source.minimum + 1e-9))
    )
    return {"minimum": source.minimum, "maximum": source.maximum, "counts": counts.tolist(), "grids": {}}


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity and no NaN."""
    return {k: str(v) if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}


def read_findings(folder: Path) -> dict[str, Any] | None:
    """What `write_findings` wrote; None where there is none.

    Raises:
        DamagedFile: it is not JSON of that kind.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if {"float16", "activations"} <= set(found):
            return dict(found)
    except (ValueError, TypeError) as error:
        raise DamagedFile(f"{path} is not readable: {error}") from error
    raise DamagedFile(f"{path} has no float16 and activations; `igf verify` writes it")
