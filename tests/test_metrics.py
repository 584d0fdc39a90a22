"""Metrics: values worked out by hand, an independent reference, properties, refusals."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from igf_mobile import metrics

Array = npt.NDArray[np.floating[Any]]
ALL = (metrics.mse, metrics.sad, metrics.grad, metrics.conn)
TENSOR = (metrics.sqnr_db, metrics.max_abs_error, metrics.mean_abs_error)

# Twentieths include every threshold of Conn exactly and values between them.
alphas = hnp.arrays(np.float64, (5, 6), elements=st.integers(0, 20).map(lambda n: n / 20))
regions = hnp.arrays(np.bool_, (5, 6)).filter(lambda region: bool(region.any()))


# ---- by hand


def test_mse_and_sad_of_four_pixels() -> None:
    pred = np.array([[0.0, 0.5], [1.0, 0.25]])
    true = np.array([[0.0, 1.0], [0.0, 0.0]])
    region = np.array([[True, True], [False, True]])
    # differences 0, 0.5, 1, 0.25; the third is outside the region
    assert metrics.mse(pred, true) == (0.25 + 1.0 + 0.0625) / 4
    assert metrics.sad(pred, true) == 1.75 / 1000
    assert metrics.mse(pred, true, region) == pytest.approx((0.25 + 0.0625) / 3, rel=1e-15)
    assert metrics.sad(pred, true, region) == 0.75 / 1000


def test_grad_of_a_ramp() -> None:
    """A ramp of 0.02 a pixel against nothing, far from the edges: 0.02^2 for each of 10 pixels."""
    ramp = np.tile(np.arange(40) * 0.02, (30, 1))
    region = np.zeros((30, 40), dtype=bool)
    region[15, 15:25] = True
    # The sampled kernel is cut at 4 sigma, which costs 4e-3 of the slope.
    assert metrics.grad(ramp, np.zeros((30, 40)), region) == pytest.approx(10 * 0.02**2 / 1000, rel=1e-2)
    assert metrics.grad(ramp.T, np.zeros((40, 30)), region.T) == pytest.approx(10 * 0.02**2 / 1000, rel=1e-2)


def test_grad_of_a_step() -> None:
    """A step from 0 to 1 between two columns.

    The kernel at k is k / 1.96 * exp(-k^2 / 3.92) / 3.5093; a pixel beside the step sums it over k = 1,
    2 ...: (0.7748 + 0.7209 + 0.3020 + 0.0675 + 0.0085 + 0.0006) / 1.96 / 3.5093 = 0.27249.
    """
    step = np.zeros((20, 20))
    step[:, 10:] = 1.0
    region = np.zeros((20, 20), dtype=bool)
    region[10, 9:11] = True
    assert metrics.grad(step, np.zeros((20, 20)), region) == pytest.approx(2 * 0.27249**2 / 1000, rel=1e-3)


def test_grad_compares_magnitudes_not_directions() -> None:
    ramp = np.tile(np.arange(20) / 20, (20, 1))
    middle = np.zeros((20, 20), dtype=bool)
    middle[8:12, 8:12] = True
    assert metrics.grad(ramp, ramp[:, ::-1]) <= 1e-15
    assert metrics.grad(ramp, ramp.T, middle) <= 1e-15


def test_conn_of_an_island() -> None:
    """The largest connected set is the first two pixels. Level of the other two: 0.

    pixel 2: d is 0 against 1, connectivity 1 against 0. Pixel 3: d is 0.8 against 1, connectivity
    0.2 against 0. Together 1.2.
    """
    pred = np.array([[1.0, 1.0, 0.0, 0.8]])
    true = np.ones((1, 4))
    assert metrics.conn(pred, true) == pytest.approx(1.2 / 1000, rel=1e-12)


def test_conn_forgives_less_than_theta() -> None:
    """Level 0.9 in both columns: d is 0.04 and 0.1, both below 0.15."""
    assert metrics.conn(np.array([[1.0, 0.94]]), np.array([[1.0, 1.0]])) == 0.0


def test_conn_at_theta() -> None:
    """Level 0 (the other pixel is the component): d is 0.15 against 0: 0.15."""
    pred, true = np.array([[0.15, 0.0, 1.0, 1.0]]), np.array([[0.0, 0.0, 1.0, 1.0]])
    assert metrics.conn(pred, true) == pytest.approx(0.15 / 1000, rel=1e-12)
    pred[0, 0] = 0.149
    assert metrics.conn(pred, true) == 0.0


def test_conn_joins_four_neighbours() -> None:
    """The corner touches the pair only diagonally: level 0, so d is 0.5 against 1."""
    true = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    pred = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.5]])
    assert metrics.conn(pred, true) == pytest.approx(0.5 / 1000, rel=1e-12)


def test_sqnr_of_a_tenth() -> None:
    """Noise of a tenth of the signal is 20 dB."""
    reference = np.array([1.0, -2.0, 3.0])
    assert metrics.sqnr_db(reference, 1.1 * reference) == pytest.approx(20.0, rel=1e-12)
    assert metrics.sqnr_db(reference, np.zeros(3)) == pytest.approx(0.0, abs=1e-12)


def test_sqnr_at_its_ends() -> None:
    assert metrics.sqnr_db(np.array([1.0]), np.array([1.0])) == math.inf
    assert metrics.sqnr_db(np.zeros(2), np.zeros(2)) == math.inf
    assert metrics.sqnr_db(np.zeros(2), np.ones(2)) == -math.inf
    assert metrics.sqnr_db(np.array([1e200]), np.array([1.1e200])) == pytest.approx(20.0, rel=1e-9)
    assert metrics.sqnr_db(np.array([1e-200]), np.array([1.1e-200])) == pytest.approx(20.0, rel=1e-9)


def test_sqnr_of_integers_does_not_wrap() -> None:
    low, high = np.array([-128], dtype=np.int8), np.array([127], dtype=np.int8)
    assert metrics.max_abs_error(low, high) == 255.0
    assert metrics.sqnr_db(low, high) == pytest.approx(20 * math.log10(128 / 255), rel=1e-12)


def test_tensor_errors_by_hand() -> None:
    reference, other = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.5], [2.0, 4.0]])
    assert metrics.max_abs_error(reference, other) == 1.0
    assert metrics.mean_abs_error(reference, other) == 1.5 / 4


# ---- against an independent reference


def reference_gradient(alpha: Array) -> Array:
    """|∇alpha| by two explicit one-dimensional convolutions, cut at 6 pixels, the edge repeated."""
    x = np.arange(-6, 7)
    gauss = np.exp(-(x**2) / (2 * 1.4**2))
    gauss /= gauss.sum()
    slope = -x / 1.4**2 * gauss

    def along(values: Array, kernel: Array, axis: int) -> Array:
        return np.apply_along_axis(
            lambda v: np.convolve(np.pad(v, 6, mode="edge"), kernel, "valid"), axis, values
        )

    across = along(along(alpha, gauss, 0), slope, 1)
    down = along(along(alpha, slope, 0), gauss, 1)
    return np.sqrt(across**2 + down**2)


def reference_conn(pred: Array, true: Array, region: npt.NDArray[np.bool_]) -> float:
    """Rhemann et al. 2009 by flood fill, one pixel at a time."""
    height, width = pred.shape
    level = np.zeros((height, width))
    left = np.zeros((height, width), dtype=bool)
    for step in range(1, 11):
        todo = {(y, x) for y, x in np.ndindex(height, width) if min(pred[y, x], true[y, x]) >= step / 10}
        largest: set[tuple[int, int]] = set()
        for seed in sorted(todo):
            if seed not in todo:
                continue
            component, stack = set(), [seed]
            while stack:
                y, x = stack.pop()
                if (y, x) in todo:
                    todo.remove((y, x))
                    component.add((y, x))
                    stack += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            if len(component) > len(largest):
                largest = component
        for y, x in np.ndindex(height, width):
            if (y, x) not in largest and not left[y, x]:
                left[y, x] = True
                level[y, x] = (step - 1) / 10
    level[~left] = 1.0
    phi = [1 - (alpha - level) * ((alpha - level) >= 0.15) for alpha in (pred, true)]
    return float(np.abs(phi[0] - phi[1])[region].sum() / 1000)


@settings(max_examples=40, deadline=None)
@given(pred=alphas, true=alphas, region=regions)
def test_grad_and_conn_equal_the_reference(pred: Array, true: Array, region: npt.NDArray[np.bool_]) -> None:
    squared = (reference_gradient(pred) - reference_gradient(true)) ** 2
    assert metrics.grad(pred, true, region) == pytest.approx(squared[region].sum() / 1000, abs=1e-15)
    assert metrics.conn(pred, true, region) == pytest.approx(reference_conn(pred, true, region), abs=1e-15)


# ---- properties


@settings(max_examples=25, deadline=None)
@given(pred=alphas, true=alphas, region=regions)
def test_symmetric_and_gathered(pred: Array, true: Array, region: npt.NDArray[np.bool_]) -> None:
    together = metrics.alpha_metrics(pred, true, region)
    for metric in ALL:
        value = metric(pred, true, region)
        assert value == metric(true, pred, region) == together.as_dict()[metric.__name__]


@settings(max_examples=40, deadline=None)
@given(pred=alphas, true=alphas, region=regions)
def test_zero_where_equal_and_only_there(pred: Array, true: Array, region: npt.NDArray[np.bool_]) -> None:
    assert all(value == 0 for value in metrics.alpha_metrics(true, true, region).as_dict().values())
    differs = bool((pred != true)[region].any())
    assert (metrics.mse(pred, true, region) > 0) == (metrics.sad(pred, true, region) > 0) == differs


@settings(max_examples=40, deadline=None)
@given(damaged=alphas, true=alphas, shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_more_damage_is_more_error(damaged: Array, true: Array, shares: tuple[float, float]) -> None:
    less, more = (true + share * (damaged - true) for share in sorted(shares))
    assert metrics.mse(less, true) <= metrics.mse(more, true) + 1e-12
    assert metrics.sad(less, true) <= metrics.sad(more, true) + 1e-12


@settings(max_examples=25, deadline=None)
@given(pred=alphas, true=alphas, region=regions)
def test_sums_of_two_regions_add_up(pred: Array, true: Array, region: npt.NDArray[np.bool_]) -> None:
    assume(not region.all())
    for metric in (metrics.sad, metrics.grad, metrics.conn):
        parts = metric(pred, true, region) + metric(pred, true, ~region)
        assert parts == pytest.approx(metric(pred, true), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(pred=alphas, true=alphas, region=regions)
def test_damage_outside_the_region_does_not_count(
    pred: Array, true: Array, region: npt.NDArray[np.bool_]
) -> None:
    elsewhere = np.where(region, pred, 1 - pred)
    assert metrics.mse(pred, true, region) == metrics.mse(elsewhere, true, region)
    assert metrics.sad(pred, true, region) == metrics.sad(elsewhere, true, region)


def test_grad_grows_with_blur() -> None:
    from scipy.ndimage import gaussian_filter

    true = np.zeros((40, 40))
    true[10:30, 10:30] = 1.0
    errors = [metrics.grad(gaussian_filter(true, sigma), true) for sigma in (0.5, 1.0, 2.0, 4.0)]
    assert errors == sorted(errors) and errors[0] > 0


finite = hnp.arrays(np.float64, (4, 3), elements=st.floats(-100, 100).map(lambda x: round(x, 3)))


@settings(deadline=None, max_examples=50)
@given(reference=finite, noise=finite, scale=st.floats(0.01, 100))
def test_sqnr_does_not_know_units(reference: Array, noise: Array, scale: float) -> None:
    assume(np.abs(reference).max() > 0 and np.abs(noise).max() > 0)
    expected = metrics.sqnr_db(reference, reference + noise)
    assert metrics.sqnr_db(scale * reference, scale * (reference + noise)) == pytest.approx(
        expected, abs=1e-6
    )
    assert metrics.sqnr_db(reference, reference + 2 * noise) == pytest.approx(expected - 6.0206, abs=1e-3)


# ---- refusals

GOOD = np.full((3, 4), 0.5)


def with_value(value: float) -> Array:
    alpha = GOOD.copy()
    alpha[1, 2] = value
    return alpha


@pytest.mark.parametrize("metric", [*ALL, metrics.alpha_metrics])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (with_value(math.nan), "1 of 12 values that are NaN"),
        (with_value(math.inf), "1 of 12 values that are NaN or infinite"),
        (with_value(1.5), "spans 0.5 to 1.5"),
        (with_value(-0.01), "spans -0.01 to 0.5"),
        (GOOD[..., None], r"shape \(3, 4, 1\), not \(H, W\)"),
        (GOOD[:0], r"shape \(0, 4\)"),
        (GOOD[:2], r"pred has shape \(2, 4\), true has \(3, 4\)|pred has shape \(3, 4\), true has \(2, 4\)"),
        ((GOOD * 2).astype(np.uint8), "type uint8"),
    ],
)
def test_refuses_a_bad_alpha(metric: Any, bad: Any, message: str) -> None:
    """On either side, and NaN even where the region does not look."""
    region = np.zeros((3, 4), dtype=bool)
    region[0, 0] = True
    with pytest.raises(ValueError, match=message):
        metric(bad, GOOD, region)
    with pytest.raises(ValueError, match=message):
        metric(GOOD, bad, region)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (np.zeros((3, 4), dtype=bool), "region is empty"),
        (np.ones((4, 3), dtype=bool), r"region has shape \(4, 3\)"),
        (np.ones((3, 4)), "region has type float64, not bool"),
    ],
)
def test_refuses_a_bad_region(region: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.alpha_metrics(GOOD, GOOD, region)


def test_a_rounding_past_one_is_no_fault() -> None:
    assert metrics.mse(with_value(1 + 5e-7), with_value(1.0)) < 1e-12


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1])
def test_no_such_error(value: float) -> None:
    with pytest.raises(ValueError, match=f"grad is {value}"):
        metrics.AlphaMetrics(mse=0.1, sad=0.1, grad=value, conn=0.1)


@pytest.mark.parametrize("metric", TENSOR)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_tensors_refuse_nan(metric: Any, bad: float) -> None:
    with pytest.raises(ValueError, match="reference has 1 of 2"):
        metric(np.array([bad, 1.0]), np.array([bad, 1.0]))
    with pytest.raises(ValueError, match="other has 1 of 2"):
        metric(np.array([0.0, 1.0]), np.array([bad, 1.0]))


@pytest.mark.parametrize("metric", TENSOR)
def test_tensors_refuse_shapes(metric: Any) -> None:
    with pytest.raises(ValueError, match=r"reference has shape \(2,\), other has \(3,\)"):
        metric(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="nothing to compare"):
        metric(np.zeros(0), np.zeros(0))
