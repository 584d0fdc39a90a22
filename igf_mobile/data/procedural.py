"""Alphas drawn from nothing: clouds, hair and fur, nets, foliage. Thin structures clipart lacks."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from igf_mobile.data.images import F32, U8

Rng = np.random.Generator
Points = NDArray[np.float64]  # (..., 2): x, y in px
SUPERSAMPLE = 2  # strands are drawn twice as large: one drawn pixel is half a pixel wide
LAYERS = 8  # strands of one layer share a shade and overlap without adding up
SEGMENTS = 12  # straight pieces of one strand


@dataclass(frozen=True)
class Drawing:
    """What is drawn: how opaque, and how light.

    Attributes:
        alpha: (S,S) float32 in [0,1].
        shade: (S,S) float32 around 1: a factor on the colour, so that strands can be told apart.
    """

    alpha: F32
    shade: F32


def procedural_alpha(rng: Rng, size: int = 512) -> U8:
    """One alpha of a random kind, (size,size) uint8."""
    return np.asarray(np.rint(procedural_drawing(rng, size).alpha * 255.0), np.uint8)


def procedural_drawing(rng: Rng, size: int = 512) -> Drawing:
    """One drawing of a random kind: half of them hair and fur."""
    kinds: tuple[tuple[float, Callable[[Rng, int], Drawing]], ...] = (
        (0.55, hairy_blob),
        (0.15, cloud),
        (0.15, foliage),
        (0.15, net),
    )
    draw = kinds[int(rng.choice(len(kinds), p=[share for share, _ in kinds]))][1]
    return draw(rng, size)


def smooth_noise(rng: Rng, size: int, cell: float) -> F32:
    """(size,size) float32 noise of about unit variance whose features are `cell` px across."""
    coarse = max(4, int(np.ceil(size / cell)) + 3)
    small = rng.standard_normal((coarse, coarse)).astype(np.float32)
    noise = cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise, np.float32)


def cloud(rng: Rng, size: int) -> Drawing:
    """Filtered noise of several octaves through a sigmoid: smoke when it is soft, lace when it is steep."""
    cell = float(rng.uniform(0.15, 0.5)) * size
    stretch = 1.0 + 3.0 * float(rng.random()) * (rng.random() < 0.5)
    noise = np.zeros((size, size), np.float32)
    weight = 1.0
    for _ in range(4):
        noise += weight * smooth_noise(rng, size, cell)
        cell, weight = cell / 2.7, weight * 0.45
    if stretch > 1.0:
        wide = np.asarray(cv2.resize(noise, None, fx=stretch, fy=1.0)[:, :size], np.float32)
        noise = _rotate(wide, float(rng.uniform(0, 180)))
    noise += 1.2 * (blob(rng, size) - 0.5)
    steepness = float(np.exp(rng.uniform(np.log(3.0), np.log(40.0))))
    threshold = float(np.quantile(noise, rng.uniform(0.45, 0.7)))
    alpha = 1.0 / (1.0 + np.exp(np.clip(-steepness * (noise - threshold), -30, 30)))
    return Drawing(_trim(alpha.astype(np.float32)), np.ones((size, size), np.float32))


def blob(rng: Rng, size: int, roughness: float = 0.12) -> F32:
    """A solid (size,size) shape in [0,1] with a wavy outline and an edge a pixel or two wide."""
    angle = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    radius = np.ones_like(angle)
    for k in range(1, 8):
        radius += (
            roughness * float(rng.standard_normal()) / k**0.7 * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
        )
    radius = np.clip(radius, 0.35, 1.6) * size * float(rng.uniform(0.18, 0.36))
    centre = size * rng.uniform(0.35, 0.65, 2)
    turn, aspect = rng.uniform(0, np.pi), float(rng.uniform(0.65, 1.0))
    x, y = radius * np.cos(angle), radius * np.sin(angle) * aspect
    outline = (
        np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1) + centre
    )
    drawn = np.zeros((size, size), np.uint8)
    cv2.fillPoly(drawn, [_fixed(outline)], 255, cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(drawn, (0, 0), float(rng.uniform(0.4, 1.5)))
    return np.asarray(soft, np.float32) / np.float32(255.0)


def hairy_blob(rng: Rng, size: int) -> Drawing:
    """A solid blob with hair or fur growing out of it."""
    return grow_hair(rng, blob(rng, size))


def grow_hair(rng: Rng, solid: F32) -> Drawing:
    """Let thin curved strands grow outward from the outline of `solid`, (S,S) in [0,1].

    Each strand is a fraction of a pixel to two pixels wide, bends, follows its clump and the pull of
    one common direction, and fades towards its tip. Three coats: fur (short, dense), locks (long,
    clumped) and wisps (few, long, on their own).
    """
    size = solid.shape[0]
    scale = size / 512.0
    coats = {
        "fur": (int(rng.integers(900, 2200)), rng.uniform(10, 34) * scale, 0.30, 0.25),
        "locks": (int(rng.integers(400, 1200)), rng.uniform(35, 110) * scale, 0.35, 0.8),
        "wisps": (int(rng.integers(60, 260)), rng.uniform(40, 140) * scale, 0.6, 0.2),
    }
    pick = str(rng.choice(["fur", "locks", "both"], p=[0.4, 0.3, 0.3]))
    names = {"fur": ["fur"], "locks": ["locks", "wisps"], "both": ["fur", "wisps"]}[pick]
    alpha, shade = solid.copy(), np.ones_like(solid)
    normal = _outward_normal(solid)
    pull = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.0, 0.9))
    for name in names:
        count, length, spread, clumping = coats[name]
        roots = _roots(rng, solid, count)
        if len(roots) == 0:
            continue
        paths = _strands(rng, roots, normal, length, spread, clumping, pull)
        alpha, shade = _draw_strands(rng, paths, alpha, shade, opacity=float(rng.uniform(0.55, 1.0)))
    return Drawing(_trim(alpha), shade)


def foliage(rng: Rng, size: int) -> Drawing:
    """Leaves and grass blades along stems."""
    big = size * SUPERSAMPLE
    drawn = np.zeros((big, big), np.uint8)
    shade = np.ones((size, size), np.float32)
    base = rng.uniform(0.3, 0.7, 2) * big
    leaf, slim = float(rng.uniform(0.03, 0.12)) * big, float(rng.uniform(0.12, 0.5))
    for _ in range(int(rng.integers(8, 26))):
        angle, bend = float(rng.uniform(0, 2 * np.pi)), float(rng.normal(0, 0.12))
        point = base + rng.normal(0, 0.04 * big, 2)
        stem = [point]
        for step in range(int(rng.integers(5, 14))):
            angle += bend
            point = point + 0.04 * big * np.array([np.cos(angle), np.sin(angle)])
            stem.append(point)
            for side in (-1.0, 1.0):
                turned = angle + side * float(rng.uniform(0.4, 1.1))
                length = leaf * float(rng.uniform(0.6, 1.2)) * (1.0 - 0.04 * step)
                cv2.fillPoly(drawn, [_fixed(_leaf(point, turned, length, slim))], 255, cv2.LINE_AA, shift=4)
        thickness = int(rng.integers(1, 6))
        cv2.polylines(drawn, [_fixed(np.array(stem))], False, 255, thickness, cv2.LINE_AA, shift=4)
    if rng.random() < 0.5:
        body = cv2.resize(blob(rng, size), (big, big))
        drawn = np.maximum(drawn, (body * 255).astype(np.uint8))
    return Drawing(_shrink(drawn, size), shade)


def net(rng: Rng, size: int) -> Drawing:
    """A bent net or a perforated sheet over a soft patch; some have a translucent veil in the cells."""
    big = size * SUPERSAMPLE
    spacing = float(rng.uniform(14, 44)) * SUPERSAMPLE * size / 512
    thickness = max(1, round(spacing * float(rng.uniform(0.1, 0.35))))
    drawn = np.zeros((big, big), np.uint8)
    skew = float(rng.uniform(0, 0.6))
    for i in np.arange(-big, 2 * big, spacing):
        across = np.array([[i, -10], [i + skew * big, big + 10]])
        along = np.array([[-10, i], [big + 10, i + skew * big * float(rng.choice([-1, 1]))]])
        for line in (across, along):
            cv2.polylines(drawn, [_fixed(line)], False, 255, thickness, cv2.LINE_AA, shift=4)
    amplitude = float(rng.uniform(0.5, 2.0)) * spacing
    y, x = np.mgrid[0:big, 0:big].astype(np.float32)
    x += amplitude * smooth_noise(rng, big, big * 0.3)
    y += amplitude * smooth_noise(rng, big, big * 0.3)
    warped = cv2.remap(drawn, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    patch = blob(rng, size)
    alpha = _shrink(np.asarray(warped, np.uint8), size)
    if rng.random() < 0.4:
        alpha = np.maximum(alpha, np.float32(rng.uniform(0.15, 0.6)))
    if rng.random() < 0.5:  # a solid body holds the net, as a frame or a hand does
        alpha = np.maximum(alpha, blob(rng, size))
    return Drawing(alpha * np.maximum(patch, blob(rng, size)), np.ones((size, size), np.float32))


def _trim(alpha: F32) -> F32:
    return np.asarray(np.where(alpha < 0.01, 0.0, np.where(alpha > 0.99, 1.0, alpha)), np.float32)


def _rotate(plane: F32, degrees: float) -> F32:
    size = plane.shape[0]
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), degrees, 1.0)
    turned = cv2.warpAffine(plane, matrix, (size, size), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.float32)


def _shrink(drawn: U8, size: int) -> F32:
    small = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255.0)


def _fixed(points: Points) -> NDArray[np.int32]:
    """Points in OpenCV's fixed-point format with 4 fractional bits."""
    return np.asarray(np.rint(points * 16), np.int32).reshape(-1, 1, 2)


