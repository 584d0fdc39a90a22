"""Put a foreground with its alpha over a background, paper section 4.1, with the alpha kept exact."""

from dataclasses import dataclass

import cv2
import numpy as np

from igf_mobile.data.colour import camera, defocus, extend_colours, jitter
from igf_mobile.data.images import F32, U8
from igf_mobile.data.index import bounding_box, soft_share

Rng = np.random.Generator
MAX_UPSCALE = 3.0
MIN_COVER, MAX_COVER = 0.4, 1.1  # the object's long side over the frame's side
TRANSLUCENT = 0.4  # above this soft share an object is a glow or a glass: its colours are left as they are


@dataclass(frozen=True)
class Layer:
    """A foreground on the final grid.

    Attributes:
        colour: (S,S,3) float32 in [0,255], not premultiplied.
        alpha: (S,S) float32 in [0,1].
    """

    colour: F32
    alpha: F32


def composite(
    foreground_rgba: U8, background_rgb: U8, rng: Rng, size: int = 512, second_rgba: U8 | None = None
) -> tuple[U8, U8]:
    """One training picture: image (size,size,3) RGB and its alpha (size,size), both uint8.

    The paper flips and rotates the object, scales the picture's shorter side to 600, crops at random and
    resizes to 512. Here the object is put on the final grid in one step with the same freedom (flip,
    rotation, scale, place), so that image = alpha F + (1 - alpha) B holds on that grid.

    Args:
        foreground_rgba: (H,W,4), not premultiplied.
        background_rgb: (H,W,3), any size.
        rng: everything random comes from it.
        size: side of the result, px.
        second_rgba: a second object laid over the first; the alpha is that of both.
    """
    layer = place(foreground_rgba, rng, size)
    if second_rgba is not None:
        layer = over(place(second_rgba, rng, size), layer)
    colour, alpha = develop(layer, rng)
    return camera(blend(colour, alpha, background(background_rgb, rng, size)), rng), alpha


def develop(layer: Layer, rng: Rng) -> tuple[U8, U8]:
    """The layer's colours, jittered, and its alpha: (S,S,3) and (S,S) uint8."""
    colour = jitter(np.asarray(np.clip(layer.colour, 0, 255), np.uint8), rng)
    return colour, np.asarray(np.rint(np.clip(layer.alpha, 0, 1) * 255), np.uint8)


def edge_contrast(colour: U8, alpha: U8, behind: U8) -> float:
    """Median over the matte's edge of the mean channel difference between F and B, in [0,255], at 1/4 size.

    Near 0 the matte cannot be seen in the picture by anyone.
    """
    quarter = (alpha.shape[1] // 4, alpha.shape[0] // 4)
    planes = (cv2.resize(plane, quarter, interpolation=cv2.INTER_AREA) for plane in (colour, alpha, behind))
    front, share, back = (np.asarray(plane, np.float32) for plane in planes)
    edge = (share > 12) & (share < 243)
    if not edge.any():
        return 0.0
    return float(np.median(np.abs(front - back).mean(axis=2)[edge]))


def blend(colour: U8, alpha: U8, behind: U8) -> U8:
    """alpha F + (1 - alpha) B, equation 1 of the paper, in float and rounded once; all on one grid."""
    share = alpha[..., None].astype(np.float32) / np.float32(255.0)
    return np.asarray(np.rint(share * colour + (1 - share) * behind), np.uint8)


def over(top: Layer, bottom: Layer) -> Layer:
    """Porter and Duff's over operator."""
    alpha = top.alpha + bottom.alpha * (1 - top.alpha)
    colour = top.colour * top.alpha[..., None] + bottom.colour * (bottom.alpha * (1 - top.alpha))[..., None]
    return Layer(np.asarray(colour / np.maximum(alpha, 1e-4)[..., None], np.float32), alpha)


def place(rgba: U8, rng: Rng, size: int) -> Layer:
    """Crop the object, flip, scale, rotate and move it; interpolated premultiplied, so that colours
    under alpha 0 never show."""
    box = bounding_box(rgba[..., 3])
    top, bottom, left, right = box if box else (0, rgba.shape[0], 0, rgba.shape[1])
    cut = rgba[top:bottom, left:right]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    premultiplied = cut.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255.0
    premultiplied = np.pad(premultiplied, ((2, 2), (2, 2), (0, 0)))
    scale = min(MAX_UPSCALE, float(rng.uniform(MIN_COVER, MAX_COVER)) * size / max(cut.shape[:2]))
    if scale < 1:
        shrunk = cv2.resize(premultiplied, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        premultiplied = np.asarray(shrunk, np.float32)
        scale = 1.0
    degrees = float(rng.normal(0, 12)) if rng.random() < 0.6 else float(rng.uniform(-180, 180))
    height, width = premultiplied.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    matrix[:, 2] = (
        matrix[:, 2] + size / 2 - np.array([width, height]) / 2 + rng.uniform(-0.22, 0.22, 2) * size
    )
    # cv2's Lanczos rings on hard edges; cubic overshoots less and is clipped
    placed = cv2.warpAffine(
        premultiplied, matrix, (size, size), flags=cv2.INTER_CUBIC, borderValue=(0, 0, 0, 0)
    )
    alpha = np.asarray(np.clip(placed[..., 3] / 255.0, 0, 1), np.float32)
    alpha[alpha < 0.008] = 0
    colour = np.clip(placed[..., :3] / np.maximum(alpha, 1e-3)[..., None], 0, 255).astype(np.float32)
    if soft_share(np.asarray(alpha * 255, np.uint8)) < TRANSLUCENT:
        colour = extend_colours(colour, alpha)
    return Layer(colour, alpha)


def background(rgb: U8, rng: Rng, size: int) -> U8:
    """A random crop of a photograph as (size,size,3), flipped, jittered and sometimes out of focus."""
    crop = jitter(random_crop(rgb, rng, size), rng, hue=0.1, strength=0.35)
    return defocus(crop, rng) if rng.random() < 0.35 else crop


def random_crop(rgb: U8, rng: Rng, size: int) -> U8:
    """A random square of (H,W,3), a third of its short side or more, flipped at random, as (size,size,3)."""
    height, width = rgb.shape[:2]
    short = min(height, width)
    side = int(rng.uniform(min(1.0, max(0.35, 300 / short)), 1.0) * short)
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    cut = rgb[top : top + side, left : left + side]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(cut), (size, size), interpolation=method), np.uint8)
