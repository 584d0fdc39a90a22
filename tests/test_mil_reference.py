"""The MIL evaluator against torch, operator by operator and as a program that was saved and read back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from igf_mobile.errors import IgfError
from igf_mobile.mil_operators import OPERATORS
from igf_mobile.mil_reference import FLOAT16_MAX, MilProgram

RNG = np.random.default_rng(7)
X = torch.from_numpy(RNG.normal(0, 3, (1, 4, 6, 8)).astype(np.float32))
Y = torch.from_numpy(RNG.uniform(0.5, 2, (1, 4, 6, 8)).astype(np.float32))
W = RNG.normal(0, 1, (8, 4, 3, 3)).astype(np.float32)
DEPTHWISE = RNG.normal(0, 1, (4, 1, 3, 3)).astype(np.float32)
BIAS = RNG.normal(0, 1, 8).astype(np.float32)
Q = torch.from_numpy(RNG.integers(-128, 128, (1, 4, 6, 8)).astype(np.int8))
SCALES = np.array([0.5, 0.25, 0.1, 2.0], np.float32)

# operator, arguments by MIL's names, what torch or NumPy says
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("add", {"x": X, "y": Y}, X + Y),
    ("add", {"x": X, "y": np.float32(2.5)}, X + 2.5),
    ("sub", {"x": np.float32(1), "y": X}, 1 - X),
    ("mul", {"x": X, "y": Y}, X * Y),
    ("real_div", {"x": X, "y": Y}, X / Y),
    ("maximum", {"x": X, "y": Y}, torch.maximum(X, Y)),
    ("minimum", {"x": X, "y": Y}, torch.minimum(X, Y)),
    ("square", {"x": X}, X**2),
    ("relu", {"x": X}, torch.relu(X)),
    ("relu6", {"x": X}, F.relu6(X)),
    ("sigmoid", {"x": X}, 1 / (1 + torch.exp(-X))),
    ("clip", {"x": X, "alpha": np.float32(0), "beta": np.float32(1)}, X.clamp(0, 1)),
    ("identity", {"x": X}, X),
    ("cast", {"x": X, "dtype": "fp32"}, X),
    ("sqrt", {"x": Y}, Y**0.5),
    ("rsqrt", {"x": Y, "epsilon": np.float32(0)}, Y**-0.5),
    ("matmul", {"x": X, "y": Y, "transpose_y": True}, torch.einsum("abij,abkj->abik", X, Y)),
    ("matmul", {"x": X, "y": Y, "transpose_x": np.bool_(True)}, torch.einsum("abji,abjk->abik", X, Y)),
    ("reshape", {"x": X, "shape": np.array([0, 2, -1], np.int32)}, X.reshape(1, 2, 96)),
    ("transpose", {"x": X, "perm": np.array([0, 3, 1, 2], np.int32)}, torch.movedim(X, 3, 1)),
    (
        "pixel_shuffle",
        {"x": X, "upscale_factor": np.uint32(2)},
        X.reshape(1, 1, 2, 2, 6, 8).permute(0, 1, 4, 2, 5, 3).reshape(1, 1, 12, 16),
    ),
    (
        "pixel_unshuffle",
        {"x": X, "downscale_factor": np.uint32(2)},
        X.reshape(1, 4, 3, 2, 4, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 16, 3, 4),
    ),
    ("concat", {"values": [X, Y], "axis": np.int32(1), "interleave": False}, torch.cat([X, Y], 1)),
    ("concat", {"values": [X, Y], "axis": np.int32(3)}, torch.cat([X, Y], 3)),
    (
        "conv",
        {"x": X, "weight": W, "bias": BIAS, "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1]},
        F.conv2d(X, torch.from_numpy(W), torch.from_numpy(BIAS), stride=2, padding=1),
    ),
    (
        "conv",
        {"x": X, "weight": W, "pad_type": "custom", "pad": [0, 1, 2, 3], "groups": np.int32(1)},
        F.conv2d(F.pad(X, [2, 3, 0, 1]), torch.from_numpy(W)),
    ),
    (
        "conv",
        {"x": X, "weight": DEPTHWISE, "dilations": [2, 1], "groups": np.int32(4)},
        F.conv2d(X, torch.from_numpy(DEPTHWISE), groups=4, dilation=(2, 1)),
    ),
    ("avg_pool", {"x": X, "kernel_sizes": [2, 4], "strides": [2, 4]}, F.avg_pool2d(X, (2, 4))),
    (
        "avg_pool",
        {"x": X, "kernel_sizes": [3, 3], "pad_type": "custom", "pad": [1, 1, 1, 1]},
        F.avg_pool2d(X, 3, 1, 1, count_include_pad=True),
    ),
    (
        "avg_pool",
        {
            "x": X,
            "kernel_sizes": [3, 3],
            "pad_type": "custom",
            "pad": [1, 1, 1, 1],
            "exclude_padding_from_average": True,
        },
        F.avg_pool2d(X, 3, 1, 1, count_include_pad=False),
    ),
    (
        "upsample_bilinear",
        {"x": X, "scale_factor_height": 4.0, "scale_factor_width": 2.0, "align_corners": False},
        F.interpolate(X, scale_factor=(4, 2), mode="bilinear", align_corners=False),
    ),
    (
        "upsample_bilinear",
        {"x": X, "scale_factor_height": 2.0, "scale_factor_width": 2.0, "align_corners": True},
        F.interpolate(X, scale_factor=2, mode="bilinear", align_corners=True),
    ),
    (
        "pad",
        {"x": X, "pad": [0, 0, 0, 0, 1, 2, 3, 4], "mode": "constant", "constant_val": np.float32(9)},
        F.pad(X, [3, 4, 1, 2], value=9.0),
    ),
    ("slice_by_index", {"x": X, "begin": [0, 1, 2, 0], "end": [1, 3, 6, 8]}, X[:, 1:3, 2:6]),
    (
        "slice_by_index",
        {
            "x": X,
            "begin": [0, 3, 1, 0],
            "end": [0, 0, 0, 0],
            "stride": [1, 1, 2, 1],
            "begin_mask": [True, False, False, True],
            "end_mask": [True, True, True, True],
        },
        X[:, 3:, 1::2],
    ),
    (
        "quantize",
        {"input": X, "scale": np.float32(0.02), "output_dtype": "int8"},
        (X / np.float32(0.02)).round().clamp(-128, 127).to(torch.int8),
    ),
    (
        "quantize",
        {"input": X, "scale": np.float32(0.5), "zero_point": np.uint8(9), "output_dtype": "uint8"},
        ((X / 0.5).round() + 9).clamp(0, 255).to(torch.uint8),
    ),
    (
        # ties go to the even step
        "quantize",
        {"input": torch.tensor([0.5, 1.5, 2.5, -0.5]), "scale": np.float32(1), "output_dtype": "int8"},
        torch.tensor([0, 2, 2, 0], dtype=torch.int8),
    ),
    ("dequantize", {"input": Q, "scale": np.float32(0.5), "zero_point": np.int8(3)}, (Q.float() - 3) * 0.5),
    (
        "dequantize",
        {"input": Q, "scale": SCALES, "axis": np.int32(1)},
        Q.float() * torch.from_numpy(SCALES).view(1, 4, 1, 1),
    ),
    (
        "constexpr_affine_dequantize",
        {"quantized_data": Q.numpy(), "zero_point": np.int8(0), "scale": SCALES, "axis": np.int32(1)},
        Q.float() * torch.from_numpy(SCALES).view(1, 4, 1, 1),
    ),
    (
        # iOS 16: two bits a number, the first in the lowest bits: 0, 3, 2, 1, then 3
        "constexpr_lut_to_dense",
        {
            "indices": np.array([0b01_10_11_00, 0b11], np.uint8),
            "lut": np.array([10.0, 20.0, 30.0, 40.0], np.float16),
            "shape": np.array([5, 1], np.uint32),
        },
        torch.tensor([[10.0], [40.0], [30.0], [20.0], [40.0]]),
    ),
    (
        # iOS 18: four rows, a palette for each two of them
        "constexpr_lut_to_dense",
        {
            "indices": np.array([[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 1]], np.uint8),
            "lut": np.array([1.0, 2.0, 30.0, 40.0], np.float16).reshape(2, 1, 2, 1),
        },
        torch.tensor([[1.0, 2.0, 2.0], [2.0, 1.0, 1.0], [40.0, 40.0, 30.0], [30.0, 30.0, 40.0]]),
    ),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_operator_against_torch(name: str, arguments: dict[str, Any], expected: torch.Tensor) -> None:
    actual = OPERATORS[name](**arguments)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    error = (actual.double() - expected.double()).abs().max().item()
    assert error <= 2e-6 * max(1.0, expected.double().abs().max().item())


def test_every_operator_has_a_case() -> None:
    assert {name for name, _, _ in CASES} == OPERATORS.keys()


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("conv", {"x": X, "weight": W, "pad_type": "same"}, "'same' is not one of custom, valid"),
        ("pad", {"x": X, "pad": [1, 1], "mode": "reflect"}, "'reflect' is not constant"),
        ("cast", {"x": X, "dtype": "int32"}, "'int32' is not one of fp16, fp32"),
        ("concat", {"values": [X], "axis": 1, "interleave": True}, "interleave"),
        ("slice_by_index", {"x": X, "begin": [0], "end": [1], "squeeze_mask": [True]}, "squeeze_mask"),
        ("avg_pool", {"x": X, "kernel_sizes": [2, 2], "ceil_mode": True}, "ceil_mode"),
        (
            "constexpr_lut_to_dense",
            {"indices": np.zeros((2, 2), np.uint8), "lut": np.zeros((1, 1, 4, 2)), "vector_axis": 0},
            "palettes of vectors",
        ),
    ],
)
def test_unsupported_arguments_are_refused(name: str, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(IgfError, match=complaint):
        OPERATORS[name](**arguments)


def save(path: Path, body: Callable[[Any, Any], Any], precision: str = "FLOAT32") -> Path:
    """A package whose program is `body(builder, x)` for x (1,4,6,8), saved without any optimization."""
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb  # noqa: N813 - as Apple writes it

    @mb.program(input_specs=[mb.TensorSpec(tuple(X.shape))], opset_version=ct.target.iOS17)
    def program(x: Any) -> Any:
        return body(mb, x)

    pipeline = ct.PassPipeline.EMPTY
    if precision == "FLOAT16":
        pipeline = ct.PassPipeline()
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=getattr(ct.precision, precision),
        pass_pipeline=pipeline,
        skip_model_load=True,
    )
    model.save(str(path))
    return path


def test_saved_program_against_torch(tmp_path: Path) -> None:
    def body(mb: Any, x: Any) -> Any:
        y = mb.conv(x=x, weight=W, bias=BIAS, strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1])
        y = mb.relu(x=y)
        q = mb.quantize(input=y, scale=np.float32(0.05), output_dtype="uint8")
        y = mb.dequantize(input=q, scale=np.float32(0.05))
        y = mb.upsample_bilinear(x=y, scale_factor_height=2.0, scale_factor_width=2.0, align_corners=False)
        y = mb.slice_by_index(x=y, begin=[0, 2, 0, 0], end=[1, 6, 6, 8])
        return mb.concat(values=[mb.sigmoid(x=mb.mul(x=y, y=x)), x], axis=1, name="out")

    y = F.relu(F.conv2d(X, torch.from_numpy(W), torch.from_numpy(BIAS), 2, 1))
    y = (y / np.float32(0.05)).round().clamp(0, 255) * np.float32(0.05)
    y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)[:, 2:6]
    expected = torch.cat([torch.sigmoid(y * X), X], 1).numpy()

    program = MilProgram(save(tmp_path / "all.mlpackage", body))
    run = program.evaluate({"x": X.numpy()})
    assert program.outputs == ("out",)
    assert np.abs(run.outputs["out"] - expected).max() <= 1e-5
    assert run.max_abs["out"] == np.abs(expected).max()
    assert run.faults == ()


def test_float16_results_are_rounded_and_overflow_is_named(tmp_path: Path) -> None:
    def body(mb: Any, x: Any) -> Any:
        return mb.sub(x=mb.mul(x=x, y=np.float32(1000.0), name="thousand"), y=np.float32(1.0), name="out")

    program = MilProgram(save(tmp_path / "half.mlpackage", body, "FLOAT16"))
    small = np.full(X.shape, 3.3, np.float32)
    half = np.float16(np.float32(np.float16(np.float32(np.float16(3.3)) * 1000)) - 1)
    assert np.unique(program.evaluate({"x": small}).outputs["out"]) == np.float32(half)

    run = program.evaluate({"x": np.full(X.shape, FLOAT16_MAX / 500, np.float32)})
    assert any("thousand" in name for name in run.faults[:1])
    broken = np.full(X.shape, np.nan, np.float32)
    assert len(program.evaluate({"x": broken}).faults) == len(run.max_abs)


def test_unknown_operator_is_named_with_the_known_ones(tmp_path: Path) -> None:
    path = save(tmp_path / "tanh.mlpackage", lambda mb, x: mb.tanh(x=x))
    with pytest.raises(IgfError, match=r"no reference for operator tanh; supported: add, .*conv"):
        MilProgram(path)


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros((1, 4, 6, 9), np.float32)}])
def test_wrong_inputs_are_refused(tmp_path: Path, inputs: dict[str, Any]) -> None:
    program = MilProgram(save(tmp_path / "relu.mlpackage", lambda mb, x: mb.relu(x=x)))
    with pytest.raises(ValueError, match=r"input x must have shape \(1, 4, 6, 8\)"):
        program.evaluate(inputs)
