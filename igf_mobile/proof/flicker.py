"""Flicker of a panned photograph: how much a matte changes where nothing changed.

A window of 384x384 moves over the photograph by whole pixels, 12 frames of (3, 1) pixels each: no multiple of the
network's block of 4, so its grid falls differently on every frame. Frame t + 1 is moved back onto frame t;
flicker is the mean |alpha_t - alpha_(t+1)| over the pixels that both frames show, at least 32 pixels from
either's border, within 10 pixels of the true outline or where the true alpha is soft. The true alpha moves with the
photograph, so its own flicker is exactly 0.

The weak mask is either damaged once and panned along ("fixed"), as a good tracker would, or damaged anew in each
frame ("independent"), as a segmentation run frame by frame.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from igf_mobile import evaluate
from igf_mobile.errors import IgfError
from igf_mobile.evaluate import EvalCase, Float32Array, Interval, Matte

WINDOW_PX = 384
FRAMES = 12
STEP_PX = (3, 1)
"""(to the right, down) for each frame."""
MARGIN_PX = 32
KINDS = ("fixed", "independent")


@dataclass(frozen=True)
class Flicker:
    """Mean |change| between aligned frames, by image, and over the images."""

    per_image: Mapping[str, float]
    mean: float
    interval: Interval

    def as_dict(self) -> dict[str, Any]:
        """As what json.dumps takes."""
        interval = {"low": self.interval.low, "high": self.interval.high}
        return {"mean": self.mean, "interval_95": interval, "per_image": dict(self.per_image)}


def flicker_study(
    suite: Sequence[EvalCase], matte: Matte | None, progress: Callable[[], None] = lambda: None
) -> dict[str, Flicker]:
    """Flicker of one matte for each kind of mask damage; None is the true alpha, whose flicker has to be 0.

    `progress` is called after each photograph of each kind.
    """
    found = {}
    for kind in KINDS:
        per_image = {}
        for case in suite:
            per_image[case.name] = image_flicker(case, matte, kind)
            progress()
        found[kind] = summarise(per_image)
    return found


def image_flicker(case: EvalCase, matte: Matte | None, kind: str) -> float:
    """Flicker of one matte on one photograph.

    Raises:
        IgfError: nothing to compare inside the panned window.
    """
    alphas, regions = [], []
    counted = _counted(case.alpha)
    for window, weak_mask in frames(case, kind):
        regions.append(_overlap(counted[window])[0])
        alphas.append(
            case.alpha[window] if matte is None else matte(case.guidance[window].copy(), weak_mask.copy())
        )
    if not any(region.any() for region in regions[:-1]):
        raise IgfError(f"{case.name}: no outline inside the panned window")
    return _mean_change(alphas, regions[:-1])


def frames(case: EvalCase, kind: str) -> Iterator[tuple[tuple[slice, slice], Float32Array]]:
    """(window, weak mask (384, 384)) of each frame.

    Raises:
        ValueError: `kind` is not one of `KINDS`, or the photograph is too small to pan over.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
    height, width = case.alpha.shape
    travel = [step * (FRAMES - 1) for step in STEP_PX]
    left, top = (width - WINDOW_PX - travel[0]) // 2, (height - WINDOW_PX - travel[1]) // 2
    if min(left, top) < 0:
        raise ValueError(f"{case.name} is {width}x{height}, too small for a window of {WINDOW_PX}")
    number = evaluate.number_of(case.name)
    for frame in range(FRAMES):
        x, y = left + frame * STEP_PX[0], top + frame * STEP_PX[1]
        window = slice(y, y + WINDOW_PX), slice(x, x + WINDOW_PX)
        # numbers that no photograph has seed the masks of single frames
        mask = (
            case.weak_mask
            if kind == "fixed"
            else evaluate.weak_mask_of(case.alpha, 1000 * (number + 1) + frame)
        )
        yield window, mask[window]


def _counted(alpha: Float32Array) -> Any:
    return evaluate.unknown_band((alpha > 0.5).astype(np.float32)) | ((alpha > 0.02) & (alpha < 0.98))


def _overlap(frame: Any) -> tuple[Any, Any]:
    """What a frame shares with the next one, and what it shares with the one before, margins off."""
    x, y = STEP_PX
    inner = WINDOW_PX - MARGIN_PX
    first = frame[MARGIN_PX + y : inner, MARGIN_PX + x : inner]
    second = frame[MARGIN_PX : inner - y, MARGIN_PX : inner - x]
    return first, second


def _mean_change(alphas: Sequence[Float32Array], regions: Sequence[Any]) -> float:
    changes = [
        np.abs(_overlap(now)[0].astype(np.float64) - _overlap(after)[1])[region]
        for (now, after), region in zip(pairwise(alphas), regions, strict=True)
    ]
    return float(np.concatenate(changes).mean())


def summarise(per_image: Mapping[str, float]) -> Flicker:
    """Mean and interval of the flicker of each image."""
    values = np.array(list(per_image.values()))
    return Flicker(dict(per_image), float(values.mean()), evaluate.bootstrap_interval(values))
