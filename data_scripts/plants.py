"""Branches, ferns, conifers, grass, seed heads."""

from typing import Any

import numpy as np
import studio
from meshes import ellipsoid_mesh, joined_mesh, placed_mesh
from strands import Array, Rng, Strands, noise, shades, unit
from studio import Mesh


def build_foliage(rng: Rng) -> tuple[Array, list[Any]]:
    """A leafy branch, a fern, a conifer's twig, a tuft of grass or a seed head."""
    kinds = {"branch": branch, "fern": _fern, "conifer": _conifer, "grass": _grass, "seeds": _seed_head}
    return kinds[str(rng.choice(list(kinds), p=[0.34, 0.16, 0.18, 0.16, 0.16]))](rng)


def branch(rng: Rng, scale: float = 1.0, base: Array | None = None) -> tuple[Array, list[Any]]:
    """A branch that grows up from `base`, with twigs and leaves."""
    base = np.array([0.0, 0.0, -1.0]) if base is None else base
    colour, leaves, stems = _leaf_colour(rng), [], []
    length, width, teeth = rng.uniform(0.14, 0.36), rng.uniform(0.16, 0.5), int(rng.choice([0, 0, 7, 11]))
    main = _stem(rng, base, np.array([rng.normal(0, 0.25), rng.normal(0, 0.25), 1.0]), 1.9 * scale)
    stems.append((main, 0.02))
    for i in range(3, 15):
        if rng.random() < 0.75:
            away = unit(np.diff(main[i - 1 : i + 1], axis=0)[0] + unit(rng.normal(size=3)) * 1.1)
            stems.append((_stem(rng, main[i], away, scale * rng.uniform(0.35, 0.9)), 0.008))
    for stem, _ in stems:
        for i in range(4, 16):
            for _ in range(int(rng.integers(0, 3))):
                away = unit(
                    np.diff(stem[i - 1 : i + 1], axis=0)[0] + unit(rng.normal(size=3)) * rng.uniform(0.6, 1.2)
                )
                size = length * scale * rng.uniform(0.6, 1.15)
                leaf = _leaf(rng, size, size * width, teeth, colour)
                leaves.append(placed_mesh(leaf, _turn_to(rng, away), stem[i]))
    foliage = joined_mesh(leaves)
    wood = Strands(
        np.stack([s for s, _ in stems]),
        np.stack([np.linspace(r, 0.35 * r, 16) for _, r in stems]) * scale,
        shades(rng, np.array([0.12, 0.08, 0.04]), len(stems)),
    )
    look = studio.translucent("leaf", 0.35, Roughness=float(rng.uniform(0.25, 0.7)))
    things = [
        studio.add_mesh(foliage, look),
        studio.add_strands(wood, studio.material("wood", Roughness=0.9)),
    ]
    return np.concatenate([foliage.vertices, main]), things


def _fern(rng: Rng) -> tuple[Array, list[Any]]:
    colour, leaves, stems = _leaf_colour(rng), [], []
    for _ in range(int(rng.integers(1, 5))):
        main = _stem(
            rng, np.array([0, 0, -1.0]), np.array([rng.normal(0, 0.5), rng.normal(0, 0.3), 1.0]), 2.1, 28
        )
        stems.append(main)
        plane = unit(rng.normal(size=3))
        for i in range(4, 28):
            ahead = unit(main[i] - main[i - 1])
            side = unit(np.cross(ahead, plane))
            reach = 0.62 * np.sin(np.pi * (i / 28) ** 0.8) + 0.05
            for sign in (-1, 1):
                out = unit(sign * side + 0.45 * ahead + rng.normal(0, 0.06, 3))
                rib = (
                    main[i]
                    + np.linspace(0, reach, 28)[:, None] * out
                    - [0, 0, 0.12 * reach] * (np.linspace(0, 1, 28)[:, None] ** 2)
                )
                stems.append(rib)
                for j in range(2, 28, 2):
                    size = 0.16 * reach * (1 - j / 34) + 0.01
                    for turn in (-1, 1):
                        away = unit(turn * ahead + 0.5 * out + rng.normal(0, 0.1, 3))
                        leaves.append(
                            placed_mesh(_leaf(rng, size, size * 0.3, 0, colour), _turn_to(rng, away), rib[j])
                        )
    foliage = joined_mesh(leaves)
    lines = np.stack(stems)
    wood = Strands(
        lines,
        np.broadcast_to(np.linspace(0.008, 0.002, 28), lines.shape[:2]),
        shades(rng, colour * 0.8, len(lines)),
    )
    things = [
        studio.add_mesh(foliage, studio.translucent("frond", 0.35, Roughness=0.5)),
        studio.add_strands(wood, studio.material("rib", Roughness=0.7)),
    ]
    return foliage.vertices, things


