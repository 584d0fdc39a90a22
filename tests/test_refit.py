"""The refit against a slow regression in float64, with mutants; what it must never do."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from igf_mobile import refit
from igf_mobile.refit import Refit

Pairs = list[tuple[np.ndarray, np.ndarray]]
SIZE = (16, 24)

# Of the fitted alpha, from its evaluation in float64; measured 3.2e-6 at most.
LIMIT = 1.5e-5


def inputs(photographs: Callable[..., Pairs], index: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A matte (1,1,h,w), soft where the mask's outline is, and block means of its photograph."""
    guidance, mask = (torch.from_numpy(x) for x in photographs((8 * SIZE[0], 8 * SIZE[1]))[index])
    return F.avg_pool2d(F.avg_pool2d(mask, 13, 1, 6), 8), F.avg_pool2d(guidance, 8)


def fit_of(alpha: torch.Tensor, image: torch.Tensor, module: Refit | None = None) -> torch.Tensor:
    """(1,1,h,w), (1,3,h,w) -> A and B (1,4,h,w)."""
    fit: torch.Tensor = (module or Refit().eval())(6.0 * alpha, with_one(image)) / 6.0
    return fit


def fitted(fit: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """(1,4,h,w) A and B -> alpha (1,1,h,w)."""
    return (fit[:, :3] * image).sum(dim=1, keepdim=True) + fit[:, 3:]


def one_step(square: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Of conjugate gradients, from 0."""
    return np.asarray(target * (target @ target) / (target @ square @ target + 1e-9))


def regression(
    alpha: torch.Tensor,
    image: torch.Tensor,
    solve: Callable[[np.ndarray, np.ndarray], np.ndarray] = np.linalg.solve,
) -> np.ndarray:
    """Fitted alpha (h,w) in float64: normal equations of the window around each cell, A and B bilinear between."""
    alpha_lr = alpha.numpy().reshape(SIZE).astype(np.float64)
    image_lr = image[0].numpy().astype(np.float64)
    height, width = SIZE

    grid = np.zeros((4, height // 2, width // 2))
    basis = np.array([row[:3] for row in refit._BASIS[:3]])
    for i, j in np.ndindex(*grid.shape[1:]):
        window = np.s_[..., max(0, 2 * i - 4) : 2 * i + 6, max(0, 2 * j - 4) : 2 * j + 6]
        colours, values = image_lr[window].reshape(3, -1), 4.0 * alpha_lr[window].ravel()
        points = basis @ colours + np.array(refit._CENTRE[:3])[:, None]
        means = points.mean(axis=1)
        square = points @ points.T / values.size - np.outer(means, means)
        square += np.diag(refit._RIDGE) + (1.0 - refit._SQUARES_KEPT) * np.diag(means**2)
        target = points @ values / values.size - means * values.mean()
        slope = basis.T @ solve(square, target) / 4.0
        grid[:, i, j] = [*slope, values.mean() / 4.0 - slope @ colours.mean(axis=1)]
    full = F.interpolate(torch.from_numpy(grid)[None], scale_factor=2, mode="bilinear")[0].numpy()
    return np.asarray((full[:3] * image_lr).sum(axis=0) + full[3])


def with_one(image: torch.Tensor) -> torch.Tensor:
    """As `Start.image`."""
    return F.pad(image, (0, 0, 0, 0, 0, 1), value=1.0)


def differences(found: torch.Tensor, wanted: np.ndarray) -> np.ndarray:
    return np.abs(found.numpy().reshape(wanted.shape) - wanted)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_equals_a_slow_evaluation_in_float64(index: int, photographs: Callable[..., Pairs]) -> None:
    alpha, image = inputs(photographs, index)
    found = fitted(fit_of(alpha, image), image)
    assert differences(found, regression(alpha, image)).max() <= LIMIT


def test_the_limits_catch_mutants(photographs: Callable[..., Pairs]) -> None:
    alpha, image = inputs(photographs)
    wanted = regression(alpha, image)

    def fit(matte: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        return fitted(fit_of(matte, picture), picture)

    mutants = {
        "red and blue swapped": fit(alpha, image.flip(1)),
        "image shifted": fit(alpha, image.roll(4, dims=3)),
        "matte inverted": fit(1.0 - alpha, image),
        "slope dropped": F.interpolate(F.avg_pool2d(alpha, 2), scale_factor=2),
        "one step": torch.from_numpy(regression(alpha, image, one_step)),
        "no ridge": torch.from_numpy(
            regression(alpha, image, lambda s, t: np.linalg.solve(s - np.eye(3) * 0.006, t))
        ),
    }
    for name, found in mutants.items():
        assert differences(found, wanted).max() > 1000 * LIMIT, name


def test_a_matte_that_is_linear_in_colour_is_kept() -> None:
    noise = torch.rand(1, 3, SIZE[0] // 2, SIZE[1] // 2, generator=torch.Generator().manual_seed(1))
    image = F.interpolate(noise, scale_factor=2, mode="bilinear")
    alpha = 0.6 * image[:, :1] - 0.2 * image[:, 1:2] + 0.1 * image[:, 2:] + 0.2
    fit = fit_of(alpha, image)
    assert (fitted(fit, image) - alpha).abs().mean() < 0.006  # the ridges; measured 0.002
    flat = F.interpolate(F.avg_pool2d(alpha, 8), scale_factor=8)
    assert (flat - alpha).abs().mean() > 0.08
    assert (fit[0, :3].mean(dim=(1, 2)) - torch.tensor([0.6, -0.2, 0.1])).abs().max() < 0.05  # 0.014


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_matte_has_no_slope(value: float, photographs: Callable[..., Pairs]) -> None:
    alpha, image = inputs(photographs)
    fit = fit_of(torch.full_like(alpha, value), image)
    assert fit[:, :3].abs().max() < 1e-3
    assert (fitted(fit, image) - value).abs().max() < 1e-4


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["noise", "black and white", "saturated", "flat"]))
def test_is_finite_in_float16_whatever_it_sees(seed: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, 16, 16, generator=generator)
    if kind == "black and white":
        image = image.mean(dim=1, keepdim=True).round().expand(1, 3, 16, 16)
    if kind == "saturated":
        image = image.round()
    if kind == "flat":
        image = (image[..., :1, :1] + 0.002 * image).clamp(0.0, 1.0)
    alpha = torch.rand(1, 1, 16, 16, generator=generator).round()
    fit = fit_of(alpha.half(), image.half(), Refit().eval().half())
    assert fit.isfinite().all()
    assert fitted(fit, image.half()).abs().max() < 20.0


def test_training_sees_the_same_values_and_a_bounded_gradient(photographs: Callable[..., Pairs]) -> None:
    alpha, image = inputs(photographs)
    evaluated = fit_of(alpha, image)
    alpha = alpha.requires_grad_()
    trained = fit_of(alpha, image, Refit().train())
    torch.testing.assert_close(trained, evaluated, atol=1e-4, rtol=1e-4)
    matte = fitted(trained, image)
    (gradient,) = torch.autograd.grad(matte.square().mean(), alpha)
    assert gradient.isfinite().all()
    assert gradient.norm() <= 4.0 * matte.detach().norm() / alpha.numel()  # a projection, hardly more


def test_constants_are_in_no_checkpoint() -> None:
    assert not Refit().state_dict()
    assert not list(Refit().parameters())
