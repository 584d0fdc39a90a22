"""`igf verify --arch arm64`: the verdict with mutants, the set-up's refusals, and (slow) the real run."""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from igf_mobile import cli, terminal
from igf_mobile.arm import check, command, fetch, sysroot
from igf_mobile.backends.base import FloatArray
from igf_mobile.elsewhere.heads import Apart, Heads
from igf_mobile.errors import GateFailed, IgfError, NotPossible
from igf_mobile.terminal import stdout

A76, MAX = check.CPUS


def row(scheme: str = "w8a8", cpu: str = A76) -> check.Row:
    features = tuple(sorted(check.CPUS[cpu]))
    return check.Row(f"igf-litert-{scheme}.tflite", "litert", scheme, cpu, features=features)


def outputs() -> list[tuple[FloatArray, FloatArray]]:
    random = np.random.default_rng(0)
    return [
        (random.random((1, 1, 32, 32), np.float32), random.random((1, 4, 8, 8), np.float32)) for _ in range(2)
    ]


def mutated(value: float, tensor: int = 0) -> list[tuple[FloatArray, FloatArray]]:
    """`outputs` with `value` added to one element of the last sample."""
    pairs = outputs()
    pairs[-1][tensor].flat[5] += np.float32(value)
    return pairs


def heads() -> Heads:
    """Of `outputs`, whose coefficients are those of no network; alpha may move by 0.1."""
    random = np.random.default_rng(1)
    return Heads(0.015, [random.random((1, 3, 32, 32), np.float32) for _ in range(2)])


def test_the_same_outputs_are_bit_exact() -> None:
    judged = check.judge(row(), outputs(), outputs(), 1, heads())
    assert judged.heads == Apart(0.0, 0.0)
    assert judged.failures == ()
    assert judged.bit_exact == ("alpha", "coefficients")
    assert (judged.alpha_max_abs, judged.coefficients_max_abs) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("scheme", "error"),
    [("w8a8", 1e-5), ("fp32", 9e-6), ("fp16", 9e-6), ("w8", 9e-6)],
)
@pytest.mark.parametrize("tensor", [0, 1])
def test_within_the_limit_passes_and_is_not_called_bit_exact(scheme: str, error: float, tensor: int) -> None:
    judged = check.judge(row(scheme), outputs(), mutated(error, tensor), 1, heads())
    assert judged.failures == ()
    assert judged.bit_exact == (("coefficients",), ("alpha",))[tensor]


@pytest.mark.parametrize(
    ("scheme", "error"),
    [("fp32", 5e-4), ("fp32", -5e-4), ("fp16", 5e-4), ("w8", 5e-4)],
)
@pytest.mark.parametrize("tensor", ["alpha", "coefficients"])
def test_past_the_limit_fails_by_name(scheme: str, error: float, tensor: str) -> None:
    position = ("alpha", "coefficients").index(tensor)
    judged = check.judge(row(scheme), outputs(), mutated(error, position), delegates=1)
    (sentence,) = judged.failures
    assert sentence.startswith(f"litert-{scheme} on cortex-a76: the largest difference of {tensor} to this")
    assert check.LIMITS["litert", scheme].why in sentence


@pytest.mark.parametrize(
    ("error", "tensor", "said"),
    [
        (0.1, 0, "the largest difference of alpha to this machine's is 0.1, above 0.096 (one step of"),
        (-0.1, 1, "a block is "),
    ],
)
def test_more_than_a_step_of_the_heads_fails(error: float, tensor: int, said: str) -> None:
    judged = check.judge(row(), outputs(), mutated(error, tensor), 1, heads())
    assert any(sentence.startswith(f"litert-w8a8 on cortex-a76: {said}") for sentence in judged.failures)


def test_int8_without_a_table_of_ranges_fails() -> None:
    (sentence,) = check.judge(row(), outputs(), outputs(), delegates=1).failures
    assert sentence.endswith("the build has no table of ranges, so a step of its heads is not known")


def test_a_recipe_has_the_limits_of_its_coarsest_layers() -> None:
    assert replace(row("mixed"), bound_by="w8a8").limit == check.LIMITS["litert", "w8a8"]
    assert row("mixed").limit is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_fails(value: float) -> None:
    judged = check.judge(row(), outputs(), mutated(value), 1, heads())
    assert judged.failures == ("litert-w8a8 on cortex-a76: alpha: sample 1: 1 values are not finite",)
    assert judged.alpha_max_abs is None


def test_not_finite_on_both_sides_fails() -> None:
    assert check.judge(row(), mutated(np.nan), mutated(np.nan), 1, heads()).failures


def test_another_shape_fails() -> None:
    there = [(alpha[..., :16], coefficients) for alpha, coefficients in outputs()]
    (sentence,) = check.judge(row(), outputs(), there, 1, heads()).failures
    assert "alpha: sample 0: shape (1, 1, 32, 16) instead of (1, 1, 32, 32)" in sentence


def test_a_missing_sample_fails() -> None:
    assert len(check.judge(row(), outputs(), outputs()[:1], delegates=1).failures) == 2


