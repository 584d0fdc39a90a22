"""Strands in NumPy: what fur, hair, feathers, needles and threads are made of. No Blender here.

A strand is a polyline of points with a radius at each; lengths are in scene units, an object being about 2 units
across. Everything random comes from the generator passed in.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rng = np.random.Generator
UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Strands:
    """points (n, k, 3), radius (n, k), colour (n, 3) linear RGB."""

    points: Array
    radius: Array
    colour: Array


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) scaled to length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def noise(rng: Rng, points: Array, cell: float, channels: int = 3) -> Array:
    """Smooth noise at (..., 3) points, (..., channels), about -1 to 1: a sum of plane waves as long as `cell`."""
    directions = unit(rng.normal(size=(10, 3))) * rng.uniform(0.6, 1.7, (10, 1)) * 2 * np.pi / cell
    phase = points @ directions.T
    weights = rng.normal(size=(10, channels)) / np.sqrt(5.0)
    return np.asarray(np.sin(phase + rng.uniform(0, 2 * np.pi, 10)) @ weights)


def ellipsoid_surface(rng: Rng, centre: Array, axes: Array, count: int) -> tuple[Array, Array]:
    """Points (count, 3) on an ellipsoid, even by area, and their normals."""
    sphere = unit(rng.normal(size=(count * 4, 3)))
    stretch = np.linalg.norm(sphere / axes, axis=1)
    kept = sphere[rng.random(len(sphere)) < stretch / stretch.max()]
    kept = kept[:count]
    return centre + kept * axes, unit(kept / axes)


def inside(points: Array, centre: Array, axes: Array) -> NDArray[np.bool_]:
    """Whether (n, 3) points lie inside an ellipsoid."""
    return np.asarray((((points - centre) / axes) ** 2).sum(axis=1) < 1.0)


def taper(count: int, steps: int, radius: float, rng: Rng, tip: float = 0.1) -> Array:
    """(count, steps) radii that thin out to `tip` of the root's, each strand with its own thickness."""
    along = 1.0 - (1.0 - tip) * np.linspace(0.0, 1.0, steps) ** 2
    return np.asarray(radius * rng.uniform(0.6, 1.3, (count, 1)) * along)


def shades(rng: Rng, base: Array, count: int, spread: float = 0.25) -> Array:
    """(count, 3) colours around `base` (3,) or (count, 3): lightness varies, hue barely."""
    lightness = np.exp(rng.normal(0.0, spread, (count, 1)))
    tint = np.exp(rng.normal(0.0, 0.06, (count, 3)))
    return np.clip(base * lightness * tint, 0.002, 0.95)


def fur(rng: Rng, roots: Array, normals: Array, length: float, colour: Array, thickness: float) -> Strands:
    """Short strands that leave the skin, bend along a combed direction and stick together in tufts."""
    count, steps = len(roots), 8
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    comb = unit(noise(rng, roots, 1.6) * 0.8 + np.array([0.0, 0.0, -1.0]) * rng.uniform(0.0, 1.2))
    comb = unit(comb - (comb * normals).sum(1, keepdims=True) * normals)
    lie = rng.uniform(0.2, 1.1)
    lengths = (
        length * rng.uniform(0.55, 1.15, (count, 1, 1)) * (1.0 + 0.35 * noise(rng, roots, 0.8, 1)[:, None])
    )
    straight = unit(normals + comb * lie * 0.5 + rng.normal(0, 0.16, (count, 3)))[:, None]
    points = roots[:, None] + lengths * (
        straight * t * (1 - 0.3 * lie * t) + comb[:, None] * lie * 0.7 * t**2
    )
    curl = rng.uniform(0.0, 0.10) * length
    points = points + curl * t * noise(rng, points * np.array([1, 1, 1.3]), 0.35 * length + 0.05)
    return Strands(_tufted(rng, points, 0.10 + 0.5 * length, t), taper(count, steps, thickness, rng), colour)


def _tufted(rng: Rng, points: Array, size: float, t: Array) -> Array:
    """Strands whose roots share a cell lean towards the cell's middle strand, tips most."""
    size *= float(rng.uniform(0.25, 0.6))
    warped = points[:, 0] + 0.5 * size * noise(rng, points[:, 0], 2 * size)
    cells = np.floor(warped / size).astype(np.int64)
    _, member = np.unique(cells, axis=0, return_inverse=True)
    member = member.ravel()
    total = np.zeros((member.max() + 1, *points.shape[1:]))
    np.add.at(total, member, points)
    middle = total / np.bincount(member)[:, None, None]
    pull = rng.uniform(0.0, 0.75) * rng.uniform(0.5, 1.0, (len(points), 1, 1)) * t**1.5
    return np.asarray(points + pull * (middle[member] - points))


