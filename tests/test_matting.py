"""The path from a photograph to a matte and to a new background, with runners that stand in for artifacts."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from igf_mobile import full_resolution, matting
from igf_mobile.backends.base import FloatArray
from igf_mobile.errors import IgfError
from igf_mobile.matting import (
    FloatRunner,
    composite,
    estimate_foreground,
    matte,
    pad_to_multiple,
    parse_colour,
)
from igf_mobile.model import Generator, apply_coefficients

SIDES = st.integers(1, 70)
SMALL = st.integers(1, 20)


def photograph(height: int, width: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """guidance (H,W,3) and a weak mask (H,W) with foreground in its middle."""
    generator = np.random.default_rng(seed)
    guidance = generator.random((height, width, 3), dtype=np.float32)
    mask = np.zeros((height, width), np.float32)
    mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = 1.0
    return guidance, mask


@pytest.fixture(scope="module")
def runner() -> FloatRunner:
    torch.manual_seed(0)
    return FloatRunner(Generator())


class Stand:
    """A runner that returns given coefficients (4,h,w) and what they give at its own resolution."""

    description = "stand-in"

    def __init__(self, coefficients: FloatArray) -> None:
        self.coefficients = coefficients
        self.seen: list[tuple[FloatArray, FloatArray]] = []

    def __call__(self, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        self.seen.append((guidance, weak_mask))
        alpha = torch_alpha(self.coefficients, guidance[0].transpose(1, 2, 0))
        return alpha[None, None], self.coefficients[None]


def torch_alpha(coefficients: FloatArray, guidance: FloatArray) -> FloatArray:
    """The independent oracle: PyTorch's upsampling, (4,h,w) and (H,W,3) -> (H,W)."""
    image = torch.from_numpy(np.ascontiguousarray(guidance.transpose(2, 0, 1)[None]))
    return apply_coefficients(torch.from_numpy(coefficients[None]), image).clamp(0.0, 1.0)[0, 0].numpy()


def random_coefficients(height: int, width: int) -> FloatArray:
    values = np.random.default_rng(1).normal(0.0, 1.0, (4, height, width)).astype(np.float32)
    values[3] += 0.5
    return values


# matte


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, size=st.sampled_from([None, (64, 64), (32, 96)]))
def test_any_photograph_gives_a_matte_of_its_size(
    runner: FloatRunner, height: int, width: int, size: tuple[int, int] | None
) -> None:
    alpha = matte(runner, *photograph(height, width), size=size)
    assert alpha.shape == (height, width) and alpha.dtype == np.float32
    assert np.isfinite(alpha).all() and alpha.min() >= 0 and alpha.max() <= 1


