"""Several processes training one network, as `torchrun` starts them; one process without it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Team:
    """This process among those of the run."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Rank 0 alone validates, logs and writes files."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over the team; itself where there is no team."""
        return module if self.size == 1 else DistributedDataParallel(module)

    def average_gradients(self, module: nn.Module) -> None:
        """As `wrap` does, for a module with second derivatives, which DistributedDataParallel refuses."""
        if self.size == 1:
            return
        for parameter in module.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.size

    def any(self, flag: bool) -> bool:
        """Is it so in any process? Every process must ask."""
        if self.size == 1:
            return flag
        flags = torch.tensor([float(flag)])
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags.item())


ALONE = Team()


@contextmanager
def joined_team() -> Iterator[Team]:
    """The team that torchrun's environment names (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT)."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    # The tensors that are exchanged are the gradients: where those live decides the backend.
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
