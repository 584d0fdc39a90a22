"""What is around a delegate's call, in small programs that ExecuTorch writes and runs before and after."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from igf_mobile.contents import pte
from igf_mobile.pte_pack import packed
from igf_mobile.xnnpack_graph import cancelled_transposes

runtime = pytest.importorskip("executorch.runtime")

PICTURE = (1, 6, 8, 3)


def written(module: nn.Module, example: tuple[Tensor, ...], simplified: bool = False) -> bytes:
    """A .pte as ExecuTorch writes it."""
    from contextlib import nullcontext

    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with torch.no_grad(), cancelled_transposes() if simplified else nullcontext():
        edge = to_edge_transform_and_lower(
            torch.export.export(module.eval(), example), partitioner=[XnnpackPartitioner()]
        )
    return bytes(edge.to_executorch().buffer)


def run(content: bytes, path: Path, inputs: tuple[Tensor, ...]) -> list[Any]:
    """From a file, as an app would: what the delegate does not copy is freed before."""
    path.write_bytes(content)
    program = runtime.Runtime.get().load_program(path)
    return [output.numpy().copy() for output in program.load_method("forward").execute(list(inputs))]


def plan_of(content: bytes) -> Any:
    return pte.program(content)[0]["execution_plan"][0]


def arguments(content: bytes) -> list[int]:
    """Values that the program hands to its one delegate."""
    (chain,) = plan_of(content)["chains"]
    calls = [
        step["instr_args"] for step in chain["instructions"] if step["instr_args_type"] == "DelegateCall"
    ]
    assert len(calls) == 1
    return list(calls[0]["args"])


def graph_of(content: bytes) -> Any:
    _, segments = pte.program(content)
    return pte.xnn_graph(segments[plan_of(content)["delegates"][0]["processed"]["index"]])


class Numbers(nn.Module):
    """0.25 three times, 3 once, and all that `xnnpack_graph` rewrites but int8: a channels-last picture in and out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(picture.permute(0, 3, 1, 2))
        x = torch.clamp(x * 0.25 + 0.25, 0.0, 0.3)
        x = nn.functional.pad(x, (1, 1, 0, 0))
        x = self.second(x[..., 1:-1] * 3.0) * 0.25
        return x.permute(0, 2, 3, 1), torch.sigmoid(x)


@pytest.fixture(scope="module")
def numbers() -> tuple[bytes, bytes, bytes]:
    """As ExecuTorch writes it, packed, and with its graph rewritten before."""
    example = (torch.rand(PICTURE),)
    plain = written(Numbers(), example)
    return plain, packed(plain), packed(written(Numbers(), example, simplified=True))


def test_equal_numbers_are_handed_over_once(numbers: tuple[bytes, bytes, bytes], tmp_path: Path) -> None:
    plain, small, _ = numbers
    assert len(arguments(plain)) == 1 + 4 + 2
    assert len(arguments(small)) == 1 + 2 + 2
    assert len(plan_of(small)["values"]) == 5
    assert graph_of(small)["num_externs"] == 5
    inputs = (torch.rand(PICTURE),)
    wanted = run(plain, tmp_path / "plain.pte", inputs)
    for a, b in zip(wanted, run(small, tmp_path / "small.pte", inputs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_rewritten_graph_runs_to_the_same_bits(numbers: tuple[bytes, bytes, bytes], tmp_path: Path) -> None:
    plain, small, rewritten = numbers
    before, after = (
        [node["xnode_union_type"] for node in graph_of(content)["xnodes"]] for content in (small, rewritten)
    )
    assert len(after) < len(before) - 3
    assert "XNNClamp" not in after and "XNNConv2d" not in after
    inputs = (torch.rand(PICTURE),)
    wanted = run(plain, tmp_path / "plain.pte", inputs)
    assert len({float(x) for x in wanted[1].ravel()}) > 10
    for a, b in zip(wanted, run(rewritten, tmp_path / "rewritten.pte", inputs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_packed_again_it_is_the_same(numbers: tuple[bytes, bytes, bytes]) -> None:
    assert packed(numbers[2]) == numbers[2]


class Half(nn.Module):
    """float16 between casts."""

    def __init__(self, shown: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.shown = nn.Conv2d(3, 4, 1).half(), shown

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        half = picture.half()
        x = self.inner(half.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return (x.float(), half) if self.shown else (x.float(),)


def halves(shown: bool, path: Path) -> tuple[bytes, bytes]:
    picture = torch.rand(PICTURE)
    plain = written(Half(shown), (picture,))
    small = packed(plain)
    wanted, found = run(plain, path / "plain.pte", (picture,)), run(small, path / "small.pte", (picture,))
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2.0**-11, atol=2.0**-20)  # half a step of float16
    return plain, small


def test_casts_are_the_delegates(tmp_path: Path) -> None:
    plain, small = halves(False, tmp_path)
    assert pte.kernels(plain) == {"_to_dim_order_copy": 2}
    assert pte.kernels(small) == {}
    assert plan_of(small).get("operators", []) == []
    assert len(plan_of(small)["values"]) == 2
    kinds = [node["xnode_union_type"] for node in graph_of(small)["xnodes"]]
    assert (kinds[0], kinds[-1], kinds.count("XNNConvert")) == ("XNNConvert", "XNNConvert", 2)
    # Picture and result in float32, without copies in float16.
    assert plan_of(small)["non_const_buffer_sizes"] == [0, 4 * 6 * 8 * (3 + 4)]
    assert packed(small) == small


def test_where_the_caller_sees_a_cast_all_stay(tmp_path: Path) -> None:
    plain, small = halves(True, tmp_path)
    assert pte.kernels(small) == pte.kernels(plain) == {"_to_dim_order_copy": 2}
    assert plan_of(small)["non_const_buffer_sizes"] == plan_of(plain)["non_const_buffer_sizes"]


@pytest.mark.parametrize("content", [b"", b"no program"])
def test_kernels_of_no_program(content: bytes) -> None:
    check: Callable[[bytes], Any] = pte.kernels
    with pytest.raises(ValueError, match="no program header"):
        check(content)


class Apart(nn.Module):
    """A running sum, which XNNPACK has not, between two delegates."""

    def forward(self, picture: Tensor) -> Tensor:
        return torch.cumsum(picture * 0.5, dim=-1) * 0.5


def test_two_delegates_are_left_as_they_are(tmp_path: Path) -> None:
    inputs = (torch.rand(PICTURE),)
    plain = written(Apart(), inputs)
    small = packed(plain)
    assert len(plan_of(small)["delegates"]) == 2
    assert len(plan_of(small)["values"]) == len(plan_of(plain)["values"])
    (wanted,), (found,) = (
        run(content, tmp_path / f"{len(content)}.pte", inputs) for content in (plain, small)
    )
    np.testing.assert_array_equal(wanted, found)
