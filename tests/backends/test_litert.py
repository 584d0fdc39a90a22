"""LiteRT files: edges, operators, parity per scheme, determinism, damage.

One conversion (40 s of processor time) serves all schemes; quantizing takes a second or three.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from igf_mobile.backends import litert
from igf_mobile.backends.base import Artifact, FloatArray
from igf_mobile.errors import DamagedFile
from igf_mobile.layers import layer_names, layer_weights
from igf_mobile.metrics import sqnr_db
from igf_mobile.model import Generator
from igf_mobile.observers import observe
from igf_mobile.quantize.artifact_scales import SharedGrids, disagreements
from igf_mobile.recipes import Recipe
from igf_mobile.tflite_layers import layers_found

Pairs = list[tuple[FloatArray, FloatArray]]
Exporter = Callable[[str], Artifact]

SIZE = (64, 64)
SCHEMES = litert.BACKEND.schemes
CONVOLUTIONS, FIXED = 20, 24
"""Of the network, and with constant kernels (`igf_mobile/blocks.py`), which stay float."""
LAYOUTS = {"guidance": "NCHW", "weak_mask": "NCHW", "alpha": "NCHW", "coefficients": "NHWC"}
METADATA = {"name": "igf", "version": "0.1.0", "checkpoint_sha256": "ab" * 32, "zeta": "a text with ü"}


# Scheme -> least SQNR in dB of alpha and of the coefficients against the float model: the worst of three
# photographs at 64 x 64 with the corrections of `trained_like`, and after it what was measured.
LIMITS = {
    "fp32": (115.0, 88.5),  # 118.1, 91.8
    "fp16": (71.5, 56.0),  # 74.8, 59.7
    "w8": (39.0, 16.0),  # 42.4, 19.3
    "w8a8": (35.0, 16.0),  # 38.7, 19.4 with ranges over all samples, not the vendor's moving average
}


@pytest.fixture(scope="module")
def photographs_64(photographs: Callable[..., Pairs]) -> Pairs:
    return photographs(SIZE)


@pytest.fixture(scope="module")
def exported(
    trained_like: Generator, photographs_64: Pairs, tmp_path_factory: pytest.TempPathFactory
) -> Exporter:
    """Scheme -> artifact, exported when the first test asks for it."""
    folder = tmp_path_factory.mktemp("litert")

    @cache
    def export(scheme: str) -> Artifact:
        path = folder / f"{scheme}.tflite"
        return litert.export(trained_like, scheme, photographs_64, path, METADATA | {"scheme": scheme}, SIZE)

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


def tree(path: Path) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))


def convolution_types(path: Path) -> Counter[tuple[int, int, int]]:
    """(input, weight, output) tensor types of each convolution, read from the file itself."""
    from ai_edge_litert import schema_py_generated as schema

    model = tree(path)
    (graph,) = model.subgraphs
    kinds = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    result: Counter[tuple[int, int, int]] = Counter()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) in kinds:
            source, weight = (graph.tensors[i].type for i in operator.inputs[:2])
            result[source, weight, graph.tensors[operator.outputs[0]].type] += 1
    return result


@pytest.mark.parametrize("scheme", SCHEMES)
def test_parity_with_the_float_model(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, scheme: str
) -> None:
    runner = litert.load(exported(scheme).path)
    alpha, coefficients = worst_sqnr(trained_like, runner, photographs_64)
    assert alpha >= LIMITS[scheme][0]
    assert coefficients >= LIMITS[scheme][1]


@pytest.mark.parametrize("scheme", ["fp32", "w8a8"])
@pytest.mark.parametrize(
    "mutant", ["red and blue swapped", "guidance shifted", "mask dropped", "alpha shifted"]
)
def test_the_limits_catch_a_wrong_tensor(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, scheme: str, mutant: str
) -> None:
    runner = litert.load(exported(scheme).path)

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


def test_the_schemes_differ(photographs_64: Pairs, exported: Exporter) -> None:
    alphas = [litert.load(exported(scheme).path)(*photographs_64[0])[0] for scheme in SCHEMES]
    for position, alpha in enumerate(alphas):
        assert not any(np.array_equal(alpha, other) for other in alphas[position + 1 :])
    sizes = [exported(scheme).path.stat().st_size for scheme in SCHEMES]
    assert sizes[0] > 1.5 * sizes[1] > 2.0 * sizes[2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_edges(exported: Exporter, scheme: str) -> None:
    artifact = exported(scheme)
    interpreter = litert._open(artifact.path)
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["guidance", "weak_mask"], "outputs": ["alpha", "coefficients"]}
    }
    for specs, details in (
        (artifact.inputs, interpreter.get_input_details()),
        (artifact.outputs, interpreter.get_output_details()),
    ):
        assert [spec.name for spec in specs] == [detail["name"] for detail in details]
        assert [spec.shape for spec in specs] == [tuple(detail["shape"].tolist()) for detail in details]
        assert all(spec.layout == LAYOUTS[spec.name] and spec.dtype == "float32" for spec in specs)
        assert all(detail["dtype"] is np.float32 for detail in details)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_metadata_round_trip(exported: Exporter, scheme: str) -> None:
    assert litert.read_metadata(exported(scheme).path) == METADATA | {"scheme": scheme}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_falls_back(exported: Exporter, scheme: str) -> None:
    artifact = exported(scheme)
    assert artifact.fallback == {}
    convolutions = artifact.delegated["CONV_2D"] + artifact.delegated["DEPTHWISE_CONV_2D"]
    assert convolutions == CONVOLUTIONS + FIXED


def test_number_formats_in_the_file(exported: Exporter) -> None:
    from ai_edge_litert import schema_py_generated as schema

    float32, int8 = schema.TensorType.FLOAT32, schema.TensorType.INT8
    in_float = (float32, float32, float32)
    assert convolution_types(exported("w8a8").path) == {
        (int8, int8, int8): CONVOLUTIONS,
        in_float: FIXED,
    }
    for scheme in ("fp32", "fp16", "w8"):  # constants are dequantized before they reach the convolution
        assert convolution_types(exported(scheme).path) == {in_float: CONVOLUTIONS + FIXED}
    stored = {"fp16": (CONVOLUTIONS, 0), "w8": (0, CONVOLUTIONS)}
    for scheme, counts in stored.items():
        (graph,) = tree(exported(scheme).path).subgraphs
        kinds = [tensor.type for tensor in graph.tensors]
        assert (kinds.count(schema.TensorType.FLOAT16), kinds.count(int8)) == counts
    assert exported("fp32").quantized == {}
    quantized = exported("w8a8").quantized
    assert quantized["CONV_2D"] + quantized["DEPTHWISE_CONV_2D"] == CONVOLUTIONS


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_constant_is_in_the_file_once(exported: Exporter, scheme: str) -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = tree(exported(scheme).path)
    (graph,) = model.subgraphs
    constants = [
        (tensor.type, tuple(tensor.shape), bytes(model.buffers[tensor.buffer].data))
        for tensor in graph.tensors
        if model.buffers[tensor.buffer].data is not None and tensor.quantization is None
    ]
    assert len(constants) == len(set(constants)) > 30
    reshapes = [
        operator
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.RESHAPE
    ]
    assert reshapes
    assert all(len(operator.inputs) == 1 for operator in reshapes)


def test_calibration_uses_every_sample_alike(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, tmp_path: Path
) -> None:
    """The vendor's default is a moving average in which the first sample weighs 0.95."""
    artifact = exported("w8a8")
    turned = litert.export(
        trained_like, "w8a8", photographs_64[::-1], tmp_path / "x.tflite", METADATA | {"scheme": "w8a8"}, SIZE
    )
    assert turned.path.read_bytes() == artifact.path.read_bytes()


