"""The int8 scales that are in an artifact, read from the file, against the table of ranges it was made from.

A convolution is known by its weights (`layers.identify`). Its input, and where the runtime has one its output, must
have the scale and zero point of its site. Sums and products are checked as inputs of what reads them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.fx import Node

from igf_mobile import backends
from igf_mobile import ranges as ranges_module
from igf_mobile.contents.layers import Grid, Layer
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.graph import ExportGraph, Layout
from igf_mobile.layers import identify, is_layer, layer_weights
from igf_mobile.manifest import Manifest
from igf_mobile.model import Generator
from igf_mobile.ranges import Range, Ranges, grid, symmetric_grid
from igf_mobile.sites import CONVOLUTION, activation_sites, is_fused, trace

_NEAR = 1e-6
"""Relative difference of scales, which are float32 in .tflite and .pte."""
_NEAR_FLOAT16 = 2.0**-10
"""Core ML has its scales in float16."""

_PREFIX = "hourglass."


@dataclass(frozen=True)
class _Row:
    """What a convolution's tensors must be rounded by."""

    source: Range
    result: Range


class SharedGrids:
    """The table of ranges as every convolution of a network must have it; traced once for all artifacts."""

    def __init__(self, model: Generator, ranges: Ranges) -> None:
        """Of a model in eval mode and the table that its artifacts were to be made from."""
        self._model, self._ranges = model, ranges
        self._rows: dict[Layout, dict[str, _Row]] = {}

    def rows(self, layout: Layout) -> dict[str, _Row]:
        """Convolution -> its ranges, in the form of the graph that exporters of this layout take."""
        if layout not in self._rows:
            hourglass = ExportGraph(self._model, layout).model.hourglass
            assert isinstance(hourglass, nn.Module)
            graph = trace(hourglass)
            sites = activation_sites(graph, "")
            rows = self._rows[layout] = {}
            for node in graph.graph.nodes:
                if node.target is not CONVOLUTION:
                    continue
                source, weight = node.args[:2]
                assert isinstance(source, Node) and isinstance(weight, Node)
                # what is added before the ReLU has its range where it is added
                written = next(iter(node.users)) if is_fused(node) else node
                limits = _Row(self._ranges[sites.of[source]], self._ranges[sites.of[written]])
                rows[str(weight.target).removesuffix(".weight")] = limits
        return self._rows[layout]

    def named(self, found: Sequence[Layer], layout: Layout) -> dict[str, Layer]:
        """The convolutions of a file that are the network's, by name.

        Raises:
            IgfError: one has nobody's weights, or two have the same.
        """
        names = identify([layer.weights for layer in found], layer_weights(self._model, layout))
        return {n.removeprefix(_PREFIX): layer for n, layer in zip(names, found, strict=True) if is_layer(n)}


def disagreements(path: Path, backend: str, shared: SharedGrids) -> list[str]:
    """A sentence for each convolution whose scales are not those of the table.

    Args:
        path: a `w8a8` artifact.
        backend: the name of one that has `layers`.
        shared: of its checkpoint and table.

    Raises:
        ValueError: no such backend, or nothing reads its files.
        DamagedFile: the file holds no int8 convolution.
        IgfError: its convolutions are not the checkpoint's.
    """
    read = backends.get(backend).layers
    if read is None:
        raise ValueError(f"nothing here reads the layers of {backend}")
    is_coreml = backend == "coreml"
    layout: Layout = "NCHW" if is_coreml else "NHWC"
    found = shared.named(read(path), layout)
    if all(layer.source is None for layer in found.values()):
        raise DamagedFile(f"{path} holds no int8 convolution")
    sentences = []
    for name, row in shared.rows(layout).items():
        if name not in found:
            sentences.append(f"{path.name}: {name}: no convolution has its weights")
            continue
        pairs = [("input", found[name].source, row.source)]
        if not is_coreml:
            pairs.append(("output", found[name].result, row.result))
        for what, there, limits in pairs:
            if sentence := _difference(there, limits, is_coreml):
                sentences.append(f"{path.name}: {name}: its {what} {sentence}")
    return sentences


def _difference(there: Grid | None, limits: Range, is_coreml: bool) -> str | None:
    scale, zero_point = (symmetric_grid if is_coreml else grid)(*limits)
    near = _NEAR_FLOAT16 if is_coreml else _NEAR
    if there is None:
        return f"is float, the table {scale:.6g} and {zero_point}"
    if abs(there.scale - scale) <= near * scale and there.zero_point == zero_point:
        return None
    return f"has scale {there.scale:.6g} and zero point {there.zero_point}, the table {scale:.6g} and {zero_point}"


def check_build(
    manifest: Manifest, folder: Path, model: Generator, progress: Callable[[str], None]
) -> list[str]:
    """A sentence for each convolution of a build's `w8a8` artifacts whose scales are not those of its table.

    Args:
        manifest: the build's.
        folder: where it is.
        model: of the build's checkpoint, in eval mode.
        progress: is told each artifact, and why one was not read.
    """
    records = [record for record in manifest.artifacts if record.scheme == "w8a8"]
    if manifest.ranges is None or not records:
        return []
    shared = SharedGrids(model, ranges_module.load(folder / manifest.ranges.file.file))
    sentences = []
    for record in records:
        if backends.get(record.backend).layers is None:
            progress(f"{record.file}: scales not read: nothing here reads the layers of {record.backend}")
            continue
        progress(f"{record.file}: reading scales")
        try:
            sentences += disagreements(folder / record.file, record.backend, shared)
        except (ImportError, ValueError, IgfError) as error:
            sentences.append(f"{record.file}: its scales cannot be read: {error}")
    return sentences
