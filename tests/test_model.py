"""The generator: its size by hand, its shapes, and that alpha = A * I + B is what it computes."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from igf_mobile.backends.base import FloatArray
from igf_mobile.hourglass import PARAMETER_COUNT, JoinedConv, parameter_count
from igf_mobile.model import STEEPNESS, STRIDE, Generator, apply_coefficients
from igf_mobile.primitives import upsample
from igf_mobile.refit import Refit
from igf_mobile.start import ClosedForm, block_means

Pairs = list[tuple[FloatArray, FloatArray]]

# Part -> parameters: 3 x 3 kernels, inputs * outputs * 9, and two numbers of batch norm per output.
# The attention, the first of decode_16 and the head are 1 x 1; draw and the head have no norm.
BY_HAND = {
    "encode_8": (4 + 2) * 16 * 9 + 2 * 16,
    "encode_16": 16 * 16 * 9 + 2 * 16,
    "encode_32": (16 + 7) * 32 * 9 + 2 * 32,
    "residual": 2 * 2 * (32 * 32 * 9 + 2 * 32),
    "attention": 32 + 2,
    "shortcut_16": 16 * 9 + 32,
    "decode_16": (32 * 16 + 32) + ((16 + 16) * 16 * 9 + 32),
    "decode_8": (16 * 8 * 9 + 16) + ((8 + 16) * 16 * 9 + 32),
    "draw": 16 * 16 * 9,
    "head": (16 + 2) * 4,
}


def pair(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(1, 1, height // 8, width // 8, generator=generator) > 0.5).float()
    return torch.rand(1, 3, height, width, generator=generator), mask.repeat_interleave(
        8, 2
    ).repeat_interleave(8, 3)


def bilinear(planes: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """(C,h,w) -> (C,height,width) with half-pixel centres, pixel by pixel from the definition."""
    _, h, w = planes.shape
    out = np.empty((planes.shape[0], height, width))
    for y in range(height):
        v = min(max((y + 0.5) * h / height - 0.5, 0.0), h - 1.0)
        top = math.floor(v)
        for x in range(width):
            u = min(max((x + 0.5) * w / width - 0.5, 0.0), w - 1.0)
            left = math.floor(u)
            low, right = min(top + 1, h - 1), min(left + 1, w - 1)
            upper = (1 - (u - left)) * planes[:, top, left] + (u - left) * planes[:, top, right]
            lower = (1 - (u - left)) * planes[:, low, left] + (u - left) * planes[:, low, right]
            out[:, y, x] = (1 - (v - top)) * upper + (v - top) * lower
    return out


def test_every_part_has_the_parameters_counted_by_hand() -> None:
    hourglass = Generator().hourglass
    assert {name: parameter_count(part) for name, part in hourglass.named_children()} == BY_HAND


def test_the_whole_has_the_count_of_the_paper() -> None:
    assert sum(BY_HAND.values()) == 59_466
    assert parameter_count(Generator()) == 59_466 == PARAMETER_COUNT


def test_20_convolutions() -> None:
    """A joined one counts once for each of its inputs."""
    assert sum(isinstance(module, nn.Conv2d) for module in Generator().hourglass.modules()) == 20


def test_a_joined_convolution_is_one_over_the_concatenation() -> None:
    torch.manual_seed(0)
    joined = JoinedConv((2, 3), 4, strides=(2, 2)).eval()
    x, y = torch.rand(1, 2, 8, 8), torch.rand(1, 3, 8, 8)
    weight = torch.cat([part.weight for part in joined.parts], dim=1)  # type: ignore[arg-type]
    whole = nn.functional.conv2d(torch.cat([x, y], dim=1), weight, stride=2, padding=1)
    torch.testing.assert_close(joined(x, y), joined.norm(whole).relu(), atol=1e-6, rtol=0.0)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 2))
def test_shapes_and_range_of_any_multiple_of_32(rows: int, columns: int, batch: int) -> None:
    height, width = rows * STRIDE, columns * STRIDE
    guidance, mask = pair(height, width, rows)
    model = Generator().eval()
    for part in model.hourglass.head.parts:
        nn.init.normal_(part.weight, std=3.0)  # far more than trained ones: forces clamps
    with torch.no_grad():
        matte = model(guidance.repeat(batch, 1, 1, 1), mask.repeat(batch, 1, 1, 1))
    assert matte.alpha.shape == (batch, 1, height, width)
    assert matte.coefficients.shape == (batch, 4, height // 4, width // 4)
    assert matte.alpha.min() >= 0.0
    assert matte.alpha.max() <= 1.0 + 1e-6  # 6 * (1/6) in float32


def test_a_size_that_32_does_not_divide_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        Generator().eval()(torch.rand(1, 3, 40, 64), torch.rand(1, 1, 40, 64))


def test_coefficients_reproduce_alpha(trained_like: Generator, photographs: Callable[..., Pairs]) -> None:
    for guidance, mask in photographs((64, 96)):
        image = torch.from_numpy(guidance)
        alpha, coefficients = trained_like(image, torch.from_numpy(mask))
        torch.testing.assert_close(
            apply_coefficients(coefficients, image).clamp(0, 1), alpha, atol=1e-6, rtol=0.0
        )


@pytest.mark.parametrize("size", [(32, 24), (48, 64), (51, 37), (20, 30)])
def test_apply_coefficients_equals_its_definition(size: tuple[int, int]) -> None:
    """(32, 24) is four times the grid, the network's own case; the others are foreign resolutions."""
    generator = torch.Generator().manual_seed(3)
    coefficients = torch.randn(2, 4, 8, 6, generator=generator)
    guidance = torch.rand(2, 3, *size, generator=generator)
    found = apply_coefficients(coefficients, guidance)
    assert found.shape == (2, 1, *size)
    for item in range(2):
        full = bilinear(coefficients[item].numpy().astype(np.float64), *size)
        wanted = (full[:3] * guidance[item].numpy()).sum(0) + full[3]
        np.testing.assert_allclose(found[item, 0].numpy(), wanted, atol=5e-6, rtol=0.0)  # measured: 2.6e-6


