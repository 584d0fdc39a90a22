"""Quantization-aware training: a float checkpoint in, one with ranges learned beside its weights out.

The batch norms are folded first, so what is trained is what is exported. The rounded network learns from the float
network's own matte by the losses it was trained with; scales of activations are learned with the
weights (LSQ, Esser et al. 2020), scales of weights follow their largest.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from igf_mobile.batches import Batch, Batches, as_batch
from igf_mobile.calibration import calibrate
from igf_mobile.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint, weights_sha256
from igf_mobile.errors import IgfError
from igf_mobile.losses import reconstruction_losses, weighted_sum
from igf_mobile.matting import FloatRunner
from igf_mobile.model import Generator
from igf_mobile.pipeline.measure import run_proof
from igf_mobile.quantize.compare import Row, against_float
from igf_mobile.quantize.fake_quant import fake_quantized, unfolded
from igf_mobile.quantize.qat_state import QatConfig, QatState, load_state, new_state, qat_values, save_state
from igf_mobile.ranges import Ranges, parse, widened
from igf_mobile.train import (
    STATE_FILE,
    TrainingStoppedError,
    caught_signals,
    composite_batches,
    held_out_batches,
    learning_rate,
)
from igf_mobile.training_log import LOG_FILE, LossWindow, RunLog, drop_log_after, progress_bar
from igf_mobile.training_probe import validation_errors

CHECKPOINT_FILE = "qat.safetensors"


@dataclass(frozen=True)
class Outcome:
    """A finished run, measured on the proof samples."""

    checkpoint: str
    rows: tuple[Row, ...]
    """Against the float checkpoint: what an export makes of it with the run's observer (PTQ), the learned weights and
    ranges (QAT), and the learned weights in float."""

    @property
    def gains(self) -> bool:
        """Is QAT nearer to the float model than PTQ, by SQNR?"""
        before, after, *_ = self.rows
        return after.sqnr_db > before.sqnr_db


def train(config: QatConfig, batches: Batches | None = None, validation: Sequence[Any] | None = None) -> Path:
    """Train, or continue, the run of `config.train.run_dir`.

    Args:
        config: the run.
        batches: from a step to an iterator of batches; by default the composites under `data_root`.
        validation: held-out batches; by default from the held-out composites. Empty: none.

    Returns:
        The checkpoint, which holds its ranges.

    Raises:
        TrainingStoppedError: after Ctrl-C or SIGTERM; the state is saved.
        IgfError: a loss became NaN, or the run in the folder has another configuration.
    """
    torch.set_num_threads(config.train.threads)
    run = Path(config.train.run_dir)
    path = run / STATE_FILE
    state = load_state(path, config) if path.is_file() else new_state(config)
    drop_log_after(run / LOG_FILE, state.step)
    if state.step < config.train.steps:
        if batches is None:
            batches = composite_batches(config.train, state)  # type: ignore[arg-type]
        if validation is None:
            validation = held_out_batches(config.train) if config.train.validate_every else []
        _Loop(config, state, [as_batch(batch) for batch in validation]).run(batches)
    return _write(config, state)


class _Loop:
    def __init__(self, config: QatConfig, state: QatState, validation: list[Batch]) -> None:
        self.config, self.state, self.validation = config, state, validation
        self.path = Path(config.train.run_dir) / STATE_FILE
        self.log = RunLog(Path(config.train.run_dir), config.train.tensorboard)
        self.saved_at = time.monotonic()

    def run(self, batches: Batches) -> None:
        train, state = self.config.train, self.state
        if state.step == 0:
            self._validate()
        with caught_signals() as caught, progress_bar(state.step, train.steps) as advance:
            iterator = iter(batches(state.step))
            window = LossWindow(train.batch_size)
            while state.step < train.steps:
                with window.waiting():
                    batch = as_batch(_next(iterator, state.step))
                window.add(self._step(batch))
                state.step += 1
                advance(state.step)
                if state.step % train.log_every == 0 or state.step == train.steps:
                    self.log.write("train", state.step, window.means())
                    window = LossWindow(train.batch_size)
                if train.validate_every and state.step % train.validate_every == 0:
                    self._validate()
                if caught:
                    self._save()
                    raise TrainingStoppedError(f"{train.run_dir} stopped; saved after step {state.step}")
                if time.monotonic() - self.saved_at >= train.checkpoint_every_seconds:
                    self._save()
        self._save()

    def _step(self, batch: Batch) -> dict[str, float]:
        config, state = self.config, self.state
        guidance, weak_mask, alpha = batch
        with torch.no_grad():
            taught = state.teacher(guidance, weak_mask).alpha
        matte = state.student.train()(guidance, weak_mask)
        target = torch.lerp(alpha, taught, config.distil)
        losses = reconstruction_losses(config.train.losses, matte, guidance, weak_mask, target)
        total = weighted_sum(config.train.losses, losses)
        state.adam.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        student, averaged = state.networks
        norm = torch.nn.utils.clip_grad_norm_(student.parameters(), config.train.clip_norm or math.inf).item()
        if not (math.isfinite(norm) and math.isfinite(total.item())):
            raise IgfError(f"loss or gradient is not finite at step {state.step} of {config.train.run_dir}")
        lr = learning_rate(config.train, state.step)
        for group, peak in zip(state.adam.param_groups, (config.train.lr, config.range_lr), strict=True):
            group["lr"] = lr * peak / config.train.lr
        state.adam.step()
        _move(averaged.state_dict(), student.state_dict(), config.train.ema_decay, state.step)
        return {name: loss.item() for name, loss in losses.items()} | {"total": total.item()}

    def _validate(self) -> None:
        """Errors against the true alpha, and the distance to the teacher."""
        if not self.validation:
            return
        state = self.state
        errors = validation_errors(lambda g, m: state.averaged(g, m).alpha, self.validation)
        with torch.no_grad():
            gaps = [
                (state.averaged(g, m).alpha - state.teacher(g, m).alpha).square().mean().item()
                for g, m, _ in self.validation
            ]
        self.log.write("validation", state.step, errors | {"teacher_mse": sum(gaps) / len(gaps)})

    def _save(self) -> None:
        self.saved_at = time.monotonic()
        save_state(self.path, self.state, self.config)


def _move(mine: dict[str, Tensor], theirs: dict[str, Tensor], decay: float, step: int) -> None:
    share = 1.0 - min(decay, (1.0 + step) / (10.0 + step))
    with torch.no_grad():
        for name, tensor in mine.items():
            tensor.lerp_(theirs[name], share)


def _next(iterator: Any, step: int) -> Any:
    try:
        return next(iterator)
    except StopIteration:
        raise IgfError(f"the data ended at step {step}") from None


def _write(config: QatConfig, state: QatState) -> Path:
    """The averaged network as a checkpoint: ordinary weights, the ranges in its metadata."""
    _, info = load_checkpoint(Path(config.train.init))
    generator = unfolded(state.averaged, state.teacher)
    _, averaged = state.networks
    ranges = Ranges(
        "qat", state.first.calibration_sha256, weights_sha256(generator), widened(averaged.table())
    )
    path = Path(config.train.run_dir) / CHECKPOINT_FILE
    learned = CheckpointInfo(
        name=info.name,
        version=info.version,
        licence=info.licence,
        width=info.width,
        steps=info.steps + state.step,
        recipe=json.dumps({"float": json.loads(info.recipe), "qat": qat_values(config)}, sort_keys=True),
        origin="qat",
        ranges=ranges.to_json(),
    )
    save_checkpoint(path, generator, learned)
    return path


def measure(float_checkpoint: Path, first: Ranges, checkpoint: Path) -> Outcome:
    """Before and after, on the proof samples; both rounded as in `w8a8`, by the float model's measure.

    Args:
        float_checkpoint: what the run began with.
        first: the ranges it began with; their observer is PTQ's.
        checkpoint: of `train`.
    """
    teacher, _ = load_checkpoint(float_checkpoint)
    learned, info = load_checkpoint(checkpoint)
    proof = run_proof(teacher)
    ranges = parse(info.ranges, str(checkpoint))
    calibration = calibrate(teacher, observer=first.observer)
    networks: dict[str, Generator] = {
        f"PTQ, {first.observer}": fake_quantized(calibration.network("w8a8"), calibration.ranges),
        "QAT": fake_quantized(learned, ranges),
        "QAT weights in float": learned,
    }
    rows = [against_float(name, FloatRunner(network), proof) for name, network in networks.items()]
    return Outcome(str(checkpoint), tuple(rows))
