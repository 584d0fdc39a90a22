"""The simulation against what it stands for: the converted PT2E graph, the float network, the ranking."""

import base64
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from igf_mobile import composites
from igf_mobile.backends.base import FloatArray
from igf_mobile.calibration import Calibrated, calibrate
from igf_mobile.errors import DamagedFile
from igf_mobile.files import sha256_of
from igf_mobile.graph import ExportGraph, restore_clamps, slices_for_splits
from igf_mobile.layers import layer_names
from igf_mobile.metrics import sqnr_db
from igf_mobile.model import Generator
from igf_mobile.observers import observe
from igf_mobile.quantize import ranking as records
from igf_mobile.quantize import sensitivity
from igf_mobile.quantize.plot import plot, write_plot
from igf_mobile.quantize.simulation import Simulation
from igf_mobile.ranges import Ranges
from igf_mobile.report import write_report
from igf_mobile.rounding import compensated
from igf_mobile.xnnpack_quantizer import StaticQuantizer

Pairs = list[tuple[FloatArray, FloatArray]]
SIZE = (64, 64)


@pytest.fixture(scope="module")
def pairs(photographs: Callable[..., Pairs]) -> Pairs:
    return photographs(SIZE)


@pytest.fixture(scope="module")
def ranges(trained_like: Generator, pairs: Pairs) -> Ranges:
    return observe(trained_like, pairs)[0]


@pytest.fixture(scope="module")
def simulation(trained_like: Generator, pairs: Pairs, ranges: Ranges) -> Simulation:
    return Simulation(Calibrated(trained_like, ranges, None), pairs)


def uniform(model: Generator, precision: str) -> dict[str, str]:
    return dict.fromkeys(layer_names(model), precision)


