"""Does the network fit into float16? Every intermediate value of the float model, and what it divides by."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

LARGEST = 65504.0
"""float16 has no greater number."""
LEAST = 2.0**-24
"""It has none that is nearer to 0; half of it becomes 0."""
LEAST_NORMAL = 2.0**-14
"""Units that flush subnormal numbers have none nearer to 0."""

_DIVISORS = {"div": 1, "reciprocal": 0, "rsqrt": 0, "log": 0}
"""Operator -> which argument must not become 0."""
_SCALED = ("add", "sub", "mul", "div", "clamp", "maximum")
"""Operators whose scalar arguments are constants of the network."""
_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True)
class HalfRange:
    """One intermediate tensor over all inputs."""

    name: str
    """Where it is computed: `refit.forward:41 div`."""
    largest: float
    """Its largest magnitude; infinite or NaN where a value is."""
    divisor: float | None = None
    """The least magnitude that it is divided by, or of its constants that become 0; None where neither is."""

    @property
    def headroom(self) -> float:
        """How many times its largest magnitude fits into float16."""
        return LARGEST / self.largest if self.largest else float("inf")


def measure(model: Callable[..., Any], pairs: Iterable[tuple[Any, Any]]) -> list[HalfRange]:
    """Every floating-point tensor that `model` computes from (guidance, weak_mask) pairs, in order of appearance."""
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        for guidance, mask in pairs:
            model(torch.from_numpy(guidance), torch.from_numpy(mask))
    return [
        HalfRange(name, largest, recorder.divisors.get(name)) for name, largest in recorder.largest.items()
    ]


def check_halves(ranges: Iterable[HalfRange]) -> list[str]:
    """A sentence per tensor that float16 cannot hold, or that divides by what float16 makes 0."""
    sentences = []
    for r in ranges:
        if not r.largest <= LARGEST:
            sentences.append(f"float16: {r.name}: reaches {r.largest:.4g}, float16 ends at {LARGEST:.0f}")
        if r.divisor is not None and not r.divisor >= LEAST:
            sentences.append(
                f"float16: {r.name}: {r.divisor:.3g}, a divisor or a constant, is below {LEAST:.2g} and becomes 0"
            )
    return sentences


def summary(ranges: Iterable[HalfRange]) -> str:
    """One line: the tensors with the least room."""
    ranges = list(ranges)
    tightest = min(ranges, key=lambda r: r.headroom)
    text = f"float16: {tightest.name} reaches {tightest.largest:.4g}, {tightest.headroom:.0f} times below its end"
    divided = [r for r in ranges if r.divisor is not None]
    if divided:
        least = min(divided, key=lambda r: r.divisor or 0.0)
        subnormal = f" (subnormal: below {LEAST_NORMAL:.2g})" if (least.divisor or 0.0) < LEAST_NORMAL else ""
        text += f"; {least.name} divides by no less than {least.divisor:.2g}{subnormal}"
    return text


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the extremes of each result, by the line of the package that computes it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.largest: dict[str, float] = {}
        self.divisors: dict[str, float] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        operator = func.overloadpacket.__name__.removeprefix("_").removesuffix("_")
        name = f"{_place()} {operator}"
        for tensor in result if isinstance(result, (list, tuple)) else [result]:
            if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.numel():
                self.largest[name] = _greater(self.largest.get(name, 0.0), _largest(tensor))
        if operator in _DIVISORS:
            self._divided(name, args[_DIVISORS[operator]])
        if operator in _SCALED:
            for value in args:
                if isinstance(value, float) and 0.0 < abs(value) < LEAST:
                    self._divided(name, value)
        return result

    def _divided(self, name: str, value: Any) -> None:
        least = float(value.abs().min()) if isinstance(value, Tensor) else abs(float(value))
        before = self.divisors.get(name, float("inf"))
        self.divisors[name] = least if not least >= before else before  # keeps a NaN


def _largest(tensor: Tensor) -> float:
    low, high = torch.aminmax(tensor)
    return float(torch.maximum(-low, high))


def _greater(before: float, value: float) -> float:
    return before if value <= before else value  # keeps a NaN


def _place() -> str:
    """`module.function:line` of the innermost frame of this package outside this file; of any file without one."""
    frame = sys._getframe(2)
    outermost = frame
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path != Path(__file__) and _PACKAGE in path.parents:
            return f"{path.stem}.{frame.f_code.co_name}:{frame.f_lineno}"
        outermost, frame = frame, frame.f_back  # type: ignore[assignment]
    return f"{Path(outermost.f_code.co_filename).stem}.{outermost.f_code.co_name}:{outermost.f_lineno}"
