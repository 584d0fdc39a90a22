"""Vessels of glass and what they hold."""

from typing import Any

import numpy as np
import studio
from meshes import lathe
from plants import branch
from strands import Array, Rng
from studio import Mesh


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
        framed, twig = branch(rng, scale=0.9, base=np.array([0.0, 0.0, float(outer[:, 1].min()) + 0.15]))
        things += twig
        points = np.concatenate([points, framed])
    return points, things


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
