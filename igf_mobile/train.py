"""The training loop (paper 3.4): composites in, `last.safetensors` and `best.safetensors` out.

Started by `torchrun`, several processes train one network: each takes its own batches, gradients are
averaged, the first one validates, logs and writes.

A run lives in a folder. Started again with the same configuration it goes on where its last state
file stands, with the same bits as if it had never stopped.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from igf_mobile.batches import Batch, Batches, as_batch
from igf_mobile.checkpoint import ARCHITECTURE, CheckpointInfo, save_checkpoint
from igf_mobile.data.weak_mask import MIXES
from igf_mobile.distributed import ALONE, Team, joined_team
from igf_mobile.errors import IgfError
from igf_mobile.losses import (
    discriminator_loss,
    generator_adversarial_loss,
    gradient_penalty,
    reconstruction_losses,
    weighted_sum,
)
from igf_mobile.model import Generator, Matte
from igf_mobile.teacher import load_teacher, taught
from igf_mobile.training_log import LOG_FILE, LossWindow, RunLog, drop_log_after, progress_bar
from igf_mobile.training_probe import detail_probe, validation_errors
from igf_mobile.training_state import (
    TrainConfig,
    TrainingState,
    load_state,
    new_state,
    recipe_of,
    save_state,
)

STATE_FILE = "state.safetensors"
LAST_FILE = "last.safetensors"
BEST_FILE = "best.safetensors"

_PROBE_SAMPLES = 4


class TrainingStoppedError(IgfError):
    """Ctrl-C or SIGTERM: the state is saved and the run can be continued."""


def train(
    config: TrainConfig,
    batches: Batches | None = None,
    validation: Sequence[Any] | None = None,
    extend: bool = False,
) -> Path:
    """Train, or continue, the run of `config.run_dir` to `config.steps`.

    Args:
        config: the run.
        batches: from a step to an iterator of batches (tensors or NumPy arrays); by default the
            composites under `config.data_root`.
        validation: held-out batches; by default from the held-out composites. Empty: none.
        extend: allow the continuation to have another `steps`.

    Returns:
        `best.safetensors` of the run, or `last.safetensors` where nothing was validated.

    Raises:
        TrainingStoppedError: after Ctrl-C or SIGTERM; the state is saved.
        IgfError: a loss became NaN, or the run in the folder has another configuration.
    """
    torch.set_num_threads(config.threads)
    with joined_team() as team:
        return _train(config, batches, validation, extend, team)


def _train(
    config: TrainConfig, batches: Batches | None, validation: Sequence[Any] | None, extend: bool, team: Team
) -> Path:
    run = Path(config.run_dir)
    state_path = run / STATE_FILE
    resumed = state_path.is_file()
    state = load_state(state_path, config, extend) if resumed else new_state(config)
    if team.leads:
        drop_log_after(run / LOG_FILE, state.step)
    if state.step >= config.steps:
        return _result(run, state)
    if batches is None:
        batches = composite_batches(config, state, team)
    if config.teacher:
        batches = taught(batches, load_teacher(Path(config.teacher), config.crop), config.teacher_share)
    if validation is None:
        validation = held_out_batches(config) if config.validate_every and team.leads else []
    _Loop(config, state, [as_batch(b, config.device) for b in validation], team).run(batches)
    return _result(run, state)


def _result(run: Path, state: TrainingState) -> Path:
    return run / (BEST_FILE if state.best_step >= 0 else LAST_FILE)


def composite_batches(config: TrainConfig, state: TrainingState, team: Team = ALONE) -> Batches:
    """Training batches from the composites under `config.data_root`; fixes the state's pool.

    Step s of process r in a team of n is batch n s + r of the seed, so no two see the same.
    """
    from igf_mobile.data.dataset import BatchLoader, Composites

    composites = Composites(Path(config.data_root), "train")
    wanted = state.pool or config.pool or len(composites)
    if wanted > len(composites):
        raise IgfError(f"{config.data_root} holds {len(composites)} composites, the run needs {wanted}")
    state.pool = wanted

    def from_step(start_step: int) -> Iterable[Any]:
        return BatchLoader(
            composites,
            config.seed,
            range(start_step * team.size + team.rank, config.steps * team.size, team.size),
            config.batch_size,
            config.crop,
            config.workers,
            pool=state.pool,
            kinds=MIXES[config.masks],
        )

    return from_step


def held_out_batches(config: TrainConfig) -> list[Any]:
    """The same `config.validation_samples` held-out crops for every run with this crop size.

    Their masks are of the mix `first` whatever the run is trained on.
    """
    from igf_mobile.data.dataset import Composites, sample_batch

    composites = Composites(Path(config.data_root), "validation")
    size = min(16, config.validation_samples)
    count = math.ceil(config.validation_samples / size)
    return [
        sample_batch(composites, 0, step, size, config.crop, kinds=MIXES["first"]) for step in range(count)
    ]


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine from `lr` to `min_lr` at the last step (paper 3.4)."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.min_lr + 0.5 * (config.lr - config.min_lr) * (1.0 + math.cos(math.pi * done))


@torch.no_grad()
def update_average(averaged: Generator, generator: Generator, decay: float, step: int) -> None:
    """Move the averaged weights towards the generator's; faster in the first steps.

    The batch-norm statistics are averaged with the same decay, so that they belong to the averaged
    weights rather than to those of the last few batches.
    """
    share = 1.0 - min(decay, (1.0 + step) / (10.0 + step))
    theirs = generator.state_dict()
    for name, mine in averaged.state_dict().items():
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs[name], share)
        else:
            mine.copy_(theirs[name])


class _Loop:
    """One process's share of a run."""

    def __init__(
        self, config: TrainConfig, state: TrainingState, validation: list[Batch], team: Team
    ) -> None:
        self.config = config
        self.state = state
        self.validation = validation
        self.team = team
        self.generator = team.wrap(state.generator)
        self.run_dir = Path(config.run_dir)
        self.log = RunLog(self.run_dir, config.tensorboard) if team.leads else None
        self.saved_at = time.monotonic()

    def run(self, batches: Batches) -> None:
        """Steps until the last one, a signal or a NaN."""
        config, state = self.config, self.state
        if state.step == 0:
            self._log_baselines()
        bar = progress_bar(state.step, config.steps, show=self.team.leads)
        with caught_signals() as caught, bar as advance:
            try:
                self._steps(batches, caught, advance)
            except RuntimeError as error:
                # Signals to the whole process group end the data workers too, and torch then raises here.
                if not caught:
                    raise
                raise TrainingStoppedError(f"{self.run_dir} stopped; its last state is kept") from error
        if self.validation and (not config.validate_every or state.step % config.validate_every):
            self._validate()
        self._save()

    def _steps(self, batches: Batches, caught: list[int], advance: Callable[[int], None]) -> None:
        config, state = self.config, self.state
        window = LossWindow(config.batch_size * self.team.size)
        iterator = iter(batches(state.step))
        while state.step < config.steps:
            with window.waiting():
                batch = as_batch(_next(iterator, state.step), config.device)
            losses, matte = self._step(batch)
            state.step += 1
            window.add(losses)
            if state.step % config.log_every == 0 or state.step == config.steps:
                self._log_window(window, matte, batch[0])
                window = LossWindow(config.batch_size * self.team.size)
            if self.validation and config.validate_every and state.step % config.validate_every == 0:
                self._validate()
            advance(state.step)
            if self.team.any(bool(caught)):
                self._save()
                name = signal.Signals(caught[0]).name if caught else "a signal to another process"
                raise TrainingStoppedError(f"{self.run_dir} stopped by {name}; saved after step {state.step}")
            if time.monotonic() - self.saved_at >= config.checkpoint_every_seconds:
                self._save()

    def _step(self, batch: Batch) -> tuple[dict[str, float], Matte]:
        """One update of the generator and, if adversarial, one of the discriminator before it."""
        config, state = self.config, self.state
        guidance, weak_mask, alpha = batch
        if config.channels_last:
            guidance = guidance.contiguous(memory_format=torch.channels_last)
        lr = learning_rate(config, state.step)
        matte: Matte = self.generator(guidance, weak_mask)
        logged: dict[str, float] = {}
        if state.discriminator is not None:
            logged |= self._discriminator_step((guidance, weak_mask, alpha), matte.alpha.detach(), lr)
        losses = reconstruction_losses(config.losses, matte, guidance, weak_mask, alpha)
        if state.discriminator is not None:
            state.discriminator.requires_grad_(False)
            score = state.discriminator(guidance, weak_mask, matte.alpha)
            losses["adversarial"] = generator_adversarial_loss(score)
        total = weighted_sum(config.losses, losses)
        logged |= {name: loss.item() for name, loss in losses.items()} | {"total": total.item()}
        logged["gradient_norm"] = self._update(state.generator, state.generator_adam, total, lr, logged)
        update_average(state.averaged, state.generator, config.ema_decay, state.step)
        return logged, matte

    def _discriminator_step(self, batch: Batch, fake: Tensor, lr: float) -> dict[str, float]:
        """One update of the discriminator with L_D and the gradient penalty (eq. 8)."""
        discriminator, adam = self.state.discriminator, self.state.discriminator_adam
        assert discriminator is not None and adam is not None
        guidance, weak_mask, alpha = batch
        discriminator.requires_grad_(True)
        real_score = discriminator(guidance, weak_mask, alpha)
        fake_score = discriminator(guidance, weak_mask, fake)
        random = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.state.step)
        mix = torch.rand(len(alpha), generator=random)
        penalty = gradient_penalty(
            lambda between: discriminator(guidance, weak_mask, between), alpha, fake, mix
        )
        loss = discriminator_loss(real_score, fake_score)
        logged = {"discriminator": loss.item(), "gradient_penalty": penalty.item()}
        total = loss + self.config.gradient_penalty * penalty
        self._update(discriminator, adam, total, lr, logged)
        return logged

    def _update(
        self,
        module: torch.nn.Module,
        adam: torch.optim.Adam,
        total: Tensor,
        lr: float,
        logged: dict[str, float],
    ) -> float:
        """Backward and one Adam step; returns the gradient's norm.

        Raises:
            IgfError: the loss or the gradient is NaN or infinite; the weights are not touched.
        """
        adam.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        if module is self.state.discriminator:
            self.team.average_gradients(module)
        limit = self.config.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(module.parameters(), limit).item()
        if not (math.isfinite(norm) and math.isfinite(total.item())):
            listed = ", ".join(f"{name}={value:.4g}" for name, value in logged.items())
            raise IgfError(
                f"loss or gradient is not finite at step {self.state.step} of {self.run_dir} "
                f"({listed}, gradient_norm={norm:.4g}, lr={lr:.3g}); a lower lr may help"
            )
        for group in adam.param_groups:
            group["lr"] = lr
        adam.step()
        return norm

    def _log_window(self, window: LossWindow, matte: Matte, guidance: Tensor) -> None:
        if self.log is None:
            return
        few = Matte(matte.alpha[:_PROBE_SAMPLES], matte.coefficients[:_PROBE_SAMPLES].detach())
        mean_slope, share = detail_probe(few, guidance[:_PROBE_SAMPLES])
        step = self.state.step
        values = {"lr": learning_rate(self.config, step - 1)} | window.means()
        self.log.write("train", step, values | {"mean_abs_slope": mean_slope, "detail_share": share})

    def _log_baselines(self) -> None:
        """Errors of doing nothing: the mask itself, and the closed-form start."""
        if not self.validation or self.log is None:
            return
        with torch.random.fork_rng():
            start = Generator(form=self.config.form).eval().to(self.config.device)
        self.log.write("mask", 0, validation_errors(lambda guidance, weak_mask: weak_mask, self.validation))
        start_errors = validation_errors(lambda guidance, mask: start(guidance, mask).alpha, self.validation)
        self.log.write("start", 0, start_errors)

    def _validate(self) -> None:
        state = self.state
        if self.log is None:
            return
        errors = validation_errors(
            lambda guidance, mask: state.averaged(guidance, mask).alpha, self.validation
        )
        self.log.write("validation", state.step, errors)
        if errors["sad"] < state.best_sad:
            state.best_sad, state.best_step = errors["sad"], state.step
            save_checkpoint(self.run_dir / BEST_FILE, state.averaged, self._info())

    def _info(self) -> CheckpointInfo:
        config = self.config
        return CheckpointInfo(
            name=config.name,
            version=config.version,
            licence=config.licence,
            width=config.width,
            # nothing but the ablation reads the other forms
            architecture=ARCHITECTURE if config.form == "coefficients" else f"{ARCHITECTURE}-{config.form}",
            steps=self.state.step,
            recipe=recipe_of(config),
        )

    def _save(self) -> None:
        self.saved_at = time.monotonic()
        if not self.team.leads:
            return
        save_checkpoint(self.run_dir / LAST_FILE, self.state.averaged, self._info())
        save_state(self.run_dir / STATE_FILE, self.state, self.config)


def _next(iterator: Iterator[Any], step: int) -> Any:
    try:
        return next(iterator)
    except StopIteration:
        raise IgfError(f"the data ended at step {step}") from None


@contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and Ctrl-C instead of dying of them; the loop looks after each step."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda received, frame: caught.append(received)) for number in numbers]
    try:
        yield caught
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
