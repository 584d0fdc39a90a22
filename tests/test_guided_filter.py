"""The guided filter against its definition, and the mistakes that comparison would catch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import reference_guided_filter as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from igf_mobile import guided_filter as gf

Array = npt.NDArray[np.floating[Any]]


class Row(NamedTuple):
    """One setting, the largest errors measured there and the limits (at most twice as much)."""

    height: int
    width: int
    radius: int
    eps: float
    subsample: int
    alpha_error: float
    alpha_limit: float
    coefficient_error: float
    coefficient_limit: float


# float32 alpha: half a unit in the last place is 3e-8. Coefficients are float64; where a side is no
# multiple of subsample, OpenCV's resize weights are float32.
TABLE = [
    Row(24, 20, 3, 1e-2, 1, 2.9e-8, 6e-8, 1.4e-15, 2.8e-15),
    Row(24, 20, 5, 1e-6, 1, 3.0e-8, 6e-8, 3.6e-15, 7.2e-15),
    Row(32, 40, 8, 1e-3, 4, 3.0e-8, 6e-8, 1.1e-14, 2.2e-14),
    Row(32, 40, 8, 1e-6, 4, 3.0e-8, 6e-8, 2.0e-13, 4.0e-13),
    Row(33, 42, 9, 1e-4, 4, 4.1e-8, 8e-8, 9.4e-8, 1.8e-7),
    Row(30, 25, 40, 1e-4, 4, 3.9e-8, 7e-8, 2.1e-8, 4.0e-8),
    Row(27, 31, 6, 1e-3, 2, 3.6e-8, 7e-8, 4.0e-8, 8.0e-8),
    Row(5, 3, 6, 1e-3, 4, 1.4e-8, 2.8e-8, 1.4e-8, 2.8e-8),
]


def disc(height: int, width: int) -> tuple[Array, Array]:
    """A coloured disc on noise, and a mask of it that is off by one row and two columns."""
    y, x = np.mgrid[:height, :width]
    inside = (x - 0.45 * width) ** 2 + (y - 0.5 * height) ** 2 < (0.3 * min(height, width)) ** 2
    noise = np.random.default_rng(0).uniform(0.0, 0.25, (height, width, 3))
    object_ = np.roll(inside, (1, 2), axis=(0, 1))[..., None] * np.array([0.6, 0.36, 0.12])
    return (noise + object_).astype(np.float32), inside.astype(np.float32)


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_equals_the_definition(row: Row) -> None:
    guidance, mask = disc(row.height, row.width)
    setting = (row.radius, row.eps, row.subsample)
    alpha = gf.fast_guided_filter(guidance, mask, *setting)
    fit = gf.coefficients(guidance, mask, *setting)
    a, b = reference.coefficients(guidance, mask, *setting)
    assert alpha.shape == mask.shape and alpha.dtype == np.float32
    assert fit.a.shape == a.shape and fit.b.shape == b.shape
    error = np.abs(alpha - reference.fast_guided_filter(guidance, mask, *setting)).max()
    assert error <= row.alpha_limit <= 2 * row.alpha_error + 1e-8
    error = max(np.abs(fit.a - a).max(), np.abs(fit.b - b).max())
    assert error <= row.coefficient_limit <= 2 * row.coefficient_error


def nearest_upsampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "INTER_LINEAR", cv2.INTER_NEAREST)


def nearest_downsampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "INTER_AREA", cv2.INTER_NEAREST)


def zeros_beyond_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gf, "_window_mean", lambda x, r: gf._window_sum(x, r) / (2 * r + 1) ** 2)


def windows_one_pixel_wider(monkeypatch: pytest.MonkeyPatch) -> None:
    mean = gf._window_mean
    monkeypatch.setattr(gf, "_window_mean", lambda x, r: mean(x, r + 1))


def no_colour_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = gf._outer
    monkeypatch.setattr(gf, "_outer", lambda x: outer(x) * np.eye(3).reshape(9))


def eps_not_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "eye", lambda n: 1e-9 * np.diag(np.ones(n)))


PATCHED = [
    nearest_upsampling,
    nearest_downsampling,
    zeros_beyond_the_edge,
    windows_one_pixel_wider,
    no_colour_covariance,
    eps_not_added,
]
# The mistakes below move some pixel by 0.032 (blue dropped) to 0.93 (measured); the limits are 6e-8.
LEAST_CHANGE = 0.02


@pytest.mark.parametrize("mutate", PATCHED)
def test_a_wrong_filter_is_caught(
    mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    guidance, mask = disc(32, 40)
    expected = reference.fast_guided_filter(guidance, mask, 8, 1e-2, 4)
    mutate(monkeypatch)
    error = np.abs(gf.fast_guided_filter(guidance, mask, 8, 1e-2, 4) - expected).max()
    assert error >= LEAST_CHANGE


@pytest.mark.parametrize(
    "wrong",
    [
        {"radius": 12},
        {"subsample": 1},
        {"eps": 1e-3},
        {"guidance": disc(32, 40)[0] * np.array([1, 1, 0], dtype=np.float32)},
        {"guidance": np.roll(disc(32, 40)[0], 1, axis=1)},
        {"mask": np.roll(disc(32, 40)[1], 1, axis=0)},
    ],
    ids=["radius", "subsample ignored", "eps", "blue dropped", "guidance shifted", "mask shifted"],
)
def test_a_wrong_argument_is_caught(wrong: dict[str, Any]) -> None:
    guidance, mask = disc(32, 40)
    right: dict[str, Any] = {"guidance": guidance, "mask": mask, "radius": 8, "eps": 1e-2, "subsample": 4}
    expected = reference.fast_guided_filter(**right)
    assert np.abs(gf.fast_guided_filter(**{**right, **wrong}) - expected).max() >= LEAST_CHANGE


def test_guided_filter_is_subsample_1() -> None:
    guidance, mask = disc(24, 20)
    np.testing.assert_array_equal(
        gf.guided_filter(guidance, mask, 3, 1e-3), gf.fast_guided_filter(guidance, mask, 3, 1e-3, 1)
    )


def test_radius_is_in_pixels_of_full_resolution() -> None:
    """At subsample 4 a radius of 6 is 1.5 small pixels, which rounds up to 2; so does 9."""
    guidance, mask = disc(32, 40)
    six, nine, ten = (gf.coefficients(guidance, mask, radius, 1e-3).a for radius in (6, 9, 10))
    np.testing.assert_array_equal(six, nine)
    assert np.abs(nine - ten).max() > 0.01


def test_two_flat_colours_by_hand() -> None:
    """One window holds everything, so alpha is the mask's mean on each colour: 13 of 16 columns, and 0."""
    true = np.zeros((32, 32), dtype=np.float32)
    true[:, 16:] = 1.0
    guidance = np.repeat((0.2 + 0.6 * true)[..., None], 3, axis=2)
    mask = np.zeros((32, 32), dtype=np.float32)
    mask[:, 19:] = 1.0
    alpha = gf.guided_filter(guidance, mask, 40, 1e-9)
    assert np.abs(alpha - 13 / 16 * true).max() <= 1e-6


