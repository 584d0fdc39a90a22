"""Int8 weights chosen by a layer's output: the grid, the error, the bias, the file, and what a build holds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from igf_mobile.calibration import Calibrated, shipped_pairs
from igf_mobile.checkpoint import weights_sha256
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.graph import fold_batch_norms
from igf_mobile.hourglass import joined_sum
from igf_mobile.layers import layer_names
from igf_mobile.model import Generator
from igf_mobile.observers import observe
from igf_mobile.rounding import (
    Rounded,
    applied,
    compensated,
    far_off,
    load_rounded,
    round_rows,
    save_rounded,
)
from igf_mobile.sites import network_input

Pairs = list[tuple[np.ndarray, np.ndarray]]
SIZE = (64, 64)


@pytest.fixture(scope="module")
def pairs(photographs: Callable[..., Pairs]) -> Pairs:
    return photographs(SIZE)


@pytest.fixture(scope="module")
def rounded(trained_like: Generator, pairs: Pairs) -> Rounded:
    return compensated(trained_like, pairs, "c" * 64)


def to_nearest(rows: Tensor) -> Tensor:
    scales = rows.abs().amax(dim=1, keepdim=True) / 127
    return (rows / scales).round() * scales


def drawn(seed: int, outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    """Rows, and the covariance of inputs that go together."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
    mixed = torch.randn(inputs, inputs, generator=generator, dtype=torch.float64)
    return rows, mixed @ mixed.T / inputs


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 40))
def test_rows_lie_on_the_grid_that_exporters_find(seed: int, outputs: int, inputs: int) -> None:
    rows, covariance = drawn(seed, outputs, inputs)
    found = round_rows(rows, covariance)
    torch.testing.assert_close(found.abs().amax(dim=1), rows.abs().amax(dim=1))
    torch.testing.assert_close(to_nearest(found), found)


@given(st.integers(0, 10_000))
def test_inputs_that_do_not_go_together_are_rounded_to_the_nearest(seed: int) -> None:
    rows, _ = drawn(seed, 4, 30)
    variances = torch.linspace(0.1, 2.0, 30, dtype=torch.float64)
    torch.testing.assert_close(round_rows(rows, torch.diag(variances)), to_nearest(rows))


def test_the_output_varies_less_than_with_nearest_weights() -> None:
    ratios = []
    for seed in range(20):
        rows, covariance = drawn(seed, 8, 72)
        errors = [
            torch.einsum("rk,kl,rl->", rows - found, covariance, rows - found).item()
            for found in (round_rows(rows, covariance), to_nearest(rows))
        ]
        ratios.append(errors[0] / errors[1])
    assert max(ratios) < 0.9
    assert np.mean(ratios) < 0.65


def test_a_channel_and_inputs_of_zeros() -> None:
    rows, covariance = drawn(0, 3, 9)
    rows[1] = 0.0
    found = round_rows(rows, torch.zeros_like(covariance))
    torch.testing.assert_close(found[[0, 2]], to_nearest(rows[[0, 2]]))
    assert not found[1].any()


def corrections(model: Generator, pairs: Pairs) -> Tensor:
    network = fold_batch_norms(model).hourglass
    with torch.no_grad():
        return torch.cat([network(network_input(*map(torch.from_numpy, pair))) for pair in pairs])


def nearest(model: Generator) -> Generator:
    result = fold_batch_norms(model)
    with torch.no_grad():
        for module in result.hourglass.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(to_nearest(module.weight.flatten(1)).reshape(module.weight.shape))
    return result


def test_the_network_is_nearer_to_float_than_with_nearest_weights(
    trained_like: Generator, pairs: Pairs, rounded: Rounded
) -> None:
    wanted = corrections(trained_like, pairs)
    better, worse = (
        corrections(m, pairs) - wanted for m in (applied(trained_like, rounded), nearest(trained_like))
    )
    assert better.square().mean() < 0.5 * worse.square().mean()
    assert (better.mean((0, 2, 3)).abs() < 0.5 * worse.mean((0, 2, 3)).abs().max()).all()


