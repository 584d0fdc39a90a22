"""What training learns from, a batch at a time."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor, Tensor]
"""guidance (B,3,H,W), weak_mask (B,1,H,W), alpha (B,1,H,W), float32 in [0,1]."""

Batches = Callable[[int], Iterable[Any]]
"""From the first step wanted to the batches from there on; a pure function of it."""


def as_batch(arrays: Any, device: str = "cpu") -> Batch:
    """Three arrays or tensors as contiguous float32 tensors on `device`."""
    guidance, weak_mask, alpha = (torch.as_tensor(a).to(device, torch.float32) for a in arrays)
    return guidance, weak_mask, alpha
