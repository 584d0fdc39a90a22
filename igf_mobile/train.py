"""The training loop (paper 3.4): composites in, `last.safetensors` and `best.safetensors` out.

A run lives in a folder. Started again with the same configuration it goes on where its last state
file stands, with the same bits as if it had never stopped.
"""

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from igf_mobile.checkpoint import CheckpointInfo, save_checkpoint
from igf_mobile.errors import IgfError
from igf_mobile.files import write_text
from igf_mobile.losses import (
    discriminator_loss,
    generator_adversarial_loss,
    gradient_penalty,
    reconstruction_losses,
    weighted_sum,
)
from igf_mobile.model import Generator, Matte
from igf_mobile.training_state import (
    TrainConfig,
    TrainingState,
    load_state,
    new_state,
    recipe_of,
    save_state,
)
from igf_mobile.two_colour import COEFFICIENT_STRIDE, upsample

Batch = tuple[Tensor, Tensor, Tensor]
"""guidance (B,3,H,W), weak_mask (B,1,H,W), alpha (B,1,H,W), float32 in [0,1]."""

Batches = Callable[[int], Iterable[Any]]
"""From the first step wanted to the batches from there on; a pure function of it."""

STATE_FILE = "state.safetensors"
LAST_FILE = "last.safetensors"
BEST_FILE = "best.safetensors"
LOG_FILE = "log.jsonl"

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
    run = Path(config.run_dir)
    state_path = run / STATE_FILE
    resumed = state_path.is_file()
    state = load_state(state_path, config, extend) if resumed else new_state(config)
    _drop_log_after(run / LOG_FILE, state.step)
    if state.step >= config.steps:
        return _result(run, state)
    if batches is None:
        batches = composite_batches(config, state)
    if validation is None:
        validation = held_out_batches(config) if config.validate_every else []
    _Loop(config, state, [as_batch(b) for b in validation]).run(batches)
    return _result(run, state)


def _result(run: Path, state: TrainingState) -> Path:
    return run / (BEST_FILE if state.best_step >= 0 else LAST_FILE)


def composite_batches(config: TrainConfig, state: TrainingState) -> Batches:
    """Training batches from the composites under `config.data_root`; fixes the state's pool."""
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
            start_step,
            config.batch_size,
            config.crop,
            config.workers,
            stop_step=config.steps,
            pool=state.pool,
        )

    return from_step


def held_out_batches(config: TrainConfig) -> list[Any]:
    """The same `config.validation_samples` held-out crops for every run with this crop size."""
    from igf_mobile.data.dataset import Composites, sample_batch

    composites = Composites(Path(config.data_root), "validation")
    size = min(16, config.validation_samples)
    count = math.ceil(config.validation_samples / size)
    return [sample_batch(composites, 0, step, size, config.crop) for step in range(count)]


def as_batch(arrays: Any) -> Batch:
    """Three arrays or tensors as contiguous float32 tensors."""
    guidance, weak_mask, alpha = (torch.as_tensor(a).to(torch.float32) for a in arrays)
    return guidance, weak_mask, alpha


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


@torch.no_grad()
def detail_probe(matte: Matte, guidance: Tensor) -> tuple[float, float]:
    """How much of the matte comes from the image: (mean |A|, share of gradient energy from A * I).

    By the product rule, a finite difference of alpha = A I + B is mean(A) diff(I), the image's detail,
    plus mean(I) diff(A) + diff(B), what the coefficients draw themselves. The share is the energy of the
    first part in the sum of both energies; 0 if A has collapsed.
    """
    full = upsample(matte.coefficients, COEFFICIENT_STRIDE)
    slope, offset = full[:, 0:3], full[:, 3:4]
    detail, drawn = 0.0, 0.0
    for axis in (2, 3):
        slope_mean, image_mean = _midpoint(slope, axis), _midpoint(guidance, axis)
        from_image = (slope_mean * guidance.diff(dim=axis)).sum(dim=1, keepdim=True)
        from_slope = (image_mean * slope.diff(dim=axis)).sum(dim=1, keepdim=True)
        detail += from_image.square().sum().item()
        drawn += (from_slope + offset.diff(dim=axis)).square().sum().item()
    return slope.abs().mean().item(), detail / max(detail + drawn, 1e-12)


def _midpoint(x: Tensor, axis: int) -> Tensor:
    length = x.shape[axis] - 1
    return 0.5 * (x.narrow(axis, 1, length) + x.narrow(axis, 0, length))