@pytest.mark.parametrize("size", [None, (512, 512)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_single_pixel(runner: FloatRunner, size: tuple[int, int] | None, value: float) -> None:
    guidance, _ = photograph(1, 1)
    alpha = matte(runner, guidance, np.full((1, 1), value, np.float32), size=size)
    assert alpha.shape == (1, 1) and 0 <= alpha[0, 0] <= 1


def test_photograph_of_the_runner_s_size_gets_the_runner_s_alpha(runner: FloatRunner) -> None:
    guidance, mask = photograph(64, 96)
    expected, coefficients = runner(guidance.transpose(2, 0, 1)[None].copy(), mask[None, None])
    np.testing.assert_array_equal(matte(runner, guidance, mask, size=(64, 96)), expected[0, 0])
    np.testing.assert_array_equal(matte(runner, guidance, mask, size=None), expected[0, 0])
    # and the other path would have given the same
    applied = full_resolution.apply_coefficients(coefficients[0].transpose(1, 2, 0), guidance)
    np.testing.assert_allclose(applied, expected[0, 0], atol=1e-5)


def test_runner_sees_the_photograph_at_its_size_and_upright() -> None:
    guidance = np.zeros((100, 300, 3), np.float32)
    guidance[:50, :, 0] = 1.0  # red above
    mask = np.zeros((100, 300), np.float32)
    mask[:, 150:] = 1.0  # foreground on the right
    stand = Stand(random_coefficients(16, 8))
    alpha = matte(stand, guidance, mask, size=(64, 32))
    image, small_mask = stand.seen[0]
    assert image.shape == (1, 3, 64, 32) and small_mask.shape == (1, 1, 64, 32)
    assert image[0, 0, 0].min() == 1 and image[0, 0, -1].max() == 0 and image[0, 1:].max() == 0
    assert small_mask[..., -1].min() == 1 and small_mask[..., 0].max() == 0
    np.testing.assert_allclose(alpha, torch_alpha(stand.coefficients, guidance), atol=1e-5)


def test_a_panorama_needs_memory_for_its_matte_only() -> None:
    guidance, mask = np.full((400, 12_000, 3), 0.5, np.float32), np.ones((400, 12_000), np.float32)
    stand = Stand(random_coefficients(128, 128))
    tracemalloc.start()
    try:
        alpha = matte(stand, guidance, mask)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert alpha.shape == (400, 12_000)
    # The matte and the network's small picture, 8 MB measured; the upsampled coefficients would be 77 MB more.
    assert peak < alpha.nbytes + 16e6
    expected = torch_alpha(stand.coefficients, guidance)[7:9]
    # 4.7e-5 measured: 128 cells in 12,000 steps of float32 coordinates
    np.testing.assert_allclose(alpha[7:9], expected, atol=9e-5)


@settings(max_examples=50, deadline=None)
@given(height=SIDES, width=SIDES, multiple=st.integers(1, 64))
def test_crop_undoes_padding(height: int, width: int, multiple: int) -> None:
    guidance, mask = photograph(height, width)
    padded = pad_to_multiple(guidance, mask, multiple)
    rows, columns = padded.weak_mask.shape
    assert rows % multiple == 0 and columns % multiple == 0
    assert rows - height < multiple and columns - width < multiple
    assert padded.guidance.shape == (rows, columns, 3)
    np.testing.assert_array_equal(padded.guidance[padded.crop], guidance)
    np.testing.assert_array_equal(padded.weak_mask[padded.crop], mask)
    np.testing.assert_array_equal(padded.guidance[-1, -1], guidance[-1, -1])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"guidance": np.full((8, 8, 3), np.nan, np.float32)},
            r"guidance has 192 NaN .* at \(0, 0, 0\)",
        ),
        ({"weak_mask": np.full((8, 8), np.inf, np.float32)}, "weak_mask has 64 NaN or infinite"),
        ({"guidance": np.full((8, 8, 3), 200.0, np.float32)}, "guidance has values from 200 to 200"),
        ({"guidance": np.zeros((8, 8), np.float32)}, r"guidance has shape \(8, 8\), not \(H,W,3\)"),
        ({"weak_mask": np.zeros((8, 9), np.float32)}, r"weak_mask is \(8, 9\) pixels, guidance \(8, 8\)"),
        ({"size": (100, 128)}, "size 100 x 128 is not a multiple of 32"),
        ({"size": (0, 0)}, "size 0 x 0"),
    ],
)
def test_door_refuses(runner: FloatRunner, change: dict[str, object], text: str) -> None:
    guidance, mask = photograph(8, 8)
    arguments: dict[str, object] = {"guidance": guidance, "weak_mask": mask, **change}
    with pytest.raises(ValueError, match=text):
        matte(runner, **arguments)  # type: ignore[arg-type]


def test_runner_that_returns_no_matte_is_named() -> None:
    broken = Stand(random_coefficients(16, 16))
    broken.coefficients[2, 3, 3] = np.nan
    guidance, mask = photograph(8, 8)
    with pytest.raises(IgfError, match=r"stand-in: (alpha|coefficients) has NaN"):
        matte(broken, guidance, mask, size=(64, 64))
    with pytest.raises(IgfError, match=r"coefficients has shape \(1, 4, 16, 16\), not \(1, 4, 8, 8\)"):
        matte(Stand(random_coefficients(16, 16)), guidance, mask, size=(32, 32))


