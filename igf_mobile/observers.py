"""Activation ranges of the float network: one pass over the calibration samples, several observers.

The network runs in PyTorch with its batch norms folded, once, and all runtimes get the same table. They
used to observe for themselves, and had three answers.
"""

from collections.abc import Callable, Container, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.fx import GraphModule, Node

from igf_mobile.checkpoint import weights_sha256
from igf_mobile.errors import IgfError
from igf_mobile.graph import ExportGraph, fold_batch_norms
from igf_mobile.model import Generator
from igf_mobile.ranges import HIGHEST, LOGISTIC, LOWEST, Range, Ranges, off_grid, widened
from igf_mobile.sites import Sites, Tap, activation_sites, network_input, trace

FloatArray = NDArray[np.float32]
Pairs = Sequence[tuple[FloatArray, FloatArray]]

_BINS = 2048
_SHRINK = np.linspace(0.3, 1.0, 36)
"""Shares of the least and greatest value that the search for the least squared error tries, each side."""


def min_max(values: FloatArray) -> Range:
    """Nothing is clipped."""
    return float(values.min()), float(values.max())


def percentile(values: FloatArray, percent: float) -> Range:
    """All but the outermost values; where nothing is negative, all of them are clipped above."""
    outside = 100.0 - percent
    if values.min() >= 0.0:
        return 0.0, float(np.percentile(values, percent))
    low, high = np.percentile(values, [outside / 2.0, 100.0 - outside / 2.0])
    return float(low), float(high)


def least_squares(values: FloatArray) -> Range:
    """The range with the least squared error of rounding and clipping, counted on a histogram.

    Zeros are left out: every grid has them.
    """
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    counts, edges = np.histogram(values[values != 0.0], _BINS, (low, max(high, low + 1e-6)))
    centres = 0.5 * (edges[1:] + edges[:-1])[counts > 0]
    weights = counts[counts > 0].astype(np.float64)
    best, least = (low, high), np.inf
    for below in _SHRINK if low < 0.0 else (1.0,):
        for above in _SHRINK if high > 0.0 else (1.0,):
            error = _rounding_error(centres, weights, low * below, high * above)
            if error < least:
                best, least = (low * float(below), high * float(above)), error
    return best


def _rounding_error(
    values: NDArray[np.float64], weights: NDArray[np.float64], low: float, high: float
) -> float:
    scale = max(high - low, 1e-9) / (HIGHEST - LOWEST)
    zero_point = np.round(LOWEST - low / scale)
    codes = np.clip(np.rint(values / scale) + zero_point, LOWEST, HIGHEST)
    return float(weights @ np.square((codes - zero_point) * scale - values))


OBSERVERS: dict[str, Callable[[FloatArray], Range]] = {
    "min-max": min_max,
    "percentile-99.9": lambda values: percentile(values, 99.9),
    "percentile-99.99": lambda values: percentile(values, 99.99),
    "mse": least_squares,
}

DEFAULT_OBSERVER = "mse"
"""Of checkpoint 0.5.0, by `igf observers` (SQNR in dB, SAD as a share of the float model's): mse 43.6 and 0.9999,
min-max 41.4 and 1.006, percentile-99.99 38.5 and 1.004, percentile-99.9 32.1 and 1.061."""


def ranges_for(model: Generator, calibration: "Ranges | Pairs") -> Ranges:
    """What an exporter was given, as ranges: those, or those of the default observer over pairs.

    Raises:
        IgfError: the ranges are of other weights.
    """
    if not isinstance(calibration, Ranges):
        return observe(model, calibration)[0]
    if calibration.weights_sha256 != (found := weights_sha256(model)):
        raise IgfError(
            f"the activation ranges are of weights {calibration.weights_sha256[:12]}, the network has {found[:12]}"
        )
    return calibration


def observe(
    model: Generator,
    pairs: Pairs,
    calibration_sha256: str = "",
    names: Sequence[str] = (DEFAULT_OBSERVER,),
    progress: Callable[[str], None] = lambda text: None,
) -> list[Ranges]:
    """A table of ranges by each of the observers `names`.

    Args:
        model: in eval mode.
        pairs: (guidance (1,3,H,W), weak_mask (1,1,H,W)); about 12 MB of values are kept for each of 512 x 512.
        calibration_sha256: of the folder the pairs come from.
        names: keys of `OBSERVERS`.
        progress: is told each sample and observer.

    Raises:
        ValueError: no such observer.
        IgfError: there are no pairs, or a value is not finite.
    """
    for name in names:
        if name not in OBSERVERS:
            raise ValueError(f"observer {name!r} is not one of {', '.join(OBSERVERS)}")
    values, sites = site_values(model, pairs, progress)
    weights = weights_sha256(model)
    tables = []
    for name in names:
        progress(name)
        table = {site: LOGISTIC if site in sites.fixed else OBSERVERS[name](v) for site, v in values.items()}
        table = off_grid(widened(table), sites.entering)
        tables.append(Ranges(name, calibration_sha256, weights, table))
    return tables


def site_values(
    model: Generator, pairs: Pairs, progress: Callable[[str], None] = lambda text: None
) -> tuple[dict[str, FloatArray], Sites]:
    """Every value each site takes over the pairs, and the sites."""
    if not pairs:
        raise IgfError("activation ranges need calibration samples, got none")
    graph = trace(fold_batch_norms(model).hourglass)
    sites = activation_sites(graph, "")
    kept: dict[str, list[FloatArray]] = {site: [] for site in sites.writer}
    for index, pair in enumerate(pairs):
        progress(f"sample {index + 1}")
        run = _run(graph, sites.of, *pair)
        for site, node in sites.writer.items():
            kept[site].append(run[node].ravel())
    values = {site: np.concatenate(arrays) for site, arrays in kept.items()}
    for site, array in values.items():
        if not np.isfinite(array).all():
            raise IgfError(f"{site} has values that are not finite over the calibration samples")
    return values, sites


def block_site_tensors(
    model: Generator, guidance: FloatArray, weak_mask: FloatArray
) -> dict[str, list[FloatArray]]:
    """All tensors (1,C,h,w) of each site for one input, as the block form has them."""
    blocks = ExportGraph(model, "NHWC").model
    graph = trace(blocks.hourglass, (guidance.shape[2], guidance.shape[3]))
    sites = activation_sites(graph, "")
    tensors: dict[str, list[FloatArray]] = {site: [] for site in sites.writer}
    for node, value in _run(graph, sites.of, guidance, weak_mask).items():
        tensors[sites.of[node]].append(value)
    return tensors


@torch.no_grad()
def _run(
    graph: GraphModule,
    wanted: Container[Node],
    guidance: FloatArray,
    weak_mask: FloatArray,
) -> dict[Node, FloatArray]:
    kept: dict[Node, FloatArray] = {}

    def keep(node: Node, value: Tensor) -> Tensor:
        if node in wanted:
            kept[node] = value.numpy()
        return value

    image, mask = (torch.from_numpy(np.ascontiguousarray(x)) for x in (guidance, weak_mask))
    Tap(graph, keep).run(network_input(image, mask))
    return kept
