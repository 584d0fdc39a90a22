"""The generator as exporters need it: batch norms folded, plain tuples, the layout of the edges."""

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.nn.utils.fusion import fuse_conv_bn_eval

from igf_mobile.blocks import BlockGenerator
from igf_mobile.hourglass import JoinedConv
from igf_mobile.model import Generator

Layout = Literal["NCHW", "NHWC"]

_CONVOLUTIONS = (
    torch.ops.aten.conv2d.default,
    torch.ops.aten.conv2d.padding,
    torch.ops.aten.convolution.default,
)


def fold_batch_norms(model: Generator) -> Generator:
    """A copy in which every batch norm is part of the convolution before it.

    Done here, once, so that all runtimes quantize the same weights.

    Raises:
        ValueError: the model is in training mode.
    """
    if model.training:
        raise ValueError("fold_batch_norms needs a model in eval mode; call model.eval() first")
    folded = copy.deepcopy(model)
    for sequence in folded.modules():
        if isinstance(sequence, JoinedConv) and isinstance(sequence.norm, nn.BatchNorm2d):
            _fold_joined(sequence, sequence.norm)
        if not isinstance(sequence, nn.Sequential):
            continue
        for i in range(len(sequence) - 1):
            convolution, norm = sequence[i], sequence[i + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[i] = fuse_conv_bn_eval(convolution, norm)
                sequence[i + 1] = nn.Identity()
    return folded


def _fold_joined(joined: JoinedConv, norm: nn.BatchNorm2d) -> None:
    """Fold the norm of the sum into its parts; the first one takes the bias."""
    shift = copy.deepcopy(norm)
    for i, part in enumerate(joined.parts):
        assert isinstance(part, nn.Conv2d)
        joined.parts[i] = fuse_conv_bn_eval(part, shift)
        if i:
            joined.parts[i].register_parameter("bias", None)
        # A share of the sum has no share of the mean and the bias left.
        nn.init.zeros_(shift.running_mean)  # type: ignore[arg-type]
        nn.init.zeros_(shift.bias)
    joined.norm = nn.Identity()


class ExportGraph(nn.Module):
    """(guidance, weak_mask) -> (alpha, coefficients), pictures as planes.

    With coefficients in "NCHW" it is the generator as it is written, for Core ML; in "NHWC", as who applies them reads
    them, its block form for XNNPACK. With `coefficients_only` it ends there.
    """

    def __init__(self, model: Generator, layout: Layout = "NCHW", coefficients_only: bool = False) -> None:
        super().__init__()
        self.coefficients_only = coefficients_only
        folded = fold_batch_norms(model)
        self.model = folded if layout == "NCHW" else BlockGenerator(folded)
        self.requires_grad_(False).eval()

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> tuple[Tensor, ...]:
        """(1,3,H,W), (1,1,H,W) -> (1,1,H,W), (1,4,H/4,W/4) or (1,H/4,W/4,4)."""
        if self.coefficients_only:
            return (self.model.coefficients(guidance, weak_mask),)
        alpha, coefficients = self.model(guidance, weak_mask)
        return alpha, coefficients


def restore_clamps(exported: GraphModule) -> None:
    """Put clamp(x, 0, 1) back where the model has relu6(6 x) / 6, in place, and clamp(x / 6, 0, 1) for relu6(x) / 6.

    The model writes it so for LiteRT's sake (`primitives.unit_clamp`). Elsewhere one operator or two do it;
    in float16 the three would end at 6 * float16(1/6) = 0.99976, and no pixel would be fully opaque. After a
    convolution it stays: runtimes do the relu6 in it, and coremltools would put a product into its weights.
    """
    for node in list(exported.graph.nodes):
        if node.target is not torch.ops.aten.relu6.default:
            continue
        source, users = node.args[0], list(node.users)
        if not (len(users) == 1 and _is_multiple(users[0], 1.0 / 6.0)) or source.target in _CONVOLUTIONS:
            continue
        with exported.graph.inserting_before(node):
            if _is_multiple(source, 6.0):
                source = source.args[0]
            else:
                source = exported.graph.call_function(torch.ops.aten.mul.Tensor, (source, 1.0 / 6.0))
                source.meta.update(users[0].meta)
            clamp = exported.graph.call_function(torch.ops.aten.clamp.default, (source, 0.0, 1.0))
        clamp.meta.update(users[0].meta)
        users[0].replace_all_uses_with(clamp)
    exported.graph.eliminate_dead_code()
    exported.recompile()


def slices_for_splits(exported: GraphModule) -> None:
    """Write each part of a split as a slice, in place: XNNPACK's delegate in ExecuTorch takes no splits.

    The model splits because the gradient of slices costs a filled tensor each.
    """
    splits = (torch.ops.aten.split.Tensor, torch.ops.aten.split_with_sizes.default)
    for node in list(exported.graph.nodes):
        if node.target not in splits:
            continue
        source, axis = node.args[0], node.args[2] if len(node.args) > 2 else 0
        start = 0
        for index, part in enumerate(node.meta["val"]):
            end = start + part.shape[axis]
            for user in [user for user in node.users if user.args[1] == index]:
                with exported.graph.inserting_before(user):
                    arguments = (source, axis, start, end)
                    piece = exported.graph.call_function(torch.ops.aten.slice.Tensor, arguments)
                piece.meta.update(user.meta)
                user.replace_all_uses_with(piece)
            start = end
    exported.graph.eliminate_dead_code()
    exported.recompile()


def _is_multiple(node: Node, factor: float) -> bool:
    return node.target is torch.ops.aten.mul.Tensor and bool(node.args[1] == factor)
