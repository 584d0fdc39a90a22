"""The Kotlin core's own tests, and that they fail on damaged vectors."""

import shutil
from pathlib import Path

import kotlin
import pytest
import toolchain

from igf_mobile.device.checks import check_report
from igf_mobile.device.reader import load_report
from igf_mobile.report import rewrite_report

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "shared_vectors"
WORK = ROOT / "build/android"

pytestmark = pytest.mark.apk


def run(vectors: Path, report: Path | None = None) -> str:
    try:
        return kotlin.run_core_tests(WORK, vectors, report)
    except toolchain.ToolError as reason:
        pytest.skip(f"not run: {reason}")


def test_the_core_passes_its_tests(tmp_path: Path, healthy_build: Path) -> None:
    """And the report that its own code writes is one that the desktop takes and shows."""
    report = tmp_path / "latency_report.json"
    assert "OK (" in run(VECTORS, report)

    loaded = load_report(report)
    assert check_report(loaded, size=(64, 64)) == []
    assert [run.valid for run in loaded.runs] == [True, False, False]
    build = shutil.copytree(healthy_build, tmp_path / "build")
    page = rewrite_report(build, [report]).read_text(encoding="utf-8")
    assert loaded.device.model in page
    assert "fixture: not measured on a device" in page


VECTOR_FILES = [
    "percentile.json",
    *(f"{c}/{f.name}" for c in ("matte", "camera") for f in sorted((VECTORS / c).glob("*.*8"))),
]
VECTOR_FILES += [
    f"{case}/{file.name}" for case in ("matte", "camera") for file in sorted((VECTORS / case).glob("*.f32"))
]


@pytest.mark.parametrize("name", VECTOR_FILES)
def test_one_changed_byte_of_a_vector_fails(name: str, tmp_path: Path) -> None:
    damaged = tmp_path / "vectors"
    shutil.copytree(VECTORS, damaged)
    content = bytearray((damaged / name).read_bytes())
    at = content.index(b"3.5") if name.endswith(".json") else len(content) // 2
    content[at] ^= 1
    (damaged / name).write_bytes(bytes(content))
    with pytest.raises(toolchain.TestsFailed):
        run(damaged)
