"""The budget: past what holds fails, past the goal is said, and nothing that was not measured passes."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from igf_mobile import schemes
from igf_mobile.budget import (
    BYTES,
    METRICS,
    PHOTOGRAPHS,
    SAD_RATIO,
    WEIGHT_BYTES,
    Bound,
    Spending,
    load_budget,
    not_on_photographs,
    spend,
)
from igf_mobile.contents.parts import parts
from igf_mobile.errors import DamagedFile
from igf_mobile.manifest import Manifest, load_manifest
from igf_mobile.metrics import AlphaMetrics


@pytest.fixture
def manifest(healthy_build: Path) -> Manifest:
    return load_manifest(healthy_build)


def bound(quantity: str = BYTES, goal: float = 1.0, holds: float = 1.0, **changes: Any) -> Bound:
    why = "too many operators" if holds > goal else ""
    return Bound(
        **({"backend": "fake", "scheme": "w8", "quantity": quantity, "why": why} | changes),
        goal=goal,
        holds=holds,
    )


def with_sad(manifest: Manifest, ratio: float) -> Manifest:
    record = manifest.find("fake", "w8")
    assert record is not None
    assert record.parity is not None
    reference = record.parity.float_matte
    matte = AlphaMetrics(reference.mse, reference.sad * ratio, reference.grad, reference.conn)
    changed = dataclasses.replace(record, parity=dataclasses.replace(record.parity, matte=matte))
    return dataclasses.replace(manifest, artifacts=(changed,))


def test_bytes_are_those_of_the_manifest(manifest: Manifest, healthy_build: Path) -> None:
    record = manifest.find("fake", "w8")
    assert record is not None
    size = record.bytes
    (exact,) = spend(manifest, healthy_build, [bound(goal=size, holds=size)])
    assert (exact.value, exact.failure, exact.unmet) == (size, None, None)
    (past,) = spend(manifest, healthy_build, [bound(goal=1, holds=size - 1)])
    assert past.failure == f"fake w8: bytes {size:,} is past the budget, {size - 1:,}"
    assert past.unmet is None
    (unmet,) = spend(manifest, healthy_build, [bound(goal=size - 1, holds=size)])
    assert unmet.failure is None
    assert unmet.unmet == f"goal not met: fake w8: bytes {size:,}, goal {size - 1:,}: too many operators"


@pytest.mark.parametrize(("ratio", "fails"), [(1.0, False), (1.0499, False), (1.0501, True)])
def test_accuracy(manifest: Manifest, healthy_build: Path, ratio: float, fails: bool) -> None:
    (found,) = spend(with_sad(manifest, ratio), healthy_build, [bound(SAD_RATIO, 1.05, 1.05)])
    assert (found.failure is not None) == fails


def test_a_ratio_that_is_no_number_fails() -> None:
    assert "sad_ratio nan is past the budget" in str(Spending(bound(SAD_RATIO), float("nan")).failure)


def test_weights_of_a_package(manifest: Manifest, healthy_build: Path, tmp_path: Path) -> None:
    record = manifest.find("fake", "w8")
    assert record is not None
    weights = tmp_path / record.file / "Data" / "com.apple.CoreML" / "weights"
    weights.mkdir(parents=True)
    (weights / "weight.bin").write_bytes(bytes(70))
    limits = [bound(WEIGHT_BYTES, 70, 70), bound(WEIGHT_BYTES, 69, 69)]
    assert [bool(s.failure) for s in spend(manifest, tmp_path, limits)] == [False, True]
    (absent,) = spend(manifest, healthy_build, limits[:1])
    assert absent.failure == "fake w8: weight_bytes has a budget but was not measured"


def test_what_was_not_measured_does_not_pass(manifest: Manifest, healthy_build: Path) -> None:
    record = manifest.find("fake", "w8")
    assert record is not None
    silent = dataclasses.replace(record, parity=None)
    lost = dataclasses.replace(manifest, artifacts=(silent,))
    (found,) = spend(lost, healthy_build, [bound(SAD_RATIO)])
    assert found.failure == "fake w8: sad_ratio has a budget but was not measured"
    elsewhere = dataclasses.replace(
        manifest, artifacts=(dataclasses.replace(silent, ran_on="not run: no runtime"),)
    )
    assert spend(elsewhere, healthy_build, [bound(SAD_RATIO)]) == []
    assert spend(manifest, healthy_build, [bound(backend="other")]) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantity": "kilobytes"}, "the quantity is not one of bytes, weight_bytes, sad_ratio"),
        ({"goal": float("nan")}, "goal nan is not a positive number"),
        ({"holds": True}, "holds True is not a positive number"),
        ({"holds": 0.5}, "it holds 0.5, which is tighter than the goal 1"),
        ({"holds": 2.0}, "a goal that is not met needs its reason"),
        ({"why": "no reason"}, "a goal that is not met needs its reason"),
    ],
)
def test_a_row_that_is_no_bound(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    row = {"backend": "a", "scheme": "w8", "quantity": "bytes", "goal": 1.0, "holds": 1.0, "why": ""}
    path = tmp_path / "budget.json"
    path.write_text(json.dumps([row | changes]))
    with pytest.raises(DamagedFile, match=said) as raised:
        load_budget(path)
    assert str(raised.value).startswith(f"{path} is not a budget: budget of a w8 ")


def photographed(manifest: Manifest, folder: Path, ratio: float, **changes: Any) -> Path:
    """A build's folder with what `igf eval --artifacts` writes about one artifact."""
    record = manifest.find("fake", "w8")
    assert record is not None
    row = {
        "sha256": record.sha256,
        "sad_ratio": ratio,
        "mse_ratio": 1.0,
        "grad_ratio": 1.0,
        "conn_ratio": 1.0,
    }
    folder.mkdir()
    document = {"photographs": 14, "artifacts": {"float": {"sha256": "0"}, "fake-w8": row | changes}}
    (folder / PHOTOGRAPHS).write_text(json.dumps(document))
    return folder


