"""Weak annotations made from a true alpha: the paper's (section 4.1) and other careless ways to draw one."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import cv2
import numpy as np

from igf_mobile.data.images import F32, U8

Rng = np.random.Generator
Damage = Callable[[U8, Rng, float], U8]
MIN_KERNEL, MAX_KERNEL = 5, 30  # px at 512, paper section 4.1
MAX_SLIGHT_KERNEL = 6  # px at 512: a width changes by 5 px at most, an outline by 3
KEPT = 0.5  # a mask with less of the foreground than this is abandoned, paper section 4.1


def weak_mask(alpha: U8, rng: Rng, kinds: Mapping[str, float] | None = None, scale: float = 1.0) -> U8 | None:
    """A careless mask of (H,W) uint8 `alpha`: (H,W) uint8, or None where the sample is abandoned.

    All kinds but `previous_alpha` give 0 and 255 alone.

    Args:
        alpha: the true matte, 0..255.
        rng: everything random comes from it.
        kinds: name -> relative probability, among `KINDS`; by default all of them, `MIXES["full"]`.
        scale: of all lengths; 1 for a 512 picture, 0.5 for the same picture at 256.

    Raises:
        ValueError: a name in `kinds` is none of `KINDS`.
    """
    odds = MIXES["full"] if kinds is None else kinds
    for name in odds:
        if name not in KINDS:
            raise ValueError(f"weak mask kind {name!r} is not one of {', '.join(KINDS)}")
    names = list(odds)
    weights = np.array([odds[name] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    foreground = np.asarray((alpha > 127) * 255, np.uint8)
    mask = KINDS[name](alpha if name in SOFT_KINDS else foreground, rng, scale)
    return mask if keeps_enough(mask, foreground) else None


def keeps_enough(mask: U8, foreground: U8) -> bool:
    """Whether the mask's area (above 1/2) is half of the foreground's or more, and there is any foreground."""
    area = int(np.count_nonzero(foreground))
    return area > 0 and int(np.count_nonzero(mask > 127)) >= KEPT * area


def dilate_erode(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """The paper's: a dilation and an erosion together, each with its own square kernel of 5 to 30 px."""
    grow, shrink = (_kernel(rng, scale) for _ in range(2))
    return np.asarray(cv2.erode(cv2.dilate(foreground, grow), shrink), np.uint8)


def nearly_right(foreground: U8, rng: Rng, scale: float = 1.0) -> U8:
    """As the paper's with kernels of 1 to 6 px, which move an outline by 0 to 3: to be left alone."""
    grow, shrink = (_square(int(rng.integers(1, MAX_SLIGHT_KERNEL + 1)), scale) for _ in range(2))
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
    return _binary(_moved(foreground, rng, reach=14 * scale))


def previous_alpha(alpha: U8, rng: Rng, scale: float = 1.0) -> U8:
    """The alpha of the frame before, as a video feeds it back: moved as `shifted`, soft, half of them blurred.

    The object moves by 0.3 to 14 px, slow as often as fast. What is fed back is an estimate made at a quarter of
    the resolution, hence the blur.
    """
    reach = float(np.exp(rng.uniform(np.log(0.3), np.log(14.0)))) * scale
    moved = _moved(alpha, rng, reach, share=min(1.0, reach / (5 * scale)))
    if rng.random() < 0.5:
        moved = np.asarray(cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(0.5, 3.0)) * scale), np.uint8)
    return moved


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
    "nearly_right": nearly_right,
    "polygon": polygon,
    "low_resolution": low_resolution,
    "shifted": shifted,
    "previous_alpha": previous_alpha,
    "wobble": wobble,
    "blobs": blobs,
    "scribble": scribble,
}
SOFT_KINDS = frozenset({"previous_alpha"})
"""Damage to the alpha itself; all others damage alpha > 1/2 and give a binary mask."""

# mostly the paper's in both, because the evaluation's masks are made so
MIXES: dict[str, Mapping[str, float]] = {
    "first": {
        "dilate_erode": 0.52,
        "polygon": 0.08,
        "low_resolution": 0.12,
        "shifted": 0.06,
        "wobble": 0.12,
        "blobs": 0.07,
        "scribble": 0.03,
    },
    "full": {
        "dilate_erode": 0.46,
        "nearly_right": 0.10,
        "polygon": 0.06,
        "low_resolution": 0.10,
        "shifted": 0.04,
        "previous_alpha": 0.10,
        "wobble": 0.08,
        "blobs": 0.04,
        "scribble": 0.02,
    },
}
"""`first` made the masks of all checkpoints up to 0.3.0, and makes the held-out ones of all, so that their errors
compare; `full` has every kind."""


def kernel_side(rng: Rng, scale: float = 1.0) -> int:
    """Side of a square kernel in px: 5 to 30, times `scale`."""
    return max(1, round(int(rng.integers(MIN_KERNEL, MAX_KERNEL + 1)) * scale))


def _kernel(rng: Rng, scale: float) -> U8:
    return _square(kernel_side(rng, scale), 1.0)


def _square(side: int, scale: float) -> U8:
    scaled = max(1, round(side * scale))
    return np.ones((scaled, scaled), np.uint8)


def _moved(plane: U8, rng: Rng, reach: float, share: float = 1.0) -> U8:
    """`plane` (H,W) shifted by up to `reach` px along each axis, turned and scaled, by `share` of the usual."""
    height, width = plane.shape
    degrees = share * float(rng.normal(0, 1.5))
    factor = float(rng.uniform(1 - 0.03 * share, 1 + 0.03 * share))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, factor)
    matrix[:, 2] = matrix[:, 2] + rng.uniform(-reach, reach, 2)
    moved = cv2.warpAffine(plane, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


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
