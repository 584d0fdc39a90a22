"""Animals under fur, heads of hair, feathers."""

from typing import Any

import numpy as np
import studio
from meshes import ellipsoid_mesh, joined_mesh
from strands import (
    Array,
    Rng,
    ellipsoid_surface,
    feather,
    fur,
    inside,
    joined,
    long_hair,
    noise,
    placed,
    shades,
    unit,
)


def build_fur(rng: Rng) -> tuple[Array, list[Any]]:
    """An animal of ellipsoids (or a ball, or a cushion) under fur of two colours."""
    parts = _animal(rng)
    base, patch = _coat(rng), _coat(rng)
    roots, normals = [], []
    count = int(rng.integers(22_000, 42_000))
    areas = np.array([np.prod(axes) ** (2 / 3) for _, axes in parts])
    for i, (centre, axes) in enumerate(parts):
        p, n = ellipsoid_surface(rng, centre, axes, int(count * areas[i] / areas.sum()))
        hidden = np.zeros(len(p), bool)
        for j, other in enumerate(parts):
            if j != i:
                hidden |= inside(p, *other)
        roots.append(p[~hidden])
        normals.append(n[~hidden])
    root, normal = np.concatenate(roots), np.concatenate(normals)
    share = 1 / (1 + np.exp(-9 * (noise(rng, root, rng.uniform(0.5, 1.6), 1) - rng.uniform(-0.3, 0.7))))
    colour = shades(rng, base * (1 - share) + patch * share, len(root))
    length = float(np.exp(rng.uniform(np.log(0.08), np.log(0.42))))
    coat = fur(rng, root, normal, length, colour, float(rng.uniform(0.0022, 0.0045)))
    skin = joined_mesh([ellipsoid_mesh(c, a * 0.99, 0.25 * base) for c, a in parts])
    things = [
        studio.add_strands(coat, studio.material("fur", Roughness=0.55)),
        studio.add_mesh(skin, studio.material("skin", Roughness=0.8)),
    ]
    return coat.points.reshape(-1, 3), things


def build_hair(rng: Rng) -> tuple[Array, list[Any]]:
    """A head and shoulders with long hair: straight, wavy, curled or in the wind, with strands that fly away."""
    centre, axes = np.array([0.0, 0.0, 0.55]), np.array([0.38, 0.46, 0.52])
    count = int(rng.integers(9_000, 16_000))
    p, n = ellipsoid_surface(rng, centre, axes * 1.03, count * 2)
    scalp = (p[:, 2] - centre[2]) / axes[2] > -0.15 + 0.75 * np.clip(-(p[:, 1]) / axes[1], -0.6, 1)
    p, n = p[scalp][:count], n[scalp][:count]
    wind = rng.random() < 0.35
    force = np.array([0.0, 0.0, -1.0])
    if wind:
        force = unit(
            np.array(
                [rng.choice([-1, 1]) * rng.uniform(0.5, 1.4), rng.uniform(-0.2, 0.8), rng.uniform(-0.9, 0.3)]
            )
        )
    elif rng.random() < 0.2:
        force = force * 0.05
    length = float(rng.uniform(0.5, 1.7))
    colour = shades(rng, _hair_colour(rng), len(p), 0.2)
    hair = long_hair(rng, p, n, length, force, (centre, axes), colour, float(rng.uniform(0.0025, 0.004)))
    skin = np.array([0.75, 0.5, 0.38]) * rng.uniform(0.12, 1.0)
    cloth = rng.uniform(0.03, 0.7, 3)
    body = joined_mesh(
        [
            ellipsoid_mesh(centre, axes, skin),
            ellipsoid_mesh(np.array([0, 0.02, 0.0]), np.array([0.18, 0.18, 0.4]), skin),
            ellipsoid_mesh(np.array([0, 0.02, -0.72]), np.array([0.82, 0.36, 0.5]), cloth),
            ellipsoid_mesh(np.array([0, -0.47, 0.5]), np.array([0.06, 0.09, 0.11]), skin),
        ]
    )
    things = [
        studio.add_strands(hair, studio.material("hair", Roughness=0.35)),
        studio.add_mesh(body, studio.material("body", Roughness=0.6)),
    ]
    return np.concatenate([hair.points.reshape(-1, 3), body.vertices[body.vertices[:, 2] > -0.7]]), things


