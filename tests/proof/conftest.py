"""A suite of two drawn photographs: an orange disc with a soft rim on blue noise."""

import numpy as np
import pytest

from igf_mobile import evaluate


@pytest.fixture(scope="session")
def suite() -> list[evaluate.EvalCase]:
    return [evaluate.make_case(f"disc{number}", *_disc(number)) for number in (1, 2)]


def _disc(number: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:512, :512]
    alpha = np.clip((110 + 15 * number - np.hypot(x - 256, y - 256)) / 6 + 0.5, 0, 1)
    noise = np.random.default_rng(number).uniform(0, 40, (512, 512, 3))
    picture = alpha[..., None] * np.array([230, 120, 20]) + (1 - alpha[..., None]) * (
        np.array([10, 20, 90]) + noise
    )
    return picture.astype(np.uint8), np.rint(255 * alpha).astype(np.uint8)
