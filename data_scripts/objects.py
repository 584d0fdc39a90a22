"""The things to render, a function each: from a generator of random numbers to what is in the scene."""

from collections.abc import Callable
from typing import Any

from coats import build_feather, build_fur, build_hair
from nets import build_net
from plants import build_foliage
from strands import Array, Rng
from vessels import build_glass

Build = Callable[[Rng], tuple[Array, list[Any]]]
"""-> points the camera has to frame (n, 3), and the objects that move together."""

CLASSES: dict[str, Build] = {
    "fur": build_fur,
    "hair": build_hair,
    "feather": build_feather,
    "foliage": build_foliage,
    "net": build_net,
    "glass": build_glass,
}
