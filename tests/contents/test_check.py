"""What a convolution's stored numbers must be."""

import numpy as np
import pytest

from igf_mobile.contents.check import check_contents
from igf_mobile.contents.expected import Activation, Expected
from igf_mobile.contents.layers import Layer

NAME = "hourglass.encode_16.0"
_VALUES = np.linspace(0.0, 1.0, 11)


def checked(
    scheme: str, number: str, shape: tuple[int, ...] = (4, 3, 3, 3), name: str = NAME, **more: object
) -> list[str]:
    """A layer whose weights lie on int8's grid, stored as `number`."""
    weights = np.random.default_rng(0).integers(-127, 128, shape) / 127.0
    weights.reshape(shape[0], -1)[:, 0] = 1.0
    passing = Activation(0.0, 1.0, _VALUES)
    layer, wanted = Layer("node 1", weights, number), Expected(name, weights, passing, passing)
    return check_contents("x", scheme, [layer], [wanted], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["w8", "w8a8"])
def test_weights_that_stayed_float_are_named(scheme: str) -> None:
    assert checked(scheme, "int8") == []
    assert checked(scheme, "float32") == [f"x: {NAME}, node 1: its weights are float32, {scheme} has int8"]


def test_depthwise_weights_may_stay_float_where_nothing_else_is_static() -> None:
    depthwise = (8, 1, 3, 3)
    assert checked("w8", "float32", depthwise) == []
    assert len(checked("w8a8", "float32", depthwise)) == 1


def test_constants_and_float_schemes_are_float() -> None:
    assert checked("w8a8", "float32", name="closed_form.image") == []
    assert checked("fp32", "float32") == []


def test_a_recipe_says_which_layers_are_int8() -> None:
    assert checked("w8a8", "float32", precisions={NAME: "float32"}) == []
    (sentence,) = checked("w8a8", "float32", precisions={NAME: "w8"})
    assert sentence.endswith("its weights are float32, w8 has int8")