def test_another_calibration_gives_another_file(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, tmp_path: Path
) -> None:
    darker = [(0.5 * guidance, mask) for guidance, mask in photographs_64]
    path = tmp_path / "x.tflite"
    litert.export(trained_like, "w8a8", darker, path, METADATA | {"scheme": "w8a8"}, SIZE)
    assert path.read_bytes() != exported("w8a8").path.read_bytes()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_quantizing_twice_gives_the_same_bytes(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, tmp_path: Path, scheme: str
) -> None:
    path = tmp_path / "x.tflite"
    litert.export(trained_like, scheme, photographs_64, path, METADATA | {"scheme": scheme}, SIZE)
    assert path.read_bytes() == exported(scheme).path.read_bytes()


@pytest.mark.slow
def test_converting_twice_gives_the_same_bytes(
    trained_like: Generator,
    photographs_64: Pairs,
    exported: Exporter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = exported("fp32").path.read_bytes()
    monkeypatch.setattr(litert, "_float_models", {})
    path = tmp_path / "x.tflite"
    litert.export(trained_like, "fp32", photographs_64, path, METADATA | {"scheme": "fp32"}, SIZE)
    assert path.read_bytes() == first


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ValueError, match="litert has no recipe for scheme 'p4'"):
        litert._recipe("p4")


# Damage


def refuses(path: Path) -> None:
    for read in (litert.load, litert.read_metadata):
        with pytest.raises(DamagedFile) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path} is not a whole LiteRT model: ")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("part", [0.0, 1e-5, 3e-5, 1e-4, 0.01, 0.25, 0.5, 0.75, 0.99, 0.99999])
