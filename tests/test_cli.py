"""The command line: what it prints, its exit codes, one line for every bad input and no file half-written.

`cli.main` is called in this process; what it does not catch would fail the test as it is. The last tests
start it as a user does.
"""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from igf_mobile import backends, cli, gates, matting, terminal
from igf_mobile import checkpoint as checkpoints
from igf_mobile.bench import rounds
from igf_mobile.bench import run as bench_run
from igf_mobile.bench.memory import Memory
from igf_mobile.bench.rounds import Loaded, SideFailed
from igf_mobile.bench.worker import Server
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.device.report import DeviceParity
from igf_mobile.manifest import load_manifest, save_manifest
from igf_mobile.samples import ASSETS, load_sample

PHOTOGRAPH, MASK = ASSETS / "chelsea.jpg", ASSETS / "chelsea_mask.png"
SMALL = (96, 96)
SHIPPED = checkpoints.DEFAULT_CHECKPOINT
"""The fixture `igf` puts another one in its place; a random network has no background that is exactly 0."""


@dataclasses.dataclass
class Result:
    code: int
    out: str
    said: str
    """What went to the screen: progress and errors."""


Igf = Callable[..., Result]


@pytest.fixture
def igf(fake: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Igf:
    """Run a command; the shipped checkpoint is that of `fake`."""
    monkeypatch.setattr(checkpoints, "DEFAULT_CHECKPOINT", fake.checkpoint)

    def run(*arguments: object) -> Result:
        screen = io.StringIO()
        monkeypatch.setattr(terminal, "screen", Console(file=screen, width=100))
        monkeypatch.setattr(sys, "argv", ["igf", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as done:
            assert isinstance(done.code, int)
            code = done.code
        captured = capsys.readouterr()
        return Result(code, captured.out, screen.getvalue() + captured.err)

    return run


@pytest.fixture
def build(healthy_build: Path, tmp_path: Path) -> Path:
    return shutil.copytree(healthy_build, tmp_path / "build")


@pytest.fixture
def tolerances(healthy_build: Path, tmp_path: Path) -> Path:
    gates.write_tolerances(tmp_path / "tolerances.json", load_manifest(healthy_build))
    return tmp_path / "tolerances.json"


def one_line(result: Result, code: int, *parts: str) -> None:
    """An error as the house wants it."""
    assert result.code == code, result
    (line,) = result.said.splitlines()
    assert line.startswith("igf: ")
    for part in parts:
        assert part in line
    assert result.out == ""


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# Help


def commands(group: Any = None, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    group = group or typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*prefix, name))
        else:
            yield (*prefix, name)


def test_train_hands_on_what_was_asked_and_no_more(
    igf: Igf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from igf_mobile import train as training
    from igf_mobile.training_state import preset_config

    seen: list[Any] = []
    monkeypatch.setattr(training, "train", lambda config, extend: seen.append((config, extend)) or tmp_path)
    run = tmp_path / "run"
    assert igf("train", "--run", run, "--tensorboard", "--workers", 0, "--lr", "2e-3").code == 0
    assert igf("train", "--run", run, "--extend").code == 0
    plain = preset_config("fast", "data_cache", str(run))
    asked = dataclasses.replace(plain, tensorboard=True, workers=0, lr=2e-3)
    assert seen == [(asked, False), (plain, True)]


def test_the_commands() -> None:
    assert {" ".join(names) for names in commands()} >= {
        "doctor",
        "train",
        "eval",
        "export",
        "verify",
        "bench",
        "matte",
        "report",
        "data build",
    }


@pytest.mark.parametrize("names", list(commands()), ids=" ".join)
def test_every_help_has_an_example(names: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.app, [*names, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"igf {' '.join(names)}" in " ".join(result.output.split())


def test_the_exit_codes_are_documented() -> None:
    said = " ".join(CliRunner().invoke(cli.app, ["--help"]).output.split())
    assert "0 done, 1 a gate failed, 2 bad input" in said


# Matting a photograph


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_matte_is_that_of_the_float_model(igf: Igf, fake: Any, tmp_path: Path) -> None:
    out = tmp_path / "new" / "alpha.png"
    result = igf("matte", PHOTOGRAPH, MASK, "-o", out)
    assert (result.code, result.said) == (0, "")
    sample = load_sample("chelsea")
    runner = matting.FloatRunner(load_checkpoint(fake.checkpoint)[0])
    wanted = matting.matte(runner, sample.guidance, sample.weak_mask)
    found = read(out)
    assert found.dtype == np.uint8
    assert found.shape == sample.weak_mask.shape
    assert np.abs(found / 255.0 - wanted).max() <= 0.5 / 255 + 1e-6
    assert found.std() > 50
    assert files(tmp_path) == {"new", "new/alpha.png"}


def test_matte_of_an_artifact_of_the_build(igf: Igf, build: Path, tmp_path: Path) -> None:
    arguments = ("matte", PHOTOGRAPH, MASK, "--build", build)
    assert igf(*arguments, "-o", tmp_path / "w8a8.png", "--runtime", "fake", "--scheme", "w8a8").code == 0
    assert igf(*arguments, "-o", tmp_path / "fp32.png", "--runtime", "fake").code == 0
    difference = read(tmp_path / "w8a8.png").astype(int) - read(tmp_path / "fp32.png")
    assert 0 < np.abs(difference).mean() < 5


def test_matte_at_the_photographs_own_size(igf: Igf, tmp_path: Path) -> None:
    assert igf("matte", PHOTOGRAPH, MASK, "-o", tmp_path / "native.png", "--native").code == 0
    assert igf("matte", PHOTOGRAPH, MASK, "-o", tmp_path / "squeezed.png").code == 0
    native, squeezed = read(tmp_path / "native.png"), read(tmp_path / "squeezed.png")
    assert native.shape == squeezed.shape == load_sample("chelsea").weak_mask.shape
    assert (native != squeezed).any()


def test_an_inverted_mask(igf: Igf, tmp_path: Path) -> None:
    Image.fromarray(~read(MASK).astype(bool)).save(tmp_path / "inverted.png")
    assert igf("matte", PHOTOGRAPH, MASK, "-o", tmp_path / "a.png").code == 0
    assert igf("matte", PHOTOGRAPH, tmp_path / "inverted.png", "-o", tmp_path / "b.png", "--invert").code == 0
    assert igf("matte", PHOTOGRAPH, tmp_path / "inverted.png", "-o", tmp_path / "c.png").code == 0
    assert (read(tmp_path / "a.png") == read(tmp_path / "b.png")).all()
    assert (read(tmp_path / "a.png") != read(tmp_path / "c.png")).any()


@pytest.mark.parametrize("background", ["#00ff00", "lime", "picture"])
def test_a_new_background(igf: Igf, tmp_path: Path, background: str) -> None:
    if background == "picture":
        background = str(tmp_path / "green.png")
        Image.new("RGB", (40, 30), "lime").save(background)
    matte = ("matte", PHOTOGRAPH, MASK, "--checkpoint", SHIPPED, "-o")
    assert igf(*matte, tmp_path / "alpha.png").code == 0
    assert igf(*matte, tmp_path / "out.png", "--background", background).code == 0
    out, behind = read(tmp_path / "out.png"), read(tmp_path / "alpha.png") == 0
    assert out.shape == (*behind.shape, 3)
    assert behind.mean() > 0.05
    assert np.abs(out[behind].astype(int) - (0, 255, 0)).max() <= 1
    assert (out[~behind] != (0, 255, 0)).any()


def test_a_picture_of_one_pixel(igf: Igf, tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), "red").save(tmp_path / "p.png")
    Image.new("L", (1, 1), 255).save(tmp_path / "m.png")
    result = igf("matte", tmp_path / "p.png", tmp_path / "m.png", "-o", tmp_path / "out.png")
    assert result.code == 0
    assert read(tmp_path / "out.png").shape == (1, 1)


def test_a_mask_of_zeros(igf: Igf, tmp_path: Path) -> None:
    Image.fromarray(np.zeros_like(read(MASK))).save(tmp_path / "m.png")
    result = igf("matte", PHOTOGRAPH, tmp_path / "m.png", "-o", tmp_path / "out.png")
    assert result.code == 0
    assert read(tmp_path / "out.png").shape == read(MASK).shape


# Bad input


@pytest.mark.parametrize(
    ("content", "part"),
    [(None, "cannot read "), (b"", " is empty"), (b"some text\n" * 9, " is not a picture")],
)
@pytest.mark.parametrize("which", ["photograph", "mask"])
def test_a_file_that_is_no_picture(
    igf: Igf, tmp_path: Path, content: bytes | None, part: str, which: str
) -> None:
    bad = tmp_path / "bad.jpg"
    if content is not None:
        bad.write_bytes(content)
    before = files(tmp_path)
    photograph, mask = (bad, MASK) if which == "photograph" else (PHOTOGRAPH, bad)
    one_line(igf("matte", photograph, mask, "-o", tmp_path / "out.png"), 2, str(bad), part.strip())
    assert files(tmp_path) == before


def test_a_truncated_photograph(igf: Igf, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(PHOTOGRAPH.read_bytes()[:9000])
    one_line(igf("matte", bad, MASK, "-o", tmp_path / "out.png"), 2, f"{bad} is cut off or damaged")
    assert files(tmp_path) == {"bad.jpg"}


def test_a_mask_of_another_aspect(igf: Igf, tmp_path: Path) -> None:
    Image.new("L", (50, 200), 255).save(tmp_path / "m.png")
    one_line(
        igf("matte", PHOTOGRAPH, tmp_path / "m.png", "-o", tmp_path / "out.png"), 2, "m.png", "50", "200"
    )
    assert files(tmp_path) == {"m.png"}


@pytest.mark.parametrize("out", ["file/alpha.png", "alpha.xyz", "alpha", "folder.png"])
def test_an_output_that_cannot_be_written(igf: Igf, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder.png").mkdir()
    one_line(igf("matte", PHOTOGRAPH, MASK, "-o", tmp_path / out), 2, f"cannot write {tmp_path / out}")
    assert files(tmp_path) == {"file", "folder.png"}


def test_an_error_keeps_the_old_output(igf: Igf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "alpha.png"
    out.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    one_line(igf("matte", PHOTOGRAPH, MASK, "-o", out), 2, f"cannot write {out}", "No space left")
    assert out.read_bytes() == b"old"
    assert files(tmp_path) == {"alpha.png"}


def test_a_background_that_is_no_colour(igf: Igf, tmp_path: Path) -> None:
    result = igf("matte", PHOTOGRAPH, MASK, "-o", tmp_path / "out.png", "--background", "gren")
    one_line(result, 2, "'gren' is not a colour", "'green'")
    assert files(tmp_path) == set()


def test_a_damaged_checkpoint(igf: Igf, fake: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(fake.checkpoint.read_bytes()[:1000])
    result = igf("matte", PHOTOGRAPH, MASK, "-o", tmp_path / "out.png", "--checkpoint", bad)
    one_line(result, 2, f"{bad} is not a whole safetensors file")


# Wrong names: exit code 2, one line, the choices


def test_an_unknown_runtime(igf: Igf, tmp_path: Path) -> None:
    result = igf("matte", PHOTOGRAPH, MASK, "-o", tmp_path / "o.png", "--runtime", "tflite")
    one_line(result, 2, "unknown runtime 'tflite'; available: float, coreml, executorch, fake, litert")


def test_a_scheme_that_the_build_lacks(igf: Igf, build: Path, tmp_path: Path) -> None:
    result = igf(
        *("matte", PHOTOGRAPH, MASK, "-o", tmp_path / "o.png"),
        *("--runtime", "fake", "--scheme", "int8", "--build", build),
    )
    one_line(result, 2, "has no fake int8; it has fake fp32, fake fp16, fake w8, fake w8a8")


def test_an_unknown_backend(igf: Igf, tmp_path: Path) -> None:
    result = igf("export", "--backend", "tflite", "--build", tmp_path / "build")
    one_line(result, 2, "unknown backend 'tflite'; available: coreml, executorch, fake, litert")
    assert files(tmp_path) == set()


def test_an_unknown_scheme(igf: Igf, tmp_path: Path) -> None:
    result = igf("export", "--backend", "fake", "--scheme", "int8", "--build", tmp_path / "build")
    one_line(result, 2, "fake has no scheme 'int8'; it has fp32, fp16, w8, w8a8")
    assert files(tmp_path) == set()


@pytest.mark.parametrize("size", [0, -32, 33, 500])
def test_a_size_that_is_no_multiple_of_32(igf: Igf, tmp_path: Path, size: int) -> None:
    result = igf("export", "--size", size, "--build", tmp_path / "build")
    one_line(result, 2, f"size {size} is not a positive multiple of 32")


def test_native_goes_with_float(igf: Igf, build: Path, tmp_path: Path) -> None:
    result = igf(
        "matte", PHOTOGRAPH, MASK, "-o", tmp_path / "o.png", "--native", "--runtime", "fake", "-b", build
    )
    one_line(result, 2, "--native goes with --runtime float")


@pytest.mark.parametrize("command", ["verify", "bench", "report"])
def test_no_build(
    igf: Igf, tmp_path: Path, tolerances: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(gates, "DEFAULT_TOLERANCES", tolerances)
    one_line(igf(command, "--build", tmp_path / "none"), 2, "manifest.json; `igf export` writes it")


def test_no_suite(igf: Igf, tmp_path: Path) -> None:
    one_line(igf("eval", "--suite", tmp_path), 2, "no evaluation suite in")


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("matte",), ("matte", "--nonsense"), ("bench", "--iterations", "0")]
)
def test_wrong_usage(igf: Igf, arguments: tuple[str, ...]) -> None:
    result = igf(*arguments)
    assert result.code == 2
    assert "Usage" in result.said
    assert "Traceback" not in result.said


# Export, verify, bench


def test_export_then_verify(igf: Igf, fake: Any, tolerances: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    arguments = ("--build", folder, "--tolerances", tolerances)
    result = igf("export", "--backend", "fake", "--size", 96, "--json", *arguments)
    assert result.code == 0, result
    assert [a["scheme"] for a in json.loads(result.out)["artifacts"]] == ["fp32", "fp16", "w8", "w8a8"]
    assert (folder / "report.html").is_file()
    result = igf("verify", *arguments)
    assert result.code == 0
    assert "all gates passed for 4 artifacts" in result.said
    assert "fake" in result.out
    fake.module.exported.clear()
    assert igf("export", "--backend", "fake", "--size", 96, *arguments).code == 0
    assert fake.module.exported == []


def test_an_export_that_fails_a_gate(igf: Igf, fake: Any, tolerances: Path, tmp_path: Path) -> None:
    fake.module.mutants["w8"] = "shifted alpha"
    result = igf(
        *("export", "--backend", "fake", "--size", 96),
        *("--build", tmp_path / "new", "--tolerances", tolerances),
    )
    assert result.code == 1
    assert "gate(s) failed:" in result.said
    assert "fake w8: quantized alpha.mean_abs is " in result.said
    assert "new/igf-test-fake-w8.fake" in files(tmp_path)  # the files stay


def test_verify_fails_with_a_sentence(igf: Igf, fake: Any, build: Path, tolerances: Path) -> None:
    arguments = ("verify", "--build", build, "--tolerances", tolerances)
    fake.module.mutants["w8a8"] = "red and blue swapped"
    result = igf(*arguments)
    assert result.code == 1
    assert "fake w8a8: quantized alpha.sqnr_db is " in result.said
    assert "all gates passed" not in result.said

    result = igf(*arguments, "--json")
    assert result.code == 1
    assert any("alpha.sqnr_db" in sentence for sentence in json.loads(result.out)["failures"])

    fake.module.mutants.clear()
    path = build / "igf-test-fake-w8.fake"
    path.write_bytes(path.read_bytes() + b"x")
    result = igf(*arguments)
    assert result.code == 1
    assert f"{path.name} has {path.stat().st_size} bytes, the manifest says" in " ".join(result.said.split())


def test_verify_needs_its_tolerances(igf: Igf, build: Path, tmp_path: Path) -> None:
    result = igf("verify", "--build", build, "--tolerances", tmp_path / "none.json")
    one_line(result, 2, "none.json is not a table of tolerances")


def test_tolerances_set_by_verify_pass(igf: Igf, build: Path, tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    assert igf("verify", "--build", build, "--set-tolerances", path).code == 0
    assert igf("verify", "--build", build, "--tolerances", path).code == 0


def test_tolerances_are_not_set_from_a_build_that_is_not_whole(igf: Igf, build: Path, tmp_path: Path) -> None:
    path = build / "igf-test-fake-w8.fake"
    path.write_bytes(path.read_bytes() + b"x")
    result = igf("verify", "--build", build, "--set-tolerances", tmp_path / "set.json")
    assert result.code == 1
    assert not (tmp_path / "set.json").exists()


class SideHere:
    """In place of the process of a side: the same server, here, where the fake backend is registered."""

    def __init__(self, spec: Any, log: Path, site: Any = None) -> None:
        self.spec = spec

    def load(self) -> Loaded:
        try:
            self.server = Server(self.spec)
        except backends.base.BackendUnavailable as reason:
            raise SideFailed(str(reason), True) from reason
        return Loaded(**self.server.load())

    def time(self, calls: int) -> list[float]:
        return self.server.time(calls)

    def peak(self, calls: int) -> Any:
        return Memory(**Server(self.spec).peak(calls))

    def sustain(self, seconds: float) -> Any:
        return self.server.sustain(seconds)

    def frames(self, *arguments: Any) -> Any:
        return {stage: tuple(samples) for stage, samples in self.server.frames(*arguments).items()}

    def parity(self) -> Any:
        found = self.server.parity()
        return DeviceParity(**found) if found else None

    def close(self) -> None:
        pass


@pytest.fixture
def bench(igf: Igf, build: Path, monkeypatch: pytest.MonkeyPatch) -> Igf:
    monkeypatch.setattr(bench_run, "Worker", SideHere)
    monkeypatch.setattr(rounds, "_BLOCK_MS", 1e9)  # on a busy machine too every side makes all its calls
    own = ("--build", build, "--threads", 1, "--warm-up", 0, "--no-roofline")
    return lambda *arguments: igf("bench", *own, *arguments)


def test_bench(bench: Igf, tmp_path: Path) -> None:
    result = bench("--iterations", 4, "--block", 2, "--json", "--output", tmp_path / "run.json")
    assert result.code == 0
    run = json.loads(result.out)
    assert run == json.loads((tmp_path / "run.json").read_text())
    assert [row["name"] for row in run["rows"]] == [
        "torch eager",
        *(f"fake-{scheme}" for scheme in ("fp32", "fp16", "w8", "w8a8")),
    ]
    for row in run["rows"]:
        assert len(row["samples_ms"]) == row["summary"]["iterations"] == 4
        assert 0 < row["summary"]["minimum_ms"] <= row["summary"]["median_ms"] <= row["summary"]["p99_ms"]
        assert row["memory"]["peak_bytes"] >= row["memory"]["base_bytes"]
        assert row["pixels"] == 96 * 96
    assert run["settings"]["threads"] == [1]


def test_bench_prints_its_conditions(bench: Igf) -> None:
    said = bench("--iterations", 2, "--no-memory", "--only", "fake-w8").out
    assert "fake-w8 " in said and "fake-fp32" not in said
    assert "0 warm-up calls, 2 timed in turns of 10" in said
    assert "torch 2" in said


def test_bench_says_what_does_not_run(bench: Igf, fake: Any) -> None:
    fake.module.unavailable = "it wants a phone"
    rows = json.loads(bench("--iterations", 1, "--json").out)["rows"]
    assert {row["ran_on"] for row in rows[1:]} == {"not run: it wants a phone"}
    assert all(row["samples_ms"] == [] and row["summary"] is None for row in rows[1:])


def test_bench_writes_frames_a_sustained_run_and_a_report(bench: Igf, build: Path, tmp_path: Path) -> None:
    options = [
        "--only",
        "fake-fp32",
        "--no-memory",
        "--iterations",
        2,
        "--frame",
        "200x120",
        "--sustained",
        0.1,
    ]
    result = bench(*options, "--latency-report", tmp_path / "desktop.json", "--output", tmp_path / "run.json")
    assert result.code == 0, result
    assert "a whole frame, nv12 200x120" in result.out and "sustained, alone" in result.out
    row = json.loads((tmp_path / "run.json").read_text())["rows"][1]
    assert set(row["stages"]) == {"convert", "resize", "inference", "apply", "composite"}
    assert all(len(samples) == 2 for samples in row["stages"].values())
    assert row["sustained"]["duration_s"] >= 0.1 and row["sustained"]["samples_ms"]
    (run,) = json.loads((tmp_path / "desktop.json").read_text())["runs"]
    assert run["valid"] is False and "2 samples, 50 are needed" in run["invalid_reasons"]


def test_bench_compares_two_runs(bench: Igf, igf: Igf, tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    bench("--only", "fake-fp32", "--no-memory", "--iterations", 30, "--output", run)
    found = json.loads(igf("bench", "--compare", run, run, "--json").out)
    assert [(c["side"], c["verdict"]) for c in found] == [
        ("torch eager, 1 thread", "no difference"),
        ("fake-fp32, 1 thread", "no difference"),
    ]
    assert "no difference" in igf("bench", "--compare", run, run).out
    one_line(igf("bench", "--compare", run, tmp_path / "absent.json"), 2, "absent.json is not readable")


def test_bench_compares_a_build_of_coefficients_with_its_kind_only(
    bench: Igf, igf: Igf, build: Path, tmp_path: Path
) -> None:
    whole, only = tmp_path / "whole.json", tmp_path / "only.json"
    options = ("--only", "fake-fp32", "--no-memory", "--iterations", 30, "--output")
    assert bench(*options, whole).code == 0
    save_manifest(dataclasses.replace(load_manifest(build), coefficients_only=True), build)
    assert bench(*options, only).code == 0
    torch, artifact = json.loads(igf("bench", "--compare", only, whole, "--json").out)
    assert torch["ratio"] is not None and artifact["ratio"] is None
    why = "not compared: the artifact ends at alpha in the old run, at the coefficients in the new"
    assert artifact["verdict"] == why
    assert why in igf("bench", "--compare", only, whole).out
    (_, artifact) = json.loads(igf("bench", "--compare", only, only, "--json").out)
    assert artifact["verdict"] == "no difference"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--frame", "200"), "'200' is no size; write it as 1280x720"),
        (("--frame", "0x10"), "'0x10' is no size"),
        (
            ("--frame", "20x10", "--frame-format", "yuv"),
            "unknown frame format 'yuv'; available: nv12, bgra, jpeg",
        ),
    ],
)
def test_bench_refuses_bad_frames(bench: Igf, arguments: tuple[str, ...], why: str) -> None:
    one_line(bench(*arguments), 2, why)


def test_bench_names_the_artifacts_there_are(bench: Igf) -> None:
    one_line(bench("--only", "litert-w9"), 2, "no artifact 'litert-w9'; it has fake-fp32, fake-fp16")


def test_exit_code_3_where_it_cannot_run(igf: Igf, fake: Any, build: Path, tmp_path: Path) -> None:
    fake.module.unavailable = "it wants a phone"
    result = igf("matte", PHOTOGRAPH, MASK, "-o", tmp_path / "o.png", "--runtime", "fake", "--build", build)
    one_line(result, 3, "not possible here: it wants a phone")


def test_exit_code_130_when_interrupted(igf: Igf, fake: Any, tmp_path: Path) -> None:
    fake.module.mutants["fp32"] = "killed"
    result = igf("export", "--backend", "fake", "--size", 96, "--build", tmp_path / "new")
    assert result.code == 130
    assert result.said.endswith("igf: interrupted\n")
    assert not [name for name in files(tmp_path) if "igf-test" in name]


def test_doctor(igf: Igf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "names", lambda: ["fake"])  # the others import their runtimes
    result = igf("doctor", "--json")
    assert result.code == 0
    assert {"run fake", "export fake"} <= {finding["what"] for finding in json.loads(result.out)}


# As a user starts it


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from igf_mobile.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )


def test_an_error_of_a_real_process(tmp_path: Path) -> None:
    result = started("matte", str(tmp_path / "none.jpg"), str(MASK), "-o", str(tmp_path / "o.png"))
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"igf: cannot read {tmp_path / 'none.jpg'}: ")


def test_wrong_usage_of_a_real_process() -> None:
    result = started("nonsense")
    assert result.returncode == 2
    assert "No such command 'nonsense'" in result.stderr
    assert "Traceback" not in result.stderr
