"""The gates that keep a mask smoother from shipping: the checkpoint passes, mutants without the image fail."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from igf_mobile.backends.base import FloatArray
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.composites import FOLDERS, CompositeSample, load_composites
from igf_mobile.errors import DamagedFile
from igf_mobile.matting import FloatRunner
from igf_mobile.proof.guidance import GuidanceUse, check_guidance, guidance_use, load_gates

Pair = tuple[FloatArray, FloatArray]


@pytest.fixture(scope="module")
def runner() -> FloatRunner:
    return FloatRunner(load_checkpoint(DEFAULT_CHECKPOINT)[0])


@pytest.fixture(scope="module")
def samples() -> list[CompositeSample]:
    return load_composites(FOLDERS["proof"])[:3]


def test_the_shipped_checkpoint_uses_its_image(runner: FloatRunner) -> None:
    assert check_guidance(guidance_use(runner), load_gates()) == []


def test_without_slopes_it_fails(runner: FloatRunner, samples: list[CompositeSample]) -> None:
    """A = 0 and B the block means: what heads of zero and no closed-form slope leave."""

    def no_slope(guidance: FloatArray, weak_mask: FloatArray) -> Pair:
        coefficients = torch.from_numpy(runner(guidance, weak_mask)[1].copy())
        image_lr = F.avg_pool2d(torch.from_numpy(guidance), 4)
        block = (coefficients[:, :3] * image_lr).sum(1, keepdim=True) + coefficients[:, 3:]
        alpha = F.interpolate(block, scale_factor=4, mode="bilinear").clamp(0, 1)
        return alpha.numpy(), torch.cat([torch.zeros_like(image_lr), block], 1).numpy()

    use = guidance_use(no_slope, samples)
    assert use.detail_share == 0.0
    assert any("detail_share" in sentence for sentence in check_guidance(use, load_gates()))


def test_a_mask_smoother_fails(samples: list[CompositeSample]) -> None:
    def smoother(guidance: FloatArray, weak_mask: FloatArray) -> Pair:
        low = F.avg_pool2d(torch.from_numpy(weak_mask), 4)
        alpha = F.interpolate(low, scale_factor=4, mode="bilinear")
        return alpha.numpy(), torch.cat([torch.zeros(1, 3, *low.shape[2:]), low], 1).numpy()

    use = guidance_use(smoother, samples)
    assert use.blur_change == 0.0
    assert len(check_guidance(use, load_gates())) == 2


def test_a_network_that_sees_one_picture_only_fails(
    runner: FloatRunner, samples: list[CompositeSample]
) -> None:
    """Its mattes have detail, of another photograph: only the blur tells."""
    other = samples[1].tensors()[0]

    def stale(guidance: FloatArray, weak_mask: FloatArray) -> Pair:
        return runner(other, weak_mask)

    assert guidance_use(stale, samples[:1]).blur_change == 0.0


def test_nan_and_a_missing_gate_fail() -> None:
    assert len(check_guidance(GuidanceUse(math.nan, math.nan, 0.1), load_gates())) == 2
    assert check_guidance(GuidanceUse(1.0, 1.0, 0.1), {"detail_share": 0.5}) == ["no gate for blur_change"]


def test_gates_lie_between_the_measured_and_the_mutants() -> None:
    import json

    from igf_mobile.proof.guidance import DEFAULT_GATES

    for name, row in json.loads(DEFAULT_GATES.read_text()).items():
        assert 0.0 < row["measured"] / 2 <= row["least"] < row["measured"], name


def test_gates_that_are_no_table(tmp_path: Path) -> None:
    (tmp_path / "gates.json").write_text("[1]")
    with pytest.raises(DamagedFile, match="no table of gates"):
        load_gates(tmp_path / "gates.json")


def test_alphas_are_compared_not_coefficients(samples: list[CompositeSample]) -> None:
    """Coefficients that change with the image while alpha does not are no use of it."""

    def liar(guidance: FloatArray, weak_mask: FloatArray) -> Pair:
        return weak_mask, np.repeat(guidance[:, :1, ::4, ::4], 4, axis=1)

    assert guidance_use(liar, samples[:1]).blur_change == 0.0