def _leaf(root: Points, angle: float, length: float, slim: float) -> Points:
    t = np.linspace(0, 1, 9)
    width = 0.5 * slim * length * np.sin(np.pi * t**0.8)
    x = np.concatenate([t * length, t[::-1] * length])
    y = np.concatenate([width, -width[::-1]])
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(root + np.stack([x * cos - y * sin, x * sin + y * cos], axis=1), np.float64)


def _outward_normal(solid: F32) -> F32:
    """(S,S) angle in radians of the direction out of the shape."""
    wide = cv2.GaussianBlur(solid, (0, 0), solid.shape[0] / 64)
    gx = cv2.Sobel(wide, cv2.CV_32F, 1, 0)
    gy = cv2.Sobel(wide, cv2.CV_32F, 0, 1)
    return np.asarray(np.arctan2(-gy, -gx), np.float32)


def _roots(rng: Rng, solid: F32, count: int) -> Points:
    """(N,2) x, y of strand roots in a band just inside the outline."""
    inside = (solid > 0.5).astype(np.uint8)
    band = inside - cv2.erode(inside, np.ones((9, 9), np.uint8), borderValue=1)
    y, x = np.nonzero(band)
    if len(x) == 0:
        return np.zeros((0, 2))
    chosen = rng.integers(0, len(x), count)
    return np.asarray(np.stack([x[chosen], y[chosen]], axis=1) + rng.random((count, 2)), np.float64)


