"""The schemes by name, and what a scheme cannot be."""

import dataclasses

import pytest

from igf_mobile import schemes
from igf_mobile.schemes import SCHEMES, Scheme


def test_names_and_formats() -> None:
    found = {name: (s.weights, s.activations, s.needs_calibration) for name, s in SCHEMES.items()}
    assert found == {
        "fp32": ("float32", "float32", False),
        "fp16": ("float16", "float16", False),
        "w8": ("int8", "float32", False),
        "w8a8": ("int8", "int8", True),
        "p4": ("palette4", "float16", False),
    }
    assert all(name == scheme.name == schemes.get(name).name for name, scheme in SCHEMES.items())


@pytest.mark.parametrize("name", ["int8", "FP32", "", "w8a8 "])
def test_a_wrong_name_lists_the_choices(name: str) -> None:
    with pytest.raises(ValueError) as raised:
        schemes.get(name)
    assert str(raised.value) == f"scheme {name!r} is not one of fp32, fp16, w8, w8a8, p4"


@pytest.mark.parametrize(("activations", "calibration"), [("int8", False), ("float32", True)])
def test_calibration_goes_with_int8_activations(activations: str, calibration: bool) -> None:
    with pytest.raises(ValueError, match="scheme 'x': calibration goes with int8 activations"):
        Scheme("x", "int8", activations, calibration, "")  # type: ignore[arg-type]


def test_a_scheme_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SCHEMES["fp32"].name = "int8"  # type: ignore[misc]
