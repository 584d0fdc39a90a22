"""ExecuTorch programs: edges, operators, parity per scheme, determinism, damage.

An export takes 25 to 50 s of processor time; fp32 and w8a8 are in the fast suite, fp16 and w8 are not.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from igf_mobile.backends import executorch
from igf_mobile.backends.base import Artifact, FloatArray
from igf_mobile.errors import DamagedFile
from igf_mobile.metrics import sqnr_db
from igf_mobile.model import Generator
from igf_mobile.observers import observe
from igf_mobile.quantize.artifact_scales import disagreements

Pairs = list[tuple[FloatArray, FloatArray]]
Exporter = Callable[[str], Artifact]

SIZE = (64, 64)
SCHEMES = executorch.BACKEND.schemes
FAST = ("fp32", "w8a8")
EACH_SCHEME = [pytest.param(scheme, marks=() if scheme in FAST else pytest.mark.slow) for scheme in SCHEMES]
CONVOLUTIONS, DEPTHWISE = 26, 3
METADATA = {"name": "igf", "version": "0.1.0", "checkpoint_sha256": "ab" * 32, "zeta": "ü"}

# Scheme -> least SQNR in dB of alpha and of the coefficients against the float model: the worst of three
# photographs at 64 x 64 with the corrections of `trained_like`, and after it what was measured.
LIMITS = {
    "fp32": (113.5, 107.0),  # 116.6, 110.0
    "fp16": (43.0, 38.0),  # 46.0, 41.1
    "w8": (39.5, 30.0),  # 42.9, 33.2
    "w8a8": (35.0, 25.5),  # 38.2, 28.7
}

# Operators outside the delegate. In fp16 they are the casts of the two inputs and the two outputs and of
# what crosses between delegates; measured: 25.
FALLBACK = {"fp32": {}, "fp16": {"_to_dim_order_copy": 25}, "w8": {}, "w8a8": {}}

# int8 convolutions: XNNPACK quantizes inputs on the fly for dense convolutions only.
INT8 = {"fp32": 0, "fp16": 0, "w8": CONVOLUTIONS - DEPTHWISE, "w8a8": CONVOLUTIONS}


@pytest.fixture(scope="module")
def photographs_64(photographs: Callable[..., Pairs]) -> Pairs:
    return photographs(SIZE)


@pytest.fixture(scope="module")
def exported(
    trained_like: Generator, photographs_64: Pairs, tmp_path_factory: pytest.TempPathFactory
) -> Exporter:
    """Scheme -> artifact, exported when the first test asks for it."""
    folder = tmp_path_factory.mktemp("executorch")

    @cache
    def export(scheme: str) -> Artifact:
        path = folder / f"{scheme}.pte"
        metadata = METADATA | {"scheme": scheme}
        return executorch.export(trained_like, scheme, photographs_64, path, metadata, SIZE)

    return export


def worst_sqnr(model: Generator, runner: Any, pairs: Pairs) -> tuple[float, float]:
    """Of alpha and of the coefficients, in dB."""
    worst = [np.inf, np.inf]
    for guidance, mask in pairs:
        with torch.no_grad():
            wanted = model(torch.from_numpy(guidance), torch.from_numpy(mask))
        for position, found in enumerate(runner(guidance, mask)):
            assert np.isfinite(found).all()
            worst[position] = min(worst[position], sqnr_db(wanted[position].numpy(), found))
    return worst[0], worst[1]


@pytest.mark.parametrize("scheme", EACH_SCHEME)
def test_parity_with_the_float_model(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, scheme: str
) -> None:
    runner = executorch.load(exported(scheme).path)
    alpha, coefficients = worst_sqnr(trained_like, runner, photographs_64)
    assert alpha >= LIMITS[scheme][0]
    assert coefficients >= LIMITS[scheme][1]


@pytest.mark.parametrize("scheme", FAST)
@pytest.mark.parametrize(
    "mutant", ["red and blue swapped", "guidance shifted", "mask dropped", "alpha shifted"]
)
def test_the_limits_catch_a_wrong_tensor(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, scheme: str, mutant: str
) -> None:
    runner = executorch.load(exported(scheme).path)

    def wrong(guidance: FloatArray, mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        if mutant == "red and blue swapped":
            guidance = guidance[:, ::-1]
        elif mutant == "guidance shifted":
            guidance = np.roll(guidance, 1, axis=3)
        elif mutant == "mask dropped":
            mask = np.ones_like(mask)
        alpha, coefficients = runner(guidance, mask)
        return (np.roll(alpha, 1, axis=2) if mutant == "alpha shifted" else alpha), coefficients

    assert worst_sqnr(trained_like, wrong, photographs_64)[0] < LIMITS[scheme][0]


@pytest.mark.parametrize("scheme", EACH_SCHEME)
def test_edges(exported: Exporter, scheme: str) -> None:
    """A .pte names no tensors: their order is the contract, and the shapes tell them apart."""
    artifact = exported(scheme)
    assert [spec.name for spec in artifact.inputs] == ["guidance", "weak_mask"]
    assert [spec.name for spec in artifact.outputs] == ["alpha", "coefficients"]
    metadata = executorch._open(artifact.path, "forward")[1].metadata
    inputs = [metadata.input_tensor_meta(i) for i in range(metadata.num_inputs())]
    outputs = [metadata.output_tensor_meta(i) for i in range(metadata.num_outputs())]
    for specs, found in ((artifact.inputs, inputs), (artifact.outputs, outputs)):
        assert [spec.shape for spec in specs] == [tuple(tensor.sizes()) for tensor in found]
        assert all(tensor.dtype() == 6 for tensor in found)  # ScalarType::Float
        assert all(spec.layout == "NCHW" and spec.dtype == "float32" for spec in specs)


@pytest.mark.parametrize("scheme", EACH_SCHEME)
def test_metadata_round_trip(exported: Exporter, scheme: str) -> None:
    assert executorch.read_metadata(exported(scheme).path) == METADATA | {"scheme": scheme}


@pytest.mark.parametrize("scheme", EACH_SCHEME)
def test_operators(exported: Exporter, scheme: str) -> None:
    artifact = exported(scheme)
    assert artifact.delegated["convolution"] == CONVOLUTIONS
    assert artifact.fallback == FALLBACK[scheme]
    assert artifact.quantized.get("convolution", 0) == INT8[scheme]


@pytest.mark.parametrize("scheme", EACH_SCHEME)
def test_a_runner_takes_any_memory_order(photographs_64: Pairs, exported: Exporter, scheme: str) -> None:
    guidance, mask = photographs_64[0]
    runner = executorch.load(exported(scheme).path)
    wanted = runner(guidance, mask)
    strided = np.ascontiguousarray(guidance.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for a, b in zip(wanted, runner(strided, mask), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_second_call_leaves_the_first_result_alone(photographs_64: Pairs, exported: Exporter) -> None:
    runner = executorch.load(exported("fp32").path)
    first = runner(*photographs_64[0])
    kept = [tensor.copy() for tensor in first]
    runner(*photographs_64[1])
    for a, b in zip(first, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_int8_weights_make_the_file_small(exported: Exporter) -> None:
    sizes = {scheme: exported(scheme).path.stat().st_size for scheme in FAST}
    assert sizes["w8a8"] < 0.5 * sizes["fp32"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_exporting_twice_gives_the_same_bytes(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, tmp_path: Path, scheme: str
) -> None:
    path = tmp_path / "x.pte"
    executorch.export(trained_like, scheme, photographs_64, path, METADATA | {"scheme": scheme}, SIZE)
    assert path.read_bytes() == exported(scheme).path.read_bytes()


# Damage


def refuses(path: Path) -> None:
    for read in (executorch.load, executorch.read_metadata):
        with pytest.raises(DamagedFile) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path} is not a whole ExecuTorch program: ")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("part", [0.0, 1e-5, 3e-5, 1e-4, 0.01, 0.25, 0.5, 0.75, 0.99, 0.99999])
def test_truncated(exported: Exporter, tmp_path: Path, part: float) -> None:
    content = exported("fp32").path.read_bytes()
    path = tmp_path / "x.pte"
    path.write_bytes(content[: int(part * len(content))])
    refuses(path)


@pytest.mark.parametrize("kind", ["zeros", "text", "random after the header"])
def test_other_bytes(exported: Exporter, tmp_path: Path, kind: str) -> None:
    content = {
        "zeros": bytes(5000),
        "text": b"no model\n" * 100,
        "random after the header": exported("fp32").path.read_bytes()[:64]
        + np.random.default_rng(0).bytes(5000),
    }[kind]
    path = tmp_path / "x.pte"
    path.write_bytes(content)
    refuses(path)


def test_absent(tmp_path: Path) -> None:
    refuses(tmp_path / "none.pte")


def test_a_damaged_delegate(exported: Exporter, tmp_path: Path) -> None:
    """The program's own check does not look inside the delegate's blob; loading the method does."""
    content = bytearray(exported("fp32").path.read_bytes())
    start = content.index(b"XN01")  # XNNPACK's flatbuffer of the graph
    content[start : start + 4] = b"XXXX"
    path = tmp_path / "x.pte"
    path.write_bytes(content)
    with pytest.raises(DamagedFile) as raised:
        executorch.load(path)
    assert str(raised.value).startswith(f"{path} is not a whole ExecuTorch program: ")


def test_random_bytes_do_not_end_the_process(tmp_path: Path) -> None:
    """In a process of its own: the runtime ends it where the four bytes of the identifier are no UTF-8."""
    paths = [tmp_path / f"{seed}.pte" for seed in range(4)]
    for seed, path in enumerate(paths):
        path.write_bytes(np.random.default_rng(seed).bytes(5000))
    program = (
        "import sys\nfrom pathlib import Path\nfrom igf_mobile.backends import executorch\n"
        "from igf_mobile.errors import DamagedFile\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        executorch.load(Path(path))\n"
        "    except DamagedFile as error:\n        print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-500:]
    lines = result.stdout.splitlines()
    assert len(lines) == len(paths)
    for line, path in zip(lines, paths, strict=True):
        assert line.startswith(f"{path} is not a whole ExecuTorch program: ")


def test_its_scales_are_those_of_the_shared_table(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter
) -> None:
    path, ranges = exported("w8a8").path, observe(trained_like, photographs_64)[0]
    assert disagreements(path, "executorch", trained_like, ranges) == []
    low, high = ranges["stem.relu:relu"]
    wrong = replace(ranges, table={**ranges.table, "stem.relu:relu": (low, 1.01 * high)})
    found = disagreements(path, "executorch", trained_like, wrong)
    assert {s.split(": ")[1] for s in found} == {"encode_8.parts.0", "decode_4.fuse.parts.1"}
