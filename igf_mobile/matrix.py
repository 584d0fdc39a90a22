"""Constant matrices as 1x1 convolutions: in all three runtimes the shortest way to pick, sum and copy channels.

One such operator takes the place of ten that slice, add and concatenate, and leaves the channels last, where every
kernel wants them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Constant(nn.Conv2d):
    """A convolution with a constant kernel. In no checkpoint."""

    def __init__(self, kernel: Tensor, plus: Tensor | None = None) -> None:
        """Kernel (O,I,kh,kw), and what is added to each output (O)."""
        outputs, inputs, *sides = kernel.shape
        # Copies: of a view ExecuTorch 1.5.1 writes the first values of what it is a view of.
        kernel = kernel.clone(memory_format=torch.contiguous_format)
        plus = None if plus is None else plus.clone()
        # On no device: nothing is drawn for weights that go.
        super().__init__(inputs, outputs, (sides[0], sides[1]), bias=plus is not None, device="meta")
        del self.weight
        self.register_buffer("weight", kernel, persistent=False)
        if plus is not None:
            del self.bias
            self.register_buffer("bias", plus, persistent=False)


class Matrix(Constant):
    """The product of a constant matrix (O,I) with the channels of each pixel."""

    def __init__(self, rows: Tensor, plus: Tensor | None = None) -> None:
        """Rows (O,I), and what is added to each (O)."""
        super().__init__(rows[:, :, None, None], plus)


def pick(channels: Sequence[int], of: int, scale: float = 1.0) -> Matrix:
    """Those of `of` channels, times `scale`; a channel may come more than once."""
    return Matrix(scale * torch.eye(of)[list(channels)])


def total(inputs: int) -> Matrix:
    """The sum of all channels."""
    return Matrix(torch.ones(1, inputs))
