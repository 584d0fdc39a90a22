"""Convolutions told by their weights, and what lies between them."""

import numpy as np
import pytest

from igf_mobile.errors import IgfError
from igf_mobile.layers import identify, is_layer, layer_names, layer_weights, surrounded
from igf_mobile.model import Generator


def int8(weights: np.ndarray) -> np.ndarray:
    scale = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / 127.0
    return np.round(weights / scale) * scale


def test_the_convolutions_of_the_network(trained_like: Generator) -> None:
    names = layer_names(trained_like)
    assert len(names) == len(set(names)) == 20
    assert {"hourglass.encode_8.parts.0", "hourglass.decode_8.fuse.parts.1"} <= set(names)
    for layout in ("NCHW", "NHWC"):
        weights = layer_weights(trained_like, layout)
        assert [name for name in weights if is_layer(name)] == names
    assert len(weights) == 44  # three means, three of alpha = A * I + B, and 18 constant matrices


def test_layers_are_told_after_rounding_in_any_order(trained_like: Generator) -> None:
    weights = layer_weights(trained_like, "NHWC")
    order = sorted((name for name in weights if is_layer(name)), key=lambda name: name[::-1])
    assert identify([int8(weights[name]) for name in order], weights) == order


def test_other_weights_are_of_no_layer(trained_like: Generator) -> None:
    weights = layer_weights(trained_like, "NHWC")
    first = weights["hourglass.residual.0.first.0"]
    with pytest.raises(IgfError, match=r"shape \(32, 32, 3, 3\) is of no layer"):
        identify([-first], weights)
    with pytest.raises(IgfError, match=r"shape \(1, 2, 3, 4\) is of no layer"):
        identify([np.zeros((1, 2, 3, 4), np.float32)], weights)
    with pytest.raises(
        IgfError, match=r"two convolutions have the weights of hourglass\.residual\.0\.first\.0"
    ):
        identify([first, int8(first)], weights)


def test_around_an_operator_are_the_nearest_convolutions_on_every_path() -> None:
    #   x -> a(A) -> add -> relu -> c(C) -> out
    #   x -> pad  -> b(B) ^           side ^ (reads nothing)
    reads = {
        "x": [],
        "a": ["x"],
        "pad": ["x"],
        "b": ["pad"],
        "add": ["a", "b"],
        "relu": ["add"],
        "side": [],
        "c": ["relu", "side"],
        "out": ["c"],
    }
    around = surrounded(reads, {"a": "A", "b": "B", "c": "C"})
    assert around == {
        "x": {"A", "B"},
        "a": {"A"},
        "pad": {"B"},
        "b": {"B"},
        "add": {"A", "B", "C"},
        "relu": {"A", "B", "C"},
        "side": {"C"},
        "c": {"C"},
        "out": {"C"},
    }
