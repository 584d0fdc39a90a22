"""Exports that go on where they stopped, and a verification that believes nothing it can measure.

All with a backend of one file (`conftest.FAKE_BACKEND`), which the package has never heard of.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from igf_mobile import backends, gates
from igf_mobile.backends.base import BackendUnavailable
from igf_mobile.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import sha256_of
from igf_mobile.manifest import Manifest, load_manifest, save_manifest
from igf_mobile.parity import EXPORTED, QUANTIZED, Tolerance, load_tolerances
from igf_mobile.pipeline import keys
from igf_mobile.pipeline.export import export_build
from igf_mobile.pipeline.jobs import Job, wanted_jobs
from igf_mobile.pipeline.runners import open_runner
from igf_mobile.pipeline.verify import open_build, verify_build

SMALL = (96, 96)
SCHEMES = ["fp32", "fp16", "w8", "w8a8"]


@pytest.fixture
def build(healthy_build: Path, tmp_path: Path) -> Path:
    return shutil.copytree(healthy_build, tmp_path / "build")


@pytest.fixture
def export(fake: Any) -> Callable[..., Manifest]:
    def run(folder: Path, schemes: list[str] | None = None, checkpoint: Path | None = None) -> Manifest:
        wanted = wanted_jobs(["fake"], schemes)
        return export_build(checkpoint or fake.checkpoint, folder, wanted, SMALL, progress=lambda text: None)

    return run


@pytest.fixture(scope="module")
def tolerances(healthy_build: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Tolerance]:
    path = tmp_path_factory.mktemp("gates") / "tolerances.json"
    gates.write_tolerances(path, load_manifest(healthy_build))
    return load_tolerances(path)


def verify(build: Path, fake: Any, tolerances: list[Tolerance]) -> list[str]:
    return verify_build(open_build(build, fake.checkpoint), tolerances, progress=lambda text: None)[1]


def artifact(build: Path, scheme: str) -> Path:
    return build / f"igf-test-fake-{scheme}.fake"


# The fourth backend


def test_one_file_makes_a_backend(fake: Any) -> None:
    assert backends.names() == ["coreml", "executorch", "fake", "litert"]
    assert backends.get("fake") is fake.module.BACKEND
    assert [job.name for job in wanted_jobs(["fake"])] == [f"fake-{scheme}" for scheme in SCHEMES]


def test_it_is_exported_and_measured(healthy_build: Path) -> None:
    manifest = load_manifest(healthy_build)
    assert [record.scheme for record in manifest.artifacts] == SCHEMES
    assert (manifest.name, manifest.version, manifest.size) == ("igf-test", "1.2", SMALL)
    assert manifest.tools["no-such-distribution"] == "absent"
    assert manifest.tools["torch"] == torch.__version__.split("+")[0]
    for record in manifest.artifacts:
        assert record.sha256 == sha256_of(artifact(healthy_build, record.scheme))
        assert record.ran_on == "fake runtime, 1 thread"
        assert record.parity is not None
        assert record.parity.step == (EXPORTED if record.scheme == "fp32" else QUANTIZED)
        assert record.latency is not None
        assert record.latency.iterations == 3
        assert (healthy_build / "mattes" / f"fake-{record.scheme}" / "small.png").is_file()
    assert (healthy_build / "mattes" / "float" / "small.png").is_file()
    errors = [record.parity.alpha.mean_abs for record in manifest.artifacts if record.parity]
    # E|noise| of the fake is 0.8 of its deviation, 1e-6, 2e-4, 1e-3, 3e-3, but 0 in the quarter that is black or white;
    # int8 weights put 4e-4 on it
    assert errors == pytest.approx([0.6e-6, 1.2e-4, 0.72e-3, 1.8e-3], rel=0.25)


def test_metadata_are_those_of_the_build(healthy_build: Path) -> None:
    manifest = load_manifest(healthy_build)
    for scheme in SCHEMES:
        wanted = {
            "name": "igf-test",
            "version": "1.2",
            "licence": "Apache-2.0",
            "checkpoint_sha256": manifest.checkpoint.sha256,
            "scheme": scheme,
        }
        assert manifest.ranges is not None
        assert manifest.ranges.rounded is not None
        if scheme in ("w8", "w8a8"):
            wanted["calibration_sha256"] = manifest.calibration.sha256
            wanted["rounded_sha256"] = manifest.ranges.rounded.sha256
        if scheme == "w8a8":
            wanted["ranges_sha256"] = manifest.ranges.sha256
            wanted["ranges_origin"] = "PTQ, mse"
        assert backends.get("fake").read_metadata(artifact(healthy_build, scheme)) == wanted


# Which jobs


def test_jobs_of_all_backends_and_the_float_step(fake: Any) -> None:
    assert [job.name for job in wanted_jobs(["litert", "fake"], ["w8a8"])] == [
        "litert-fp32",
        "litert-w8a8",
        "fake-fp32",
        "fake-w8a8",
    ]


def test_jobs_refuses_unknown_names(fake: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^unknown backend 'tflite'; available: coreml, executorch, fake, litert$"
    ):
        wanted_jobs(["tflite"])
    with pytest.raises(ValueError, match=r"^fake has no scheme 'int8'; it has fp32, fp16, w8, w8a8$"):
        wanted_jobs(["fake"], ["int8"])


# What is built again


def test_a_second_export_builds_nothing(fake: Any, export: Callable[..., Manifest], build: Path) -> None:
    before = {path: path.read_bytes() for path in build.rglob("*") if path.is_file()}
    said: list[str] = []
    export_build(fake.checkpoint, build, wanted_jobs(["fake"]), SMALL, progress=said.append)
    assert fake.module.exported == []
    assert said == [f"fake-{scheme}: current" for scheme in SCHEMES]
    assert {path: path.read_bytes() for path in build.rglob("*") if path.is_file()} == before


def test_another_checkpoint_builds_everything(
    fake: Any, export: Callable[..., Manifest], build: Path, tmp_path: Path
) -> None:
    model, info = load_checkpoint(fake.checkpoint)
    with torch.no_grad():
        model.hourglass.head.parts[0].weight += 1e-3
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, model, info)
    old = load_manifest(build)
    new = export(build, checkpoint=other)
    assert fake.module.exported == SCHEMES
    assert all(a.sha256 != b.sha256 for a, b in zip(old.artifacts, new.artifacts, strict=True))


def test_another_name_in_the_checkpoint_builds_everything(
    fake: Any, export: Callable[..., Manifest], build: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, load_checkpoint(fake.checkpoint)[0], CheckpointInfo("igf-test", "1.3", "MIT"))
    export(build, checkpoint=other)
    assert fake.module.exported == SCHEMES


def test_another_backend_file_builds_everything(
    fake: Any, export: Callable[..., Manifest], build: Path
) -> None:
    text = fake.file.read_text()
    try:
        fake.file.write_text(text + "# changed\n")
        export(build)
    finally:
        fake.file.write_text(text)
    assert fake.module.exported == SCHEMES


@pytest.mark.parametrize(
    "file",
    ["rounding.py", "calibration.py", "backends/base.py", "xnnpack_graph/sinking.py", "contents/pte.py"],
)
def test_another_file_of_ours_is_another_key(
    fake: Any, healthy_build: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    manifest, job = load_manifest(healthy_build), Job("fake", "w8")
    before = keys.key_of(job, manifest)
    changed = Path(keys.__file__).parents[1] / file
    monkeypatch.setattr(keys, "sha256_of", lambda path: "0" if Path(path) == changed else sha256_of(path))
    assert keys.key_of(job, manifest) != before


@pytest.mark.parametrize("damage", ["deleted", "changed", "truncated"])
@pytest.mark.parametrize("scheme", ["fp32", "w8"])
def test_one_damaged_artifact_is_the_one_built_again(
    fake: Any, export: Callable[..., Manifest], build: Path, healthy_build: Path, damage: str, scheme: str
) -> None:
    path = artifact(build, scheme)
    content = path.read_bytes()
    path.unlink()
    if damage == "changed":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "truncated":
        path.write_bytes(content[:100])
    manifest = export(build)
    assert fake.module.exported == [scheme]
    assert path.read_bytes() == content
    assert [r.sha256 for r in manifest.artifacts] == [
        r.sha256 for r in load_manifest(healthy_build).artifacts
    ]


def test_a_damaged_manifest_builds_everything(
    fake: Any, export: Callable[..., Manifest], build: Path
) -> None:
    (build / "manifest.json").write_text("{")
    export(build)
    assert fake.module.exported == SCHEMES


def test_a_killed_export_goes_on(fake: Any, export: Callable[..., Manifest], tmp_path: Path) -> None:
    folder = tmp_path / "build"
    fake.module.mutants["w8"] = "killed"
    with pytest.raises(KeyboardInterrupt):
        export(folder)
    assert fake.module.exported == ["fp32", "fp16"]
    assert [record.scheme for record in load_manifest(folder).artifacts] == ["fp32", "fp16"]
    assert not artifact(folder, "w8").exists()

    fake.module.mutants.clear()
    fake.module.exported.clear()
    manifest = export(folder)
    assert fake.module.exported == ["w8", "w8a8"]
    assert [record.scheme for record in manifest.artifacts] == SCHEMES
    assert load_manifest(folder) == manifest


def test_a_kill_forgets_nothing_that_was_current(
    fake: Any, export: Callable[..., Manifest], build: Path
) -> None:
    artifact(build, "fp16").unlink()
    artifact(build, "w8").unlink()
    fake.module.mutants["w8"] = "killed"
    with pytest.raises(KeyboardInterrupt):
        export(build)
    fake.module.mutants.clear()
    fake.module.exported.clear()
    export(build)
    assert fake.module.exported == ["w8"]  # and not w8a8, which was current all the time


def test_exporting_one_scheme_keeps_the_others(
    fake: Any, export: Callable[..., Manifest], build: Path
) -> None:
    export(build, ["fp16"])
    export(build)
    assert fake.module.exported == []


def test_artifacts_that_end_at_the_coefficients_are_others(fake: Any, build: Path) -> None:
    wanted = wanted_jobs(["fake"])
    arguments = (fake.checkpoint, build, wanted, SMALL, lambda text: None, True)
    manifest = export_build(*arguments)
    assert fake.module.exported == SCHEMES
    assert manifest.coefficients_only and load_manifest(build).coefficients_only
    assert {tensor.name for record in manifest.artifacts for tensor in record.outputs} == {"coefficients"}
    fake.module.exported.clear()
    export_build(*arguments)
    assert fake.module.exported == []


def test_outputs_that_cannot_be_compared_stop_the_export(
    fake: Any, export: Callable[..., Manifest], tmp_path: Path
) -> None:
    fake.module.mutants["fp16"] = "NaN"
    with pytest.raises(IgfError, match="alpha has NaN or infinite values"):
        export(tmp_path / "build")
    assert [record.scheme for record in load_manifest(tmp_path / "build").artifacts] == ["fp32"]


def test_what_cannot_run_here_is_recorded_as_such(
    fake: Any, export: Callable[..., Manifest], tmp_path: Path
) -> None:
    fake.module.unavailable = "it wants a phone"
    manifest = export(tmp_path / "build")
    assert fake.module.exported == SCHEMES
    for record in manifest.artifacts:
        assert record.ran_on == "not run: it wants a phone"
        assert record.parity is None
        assert record.latency is None


def test_a_size_that_the_proof_set_does_not_have_is_recorded_as_such(fake: Any, tmp_path: Path) -> None:
    wanted = wanted_jobs(["fake"], ["fp32"])
    folder = tmp_path / "build"
    manifest = export_build(fake.checkpoint, folder, wanted, (64, 64), progress=lambda text: None)
    (record,) = manifest.artifacts
    assert record.ran_on.startswith("not run: ")
    assert record.ran_on.endswith("the artifact 64 x 64")
    assert record.inputs[0].shape == (1, 3, 64, 64)


# Verification


def test_a_healthy_build_passes(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    manifest, failures = verify_build(
        open_build(build, fake.checkpoint), tolerances, progress=lambda text: None
    )
    assert failures == []
    assert fake.module.exported == []
    assert [r.parity for r in manifest.artifacts] == [r.parity for r in load_manifest(build).artifacts]


@pytest.mark.parametrize("scheme", ["fp32", "w8a8"])
def test_a_flipped_byte(fake: Any, build: Path, tolerances: list[Tolerance], scheme: str) -> None:
    path = artifact(build, scheme)
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    failures = verify(build, fake, tolerances)
    assert f"{path.name} does not have the sha256 of the manifest; it was changed or damaged" in failures
    without_reference = [s for s in failures if "its float artifact fake-fp32 is absent or damaged" in s]
    assert len(without_reference) == (3 if scheme == "fp32" else 0)


def test_int8_weights_that_were_changed(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    path = build / "int8-weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 64  # of a number's exponent
    path.write_bytes(content)
    failures = verify(build, fake, tolerances)
    assert failures[0] == f"{path.name} is not the file that the artifacts were made from"
    assert any("the int8 weights of hourglass." in sentence for sentence in failures[1:])


def test_int8_weights_that_are_gone(
    fake: Any, build: Path, tolerances: list[Tolerance], export: Callable[..., Manifest]
) -> None:
    (build / "int8-weights.safetensors").unlink()
    with pytest.raises(IgfError, match=r"int8-weights\.safetensors"):
        verify(build, fake, tolerances)
    export(build)
    assert verify(build, fake, tolerances) == []


def test_an_absent_artifact(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    artifact(build, "w8").unlink()
    assert verify(build, fake, tolerances) == [f"igf-test-fake-w8.fake is in the manifest but not in {build}"]


def test_a_damaged_artifact_whose_sum_was_put_into_the_manifest(
    fake: Any, build: Path, tolerances: list[Tolerance]
) -> None:
    path = artifact(build, "w8")
    path.write_bytes(path.read_bytes()[:5000])
    change_artifact(build, "w8", sha256=sha256_of(path), bytes=5000)
    (sentence,) = verify(build, fake, tolerances)
    assert f"{path} is not a whole safetensors file" in sentence


def test_another_artifact_under_its_name(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    """fp16 sold as w8: distances would pass, the metadata do not."""
    shutil.copy(artifact(build, "fp16"), artifact(build, "w8"))
    change_artifact(
        build, "w8", sha256=sha256_of(artifact(build, "w8")), bytes=artifact(build, "w8").stat().st_size
    )
    (sentence,) = verify(build, fake, tolerances)
    assert sentence == "igf-test-fake-w8.fake: its metadata say scheme 'fp16', the manifest 'w8'"


@pytest.mark.parametrize("quantity", ["alpha.max_abs", "coefficients.sqnr_db", "grad_ratio"])
def test_a_tightened_tolerance(fake: Any, build: Path, tolerances: list[Tolerance], quantity: str) -> None:
    def tightened(row: Tolerance) -> Tolerance:
        if (row.scheme, row.quantity) != ("w8a8", quantity):
            return row
        limit = row.measured + 1.0 if quantity.endswith("_db") else 0.9 * row.measured
        return dataclasses.replace(row, limit=limit)

    (sentence,) = verify(build, fake, [tightened(row) for row in tolerances])
    assert sentence.startswith("fake w8a8: ")
    assert f" {quantity} is " in sentence
    assert "the limit" in sentence


def test_an_absent_tolerance(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    rest = [row for row in tolerances if (row.scheme, row.quantity) != ("fp16", "alpha.mean_abs")]
    (sentence,) = verify(build, fake, rest)
    assert sentence.startswith("fake fp16: no tolerance for quantized alpha.mean_abs")


def test_another_checkpoint(fake: Any, build: Path, tolerances: list[Tolerance], tmp_path: Path) -> None:
    model, info = load_checkpoint(fake.checkpoint)
    with torch.no_grad():
        model.hourglass.head.parts[0].weight += 0.05
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, model, info)
    _, failures = verify_build(open_build(build, other), tolerances, progress=lambda text: None)
    assert "the build is of checkpoint" in failures[0]
    assert any(s.startswith("fake fp32: exported alpha.mean_abs is ") for s in failures)


def test_a_damaged_checkpoint(fake: Any, build: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(fake.checkpoint.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match=r"broken\.safetensors is not a whole safetensors file"):
        verify_build(open_build(build, broken), [], progress=lambda text: None)


def change_artifact(build: Path, scheme: str, **changes: object) -> None:
    manifest = load_manifest(build)
    records = tuple(
        dataclasses.replace(r, **changes) if r.scheme == scheme else r  # type: ignore[arg-type]
        for r in manifest.artifacts
    )
    save_manifest(dataclasses.replace(manifest, artifacts=records), build)


@pytest.mark.parametrize("name", ["name", "version", "licence"])
def test_metadata_that_differ_from_the_manifest(
    fake: Any, build: Path, tolerances: list[Tolerance], name: str
) -> None:
    save_manifest(dataclasses.replace(load_manifest(build), **{name: "else"}), build)  # type: ignore[arg-type]
    failures = verify(build, fake, tolerances)
    assert len(failures) == 4
    for sentence, scheme in zip(failures, SCHEMES, strict=True):
        assert sentence.startswith(f"igf-test-fake-{scheme}.fake: its metadata say {name} ")
        assert sentence.endswith("the manifest 'else'")


def test_parity_in_the_manifest_is_not_believed(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    fake.module.mutants["w8"] = "shifted alpha"
    failures = verify(build, fake, tolerances)
    assert any(s.startswith("fake w8: quantized alpha.mean_abs is ") for s in failures)


def test_a_manifest_that_says_not_run_is_not_believed(
    fake: Any, build: Path, tolerances: list[Tolerance]
) -> None:
    """The size is that of the proof set, so nothing excuses an artifact from being measured."""
    fake.module.mutants["w8"] = "shifted alpha"
    change_artifact(
        build, "w8", ran_on="not run: the proof set is 512 x 512, the artifact 96 x 96", parity=None
    )
    failures = verify(build, fake, tolerances)
    assert any(s.startswith("fake w8: quantized alpha.mean_abs is ") for s in failures)


def test_what_cannot_run_here_is_still_held_to_its_operators(
    fake: Any, build: Path, tolerances: list[Tolerance]
) -> None:
    change_artifact(build, "w8", fallback={"MEAN": 2})
    fake.module.unavailable = "it wants a phone"
    assert verify(build, fake, tolerances) == ["fake w8: 2 operators fell back (2 MEAN), 0 are expected"]


def test_a_build_of_nothing_does_not_pass(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    save_manifest(dataclasses.replace(load_manifest(build), artifacts=()), build)
    try:
        failures = verify(build, fake, tolerances)
    except IgfError as error:
        failures = [str(error)]
    assert failures


# Runners by name


def test_open_runner(fake: Any, build: Path) -> None:
    runner, size = open_runner("fake", "w8", build, fake.checkpoint)
    assert (runner.description, size) == ("fake runtime, 1 thread", SMALL)
    runner, size = open_runner("float", "fp32", build / "absent", fake.checkpoint)
    assert "PyTorch" in runner.description
    assert size == (512, 512)


def test_open_runner_names_what_is_wrong(fake: Any, build: Path) -> None:
    def message(runtime: str, scheme: str) -> str:
        with pytest.raises((ValueError, IgfError)) as raised:
            open_runner(runtime, scheme, build, fake.checkpoint)
        return str(raised.value)

    assert message("tflite", "fp32") == (
        "unknown runtime 'tflite'; available: float, coreml, executorch, fake, litert"
    )
    assert message("litert", "fp32") == (
        f"{build} has no litert fp32; it has fake fp32, fake fp16, fake w8, fake w8a8"
    )
    artifact(build, "w8").write_bytes(b"x")
    assert "igf-test-fake-w8.fake has 1 bytes" in message("fake", "w8")
    fake.module.unavailable = "it wants a phone"
    with pytest.raises(BackendUnavailable, match="it wants a phone"):
        open_runner("fake", "fp16", build, fake.checkpoint)


def test_the_manifest_is_plain_json(healthy_build: Path) -> None:
    text = (healthy_build / "manifest.json").read_text()
    data = json.loads(text)
    assert text == json.dumps(data, indent=1, sort_keys=True) + "\n"
    assert data["artifacts"][0]["inputs"][0]["channels"] == ["red", "green", "blue"]
