"""Sites by name, and ranges by observer."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from igf_mobile import observers
from igf_mobile.errors import IgfError
from igf_mobile.graph import ExportGraph, fold_batch_norms, restore_clamps, slices_for_splits
from igf_mobile.model import Generator
from igf_mobile.observers import OBSERVERS, least_squares, observe, percentile, ranges_for
from igf_mobile.ranges import LOGISTIC, OFF_GRID, Ranges
from igf_mobile.sites import Sites, activation_sites, trace

Pairs = list[tuple[np.ndarray, np.ndarray]]
SIZE = (64, 64)


@pytest.fixture(scope="module")
def sites(trained_like: Generator) -> Sites:
    return activation_sites(trace(fold_batch_norms(trained_like).hourglass), "")


def test_every_convolution_reads_and_every_tensor_has_a_site(sites: Sites) -> None:
    assert {"encode_8.parts.0:input", "encode_16.2:relu", "hourglass:mul", "head:add"} <= set(sites.writer)
    assert sites.fixed == {"hourglass:sigmoid"}
    inputs = ("encode_8.parts.0", "encode_8.parts.1", "encode_32.parts.1")
    assert sites.entering == {f"{name}:input" for name in inputs}
    # fused into their ReLU, so without a site of their own
    assert not {"encode_16.0:conv2d", "encode_8:add"} & set(sites.writer)


def test_what_is_resized_keeps_its_site(sites: Sites) -> None:
    for site in ("attention.0:conv2d", "decode_8.reduce.2:relu"):
        kinds = [str(node.target).split(".")[1] for node, its in sites.of.items() if its == site]
        assert kinds == [site.split(":")[1], "upsample_bilinear2d"]


def test_the_whole_graph_has_the_same_names(trained_like: Generator, sites: Sites) -> None:
    """What the exporters of ExecuTorch and Core ML see, against what the observers see."""
    example = (torch.rand(1, 3, *SIZE), torch.rand(1, 1, *SIZE))
    graph = torch.export.export(ExportGraph(trained_like), example).module()
    restore_clamps(graph)  # type: ignore[arg-type]
    slices_for_splits(graph)  # type: ignore[arg-type]
    whole = activation_sites(graph, "model.hourglass")  # type: ignore[arg-type]
    assert list(whole.writer) == list(sites.writer)


def test_min_max_is_what_the_tensors_hold(trained_like: Generator, photographs: Callable[..., Pairs]) -> None:
    pairs = photographs(SIZE)
    (ranges,) = observe(trained_like, pairs)
    values = []
    folded = fold_batch_norms(trained_like)
    folded.hourglass.encode_16[2].register_forward_hook(lambda m, i, output: values.append(output.detach()))
    for guidance, mask in pairs:
        folded(torch.from_numpy(guidance), torch.from_numpy(mask))
    assert ranges["encode_16.2:relu"] == (0.0, torch.cat(values).max().item())
    assert ranges["hourglass:sigmoid"] == LOGISTIC
    assert max(mask.max() for _, mask in pairs) == 1.0
    assert ranges["encode_8.parts.0:input"] == (0.0, pytest.approx(OFF_GRID, rel=1e-6))


def test_observers_in_one_pass(trained_like: Generator, photographs: Callable[..., Pairs]) -> None:
    steps: list[str] = []
    tables = observe(trained_like, photographs(SIZE), "c", list(OBSERVERS), steps.append)
    assert [table.observer for table in tables] == list(OBSERVERS)
    assert sum(step.startswith("sample") for step in steps) == len(photographs(SIZE))
    widest = tables[0].table
    for table in tables[1:]:
        assert table.table != widest
        for site, (low, high) in table.table.items():
            assert widest[site][0] <= low and high <= widest[site][1] + 1e-9, (table.observer, site)


def test_percentiles_clip_one_side_where_nothing_is_negative() -> None:
    values = np.arange(1001, dtype=np.float32)
    assert percentile(values, 99.0) == (0.0, 990.0)
    assert percentile(values - 500.0, 99.0) == (-495.0, 495.0)


def test_least_squares_clips_an_outlier_and_nothing_else() -> None:
    values = np.random.default_rng(0).random(1_000_000).astype(np.float32)
    assert least_squares(values)[1] == pytest.approx(1.0, abs=0.02)
    low, high = least_squares(np.append(values, np.float32(2.0)))
    assert low == 0.0 and high < 1.2


def test_refusals(trained_like: Generator, photographs: Callable[..., Pairs]) -> None:
    pairs = photographs(SIZE)
    with pytest.raises(ValueError, match=r"observer .entropy. is not one of min-max, percentile-99\.9"):
        observe(trained_like, pairs, names=["entropy"])
    with pytest.raises(IgfError, match="got none"):
        observe(trained_like, [])
    broken = [(np.full_like(pairs[0][0], np.nan), pairs[0][1])]
    with pytest.raises(IgfError, match=r"encode_8\.parts\.0:input has values that are not finite"):
        observe(trained_like, broken)


def test_ranges_of_other_weights_are_refused(trained_like: Generator) -> None:
    stale = Ranges("mse", "", "0" * 64, {"a": (0.0, 1.0)})
    with pytest.raises(IgfError, match="ranges are of weights 000000000000, the network has"):
        ranges_for(trained_like, stale)


def test_the_default_observer_exists() -> None:
    assert observers.DEFAULT_OBSERVER in OBSERVERS
