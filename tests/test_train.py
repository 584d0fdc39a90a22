"""The training loop learns, stops and goes on, on synthetic batches.

Run as a program (`python tests/test_train.py RUN_DIR PRESET STEP`) it trains and kills itself before a step.
"""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from igf_mobile.batches import Batches
from igf_mobile.checkpoint import load_checkpoint, read_safetensors
from igf_mobile.data import dataset
from igf_mobile.data.weak_mask import MIXES
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.losses import LossWeights
from igf_mobile.model import Generator, Matte
from igf_mobile.train import (
    TrainingStoppedError,
    composite_batches,
    held_out_batches,
    learning_rate,
    train,
    update_average,
)
from igf_mobile.training_probe import detail_probe, validation_errors
from igf_mobile.training_state import TrainConfig, load_state, new_state, preset_config, save_state

torch.set_num_threads(1)

SIZE = 64
STEPS = 6


def batch_of(step: int, size: int = SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Two soft blobs of one colour over another, with a mask that is too small."""
    random = torch.Generator().manual_seed(step)
    alpha = F.interpolate(torch.rand(2, 1, 4, 4, generator=random), size=size, mode="bilinear")
    alpha = (6.0 * (alpha - 0.5) + 0.5).clamp(0.0, 1.0)
    front, back = torch.rand(2, 2, 3, 1, 1, generator=random)
    return alpha * front + (1.0 - alpha) * back, (alpha > 0.8).float(), alpha


def batches(start: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    step = start
    while True:
        yield batch_of(step)
        step += 1


def acting_at(when: int, action: Any) -> Batches:
    """Batches that call `action` just before those of step `when`."""

    def from_step(start: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for step, batch in enumerate(batches(start), start):
            if step == when:
                action()
            yield batch

    return from_step


def config_for(run_dir: Path | str, preset: str = "fast", **changes: Any) -> TrainConfig:
    values = {
        "steps": STEPS,
        "batch_size": 2,
        "crop": SIZE,
        "warmup_steps": 2,
        "log_every": 2,
        "validate_every": 0,
        "checkpoint_every_seconds": 0.0,
    }
    return preset_config(preset, "no data", run_dir, **(values | changes))


def log_of(run_dir: Path, kind: str = "train") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run_dir / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == kind]


def assert_same_run(actual: Path, expected: Path) -> None:
    """The same bits in all weights, moments and counts."""
    ours, _ = read_safetensors(actual / "state.safetensors")
    theirs, _ = read_safetensors(expected / "state.safetensors")
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name
    assert (actual / "last.safetensors").read_bytes() == (expected / "last.safetensors").read_bytes()


def test_a_killed_run_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    """With the discriminator, its optimiser and the random mixes of the gradient penalty."""
    straight, killed, preset = tmp_path / "straight", tmp_path / "killed", "paper"
    train(config_for(straight, preset), batches, [])
    root = Path(__file__).resolve().parents[1]
    process = subprocess.run(
        [sys.executable, __file__, str(killed), preset, "3"], env=os.environ | {"PYTHONPATH": str(root)}
    )
    assert process.returncode == -signal.SIGKILL
    assert load_state(killed / "state.safetensors", config_for(killed, preset)).step == 3

    train(config_for(killed, preset), batches, [])
    assert_same_run(killed, straight)
    assert [line["step"] for line in log_of(killed)] == [2, 4, 6]


def test_training_moves_weights_and_keeps_what_a_step_needs(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    before = {name: t.clone() for name, t in new_state(config).generator.state_dict().items()}
    assert train(config, batches, []) == tmp_path / "last.safetensors"
    after = load_state(tmp_path / "state.safetensors", config)
    assert after.step == STEPS
    trained = after.generator.state_dict()
    assert not [n for n, _ in after.generator.named_parameters() if torch.equal(trained[n], before[n])]
    averaged, info = load_checkpoint(tmp_path / "last.safetensors")
    for name, tensor in after.averaged.state_dict().items():
        assert torch.equal(averaged.state_dict()[name], tensor)
    assert info.steps == STEPS
    recipe = json.loads(info.recipe)
    assert recipe["lr"] == config.lr
    assert str(tmp_path) not in info.recipe and "data_root" not in recipe


def test_a_few_steps_on_one_batch_lower_the_loss(tmp_path: Path) -> None:
    def same(start: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        while True:
            yield batch_of(0)

    train(config_for(tmp_path, steps=40, warmup_steps=5, lr=3e-3, ema_decay=0.5), same, [batch_of(0)])
    losses = [line["total"] for line in log_of(tmp_path)]
    assert losses[-1] < 0.7 * losses[0]
    (start,) = log_of(tmp_path, "start")
    assert log_of(tmp_path, "validation")[-1]["sad"] < start["sad"]


def test_log_lines_hold_what_is_watched(tmp_path: Path) -> None:
    train(config_for(tmp_path, "paper"), batches, [batch_of(99)])
    line = log_of(tmp_path)[-1]
    losses = {"global_", "local", "gabor", "adversarial", "discriminator", "gradient_penalty", "total"}
    speed = {"samples_per_second", "data_wait_share", "lr", "gradient_norm"}
    assert losses | speed | {"mean_abs_slope", "detail_share", "step", "kind"} == set(line)
    assert 0.0 <= line["data_wait_share"] <= 1.0
    for kind in ("mask", "start", "validation"):
        assert set(log_of(tmp_path, kind)[0]) == {"kind", "step", "sad", "mse"}


def test_the_best_validated_weights_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sads = iter([5.0, 6.0, 3.0, 1.0, 2.0])  # mask, start, then steps 2, 4 and 6
    monkeypatch.setattr("igf_mobile.train.validation_errors", lambda *_: {"sad": next(sads), "mse": 0.0})
    best = train(config_for(tmp_path, validate_every=2), batches, [batch_of(99)])
    assert best == tmp_path / "best.safetensors"
    assert load_checkpoint(best)[1].steps == 4
    assert load_checkpoint(tmp_path / "last.safetensors")[1].steps == 6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_save_and_stop_and_the_run_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    config = config_for(tmp_path / "stopped", checkpoint_every_seconds=1e9)
    handler = signal.getsignal(number)
    with pytest.raises(TrainingStoppedError, match=f"{number.name}; saved after step 4"):
        train(config, acting_at(3, lambda: os.kill(os.getpid(), number)), [])
    assert signal.getsignal(number) is handler
    assert load_state(tmp_path / "stopped" / "state.safetensors", config).step == 4
    train(config, batches, [])
    train(config_for(tmp_path / "straight"), batches, [])
    assert_same_run(tmp_path / "stopped", tmp_path / "straight")


@pytest.mark.parametrize("position", [0, 2])
def test_nan_stops_the_run_and_spoils_nothing(tmp_path: Path, position: int) -> None:
    def poisoned(start: int) -> Iterator[tuple[Tensor, ...]]:
        for step, batch in enumerate(batches(start), start):
            if step == 3:
                batch[position][0, 0, 5, 5] = math.nan
            yield batch

    config = config_for(tmp_path)
    with pytest.raises(IgfError, match=r"not finite at step 3 .*lr=") as caught:
        train(config, poisoned, [])
    assert "\n" not in str(caught.value)
    assert load_state(tmp_path / "state.safetensors", config).step == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lr": 2e-3}, "lr"),
        ({"betas": (0.5, 0.999)}, "betas"),
        ({"seed": 1}, "seed"),
        ({"losses": LossWeights(global_=1.0)}, "losses"),
        ({"steps": 8}, "steps"),
        ({"width": 2}, "width"),
    ],
)
def test_another_configuration_is_refused(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    config = config_for(tmp_path)
    save_state(tmp_path / "state.safetensors", new_state(config), config)
    with pytest.raises(IgfError, match=f"trained with {field}="):
        train(replace(config, **change), batches, [])


def test_steps_can_be_extended_and_threads_changed(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    train(config, batches, [])
    longer = replace(config, steps=8, workers=3, log_every=1)
    train(longer, batches, [], extend=True)
    assert load_state(tmp_path / "state.safetensors", longer).step == 8


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    train(config_for(tmp_path), batches, [])
    before = (tmp_path / "state.safetensors").read_bytes()
    assert train(config_for(tmp_path), acting_at(0, pytest.fail), []) == tmp_path / "last.safetensors"
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_damaged_state_is_reported(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    train(config, batches, [])
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedFile, match=r"state\.safetensors"):
        train(config, batches, [])


def test_a_checkpoint_can_be_the_start_of_a_run_with_larger_crops(tmp_path: Path) -> None:
    first = train(config_for(tmp_path / "a"), batches, [])
    weights, _ = load_checkpoint(first)
    config = config_for(tmp_path / "b", init=str(first), crop=96)
    started = new_state(config).generator.state_dict()
    for name, tensor in weights.state_dict().items():
        assert torch.equal(started[name], tensor)
    last = train(config, lambda start: iter([batch_of(s, 96) for s in range(STEPS)]), [])
    assert json.loads(load_checkpoint(last)[1].recipe)["init"] == "last.safetensors"
    with pytest.raises(IgfError, match="width"):
        new_state(replace(config, width=2))


def test_data_that_ends_is_reported(tmp_path: Path) -> None:
    with pytest.raises(IgfError, match="the data ended at step 1"):
        train(config_for(tmp_path), lambda start: iter([batch_of(0)]), [])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"crop": 100}, "crop=100"),
        ({"steps": 0}, "steps=0"),
        ({"betas": (1.0, 0.9)}, "beta1"),
        ({"lr": 0.0, "min_lr": 0.0}, "lr=0.0"),
        ({"min_lr": 1.0}, "min_lr=1.0"),
        ({"adversarial": True}, "adversarial"),
    ],
)
def test_impossible_configurations_are_refused(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(IgfError, match=word):
        config_for(tmp_path, **change)


def test_direct_alpha_trains_resumes_and_is_no_checkpoint_of_the_shipped_form(tmp_path: Path) -> None:
    straight = config_for(tmp_path / "straight", form="direct")
    train(straight, batches, [batch_of(99)])
    killed = replace(straight, run_dir=str(tmp_path / "killed"))
    with pytest.raises(KeyboardInterrupt):
        train(killed, acting_at(3, _interrupt), [batch_of(99)])
    train(killed, batches, [batch_of(99)])
    assert_same_run(tmp_path / "killed", tmp_path / "straight")
    averaged = load_state(tmp_path / "killed" / "state.safetensors", killed).averaged
    assert averaged(*batch_of(1)[:2]).coefficients[:, :3].abs().max() == 0
    with pytest.raises(DamagedFile, match="-direct', this program"):
        load_checkpoint(tmp_path / "straight" / "last.safetensors")


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("field", ["form", "masks"])
def test_unknown_form_or_masks_list_the_choices(field: str) -> None:
    with pytest.raises(IgfError, match=f"{field} 'odd' is not one of (coefficients|first)"):
        config_for("a", **{field: "odd"})


def test_held_out_masks_do_not_follow_the_runs_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(dataset, "Composites", lambda root, split: split)
    monkeypatch.setattr(dataset, "sample_batch", lambda *args, **kinds: asked.append(kinds))
    held_out_batches(config_for(tmp_path, masks="full", validation_samples=4))
    assert asked == [{"kinds": MIXES["first"]}]


def test_unknown_preset_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(IgfError, match="'quick' is not one of paper, fast"):
        preset_config("quick", tmp_path, tmp_path)


def test_paper_preset_is_section_3_4(tmp_path: Path) -> None:
    config = preset_config("paper", tmp_path, tmp_path)
    assert (config.lr, config.betas, config.gradient_penalty) == (1e-4, (0.5, 0.999), 10.0)
    assert (config.crop, config.width, config.adversarial) == (512, 1, True)


def test_learning_rate_warms_up_and_decays(tmp_path: Path) -> None:
    config = config_for(tmp_path, steps=110, warmup_steps=10, lr=1e-2, min_lr=1e-4)
    assert learning_rate(config, 0) == pytest.approx(1e-3)
    assert learning_rate(config, 9) == pytest.approx(1e-2)
    assert learning_rate(config, 60) == pytest.approx((1e-2 + 1e-4) / 2)
    assert learning_rate(config, 110) == pytest.approx(1e-4)
    rates = [learning_rate(config, step) for step in range(10, 111)]
    assert rates == sorted(rates, reverse=True)


def test_averaging_includes_the_batch_norm_statistics() -> None:
    averaged, generator = Generator(), Generator()
    name = "hourglass.encode_8.norm.running_mean"
    generator.state_dict()[name].fill_(1.0)
    generator.state_dict()["hourglass.encode_8.norm.num_batches_tracked"].fill_(7)
    update_average(averaged, generator, decay=0.9, step=10_000)
    assert averaged.state_dict()[name].tolist() == pytest.approx([0.1] * 16)
    assert averaged.state_dict()["hourglass.encode_8.norm.num_batches_tracked"] == 7
    assert generator.state_dict()[name].tolist() == [1.0] * 16


def matte_of(slope: float, offset: Tensor) -> Matte:
    coefficients = torch.cat([torch.full((1, 3, 8, 8), slope), offset], dim=1)
    return Matte(torch.zeros(1, 1, 32, 32), coefficients)


def test_detail_probe_tells_the_image_s_detail_from_drawn_detail() -> None:
    guidance = torch.rand(1, 3, 32, 32)
    ramp = torch.linspace(0, 1, 8).expand(1, 1, 8, 8)
    assert detail_probe(matte_of(0.5, torch.zeros(1, 1, 8, 8)), guidance) == (0.5, 1.0)
    assert detail_probe(matte_of(0.0, ramp), guidance) == (0.0, 0.0)
    assert 0.0 < detail_probe(matte_of(0.1, ramp), guidance)[1] < 1.0


def test_validation_errors_by_hand() -> None:
    zeros, ones = torch.zeros(2, 1, 10, 10), torch.ones(1, 1, 10, 10)
    held_out = [(zeros.expand(2, 3, 10, 10), zeros, zeros), (ones.expand(1, 3, 10, 10), ones, ones)]
    errors = validation_errors(lambda guidance, mask: torch.full_like(mask, 0.5), held_out)
    assert errors == {"sad": pytest.approx(0.05), "mse": 0.25}


class FakeComposites:
    def __init__(self, root: Path, split: str) -> None:
        self.count = int(root.name)

    def __len__(self) -> int:
        return self.count


def test_the_pool_of_composites_is_fixed_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set that grows while a run goes on must not change which composites a step draws."""
    monkeypatch.setattr(dataset, "Composites", FakeComposites)
    monkeypatch.setattr(dataset, "BatchLoader", lambda *arguments, **named: named["pool"])
    config = config_for(tmp_path)
    state = new_state(config)
    assert composite_batches(replace(config, data_root="100"), state)(0) == 100
    assert composite_batches(replace(config, data_root="900"), state)(0) == 100
    with pytest.raises(IgfError, match="90 composites, the run needs 100"):
        composite_batches(replace(config, data_root="90"), state)
    assert composite_batches(replace(config, data_root="900", pool=64), new_state(config))(0) == 64


if __name__ == "__main__":
    train(
        config_for(sys.argv[1], sys.argv[2]),
        acting_at(int(sys.argv[3]), lambda: os.kill(os.getpid(), signal.SIGKILL)),
        [],
    )
