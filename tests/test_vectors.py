"""The golden cases of shared_vectors/ hold for this package; the apps' tests read the same files."""

import json
from pathlib import Path

import numpy as np
import pytest

from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.files import sha256_of
from igf_mobile.latency import percentile
from igf_mobile.matting import FloatRunner
from igf_mobile.vectors import write_vectors

FOLDER = Path(__file__).parent.parent / "shared_vectors"
ALPHA_TOLERANCE = 2e-5  # another processor's convolutions; 0 on the machine that wrote the case


def tensor(name: str) -> np.ndarray:
    case = json.loads((FOLDER / "matte" / "case.json").read_text())
    return np.fromfile(FOLDER / "matte" / f"{name}.f32", "<f4").reshape(case["shapes"][name])


@pytest.mark.parametrize("case", json.loads((FOLDER / "percentile.json").read_text())["cases"])
def test_percentiles(case: dict) -> None:
    assert percentile(case["samples"], case["percent"]) == case["value"]


def test_the_case_is_of_the_shipped_checkpoint() -> None:
    case = json.loads((FOLDER / "matte" / "case.json").read_text())
    assert case["checkpoint_sha256"] == sha256_of(DEFAULT_CHECKPOINT)


@pytest.mark.parametrize("name", ["guidance", "weak_mask", "alpha", "coefficients"])
def test_the_tensors_are_those_of_the_case(name: str) -> None:
    case = json.loads((FOLDER / "matte" / "case.json").read_text())
    assert sha256_of(FOLDER / "matte" / f"{name}.f32") == case["sha256"][name]


def test_the_shipped_checkpoint_gives_the_golden_matte() -> None:
    model, _ = load_checkpoint(DEFAULT_CHECKPOINT)
    alpha, _ = FloatRunner(model)(tensor("guidance"), tensor("weak_mask"))
    assert np.abs(alpha - tensor("alpha")).max() <= ALPHA_TOLERANCE
    assert np.ptp(alpha) > 0.5


def test_another_input_does_not_give_the_golden_matte() -> None:
    model, _ = load_checkpoint(DEFAULT_CHECKPOINT)
    swapped = np.ascontiguousarray(tensor("guidance")[:, ::-1])
    alpha, _ = FloatRunner(model)(swapped, tensor("weak_mask"))
    assert np.abs(alpha - tensor("alpha")).max() > 10 * ALPHA_TOLERANCE


def test_writing_again_gives_the_same_files(tmp_path: Path) -> None:
    write_vectors(DEFAULT_CHECKPOINT, tmp_path)
    written = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()}
    assert written == {p.relative_to(FOLDER) for p in FOLDER.rglob("*") if p.is_file()}
    assert (tmp_path / "percentile.json").read_text() == (FOLDER / "percentile.json").read_text()
