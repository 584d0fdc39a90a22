"""Weak annotations made from a true alpha: the paper's (section 4.1) and other careless ways to draw one."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import cv2
import numpy as np

from igf_mobile.data.images import F32, U8

Rng = np.random.Generator
Damage = Callable[[U8, Rng, float], U8]
MIN_KERNEL, MAX_KERNEL = 5, 30  # px at 512, paper section 4.1
KEPT = 0.5  # a mask with less of the foreground than this is abandoned, paper section 4.1


def weak_mask(alpha: U8, rng: Rng, kinds: Mapping[str, float] | None = None, scale: float = 1.0) -> U8 | None:
    """A careless mask of (H,W) uint8 `alpha`: (H,W) of 0 and 255, or None where the sample is abandoned.

    Args:
        alpha: the true matte, 0..255.
        rng: everything random comes from it.
        kinds: name -> relative probability, among `KINDS`; by default `DEFAULT_KINDS`.
        scale: of all lengths; 1 for a 512 picture, 0.5 for the same picture at 256.

    Raises:
        ValueError: a name in `kinds` is none of `KINDS`.
    """
    odds = DEFAULT_KINDS if kinds is None else kinds
    for name in odds:
        if name not in KINDS:
            raise ValueError(f"weak mask kind {name!r} is not one of {', '.join(KINDS)}")
    names = list(odds)
    weights = np.array([odds[name] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    foreground = np.asarray((alpha > 127) * 255, np.uint8)
    mask = KINDS[name](foreground, rng, scale)
    return mask if keeps_enough(mask, foreground) else None


def keeps_enough(mask: U8, foreground: U8) -> bool:
    """Whether the mask's area is half of the foreground's or more, and there is any foreground."""
    area = int(np.count_nonzero(foreground))
    return area > 0 and int(np.count_nonzero(mask)) >= KEPT * area


def dilate_erode(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """The paper's: a dilation and an erosion together, each with its own square kernel of 5 to 30 px."""
    grow, shrink = (_kernel(rng, scale) for _ in range(2))
    return np.asarray(cv2.erode(cv2.dilate(foreground, grow), shrink), np.uint8)


def polygon(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """Outlines replaced by polygons that stray up to 4 to 16 px: what a hurried annotator clicks."""
    tolerance = float(rng.uniform(4, 16)) * scale
    contours, _ = cv2.findContours(foreground, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    mask = np.zeros_like(foreground)
    for contour in contours:
        cv2.fillPoly(mask, [cv2.approxPolyDP(contour, tolerance, True)], 255)
    return mask


def low_resolution(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """A segmentation network's output: 1/8 to 1/24 of the resolution, scaled up, threshold off centre."""
    height, width = foreground.shape
    step = float(rng.uniform(8, 24)) * scale
    small_size = (max(2, round(width / step)), max(2, round(height / step)))
    small = cv2.resize(foreground, small_size, interpolation=cv2.INTER_AREA)
    method = cv2.INTER_NEAREST if rng.random() < 0.25 else cv2.INTER_LINEAR
    large = cv2.resize(small, (width, height), interpolation=method)
    return np.asarray((large > 255 * float(rng.uniform(0.3, 0.7))) * 255, np.uint8)


def shifted(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """The mask of the frame before: moved by up to 14 px, turned and scaled a little."""
    height, width = foreground.shape
    matrix = cv2.getRotationMatrix2D(
        (width / 2, height / 2), float(rng.normal(0, 1.5)), float(rng.uniform(0.97, 1.03))
    )
    matrix[:, 2] = matrix[:, 2] + rng.uniform(-14, 14, 2) * scale
    moved = cv2.warpAffine(foreground, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return _binary(moved)


def wobble(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """The outline pushed in and out by a smooth displacement field of up to 15 px."""
    closed = dilate_erode(foreground, rng, scale * 0.6)
    reach = float(rng.uniform(5, 15)) * scale
    y, x = np.mgrid[0 : closed.shape[0], 0 : closed.shape[1]].astype(np.float32)
    cell = float(rng.uniform(25, 80)) * scale
    dx, dy = (_field(rng, closed.shape, cell) * reach for _ in range(2))
    return _binary(cv2.remap(closed, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def blobs(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """The paper's mask with bites taken out of its outline and lumps put on."""
    mask = dilate_erode(foreground, rng, scale)
    edge = np.argwhere(cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    if len(edge) == 0:
        return mask
    for row, column in edge[rng.integers(0, len(edge), int(rng.integers(2, 9)))]:
        axes = (
            max(1, round(float(rng.uniform(4, 20)) * scale)),
            max(1, round(float(rng.uniform(4, 20)) * scale)),
        )
        value = 255 if rng.random() < 0.5 else 0
        cv2.ellipse(mask, (int(column), int(row)), axes, float(rng.uniform(0, 180)), 0, 360, value, -1)
    return mask


def scribble(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """Filled in with a thick round brush along random lines inside: strokes bite the outline."""
    core = cv2.erode(foreground, _disc(float(rng.uniform(4, 12)) * scale))
    points = np.argwhere(core)
    mask = np.asarray(cv2.erode(foreground, _disc(float(rng.uniform(10, 22)) * scale)), np.uint8)
    if len(points) < 2:
        return mask
    ends = points[rng.integers(0, len(points), 40), ::-1]
    width = max(2, round(float(rng.uniform(12, 34)) * scale))
    strokes = np.zeros_like(mask)
    for start, end in pairwise(ends):
        cv2.line(strokes, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), 255, width)
    near = np.asarray(cv2.dilate(foreground, _disc(8 * scale)), np.uint8)
    return np.asarray(mask | (strokes & near), np.uint8)


KINDS: dict[str, Damage] = {
    "dilate_erode": dilate_erode,
    "polygon": polygon,
    "low_resolution": low_resolution,
    "shifted": shifted,
    "wobble": wobble,
    "blobs": blobs,
    "scribble": scribble,
}
# mostly the paper's, because the evaluation's masks are made so
DEFAULT_KINDS: dict[str, float] = {
    "dilate_erode": 0.52,
    "polygon": 0.08,
    "low_resolution": 0.12,
    "shifted": 0.06,
    "wobble": 0.12,
    "blobs": 0.07,
    "scribble": 0.03,
}


def kernel_side(rng: Rng, scale: float = 1.0) -> int:
    """Side of a square kernel in px: 5 to 30, times `scale`."""
    return max(1, round(int(rng.integers(MIN_KERNEL, MAX_KERNEL + 1)) * scale))


def _kernel(rng: Rng, scale: float) -> U8:
    side = kernel_side(rng, scale)
    return np.ones((side, side), np.uint8)


def _disc(radius: float) -> U8:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _binary(mask: cv2.typing.MatLike) -> U8:
    return np.asarray((mask > 127) * 255, np.uint8)


def _field(rng: Rng, shape: tuple[int, ...], cell: float) -> F32:
    """(H,W) smooth noise within [-1, 1]."""
    coarse = (max(2, round(shape[0] / cell)) + 1, max(2, round(shape[1] / cell)) + 1)
    small = rng.uniform(-1, 1, coarse).astype(np.float32)
    field = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(field, -1, 1), np.float32)
