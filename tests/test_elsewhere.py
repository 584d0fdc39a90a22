"""Steps of the int8 heads, found again in coefficients, with mutants on both sides of each limit."""

import numpy as np
import pytest
import torch

from igf_mobile.elsewhere.heads import Heads, Limit, apart, head_step
from igf_mobile.model import Generator
from igf_mobile.ranges import Ranges
from igf_mobile.start import ClosedForm, block_means

STEP = 0.015
SIDE = 256
BLOCKS = (SIDE // 8) ** 2


@pytest.fixture(scope="module")
def guidance() -> np.ndarray:
    """Brighter towards the object, with noise."""
    noise = np.random.default_rng(3).random((1, 3, SIDE, SIDE))
    return (np.linspace(0.3, 0.6, SIDE) + 0.1 * noise).astype(np.float32)


def coefficients(guidance: np.ndarray, corrections: np.ndarray) -> np.ndarray:
    """What the network makes of corrections (1,4,32,32), by its own arithmetic."""
    mask = torch.linspace(0.2, 0.8, SIDE).expand(1, 1, SIDE, SIDE)
    start = ClosedForm()(*block_means(torch.from_numpy(guidance), mask))
    result: np.ndarray = Generator().eval().correction(start, torch.from_numpy(corrections)).numpy()
    return result


def corrections() -> np.ndarray:
    return (0.05 * np.random.default_rng(4).standard_normal((1, 4, SIDE // 8, SIDE // 8))).astype(np.float32)


def test_a_step_is_both_heads_scales() -> None:
    table = {
        "head.parts.0:conv2d": (-1.28, 1.27),
        "head.parts.1:conv2d": (-0.64, 0.635),
        "head.parts.1:input": (0.0, 1.0),
        "head:add": (-1.0, 1.0),
    }
    assert head_step(Ranges("mse", "", "", table)) == pytest.approx(0.015)


@pytest.mark.parametrize(("channel", "least", "most"), [(0, 0.5, 1.2), (2, 0.8, 1.2), (3, 0.999, 1.001)])
@pytest.mark.parametrize("steps", [0.4, 1.0, -2.5])
def test_a_changed_correction_is_found_in_its_coefficients(
    guidance: np.ndarray, channel: int, least: float, most: float, steps: float
) -> None:
    """Of alpha, of the slope's gain, of alpha after the refit; one of the trust shows by how much the refit matters."""
    changed = corrections()
    changed[0, channel, 7, 16] += np.float32(steps * STEP)
    found = apart(
        [coefficients(guidance, corrections())], [coefficients(guidance, changed)], Heads(STEP, [guidance])
    )
    assert least * abs(steps) <= found.steps <= most * abs(steps)
    assert 1 / BLOCKS <= found.changed < 0.15  # the refit spreads a large one over its window
    past = [
        clause for clause in found.failures(Limit(changed=0.5)) if "steps of the int8 heads off" in clause
    ]
    assert bool(past) == (found.steps > Limit().steps)
    assert bool(past) == (abs(steps) > 1.0)


def test_many_blocks_a_step_off_are_past_the_share(guidance: np.ndarray) -> None:
    """What ranges do that put half-way values on the network's inputs."""
    changed = corrections()
    changed[0, 3, :2] += np.float32(STEP)
    found = apart(
        [coefficients(guidance, corrections())], [coefficients(guidance, changed)], Heads(STEP, [guidance])
    )
    assert found.steps == pytest.approx(1.0, abs=0.01)
    (clause,) = found.failures(Limit())
    assert clause.endswith("of the blocks have another code, 0.10% may")


def test_nothing_changed_and_no_number(guidance: np.ndarray) -> None:
    same = [coefficients(guidance, corrections())]
    assert apart(same, same, Heads(STEP, [guidance])).failures(Limit()) == []
    broken = [np.full_like(same[0], np.nan)]
    assert apart(same, broken, Heads(STEP, [guidance])).failures(Limit())
    with pytest.raises(ValueError, match="shorter"):
        apart(same, [], Heads(STEP, [guidance]))
