"""A real int8 .tflite made wrong in one place, then verified as `igf verify` does: each mutant must be named.

The float conversion (half a minute) is shared with tests/backends/test_litert.py where both run.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from igf_mobile import composites, gates
from igf_mobile.backends import litert
from igf_mobile.checkpoint import CheckpointInfo, save_checkpoint
from igf_mobile.composites import load_composites
from igf_mobile.contents import tflite
from igf_mobile.files import sha256_of, size_of
from igf_mobile.images import resize, write_alpha, write_image
from igf_mobile.manifest import load_manifest, save_manifest
from igf_mobile.model import Generator
from igf_mobile.parity import Tolerance, load_tolerances
from igf_mobile.pipeline import measure
from igf_mobile.pipeline.export import export_build
from igf_mobile.pipeline.jobs import wanted_jobs
from igf_mobile.pipeline.verify import open_build, verify_build

SIZE = (64, 64)
FILE = "igf-test-litert-w8a8.tflite"
Verify = Callable[[Callable[[Any], None]], list[str]]


@dataclasses.dataclass
class Small:
    """A build of litert fp32 and w8a8 at 64 x 64."""

    folder: Path
    checkpoint: Path
    tolerances: list[Tolerance]


@pytest.fixture(scope="module")
def small(trained_like: Generator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    root = tmp_path_factory.mktemp("mutants")
    checkpoint = root / "checkpoint.safetensors"
    save_checkpoint(checkpoint, trained_like, CheckpointInfo("igf-test", "1.2", "Apache-2.0"))
    folders = {kind: root / kind for kind in composites.FOLDERS}
    for kind, folder in folders.items():
        folder.mkdir()
        samples = load_composites(composites.FOLDERS[kind])[:3]
        for sample in samples:
            write_image(folder / f"{sample.name}.jpg", resize(sample.guidance, SIZE))
            write_alpha(folder / f"{sample.name}-mask.png", resize(sample.weak_mask, SIZE).round())
            write_alpha(folder / f"{sample.name}-alpha.png", resize(sample.alpha, SIZE))
        (folder / "index.json").write_text(json.dumps([{"name": sample.name} for sample in samples]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composites, "FOLDERS", folders)
        patch.setattr(measure, "load_samples", list)  # they are matted at 512 x 512
        patch.setattr(measure, "_ITERATIONS", 3)
        wanted = wanted_jobs(["litert"], ["w8a8"])
        manifest = export_build(checkpoint, root / "build", wanted, SIZE, progress=lambda _: None)
        gates.write_tolerances(root / "tolerances.json", manifest)
        yield Small(root / "build", checkpoint, load_tolerances(root / "tolerances.json"))


@pytest.fixture
def verify(small: Small, tmp_path: Path) -> Verify:
    """Failures of the build after a change to the w8a8 file's tree, with a manifest that goes along with it."""

    def failures(change: Callable[[Any], None]) -> list[str]:
        folder = tmp_path / "build"
        shutil.copytree(small.folder, folder)
        path = folder / FILE
        tree = tree_of(path)
        change(tree)
        path.write_bytes(litert.pack(tree))
        return failures_of(small, folder)

    return failures


def failures_of(small: Small, folder: Path) -> list[str]:
    """Of a folder whose files may be others than the manifest has: they are entered, as their exporter would."""
    manifest = load_manifest(folder)
    records = tuple(
        dataclasses.replace(r, sha256=sha256_of(folder / r.file), bytes=size_of(folder / r.file))
        for r in manifest.artifacts
    )
    save_manifest(dataclasses.replace(manifest, artifacts=records), folder)
    return verify_build(open_build(folder, small.checkpoint), small.tolerances, progress=lambda _: None)[1]


def tree_of(path: Path) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))


def convolutions(tree: Any) -> list[Any]:
    """In int8, dense."""
    from ai_edge_litert import schema_py_generated as schema

    (graph,), conv = tree.subgraphs, schema.BuiltinOperator.CONV_2D
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in tree.operatorCodes]
    int8 = schema.TensorType.INT8
    return [
        o for o in graph.operators if codes[o.opcodeIndex] == conv and graph.tensors[o.inputs[0]].type == int8
    ]


def weights_of(tree: Any, outputs: int, inputs: int) -> Any:
    """The tensor of the first 3x3 convolution of this many channels."""
    tensors = tree.subgraphs[0].tensors
    found = (tensors[o.inputs[1]] for o in convolutions(tree))
    return next(t for t in found if tuple(t.shape) == (outputs, 3, 3, inputs))


def test_unchanged_it_passes(verify: Verify) -> None:
    assert verify(lambda tree: None) == []


def test_a_wrong_scale_on_one_layer(verify: Verify) -> None:
    def change(tree: Any) -> None:
        scheme = weights_of(tree, 32, 32).quantization
        scheme.scale = scheme.scale * np.float32(1.03)

    (found,) = [s for s in verify(change) if "a weight is" in s]
    assert found.startswith(f"{FILE}: hourglass.residual.0.first.0, operator ")
    assert "a weight is 3." in found and "% of the largest off the checkpoint's, int8 takes 0.50%" in found


