"""Nets, spiders' webs, veils."""

from collections.abc import Callable
from typing import Any

import numpy as np
import studio
from strands import Array, Rng, Strands, joined, noise, shades
from studio import Mesh


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
