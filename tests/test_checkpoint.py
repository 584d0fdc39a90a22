"""Checkpoints come back as they were saved, or not at all."""

import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from igf_mobile.checkpoint import CheckpointInfo, load_checkpoint, read_safetensors, save_checkpoint
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import sha256_of
from igf_mobile.model import Generator

torch.set_num_threads(1)

INFO = CheckpointInfo(
    name="test", version="1.0", licence="Apache-2.0", steps=7, recipe='{"lr": 0.1}', origin="qat"
)


def random_generator(width: int = 1) -> Generator:
    torch.manual_seed(1)
    generator = Generator(width)
    for tensor in generator.state_dict().values():
        if tensor.dtype.is_floating_point:
            tensor.uniform_(0.1, 1.0)
    return generator


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "whole.safetensors"
    save_checkpoint(path, random_generator(), INFO)
    return path


@pytest.mark.parametrize("width", [1, 2])
def test_round_trip(tmp_path: Path, width: int) -> None:
    path, generator, info = tmp_path / "a.safetensors", random_generator(width), replace(INFO, width=width)
    save_checkpoint(path, generator, info)
    loaded, loaded_info = load_checkpoint(path)
    assert loaded_info == info
    assert not loaded.training
    for name, tensor in generator.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert all(p.requires_grad for p in loaded.parameters())


def test_the_loaded_network_computes_the_same(whole: Path) -> None:
    guidance, mask = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    loaded, _ = load_checkpoint(whole)
    with torch.no_grad():
        assert torch.equal(loaded(guidance, mask).alpha, random_generator().eval()(guidance, mask).alpha)


def test_loading_draws_no_random_numbers(whole: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_checkpoint(whole)
    assert torch.equal(torch.rand(1), expected)


def test_bytes_depend_on_weights_and_information_alone(tmp_path: Path, whole: Path) -> None:
    again = tmp_path / "again.safetensors"
    generator = random_generator().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_checkpoint(again, generator, INFO)
    assert sha256_of(again) == sha256_of(whole)
    save_checkpoint(again, generator, replace(INFO, steps=8))
    assert sha256_of(again) != sha256_of(whole)


def assert_damaged(path: Path, *words: str) -> None:
    with pytest.raises(DamagedFile) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    for word in words:
        assert word in message


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_is_damaged(
    tmp_path_factory: pytest.TempPathFactory, whole: Path, data: Any
) -> None:
    content = whole.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    # Half of the cuts in the header, which is a small share of the file.
    length = data.draw(st.one_of(st.integers(0, header), st.integers(0, len(content) - 1)))
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.write_bytes(content[:length])
    assert_damaged(path)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_header_byte_is_damage_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, whole: Path, data: Any
) -> None:
    content = bytearray(whole.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    position = data.draw(st.integers(0, header - 1))
    content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    path.write_bytes(content)
    try:
        generator, _ = load_checkpoint(path)
    except DamagedFile as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(generator, Generator)


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return Path.touch, (tmp_path / "executed",)  # type: ignore[return-value]

    path = tmp_path / "trap.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    assert_damaged(path)
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(IgfError, match=r"absent\.safetensors"):
        load_checkpoint(tmp_path / "absent.safetensors")


def rewrite(source: Path, target: Path, change: Callable[[dict[str, Tensor], dict[str, Any]], None]) -> Path:
    """Save the source's tensors and information again after `change` has spoilt them."""
    tensors, metadata = read_safetensors(source)
    information = json.loads(metadata["igf_mobile"])
    change(tensors, information)
    target.write_bytes(save(tensors, {"igf_mobile": json.dumps(information)}))
    return target


HEAD = "hourglass.head.parts.1.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, i: t.pop(HEAD), ("lacks", HEAD)),
        (lambda t, i: t.update(spare=torch.zeros(1)), ("unknown", "spare")),
        (lambda t, i: t.update({HEAD: torch.zeros(1, 8, 3, 3)}), (HEAD, "(1, 8, 3, 3)", "(4, 2, 1, 1)")),
        (lambda t, i: t.update({HEAD: t[HEAD].half()}), (HEAD, "float16", "float32")),
        (lambda t, i: t[HEAD].view(-1)[3].fill_(float("nan")), (HEAD, "NaN")),
        (lambda t, i: t[HEAD].view(-1)[3].fill_(float("-inf")), (HEAD, "infinity")),
        (lambda t, i: i.update(architecture="other-9"), ("other-9", "igf-eighth-8")),
        (lambda t, i: i.update(width=2), ("(",)),
        (lambda t, i: i.update(width=0), ("width 0",)),
        (lambda t, i: i.update(width=10**9), ("width 1000000000",)),
        (lambda t, i: i.update(width=True), ("width",)),
        (lambda t, i: i.update(steps="7"), ("steps",)),
        (lambda t, i: i.pop("licence"), ("licence",)),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, whole: Path, change: Any, words: tuple[str, ...]) -> None:
    assert_damaged(rewrite(whole, tmp_path / "spoilt.safetensors", change), *words)


@pytest.mark.parametrize("metadata", [None, {}, {"igf_mobile": "no JSON"}, {"igf_mobile": "[1]"}])
def test_a_safetensors_file_of_somebody_else_is_refused(
    tmp_path: Path, whole: Path, metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(save(read_safetensors(whole)[0], metadata))
    assert_damaged(path, "information")


def test_information_is_readable_without_this_package(whole: Path) -> None:
    assert json.loads(read_safetensors(whole)[1]["igf_mobile"]) == asdict(INFO)
