"""From any photograph and its weak mask to a matte, and from the matte to a new background.

The network sees a small, fixed picture; what it returns, the coefficients of alpha = A * I + B (paper
eq. 2 and 3), is applied to the photograph at its own size. So 512 x 512 mattes a 12,000-pixel panorama.
"""

import difflib
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import ImageColor

from igf_mobile.backends.base import FloatArray, Runner
from igf_mobile.errors import IgfError
from igf_mobile.images import check_unit, resize
from igf_mobile.model import STRIDE, Generator
from igf_mobile.primitives import COEFFICIENT_STRIDE

SIZE = (512, 512)
"""(H, W) the shipped artifacts take."""

_STRIP_PIXELS = 2_000_000
"""Full-resolution work goes in strips of rows of about this many pixels: some 200 MB at a time."""

_FUSION_RADII = (45, 3)
"""Windows of about 90 and 6 pixels, as in the paper cited at `estimate_foreground`."""


class Padded(NamedTuple):
    """What `pad_to_multiple` returns."""

    guidance: FloatArray
    """(H',W',3), the border pixels repeated to the right and below."""
    weak_mask: FloatArray
    """(H',W')."""
    crop: tuple[slice, slice]
    """alpha[crop] has the original's size."""


class FloatRunner:
    """A `backends.base.Runner` around the float model; any height and width divisible by 32."""

    def __init__(self, model: Generator) -> None:
        """Puts `model` into eval mode."""
        self._model = model.eval()
        self.description = f"PyTorch {torch.__version__}, float32, {torch.get_num_threads()} threads"

    def __call__(self, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(1,3,H,W), (1,1,H,W) -> alpha (1,1,H,W), coefficients (1,4,H/4,W/4)."""
        with torch.inference_mode():
            result = self._model(torch.from_numpy(guidance), torch.from_numpy(weak_mask))
        return result.alpha.numpy(), result.coefficients.numpy()


def matte(
    runner: Runner,
    guidance: FloatArray,
    weak_mask: FloatArray,
    size: tuple[int, int] | None = SIZE,
) -> FloatArray:
    """The matte of one photograph.

    Args:
        runner: a loaded artifact or `FloatRunner`.
        guidance: (H,W,3) in [0,1], any size.
        weak_mask: (H,W) in [0,1].
        size: (H, W) the runner is given, multiples of 32. The photograph is squeezed to it whatever its
            aspect ratio, and the coefficients are stretched back. None: the runner sees the photograph
            at its own size, padded to multiples of 32 (finer, but memory and time grow with it).

    Returns:
        (H,W) in [0,1].

    Raises:
        ValueError: shapes that do not belong together, NaN or infinite values (how many, and where the
            first is), values outside [0,1], a size that is not multiples of 32.
        IgfError: the runner returned something else than a matte.
    """
    guidance, weak_mask = _checked_pair(guidance, weak_mask, "weak_mask")
    if size is None:
        padded = pad_to_multiple(guidance, weak_mask)
        alpha, _ = _run(runner, padded.guidance, padded.weak_mask)
        return np.ascontiguousarray(alpha[padded.crop])
    if min(size) < STRIDE or size[0] % STRIDE or size[1] % STRIDE:
        raise ValueError(f"size {size[0]} x {size[1]} is not a multiple of {STRIDE} in both directions")
    if guidance.shape[:2] == tuple(size):
        return _run(runner, guidance, weak_mask)[0]
    _, coefficients = _run(runner, resize(guidance, size), resize(weak_mask, size))
    from igf_mobile.full_resolution import apply_coefficients  # numba takes a second to import

    return apply_coefficients(coefficients, guidance)


def pad_to_multiple(guidance: FloatArray, mask: FloatArray, multiple: int = STRIDE) -> Padded:
    """Repeat the last row and column until height and width are multiples of `multiple`.

    Args:
        guidance: (H,W,3).
        mask: (H,W).
        multiple: in pixels, at least 1.
    """
    height, width = mask.shape
    rows, columns = -height % multiple, -width % multiple
    return Padded(
        np.pad(guidance, ((0, rows), (0, columns), (0, 0)), mode="edge"),
        np.pad(mask, ((0, rows), (0, columns)), mode="edge"),
        (slice(0, height), slice(0, width)),
    )


def composite(guidance: FloatArray, alpha: FloatArray, background: str | FloatArray) -> FloatArray:
    """Put the foreground onto a new background: alpha F + (1 - alpha) background.

    Args:
        guidance: (H,W,3) in [0,1], the photograph.
        alpha: (H,W) in [0,1].
        background: a colour for `parse_colour`, or a picture (H',W',3) in [0,1], which is scaled to cover
            the photograph and cut at its centre.

    Returns:
        (H,W,3) in [0,1].

    Raises:
        IgfError: not a colour.
        ValueError: shapes that do not belong together, values outside [0,1] or NaN.
    """
    guidance, alpha = _checked_pair(guidance, alpha, "alpha")
    if isinstance(background, str):
        scene = np.broadcast_to(parse_colour(background), guidance.shape)
    else:
        scene = _cover(check_unit("background", background, channels=3), alpha.shape)
    result = estimate_foreground(guidance, alpha)
    result -= scene
    result *= alpha[:, :, None]
    result += scene
    return np.clip(result, 0.0, 1.0, out=result)


def parse_colour(text: str) -> FloatArray:
    """'#RRGGBB', '#RGB', 'rgb(...)' or a CSS name -> (3,) in [0,1].

    Raises:
        IgfError: not an opaque colour.
    """
    try:
        values = ImageColor.getrgb(text.strip())
    except ValueError as error:
        near = difflib.get_close_matches(text.strip().lower(), ImageColor.colormap, n=1) or ["white"]
        raise IgfError(
            f"{text!r} is not a colour: give #RRGGBB or a CSS name, for example {near[0]!r}"
        ) from error
    if len(values) == 4 and values[3] != 255:
        raise IgfError(f"colour {text!r} is not opaque: give #RRGGBB or a CSS name")
    return np.asarray(np.array(values[:3]) / 255.0, dtype=np.float32)


def estimate_foreground(guidance: FloatArray, alpha: FloatArray) -> FloatArray:
    """The foreground's own colour, without the old background that shines through the edges.

    Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021): blur fusion, twice.

    Args:
        guidance: (H,W,3) in [0,1].
        alpha: (H,W) in [0,1].

    Returns:
        (H,W,3) in [0,1]; the guidance itself where alpha is 1, black where no foreground is near.

    Raises:
        ValueError: as `composite`.
    """
    guidance, alpha = _checked_pair(guidance, alpha, "alpha")
    height, width = alpha.shape
    rows = max(1, _STRIP_PIXELS // width)
    margin = sum(_FUSION_RADII)
    result = np.empty_like(guidance)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = max(0, top - margin), min(height, bottom + margin)
        foreground = _fused_twice(guidance[first:last], alpha[first:last, :, None])
        result[top:bottom] = foreground[top - first : bottom - first]
    return result


def _fused_twice(image: FloatArray, alpha: FloatArray) -> FloatArray:
    """(H,W,3), (H,W,1) -> (H,W,3)."""
    foreground, background = image, image
    for radius in _FUSION_RADII:
        foreground, background = _fused(image, foreground, background, alpha, radius)
    return foreground


def _fused(
    image: FloatArray, foreground: FloatArray, background: FloatArray, alpha: FloatArray, radius: int
) -> tuple[FloatArray, FloatArray]:
    """One blur fusion: window means of F and B weighted by alpha, then F takes up what they leave of I."""

    def mean(values: FloatArray) -> FloatArray:
        blurred = np.asarray(cv2.blur(values, (2 * radius + 1, 2 * radius + 1)), np.float32)
        return blurred.reshape(values.shape)

    tiny = np.float32(1e-5)
    rest = np.float32(1.0) - alpha
    share = mean(alpha)
    mean_f = mean(foreground * alpha) / (share + tiny)
    mean_b = mean(background * rest) / (np.float32(1.0) - share + tiny)
    residual = image - alpha * mean_f - rest * mean_b
    return np.clip(mean_f + alpha * residual, 0.0, 1.0), mean_b


def _cover(picture: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """Scale (h,w,3) until it covers `size`, keeping its aspect ratio, and cut the centre."""
    factor = max(size[0] / picture.shape[0], size[1] / picture.shape[1])
    height = max(size[0], round(picture.shape[0] * factor))
    width = max(size[1], round(picture.shape[1] * factor))
    scaled = resize(picture, (height, width))
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return scaled[top : top + size[0], left : left + size[1]]


def _checked_pair(guidance: FloatArray, plane: FloatArray, name: str) -> tuple[FloatArray, FloatArray]:
    guidance, plane = check_unit("guidance", guidance, channels=3), check_unit(name, plane)
    if plane.shape != guidance.shape[:2]:
        raise ValueError(f"{name} is {plane.shape} pixels, guidance {guidance.shape[:2]}")
    return guidance, plane


def _run(runner: Runner, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(H,W,3), (H,W) -> alpha (H,W) in [0,1], coefficients (H/4,W/4,4), checked."""
    height, width = weak_mask.shape
    alpha, coefficients = runner(
        np.ascontiguousarray(guidance.transpose(2, 0, 1)[None]), np.ascontiguousarray(weak_mask[None, None])
    )
    small = (1, 4, height // COEFFICIENT_STRIDE, width // COEFFICIENT_STRIDE)
    for name, values, shape in (
        ("alpha", alpha, (1, 1, height, width)),
        ("coefficients", coefficients, small),
    ):
        if values.shape != shape:
            raise IgfError(f"{runner.description}: {name} has shape {values.shape}, not {shape}")
        if not np.isfinite(values).all():
            raise IgfError(f"{runner.description}: {name} has NaN or infinite values")
    return np.clip(alpha[0, 0], 0.0, 1.0), np.ascontiguousarray(coefficients[0].transpose(1, 2, 0))