def test_a_wrong_scale_on_one_channel(verify: Verify) -> None:
    def change(tree: Any) -> None:
        scheme = weights_of(tree, 16, 16).quantization
        scheme.scale = np.where(np.arange(16) == 5, np.float32(1.5), np.float32(1.0)) * scheme.scale

    assert any(
        s.startswith(f"{FILE}: hourglass.encode_16.0, ") and "a weight is 50" in s for s in verify(change)
    )


def test_scales_along_the_wrong_axis(verify: Verify) -> None:
    """The codes were divided by the scales of another axis than the file names."""

    def change(tree: Any) -> None:
        tensor = weights_of(tree, 32, 32)
        codes = tree.buffers[tensor.buffer].data.view(np.int8).reshape(tensor.shape).astype(np.float64)
        values = codes * tensor.quantization.scale.reshape(-1, 1, 1, 1)
        codes = np.clip(np.rint(values / tensor.quantization.scale), -127, 127).astype(np.int8)
        tree.buffers[tensor.buffer].data = codes.reshape(-1).view(np.uint8)

    (found,) = [s for s in verify(change) if "a weight is" in s]
    assert found.startswith(f"{FILE}: hourglass.residual.0.first.0, ")


def test_a_dropped_zero_point(verify: Verify) -> None:
    def change(tree: Any) -> None:
        tensors = tree.subgraphs[0].tensors
        after_relu = next(
            tensors[o.outputs[0]]
            for o in convolutions(tree)
            if tensors[o.outputs[0]].quantization.zeroPoint[0] == -128
        )
        after_relu.quantization.zeroPoint = np.zeros(1, np.int64)

    found = [s for s in verify(change) if "the int8 range of its" in s]
    assert found
    assert all(s.startswith(f"{FILE}: hourglass.") for s in found)


def test_swapped_inputs(verify: Verify) -> None:
    """Red and blue change places in the first convolution's weights; its output alone is hardly another."""

    def change(tree: Any) -> None:
        tensors = tree.subgraphs[0].tensors
        weights = (tensors[o.inputs[1]] for o in convolutions(tree))
        first = next(t for t in weights if list(t.shape) == [16, 3, 3, 4])
        pixels = tree.buffers[first.buffer].data.reshape(-1, 4)
        tree.buffers[first.buffer].data = np.ascontiguousarray(pixels[:, [2, 1, 0, 3]]).reshape(-1)

    assert any(
        s.startswith(f"{FILE}: hourglass.encode_8.parts.0, ") and "a weight is" in s for s in verify(change)
    )


def test_a_bias_on_another_scale(verify: Verify) -> None:
    def change(tree: Any) -> None:
        tensors = tree.subgraphs[0].tensors
        bias = next(
            tensors[o.inputs[2]] for o in convolutions(tree) if len(o.inputs) > 2 and o.inputs[2] >= 0
        )
        bias.quantization.scale = bias.quantization.scale * np.float32(1.01)

    assert any(
        s.startswith(f"{FILE}: hourglass.") and "the bias's scale is 1.0% off" in s for s in verify(change)
    )


def test_a_constant_that_is_no_number(verify: Verify) -> None:
    def change(tree: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        for tensor in tree.subgraphs[0].tensors:
            buffer = tree.buffers[tensor.buffer]
            if tensor.type == schema.TensorType.FLOAT32 and buffer.data is not None:
                buffer.data = np.full(len(buffer.data) // 4, np.nan, np.float32).view(np.uint8)

    assert any(s.startswith("litert-w8a8: ") and "not finite" in s for s in verify(change))


def test_stale_calibration(small: Small, trained_like: Generator, tmp_path: Path) -> None:
    """Ranges of darker pictures in a file whose metadata name the set that the manifest names."""
    folder = tmp_path / "build"
    shutil.copytree(small.folder, folder)
    pairs = [sample.tensors() for sample in load_composites(composites.FOLDERS["calibration"])]
    darker = [(0.2 * guidance, mask) for guidance, mask in pairs]
    metadata = litert.read_metadata(folder / FILE)
    litert.export(trained_like, "w8a8", darker, folder / FILE, metadata, SIZE)
    found = [s for s in failures_of(small, folder) if "the range of the manifest's calibration set" in s]
    assert len(found) > 3
    assert all(s.startswith(f"{FILE}: hourglass.") for s in found)


def test_of_another_checkpoint(small: Small, trained_like: Generator, tmp_path: Path) -> None:
    """A file that says it is of the manifest's checkpoint and holds a layer that was trained on."""
    path = tmp_path / FILE
    shutil.copy(small.folder / FILE, path)
    tree = tree_of(path)
    assert sum(layer.number == "int8" for layer in tflite.layers(path)) == 20
    tensor = weights_of(tree, 16, 16)
    tree.buffers[tensor.buffer].data = (tree.buffers[tensor.buffer].data.view(np.int8) // 2).view(np.uint8)
    folder = tmp_path / "build"
    shutil.copytree(small.folder, folder)
    (folder / FILE).write_bytes(litert.pack(tree))
    assert any("a weight is" in s for s in failures_of(small, folder))
