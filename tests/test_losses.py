"""Losses against values worked out by hand, and against the paper's formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from igf_mobile.errors import IgfError
from igf_mobile.losses import (
    LOSS_PRESETS,
    LossWeights,
    block_mean_loss,
    difference_function,
    discriminator_loss,
    edge_loss,
    filtered_gabor_loss,
    gabor_bank,
    gabor_loss,
    generator_adversarial_loss,
    global_loss,
    gradient_loss,
    gradient_penalty,
    local_loss,
    reconstruction_losses,
    squared_loss,
    weighted_sum,
)
from igf_mobile.metrics import grad
from igf_mobile.model import Matte

torch.set_num_threads(1)


def plane(height: int = 16, width: int = 16, value: float = 0.0) -> Tensor:
    return torch.full((1, 1, height, width), value, dtype=torch.float64)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_global_loss_is_the_mean_absolute_error() -> None:
    alpha, target = torch.tensor([[[[0.0, 1.0], [0.5, 0.25]]]]), torch.tensor([[[[0.5, 1.0], [0.0, 0.0]]]])
    assert global_loss(alpha, target).item() == (0.5 + 0.0 + 0.5 + 0.25) / 4


def test_local_loss_averages_over_the_dilated_difference() -> None:
    target, mask = plane(), plane()
    target[..., 8, 8] = 1.0
    alpha = plane(value=0.25)
    assert difference_function(target, mask).sum() == 49
    expected = (48 * 0.25 + 0.75) / 49
    assert local_loss(alpha, target, mask).item() == pytest.approx(expected, abs=1e-12)


def test_local_loss_ignores_errors_far_from_the_mask_s() -> None:
    target, mask, alpha = plane(), plane(), plane()
    target[..., 2, 2] = 1.0
    alpha[..., 2, 2] = 1.0
    alpha[..., 12, 12] = 1.0
    assert local_loss(alpha, target, mask).item() == 0.0


def test_local_loss_of_a_perfect_mask_is_zero_and_has_a_gradient() -> None:
    alpha = noise(1, 1, 16, 16).requires_grad_()
    local_loss(alpha, plane(), plane()).backward()
    assert alpha.grad is not None and not alpha.grad.any()


def test_differences_of_a_hundredth_are_neglected() -> None:
    assert not difference_function(plane(value=0.0099), plane()).any()
    assert difference_function(plane(value=0.0101), plane()).all()


@given(seed=st.integers(0, 2**31), height=st.integers(1, 20), width=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_dilation_is_max_pooling(seed: int, height: int, width: int) -> None:
    wrong = (noise(2, 1, height, width, seed=seed) > 0.95).double()
    expected = F.max_pool2d(wrong, 7, stride=1, padding=3)
    assert torch.equal(difference_function(wrong, torch.zeros_like(wrong)), expected)


def test_gabor_bank_holds_sixteen_different_filters() -> None:
    bank = gabor_bank(dtype=torch.float64).flatten(1)
    assert bank.shape == (16, 49)
    assert torch.pdist(bank).min() > 0.05


@pytest.mark.parametrize(("index", "row", "column"), [(0, 3, 3), (0, 3, 4), (4, 2, 5), (11, 4, 1)])
def test_gabor_bank_follows_the_formula(index: int, row: int, column: int) -> None:
    theta, x, y = index * math.pi / 16, column - 3, row - 3
    across, along = x * math.cos(theta) + y * math.sin(theta), -x * math.sin(theta) + y * math.cos(theta)
    expected = math.exp(-(across**2 + 0.5**2 * along**2) / (2 * 0.5**2)) * math.cos(2 * math.pi * across / 5)
    assert gabor_bank(dtype=torch.float64)[index, 0, row, column].item() == pytest.approx(expected, abs=1e-15)


def test_gabor_filters_a_quarter_turn_apart_are_each_other_turned() -> None:
    bank = gabor_bank(dtype=torch.float64)[:, 0]
    torch.testing.assert_close(torch.rot90(bank[:8], dims=(1, 2)), bank[8:], atol=1e-12, rtol=0)


def test_gabor_bank_is_built_once() -> None:
    assert gabor_bank("cpu", torch.float32) is gabor_bank("cpu", torch.float32)


@given(seed=st.integers(0, 2**31), height=st.integers(7, 40), width=st.integers(7, 40))
@settings(max_examples=40, deadline=None)
def test_gabor_loss_is_the_energy_of_the_sixteen_responses(seed: int, height: int, width: int) -> None:
    alpha, target = noise(2, 1, height, width, seed=seed), noise(2, 1, height, width, seed=seed + 1)
    responses = F.conv2d(F.pad(alpha - target, (6, 6, 6, 6)), gabor_bank(dtype=torch.float64))
    expected = responses.square().sum() / (16 * alpha.numel())
    torch.testing.assert_close(gabor_loss(alpha, target), expected, rtol=1e-10, atol=0)


def test_gabor_loss_is_the_filtered_one_away_from_the_border() -> None:
    alpha, target = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    alpha[..., 8:24, 8:24] = noise(1, 1, 16, 16).float()
    # float32 FFT against float32 convolution: 3e-7 measured.
    torch.testing.assert_close(
        gabor_loss(alpha, target), filtered_gabor_loss(alpha, target), rtol=1e-5, atol=0
    )


def test_gabor_gradients_agree() -> None:
    gradients = []
    for loss in (gabor_loss, filtered_gabor_loss):
        alpha = torch.zeros(1, 1, 24, 24, dtype=torch.float64)
        alpha[..., 8:16, 8:16] = noise(1, 1, 8, 8)
        alpha.requires_grad_()
        loss(alpha, torch.zeros_like(alpha)).backward()
        gradients.append(alpha.grad[..., 6:-6, 6:-6])  # type: ignore[index]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-15)


def test_strided_gabor_samples_the_same_responses() -> None:
    alpha, target = noise(1, 1, 21, 21), noise(1, 1, 21, 21, seed=1)
    responses = F.conv2d(alpha - target, gabor_bank(dtype=torch.float64), padding=3)
    expected = responses[..., ::4, ::4].square().mean()
    torch.testing.assert_close(filtered_gabor_loss(alpha, target, stride=4), expected)


def test_block_mean_loss_by_hand() -> None:
    guidance, target = torch.full((1, 3, 8, 8), 0.5), torch.zeros(1, 1, 8, 8)
    target[..., :4, :4] = 1.0
    coefficients = torch.zeros(1, 4, 2, 2)
    coefficients[:, 0:3] = torch.tensor([0.2, 0.4, 0.6]).reshape(1, 3, 1, 1)
    coefficients[:, 3] = 0.1
    implied = 0.5 * 1.2 + 0.1
    expected = ((1.0 - implied) + 3 * implied) / 4
    assert block_mean_loss(coefficients, guidance, target).item() == pytest.approx(expected, abs=1e-6)


def test_gradient_loss_by_hand() -> None:
    alpha = torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]])
    # Horizontal differences 1 and 0, vertical 0 and -1.
    assert gradient_loss(alpha, torch.zeros_like(alpha)).item() == 0.5 + 0.5
    assert gradient_loss(alpha + 0.25, alpha).item() == pytest.approx(0.0, abs=1e-7)


def test_squared_loss_is_the_mean_squared_error() -> None:
    alpha = torch.tensor([[[[0.0, 1.0], [0.5, 0.25]]]])
    assert squared_loss(alpha, torch.zeros_like(alpha)).item() == (1.0 + 0.25 + 0.0625) / 4


def test_edge_loss_is_the_benchmarks_grad_per_pixel() -> None:
    """On smooth mattes, where every second pixel tells all, and inside, where borders do not count."""
    alpha, target = (
        F.avg_pool2d(F.pad(noise(1, 1, 96, 96, seed=seed), (3, 3, 3, 3)), 7, stride=1) for seed in (1, 2)
    )
    region = np.zeros((96, 96), np.bool_)
    region[4:-4, 4:-4] = True
    wanted = grad(alpha[0, 0].numpy(), target[0, 0].numpy(), region) * 1000.0 / region.sum()
    # The benchmark cuts its Gaussians off at 4 sigma, this at 3 and without renormalising the slope.
    assert edge_loss(alpha, target).item() == pytest.approx(wanted, rel=0.1)
    assert edge_loss(alpha, alpha).item() == 0.0
    shifted = torch.roll(alpha, 2, dims=3)
    assert edge_loss(alpha, shifted).item() > 0.1 * wanted


def test_discriminator_loss_wants_one_for_true_and_zero_for_predicted() -> None:
    ones, zeros = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    assert discriminator_loss(ones, zeros).item() == 0.0
    assert discriminator_loss(zeros, ones).item() == 2.0
    assert discriminator_loss(torch.tensor([0.5]), torch.tensor([0.5])).item() == 0.5


@given(score=st.floats(-3.0, 3.0))
def test_generator_is_driven_towards_a_score_of_one(score: float) -> None:
    """With the sign eq. 8 prints, a step downhill would lead away from one."""
    scores = torch.tensor([score], dtype=torch.float64, requires_grad=True)
    generator_adversarial_loss(scores).backward()
    assert scores.grad is not None
    after = (scores - 0.1 * scores.grad).item()
    assert abs(after - 1.0) <= abs(score - 1.0)


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_gradient_penalty_of_a_linear_critic(slope: float) -> None:
    direction = noise(1, 1, 8, 8)
    direction = slope * direction / direction.norm()
    penalty = gradient_penalty(
        lambda alpha: (alpha * direction).sum(dim=(1, 2, 3)),
        noise(3, 1, 8, 8),
        noise(3, 1, 8, 8, seed=1),
        noise(3),
    )
    assert penalty.item() == pytest.approx((slope - 1.0) ** 2, abs=1e-12)


def test_gradient_penalty_mixes_each_sample_by_its_own_share() -> None:
    seen: list[Tensor] = []

    def critic(alpha: Tensor) -> Tensor:
        seen.append(alpha)
        return alpha.square().mean(dim=(1, 2, 3))

    gradient_penalty(critic, torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), torch.tensor([0.25, 0.75]))
    assert seen[0][:, 0, 0, 0].tolist() == [0.25, 0.75]
    assert (seen[0].flatten(1).std(dim=1) == 0).all()


def test_gradient_penalty_reaches_the_critic_and_not_the_generator() -> None:
    weight = torch.ones(1, 1, 4, 4, requires_grad=True)
    fake = torch.rand(2, 1, 4, 4, requires_grad=True)
    gradient_penalty(
        lambda a: (weight * a).square().sum(dim=(1, 2, 3)), torch.ones(2, 1, 4, 4), fake, noise(2).float()
    ).backward()
    assert weight.grad is not None and weight.grad.abs().sum() > 0
    assert fake.grad is None


def test_paper_weights_are_those_of_section_3_4() -> None:
    paper = LOSS_PRESETS["paper"]
    assert (paper.global_, paper.local, paper.gabor, paper.adversarial) == (10.0, 1.0, 200.0, 1.0)
    assert paper.block_mean == paper.gradient == 0.0
    assert LOSS_PRESETS["fast"].adversarial == 0.0


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_impossible_weights_are_refused_by_name(value: float) -> None:
    with pytest.raises(IgfError, match="gabor"):
        LossWeights(gabor=value)


def test_losses_without_weight_are_not_computed_and_the_sum_is_weighted() -> None:
    weights = LossWeights(global_=2.0, gradient=3.0)
    matte = Matte(noise(1, 1, 32, 32), noise(1, 4, 8, 8))
    guidance, mask, target = noise(1, 3, 32, 32), plane(32, 32), noise(1, 1, 32, 32, seed=3)
    losses = reconstruction_losses(weights, matte, guidance, mask, target)
    assert set(losses) == {"global_", "gradient"}
    expected = 2.0 * global_loss(matte.alpha, target) + 3.0 * gradient_loss(matte.alpha, target)
    torch.testing.assert_close(weighted_sum(weights, losses), expected)