def test_the_bias_takes_the_mean_of_what_is_left(trained_like: Generator, pairs: Pairs) -> None:
    """The first layer sees the same inputs in both networks, so its outputs' means are the same."""
    networks = (fold_batch_norms(trained_like), applied(trained_like, compensated(trained_like, pairs[:1])))
    start = network_input(*map(torch.from_numpy, pairs[0]))
    with torch.no_grad():
        means = [
            joined_sum(m.hourglass.encode_8.parts, (start.quarter, start.estimates)).mean((0, 2, 3))
            for m in networks
        ]
    torch.testing.assert_close(*means, atol=2e-6, rtol=0.0)


def test_layers_in_float_keep_their_weights(trained_like: Generator, rounded: Rounded) -> None:
    plain = fold_batch_norms(trained_like)
    layers = dict.fromkeys(layer_names(trained_like), "w8a8") | {"hourglass.encode_8.parts.1": "float32"}
    mixed = applied(trained_like, rounded, layers)
    parts = [network.hourglass.encode_8.parts for network in (plain, mixed)]
    assert torch.equal(parts[0][1].weight, parts[1][1].weight)
    assert torch.equal(parts[1][0].weight, rounded.weights["hourglass.encode_8.parts.0"])
    shift = rounded.shifts["hourglass.encode_8.parts.0"]
    torch.testing.assert_close(parts[1][0].bias - parts[0][0].bias, shift)
    none = applied(trained_like, rounded, dict.fromkeys(layers, "float32"))
    assert weights_sha256(none) == weights_sha256(plain)


def test_what_float_artifacts_are_made_of(trained_like: Generator, rounded: Rounded, pairs: Pairs) -> None:
    calibration = Calibrated(trained_like, observe(trained_like, pairs)[0], rounded)
    assert calibration.network("fp16") is trained_like
    assert calibration.network("p4") is trained_like
    network = calibration.network("w8")
    assert torch.equal(network.hourglass.encode_16[0].weight, rounded.weights["hourglass.encode_16.0"])
    assert calibration.ranges_of(network).weights_sha256 == weights_sha256(network)
    assert replace(calibration, rounded=None).network("w8a8") is trained_like


def test_another_network_is_refused(trained_like: Generator, rounded: Rounded) -> None:
    torch.manual_seed(3)
    other = Generator().eval()
    with pytest.raises(IgfError, match="the int8 weights are of"):
        applied(other, rounded)
    assert len(far_off(other, rounded)) == 20
    assert far_off(trained_like, rounded) == []


def test_no_samples(trained_like: Generator) -> None:
    with pytest.raises(IgfError, match="needs calibration samples, got none"):
        compensated(trained_like, [])


def test_it_comes_back_from_its_file(tmp_path: Path, rounded: Rounded) -> None:
    path, again = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_rounded(path, rounded)
    found = load_rounded(path)
    assert (found.weights_sha256, found.calibration_sha256) == (rounded.weights_sha256, "c" * 64)
    assert all(torch.equal(found.weights[name], weights) for name, weights in rounded.weights.items())
    assert all(torch.equal(found.shifts[name], shift) for name, shift in rounded.shifts.items())
    save_rounded(again, found)
    assert path.read_bytes() == again.read_bytes()


def test_damaged_files_are_named(tmp_path: Path, rounded: Rounded) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(IgfError, match=r"a\.safetensors"):
        load_rounded(path)
    save_rounded(path, replace(rounded, shifts={}))
    with pytest.raises(DamagedFile, match=r"a\.safetensors holds no int8 weights: no 'hourglass.*shift'"):
        load_rounded(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DamagedFile, match=r"a\.safetensors is not a whole safetensors file"):
        load_rounded(path)


def test_shipped_pairs_are_hashed() -> None:
    pairs, digest = shipped_pairs()
    assert len(pairs) == 8
    assert len(digest) == 64
