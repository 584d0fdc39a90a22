"""The build step of the Xcode project: what it copies, and what it says when `make export` hasn't run."""

import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "ios_demo" / "tools" / "copy_build.sh"


def copy(build: Path, destination: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, build, destination], capture_output=True, text=True, check=False)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build with one artifact of each backend, written as `manifest.save_manifest` writes it."""
    folder = tmp_path / "a build"
    names = ["igf-coreml-fp16.mlpackage", "igf-executorch-w8.pte", "igf-litert-fp32.tflite"]
    manifest = {
        "artifacts": [{"file": name, "sha256": "0"} for name in names],
        "checkpoint": {"file": "igf.safetensors"},
    }
    (folder / names[0] / "Data").mkdir(parents=True)
    (folder / names[0] / "Data" / "model.mlmodel").write_text("model")
    (folder / names[1]).write_text("program")
    (folder / names[2]).write_text("not for iOS")
    (folder / "device_case").mkdir()
    (folder / "device_case" / "case.json").write_text("{}")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return folder


def test_it_copies_what_the_app_can_run(build: Path, tmp_path: Path) -> None:
    target = tmp_path / "App.app" / "exported"
    done = copy(build, target)
    assert (done.returncode, done.stdout.strip()) == (0, f"copied 2 artifacts from {build}")
    assert sorted(p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()) == [
        "device_case/case.json",
        "igf-coreml-fp16.mlpackage/Data/model.mlmodel",
        "igf-executorch-w8.pte",
        "manifest.json",
    ]


def test_what_another_build_left_goes(build: Path, tmp_path: Path) -> None:
    target = tmp_path / "exported"
    target.mkdir()
    (target / "old.pte").write_text("old")
    assert copy(build, target).returncode == 0
    assert not (target / "old.pte").exists()
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("manifest.json", "manifest.json; run 'make export' in the repository first"),
        ("device_case/case.json", "device_case; run 'make export' in the repository again"),
        ("igf-executorch-w8.pte", "igf-executorch-w8.pte is in the manifest but not in"),
    ],
)
def test_it_says_what_is_missing(build: Path, tmp_path: Path, missing: str, words: str) -> None:
    (build / missing).unlink()
    target = tmp_path / "exported"
    target.mkdir()
    (target / "old.pte").write_text("old")
    done = copy(build, target)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and words in done.stderr and done.stderr.count("\n") == 1
    assert (target / "old.pte").exists(), "what was there stays"


def test_a_build_without_artifacts_is_refused(build: Path, tmp_path: Path) -> None:
    (build / "manifest.json").write_text('{\n "artifacts": []\n}\n')
    done = copy(build, tmp_path / "exported")
    assert done.returncode == 1
    assert "names no .mlpackage and no .pte" in done.stderr
