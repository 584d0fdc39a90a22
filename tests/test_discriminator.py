"""The discriminator's counts are the paper's, and it can be trained with a gradient penalty."""

import torch

from igf_mobile.discriminator import PAPER_COUNT, WEIGHT_COUNT, Discriminator, power_iteration_count
from igf_mobile.hourglass import parameter_count
from igf_mobile.losses import gradient_penalty

torch.set_num_threads(1)


def test_both_counts() -> None:
    """Weights: 5x5x5x32 + 3x3x(32x64 + 64x128 + 128x256) + 5x5x256 + 1 + 2x(64 + 128 + 256).

    The paper's 400,990 counts the vectors u (one per output) and v (one per input of the flattened
    kernel) of the four normalised convolutions too: implementations of 2019 kept them as parameters.
    """
    discriminator = Discriminator()
    assert parameter_count(discriminator) == WEIGHT_COUNT == 398_369
    vectors = power_iteration_count(discriminator)
    assert vectors == (32 + 125) + (64 + 288) + (128 + 576) + (256 + 1152)
    assert WEIGHT_COUNT + vectors == PAPER_COUNT == 400_990


def test_scores_are_one_per_patch_of_sixteen() -> None:
    scores = Discriminator()(torch.rand(2, 3, 64, 96), torch.rand(2, 1, 64, 96), torch.rand(2, 1, 64, 96))
    assert scores.shape == (2, 1, 4, 6)


def test_normalised_convolutions_have_spectral_norm_one() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator().eval()
    convolutions = [m for m in discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [torch.linalg.matrix_norm(c.weight.flatten(1), ord=2).item() for c in convolutions[:4]]
    # 15 power iterations at the start leave a few percent.
    assert all(0.9 < norm < 1.1 for norm in norms), norms


def test_each_input_matters() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator().eval()
    triplet = [torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)]
    score = discriminator(*triplet)
    for index in range(3):
        changed = [1.0 - t if i == index else t for i, t in enumerate(triplet)]
        assert (discriminator(*changed) - score).abs().max() > 1e-4


def test_gradient_penalty_trains_every_weight_but_the_last_bias() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator()
    guidance, mask = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32)
    penalty = gradient_penalty(
        lambda alpha: discriminator(guidance, mask, alpha),
        torch.rand(2, 1, 32, 32),
        torch.rand(2, 1, 32, 32),
        torch.rand(2),
    )
    penalty.backward()  # type: ignore[no-untyped-call]
    for name, parameter in discriminator.named_parameters():
        if parameter.ndim == 4:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
