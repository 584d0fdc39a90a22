"""The limit: what a frame needs, what a machine gives, and the larger of two times."""

import dataclasses
from pathlib import Path

import pytest
from bench_sides import make_row, make_run
from torch import Tensor, nn

from igf_mobile.bench import markdown, roofline, tables
from igf_mobile.bench.roofline import Frame, Probe, Roofline, best_rate
from igf_mobile.model import Generator

PROBE = Probe(20.0, "how", 100.0, "how", 400.0, "how")
FRAME = Frame((512, 512), 60_000, 30_000_000, 4_000_000, 1_000_000)


def test_the_limit_is_the_larger_of_traffic_and_arithmetic() -> None:
    found = Roofline(PROBE, FRAME)
    assert found.traffic_ms("fp32") == pytest.approx(5.24e6 / 20e9 * 1e3)
    assert found.arithmetic_ms("fp32", 1) == pytest.approx(60e6 / 100e9 * 1e3)
    assert found.limit_ms("fp32", 1) == pytest.approx(0.6)
    assert found.limit_ms("fp32", 2) == pytest.approx(0.3)
    assert found.limit_ms("fp32", 4) == found.traffic_ms("fp32")  # memory is shared
    assert found.arithmetic_ms("w8a8", 1) == pytest.approx(0.15)
    assert found.arithmetic_ms("w8", 1) == pytest.approx(0.6)  # its arithmetic is float
    assert found.traffic_ms("w8") == pytest.approx(5.06e6 / 20e9 * 1e3)


def test_without_an_int8_peak_the_float_one_counts() -> None:
    probe = dataclasses.replace(PROBE, int8_gop_s=None, int8_by="not run: no engine")
    assert Roofline(probe, FRAME).arithmetic_ms("w8a8", 1) == pytest.approx(0.6)


def test_latencies_are_multiples_of_it() -> None:
    run = make_run(
        make_row("litert-fp32", [3.0] * 20),
        make_row("torch eager", [6.0] * 20, kind="torch"),
        make_row("u2netp", [9.0] * 20, kind="peer"),
    )
    assert run.multiple(run.rows[0]) is None  # nothing was probed
    run = dataclasses.replace(run, roofline=Roofline(PROBE, FRAME))
    assert [run.multiple(row) for row in run.rows] == [pytest.approx(5.0), pytest.approx(10.0), None]
    without_alpha = dataclasses.replace(run.rows[0], coefficients_only=True)
    assert run.multiple(without_alpha) is None  # the limit is that of a frame to alpha
    assert "limit on one core: 0.60 ms" in tables.limits(run)
    rows = markdown.table(run).splitlines()
    assert rows[2].startswith("| litert-fp32 | 3.00 | 3.00 | 87.4 | 1.00 [1.00, 1.00] | 5.0 |")
    assert rows[4].split(" | ")[5] == "-"
    assert "0.60 ms for fp32" in markdown.conditions(run)


def test_what_is_applied_to_a_frame_has_its_other_threads_in_the_table() -> None:
    applied, on_two = "litert-fp32 + 3840x2160", {"threads": 2}
    run = make_run(
        make_row("litert-fp32", [3.0] * 20),
        make_row(applied, [6.0] * 20, kind="applied"),
        make_row("litert-fp32", [2.0] * 20, **on_two),
        make_row("litert-w8", [2.0] * 20, **on_two),
        make_row(applied, [3.0] * 20, kind="applied", **on_two),
    )
    run = dataclasses.replace(run, settings=dataclasses.replace(run.settings, threads=(1, 2)))
    assert [line.split(" | ")[0] for line in markdown.table(run).splitlines()[2:]] == [
        "| litert-fp32",
        f"| {applied}",
        "| litert-fp32, 2 threads",
        f"| {applied}, 2 threads",
    ]
    assert "| 1.50 [1.50, 1.50] |" in markdown.table(run).splitlines()[-1]


def test_the_fastest_call_counts() -> None:
    ticks = iter([0.0, 0.0, 2.0, 2.0, 2.5, 2.5, 5.5, 99.0])
    assert best_rate(lambda: None, work=10.0, seconds=1.0, clock=lambda: next(ticks)) == pytest.approx(20.0)


def test_a_call_that_takes_longer_is_made_once() -> None:
    """Plain code for int8 takes seconds where vector instructions take milliseconds."""
    calls: list[None] = []
    ticks = iter([0.0, 0.0, 8.0])
    rate = best_rate(lambda: calls.append(None), work=10.0, seconds=1.0, clock=lambda: next(ticks))
    assert (rate, len(calls)) == (pytest.approx(1.25), 1)


class _Convolution(nn.Module):
    """In place of the generator: one convolution of a known size."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 3, padding=1, bias=False)

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(guidance), weak_mask


def test_arithmetic_and_traffic_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igf_mobile.graph.ExportGraph", lambda model: model)
    found = roofline.frame_needs(_Convolution(), (8, 16))
    assert found.convolution_macs == 8 * 16 * 3 * 3 * 3 * 5
    assert found.parameters == 3 * 3 * 3 * 5
    assert (found.input_bytes, found.output_bytes) == (4 * 128 * 4, 4 * 128 * 6)


def test_our_network_is_a_small_one(trained_like: Generator) -> None:
    found = roofline.frame_needs(trained_like, (64, 64))
    assert found.parameters == 59_466
    assert 10 < found.convolution_macs / 64**2 < 1000
    larger = roofline.frame_needs(trained_like, (128, 128))
    assert larger.convolution_macs / found.convolution_macs == pytest.approx(4, rel=0.2)


@pytest.mark.slow
def test_this_machine_has_peaks() -> None:
    found = roofline.measure_apart((64, 64), None)
    assert found.probe.copy_gb_s > 0.1 and found.probe.float32_gflop_s > 0.1
    assert found.probe.int8_gop_s is None or found.probe.int8_gop_s > 0.1


def test_a_probe_that_breaks_says_why() -> None:
    with pytest.raises(roofline.IgfError, match=r"the probe of this machine broke: .*absent"):
        roofline.measure_apart((64, 64), Path("absent.safetensors"))
