"""What this machine could do: the least time a frame can take on it.

    python -m igf_mobile.bench.roofline H W [CHECKPOINT]     (one line of JSON)

A frame must read its inputs once, write its outputs once, read the weights once, and multiply what its convolutions
multiply. The larger of both times is the limit. Everything else a graph does (the closed-form estimates, upsampling,
the affine, every tensor in between) is left out, so the true least is somewhat higher.
"""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from igf_mobile.errors import IgfError

_COPY_BYTES = (4 << 20, 16 << 20, 128 << 20)
"""Buffers: a frame's, one that fills caches, one that does not fit into any."""
_SHAPES = (
    (128, 128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (4096, 64, 64),
    (16384, 32, 32),
)
"""(M, K, N) of the products; the last two are a convolution's."""
_CONVOLUTIONS = ((64, 32), (64, 64), (64, 128))
"""(height and width, channels) of 3 x 3 convolutions. On one AMD (Zen 5) torch's products make 114 GFLOP/s and its
convolutions 268: another library, of wider vectors."""
_SECONDS = 0.2
"""For each size of buffer and each product; the best call counts."""
_TOO_LONG = 5
_LONGEST_S = 120.0
"""The probe takes 15 s, most of them torch's import; without vector instructions for int8 some products take seconds
each."""

WEIGHT_BYTES = {"fp32": 4, "fp16": 2, "w8": 1, "w8a8": 1}


@dataclass(frozen=True)
class Probe:
    """The best seen of one core."""

    copy_gb_s: float
    """Bytes read plus bytes written."""
    copied: str
    """Which buffer was the best, and what the others gave."""
    float32_gflop_s: float
    """A multiply-add is two operations."""
    float32_by: str
    int8_gop_s: float | None
    int8_by: str
    """What was used; the reason where nothing was."""


@dataclass(frozen=True)
class Frame:
    """The least that one frame takes."""

    size: tuple[int, int]
    """(H, W)."""
    parameters: int
    convolution_macs: int
    """Multiply-adds of the convolutions and matrix products of the float graph."""
    input_bytes: int
    """float32 guidance and mask."""
    output_bytes: int
    """float32 alpha and coefficients."""


@dataclass(frozen=True)
class Roofline:
    """Machine and frame."""

    probe: Probe
    frame: Frame

    def traffic_ms(self, scheme: str) -> float:
        """Time to move the least bytes; memory is shared, so threads do not divide it."""
        frame = self.frame
        weights = frame.parameters * WEIGHT_BYTES.get(scheme, 4)
        return (frame.input_bytes + frame.output_bytes + weights) / self.probe.copy_gb_s / 1e6

    def arithmetic_ms(self, scheme: str, threads: int) -> float:
        """Time of the convolutions at the peak of the arithmetic that the scheme may use."""
        peak = self.probe.float32_gflop_s
        if scheme == "w8a8" and self.probe.int8_gop_s is not None:
            peak = max(peak, self.probe.int8_gop_s)
        return 2 * self.frame.convolution_macs / peak / 1e6 / threads

    def limit_ms(self, scheme: str, threads: int) -> float:
        """The larger of both."""
        return max(self.traffic_ms(scheme), self.arithmetic_ms(scheme, threads))


def measure_apart(size: tuple[int, int], checkpoint: Path | None) -> Roofline:
    """Probe in a process of one thread.

    Raises:
        IgfError: the probe broke; its last line is the reason.
    """
    from igf_mobile.bench.process import child_environment

    command = [sys.executable, "-m", __name__, *map(str, size), *([str(checkpoint)] if checkpoint else [])]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env=child_environment(1), timeout=_LONGEST_S
        )
    except subprocess.TimeoutExpired as error:
        raise IgfError(f"the probe of this machine took more than {_LONGEST_S:.0f} s") from error
    if result.returncode:
        raise IgfError(
            f"the probe of this machine broke: {(result.stderr.strip().splitlines() or ['?'])[-1]}"
        )
    found = json.loads(result.stdout.splitlines()[-1])
    frame = Frame(**{**found["frame"], "size": tuple(found["frame"]["size"])})
    return Roofline(Probe(**found["probe"]), frame)


