"""Quantization-aware training on tiny crops: resumable, exact, and its ranges travel with its weights."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from igf_mobile.checkpoint import (
    DEFAULT_CHECKPOINT,
    CheckpointInfo,
    load_checkpoint,
    save_checkpoint,
    weights_sha256,
)
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.model import Generator
from igf_mobile.observers import observe, ranges_for
from igf_mobile.quantize import qat, qat_state
from igf_mobile.quantize.qat_state import QatConfig
from igf_mobile.ranges import Ranges, parse
from igf_mobile.training_state import preset_config

SIZE = 64


@pytest.fixture(scope="module")
def start(trained_like: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("float") / "float.safetensors"
    save_checkpoint(path, trained_like, CheckpointInfo("igf-test", "1", "Apache-2.0", steps=7))
    return path


@pytest.fixture(autouse=True)
def small_calibration(monkeypatch: pytest.MonkeyPatch, photographs: Any) -> None:
    monkeypatch.setattr(qat_state, "shipped_pairs", lambda: (photographs((SIZE, SIZE)), "c" * 64))


@pytest.fixture
def batches(photographs: Any) -> Any:
    guidance, masks = (
        torch.from_numpy(np.concatenate(x)) for x in zip(*photographs((SIZE, SIZE)), strict=True)
    )

    def from_step(step: int) -> Iterator[tuple[torch.Tensor, ...]]:
        while True:
            shift = (0, 0, 0, 8 * (step % 8))
            rolled = [torch.roll(x, shift[3], dims=3) for x in (guidance, masks, masks)]
            yield tuple(rolled)
            step += 1

    return from_step


def config(start: Path, run: Path, steps: int = 3, lr: float = 1e-3, **changes: Any) -> QatConfig:
    train = preset_config(
        "fast", "no data", run, init=str(start), steps=steps, batch_size=3, crop=SIZE, lr=lr, warmup_steps=0,
        ema_decay=0.5, validate_every=0, log_every=1,
    )  # fmt: skip
    return QatConfig(train, **changes)


def test_weights_and_ranges_travel_together(start: Path, tmp_path: Path, batches: Any) -> None:
    path = qat.train(config(start, tmp_path), batches, [])
    model, info = load_checkpoint(path)
    before, _ = load_checkpoint(start)
    assert (info.origin, info.steps, info.name) == ("qat", 10, "igf-test")
    ranges = ranges_for(model, parse(info.ranges, "x"))  # refuses ranges of other weights
    assert ranges.observer == "qat" and ranges.calibration_sha256 == "c" * 64
    assert weights_sha256(model) != weights_sha256(before)
    first = qat_state.load_state(tmp_path / "state.safetensors", config(start, tmp_path)).first
    assert set(ranges.table) == set(first.table) and ranges.table != first.table
    assert json.loads(info.recipe)["qat"]["distil"] == 1.0


def test_a_killed_run_goes_on_with_the_same_bits(start: Path, tmp_path: Path, batches: Any) -> None:
    class Killed(BaseException):
        pass

    def dies(step: int) -> Iterator[Any]:
        for count, batch in enumerate(batches(step)):
            if count == 2:
                raise Killed
            yield batch

    whole = qat.train(config(start, tmp_path / "a", 4), batches, [])
    every_step = config(start, tmp_path / "b", 4)
    every_step = dataclasses.replace(
        every_step, train=dataclasses.replace(every_step.train, checkpoint_every_seconds=0.0)
    )
    with pytest.raises(Killed):
        qat.train(every_step, dies, [])
    state = qat_state.load_state(tmp_path / "b" / "state.safetensors", every_step)
    assert state.step == 2
    resumed = qat.train(every_step, batches, [])
    assert resumed.read_bytes() == whole.read_bytes()
    lines = [json.loads(line)["step"] for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()]
    assert lines == [1, 2, 3, 4]


def test_training_mends_ranges_that_clip(
    tmp_path: Path, batches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the shipped network: what a random one draws hardly depends on its ranges."""

    def too_narrow(*arguments: Any) -> list[Ranges]:
        (found,) = observe(*arguments)
        return [
            dataclasses.replace(found, table={k: (0.6 * a, 0.6 * b) for k, (a, b) in found.table.items()})
        ]

    monkeypatch.setattr(qat_state, "observe", too_narrow)
    wanted = config(DEFAULT_CHECKPOINT, tmp_path, 60, lr=1e-5, range_lr=1e-1)
    first = qat_state.new_state(wanted).first
    learned = parse(load_checkpoint(qat.train(wanted, batches, []))[1].ranges, "x")
    wider = [
        learned[site][1] > high for site, (_, high) in first.table.items() if not site.endswith(":input")
    ]
    assert np.mean(wider) > 0.6
    totals = [json.loads(line)["total"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert np.mean(totals[-8:]) < 0.9 * np.mean(totals[:8])  # a round of the batches


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"distil": 0.5}, r"was trained with distil=1.0, not 0.5"),
        ({"observer": "min-max"}, r"was trained with observer='mse', not 'min-max'"),
        ({"range_lr": 1e-2}, r"was trained with range_lr=0.0001, not 0.01"),
    ],
)
def test_another_configuration_does_not_continue(
    changes: dict[str, Any], reason: str, start: Path, tmp_path: Path, batches: Any
) -> None:
    qat.train(config(start, tmp_path, 1), batches, [])
    with pytest.raises(IgfError, match=reason):
        qat.train(config(start, tmp_path, 1, **changes), batches, [])


def test_another_float_checkpoint_does_not_continue(start: Path, tmp_path: Path, batches: Any) -> None:
    qat.train(config(start, tmp_path, 1), batches, [])
    model, info = load_checkpoint(start)
    with torch.no_grad():
        model.hourglass.head.parts[0].weight.mul_(1.01)
    other = tmp_path / "float.safetensors"
    save_checkpoint(other, model, info)
    with pytest.raises(IgfError, match="is not the checkpoint that the run began with"):
        qat.train(config(other, tmp_path, 1), batches, [])


def test_a_damaged_state_is_refused(start: Path, tmp_path: Path, batches: Any) -> None:
    qat.train(config(start, tmp_path, 1), batches, [])
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(DamagedFile, match="not a whole safetensors file"):
        qat.train(config(start, tmp_path, 1), batches, [])


@pytest.mark.parametrize(
    ("changes", "reason"), [({"distil": 1.5}, "distil=1.5"), ({"range_lr": float("nan")}, "range_lr=nan")]
)
def test_values_no_run_can_use(changes: dict[str, Any], reason: str, start: Path, tmp_path: Path) -> None:
    with pytest.raises(IgfError, match=reason):
        config(start, tmp_path, **changes)