def _conifer(rng: Rng) -> tuple[Array, list[Any]]:
    stems = [
        _stem(
            rng,
            np.array([-0.9, 0, rng.uniform(-0.6, 0.2)]),
            np.array([1.0, rng.normal(0, 0.2), rng.uniform(0, 0.6)]),
            1.9,
        )
    ]
    for i in range(3, 15):
        for _ in range(int(rng.integers(0, 3))):
            stems.append(
                _stem(
                    rng,
                    stems[0][i],
                    unit(stems[0][i] - stems[0][i - 1] + 0.9 * unit(rng.normal(size=3))),
                    rng.uniform(0.3, 0.8),
                )
            )
    length, dense = rng.uniform(0.09, 0.32), int(rng.integers(25, 60))
    roots, away = [], []
    for stem in stems:
        along = rng.uniform(0.5, 15, (dense * 12,))
        low = along.astype(int)
        at = stem[low] + (along - low)[:, None] * (stem[np.minimum(low + 1, 15)] - stem[low])
        ahead = unit(stem[np.minimum(low + 1, 15)] - stem[np.maximum(low - 1, 0)])
        roots.append(at)
        away.append(unit(unit(rng.normal(size=at.shape)) + rng.uniform(0.3, 1.1) * ahead))
    root, direction = np.concatenate(roots), np.concatenate(away)
    t = np.linspace(0, 1, 5)[None, :, None]
    droop = np.array([0, 0, -rng.uniform(0, 0.3)])
    needles = root[:, None] + length * rng.uniform(0.7, 1.1, (len(root), 1, 1)) * (
        direction[:, None] * t + droop * t**2
    )
    colour = shades(rng, np.array([0.04, 0.11, 0.03]) * np.exp(rng.normal(0, 0.3, 3)), len(root), 0.3)
    radius = rng.uniform(0.004, 0.007) * np.broadcast_to(np.array([1.0, 1.0, 0.95, 0.8, 0.3]), (len(root), 5))
    wood = np.stack(stems)
    things = [
        studio.add_strands(Strands(needles, radius, colour), studio.material("needle", Roughness=0.4)),
        studio.add_strands(
            Strands(
                wood,
                np.broadcast_to(np.linspace(0.025, 0.008, 16), wood.shape[:2]),
                shades(rng, np.array([0.15, 0.08, 0.04]), len(wood)),
            ),
            studio.material("wood", Roughness=0.9),
        ),
    ]
    return needles.reshape(-1, 3), things


def _grass(rng: Rng) -> tuple[Array, list[Any]]:
    count = int(rng.integers(150, 900))
    base = np.stack([rng.normal(0, 0.28, count), rng.normal(0, 0.2, count), np.full(count, -1.0)], 1)
    out = unit(
        np.stack([base[:, 0], base[:, 1], np.full(count, rng.uniform(0.5, 1.4))], 1)
        + rng.normal(0, 0.25, (count, 3))
    )
    t = np.linspace(0, 1, 14)[None, :, None]
    height = rng.uniform(0.7, 2.0, (count, 1, 1))
    droop = rng.uniform(0.0, 0.6, (count, 1, 1)) * np.array([0, 0, -1.0])
    blades = base[:, None] + height * (out[:, None] * t + droop * t**2.5)
    blades = blades + 0.1 * t * noise(rng, blades, 1.5)
    width = (
        rng.uniform(0.006, 0.018) * (1 - np.linspace(0, 1, 14) ** 1.6) * rng.uniform(0.5, 1.2, (count, 1))
        + 0.001
    )
    colour = shades(rng, _leaf_colour(rng) * 1.3, count, 0.3)
    things = [
        studio.add_strands(Strands(blades, width, colour), studio.translucent("blade", 0.3, Roughness=0.5))
    ]
    return blades.reshape(-1, 3), things


