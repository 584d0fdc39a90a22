"""Errors of an alpha matte against the true one, and of one tensor against another.

SAD, MSE, Grad and Conn follow Rhemann et al., "A Perceptually Motivated Online Benchmark for Image
Matting" (CVPR 2009), summed over the unknown band alone. Every function refuses what it cannot
measure (shapes that differ, NaN, alpha outside [0, 1], an empty region) with a ValueError that
names the value, so that no NaN reaches a comparison.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
AnyArray = npt.NDArray[Any]
Region = npt.NDArray[np.bool_]

GRAD_SIGMA = 1.4
CONN_THETA = 0.15
CONN_STEPS = 10
# SAD, Grad and Conn are sums over an image; the field divides them by a thousand.
SUM_SCALE = 1000.0
# A float32 matte clipped to [0, 1] and resized may pass 1 by a rounding; more is a fault.
RANGE_SLACK = 1e-6


@dataclass(frozen=True)
class AlphaMetrics:
    """The four errors of one matte; 0 is perfect, none has a unit.

    mse is a mean over the region, sad, grad and conn are sums over it divided by 1000.
    """

    mse: float
    sad: float
    grad: float
    conn: float

    def __post_init__(self) -> None:
        """Raise ValueError for an error that is no number."""
        for name, value in self.as_dict().items():
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} is {value}; an error is finite and not negative")

    def as_dict(self) -> dict[str, float]:
        """The errors by name, in the order mse, sad, grad, conn."""
        return asdict(self)


def alpha_metrics(pred: FloatArray, true: FloatArray, region: Region | None = None) -> AlphaMetrics:
    """All four errors of `pred` against `true` inside `region`.

    Args:
        pred: the matte, (H, W), float in [0, 1].
        true: the true alpha, (H, W), float in [0, 1].
        region: the unknown band, (H, W), bool; None counts every pixel.

    Raises:
        ValueError: shapes that differ, a type that is no float, NaN, a value outside [0, 1], a
            region that is not bool or is empty.
    """
    pred, true, region = _checked_alphas(pred, true, region)
    return AlphaMetrics(
        mse=_mse(pred, true, region),
        sad=_sad(pred, true, region),
        grad=_grad(pred, true, region),
        conn=_conn(pred, true, region),
    )


def mse(pred: FloatArray, true: FloatArray, region: Region | None = None) -> float:
    """Mean of (pred - true)^2 over the region. Arguments and errors: see `alpha_metrics`."""
    return _mse(*_checked_alphas(pred, true, region))


def sad(pred: FloatArray, true: FloatArray, region: Region | None = None) -> float:
    """Sum of |pred - true| over the region, / 1000. Arguments and errors: see `alpha_metrics`."""
    return _sad(*_checked_alphas(pred, true, region))


def grad(pred: FloatArray, true: FloatArray, region: Region | None = None) -> float:
    """Sum over the region of (|∇pred| - |∇true|)^2, / 1000. Arguments and errors: see `alpha_metrics`.

    ∇ convolves with the first derivatives of a Gaussian of sigma 1.4 (Rhemann et al. 2009, section
    4), of the whole matte, edge pixels repeated outside it; the filter is the true derivative, so a
    ramp that rises by s a pixel has |∇| = s. The evaluation code that came with Deep Image Matting
    (Xu et al. 2017) scales its kernels to an L2 norm of 1 instead, which multiplies this error by
    about 8 π sigma^4 = 96.6: compare no number of the one with the other.
    """
    return _grad(*_checked_alphas(pred, true, region))


def conn(pred: FloatArray, true: FloatArray, region: Region | None = None) -> float:
    """Connectivity error / 1000 (Rhemann et al. 2009, section 4). Arguments: see `alpha_metrics`.

    A pixel's level l is the largest threshold (of 0, 0.1 ... 1) at which it still belongs to the
    largest 4-connected set where pred and true both reach the threshold. With d = alpha - l, a
    matte's connectivity is 1 - d where d >= 0.15 and 1 elsewhere; the error is the sum over the
    region of the absolute difference of the two.
    """
    return _conn(*_checked_alphas(pred, true, region))


def sqnr_db(reference: AnyArray, other: AnyArray) -> float:
    """Signal to quantization noise in dB: 10 log10(sum reference^2 / sum (reference - other)^2).

    inf where the two are identical, -inf where the reference is zero and the other is not.

    Raises:
        ValueError: shapes that differ, no elements, NaN or infinity in either.
    """
    ref, oth = _checked_tensors(reference, other)
    # One scale for both leaves the ratio as it is and keeps the squares inside float64's range.
    scale = max(float(np.abs(ref).max()), float(np.abs(oth).max()))
    if scale == 0.0:
        return math.inf
    ref, oth = ref / scale, oth / scale
    signal = float(np.sum(ref**2))
    noise = float(np.sum((ref - oth) ** 2))
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def max_abs_error(reference: AnyArray, other: AnyArray) -> float:
    """Largest |reference - other|. Errors: see `sqnr_db`."""
    ref, oth = _checked_tensors(reference, other)
    return float(np.max(np.abs(ref - oth)))


def mean_abs_error(reference: AnyArray, other: AnyArray) -> float:
    """Mean |reference - other|. Errors: see `sqnr_db`."""
    ref, oth = _checked_tensors(reference, other)
    return float(np.mean(np.abs(ref - oth)))


def _mse(pred: FloatArray, true: FloatArray, region: Region) -> float:
    return float(np.mean((pred - true)[region] ** 2))


def _sad(pred: FloatArray, true: FloatArray, region: Region) -> float:
    return float(np.sum(np.abs(pred - true)[region])) / SUM_SCALE


def _grad(pred: FloatArray, true: FloatArray, region: Region) -> float:
    difference = _gradient_magnitude(pred) - _gradient_magnitude(true)
    return float(np.sum(difference[region] ** 2)) / SUM_SCALE


def _gradient_magnitude(alpha: FloatArray) -> FloatArray:
    from scipy.ndimage import gaussian_filter

    across = gaussian_filter(alpha, GRAD_SIGMA, order=(0, 1), mode="nearest")
    down = gaussian_filter(alpha, GRAD_SIGMA, order=(1, 0), mode="nearest")
    magnitude: FloatArray = np.hypot(across, down)
    return magnitude


def _conn(pred: FloatArray, true: FloatArray, region: Region) -> float:
    level = _connected_level(pred, true)
    difference = _connectivity(pred, level) - _connectivity(true, level)
    return float(np.sum(np.abs(difference)[region])) / SUM_SCALE


def _connected_level(pred: FloatArray, true: FloatArray) -> FloatArray:
    """The threshold up to which each pixel stays in the largest component, (H, W).

    A pixel that leaves at one threshold does not come back at a higher one, although the largest
    component may have moved to where it is.
    """
    level = np.zeros(pred.shape)
    inside = np.ones(pred.shape, dtype=np.bool_)
    both = np.minimum(pred, true)
    for step in range(1, CONN_STEPS + 1):
        threshold = step / CONN_STEPS
        inside &= _largest_component(both >= threshold)
        level[inside] = threshold
    return level


def _largest_component(mask: Region) -> Region:
    from scipy.ndimage import label

    labels, count = label(mask)  # scipy's default structure joins 4 neighbours
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    component: Region = labels == int(np.argmax(sizes))
    return component


def _connectivity(alpha: FloatArray, level: FloatArray) -> FloatArray:
    distance = alpha - level
    return 1.0 - np.where(distance >= CONN_THETA, distance, 0.0)


def _checked_alphas(
    pred: FloatArray, true: FloatArray, region: Region | None
) -> tuple[FloatArray, FloatArray, Region]:
    """Both mattes as float64 and the region as an array, or ValueError."""
    pred, true = _checked_alpha("pred", pred), _checked_alpha("true", true)
    if pred.shape != true.shape:
        raise ValueError(f"pred has shape {pred.shape}, true has {true.shape}")
    if region is None:
        return pred, true, np.ones(pred.shape, dtype=np.bool_)
    region = np.asarray(region)
    if region.dtype != np.bool_:
        raise ValueError(f"region has type {region.dtype}, not bool")
    if region.shape != pred.shape:
        raise ValueError(f"region has shape {region.shape}, pred has {pred.shape}")
    if not region.any():
        raise ValueError("region is empty: no pixel to measure")
    return pred, true, region


def _checked_alpha(name: str, alpha: FloatArray) -> FloatArray:
    alpha = np.asarray(alpha)
    if alpha.ndim != 2 or alpha.size == 0:
        raise ValueError(f"{name} has shape {alpha.shape}, not (H, W)")
    if not np.issubdtype(alpha.dtype, np.floating):
        raise ValueError(f"{name} has type {alpha.dtype}, not a float in [0, 1]")
    _require_finite(name, alpha)
    low, high = float(alpha.min()), float(alpha.max())
    if low < -RANGE_SLACK or high > 1.0 + RANGE_SLACK:
        raise ValueError(f"{name} spans {low:g} to {high:g}, outside [0, 1]")
    return alpha.astype(np.float64)


def _checked_tensors(reference: AnyArray, other: AnyArray) -> tuple[FloatArray, FloatArray]:
    ref = np.asarray(reference).astype(np.float64)
    oth = np.asarray(other).astype(np.float64)
    if ref.shape != oth.shape:
        raise ValueError(f"reference has shape {ref.shape}, other has {oth.shape}")
    if ref.size == 0:
        raise ValueError(f"reference has shape {ref.shape}: nothing to compare")
    _require_finite("reference", ref)
    _require_finite("other", oth)
    return ref, oth


def _require_finite(name: str, array: FloatArray) -> None:
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ValueError(f"{name} has {bad} of {array.size} values that are NaN or infinite")
