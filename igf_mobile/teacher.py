"""Mattes to learn from, by an exported artifact of another network, of whatever architecture.

Trained on with true alpha, a network fits the composites it sees and its photographs get worse (model card). One whose
photographs are good shows another what it makes of the same crops (Hinton, Vinyals and Dean 2015).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from igf_mobile import backends
from igf_mobile.backends.base import Runner
from igf_mobile.batches import Batch, Batches, as_batch
from igf_mobile.errors import IgfError


def load_teacher(path: Path, crop: int) -> Runner:
    """Open an artifact that takes crops of so many pixels a side.

    Raises:
        IgfError: it is no artifact of a backend, or of another size.
        DamagedFile: it is not whole.
        BackendUnavailable: this machine has no runtime for it.
    """
    by_suffix = {backends.get(name).suffix: name for name in backends.names()}
    name = by_suffix.get(path.suffix)
    if name is None:
        raise IgfError(f"the teacher {path} is none of {', '.join(sorted(by_suffix))}")
    if not path.exists():
        raise IgfError(f"the teacher {path} is not there")
    runner = backends.get(name).load(path)
    try:
        runner(np.zeros((1, 3, crop, crop), np.float32), np.zeros((1, 1, crop, crop), np.float32))
    except (RuntimeError, ValueError) as error:
        raise IgfError(
            f"the teacher {path} takes no crops of {crop}; export it with --size {crop}"
        ) from error
    return runner


def taught(batches: Batches, teacher: Runner, share: float) -> Batches:
    """The same batches with the teacher's mattes in place of a share of the true alpha.

    Args:
        batches: from a step to batches of guidance (B,3,H,W), weak mask (B,1,H,W) and alpha (B,1,H,W).
        teacher: of that size.
        share: of its matte in the target, [0,1].
    """

    def from_step(step: int) -> Iterator[Batch]:
        for batch in batches(step):
            guidance, weak_mask, alpha = as_batch(batch)
            pairs = zip(guidance.numpy(), weak_mask.numpy(), strict=True)
            mattes = np.concatenate([teacher(image[None], mask[None])[0] for image, mask in pairs])
            yield guidance, weak_mask, torch.lerp(alpha, torch.from_numpy(mattes).clamp(0.0, 1.0), share)

    return from_step
