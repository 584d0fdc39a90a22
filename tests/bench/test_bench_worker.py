"""The process of a side: what it refuses to time, what it answers, and one real one."""

import dataclasses
import io
import itertools
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from igf_mobile.backends.base import BackendUnavailable, TensorSpec
from igf_mobile.bench import calls, worker
from igf_mobile.bench.calls import Prepared, as_stored, photograph, prepare
from igf_mobile.bench.memory import peak_memory
from igf_mobile.bench.process import Worker
from igf_mobile.bench.rounds import SideFailed
from igf_mobile.bench.sides import Spec, applied_specs, artifact_specs, eager_spec
from igf_mobile.bench.worker import Server
from igf_mobile.errors import IgfError
from igf_mobile.images import resize
from igf_mobile.manifest import load_manifest

SPEC = Spec("torch", "eager", 1, (64, 64), "build", None, "cache")
NUMBERS = itertools.count()
RAMP = np.linspace(0.0, 1.0, 16, dtype=np.float32)


def server(outputs: Callable[[], Sequence[Any]]) -> Server:
    ticks = itertools.count()
    return Server(SPEC, lambda spec: Prepared("fake", 16, lambda: outputs), clock=lambda: next(ticks) / 1e3)


def test_loading_and_the_first_call_are_timed_apart() -> None:
    side = server(lambda: [RAMP])
    assert side.load() == {
        "ran_on": "fake",
        "pixels": 16,
        "load_ms": pytest.approx(1.0),
        "first_ms": pytest.approx(1.0),
    }


def test_the_first_call_of_a_turn_is_not_counted() -> None:
    calls: list[int] = []
    side = server(lambda: calls.append(1) or [RAMP])  # type: ignore[func-returns-value]
    side.load()
    del calls[:]
    assert side.time(5) == pytest.approx([1.0] * 5)
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        (lambda: [np.full(4, np.nan)], "NaN"),
        (lambda: [np.full(4, 0.5)], "constant"),
        (lambda: [RAMP + next(NUMBERS)], "other outputs the second time"),
    ],
)
def test_what_is_wrong_is_not_timed(outputs: Callable[[], Any], why: str) -> None:
    with pytest.raises(IgfError, match=why):
        server(outputs).load()


def test_sustain_stops_when_its_time_is_over() -> None:
    side = server(lambda: [RAMP])
    side.load()
    result = side.sustain(0.1)
    assert len(result["samples_ms"]) in range(30, 50)
    assert result["duration_s"] == pytest.approx(0.1, rel=0.1)