# composite


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES)
def test_composite_of_a_hard_matte_is_a_choice(height: int, width: int) -> None:
    guidance, _ = photograph(height, width)
    other, _ = photograph(height, width, seed=5)
    ones = np.ones((height, width), np.float32)
    np.testing.assert_allclose(composite(guidance, ones, other), guidance, atol=1e-5)
    np.testing.assert_allclose(composite(guidance, 0 * ones, other), other, atol=1e-6)
    hard = (np.random.default_rng(2).random((height, width)) > 0.5).astype(np.float32)
    expected = np.where(hard[..., None] == 1, guidance, other)
    np.testing.assert_allclose(composite(guidance, hard, other), expected, atol=1e-5)


def test_composite_has_no_halo() -> None:
    """A soft red disc on green, put onto blue: the oracle knows the true foreground."""
    y, x = np.mgrid[:160, :160].astype(np.float32)
    alpha = np.clip((50 - np.hypot(y - 80, x - 80)) / 16 + 0.5, 0, 1).astype(np.float32)
    red, green = parse_colour("#cc2211"), parse_colour("#22bb33")
    guidance = (alpha[..., None] * red + (1 - alpha[..., None]) * green).astype(np.float32)
    truth = alpha[..., None] * red + (1 - alpha[..., None]) * parse_colour("blue")
    error = np.abs(composite(guidance, alpha, "blue") - truth).max()
    naive = np.abs(alpha[..., None] * guidance + (1 - alpha[..., None]) * parse_colour("blue") - truth).max()
    assert error <= 0.04  # 0.025 was measured
    assert naive >= 0.15  # with the photograph itself as foreground: 0.167


def test_foreground_in_strips_equals_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    guidance, _ = photograph(230, 40)
    alpha = np.random.default_rng(3).random((230, 40), dtype=np.float32)
    whole = estimate_foreground(guidance, alpha)
    monkeypatch.setattr(matting, "_STRIP_PIXELS", 40 * 7)
    np.testing.assert_allclose(estimate_foreground(guidance, alpha), whole, atol=1e-6)


def test_background_picture_covers_and_keeps_its_aspect() -> None:
    guidance, _ = photograph(40, 40)
    background = np.zeros((20, 80, 3), np.float32)
    background[:, 30:50] = 1.0  # the centre, a quarter: after scaling to 40 x 160 it is exactly what is seen
    result = composite(guidance, np.zeros((40, 40), np.float32), background)
    assert result[:, 2:-2].min() == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("#ff0000", (1, 0, 0)), ("#0F0", (0, 1, 0)), (" White ", (1, 1, 1)), ("rgb(0, 0, 255)", (0, 0, 1))],
)
def test_colours(text: str, expected: tuple[int, int, int]) -> None:
    np.testing.assert_array_equal(parse_colour(text), np.array(expected, np.float32))


@pytest.mark.parametrize("text", ["", "#12345", "nan", "0.5", "x" * 200])
def test_no_colours(text: str) -> None:
    with pytest.raises(IgfError, match="is not a colour: give #RRGGBB or a CSS name"):
        parse_colour(text)


def test_colour_hints() -> None:
    with pytest.raises(IgfError, match=r"'stealblue' is not a colour.* for example 'steelblue'"):
        parse_colour("stealblue")
    with pytest.raises(IgfError, match="'#ff000080' is not opaque"):
        parse_colour("#ff000080")
    guidance, mask = photograph(4, 4)
    with pytest.raises(IgfError, match="not a colour"):
        composite(guidance, mask, "no such colour")
    with pytest.raises(ValueError, match="background has shape"):
        composite(guidance, mask, mask)