def test_truncated(exported: Exporter, tmp_path: Path, part: float) -> None:
    content = exported("fp32").path.read_bytes()
    path = tmp_path / "x.tflite"
    path.write_bytes(content[: int(part * len(content))])
    refuses(path)


@pytest.mark.parametrize("kind", ["random", "zeros", "text", "random after the header"])
def test_other_bytes(exported: Exporter, tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0).bytes(5000)
    content = {
        "random": random,
        "zeros": bytes(5000),
        "text": b"no model\n" * 100,
        "random after the header": exported("fp32").path.read_bytes()[:64] + random,
    }[kind]
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    refuses(path)


def test_absent(tmp_path: Path) -> None:
    refuses(tmp_path / "none.tflite")


def test_metadata_that_are_no_text(exported: Exporter, tmp_path: Path) -> None:
    """A changed byte inside a value passes the runtime's check; reading it is still one line."""
    content = exported("fp32").path.read_bytes()
    value = METADATA["zeta"].encode()
    assert content.count(value) == 1
    path = tmp_path / "x.tflite"
    path.write_bytes(content.replace(value, b"\xff" * len(value)))
    with pytest.raises(DamagedFile):
        litert.read_metadata(path)


# Recipes

RECIPE = Recipe(
    "mixed",
    "w8a8",
    {
        "hourglass.head": "float32",
        "hourglass.residual": "w8",
        "hourglass.decode_8.fuse.parts.1": "float32",
        "hourglass.encode_8.parts.1": "w8",
    },
)
"""The last one's sum is padded for an int8 convolution that reads it."""


def test_a_recipe_of_one_precision_gives_the_bytes_of_the_scheme(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, tmp_path: Path
) -> None:
    for scheme in ("w8", "w8a8"):
        layers = dict.fromkeys(layer_names(trained_like), scheme)
        path, metadata = tmp_path / f"{scheme}.tflite", METADATA | {"scheme": scheme}
        artifact = litert.export(trained_like, scheme, photographs_64, path, metadata, SIZE, layers)
        assert path.read_bytes() == exported(scheme).path.read_bytes()
        assert artifact.layers == layers


def test_a_recipe_is_followed_layer_by_layer(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter, tmp_path: Path
) -> None:
    layers = RECIPE.resolve(layer_names(trained_like))
    assert Counter(layers.values()) == {"w8a8": 12, "w8": 5, "float32": 3}
    path = tmp_path / "mixed.tflite"
    artifact = litert.export(trained_like, "mixed", photographs_64, path, METADATA, SIZE, layers)
    assert artifact.layers == layers
    assert artifact.fallback == {}
    int8, float32 = 9, 0
    assert convolution_types(path) == {(int8, int8, int8): 12, (float32, float32, float32): 8 + FIXED}
    alpha, coefficients = worst_sqnr(trained_like, litert.load(path), photographs_64)
    assert alpha >= LIMITS["w8a8"][0]
    assert coefficients >= LIMITS["w8a8"][1]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["w8", "float32"])
def test_every_layer_can_be_left_out(
    trained_like: Generator, photographs_64: Pairs, tmp_path: Path, precision: str
) -> None:
    for name in layer_names(trained_like):
        layers = dict.fromkeys(layer_names(trained_like), "w8a8") | {name: precision}
        artifact = litert.export(
            trained_like, "mixed", photographs_64, tmp_path / "x.tflite", METADATA, SIZE, layers
        )
        assert artifact.layers == layers


def test_what_a_file_computes_with_is_read_from_the_file(trained_like: Generator, exported: Exporter) -> None:
    layers = layer_names(trained_like)
    precisions = {"fp32": "float32", "fp16": "float16 weights", "w8": "w8", "w8a8": "w8a8"}
    for scheme, precision in precisions.items():
        weights = layer_weights(trained_like, "NHWC")
        found = layers_found(exported(scheme).path.read_bytes(), weights)
        assert found == dict.fromkeys(layers, precision)


def test_its_scales_are_those_of_the_shared_table(
    trained_like: Generator, photographs_64: Pairs, exported: Exporter
) -> None:
    path, ranges = exported("w8a8").path, observe(trained_like, photographs_64)[0]
    assert disagreements(path, "litert", SharedGrids(trained_like, ranges)) == []
    low, high = ranges["encode_16.2:relu"]
    wrong = replace(ranges, table={**ranges.table, "encode_16.2:relu": (low, 1.01 * high)})
    found = disagreements(path, "litert", SharedGrids(trained_like, wrong))
    # who reads it, and who writes it
    assert {sentence.split(": ")[1] for sentence in found} == {
        "encode_16.0",
        "encode_32.parts.0",
        "shortcut_16.0",
    }


def test_the_additions_to_the_float_part_are_float(exported: Exporter) -> None:
    assert exported("w8a8").quantized["ADD"] == 7
