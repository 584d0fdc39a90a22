"""The things to render, a function each: from a generator of random numbers to what is in the scene."""

from collections.abc import Callable
from typing import Any

import numpy as np
import studio
from strands import (
    Array,
    Rng,
    Strands,
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
from studio import Mesh

Build = Callable[[Rng], tuple[Array, list[Any]]]
"""-> points the camera has to frame (n, 3), and the objects that move together."""


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


def build_foliage(rng: Rng) -> tuple[Array, list[Any]]:
    """A leafy branch, a fern, a conifer's twig, a tuft of grass or a seed head."""
    kinds = {"branch": _branch, "fern": _fern, "conifer": _conifer, "grass": _grass, "seeds": _seed_head}
    return kinds[str(rng.choice(list(kinds), p=[0.34, 0.16, 0.18, 0.16, 0.16]))](rng)


def build_net(rng: Rng) -> tuple[Array, list[Any]]:
    """Threads in squares, diamonds or hexagons over a hanging sheet, some torn; a spider's web; a veil."""
    kind = str(rng.choice(["square", "diamond", "hexagon", "web", "veil"], p=[0.24, 0.24, 0.2, 0.12, 0.2]))
    if kind == "veil":
        return _veil(rng)
    colour = np.clip(rng.uniform(0.03, 0.85) * np.exp(rng.normal(0, 0.35, 3)), 0.01, 0.95)
    if kind == "web":
        lines = _web_lines(rng)
    else:
        lines = _net_lines(rng, kind)
        fold = _folds(rng)
        lines = np.stack([fold(line) for line in lines])
    spacing_radius = float(rng.uniform(0.004, 0.011))
    radius = spacing_radius * rng.uniform(0.85, 1.15, (len(lines), 1)) * np.ones(lines.shape[1])
    net = Strands(lines, radius, shades(rng, colour, len(lines), 0.12))
    parts = [net]
    if kind != "web" and rng.random() < 0.6:
        edge = np.linspace(-1, 1, lines.shape[1])
        rope = np.stack([fold(np.stack([edge, np.full_like(edge, v)], 1)) for v in (-1.0, 1.0)])
        parts.append(Strands(rope, np.full(rope.shape[:2], 3.5 * spacing_radius), shades(rng, colour, 2)))
    whole = joined(parts)
    look = studio.material("thread", Roughness=float(rng.uniform(0.3, 0.9)))
    things = [studio.add_strands(p, look) for p in whole]
    return np.concatenate([p.points.reshape(-1, 3) for p in whole]), things


def build_glass(rng: Rng) -> tuple[Array, list[Any]]:
    """A vase, bottle, goblet or jar of clear or tinted glass, some with a drink, a cork or a twig in it."""
    import bpy

    scene = bpy.context.scene
    scene.cycles.film_transparent_glass = True
    scene.cycles.film_transparent_roughness = 0.3
    scene.cycles.transmission_bounces = scene.cycles.max_bounces = 10
    outer = _profile(rng)
    wall = float(rng.uniform(0.03, 0.07))
    inner = np.stack([np.maximum(outer[:, 0] - wall, 0.0), outer[:, 1] + wall * 0.6], 1)[::-1]
    vessel = lathe(np.concatenate([outer, inner]), np.ones(3))
    tint = np.clip(np.exp(rng.normal(-0.6, 0.35, 3)), 0.05, 1.0) if rng.random() < 0.75 else np.full(3, 0.97)
    vessel = Mesh(vessel.vertices, vessel.faces, np.broadcast_to(tint, vessel.vertices.shape))
    rough = float(rng.choice([0.0, 0.05, 0.2]))
    glass = studio.material("glass", Roughness=rough, IOR=1.45, **{"Transmission Weight": 1.0})
    things = [studio.add_mesh(vessel, glass)]
    points = vessel.vertices
    kind = str(rng.choice(["empty", "drink", "cork", "twig"], p=[0.15, 0.35, 0.25, 0.25]))
    if kind == "drink":
        level = rng.uniform(0.35, 0.8)
        top = outer[:, 1].min() + level * np.ptp(outer[:, 1])
        held = np.stack([np.maximum(outer[:, 0] - wall * 1.1, 0.0), outer[:, 1] + wall * 0.7], 1)
        held = held[held[:, 1] < top]
        drink = lathe(np.concatenate([held, [[0.0, held[-1, 1]]]]), rng.uniform(0.02, 0.6, 3))
        things.append(studio.add_mesh(drink, studio.material("drink", Roughness=0.1)))
    elif kind == "cork":
        mouth, high = outer[-1]
        side = np.array([[0, -0.12], [mouth * 0.9, -0.12], [mouth * 1.05, 0.14], [0, 0.14]]) + np.array(
            [0, high]
        )
        cork = lathe(side, np.array([0.45, 0.27, 0.13]) * rng.uniform(0.3, 1.4))
        things.append(studio.add_mesh(cork, studio.material("cork", Roughness=0.9), smooth=False))
        points = np.concatenate([points, cork.vertices])
    elif kind == "twig":
        framed, twig = _branch(rng, scale=0.9, base=np.array([0.0, 0.0, float(outer[:, 1].min()) + 0.15]))
        things += twig
        points = np.concatenate([points, framed])
    return points, things


CLASSES: dict[str, Build] = {
    "fur": build_fur,
    "hair": build_hair,
    "feather": build_feather,
    "foliage": build_foliage,
    "net": build_net,
    "glass": build_glass,
}


def ellipsoid_mesh(centre: Array, axes: Array, colour: Array, rings: int = 20) -> Mesh:
    """A closed ellipsoid of one colour."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, rings)
    ball = lathe(np.stack([np.cos(angle), np.sin(angle)], 1), colour, 32)
    return Mesh(ball.vertices * axes + centre, ball.faces, ball.colour)


def lathe(profile: Array, colour: Array, around: int = 64) -> Mesh:
    """(n, 2) radius and height turned about z."""
    turn = np.linspace(0, 2 * np.pi, around, endpoint=False)
    r, z = profile[:, 0][:, None], profile[:, 1][:, None]
    vertices = np.stack([r * np.cos(turn), r * np.sin(turn), z + 0 * turn], -1).reshape(-1, 3)
    faces = [
        (
            i * around + j,
            i * around + (j + 1) % around,
            (i + 1) * around + (j + 1) % around,
            (i + 1) * around + j,
        )
        for i in range(len(profile) - 1)
        for j in range(around)
    ]
    return Mesh(vertices, faces, np.broadcast_to(colour, vertices.shape).copy())


def joined_mesh(parts: list[Mesh]) -> Mesh:
    """Meshes as one."""
    faces: list[tuple[int, ...]] = []
    start = 0
    for part in parts:
        faces += [tuple(index + start for index in face) for face in part.faces]
        start += len(part.vertices)
    return Mesh(np.concatenate([p.vertices for p in parts]), faces, np.concatenate([p.colour for p in parts]))


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


def _placed_mesh(part: Mesh, turn: Array, offset: Array) -> Mesh:
    return Mesh(part.vertices @ turn.T + offset, part.faces, part.colour)


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


def _branch(rng: Rng, scale: float = 1.0, base: Array | None = None) -> tuple[Array, list[Any]]:
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
                leaves.append(_placed_mesh(leaf, _turn_to(rng, away), stem[i]))
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
                            _placed_mesh(_leaf(rng, size, size * 0.3, 0, colour), _turn_to(rng, away), rib[j])
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


def _folds(rng: Rng) -> Callable[[Array], Array]:
    """A sheet: (n, 2) in [-1, 1] -> (n, 3), hanging in folds that deepen towards the bottom."""
    depth, waves, phase = rng.uniform(0.0, 0.3), rng.uniform(1.0, 3.5), rng.uniform(0, 6)
    gather, seed = rng.uniform(0.0, 0.35), int(rng.integers(1 << 31))

    def fold(uv: Array) -> Array:
        u, v = uv[:, 0], uv[:, 1]
        down = (1 - v) / 2
        x = u * (1 - gather * (1 - down))
        y = depth * (0.3 + down) * np.sin(np.pi * waves * u + phase + 0.6 * v)
        sheet = np.stack([x, y, v - 0.06 * np.cos(np.pi * u) * depth], 1)
        return np.asarray(sheet + 0.07 * noise(np.random.default_rng(seed), sheet, 1.3))

    return fold


def _net_lines(rng: Rng, kind: str, steps: int = 64) -> Array:
    """Threads (n, steps, 2) over [-1, 1]^2; a torn net lacks some of them."""
    count = int(rng.integers(9, 34))
    t = np.linspace(-1, 1, steps)
    at = np.linspace(-1, 1, count)
    if kind == "square":
        lines = [np.stack([t, np.full(steps, v)], 1) for v in at] + [
            np.stack([np.full(steps, u), t], 1) for u in at
        ]
    elif kind == "diamond":
        lines = []
        for offset in np.linspace(-2, 2, 2 * count):
            low, high = max(-1.0, -1.0 - offset), min(1.0, 1.0 - offset)
            if high - low > 0.02:
                s = np.linspace(low, high, steps)
                lines += [np.stack([s, s + offset], 1), np.stack([-s, s + offset], 1)]
    else:  # zigzags that meet at their corners
        lines = []
        for row in range(count):
            zig = np.abs(((t + 1) * count / 2 * 1.0) % 2 - 1)
            wide = np.clip((zig - 0.25) * 2, 0, 1)
            sign = 1 if row % 2 else -1
            lines.append(np.stack([sign * (wide - 0.5) / count + at[row], t], 1))
    kept = [line for line in lines if rng.random() > 0.02]
    wobble = 0.15 / count
    return np.stack([line + wobble * noise(rng, np.pad(line, ((0, 0), (0, 1))), 0.3, 2) for line in kept])


def _web_lines(rng: Rng, steps: int = 64) -> Array:
    """Spokes, and a spiral of sagging chords between them."""
    spokes = int(rng.integers(14, 26))
    angle = np.sort(np.linspace(0, 2 * np.pi, spokes, endpoint=False) + rng.normal(0, 0.06, spokes))
    reach = rng.uniform(0.85, 1.15, spokes)
    t = np.linspace(0, 1, steps)
    lines = [np.stack([np.cos(a) * r * t, np.sin(a) * r * t], 1) for a, r in zip(angle, reach, strict=True)]
    for radius in np.linspace(0.12, 0.95, int(rng.integers(10, 22))):
        for i in range(spokes):
            j = (i + 1) % spokes
            ends = [radius * reach[k] * np.array([np.cos(angle[k]), np.sin(angle[k])]) for k in (i, j)]
            sag = 1 - 0.12 * np.sin(np.pi * t)[:, None]
            lines.append((ends[0] * (1 - t[:, None]) + ends[1] * t[:, None]) * sag)
    flat = np.stack(lines)
    return np.stack([flat[..., 0], 0.05 * flat[..., 0] ** 2, flat[..., 1]], -1)


def _veil(rng: Rng) -> tuple[Array, list[Any]]:
    """A sheet of thin cloth in folds, half transparent."""
    side = 140
    u, v = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    flat = np.stack([u.ravel(), v.ravel()], 1)
    vertices = _folds(rng)(flat) + 0.03 * noise(rng, np.pad(flat, ((0, 0), (0, 1))), 0.35)
    faces = [
        (i * side + j, i * side + j + 1, (i + 1) * side + j + 1, (i + 1) * side + j)
        for i in range(side - 1)
        for j in range(side - 1)
    ]
    base, stripe = rng.uniform(0.05, 0.9, 3), rng.uniform(0.05, 0.9, 3)
    share = (np.sin(flat[:, :1] * rng.uniform(3, 20)) > 0.3) * rng.integers(0, 2)
    sheet = Mesh(vertices, faces, base * (1 - share) + stripe * share)
    things = [studio.add_mesh(sheet, studio.veil("veil", float(rng.uniform(0.45, 0.85))))]
    return vertices, things


def _profile(rng: Rng) -> Array:
    """(n, 2) radius and height of a vessel's outside, from the middle of its foot up to its mouth."""
    height = rng.uniform(1.2, 2.0)
    z = np.linspace(0, 1, 40)
    if rng.random() < 0.35:  # a goblet: foot, stem, bowl
        bowl = np.clip((z - 0.45) / 0.55, 0, 1)
        radius = np.where(z < 0.04, 0.38, 0.04) + rng.uniform(0.3, 0.5) * np.sin(
            np.pi * bowl**0.7 * rng.uniform(0.5, 0.8)
        )
    else:
        knots = rng.uniform(0.2, 0.6, 5) * np.array([1.0, 1.1, 1.1, 0.8, rng.uniform(0.4, 1.0)])
        radius = np.interp(z, np.linspace(0, 1, 5), knots)
        radius = np.convolve(np.pad(radius, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    outside = np.stack([radius, height * (z - 0.5)], 1)
    return np.concatenate([[[0.0, outside[0, 1]]], outside])
