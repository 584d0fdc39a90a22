"""The table of activation ranges as data."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from igf_mobile import ranges
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.ranges import LEAST_SCALE, OFF_GRID, Ranges, grid, off_grid, range_of, symmetric_grid, widened

TABLE = Ranges("mse", "c" * 64, "w" * 64, {"a:conv2d": (-1.5, 3.25), "b:relu": (0.0, 1e-3)})


def test_a_table_survives_its_file(tmp_path: Path) -> None:
    ranges.save(tmp_path / "r.json", TABLE)
    assert ranges.load(tmp_path / "r.json") == TABLE
    assert '  "a:conv2d": [-1.5, 3.25],\n' in (tmp_path / "r.json").read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"observer": "min-max"},
        {"calibration_sha256": "d" * 64},
        {"weights_sha256": "x" * 64},
        {"table": {**TABLE.table, "b:relu": (0.0, 1.1e-3)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_sees_every_part(change: dict[str, object]) -> None:
    assert dataclasses.replace(TABLE, **change).sha256 != TABLE.sha256  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda d: d.pop("observer"), "no 'observer'"),
        (lambda d: d.update(schema_version=2), "schema version 2, this program reads 1"),
        (lambda d: d.update(weights_sha256=3), "weights_sha256=3 is no text"),
        (lambda d: d["table"].update({"a:conv2d": [0.5, 1.0]}), "a:conv2d is .* must be finite and hold 0"),
        (lambda d: d["table"].update({"a:conv2d": [-1.0, float("nan")]}), "a:conv2d is .* must be finite"),
        (lambda d: d["table"].update({"a:conv2d": [0.0]}), "not enough values"),
        (lambda d: d.update(table={}), "without a site"),
    ],
)
def test_damaged_tables_are_refused(damage: object, reason: str, tmp_path: Path) -> None:
    data = json.loads(TABLE.to_json())
    damage(data)  # type: ignore[operator]
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(DamagedFile, match=f"r.json is not a table of activation ranges: .*{reason}"):
        ranges.load(tmp_path / "r.json")


def test_an_unknown_site_is_named() -> None:
    with pytest.raises(IgfError, match="no 'c:add'; it is of another network"):
        TABLE["c:add"]


def test_grids() -> None:
    assert grid(0.0, 255.0) == (1.0, -128)
    assert grid(-128.0, 127.0) == (1.0, 0)
    assert grid(*ranges.LOGISTIC) == (1.0 / 256.0, -128)  # what LiteRT's LOGISTIC has
    assert grid(0.0, 0.0) == (LEAST_SCALE, -128)
    assert symmetric_grid(0.0, 255.0) == (1.0, 0)
    assert symmetric_grid(-254.0, 100.0) == (2.0, 0)


@pytest.mark.parametrize("zero_point", [-128, -3, 127])
def test_a_grid_has_a_range(zero_point: int) -> None:
    scale, found = grid(*range_of(0.037, zero_point))
    assert (pytest.approx(scale, rel=1e-12), found) == (0.037, zero_point)


def test_widened_holds_zero_and_has_a_width() -> None:
    assert widened({"a": (0.5, 2.0), "b": (-2.0, -1.0), "c": (0.0, 0.0), "d": (-1e-3, 1.0)}) == {
        "a": (0.0, 2.0),
        "b": (-2.0, 0.0),
        "c": (0.0, 255 * LEAST_SCALE),
        "d": (0.0, 1.0),
    }


def half_way(width: float) -> float:
    """The least distance of a mean of 16 pixels of 8 bits from half-way between two codes, as a share of its code."""
    scale, _ = grid(0.0, width)
    codes = np.arange(1, 16 * 255 + 1) / (16 * 255) / scale
    return float((np.abs(codes - np.floor(codes) - 0.5) / codes).min())


def test_no_mean_of_8_bits_is_half_way_between_two_codes() -> None:
    assert half_way(1.0) < 1e-12  # what it was
    assert half_way(OFF_GRID) > 1e-4  # float32 sums are right to 1e-6
    others = 1.0 + 1.0 / np.geomspace(100.0, 1e6, 500)
    assert max(half_way(float(width)) for width in others) < 1.01 * half_way(OFF_GRID)


def test_only_what_enters_is_widened() -> None:
    table = {"a:input": (-2.0, 1.0), "b:conv2d": (-2.0, 1.0)}
    assert off_grid(table, {"a:input"}) == {"a:input": (-2.0 * OFF_GRID, OFF_GRID), "b:conv2d": (-2.0, 1.0)}
