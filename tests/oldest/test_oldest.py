"""`igf verify --runtime tflite-2.14`: the verdict with mutants, what it says, and (slow) the real runtime."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from igf_mobile import cli, terminal
from igf_mobile.backends.base import FloatArray
from igf_mobile.elsewhere.heads import Heads
from igf_mobile.errors import IgfError, NotPossible
from igf_mobile.oldest import check, command, environment

FILE = "igf-512-litert-{}.tflite"


def row(scheme: str = "w8a8") -> check.Row:
    return check.Row(FILE.format(scheme), scheme, runtime="2.14.0")


def outputs(mutant: float = 0.0) -> list[tuple[FloatArray, FloatArray]]:
    random = np.random.default_rng(0)
    pairs = [
        (random.random((1, 1, 64, 64), np.float32), random.random((1, 4, 16, 16), np.float32))
        for _ in range(2)
    ]
    pairs[-1][0].flat[7] += np.float32(mutant)
    return pairs


@pytest.mark.parametrize("scheme", list(check.LIMITS))
def test_the_verdict(scheme: str) -> None:
    limit = check.LIMITS[scheme].alpha_max_abs
    assert check.judge(row(scheme), outputs(), outputs()).failures == ()
    assert check.judge(row(scheme), outputs(), outputs(0.9 * limit)).failures == ()
    (found,) = check.judge(row(scheme), outputs(), outputs(1.1 * limit)).failures
    assert found.startswith(f"{FILE.format(scheme)}: alpha's largest difference between the runtimes is ")


def test_a_small_difference_everywhere_is_past_the_mean() -> None:
    there = [(alpha + np.float32(0.002), coefficients) for alpha, coefficients in outputs()]
    (found,) = check.judge(row(), outputs(), there).failures
    assert "alpha's mean difference" in found


def heads() -> Heads:
    random = np.random.default_rng(1)
    return Heads(0.015, [random.random((1, 3, 64, 64), np.float32) for _ in range(2)])


def test_int8_is_held_to_the_current_runtimes_own_kernels() -> None:
    judged = check.judge(row(), outputs(), outputs(0.098))
    same = check.judge_own_kernels(judged, outputs(0.098), outputs(0.098), heads())
    assert same.failures == () and same.own_kernels is not None and same.own_kernels.heads.steps == 0.0
    (found,) = check.judge_own_kernels(judged, outputs(), outputs(0.098), heads()).failures
    assert found.endswith("alpha is 0.098 off, 0.096 is what one step of the heads makes")
    other = outputs()
    other[0][1][0, 3, 2, 2] += np.float32(0.2)
    clauses = check.judge_own_kernels(judged, outputs(), other, heads()).failures
    assert any("steps of the int8 heads off" in clause for clause in clauses)
    (found,) = check.judge_own_kernels(judged, outputs(), outputs(), None).failures
    assert "no table of ranges" in found
    (found,) = check.judge_own_kernels(judged, outputs(), outputs(np.nan), heads()).failures
    assert found.endswith("without XNNPACK: sample 1: 1 values are not finite")


@pytest.mark.parametrize("differing", [1, 2])
def test_one_sample_in_three_may_have_a_tie_that_falls_differently(differing: int) -> None:
    three = [*outputs(), outputs()[0]]
    there = [(alpha, coefficients.copy()) for alpha, coefficients in three]
    for _, coefficients in there[:differing]:
        coefficients[0, 3, 2, 2] += np.float32(0.2)
    seen = Heads(0.015, [*heads().guidances, heads().guidances[0]])
    judged = check.judge_own_kernels(check.judge(row(), three, there), three, there, seen)
    assert any("steps of the int8 heads off" in clause for clause in judged.failures) == (differing == 2)


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "w8"])
def test_float_kernels_are_compared_once(scheme: str) -> None:
    judged = check.judge(row(scheme), outputs(), outputs())
    assert check.judge_own_kernels(judged, outputs(0.5), outputs(), None) == judged


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_fails(value: float) -> None:
    (found,) = check.judge(row(), outputs(), outputs(value)).failures
    assert found == f"{FILE.format('w8a8')}: sample 1: 1 values are not finite"


def test_a_constant_matte_and_an_unknown_scheme_fail() -> None:
    constant = [(np.zeros_like(alpha), coefficients) for alpha, coefficients in outputs()]
    assert "the output is constant" in check.judge(row(), outputs(), constant).failures[0]
    assert "there is no limit for p4" in check.judge(row("p4"), outputs(), outputs()).failures[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Didn't find op for builtin opcode 'ADD' version '5'. An older version\n"
            "Didn't find op for builtin opcode 'CONV_2D' version '8'. An older version\n",
            "it has no ADD version 5, CONV_2D version 8",
        ),
        ("Input tensor 3 lacks data\nmore", "Input tensor 3 lacks data"),
        ("", "no reason given"),
    ],
)
def test_a_refusal_names_what_is_lacking(text: str, said: str) -> None:
    assert check._reason(text) == said


def fake_python(tmp_path: Path, program: str) -> Path:
    """An interpreter that runs `program` in place of the guest, with the guest's arguments."""
    script = tmp_path / "program.py"
    script.write_text(program)
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" "{script}" "$@"\n')
    path.chmod(0o755)
    return path


