"""The Metal kernel's arithmetic, compiled as C++, against NumPy: at any resolution, and mutants of it."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from igf_mobile.full_resolution import apply_coefficients

REPOSITORY = Path(__file__).parent.parent.parent
IOS_DEMO = REPOSITORY / "ios_demo"
CASE = REPOSITORY / "shared_vectors" / "matte"
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
TOLERANCE = 4e-6  # other roundings of the weights at odd factors; 1.5e-6 was measured

pytestmark = pytest.mark.skipif(COMPILER is None, reason="not run: no C++ compiler on PATH")


def compile_kernel(folder: Path, old: str = "", new: str = "") -> Path:
    """The kernel as a program; `old` of its source replaced by `new`."""
    for source in ("Tests/kernel.cpp", "Tests/MetalShim.h", "App/Metal/MatteMath.h"):
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        text = (IOS_DEMO / source).read_text()
        if source.endswith("MatteMath.h") and old:
            assert old in text
            text = text.replace(old, new)
        (folder / source).write_text(text)
    program = folder / "kernel"
    flags = ["-std=c++17", "-O1", "-ffp-contract=off"]
    subprocess.run([COMPILER, *flags, "-o", program, folder / "Tests/kernel.cpp"], check=True)
    return program


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_kernel(tmp_path_factory.mktemp("kernel"))


def tensor(name: str) -> np.ndarray:
    shape = json.loads((CASE / "case.json").read_text())["shapes"][name]
    return np.fromfile(CASE / f"{name}.f32", "<f4").reshape(shape)[0]


def run(program: Path, coefficients: np.ndarray, guidance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(4,h,w), (3,H,W) -> alpha (H,W), composite (3,H,W)."""
    files = []
    for name, planes in (("c", coefficients), ("g", guidance)):
        file = program.parent / f"{name}.f32"
        file.write_bytes(np.ascontiguousarray(planes, "<f4").tobytes())
        files += [str(file), str(planes.shape[1]), str(planes.shape[2])]
    done = subprocess.run([program, *files], stdout=subprocess.PIPE, check=True)
    output = np.frombuffer(done.stdout, "<f4").reshape(4, *guidance.shape[1:])
    return output[0], output[1:]


def test_it_gives_the_golden_alpha(kernel: Path) -> None:
    alpha, _ = run(kernel, tensor("coefficients"), tensor("guidance"))
    assert np.abs(alpha - tensor("alpha")[0]).max() <= TOLERANCE
    assert np.ptp(alpha) > 0.5


@pytest.mark.parametrize("size", [(64, 64), (150, 203), (100, 61), (16, 16), (9, 200), (1, 1)])
def test_it_is_the_reference_at_any_resolution(kernel: Path, size: tuple[int, int]) -> None:
    guidance = np.random.default_rng(0).random((3, *size), np.float32)
    coefficients = tensor("coefficients")
    alpha, composite = run(kernel, coefficients, guidance)
    reference = apply_coefficients(coefficients.transpose(1, 2, 0).copy(), guidance.transpose(1, 2, 0).copy())
    assert np.abs(alpha - reference).max() <= TOLERANCE
    background = np.array([0.1, 0.42, 0.3], np.float32)[:, None, None]
    assert np.abs(composite - (reference * guidance + (1 - reference) * background)).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("+ 0.5f) *", ") *"),  # corners in place of half-pixel centres
        ("coefficients + area,", "coefficients + 2 * area,"),  # green takes blue's slope
        ("mix(above, below, row.weight)", "above"),  # the nearest row
        (" + offset", ""),  # no B
        ("clamp(dot(slope, colour) + offset, 0.0f, 1.0f)", "dot(slope, colour) + offset"),
    ],
)
def test_mutants_are_noticed(tmp_path: Path, old: str, new: str) -> None:
    program = compile_kernel(tmp_path, old, new)
    alpha, _ = run(program, tensor("coefficients"), tensor("guidance"))
    assert np.abs(alpha - tensor("alpha")[0]).max() > 100 * TOLERANCE
