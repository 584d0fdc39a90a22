"""Pictures drawn for the tests, in place of the packages'."""

from pathlib import Path

import cv2
import numpy as np

from igf_mobile.data.images import U8
from igf_mobile.data.sources import Source


def textured(rng: np.random.Generator, height: int, width: int) -> U8:
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def disc_rgba(rng: np.random.Generator, side: int = 260, radius: int = 110) -> U8:
    """A textured disc with a soft edge."""
    alpha = np.zeros((side, side), np.uint8)
    cv2.circle(alpha, (side // 2, side // 2), radius, 255, -1)
    return np.dstack([textured(rng, side, side), cv2.GaussianBlur(alpha, (0, 0), 2)])


def write_rgba(path: Path, rgba: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.COLOR_RGBA2BGRA if rgba.shape[2] == 4 else cv2.COLOR_RGB2BGR
    cv2.imwrite(str(path), cv2.cvtColor(rgba, code))


def make_source(name: str, role: str, **changes: object) -> Source:
    fields: dict[str, object] = {
        "name": name,
        "kind": "debian",
        "version": "1",
        "sha256": "0" * 64,
        "licence": "CC0",
        "role": role,
        "take": ("*.png",),
        "share": 1.0,
    }
    return Source(**{**fields, **changes})  # type: ignore[arg-type]