def long_hair(
    rng: Rng,
    roots: Array,
    normals: Array,
    length: float,
    force: Array,
    head: tuple[Array, Array],
    colour: Array,
    thickness: float,
) -> Strands:
    """Strands that leave the scalp, give way to `force` (gravity, wind) and never enter the head's ellipsoid."""
    count, steps = len(roots), 28
    step = length * rng.uniform(0.6, 1.1, (count, 1)) / steps
    stiffness = float(rng.uniform(0.55, 0.9))
    fly = (rng.random((count, 1)) < 0.12) * rng.uniform(0.5, 2.0, (count, 1))
    position, heading = roots.copy(), unit(normals + rng.normal(0, 0.15, (count, 3)))
    wave, turns, phase = rng.uniform(0.0, 0.05), rng.uniform(1.0, 9.0), noise(rng, roots, 0.3, 1) * 3
    path = [position]
    flow_seed = int(rng.integers(1 << 31))
    for _ in range(steps - 1):
        flow = noise(np.random.default_rng(flow_seed), position, 0.9) * 0.35
        loose = rng.normal(0, 0.05, (count, 3)) + fly * noise(rng, position, 0.5) * 0.5
        heading = unit(stiffness * heading + (1 - stiffness) * (force + flow) + loose * 0.5)
        position = position + step * heading
        centre, axes = head
        offset = (position - centre) / axes
        depth = np.linalg.norm(offset, axis=1, keepdims=True)
        position = np.where(depth < 1.03, centre + offset / depth * 1.03 * axes, position)
        path.append(position)
    points = np.stack(path, axis=1)
    t = np.linspace(0.0, 1.0, steps)[None]
    side = unit(np.cross(unit(points[:, -1] - points[:, 0]), UP + 0.01))[:, None]
    points = points + (wave * t * np.sin(turns * 2 * np.pi * t + phase))[..., None] * side
    return Strands(_tufted(rng, points, 0.25, t[..., None]), taper(count, steps, thickness, rng, 0.3), colour)


def feather(rng: Rng, length: float, width: float, colour: Array) -> Strands:
    """One feather in the x-z plane, its quill at the origin, its tip at +z: rachis, barbs with splits, down below."""
    per_side, steps = 380, 10
    t = np.linspace(0.0, 1.0, steps)[None, :]
    at = np.sort(rng.uniform(0.10, 1.0, 2 * per_side))[:, None]
    side = np.where(rng.random((2 * per_side, 1)) < 0.5, -1.0, 1.0)
    down = np.clip((0.36 - at) / 0.2, 0.0, 1.0)
    reach = (
        width
        * (np.sin(np.pi * np.clip(at, 0, 1) ** 0.75) ** 0.7 * 0.9 + 0.1)
        * rng.uniform(0.94, 1.04, at.shape)
    )
    reach *= np.where(side > 0, 1.0, rng.uniform(0.55, 1.0))
    # barbs hook into their neighbours; where the hooks let go the vane splits
    splits = np.sort(rng.uniform(0.25, 0.95, int(rng.integers(3, 9))))
    lean = 0.55 + 0.10 * (np.searchsorted(splits, at) % 3 - 1) * rng.uniform(0.3, 1.4)
    x = side * reach * t * np.sin(lean + 0.5 * (1 - t * 0.5))
    z = length * at + reach * t * np.cos(lean + 0.5 * (1 - t)) * 0.9
    y = 0.10 * width * np.abs(t) ** 2 * rng.uniform(0.4, 1.0) + 0.0 * x
    points = np.stack([x, y, z], axis=-1)
    loose = down * (0.3 + 0.7 * rng.random(down.shape)) + 0.012
    points = points + (loose * t * width * 0.2)[..., None] * noise(
        rng, points * 3.0 + rng.normal(size=3), 0.5
    )
    points[..., 1] += rng.normal(0, 0.25, at.shape) * down * width * t
    radius = taper(len(points), steps, 0.0062, rng, 0.35) * (1 - 0.65 * down)
    rachis = np.stack([np.zeros(steps), np.zeros(steps), np.linspace(-0.12, 1.0, steps) * length], axis=-1)
    bend = rng.normal(0, 0.16, 2)
    everything = np.concatenate([points, rachis[None]])
    height = everything[..., 2] / length
    everything[..., 0] += bend[0] * height**2 * length
    everything[..., 1] += bend[1] * height**2 * length
    radii = np.concatenate([radius, np.linspace(0.022, 0.004, steps)[None]])
    bars = 0.5 + 0.5 * np.sin(at * rng.uniform(4, 40) + rng.uniform(0, 6))
    other = np.clip(colour * rng.uniform(0.15, 2.5), 0.01, 0.9)
    barbs = colour * (1 - bars * (strength := rng.uniform(0, 1))) + other * bars * strength
    return Strands(
        everything, radii, np.concatenate([shades(rng, barbs, len(barbs), 0.1), colour[None] * 0.6 + 0.2])
    )


def joined(parts: list[Strands]) -> list[Strands]:
    """Parts with the same number of points a strand, put together."""
    lengths = sorted({part.points.shape[1] for part in parts})
    return [
        Strands(
            np.concatenate([p.points for p in parts if p.points.shape[1] == k]),
            np.concatenate([p.radius for p in parts if p.points.shape[1] == k]),
            np.concatenate([p.colour for p in parts if p.points.shape[1] == k]),
        )
        for k in lengths
    ]


def placed(part: Strands, rotation: Array, offset: Array) -> Strands:
    """A part turned by a (3, 3) matrix and moved."""
    return Strands(part.points @ rotation.T + offset, part.radius, part.colour)


def rotation(rng: Rng, tilt: float, heading: float | None = None) -> Array:
    """A (3, 3) rotation that tilts +z by `tilt` radians towards a heading (random by default)."""
    heading = float(rng.uniform(0, 2 * np.pi)) if heading is None else heading
    spin = float(rng.uniform(0, 2 * np.pi))
    return _about_z(heading) @ _about_y(tilt) @ _about_z(spin)


def _about_z(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _about_y(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
