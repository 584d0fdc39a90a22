"""Two processes under torchrun against one that does the work of both.

Run as a program (`torchrun tests/test_distributed.py RUN_DIR`) it is one of the processes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from igf_mobile.data.cache import shard_path
from igf_mobile.data.dataset import Composites, sample_batch
from igf_mobile.distributed import Team
from igf_mobile.losses import reconstruction_losses, weighted_sum
from igf_mobile.train import composite_batches, learning_rate, train
from igf_mobile.training_state import TrainConfig, load_state, new_state, preset_config

torch.set_num_threads(1)

STEPS, PROCESSES = 3, 2
Batch = tuple[Tensor, Tensor, Tensor]


def config_for(run_dir: Path | str) -> TrainConfig:
    return preset_config(
        "fast",
        "unused",
        run_dir,
        steps=STEPS,
        batch_size=2,
        crop=64,
        validate_every=0,
        workers=0,
        log_every=1,
    )


def batch_of(number: int) -> Batch:
    random = torch.Generator().manual_seed(number)
    alpha = F.interpolate(torch.rand(2, 1, 4, 4, generator=random), size=64, mode="bilinear")
    alpha = (6.0 * (alpha - 0.5) + 0.5).clamp(0.0, 1.0)
    front, back = torch.rand(2, 2, 3, 1, 1, generator=random)
    return alpha * front + (1.0 - alpha) * back, (alpha > 0.8).float(), alpha


def batches_of_rank(start: int) -> Iterator[Batch]:
    rank = int(os.environ["RANK"])
    for step in range(start, STEPS):
        yield batch_of(PROCESSES * step + rank)


def test_two_processes_learn_what_one_learns_from_both_batches(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [*command, __file__, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    together = load_state(tmp_path / "state.safetensors", config_for(tmp_path))
    assert together.step == STEPS
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert len(lines) == STEPS, "one process, and one alone, writes the log"

    config = config_for(tmp_path)
    # As the processes; what ran before in this one may have left another number, with which the sums' order differs.
    torch.set_num_threads(config.threads)
    alone = new_state(config)
    for step in range(STEPS):
        alone.generator_adam.zero_grad()
        for rank in range(PROCESSES):
            guidance, mask, alpha = batch_of(PROCESSES * step + rank)
            guidance = guidance.contiguous(memory_format=torch.channels_last)
            losses = reconstruction_losses(
                config.losses, alone.generator(guidance, mask), guidance, mask, alpha
            )
            (weighted_sum(config.losses, losses) / PROCESSES).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(alone.generator.parameters(), config.clip_norm)
        for group in alone.generator_adam.param_groups:
            group["lr"] = learning_rate(config, step)
        alone.generator_adam.step()

    wanted = dict(alone.generator.named_parameters())
    start = dict(new_state(config).generator.named_parameters())
    moved = max(float((wanted[name] - start[name]).abs().max()) for name in wanted)
    for name, found in together.generator.named_parameters():
        # Sums in another order; Adam's first steps turn tiny gradients of either sign into whole steps.
        assert float((found - wanted[name]).abs().mean()) <= 0.02 * moved, name


def test_no_two_processes_see_the_same_batch(tmp_path: Path) -> None:
    path = shard_path(tmp_path, "train", 0)
    path.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 96, 96, 4), dtype=np.uint8)
    pixels[:, :, :48, 3], pixels[:, :, 48:, 3] = 255, 0
    np.save(path, pixels)
    config = replace(config_for("unused"), data_root=str(tmp_path))
    composites = Composites(tmp_path, "train")
    for rank in range(PROCESSES):
        from_step = composite_batches(config, new_state(config), Team(rank, PROCESSES))
        batches = list(from_step(1))
        assert len(batches) == STEPS - 1
        for step, batch in enumerate(batches, 1):
            wanted = sample_batch(composites, config.seed, PROCESSES * step + rank, 2, 64)
            for found, array in zip(batch, wanted, strict=True):
                assert torch.equal(found, torch.from_numpy(array))


@pytest.mark.parametrize("flag", [True, False])
def test_alone_one_asks_oneself(flag: bool) -> None:
    module = torch.nn.Linear(1, 1)
    assert Team().wrap(module) is module
    assert Team().any(flag) is flag
    assert Team().leads and not Team(1, 2).leads


if __name__ == "__main__":
    train(config_for(sys.argv[1]), batches=batches_of_rank)