def test_a_constant_matte_fails() -> None:
    there = [(np.zeros_like(alpha), coefficients) for alpha, coefficients in outputs()]
    (sentence,) = check.judge(row(), outputs(), there, 1, heads()).failures
    assert "the output is constant (0)" in sentence


def test_a_run_without_the_delegate_proves_nothing() -> None:
    (sentence,) = check.judge(row(), outputs(), outputs(), 0, heads()).failures
    assert "XNNPACK took nothing of the graph" in sentence


@pytest.mark.parametrize("features", [("fp16",), ("dotprod", "fp16", "sve")])
def test_another_core_than_the_one_named_fails(features: tuple[str, ...]) -> None:
    (sentence,) = check.judge(replace(row(), features=features), outputs(), outputs(), 1, heads()).failures
    assert sentence.endswith(f"the core has the features {', '.join(features)}, not dotprod, fp16")


def test_a_scheme_without_a_limit_fails() -> None:
    (sentence,) = check.judge(row("p4"), outputs(), outputs(), delegates=1).failures
    assert sentence.endswith("there is no limit for litert p4")


def test_no_cpu_model_has_sve_and_sme() -> None:
    assert all(cpu != "max" for cpu in check.CPUS)
    assert all(not {"sve", "sme"} & features for features in check.CPUS.values())


def test_a_crash_in_the_emulator_is_one_sentence() -> None:
    program = "import sys; print('first', file=sys.stderr); sys.exit('the last words')"
    with pytest.raises(IgfError, match=r"^the emulated run ended with 1: the last words$"):
        check.run([sys.executable, "-c", program])
    with pytest.raises(IgfError, match=r"ended with -11: no message"):
        check.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"])
    with pytest.raises(IgfError, match=r"^not finished after 0.2 s$"):
        check.run([sys.executable, "-c", "import time; time.sleep(9)"], seconds=0.2)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IGF_ARM_CACHE", str(tmp_path / "arm"))
    return tmp_path / "arm"


@pytest.mark.parametrize("tool", ["apt-get", "dpkg-deb"])
def test_a_missing_tool_is_one_line(tool: str, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysroot.platform, "system", lambda: "Linux")
    monkeypatch.setattr(sysroot.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else f"/usr/bin/{name}")
    with pytest.raises(NotPossible, match=f"takes {tool}, which is not on the PATH$"):
        sysroot.obtain(print)
    assert not empty_cache.exists()


@pytest.mark.parametrize(("name", "value"), [("system", "Darwin"), ("machine", "riscv64")])
def test_another_machine_is_one_line(
    name: str, value: str, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysroot.platform, name, lambda: value)
    with pytest.raises(NotPossible, match=value):
        sysroot.obtain(print)


