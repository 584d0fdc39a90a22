"""A table of activation ranges as ai-edge-quantizer takes them: by the names of a .tflite's tensors.

The converter names tensors after scopes, and after operators it has merged or dropped. So a tensor is
known by what it holds: the float file and the network run on the same input, and a tensor belongs to
the site whose values it has.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from igf_mobile.errors import IgfError
from igf_mobile.model import Generator
from igf_mobile.observers import block_site_tensors
from igf_mobile.ranges import Ranges

FloatArray = NDArray[np.float32]

_NOISE = 1e-3
"""Greatest difference of the two computations, as a share of the tensor's greatest value."""


def tensor_ranges(content: bytes, model: Generator, ranges: Ranges) -> dict[str, dict[str, FloatArray]]:
    """Tensor name -> minimum and maximum, for every tensor of the network that is on a site.

    What a PAD, SLICE or RESIZE_BILINEAR writes is left out: the quantizer takes its source's.

    Args:
        content: the float .tflite of `model`.
        model: in eval mode.
        ranges: of all its sites.

    Raises:
        IgfError: a site is none of the file's tensors, or has no range.
    """
    values, guidance, weak_mask = _run(content)
    sites = block_site_tensors(model, guidance, weak_mask)
    found: dict[str, dict[str, FloatArray]] = {}
    missing = set(sites)
    for name, value in values.items():
        if (site := _site_of(value, sites)) is None:
            continue
        limits = (np.full((1,) * value.ndim, limit, np.float32) for limit in ranges[site])
        found[name] = dict(zip(("min", "max"), limits, strict=True))
        missing.discard(site)
    if missing:
        raise IgfError(f"no tensor of the .tflite holds what {min(missing)} does; its range has no place")
    return found


def _site_of(value: FloatArray, sites: dict[str, list[FloatArray]]) -> str | None:
    """The site with the tensor nearest to `value`, NHWC or not yet transposed to it; None where none is near."""
    best, least = None, _NOISE
    for site, tensors in sites.items():
        for other in (x for tensor in tensors for x in (tensor.transpose(0, 2, 3, 1), tensor)):
            if other.shape != value.shape:
                continue
            error = float(np.abs(other - value).max() / max(np.abs(other).max(), 1e-6))
            if error <= least:
                best, least = site, error
    return best


def _run(content: bytes) -> tuple[dict[str, FloatArray], FloatArray, FloatArray]:
    """The file's rank-4 tensors by name on an arbitrary input, and that input (NCHW)."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter: Any = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        # a delegate keeps what is inside it to itself
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    details = sorted(interpreter.get_input_details(), key=lambda entry: -int(entry["shape"][1]))
    _, _, height, width = details[0]["shape"]
    random = np.random.default_rng(0)
    # Cells larger than the network's coarsest pixels: finer noise would average out on the way.
    cells = random.random((4, height // 32, width // 32), np.float32).repeat(32, 1).repeat(32, 2)
    noisy = 0.8 * cells + 0.2 * random.random((4, height, width), np.float32)
    guidance, weak_mask = noisy[None, :3], (noisy[None, 3:] > 0.5).astype(np.float32)
    for entry, tensor in zip(details, (guidance, weak_mask), strict=True):
        interpreter.set_tensor(entry["index"], np.ascontiguousarray(tensor))
    interpreter.invoke()
    written = {int(i) for node in interpreter._get_ops_details() for i in node["outputs"]}
    values = {
        entry["name"]: interpreter.get_tensor(entry["index"])
        for entry in interpreter.get_tensor_details()
        if entry["dtype"] is np.float32 and len(entry["shape"]) == 4
        if entry["index"] in written or any(entry["index"] == d["index"] for d in details)
    }
    return values, guidance, weak_mask