def converted(
    model: Generator, ranges: Ranges, pairs: Pairs, layers: dict[str, str] | None
) -> list[FloatArray]:
    """The mattes of the graph that the ExecuTorch export lowers."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    tensors = [tuple(torch.from_numpy(x) for x in pair) for pair in pairs]
    graph: Any = torch.export.export(ExportGraph(model, "NHWC"), tensors[0]).module()
    restore_clamps(graph)
    slices_for_splits(graph)
    prepared = prepare_pt2e(graph, StaticQuantizer("model.hourglass", ranges, layers))
    with torch.no_grad():
        for pair in tensors:
            prepared(*pair)
        graph = convert_pt2e(prepared)
        return [graph(*pair)[0].numpy() for pair in tensors]


def worst_sqnr(wanted: list[FloatArray], found: list[FloatArray]) -> float:
    return min(sqnr_db(a, b) for a, b in zip(wanted, found, strict=True))


def mean_sqnr(wanted: list[FloatArray], found: list[FloatArray]) -> float:
    return float(np.mean([sqnr_db(a, b) for a, b in zip(wanted, found, strict=True)]))


def test_all_float_is_the_float_network(
    trained_like: Generator, simulation: Simulation, pairs: Pairs
) -> None:
    with torch.no_grad():
        wanted = [trained_like(torch.from_numpy(g), torch.from_numpy(m)).alpha.numpy() for g, m in pairs]
    assert worst_sqnr(wanted, simulation.run(uniform(trained_like, "float32"))) >= 110.0


@pytest.mark.parametrize(
    "floats", [(), ("hourglass.decode_8.fuse.parts.1", "hourglass.attention.0")], ids=["all int8", "mixed"]
)
def test_it_is_the_graph_that_is_lowered(
    trained_like: Generator, simulation: Simulation, pairs: Pairs, ranges: Ranges, floats: tuple[str, ...]
) -> None:
    """Nearer to it (61 to 84 dB) than either is to the float network (50 to 53).

    Not the same: codes flip where the block means are summed in another order, and ExecuTorch resizes in float.
    """
    layers = uniform(trained_like, "w8a8") | dict.fromkeys(floats, "float32")
    wanted = converted(trained_like, ranges, pairs, layers)
    assert worst_sqnr(wanted, simulation.run(layers)) >= 57.0
    assert worst_sqnr(wanted, simulation.run(uniform(trained_like, "float32"))) < 54.0


@pytest.mark.parametrize("layer", ["residual.0.second.0", "encode_8.parts.1", "head.parts.0"])
def test_one_layer_is_the_graph_that_is_lowered(
    trained_like: Generator, simulation: Simulation, pairs: Pairs, ranges: Ranges, layer: str
) -> None:
    layers = uniform(trained_like, "float32") | {f"hourglass.{layer}": "w8a8"}
    assert worst_sqnr(converted(trained_like, ranges, pairs, layers), simulation.run(layers)) >= 60.0


def test_int8_layers_have_the_weights_that_are_exported(
    trained_like: Generator, pairs: Pairs, ranges: Ranges
) -> None:
    calibration = Calibrated(trained_like, ranges, compensated(trained_like, pairs))
    layers = uniform(trained_like, "w8a8") | {"hourglass.attention.0": "float32"}
    found = Simulation(calibration, pairs).run(layers)
    nearest = Simulation(Calibrated(trained_like, ranges, None), pairs).run(layers)
    wanted = converted(calibration.network("", layers), ranges, pairs, layers)
    assert worst_sqnr(wanted, found) >= 45.0
    assert worst_sqnr(wanted, found) > worst_sqnr(wanted, nearest)
    floats = Simulation(calibration, pairs).run(uniform(trained_like, "float32"))
    np.testing.assert_allclose(floats[0], trained_like_alpha(trained_like, pairs), atol=1e-5)


def trained_like_alpha(model: Generator, pairs: Pairs) -> FloatArray:
    with torch.no_grad():
        return model(*(torch.from_numpy(x) for x in pairs[0])).alpha.numpy()


def test_weights_alone_cost_less_than_all(trained_like: Generator, simulation: Simulation) -> None:
    plain, weights, static = (
        simulation.run(uniform(trained_like, precision)) for precision in ("float32", "w8", "w8a8")
    )
    assert 100.0 > mean_sqnr(plain, weights) > mean_sqnr(plain, static) > 20.0


def test_a_run_leaves_nothing_behind(trained_like: Generator, simulation: Simulation) -> None:
    plain = uniform(trained_like, "float32")
    before = simulation.run(plain)
    simulation.run(uniform(trained_like, "w8a8"))
    for a, b in zip(before, simulation.run(plain), strict=True):
        np.testing.assert_array_equal(a, b)


def test_counts_of_layers(trained_like: Generator, simulation: Simulation) -> None:
    modules = trained_like.hourglass.named_modules(prefix="hourglass")
    named = {name: m.weight.numel() for name, m in modules if isinstance(m, torch.nn.Conv2d)}
    assert simulation.weights == named
    assert simulation.weights["hourglass.residual.0.first.0"] == 32 * 32 * 9
    assert simulation.macs["hourglass.residual.0.first.0"] == 32 * 32 * 9 * 2 * 2
    assert simulation.macs["hourglass.shortcut_16.0"] == 16 * 9 * 4 * 4  # depthwise


# The ranking, on the small composites of the `fake` fixture


@pytest.fixture(scope="module")
def ranking(fake_backend: Any, trained_like: Generator) -> records.Sensitivity:
    bench = sensitivity.Bench(calibrate(trained_like))
    assert len(bench.samples) == len(sensitivity.load_composites(composites.FOLDERS["proof"])) == 2
    return sensitivity.measure(bench, sha256_of(fake_backend.checkpoint), unit="block")


def test_blocks_are_ranked_by_loss(ranking: records.Sensitivity) -> None:
    assert {row.name for row in ranking.rows} >= {
        "hourglass.encode_8",
        "hourglass.decode_8",
        "hourglass.head",
    }
    assert sum(len(row.layers) for row in ranking.rows) == 20
    losses = [row.loss for row in ranking.rows]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == len(losses)  # each block does something of its own
    for row in ranking.rows:
        assert row.loss == pytest.approx(row.sad / ranking.float_sad - 1.0)
        assert row.worst_loss >= row.loss - 1e-9


def test_it_comes_back_from_its_file(ranking: records.Sensitivity, tmp_path: Path) -> None:
    assert records.load(tmp_path) is None
    path = records.save(ranking, tmp_path)
    assert records.load(tmp_path) == ranking
    path.write_text(path.read_text().replace('"rows"', '"lines"'))
    with pytest.raises(DamagedFile, match="is not a sensitivity"):
        records.load(tmp_path)
    records.save(dataclasses.replace(ranking, schema_version=2), tmp_path)
    with pytest.raises(DamagedFile, match="has schema version 2; this program reads 1"):
        records.load(tmp_path)


def test_the_plot_is_a_file_and_part_of_the_report_of_its_checkpoint(
    ranking: records.Sensitivity, healthy_build: Path, tmp_path: Path
) -> None:
    build = shutil.copytree(healthy_build, tmp_path / "build")
    records.save(ranking, build)
    path = write_plot(ranking, build)
    light = plot(ranking).light
    assert path.read_bytes() == base64.b64decode(light.partition(",")[2])
    page = write_report(build).read_text()
    assert light in page
    assert all(f"<li>{row.name}: " in page for row in ranking.rows)
    records.save(dataclasses.replace(ranking, checkpoint_sha256="0" * 64), build)
    page = write_report(build).read_text()
    assert light not in page
    assert "not run: <code>igf sensitivity</code> ranks them" in page


def test_unknown_units_and_precisions(trained_like: Generator) -> None:
    with pytest.raises(ValueError, match="unit 'stage' is not one of layer, block"):
        sensitivity.groups(layer_names(trained_like), "stage")
    with pytest.raises(ValueError, match="precision 'int8' is not one of w8a8, w8"):
        sensitivity.measure(None, "", precision="int8")  # type: ignore[arg-type]