@torch.no_grad()
def validation_errors(
    predict: Callable[[Tensor, Tensor], Tensor], batches: Sequence[Batch]
) -> dict[str, float]:
    """Mean SAD (/1000) and MSE per held-out crop, over all its pixels, of predict(guidance, weak_mask)."""
    sad, mse, count = 0.0, 0.0, 0
    for guidance, weak_mask, alpha in batches:
        error = predict(guidance, weak_mask) - alpha
        sad += error.abs().sum().item() / 1000.0
        mse += error.square().mean().item() * len(error)
        count += len(error)
    return {"sad": sad / count, "mse": mse / count}


class _Loop:
    """One process's share of a run."""

    def __init__(self, config: TrainConfig, state: TrainingState, validation: list[Batch]) -> None:
        self.config = config
        self.state = state
        self.validation = validation
        self.run_dir = Path(config.run_dir)
        self.log = RunLog(self.run_dir, config.tensorboard)
        self.saved_at = time.monotonic()

    def run(self, batches: Batches) -> None:
        """Steps until the last one, a signal or a NaN."""
        config, state = self.config, self.state
        if state.step == 0:
            self._log_baselines()
        with caught_signals() as caught, _progress(state.step, config.steps) as advance:
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
        window = _Window(config.batch_size)
        iterator = iter(batches(state.step))
        while state.step < config.steps:
            with window.waiting():
                batch = as_batch(_next(iterator, state.step))
            losses, matte = self._step(batch)
            state.step += 1
            window.add(losses)
            if state.step % config.log_every == 0 or state.step == config.steps:
                self._log_window(window, matte, batch[0])
                window = _Window(config.batch_size)
            if self.validation and config.validate_every and state.step % config.validate_every == 0:
                self._validate()
            advance(state.step)
            if caught:
                self._save()
                name = signal.Signals(caught[0]).name
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
        matte: Matte = state.generator(guidance, weak_mask)
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

    def _log_window(self, window: "_Window", matte: Matte, guidance: Tensor) -> None:
        few = Matte(matte.alpha[:_PROBE_SAMPLES], matte.coefficients[:_PROBE_SAMPLES].detach())
        mean_slope, share = detail_probe(few, guidance[:_PROBE_SAMPLES])
        step = self.state.step
        values = {"lr": learning_rate(self.config, step - 1)} | window.means()
        self.log.write("train", step, values | {"mean_abs_slope": mean_slope, "detail_share": share})

    def _log_baselines(self) -> None:
        """Errors of doing nothing: the mask itself, and the two-colour start."""
        if not self.validation:
            return
        with torch.random.fork_rng():
            start = Generator().eval()
        self.log.write("mask", 0, validation_errors(lambda guidance, weak_mask: weak_mask, self.validation))
        start_errors = validation_errors(lambda guidance, mask: start(guidance, mask).alpha, self.validation)
        self.log.write("two_colour_start", 0, start_errors)

    def _validate(self) -> None:
        state = self.state
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
            steps=self.state.step,
            recipe=recipe_of(config),
        )

    def _save(self) -> None:
        save_checkpoint(self.run_dir / LAST_FILE, self.state.averaged, self._info())
        save_state(self.run_dir / STATE_FILE, self.state, self.config)
        self.saved_at = time.monotonic()


def _next(iterator: Iterator[Any], step: int) -> Any:
    try:
        return next(iterator)
    except StopIteration:
        raise IgfError(f"the data ended at step {step}") from None


class _Window:
    """Means of the losses and the time between two log lines."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.sums: dict[str, float] = {}
        self.steps = 0
        self.waited = 0.0
        self.started = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    def add(self, losses: dict[str, float]) -> None:
        """Count one step."""
        self.steps += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Mean losses, samples per second, share of the time waiting for data."""
        seconds = time.perf_counter() - self.started
        rates = {
            "samples_per_second": self.steps * self.batch_size / seconds,
            "data_wait_share": self.waited / seconds,
        }
        return {name: value / self.steps for name, value in self.sums.items()} | rates


class RunLog:
    """`log.jsonl`, one JSON object per line with `kind` and `step`, and TensorBoard if asked for."""

    def __init__(self, run_dir: Path, tensorboard: bool = False) -> None:
        """Open the log of a run's folder, making the folder."""
        run_dir.mkdir(parents=True, exist_ok=True)
        self.path = run_dir / LOG_FILE
        self.board: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise IgfError("tensorboard=True, but tensorboard is not installed") from error
            self.board = SummaryWriter(str(run_dir))

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Append one line."""
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, "step": step} | rounded) + "\n")
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(f"{kind}/{name}", value, step)
            self.board.flush()


def _drop_log_after(path: Path, step: int) -> None:
    """Drop the lines a killed run wrote after its last state: the continuation writes them again."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step and step > 0:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    write_text(path, "".join(f"{line}\n" for line in kept))


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


@contextmanager
def _progress(start: int, steps: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal's standard error; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("training", total=steps, completed=start)
        yield lambda step: progress.update(task, completed=step)
