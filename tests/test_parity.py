"""Comparisons by hand, and gates that hold nothing back: NaN, constants, shapes, missing rows."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from igf_mobile.errors import DamagedFile
from igf_mobile.metrics import AlphaMetrics
from igf_mobile.parity import (
    EXPORTED,
    IDENTICAL_DB,
    MATTE,
    QUANTIZED,
    Comparison,
    Parity,
    Tolerance,
    compare,
    failures,
    load_tolerances,
    tolerance_rows,
)

A = [np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([[0.0, 1.0]], np.float32)]


def parity(step: str = QUANTIZED, **changes: object) -> Parity:
    whole = Parity(
        step,
        alpha=Comparison(40.0, 0.1, 0.01),
        coefficients=Comparison(30.0, 0.5, 0.02),
        matte=AlphaMetrics(mse=1.1, sad=2.0, grad=3.3, conn=4.0),
        float_matte=AlphaMetrics(mse=1.0, sad=2.0, grad=3.0, conn=8.0),
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def gate(quantity: str, limit: float, step: str = QUANTIZED) -> Tolerance:
    return Tolerance("fake", "w8", step, quantity, limit, limit, "by hand")


def test_compare_by_hand() -> None:
    b = [A[0] + np.array([[0.5, 0.0], [0.0, -1.0]], np.float32), A[1]]
    found = compare(A, b)
    assert found.max_abs == 1.0
    assert found.mean_abs == pytest.approx(1.5 / 6)
    # signal 1 + 4 + 9 + 16 + 0 + 1 = 31, noise 0.25 + 1 = 1.25
    assert found.sqnr_db == pytest.approx(10 * math.log10(31 / 1.25))


def test_the_same_tensors_have_a_finite_sqnr() -> None:
    assert compare(A, [a.copy() for a in A]) == Comparison(IDENTICAL_DB, 0.0, 0.0)
    json.dumps(dataclasses.asdict(compare(A, A)), allow_nan=False)


def test_all_samples_count_together() -> None:
    both = compare([A[0], A[0]], [A[0], A[0] + 1])
    assert both.mean_abs == pytest.approx(0.5)
    assert both.max_abs == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_compare_refuses_what_is_not_finite(value: float, side: int) -> None:
    bad = [A[0], A[1].copy()]
    bad[1][0, 0] = value
    with pytest.raises(ValueError, match="sample 1: 1 values are not finite"):
        compare(*((bad, A) if side == 0 else (A, bad)))


def test_compare_refuses_a_constant_output() -> None:
    with pytest.raises(ValueError, match=r"sample 0: the output is constant \(0.5\)"):
        compare(A, [np.full_like(A[0], 0.5), A[1]])


def test_a_constant_output_of_a_constant_reference_is_compared() -> None:
    zero = [np.zeros((2, 2), np.float32)]
    assert compare(zero, [np.full((2, 2), 0.25, np.float32)]).max_abs == 0.25


@pytest.mark.parametrize("other", [A[0].T[:1], A[0][None], A[0].ravel()])
def test_compare_refuses_another_shape(other: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"sample 0: shape .* instead of \(2, 2\)"):
        compare(A[:1], [other])


@pytest.mark.parametrize("pair", [(A, A[:1]), (A[:1], A), ([], [])])
def test_compare_refuses_another_number_of_samples(pair: tuple[list, list]) -> None:
    with pytest.raises(ValueError, match="reference tensors against"):
        compare(*pair)


def test_quantities_by_hand() -> None:
    found = parity().quantities()
    wanted = {
        (QUANTIZED, "alpha.sqnr_db"): 40.0,
        (QUANTIZED, "alpha.max_abs"): 0.1,
        (QUANTIZED, "alpha.mean_abs"): 0.01,
        (QUANTIZED, "coefficients.sqnr_db"): 30.0,
        (QUANTIZED, "coefficients.max_abs"): 0.5,
        (QUANTIZED, "coefficients.mean_abs"): 0.02,
        (MATTE, "mse_ratio"): 1.1,
        (MATTE, "sad_ratio"): 1.0,
        (MATTE, "grad_ratio"): 1.1,
        (MATTE, "conn_ratio"): 0.5,
    }
    assert found == pytest.approx(wanted)


def test_a_ratio_to_an_error_of_zero_is_no_number_and_fails() -> None:
    perfect = parity(float_matte=AlphaMetrics(mse=0.0, sad=0.0, grad=0.0, conn=0.0))
    rows = tolerance_rows("fake", "w8", parity(), "by hand")
    found = failures("fake", "w8", perfect, rows)
    assert len(found) == 4
    assert all("_ratio is nan" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("quantity", "holds", "fails", "word"),
    [("alpha.max_abs", 0.5, 0.5000001, "above"), ("alpha.sqnr_db", 0.5, 0.4999999, "below")],
)
def test_a_limit_holds_up_to_itself(quantity: str, holds: float, fails: float, word: str) -> None:
    row = gate(quantity, 0.5)
    assert row.failure(holds) is None
    sentence = row.failure(fails)
    assert sentence is not None
    assert sentence.startswith(f"fake w8: quantized {quantity} is 0.5, {word} the limit 0.5")


@pytest.mark.parametrize("quantity", ["alpha.max_abs", "alpha.sqnr_db", "sad_ratio"])
def test_nan_fails_in_both_directions(quantity: str) -> None:
    sentence = gate(quantity, 0.5).failure(math.nan)
    assert sentence is not None
    assert f"{quantity} is nan" in sentence
    assert gate(quantity, math.nan).failure(0.5) is not None


def test_what_was_measured_passes_its_own_gates() -> None:
    rows = tolerance_rows("fake", "w8", parity(), "by hand")
    assert failures("fake", "w8", parity(), rows) == []


@given(st.floats(1e-6, 10.0), st.floats(1e-6, 10.0), st.floats(1.0, 120.0))
def test_gates_stay_within_twice_the_measurement(max_abs: float, mean_abs: float, db: float) -> None:
    measured = parity(alpha=Comparison(db, max_abs, mean_abs))
    for row in tolerance_rows("fake", "w8", measured, "by hand"):
        value = measured.quantities()[row.step, row.quantity]
        assert row.failure(value) is None
        if row.step == MATTE:
            assert row.limit - 1.0 <= max(2.0 * (value - 1.0), 0.005)
        elif row.quantity.endswith("sqnr_db"):
            assert row.failure(value - 6.1) is not None  # half the amplitude
        else:
            assert row.failure(2.0 * value) is not None


def test_every_quantity_past_its_gate_is_named() -> None:
    rows = tolerance_rows("fake", "w8", parity(), "by hand")
    worse = parity(
        alpha=Comparison(30.0, 0.2, 0.02),
        coefficients=Comparison(20.0, 1.0, 0.04),
        matte=AlphaMetrics(mse=1.2, sad=2.1, grad=3.6, conn=8.1),
    )
    found = failures("fake", "w8", worse, rows)
    assert len(found) == len(rows) == 10
    for row in rows:
        assert any(s.startswith(f"fake w8: {row.step} {row.quantity} is ") for s in found)


@pytest.mark.parametrize("position", range(10))
def test_a_missing_row_fails(position: int) -> None:
    rows = tolerance_rows("fake", "w8", parity(), "by hand")
    missing = rows.pop(position)
    (sentence,) = failures("fake", "w8", parity(), rows)
    assert sentence.startswith(f"fake w8: no tolerance for {missing.step} {missing.quantity} (measured: ")


def test_rows_of_another_scheme_or_backend_do_not_count() -> None:
    rows = tolerance_rows("fake", "w8a8", parity(), "x") + tolerance_rows("other", "w8", parity(), "x")
    assert len(failures("fake", "w8", parity(), rows)) == 10


def test_a_gate_that_nothing_was_measured_for_fails() -> None:
    rows = [*tolerance_rows("fake", "w8", parity(), "by hand"), gate("alpha.sqnr", 1.0)]
    assert failures("fake", "w8", parity(), rows) == [
        "fake w8: quantized alpha.sqnr has a tolerance but was not measured"
    ]
    wrong_step = tolerance_rows("fake", "w8", parity(EXPORTED), "by hand")
    assert len(failures("fake", "w8", parity(QUANTIZED), wrong_step)) == 12


ROW = dataclasses.asdict(gate("alpha.max_abs", 0.5))


def test_tolerances_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "tolerances.json"
    path.write_text(json.dumps([ROW]))
    assert load_tolerances(path) == [gate("alpha.max_abs", 0.5)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "7",
        "{}x",
        json.dumps(["row"]),
        json.dumps([[1, 2]]),
        json.dumps([{**ROW, "extra": 1}]),
        *(json.dumps([{k: v for k, v in ROW.items() if k != name}]) for name in ROW),
    ],
)
def test_a_table_that_is_not_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tolerances.json"
    path.write_text(text)
    with pytest.raises(DamagedFile, match=r"tolerances\.json is not a table of tolerances: "):
        load_tolerances(path)


@pytest.mark.parametrize("limit", ["0.5", None, [0.5], True])
def test_a_limit_that_is_no_number(tmp_path: Path, limit: object) -> None:
    path = tmp_path / "tolerances.json"
    path.write_text(json.dumps([{**ROW, "limit": limit}]))
    with pytest.raises(DamagedFile, match=r"tolerances\.json is not a table of tolerances: "):
        load_tolerances(path)


def test_an_absent_table(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=r"none\.json is not a table of tolerances: "):
        load_tolerances(tmp_path / "none.json")
