"""Contact sheets to look at: image | alpha | weak mask, row by row."""

from pathlib import Path

import cv2
import numpy as np

from igf_mobile.data.images import U8
from igf_mobile.data.weak_mask import weak_mask
from igf_mobile.files import atomic_path


def write_sheet(path: Path, pixels: U8, rng: np.random.Generator, columns: int = 4, cell: int = 192) -> None:
    """Write a PNG of the composites `pixels` (N,S,S,4); each takes three cells of `cell` px."""
    rows = []
    tiles = [_tile(sample, rng, cell) for sample in pixels]
    blank = np.zeros((cell, 3 * cell, 3), np.uint8)
    for start in range(0, len(tiles), columns):
        row = tiles[start : start + columns]
        rows.append(np.hstack(row + [blank] * (columns - len(row))))
    with atomic_path(path) as temporary:
        cv2.imwrite(str(temporary), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _tile(sample: U8, rng: np.random.Generator, cell: int) -> U8:
    image, alpha = sample[..., :3], sample[..., 3]
    mask = weak_mask(np.ascontiguousarray(alpha), rng)
    shown = np.zeros_like(alpha) if mask is None else mask
    parts = [image, np.dstack([alpha] * 3), np.dstack([shown] * 3)]
    small = [cv2.resize(part, (cell, cell), interpolation=cv2.INTER_AREA) for part in parts]
    return np.asarray(np.hstack(small), np.uint8)
