"""Surfaces by their vertices and faces."""

import numpy as np
from strands import Array
from studio import Mesh


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


def placed_mesh(part: Mesh, turn: Array, offset: Array) -> Mesh:
    """A mesh turned by a rotation (3, 3), then moved."""
    return Mesh(part.vertices @ turn.T + offset, part.faces, part.colour)
