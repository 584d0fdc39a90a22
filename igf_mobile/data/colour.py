"""Colour and camera: jitter, defocus, noise, JPEG. Nothing here touches an alpha."""

import cv2
import numpy as np

from igf_mobile.data.images import F32, U8

Rng = np.random.Generator


def jitter(rgb: U8, rng: Rng, hue: float = 0.08, strength: float = 0.3) -> U8:
    """Shift hue by up to `hue` turns, scale saturation, brightness and contrast by up to `strength`."""
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    shift = round(float(rng.uniform(-hue, hue)) * 180)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + shift) % 180
    saturation = cv2.convertScaleAbs(hsv[..., 1], alpha=float(rng.uniform(1 - strength, 1 + strength)))
    hsv[..., 1] = saturation
    shifted = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    gain = float(rng.uniform(1 - strength, 1 + strength))
    offset = float(rng.uniform(-strength, strength)) * 64
    return np.asarray(np.clip((shifted.astype(np.float32) - 128) * gain + 128 + offset, 0, 255), np.uint8)


def defocus(rgb: U8, rng: Rng) -> U8:
    """Blur as a lens does, sigma 1 to 9 px."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), float(np.exp(rng.uniform(0.0, 2.2)))), np.uint8)


def camera(rgb: U8, rng: Rng) -> U8:
    """Sometimes a little sensor noise, sometimes JPEG of quality 60 to 95."""
    if rng.random() < 0.3:
        noise = rng.standard_normal(rgb.shape, dtype=np.float32) * float(rng.uniform(1, 6))
        rgb = np.asarray(np.clip(rgb + noise, 0, 255), np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
        _, coded = cv2.imencode(".jpg", rgb, quality)
        rgb = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return rgb


def extend_colours(rgb: F32, alpha: F32) -> F32:
    """Carry the object's colours out under its soft edge and beyond, (H,W,3) from (H,W,3) and (H,W).

    Cut-outs keep a fringe of their old background under a partial alpha. There the colour becomes
    the mean of the opaque neighbourhood, taken from ever coarser levels of a pyramid (push-pull).
    """
    weight = np.asarray(alpha**2, np.float32)
    return _pull(rgb * weight[..., None], weight)


def _pull(weighted: F32, weight: F32) -> F32:
    """Colours where `weight` is 1, and what the next coarser level says where it is 0."""
    height, width = weight.shape
    if min(height, width) <= 4:
        total = max(float(weight.sum()), 1e-6)
        return np.broadcast_to(weighted.sum(axis=(0, 1)) / total, weighted.shape).astype(np.float32)
    half = ((width + 1) // 2, (height + 1) // 2)
    small_weight = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
    small = cv2.resize(weighted, half, interpolation=cv2.INTER_AREA)
    # a coarse pixel half covered by the object is known well enough to count in full
    gain = np.minimum(1.0, 2.0 * small_weight) / np.maximum(small_weight, 1e-6)
    coarse = _pull(small * gain[..., None], small_weight * gain)
    wide = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(weighted + (1 - weight)[..., None] * wide, np.float32)
