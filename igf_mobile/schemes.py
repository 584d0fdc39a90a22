"""The precision schemes as data: what numbers an artifact computes with."""

from dataclasses import dataclass
from typing import Literal

Numeric = Literal["float32", "float16", "int8", "palette4"]


@dataclass(frozen=True)
class Scheme:
    """A numeric format. Never parsed from a file name, never called just "int8"."""

    name: str
    weights: Numeric
    activations: Numeric
    needs_calibration: bool
    """True where activation ranges come from calibration samples."""
    description: str

    def __post_init__(self) -> None:
        if self.needs_calibration != (self.activations == "int8"):
            raise ValueError(f"scheme {self.name!r}: calibration goes with int8 activations, and only there")


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("fp32", "float32", "float32", False, "float32 weights and arithmetic"),
        Scheme("fp16", "float16", "float16", False, "float16 weights; arithmetic as the runtime chooses"),
        Scheme("w8", "int8", "float32", False, "int8 weights, one scale per channel; float arithmetic"),
        Scheme("w8a8", "int8", "int8", True, "static int8: weights per channel, activations calibrated"),
        Scheme("p4", "palette4", "float16", False, "weights of 16 values each, 4-bit; float16 arithmetic"),
    )
}


def get(name: str) -> Scheme:
    """The scheme called `name`.

    Raises:
        ValueError: no such scheme; the message lists those there are.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        raise ValueError(f"scheme {name!r} is not one of {', '.join(SCHEMES)}") from None


def has_int8(scheme: str, recipe: object = None) -> bool:
    """Whether an artifact stores int8: one of such a scheme, or of any recipe, whose name is its scheme's."""
    return recipe is not None or get(scheme).weights == "int8"
