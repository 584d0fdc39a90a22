"""What a training run tells: log.jsonl, TensorBoard, a progress bar."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from igf_mobile.errors import IgfError
from igf_mobile.files import write_text

LOG_FILE = "log.jsonl"


class LossWindow:
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
                raise IgfError(
                    "tensorboard is not installed; it comes with `pip install igf_mobile[data]`"
                ) from error
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


def drop_log_after(path: Path, step: int) -> None:
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
def progress_bar(start: int, steps: int, show: bool = True) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal's standard error; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (show and console.is_terminal)) as progress:
        task = progress.add_task("training", total=steps, completed=start)
        yield lambda step: progress.update(task, completed=step)
