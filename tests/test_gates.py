"""Each gate is proven by a mutant: one thing made wrong in a healthy build must fail with its name."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from igf_mobile import gates
from igf_mobile.manifest import ArtifactRecord, load_manifest
from igf_mobile.parity import Tolerance, load_tolerances
from igf_mobile.pipeline.export import export_build
from igf_mobile.pipeline.jobs import wanted_jobs
from igf_mobile.pipeline.verify import open_build, verify_build

SMALL = (96, 96)


@pytest.fixture(scope="module")
def tolerances(healthy_build: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Tolerance]:
    """Set from the healthy build, written and read as `igf verify --set-tolerances` does."""
    path = tmp_path_factory.mktemp("gates") / "tolerances.json"
    gates.write_tolerances(path, load_manifest(healthy_build))
    return load_tolerances(path)


@pytest.fixture
def verify(fake: Any, healthy_build: Path, tolerances: list[Tolerance]) -> Callable[..., list[str]]:
    """Failures of a build with these mutants: {scheme: mutant}."""

    def failures(mutants: dict[str, str], build: Path = healthy_build) -> list[str]:
        fake.module.mutants.update(mutants)
        _, sentences = verify_build(
            open_build(build, fake.checkpoint), tolerances, progress=lambda text: None
        )
        return sentences

    return failures


def record(build: Path, scheme: str) -> ArtifactRecord:
    found = load_manifest(build).find("fake", scheme)
    assert found is not None
    return found


def test_the_table_has_a_row_for_everything_measured(tolerances: list[Tolerance]) -> None:
    assert len(tolerances) == 4 * (10 + 1)
    for row in tolerances:
        assert row.backend == "fake"
        assert "fake runtime, 1 thread" in row.how


def test_a_healthy_build_passes(verify: Callable[..., list[str]]) -> None:
    assert verify({}) == []


@pytest.mark.parametrize("scheme", ["fp32", "w8a8"])
@pytest.mark.parametrize(
    "mutant",
    ["shifted guidance", "shifted alpha", "red and blue swapped", "dropped mask", "inputs swapped"],
)
def test_a_wrong_tensor_is_past_its_limits(
    verify: Callable[..., list[str]], mutant: str, scheme: str
) -> None:
    sentences = verify({scheme: mutant})
    step = "exported" if scheme == "fp32" else "quantized"
    assert any(s.startswith(f"fake {scheme}: {step} alpha.mean_abs is ") and "above" in s for s in sentences)
    assert any(s.startswith(f"fake {scheme}: {step} alpha.sqnr_db is ") and "below" in s for s in sentences)


@pytest.mark.parametrize("scheme", ["fp32", "w8"])
@pytest.mark.parametrize(
    ("mutant", "sentence"),
    [
        ("NaN", "sample 0: 1 values are not finite"),
        ("NaN coefficient", "sample 0: 1 values are not finite"),
        ("constant", "sample 0: the output is constant (0.5)"),
        ("half size", "sample 0: shape (1, 1, 48, 48) instead of (1, 1, 96, 96)"),
    ],
)
def test_outputs_that_cannot_be_compared(
    verify: Callable[..., list[str]], mutant: str, sentence: str, scheme: str
) -> None:
    assert f"fake-{scheme}: {sentence}" in verify({scheme: mutant})


def test_a_saturated_matte(verify: Callable[..., list[str]]) -> None:
    sentences = verify({"w8": "saturated"})
    assert any(
        s.startswith("fake-w8: sample 0: the matte is saturated: 0.00% of it lie between") for s in sentences
    )


def test_inputs_at_the_edges_must_give_mattes(verify: Callable[..., list[str]]) -> None:
    assert verify({"w8": "NaN on flat pictures"}) == [
        f"fake-w8: {name} picture, half a mask: {SMALL[0] * SMALL[1]} values are not finite"
        for name in ("black", "white")
    ]


@pytest.mark.parametrize(
    ("schemes", "names"),
    # those with int8 weights have the same ones
    [(("fp16",), "fake-fp16 and fake-fp32"), (("w8", "w8a8"), "fake-w8 and fake-w8a8")],
)
def test_a_scheme_that_is_another_one(
    verify: Callable[..., list[str]], schemes: tuple[str, ...], names: str
) -> None:
    sentences = verify(dict.fromkeys(schemes, "not quantized"))
    assert sentences == [f"{names} give the same bits: one of them is not what its name says"]


@pytest.mark.parametrize(
    ("scheme", "mutant", "sentence"),
    [
        ("fp16", "fallback", "fake fp16: 3 operators fell back (1 MEAN, 2 RESIZE_BILINEAR), 0 are expected"),
        ("w8a8", "left float", "fake w8a8: 19 of 20 convolutions are int8; the rest stayed float"),
        ("w8a8", "stale calibration", "igf-test-fake-w8a8.fake: its metadata say calibration_sha256 '000"),
        ("w8", "other checkpoint", "igf-test-fake-w8.fake: its metadata say checkpoint_sha256 '000"),
    ],
)
def test_a_wrong_export(
    fake: Any,
    verify: Callable[..., list[str]],
    tmp_path: Path,
    scheme: str,
    mutant: str,
    sentence: str,
) -> None:
    fake.module.mutants[scheme] = mutant
    wanted = wanted_jobs(["fake"], [scheme])
    export_build(fake.checkpoint, tmp_path / "build", wanted, SMALL, progress=lambda text: None)
    (found,) = verify({}, tmp_path / "build")
    assert found.startswith(sentence)


def test_fallen_operators_are_allowed_as_counted(healthy_build: Path) -> None:
    fallen = dataclasses.replace(
        record(healthy_build, "fp16"), parity=None, ran_on="not run: x", fallback={"A": 3}
    )

    def row(limit: float) -> list[Tolerance]:
        return [Tolerance("fake", "fp16", gates.OPERATORS, "fallback", limit, limit, "")]

    assert gates.check_artifact(fallen, row(3.0)) == []
    assert len(gates.check_artifact(fallen, row(2.0))) == 1
    assert len(gates.check_artifact(fallen, [])) == 1
    assert len(gates.check_artifact(fallen, row(float("nan")))) == 1  # no limit is not a passed one


def test_measured_nowhere_is_said(healthy_build: Path) -> None:
    silent = dataclasses.replace(record(healthy_build, "fp32"), parity=None)
    assert gates.check_artifact(silent, []) == [
        "fake fp32: no parity although it ran on fake runtime, 1 thread"
    ]


def test_every_row_of_the_table_is_needed(healthy_build: Path, tolerances: list[Tolerance]) -> None:
    for missing in tolerances:
        if missing.step == gates.OPERATORS:
            continue  # absent means none may fall back
        rest = [row for row in tolerances if row is not missing]
        (sentence,) = gates.check_artifact(record(healthy_build, missing.scheme), rest)
        assert sentence.startswith(
            f"fake {missing.scheme}: no tolerance for {missing.step} {missing.quantity}"
        )


def test_every_row_tightened_fails(healthy_build: Path, tolerances: list[Tolerance]) -> None:
    for row in tolerances:
        if row.step == gates.OPERATORS:
            continue
        tight = row.measured + 1.0 if row.quantity.endswith("sqnr_db") else 0.99 * row.measured
        rows = [dataclasses.replace(row, limit=tight) if other is row else other for other in tolerances]
        (sentence,) = gates.check_artifact(record(healthy_build, row.scheme), rows)
        assert sentence.startswith(f"fake {row.scheme}: {row.step} {row.quantity} is ")


def test_distinct_compares_schemes_of_one_backend() -> None:
    one, two = [np.zeros((1, 1, 2, 2), np.float32)], [np.ones((1, 1, 2, 2), np.float32)]
    assert gates.check_distinct({"a-fp32": one, "b-fp32": one, "a-w8": two}) == []
    (sentence,) = gates.check_distinct({"a-fp32": one, "a-w8": [one[0].copy()], "b-w8": two})
    assert "a-fp32 and a-w8 give the same bits" in sentence
    assert gates.check_distinct({"a-fp32": [*one, *one], "a-w8": [*one, *two]}) == []


def test_check_build_names_what_does_not_belong(fake: Any, healthy_build: Path, tmp_path: Path) -> None:
    manifest = load_manifest(healthy_build)
    assert gates.check_build(manifest, healthy_build, fake.checkpoint) == []

    other = tmp_path / "other.safetensors"
    other.write_bytes(fake.checkpoint.read_bytes() + b" ")
    (sentence,) = gates.check_build(manifest, healthy_build, other)
    assert "the build is of checkpoint" in sentence
    assert str(other) in sentence

    for kind in ("calibration", "proof"):
        stale = dataclasses.replace(
            manifest, **{kind: dataclasses.replace(getattr(manifest, kind), sha256="f" * 64)}
        )
        sentence, *others = gates.check_build(stale, healthy_build, fake.checkpoint)
        assert sentence.startswith(f"the build's {kind} set is ffffffffffff, this package has ")
        assert ["int8 weights and activation ranges are of calibration set" in s for s in others] == [
            True
        ] * (kind == "calibration")


def test_tolerances_of_what_a_build_does_not_hold_stay(healthy_build: Path, tmp_path: Path) -> None:
    path, manifest = tmp_path / "t.json", load_manifest(healthy_build)
    gates.write_tolerances(path, manifest)
    whole = path.read_text()
    gates.write_tolerances(path, dataclasses.replace(manifest, artifacts=manifest.artifacts[:1]))
    assert sorted(json.loads(path.read_text()), key=str) == sorted(json.loads(whole), key=str)


def test_tolerances_are_written_a_row_a_line(healthy_build: Path, tmp_path: Path) -> None:
    gates.write_tolerances(tmp_path / "t.json", load_manifest(healthy_build))
    text = (tmp_path / "t.json").read_text()
    assert len(text.splitlines()) == 44 + 2
    assert {tuple(row) for row in json.loads(text)} == {
        ("backend", "scheme", "step", "quantity", "limit", "measured", "how")
    }