def best_rate(
    call: Callable[[], object], work: float, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """`work` per second of the fastest call of those that fit into `seconds`.

    Three at least are made, or one that takes far longer.
    """
    fastest, start, calls = float("inf"), clock(), 0
    while calls < 3 or clock() - start < seconds:
        before = clock()
        call()
        fastest = min(fastest, clock() - before)
        calls += 1
        if fastest > _TOO_LONG * seconds:
            break
    return work / fastest


def frame_needs(model: Any, size: tuple[int, int]) -> Frame:
    """Count a frame's least arithmetic and traffic from the float graph, batch norms folded."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from igf_mobile.graph import ExportGraph

    guidance, weak_mask = torch.rand(1, 3, *size), torch.rand(1, 1, *size).round()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        outputs = ExportGraph(model)(guidance, weak_mask)
    return Frame(
        size=size,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        convolution_macs=counter.get_total_flops() // 2,
        input_bytes=4 * (guidance.numel() + weak_mask.numel()),
        output_bytes=4 * sum(output.numel() for output in outputs),
    )


def probe_machine(seconds: float = _SECONDS) -> Probe:
    """One core's copy bandwidth and peak arithmetic; for a process with one thread."""
    import torch

    torch.set_num_threads(1)
    copies = {count: _copy_rate(count, seconds) / 1e9 for count in _COPY_BYTES}
    best = max(copies, key=lambda count: copies[count])
    others = ", ".join(f"{count >> 20} MB {rate:.1f}" for count, rate in copies.items())
    float_rates = _float_rates(seconds)
    float_by = max(float_rates, key=lambda name: float_rates[name])
    int8_rate, int8_by = _int8(seconds)
    return Probe(
        copy_gb_s=copies[best],
        copied=f"NumPy, GB/s by buffer: {others}",
        float32_gflop_s=float_rates[float_by] / 1e9,
        float32_by=f"torch {torch.__version__} {float_by}",
        int8_gop_s=int8_rate,
        int8_by=int8_by,
    )


def _copy_rate(count: int, seconds: float) -> float:
    import numpy as np

    source, target = np.ones(count, np.uint8), np.zeros(count, np.uint8)
    return best_rate(lambda: np.copyto(target, source), 2.0 * count, seconds)


def _operations(shape: tuple[int, int, int]) -> float:
    return 2.0 * shape[0] * shape[1] * shape[2]


def _float_rates(seconds: float) -> dict[str, float]:
    """Operations per second by what was called."""
    rates = {
        f"matrix product {' x '.join(map(str, shape))}": best_rate(
            _float_product(shape), _operations(shape), seconds
        )
        for shape in _SHAPES
    }
    for side, channels in _CONVOLUTIONS:
        call = _float_convolution(side, channels)
        work = _operations((side * side, 9 * channels, channels))
        rates[f"convolution 3 x 3, {channels} channels, {side} x {side}"] = best_rate(call, work, seconds)
    return rates


def _float_convolution(side: int, channels: int) -> Callable[[], object]:
    import torch

    last = torch.channels_last
    picture = torch.rand(1, channels, side, side).to(memory_format=last)
    kernel = torch.rand(channels, channels, 3, 3).to(memory_format=last)
    return lambda: torch.conv2d(picture, kernel, padding=1)


def _float_product(shape: tuple[int, int, int]) -> Callable[[], object]:
    import torch

    m, k, n = shape
    left, right, out = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
    return lambda: torch.mm(left, right, out=out)


def _int8(seconds: float) -> tuple[float | None, str]:
    """The best of torch's integer product and its quantized linear layers, by engine."""
    import torch

    candidates: dict[str, Callable[[tuple[int, int, int]], Callable[[], object]]] = {
        "_int_mm": _integer_product
    }
    engines = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    candidates |= {f"quantized linear, {name}": _quantized_linear(name) for name in engines}
    rates, refusals = {}, []
    for name, product in candidates.items():
        for shape in _SHAPES:
            try:
                rates[name, shape] = best_rate(product(shape), _operations(shape), seconds)
            except RuntimeError as error:
                refusals.append(f"{name}: {str(error).splitlines()[0]}")
                break
            if _operations(shape) / rates[name, shape] > _TOO_LONG * seconds:
                break  # plain code for int8: what it would take for the others says nothing of the machine
    if not rates:
        return None, f"not run: {'; '.join(refusals)}"
    name, shape = max(rates, key=lambda key: rates[key])
    return rates[name, shape] / 1e9, f"torch {torch.__version__} {name} {' x '.join(map(str, shape))}"


def _integer_product(shape: tuple[int, int, int]) -> Callable[[], object]:
    import torch

    m, k, n = shape
    left = torch.randint(-128, 127, (m, k), dtype=torch.int8)
    right = torch.randint(-128, 127, (k, n), dtype=torch.int8)
    return lambda: torch._int_mm(left, right)


def _quantized_linear(engine: str) -> Callable[[tuple[int, int, int]], Callable[[], object]]:
    def product(shape: tuple[int, int, int]) -> Callable[[], object]:
        import torch

        torch.backends.quantized.engine = engine
        m, k, n = shape
        left = torch.quantize_per_tensor(torch.rand(m, k), 0.01, 0, torch.quint8)
        weight = torch.quantize_per_tensor(torch.rand(n, k) - 0.5, 0.01, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(weight, None)
        return lambda: torch.ops.quantized.linear(left, packed, 0.1, 0)

    return product


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint

    size = (int(arguments[0]), int(arguments[1]))
    model = load_checkpoint(Path(arguments[2]) if len(arguments) > 2 else DEFAULT_CHECKPOINT)[0].eval()
    found = Roofline(probe_machine(), frame_needs(model, size))
    print(json.dumps(dataclasses.asdict(found)))


if __name__ == "__main__":
    main(sys.argv[1:])