def test_ratios_on_photographs_are_held_to_the_same_budget(manifest: Manifest, tmp_path: Path) -> None:
    limits = [bound("photographs_sad_ratio", 1.005, 1.005), bound("photographs_mse_ratio", 1.01, 1.01)]
    good, past = (
        photographed(manifest, tmp_path / name, r) for name, r in (("good", 1.004), ("past", 1.006))
    )
    assert [s.failure for s in spend(manifest, good, limits)] == [None, None]
    assert [s.failure for s in spend(manifest, past, limits)] == [
        "fake w8: photographs_sad_ratio 1.0060 is past the budget, 1.0050",
        None,
    ]
    assert "fake-w8" not in not_on_photographs(manifest, good)


def test_what_was_measured_of_another_file_is_not_believed(
    manifest: Manifest, healthy_build: Path, tmp_path: Path
) -> None:
    limits = [bound("photographs_sad_ratio", 1.005, 1.005)]
    other = photographed(manifest, tmp_path / "other", 1.0, sha256="f" * 64)
    for folder in (other, healthy_build):
        assert spend(manifest, folder, limits) == []
        assert not_on_photographs(manifest, folder) == [
            f"fake-{scheme}" for scheme in ("fp32", "fp16", "w8", "w8a8")
        ]


def test_measurements_on_photographs_that_cannot_be_read(manifest: Manifest, tmp_path: Path) -> None:
    folder = photographed(manifest, tmp_path / "x", 1.0, sad_ratio=None)
    with pytest.raises(DamagedFile, match=r"photographs\.json is not readable"):
        spend(manifest, folder, [bound("photographs_sad_ratio")])


def test_a_bound_of_any_backend_is_one_of_each(manifest: Manifest, healthy_build: Path) -> None:
    (found,) = spend(manifest, healthy_build, [bound(goal=1, holds=1, backend="any")])
    assert found.bound.backend == "fake"
    assert str(found.failure).startswith("fake w8: bytes ")


def test_the_shipped_budget_bounds_every_scheme_but_the_reference() -> None:
    bounds = load_budget()
    sizes = {(b.backend, b.scheme) for b in bounds if b.quantity in (BYTES, WEIGHT_BYTES)}
    for backend in ("coreml", "executorch", "litert"):
        assert {(backend, "fp16"), (backend, "w8a8")} <= sizes
    for quantity in (SAD_RATIO, *(f"photographs_{metric}_ratio" for metric in METRICS)):
        bounded = {b.scheme for b in bounds if b.quantity == quantity and b.backend == "any"}
        assert bounded == set(schemes.SCHEMES) - {"fp32"}


def test_the_parts_of_a_package_are_the_whole(tmp_path: Path) -> None:
    folder = tmp_path / "x.mlpackage" / "Data" / "com.apple.CoreML"
    (folder / "weights").mkdir(parents=True)
    for name, size in (("weights/weight.bin", 70), ("model.mlmodel", 30)):
        (folder / name).write_bytes(bytes(size))
    (tmp_path / "x.mlpackage" / "Manifest.json").write_bytes(bytes(5))
    assert parts(tmp_path / "x.mlpackage") == {"weights": 70, "program": 30, "manifest": 5}
    assert parts(tmp_path / "x.unknown") == {}


def test_the_parts_of_a_cut_program_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.pte").write_bytes(bytes(100))
    with pytest.raises(
        DamagedFile, match=r"x\.pte: its parts cannot be read: it has no program header at byte 8"
    ):
        parts(tmp_path / "x.pte")
