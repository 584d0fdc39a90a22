"""The guided filter at the best of its grid; every setting is judged by MSE alone, a tenth of the four errors' time."""

from collections.abc import Sequence

import numpy as np

from igf_mobile import evaluate, metrics
from igf_mobile.evaluate import EvalCase


def best_setting(
    suite: Sequence[EvalCase],
    radii: Sequence[int] = evaluate.RADII,
    eps_values: Sequence[float] = evaluate.EPS_VALUES,
) -> tuple[int, float]:
    """(radius, eps) with the least mean MSE. The choice sees the true alpha, which flatters the filter."""
    errors = {(radius, eps): _mean_mse(suite, radius, eps) for radius in radii for eps in eps_values}
    return min(errors, key=lambda setting: errors[setting])


def _mean_mse(suite: Sequence[EvalCase], radius: int, eps: float) -> float:
    matte = evaluate.guided_filter_matte(radius, eps)
    return float(np.mean([metrics.mse(matte(c.guidance, c.weak_mask), c.alpha, c.region) for c in suite]))