_REFUSES = """
import json, pathlib, sys
(pathlib.Path(sys.argv[2]) / "guest.json").write_text(json.dumps(
    {"version": "2.14.0", "refused": "Didn't find op for builtin opcode 'ADD' version '5'."}))
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (_REFUSES, "tflite-runtime 2.14.0 refuses it: it has no ADD version 5"),
        ("import sys\nsys.exit('cannot allocate')", "tflite-runtime ended with 1: cannot allocate"),
        ("import os\nos.abort()", "tflite-runtime ended with -6: "),
    ],
)
def test_a_guest_that_fails(tmp_path: Path, program: str, said: str) -> None:
    with pytest.raises(IgfError) as raised:
        check.run_guest(fake_python(tmp_path, program), tmp_path / "x.tflite", outputs()[:1])
    assert str(raised.value).startswith(said)


def run_cli(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["igf", "verify", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    build = ("--build", str(tmp_path), "--runtime", "tflite-2.14")
    found = [check.judge(row(), outputs(), outputs())]
    monkeypatch.setattr(command, "verify", lambda build, progress: found)
    assert run_cli(monkeypatch, *build) == 0
    assert "passed" in capfd.readouterr().out
    found.append(check.judge(row("fp32"), outputs(), outputs(0.5)))
    assert run_cli(monkeypatch, *build, "--json") == 1
    document: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert [r["scheme"] for r in document["rows"]] == ["w8a8", "fp32"]
    assert len(document["failures"]) == 2
    assert json.loads((tmp_path / "tflite-2.14.json").read_text()) == document
    assert run_cli(monkeypatch, "--runtime", "tflite-1") == 2


def test_no_environment_is_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(terminal.screen, "print", lambda text, **_: said.append(text))

    def refuse(build: Path, progress: object) -> list[check.Row]:
        raise NotPossible("no Python 3.11")

    monkeypatch.setattr(command, "verify", refuse)
    assert run_cli(monkeypatch, "--runtime", "tflite-2.14") == 3
    assert said == ["igf: not run: no Python 3.11"]


def test_an_environment_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGF_OLDEST_CACHE", str(tmp_path))
    monkeypatch.setattr(environment, "_uv", lambda: None)
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    with pytest.raises(NotPossible, match="neither uv nor python"):
        environment.obtain(print)
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho 'error: no route to the index' >&2\nexit 2\n")
    uv.chmod(0o755)
    monkeypatch.setattr(environment, "_uv", lambda: str(uv))
    with pytest.raises(NotPossible, match="failed: error: no route to the index"):
        environment.obtain(print)
    assert [path.name for path in tmp_path.iterdir()] == ["uv"]  # nothing half-made stays


def build_folder() -> Path:
    build = Path(os.environ.get("IGF_TEST_BUILD", "build"))
    if not (build / "manifest.json").is_file():
        pytest.skip("no build folder; `igf export` makes one")
    return build


def test_a_changed_artifact_is_not_run(tmp_path: Path) -> None:
    shutil.copytree(build_folder(), tmp_path / "build", ignore=shutil.ignore_patterns("mattes", "android"))
    manifest = check.load_manifest(tmp_path / "build")
    record = next(r for r in manifest.artifacts if r.backend == "litert")
    with (tmp_path / "build" / record.file).open("ab") as file:
        file.write(b"x")
    found = check._verify_artifact(record, manifest, tmp_path / "build", tmp_path, [], None, print)
    assert len(found.failures) == 1 and record.file in found.failures[0]


@pytest.mark.slow
def test_the_build_agrees_in_the_old_runtime(tmp_path: Path) -> None:
    """Makes the environment where it is absent (some 20 MB); then about a second a file."""
    rows = check.verify(build_folder(), print)
    assert {r.scheme for r in rows} == set(check.LIMITS)
    assert [s for r in rows for s in r.failures] == []
    assert {r.runtime for r in rows} == {"2.14.0"}


@pytest.mark.slow
def test_an_operator_that_it_lacks_is_named(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    from igf_mobile.backends import litert

    build = build_folder()
    record = check.load_manifest(build).find("litert", "fp32")
    assert record is not None
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel((build / record.file).read_bytes(), 0))
    for code in tree.operatorCodes:
        if max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.CONV_2D:
            code.version = 99
    (tmp_path / "x.tflite").write_bytes(litert.pack(tree))
    sample = check.load_composites(check.composites.FOLDERS["proof"])[0].tensors()
    with pytest.raises(IgfError, match=r"2\.14\.0 refuses it: it has no CONV_2D version 99"):
        check.run_guest(environment.obtain(print), tmp_path / "x.tflite", [sample])