def test_at_init_the_matte_is_the_refitted_start(photographs: Callable[..., Pairs]) -> None:
    guidance, mask = (torch.from_numpy(x) for x in photographs((64, 64))[0])
    with torch.no_grad():
        start = ClosedForm()(*block_means(guidance, mask))
        drawn = start.estimates[:, 0:1]
        fit = Refit().eval()(6.0 * drawn, start.image) / 6.0
        alpha, coefficients = Generator().eval()(guidance, mask)
    slope = STEEPNESS * fit[:, :3]
    image = nn.functional.avg_pool2d(guidance, 8)
    fitted = (fit[:, :3] * image).sum(1, keepdim=True) + fit[:, 3:]
    wanted = (STEEPNESS * (0.5 * (drawn + fitted) - 0.5) + 0.5).clamp(0.0, 1.0)
    offset = wanted - (slope * image).sum(1, keepdim=True)
    whole = upsample(torch.cat([slope, offset], dim=1), 2)
    torch.testing.assert_close(coefficients, whole, atol=1e-5, rtol=1e-5)
    assert alpha.std() > 0.1


def test_the_network_changes_the_start(trained_like: Generator, photographs: Callable[..., Pairs]) -> None:
    guidance, mask = (torch.from_numpy(x) for x in photographs((64, 64))[0])
    with torch.no_grad():
        difference = trained_like(guidance, mask).alpha - Generator().eval()(guidance, mask).alpha
    assert difference.abs().mean() > 1e-3


def test_the_image_is_used(trained_like: Generator, photographs: Callable[..., Pairs]) -> None:
    """A network that answered with its mask would pass many of the tests above."""
    guidance, mask = (torch.from_numpy(x) for x in photographs((64, 64))[1])
    blurred = nn.functional.avg_pool2d(
        nn.functional.pad(guidance, (4, 4, 4, 4), mode="replicate"), 9, stride=1
    )
    for model in (trained_like, Generator().eval()):
        with torch.no_grad():
            difference = (model(guidance, mask).alpha - model(blurred, mask).alpha).abs()
        assert difference.max() > 0.05
        assert difference.mean() > 1e-3


def _bias_gradient(model: Generator, bias: float, sign: float) -> float:
    """Of the sum of alpha times `sign`, with the last correction to alpha shifted by `bias`."""
    shift = nn.Parameter(torch.zeros(4))
    model.hourglass.head.register_forward_hook(lambda _, __, output: output + shift[:, None, None])
    with torch.no_grad():
        shift[3] = bias
    model.zero_grad()
    _, mask = pair(64, 64)
    alpha = model(torch.full((1, 3, 64, 64), 0.5), mask).alpha  # no colour, so no slope
    assert bool(((alpha - (1.0 if bias > 0 else 0.0)).abs() < 1e-5).all()), "not saturated: the test is void"
    (sign * alpha.sum()).backward()
    assert shift.grad is not None
    gradient = shift.grad[3].item()
    return gradient


@pytest.mark.parametrize("bias", [4.0, -4.0])
def test_in_training_the_gradient_leads_saturated_pixels_back_and_not_further_out(bias: float) -> None:
    pixels = 64 * 64
    back = math.copysign(1.0, bias)  # a loss that falls as alpha comes back
    assert back * _bias_gradient(Generator().train(), bias, back) > 0.5 * pixels
    assert _bias_gradient(Generator().train(), bias, -back) == 0.0
    assert _bias_gradient(Generator().eval(), bias, back) == 0.0


def test_training_clamps_the_same_values(photographs: Callable[..., Pairs]) -> None:
    guidance, mask = (torch.from_numpy(x) for x in photographs((64, 64))[0])
    model = Generator()  # heads of zero: batch norm in training mode changes nothing
    with torch.no_grad():
        torch.testing.assert_close(
            model.train()(guidance, mask).alpha, model.eval()(guidance, mask).alpha, atol=1e-6, rtol=0.0
        )
