"""The composites that ship with the package: image, weak mask and true alpha, made by `data/shipped.py`."""

import json
from dataclasses import dataclass
from pathlib import Path

from igf_mobile.errors import DamagedFile
from igf_mobile.images import FloatArray, read_image, read_mask
from igf_mobile.samples import ASSETS

FOLDERS = {"calibration": ASSETS / "calibration", "proof": ASSETS / "proof"}
"""`calibration` sets the ranges of `w8a8`; `proof`, of other objects, is what the gates measure on."""


@dataclass(frozen=True, eq=False)
class CompositeSample:
    """One composite of 512 x 512."""

    name: str
    guidance: FloatArray
    """(512,512,3) in [0,1]."""
    weak_mask: FloatArray
    """(512,512), 0 or 1."""
    alpha: FloatArray
    """(512,512) in [0,1], the true one."""

    def tensors(self) -> tuple[FloatArray, FloatArray]:
        """guidance (1,3,512,512) and weak_mask (1,1,512,512), contiguous."""
        return self.guidance.transpose(2, 0, 1)[None].copy(), self.weak_mask[None, None].copy()


def load_composites(folder: Path) -> list[CompositeSample]:
    """The composites of a folder, in the order of its index.json.

    Raises:
        DamagedFile: the index or a picture is absent or damaged.
    """
    index = Path(folder) / "index.json"
    try:
        names = [str(record["name"]) for record in json.loads(index.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{index} is not an index of composites: {error}") from error
    samples = []
    for name in names:
        guidance = read_image(folder / f"{name}.jpg")
        size = (guidance.shape[0], guidance.shape[1])
        mask, alpha = (read_mask(folder / f"{name}-{kind}.png", size=size) for kind in ("mask", "alpha"))
        samples.append(CompositeSample(name, guidance, mask, alpha))
    return samples