def fake_tools(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Programs that stand in for apt-get and dpkg-deb."""
    folder.mkdir()
    for name, text in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    (folder / "key.gpg").touch()
    monkeypatch.setattr(fetch, "_KEYRING", folder / "key.gpg")
    monkeypatch.setattr(sysroot.platform, "machine", lambda: "x86_64")


def test_no_mirror_is_one_line(tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IGF_DEBIAN_MIRROR", raising=False)
    fake_tools(tmp_path / "bin", monkeypatch, apt_get="exit 0", dpkg_deb="exit 0")
    with pytest.raises(NotPossible, match=r"^apt names no Debian mirror \(set IGF_DEBIAN_MIRROR\)$"):
        sysroot.obtain(print)


def test_a_failed_download_leaves_no_machine(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IGF_DEBIAN_MIRROR", "mirror/debian")
    fake_tools(
        tmp_path / "bin", monkeypatch, apt_get="echo W: a; echo E: no way >&2; exit 100", dpkg_deb="exit 0"
    )
    with pytest.raises(NotPossible, match=r"^fetching Debian's lists failed: E: no way$"):
        sysroot.obtain(print)
    assert sorted(path.name for path in empty_cache.iterdir()) == ["apt", "lock"]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tools(tmp_path / "bin", monkeypatch, apt_get="exit 0", dpkg_deb="exit 0")
    (tmp_path / "file").touch()
    monkeypatch.setenv("IGF_ARM_CACHE", str(tmp_path / "file" / "arm"))
    with pytest.raises(NotPossible, match="set IGF_ARM_CACHE to another"):
        sysroot.obtain(print)


def run_cli(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["igf", "verify", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # the record goes to `build`
    passed = check.judge(row(), outputs(), outputs(), 1, heads())
    failed = check.judge(row(cpu=MAX), outputs(), mutated(0.5), 1, heads())
    found: list[check.Row] = [passed]
    monkeypatch.setattr(command, "verify", lambda build, progress: found)
    assert run_cli(monkeypatch, "--arch", "arm64") == 0
    assert "alpha and coefficients bit-exact" in capfd.readouterr().out
    found.append(failed)
    assert run_cli(monkeypatch, "--arch", "arm64", "--json") == 1
    document: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert [r["cpu"] for r in document["rows"]] == [A76, MAX]
    assert document["failures"] == list(failed.failures)
    assert run_cli(monkeypatch, "--arch", "mips") == 2
    assert run_cli(monkeypatch, "--arch", "arm64", "--runtime", "tflite-2.14") == 2


def test_not_possible_is_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(terminal.screen, "print", lambda text, **_: said.append(text))

    def refuse(build: Path, progress: object) -> list[check.Row]:
        raise NotPossible("no qemu")

    monkeypatch.setattr(command, "verify", refuse)
    assert run_cli(monkeypatch, "--arch", "arm64") == 3
    assert said == ["igf: not run: no qemu"]


def test_what_was_not_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skipped = check.Row("igf.mlpackage", "coreml", "fp32", A76, not_run="it is Apple's")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "verify", lambda build, progress: [skipped])
        passed = command.verify_architecture("arm64", tmp_path, False, stdout(), print)
    assert passed == 0
    assert "coreml: not run: it is Apple's" in capsys.readouterr().out


def test_a_changed_artifact_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sha256 is not the manifest's: a failure on each CPU model, and nothing is emulated."""
    build = Path(os.environ.get("IGF_TEST_BUILD", "build"))
    if not (build / "manifest.json").is_file():
        pytest.skip("no build folder; `igf export` makes one")
    shutil.copytree(build, tmp_path / "build")
    manifest = check.load_manifest(tmp_path / "build")
    record = next(r for r in manifest.artifacts if r.backend == "litert")
    path = tmp_path / "build" / record.file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    machine = sysroot.Machine(tmp_path)
    rows = check._verify_artifact(record, manifest, tmp_path / "build", machine, [], None, print)
    assert [len(r.failures) for r in rows] == [1, 1]
    assert "sha256" in rows[0].failures[0]


@pytest.mark.slow
def test_the_build_agrees_on_emulated_cores() -> None:
    """Sets the machine up where it is absent: some 110 MB, half a minute; then about ten seconds a run."""
    build = Path(os.environ.get("IGF_TEST_BUILD", "build"))
    if not (build / "manifest.json").is_file():
        pytest.skip("no build folder; `igf export` makes one")
    rows = check.verify(build, print)
    ran = [r for r in rows if r.not_run is None]
    assert {(r.cpu, (r.backend, r.scheme)) for r in ran} == {
        (cpu, key) for cpu in check.CPUS for key in check.LIMITS
    }
    assert [sentence for r in ran for sentence in r.failures] == []


@pytest.mark.slow
def test_another_network_on_arm_is_noticed(tmp_path: Path) -> None:
    """The gate on the real run can fail: Arm runs the int8 file, this machine the float one."""
    build = Path(os.environ.get("IGF_TEST_BUILD", "build"))
    if not (build / "manifest.json").is_file():
        pytest.skip("no build folder; `igf export` makes one")
    manifest = check.load_manifest(build)
    fp32, w8a8 = (manifest.find("litert", scheme) for scheme in ("fp32", "w8a8"))
    assert fp32 and w8a8
    sample = check.load_composites(check.composites.FOLDERS["proof"])[0].tensors()
    here = [check.backends.get("litert").load(build / fp32.file)(*sample)]
    there, found = check._run_guest(sysroot.obtain(print), A76, w8a8, build, [sample])
    judged = check.judge(
        replace(row("fp32"), features=tuple(found["features"])), here, there, found["delegates"]
    )
    assert len(judged.failures) == 2


@pytest.mark.parametrize("damage", ["no such file", "not float32", "cut off"])
@pytest.mark.slow
def test_the_compiled_guest_refuses_what_it_cannot_read(damage: str, tmp_path: Path) -> None:
    for name in ("guidance", "weak_mask"):
        values = np.zeros((1, 1, 4, 4), np.float64 if damage == "not float32" else np.float32)
        np.save(tmp_path / f"{name}-0.npy", values)
        if damage == "cut off":
            content = (tmp_path / f"{name}-0.npy").read_bytes()
            (tmp_path / f"{name}-0.npy").write_bytes(content[:-4])
        if damage == "no such file":
            (tmp_path / f"{name}-0.npy").unlink()
    command_line = sysroot.obtain(print).command(A76, "executorch", ["no.pte", str(tmp_path), "1"])
    with pytest.raises(IgfError, match=r"the emulated run ended with 1: .*-0\.npy is not"):
        check.run(command_line)


def test_a_failure_is_a_failed_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = check.judge(row(), outputs(), mutated(0.5), 1, heads())
    monkeypatch.setattr(command, "verify", lambda build, progress: [failed])
    with pytest.raises(GateFailed, match=r"^1 gate\(s\) failed:\n  - litert-w8a8 on cortex-a76: the largest"):
        command.verify_architecture("arm64", tmp_path, False, stdout(), print)
    recorded = json.loads((tmp_path / "arm64.json").read_text())
    assert recorded["failures"] == list(failed.failures)
    assert recorded["rows"][0]["file"] == failed.file