def _strands(
    rng: Rng,
    roots: Points,
    normal: F32,
    length: float,
    spread: float,
    clumping: float,
    pull: tuple[float, float],
) -> Points:
    """(N,SEGMENTS+1,2) strand paths. Strands near one another share most of their bend where they clump."""
    count, size = len(roots), normal.shape[0]
    rows, columns = np.clip(roots.astype(int)[:, ::-1].T, 0, size - 1)
    shared = smooth_noise(rng, size, size * 0.06)[rows, columns]
    bend = smooth_noise(rng, size, size * 0.12)[rows, columns]
    own = rng.standard_normal(count)
    angle = normal[rows, columns] + spread * (clumping * 1.6 * shared + (1 - clumping) * own)
    curl = float(rng.uniform(0.02, 0.14)) * (
        clumping * 1.5 * bend + (1 - clumping) * rng.standard_normal(count)
    )
    step = length * rng.uniform(0.5, 1.3, count) * np.exp(0.3 * clumping * shared) / SEGMENTS
    points = [roots.astype(np.float64)]
    for _ in range(SEGMENTS):
        angle = angle + curl + 0.12 * pull[1] * np.sin(pull[0] - angle)
        points.append(points[-1] + step[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return np.stack(points, axis=1)


def _draw_strands(rng: Rng, paths: Points, alpha: F32, shade: F32, opacity: float) -> tuple[F32, F32]:
    """Lay the strands over what is there, layer by layer, thick and opaque at the root, faint at the tip."""
    size = alpha.shape[0]
    big = size * SUPERSAMPLE
    for layer in np.array_split(paths, LAYERS):
        drawn = np.zeros((big, big), np.uint8)
        width = float(rng.uniform(1.0, 3.2))
        for segment in range(SEGMENTS - 1, -1, -1):
            t = segment / SEGMENTS
            value = int(255 * opacity * (1.0 - t) ** 0.6)
            pieces = np.rint(layer[:, segment : segment + 2] * SUPERSAMPLE * 16).astype(np.int32)
            thickness = max(1, round(width * (1.0 - t)))
            cv2.polylines(
                drawn, list(pieces.reshape(-1, 2, 1, 2)), False, value, thickness, cv2.LINE_AA, shift=4
            )
        strand = _shrink(drawn, size)
        alpha = alpha + strand * (1 - alpha)
        shade = shade + strand * (np.float32(rng.uniform(0.65, 1.3)) - shade)
    return alpha, shade
