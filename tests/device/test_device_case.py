"""The case a phone checks its artifacts on: written with a build, and its limits tell mutants from the real thing."""

import json
from pathlib import Path

import numpy as np
import pytest

from igf_mobile import composites, gates
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.composites import load_composites
from igf_mobile.device.case import FOLDER, device_limits
from igf_mobile.errors import IgfError
from igf_mobile.files import sha256_of
from igf_mobile.matting import FloatRunner
from igf_mobile.parity import Tolerance, load_tolerances
from igf_mobile.pipeline.export import export_build

TOLERANCES = load_tolerances(gates.DEFAULT_TOLERANCES)


def row(scheme: str, step: str, quantity: str, limit: float) -> Tolerance:
    return Tolerance("b", scheme, step, quantity, limit, limit, "by hand")


def test_a_limit_is_the_sum_of_the_steps_and_more() -> None:
    rows = [row("fp32", "exported", "alpha.max_abs", 1.0), row("fp32", "exported", "alpha.mean_abs", 0.5)]
    rows += [row("w8", "quantized", "alpha.max_abs", 4.0), row("w8", "quantized", "alpha.mean_abs", 2.0)]
    assert device_limits(rows) == {
        "b": {"fp32": {"max_abs": 1.75, "mean_abs": 0.875}, "w8": {"max_abs": 8.75, "mean_abs": 4.375}}
    }


def test_a_missing_row_is_an_error() -> None:
    with pytest.raises(IgfError, match=r"no tolerance for b fp32 exported alpha.max_abs"):
        device_limits([row("fp32", "exported", "alpha.mean_abs", 0.5)])


def test_a_build_has_its_case(healthy_build: Path) -> None:
    folder = healthy_build / FOLDER
    case = json.loads((folder / "case.json").read_text())
    manifest = json.loads((healthy_build / "manifest.json").read_text())
    assert case["checkpoint_sha256"] == manifest["checkpoint"]["sha256"]
    assert case["shapes"]["guidance"][2:] == manifest["size"]
    for name, digest in case["sha256"].items():
        assert sha256_of(folder / f"{name}.f32") == digest
        assert (folder / f"{name}.f32").stat().st_size == 4 * np.prod(case["shapes"][name])


def test_a_size_without_proof_has_none(tmp_path: Path) -> None:
    export_build(DEFAULT_CHECKPOINT, tmp_path, [], (64, 64), progress=lambda text: None)
    assert not (tmp_path / FOLDER).exists()


def test_mutants_fail_every_limit() -> None:
    model, _ = load_checkpoint(DEFAULT_CHECKPOINT)
    run = FloatRunner(model)
    guidance, weak_mask = load_composites(composites.FOLDERS["proof"])[0].tensors()
    golden, _ = run(guidance, weak_mask)
    mutants = {
        "shifted by a pixel": np.roll(golden, 1, axis=3),
        "upside down": golden[:, :, ::-1],
        "red and blue swapped": run(np.ascontiguousarray(guidance[:, ::-1]), weak_mask)[0],
        "dropped mask": run(guidance, np.ones_like(weak_mask))[0],
        "constant": np.full_like(golden, golden.mean()),
    }
    for backend, schemes in device_limits(TOLERANCES).items():
        for scheme, limit in schemes.items():
            for name, mutant in mutants.items():
                assert np.abs(mutant - golden).mean() > limit["mean_abs"], f"{backend} {scheme}: {name}"
