"""The MIL operators our networks use, each as a line or two of torch.

A value is a float32 tensor whatever width the file gives it (`mil_reference` rounds every result to
the file's width), or an int8 or uint8 tensor; parameters are NumPy arrays, numbers, strings or None.
An argument keeps the name that Apple's MIL specification gives it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from igf_mobile.errors import IgfError


def _tensor(value: Any) -> Tensor:
    """A tensor as it is, a constant as float32."""
    return value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value), dtype=torch.float32)


def _ints(value: Any) -> list[int]:
    return [int(item) for item in np.asarray(value).ravel()]


def _padding(pad_type: str, pad: Any, axes: int = 2) -> list[int]:
    """MIL's [top, bottom, left, right] as torch's [left, right, top, bottom]."""
    if pad_type == "valid":
        return [0] * (2 * axes)
    if pad_type != "custom":
        raise IgfError(f"padding {pad_type!r} is not one of custom, valid")
    amounts = _ints(pad)
    return [amount for axis in reversed(range(axes)) for amount in amounts[2 * axis : 2 * axis + 2]]


def _conv(
    x: Tensor,
    weight: Any,
    bias: Any = None,
    strides: Any = (1, 1),
    pad_type: str = "valid",
    pad: Any = (0, 0, 0, 0),
    dilations: Any = (1, 1),
    groups: int = 1,
) -> Tensor:
    padded = F.pad(x, _padding(pad_type, pad))
    constant = None if bias is None else _tensor(bias)
    return F.conv2d(padded, _tensor(weight), constant, _ints(strides), 0, _ints(dilations), int(groups))


def _avg_pool(
    x: Tensor,
    kernel_sizes: Any,
    strides: Any = (1, 1),
    pad_type: str = "valid",
    pad: Any = (0, 0, 0, 0),
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    if ceil_mode:
        raise IgfError("avg_pool with ceil_mode is not supported")
    padding = _padding(pad_type, pad)
    kernel, steps = _ints(kernel_sizes), _ints(strides)
    mean = F.avg_pool2d(F.pad(x, padding), kernel, steps)
    if exclude_padding_from_average and any(padding):
        mean = mean / F.avg_pool2d(F.pad(torch.ones_like(x), padding), kernel, steps)
    return mean


def _upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1.0,
    scale_factor_width: float = 1.0,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    if half_pixel_centers is not None and half_pixel_centers == align_corners:
        raise IgfError(f"upsample_bilinear: half_pixel_centers = align_corners = {align_corners}")
    size = [round(x.shape[2] * float(scale_factor_height)), round(x.shape[3] * float(scale_factor_width))]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=bool(align_corners))


def _pad(x: Tensor, pad: Any, mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    if mode != "constant":
        raise IgfError(f"pad mode {mode!r} is not constant")
    return F.pad(x, _padding("custom", pad, len(_ints(pad)) // 2), value=float(constant_val))


def _slice_by_index(
    x: Tensor,
    begin: Any,
    end: Any,
    stride: Any = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> Tensor:
    if squeeze_mask is not None and np.any(squeeze_mask):
        raise IgfError("slice_by_index with a squeeze_mask is not supported")
    steps = _ints(stride) if stride is not None else [1] * x.dim()
    starts = [None if _flag(begin_mask, axis) else at for axis, at in enumerate(_ints(begin))]
    stops = [None if _flag(end_mask, axis) else at for axis, at in enumerate(_ints(end))]
    return x[tuple(slice(*edges) for edges in zip(starts, stops, steps, strict=True))]


def _flag(mask: Any, axis: int) -> bool:
    return mask is not None and bool(np.asarray(mask).ravel()[axis])


def _concat(values: Sequence[Any], axis: int, interleave: bool = False) -> Tensor:
    if interleave:
        raise IgfError("concat with interleave is not supported")
    return torch.cat([_tensor(value) for value in values], dim=int(axis))


def _cast(x: Tensor, dtype: str) -> Tensor:
    if dtype not in ("fp16", "fp32"):
        raise IgfError(f"cast to {dtype!r} is not one of fp16, fp32")
    return x.float()


def _along(value: Any, data: Tensor, axis: Any) -> Tensor:
    """A scale or zero point in the shape that broadcasts along `axis` of `data`."""
    parameter = _tensor(value)
    if parameter.dim() == 0 or parameter.numel() == 1:
        return parameter.reshape(())
    shape = [1] * data.dim()
    shape[int(axis)] = parameter.numel()
    return parameter.reshape(shape)


_INTEGERS = {"int8": (torch.int8, -128, 127), "uint8": (torch.uint8, 0, 255)}


def _quantize(input: Any, scale: Any, output_dtype: str, zero_point: Any = 0, axis: Any = 1) -> Tensor:  # noqa: A002
    x = _tensor(input)
    dtype, low, high = _INTEGERS[output_dtype]
    steps = torch.round(x / _along(scale, x, axis)) + _along(zero_point, x, axis)
    return steps.clamp(low, high).to(dtype)


def _dequantize(input: Any, scale: Any, zero_point: Any = 0, axis: Any = 1) -> Tensor:  # noqa: A002
    q = _tensor(input)
    return (q.float() - _along(zero_point, q, axis)) * _along(scale, q, axis)


def _constexpr_affine_dequantize(quantized_data: Any, zero_point: Any, scale: Any, axis: Any) -> Tensor:
    return _dequantize(quantized_data, scale, zero_point, axis)


def _constexpr_lut_to_dense(indices: Any, lut: Any, shape: Any = None, vector_axis: Any = None) -> Tensor:
    """Palettes of numbers: one for all (iOS 16: packed indices), or one per block of the tensor (iOS 18)."""
    if shape is not None:
        palette, sides = _tensor(lut), _ints(shape)
        bits = max(1, len(palette) - 1).bit_length()
        packed = np.unpackbits(np.asarray(indices, np.uint8), bitorder="little")
        count = int(np.prod(sides))
        numbers = packed[: bits * count].reshape(count, bits) @ (1 << np.arange(bits))
        return palette[torch.from_numpy(numbers)].reshape(sides)
    at = torch.from_numpy(np.asarray(indices).astype(np.int64))
    palettes = np.asarray(lut, np.float32)
    if palettes.shape[-1] != 1:
        raise IgfError(
            f"constexpr_lut_to_dense with palettes of vectors ({palettes.shape[-1]}) is not supported"
        )
    for axis, (side, blocks) in enumerate(zip(at.shape, palettes.shape[:-2], strict=True)):
        palettes = palettes.repeat(side // blocks, axis=axis)
    return torch.gather(torch.from_numpy(palettes[..., 0]), -1, at[..., None])[..., 0]


def _matmul(x: Any, y: Any, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    left, right = _tensor(x), _tensor(y)
    return (left.mT if transpose_x else left) @ (right.mT if transpose_y else right)


def _reshape(x: Tensor, shape: Any) -> Tensor:
    """0 keeps a side, -1 takes what is left."""
    return x.reshape([x.shape[axis] if side == 0 else side for axis, side in enumerate(_ints(shape))])


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "add": lambda x, y: _tensor(x) + _tensor(y),
    "sub": lambda x, y: _tensor(x) - _tensor(y),
    "mul": lambda x, y: _tensor(x) * _tensor(y),
    "real_div": lambda x, y: _tensor(x) / _tensor(y),
    "maximum": lambda x, y: torch.maximum(_tensor(x), _tensor(y)),
    "minimum": lambda x, y: torch.minimum(_tensor(x), _tensor(y)),
    "square": lambda x: x * x,
    "relu": lambda x: F.relu(x),
    "relu6": lambda x: x.clamp(0.0, 6.0),
    "sigmoid": lambda x: torch.sigmoid(x),
    "clip": lambda x, alpha, beta: x.clamp(float(alpha), float(beta)),
    "identity": lambda x: x,
    "conv": _conv,
    "avg_pool": _avg_pool,
    "upsample_bilinear": _upsample_bilinear,
    "pad": _pad,
    "concat": _concat,
    "slice_by_index": _slice_by_index,
    "matmul": _matmul,
    "reshape": _reshape,
    "transpose": lambda x, perm: x.permute(_ints(perm)),
    "pixel_shuffle": lambda x, upscale_factor: F.pixel_shuffle(x, int(upscale_factor)),
    "pixel_unshuffle": lambda x, downscale_factor: F.pixel_unshuffle(x, int(downscale_factor)),
    "sqrt": lambda x: torch.sqrt(x),
    "rsqrt": lambda x, epsilon=1e-12: torch.rsqrt(x + float(epsilon)),
    "cast": _cast,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "constexpr_affine_dequantize": _constexpr_affine_dequantize,
    "constexpr_lut_to_dense": _constexpr_lut_to_dense,
}
"""MIL operator -> what it computes."""