def _seed_head(rng: Rng) -> tuple[Array, list[Any]]:
    """A dandelion: a stalk, rays, and a parasol of hairs on each ray."""
    rays = int(rng.integers(90, 260))
    direction = unit(rng.normal(size=(rays, 3)))
    direction = direction[rng.random(rays) < np.where(direction[:, 0] > rng.uniform(0, 1.6), 0.15, 1.0)]
    length = rng.uniform(0.55, 0.75)
    t = np.linspace(0, 1, 6)[None, :, None]
    ray = direction[:, None] * (0.12 + length * t)
    hairs = int(rng.integers(14, 30))
    root = np.repeat(ray[:, -1], hairs, 0)
    lean = np.repeat(direction, hairs, 0)
    out = unit(
        lean * rng.uniform(0.1, 0.7, (len(root), 1)) + np.cross(lean, unit(rng.normal(size=lean.shape)))
    )
    reach = rng.uniform(0.10, 0.2) * rng.uniform(0.7, 1.1, (len(root), 1, 1))
    tuft = root[:, None] + reach * (out[:, None] * t + lean[:, None] * 0.35 * t**2)
    stalk = np.array([[0.02 * np.sin(2 * z), 0, z] for z in np.linspace(-2.0, 0, 6)])[None]
    white = np.array([0.75, 0.73, 0.68])
    thin = float(rng.uniform(0.0016, 0.003))
    everything = Strands(
        np.concatenate([ray, tuft, stalk]),
        np.concatenate(
            [np.full(ray.shape[:2], 1.6 * thin), np.full(tuft.shape[:2], thin), np.full((1, 6), 0.03)]
        ),
        np.concatenate(
            [shades(rng, white * 0.7, len(ray)), shades(rng, white, len(tuft), 0.1), [[0.25, 0.3, 0.1]]]
        ),
    )
    core = ellipsoid_mesh(np.zeros(3), np.full(3, 0.13), np.array([0.12, 0.08, 0.04]))
    things = [
        studio.add_strands(everything, studio.translucent("seed", 0.3, Roughness=0.5)),
        studio.add_mesh(core, studio.material("core", Roughness=0.9)),
    ]
    return np.concatenate([tuft.reshape(-1, 3), ray.reshape(-1, 3), stalk[0, 3:]]), things


def _leaf_colour(rng: Rng) -> Array:
    seasons = np.array(
        [[0.06, 0.16, 0.02], [0.12, 0.26, 0.03], [0.03, 0.09, 0.03], [0.4, 0.2, 0.02], [0.35, 0.05, 0.02]]
    )
    return np.clip(
        seasons[rng.choice(5, p=[0.35, 0.3, 0.15, 0.1, 0.1])] * np.exp(rng.normal(0, 0.2, 3)), 0.005, 0.8
    )


def _leaf(rng: Rng, length: float, width: float, teeth: int, colour: Array) -> Mesh:
    """One leaf from the origin along +z in the x-z plane: folded at the midrib, bent, with a toothed edge."""
    t = np.linspace(0, 1, 15)
    half = width * np.sin(np.pi * t ** rng.uniform(0.65, 1.0)) ** rng.uniform(0.6, 1.1)
    half *= 1 + 0.16 * ((t * teeth) % 1 - 0.5) * (teeth > 0)
    bend, fold = rng.normal(0.25, 0.25), rng.uniform(0.05, 0.5)
    rows = []
    for side in (-1.0, 0.0, 1.0):
        x = side * half
        rows.append(np.stack([x, bend * length * t**2 - fold * np.abs(x), length * t], 1))
    vertices = np.stack(rows, 1).reshape(-1, 3)
    faces = [(3 * i + j, 3 * i + j + 1, 3 * i + j + 4, 3 * i + j + 3) for i in range(14) for j in (0, 1)]
    shade = shades(rng, colour, 1, 0.2) * np.ones((len(vertices), 3))
    shade[1::3] = np.clip(shade[1::3] * 1.5, 0, 0.9)
    return Mesh(vertices, faces, shade)


def _stem(
    rng: Rng, start: Array, direction: Array, length: float, steps: int = 16, sway: float = 0.5
) -> Array:
    """Points (steps, 3) of a stem that wanders and bows a little under its weight."""
    points, heading = [start], unit(direction)
    drift = rng.normal(0, sway, 3)
    for _ in range(steps - 1):
        heading = unit(heading + (drift + rng.normal(0, 0.4, 3) - [0, 0, 0.15]) * 1.5 / steps)
        points.append(points[-1] + heading * length / steps)
    return np.array(points)


def _turn_to(rng: Rng, direction: Array) -> Array:
    """A rotation (3, 3) that takes +z to `direction`, its roll random."""
    z = unit(direction)
    x = unit(np.cross(z, rng.normal(size=3)))
    return np.stack([x, np.cross(z, x), z], 1)
