"""Photographs with weak masks that ship with the package; provenance and licences: assets/SOURCES.md."""

from dataclasses import dataclass
from pathlib import Path

from igf_mobile.images import FloatArray, read_image, read_mask

ASSETS = Path(__file__).parent / "assets"

_LICENCES = {
    "astronaut": ("public domain", "NASA, Great Images: portrait of Eileen Collins"),
    "chelsea": ("CC0-1.0", "Stéfan van der Walt: Chelsea the cat"),
    "coffee": ("CC0-1.0", "Rachel Michetti, courtesy of Pikolo Espresso Bar: coffee cup"),
}


@dataclass(frozen=True, eq=False)
class Sample:
    """One photograph and its weak mask."""

    name: str
    guidance: FloatArray
    """(H,W,3) in [0,1]; the sides are up to 512 pixels and no multiples of 32."""
    weak_mask: FloatArray
    """(H,W), 0 or 1: a polygon drawn by eye, off by up to some 20 pixels."""
    licence: str
    source: str


def names() -> tuple[str, ...]:
    """The samples there are."""
    return tuple(_LICENCES)


def load_samples() -> list[Sample]:
    """All samples, in the order of `names`."""
    return [load_sample(name) for name in names()]


def load_sample(name: str) -> Sample:
    """One sample.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in _LICENCES:
        raise ValueError(f"sample {name!r} is not one of {', '.join(names())}")
    guidance = read_image(ASSETS / f"{name}.jpg")
    height, width = guidance.shape[:2]
    weak_mask = read_mask(ASSETS / f"{name}_mask.png", size=(height, width))
    licence, source = _LICENCES[name]
    return Sample(name, guidance, weak_mask, licence, source)