def answers(
    monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Spec], Prepared], *requests: Any
) -> list[Any]:
    monkeypatch.setattr(worker.Server.__init__, "__defaults__", (prepare, time.perf_counter))
    lines = "\n".join(json.dumps(r) for r in (dataclasses.asdict(SPEC), *requests))
    out = io.StringIO()
    worker.serve(io.StringIO(lines + "\n"), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_request_has_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ready, loaded, times, peak = answers(
        monkeypatch,
        lambda spec: Prepared(f"fake {spec.size}", 16, lambda: lambda: [RAMP]),
        {"do": "load"},
        {"do": "time", "calls": 3},
        {"do": "peak", "calls": 1},
    )
    assert ready == {"ready": True}
    assert loaded["ran_on"] == "fake (64, 64)"
    assert len(times) == 3
    assert 0 < peak["base_bytes"] <= peak["peak_bytes"]


def test_a_refusal_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(spec: Spec) -> Prepared:
        raise BackendUnavailable("it wants a phone")

    assert answers(monkeypatch, unavailable) == [{"error": "it wants a phone", "unavailable": True}]
    (_, failed) = answers(
        monkeypatch, lambda spec: Prepared("x", 1, lambda: lambda: [RAMP]), {"do": "time", "calls": 1}
    )
    assert failed == {"error": "ValueError: the side is not loaded", "unavailable": False}


def test_memory_that_a_side_takes_is_seen() -> None:
    held: list[Any] = []

    def load() -> Callable[[], object]:
        held.append(np.ones(40_000_000, np.uint8))
        return lambda: None

    memory = peak_memory(load, 1)
    assert memory.peak_bytes - memory.base_bytes >= 38_000_000


def test_memory_that_was_given_back_before_is_not_counted() -> None:
    np.ones(60_000_000, np.uint8)
    memory = peak_memory(lambda: lambda: None, 1)
    assert memory.peak_bytes - memory.base_bytes < 30_000_000


def test_tensors_are_laid_out_as_the_file_has_them() -> None:
    values = np.linspace(0, 1, 2 * 3 * 4, dtype=np.float32).reshape(1, 3, 2, 4)
    nhwc = TensorSpec("guidance", (1, 2, 4, 3), "NHWC", "float32", 0.0, 1.0, ("r", "g", "b"))
    np.testing.assert_array_equal(as_stored(values, nhwc), np.moveaxis(values, 1, 3))
    eight = as_stored(values, dataclasses.replace(nhwc, layout="NCHW", dtype="uint8"))
    assert eight.dtype == np.uint8 and eight.shape == values.shape
    assert eight.ravel()[-1] == 255
    half = as_stored(values, dataclasses.replace(nhwc, dtype="float16"))
    assert half.dtype == np.float16 and half.flags.c_contiguous


def test_the_photograph_has_the_size_asked_for() -> None:
    picture = photograph((128, 96))
    guidance, mask = picture.tensors()
    assert guidance.shape == (1, 3, 128, 96) and mask.shape == (1, 1, 128, 96)
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert np.ptp(guidance) > 0.5


def test_a_process_of_its_own_answers_and_ends(tmp_path: Path) -> None:
    """Its reason for not running comes back as one, not as a hung pipe."""
    spec = dataclasses.replace(SPEC, kind="artifact", what="litert-fp32", build=str(tmp_path))
    side = Worker(spec, tmp_path / "log")
    try:
        with pytest.raises(SideFailed, match="`igf export` writes it"):
            side.load()
    finally:
        side.close()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the variables are glibc's")
def test_a_side_keeps_the_memory_it_frees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a child with a side's environment, 8 MB taken again and again cause no page faults after the first time."""
    program = (
        "import resource, numpy as np\n"
        "def faults():\n    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "np.ones(1 << 20)\nbefore = faults()\n"
        "for _ in range(20):\n    np.ones(1 << 20)\n"
        "print(faults() - before)\n"
    )
    environments: list[dict[str, str]] = []

    def start(command: Sequence[str], env: dict[str, str], **options: Any) -> None:
        environments.append(env)
        raise OSError("not started")

    monkeypatch.setattr("igf_mobile.bench.process.subprocess.Popen", start)
    with pytest.raises(OSError, match="not started"):
        Worker(SPEC, tmp_path / "log").load()
    monkeypatch.undo()
    (env,) = environments
    said = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert int(said.stdout) < 200  # 20 times 2,048 where they are given back


def test_a_process_that_dies_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    side = Worker(SPEC, tmp_path / "log")
    with pytest.raises(SideFailed, match="its process ended with code 1"):
        side.load()
    side.close()


def test_artifacts_are_chosen_by_name(healthy_build: Path) -> None:
    manifest = load_manifest(healthy_build)
    base = eager_spec(healthy_build, None, Path("cache"), (96, 96), 2)
    assert [s.what for s in artifact_specs(manifest, base)] == [
        f"fake-{x}" for x in ("fp32", "fp16", "w8", "w8a8")
    ]
    (one,) = artifact_specs(manifest, base, ["fake-w8"])
    assert (one.kind, one.name, one.threads, one.size) == ("artifact", "fake-w8", 2, (96, 96))
    with pytest.raises(ValueError, match="no artifact 'fake-w9'; it has fake-fp32, fake-fp16"):
        artifact_specs(manifest, base, ["fake-w9"])


def test_a_batch_of_torch_has_so_many_frames() -> None:
    prepared = prepare(dataclasses.replace(SPEC, batch=3))
    alpha, coefficients = prepared.load()()
    assert (prepared.pixels, alpha.shape, coefficients.shape) == (3 * 64 * 64, (3, 1, 64, 64), (3, 4, 16, 16))
    np.testing.assert_array_equal(alpha[0], alpha[2])


def test_coefficients_are_applied_to_the_whole_frame(
    healthy_build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = eager_spec(healthy_build, None, Path("cache"), (64, 64), 1)
    (spec,) = applied_specs(load_manifest(healthy_build), base, (128, 192), ["fake-w8", "other-w8"])
    assert (spec.name, spec.kind, spec.size) == ("fake-w8 + 192x128", "applied", (96, 96))
    assert Spec.from_json(json.loads(json.dumps(dataclasses.asdict(spec)))) == spec
    with pytest.raises(ValueError, match="no artifact 'other-w8'"):
        applied_specs(load_manifest(healthy_build), base, (128, 192), ["other-w8"])
    red = np.zeros((1, 16, 24, 4), np.float32)
    red[..., 0] = 1.0
    monkeypatch.setattr(calls, "_artifact", lambda spec: Prepared("fake", 96 * 96, lambda: lambda: [red]))
    prepared = prepare(spec)
    (alpha,) = prepared.load()()
    assert prepared.pixels == 128 * 192
    wanted = np.rint(resize(photograph((96, 96)).guidance, (128, 192))[..., 0] * 255.0)
    np.testing.assert_array_equal(alpha, wanted.astype(np.uint8))