@settings(max_examples=30, deadline=None)
@given(value=st.floats(0.0, 1.0, width=32), radius=st.integers(1, 40), subsample=st.integers(1, 5))
def test_a_constant_mask_stays(value: float, radius: int, subsample: int) -> None:
    guidance, _ = disc(21, 18)
    mask = np.full((21, 18), value, dtype=np.float32)
    alpha = gf.fast_guided_filter(guidance, mask, radius, 1e-3, subsample)
    assert np.abs(alpha - value).max() <= 1e-6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), radius=st.integers(1, 12))
def test_a_mask_linear_in_colour_stays(seed: int, radius: int) -> None:
    rng = np.random.default_rng(seed)
    guidance = rng.uniform(size=(16, 20, 3)).astype(np.float32)
    mask = (guidance @ np.array([0.5, 0.3, 0.1]) + 0.05).astype(np.float32)
    assert np.abs(gf.guided_filter(guidance, mask, radius, 1e-10) - mask).max() <= 1e-5


@settings(max_examples=20, deadline=None)
@given(radius=st.integers(1, 20), subsample=st.sampled_from([1, 2, 4]), order=st.permutations([0, 1, 2]))
def test_mirrors_and_channel_order(radius: int, subsample: int, order: list[int]) -> None:
    guidance, mask = disc(32, 40)
    alpha = gf.fast_guided_filter(guidance, mask, radius, 1e-3, subsample)
    mirrored = gf.fast_guided_filter(guidance[:, ::-1], mask[:, ::-1], radius, 1e-3, subsample)
    assert np.abs(mirrored[:, ::-1] - alpha).max() <= 1e-6
    reordered = gf.fast_guided_filter(guidance[..., order], mask, radius, 1e-3, subsample)
    assert np.abs(reordered - alpha).max() <= 1e-6


GUIDANCE, MASK = disc(8, 9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"guidance": MASK}, r"guidance has shape \(8, 9\)"),
        ({"guidance": GUIDANCE[..., :2]}, r"guidance has shape \(8, 9, 2\)"),
        ({"guidance": GUIDANCE[:0]}, r"guidance has shape \(0, 9, 3\)"),
        ({"mask": MASK.T}, r"mask has shape \(9, 8\)"),
        ({"guidance": GUIDANCE * np.float32(255)}, "guidance spans .* outside"),
        ({"mask": MASK - 1}, "mask spans -1 to 0, outside"),
        ({"mask": np.where(MASK > 0, np.nan, MASK)}, "mask spans nan"),
        ({"radius": 0}, "radius is 0"),
        ({"subsample": 0}, "subsample is 0"),
        ({"eps": 0.0}, "eps is 0.0"),
        ({"eps": float("nan")}, "eps is nan"),
    ],
)
def test_says_what_is_wrong(wrong: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"guidance": GUIDANCE, "mask": MASK, "radius": 3, "eps": 1e-3}
    with pytest.raises(ValueError, match=message):
        gf.fast_guided_filter(**{**arguments, **wrong})