def build_feather(rng: Rng) -> tuple[Array, list[Any]]:
    """One to six feathers, in a fan or a loose bunch."""
    count = int(rng.choice([1, 1, 2, 3, 5, 6]))
    base, parts = _coat(rng), []
    for i in range(count):
        length, width = rng.uniform(1.3, 2.1), rng.uniform(0.16, 0.55)
        part = feather(rng, length, width, np.clip(base * np.exp(rng.normal(0, 0.3, 3)), 0.01, 0.9))
        lean = 0.45 * (i - (count - 1) / 2) + rng.normal(0, 0.12)
        turn = _about_y(lean) @ _about_z(rng.normal(0, 0.5))
        parts.append(placed(part, turn, np.array([0.03 * i, 0.05 * i, 0.0])))
    whole = joined(parts)
    things = [studio.add_strands(p, studio.translucent("vane", 0.3, Roughness=0.5)) for p in whole]
    return np.concatenate([p.points.reshape(-1, 3) for p in whole]), things


def _animal(rng: Rng) -> list[tuple[Array, Array]]:
    """Ellipsoids (centre, half axes): a ball, or a body with head, ears, legs and a tail."""
    if rng.random() < 0.25:
        return [(np.zeros(3), rng.uniform(0.6, 0.9, 3))]
    body = np.array([rng.uniform(0.6, 0.9), rng.uniform(0.35, 0.5), rng.uniform(0.38, 0.55)])
    head_at = np.array(
        [-body[0] * rng.uniform(0.8, 1.05), rng.uniform(-0.2, 0.1), body[2] * rng.uniform(0.6, 1.2)]
    )
    size = rng.uniform(0.26, 0.4)
    parts = [(np.zeros(3), body), (head_at, size * rng.uniform(0.85, 1.1, 3))]
    parts.append((head_at + np.array([-size * 0.9, -0.05, -size * 0.2]), size * np.array([0.5, 0.4, 0.35])))
    ear = size * np.array([0.22, 0.14, rng.uniform(0.3, 1.1)])
    for side in (-1, 1):
        parts.append((head_at + np.array([0.05, side * size * 0.5, size * 0.8 + ear[2] * 0.5]), ear))
        for end in (-1, 1):
            leg = np.array([0.13, 0.13, rng.uniform(0.3, 0.45)])
            parts.append((np.array([end * body[0] * 0.6, side * body[1] * 0.55, -body[2] * 0.9]), leg))
    tail, at, direction = rng.uniform(0.08, 0.16), np.array([body[0], 0.0, 0.1]), rng.uniform(-0.2, 1.2)
    for i in range(4):
        at = at + 0.15 * np.array([np.cos(direction + 0.3 * i), 0.0, np.sin(direction + 0.3 * i)])
        parts.append((at, np.array([tail * 1.5, tail, tail])))
    return parts


def _coat(rng: Rng) -> Array:
    """White, grey, black, brown, ginger as animals have it; one in six any colour."""
    if rng.random() < 1 / 6:
        return rng.uniform(0.02, 0.8, 3)
    brown = np.array(
        [[0.8, 0.78, 0.74], [0.2, 0.2, 0.2], [0.02, 0.02, 0.02], [0.22, 0.1, 0.04], [0.5, 0.2, 0.05]]
    )
    return np.clip(brown[rng.integers(5)] * np.exp(rng.normal(0, 0.2, 3)), 0.01, 0.9)


def _hair_colour(rng: Rng) -> Array:
    natural = np.array(
        [
            [0.012, 0.009, 0.007],
            [0.08, 0.035, 0.015],
            [0.25, 0.12, 0.04],
            [0.6, 0.42, 0.2],
            [0.35, 0.08, 0.02],
            [0.6, 0.58, 0.55],
        ]
    )
    return natural[rng.integers(6)] * np.exp(rng.normal(0, 0.15, 3))


def _about_y(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _about_z(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
