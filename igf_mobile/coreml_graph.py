"""The exported graph in the operators that Core ML has."""

import torch
from torch.fx import GraphModule, Node

_ATEN = torch.ops.aten


def restore_clamps(exported: GraphModule) -> None:
    """Put clamp(x, 0, 1) back where the model has relu6(6 x) / 6, in place.

    The model writes it so for XNNPACK's sake. Core ML has a clip operator; three operators in float16
    would instead end at 6 * float16(1/6) = 0.99976, and no pixel would be fully opaque.
    """
    for node in list(exported.graph.nodes):
        if node.target is not _ATEN.relu6.default:
            continue
        scaled, users = node.args[0], list(node.users)
        if not (len(users) == 1 and _is_multiple(scaled, 6.0) and _is_multiple(users[0], 1.0 / 6.0)):
            continue
        with exported.graph.inserting_before(node):
            clamp = exported.graph.call_function(_ATEN.clamp.default, (scaled.args[0], 0.0, 1.0))
        clamp.meta.update(users[0].meta)
        users[0].replace_all_uses_with(clamp)
    exported.graph.eliminate_dead_code()
    exported.recompile()


def _is_multiple(node: Node, factor: float) -> bool:
    return bool(node.target is _ATEN.mul.Tensor and node.args[1] == factor)
