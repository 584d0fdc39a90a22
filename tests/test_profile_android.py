"""`igf profile android` against a scripted adb: what it asks the phone, and every way that can go wrong."""

import json
import sys
from pathlib import Path
from typing import Any

import device_reports
import pytest
from rich.console import Console

from igf_mobile import cli, report, terminal
from igf_mobile.errors import IgfError
from igf_mobile.profile import adb, android
from igf_mobile.profile.android import parse
from igf_mobile.profile.command import Lines, run
from igf_mobile.profile.progress import Done, Failed, Progress

FAKE = Path(__file__).parent / "fake_adb.py"
SERIAL = "R58M12ABCDE"


def line(tag: str, text: str, level: str = "I", pid: int = 12345) -> dict[str, str]:
    return {"line": f"{level}/{tag:<8}({pid:>5}): {text}"}


def said(**fields: Any) -> dict[str, str]:
    return line("IGF", json.dumps(fields))


def began(index: int, file: str = "igf-512-litert-fp32.tflite", unit: str = "cpu") -> dict[str, str]:
    return said(event="run", index=index, of=2, file=file, unit=unit)


def ended(index: int, file: str = "igf-512-litert-fp32.tflite", unit: str = "cpu") -> dict[str, str]:
    return said(
        event="run_done",
        index=index,
        of=2,
        file=file,
        unit=unit,
        valid=True,
        parity=True,
        median_ms=9.5,
        error=None,
    )


FINISHED = said(event="finished", report="latency_report.json", runs=2, passed=2, valid=2)


class Phone:
    """The scripted device, its build and the command line."""

    def __init__(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.root, self.capfd = root, capfd
        self.build = device_reports.write_build(root / "build")
        self.scenario: dict[str, Any] = {"report_path": android.REPORT, "log": []}

    def report(self, name: str = "report", *runs: Any, **changes: Any) -> dict[str, str]:
        path = device_reports.save(
            device_reports.report_of(self.build, *runs, **changes), self.root / f"{name}.json"
        )
        return {"report": str(path)}

    def partial(self) -> dict[str, str]:
        return self.report("partial", device_reports.run_of(self.build, "litert", "fp32", "cpu"))

    def igf(self, *arguments: str, log: list[dict[str, Any]] | None = None) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        if log is not None:
            self.scenario["log"] = log
        (self.root / "scenario.json").write_text(json.dumps(self.scenario))
        sys.argv = ["igf", "profile", "android", "--build", str(self.build), *arguments]
        with pytest.raises(SystemExit) as ending:
            cli.main()
        terminal.screen.file.flush()
        out, err = self.capfd.readouterr()
        return int(ending.value.code or 0), out, err

    def failure(self, *arguments: str, log: list[dict[str, Any]] | None = None, code: int = 2) -> str:
        """The one line of an error."""
        found, _, err = self.igf(*arguments, log=log)
        errors = [text for text in err.splitlines() if text.startswith("igf: ")]
        assert (found, len(errors)) == (code, 1), err
        return errors[0].removeprefix("igf: ")

    def calls(self) -> list[list[str]]:
        return [json.loads(call) for call in (self.root / "calls.txt").read_text().splitlines()]

    def kept(self) -> list[str]:
        return sorted(path.name for path in (self.build / "devices").glob("*"))


@pytest.fixture
def html() -> None:
    """For the tests that look at `report.html`; it takes a second to write."""


@pytest.fixture
def phone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Phone:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "adb").write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" "$@"\n')
    (bin_ / "adb").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_ADB", str(tmp_path))
    monkeypatch.setattr(android.Session.__init__, "__defaults__", (0, False, 900.0, 0.1))
    monkeypatch.setattr(
        report, "strips", lambda folder, run: []
    )  # the mattes' pictures have tests of their own
    monkeypatch.setattr(terminal, "screen", Console(stderr=True))
    return Phone(tmp_path, capfd)


def test_a_whole_measurement(phone: Phone, html: None) -> None:
    apk = phone.root / "demo.apk"
    apk.write_bytes(b"PK")
    log = [
        said(event="session", mode="measure", runs=2, report="latency_report.json"),
        said(event="refused", file="igf-512-executorch-w8.pte", unit="gpu", reason="no Vulkan in this app"),
        began(1),
        said(event="phase", phase="steady", done=12.0, of=60.0),
        phone.partial(),
        ended(1),
        began(2, "igf-512-litert-fp16.tflite", "gpu"),
        phone.report(),
        ended(2, "igf-512-litert-fp16.tflite", "gpu"),
        FINISHED,
    ]
    code, out, err = phone.igf("--apk", str(apk), "--sustained", "10", log=log)
    assert code == 0, err
    (name,) = phone.kept()
    assert name.startswith("Pixel-8-20") and name.endswith("Z.json")
    assert f"{phone.build}/devices/{name}  Pixel 8: 2 runs, 2 valid" in out
    assert "2/2  igf-512-litert-fp16.tflite on gpu: done" in err
    assert "igf-512-executorch-w8.pte on gpu: no Vulkan in this app" in err
    page = (phone.build / "report.html").read_text()
    assert 'id="devices"' in page and "Google Pixel 8" in page and "not measured on a device" not in page

    calls = phone.calls()
    pushed = [call[-1].removeprefix(f"{android.FOLDER}/build/") for call in calls if call[2:3] == ["push"]]
    assert pushed == [
        "manifest.json",
        "igf-512-litert-fp32.tflite",
        "igf-512-litert-fp16.tflite",
        "igf-512-executorch-w8.pte",
        "device_case",
    ]
    (start,) = [call for call in calls if call[2:5] == ["shell", "am", "start"]]
    assert start[5:] == [
        *("-W", "-S", "-n", "igf.mobile.demo/igf.app.MainActivity"),
        *("--es", "igf.run", "measure", "--ei", "igf.sustained_s", "600", "--es", "igf.build", "build"),
    ]
    order = [call[2] if call[2] != "shell" else " ".join(call[3:5]) for call in calls[1:]]
    assert order.index("install") < order.index("push") < order.index("logcat") < order.index("am start")


def test_the_artifacts_inside_the_app(phone: Phone) -> None:
    code, _, err = phone.igf("--bundled", log=[began(1), phone.report(), FINISHED])
    assert code == 0, err
    assert not [call for call in phone.calls() if "push" in call or "igf.build" in call]


def test_a_report_of_an_earlier_measurement_is_not_taken(phone: Phone) -> None:
    stale = phone.root / "device" / android.REPORT.lstrip("/")
    device_reports.save(device_reports.report_of(phone.build), stale)
    error = phone.failure(log=[FINISHED])
    assert (
        "the app says it is done and wrote no /sdcard/Android/data/igf.mobile.demo/files/latency_report.json"
        in error
    )
    assert error.endswith("; nothing was measured") and phone.kept() == []


def test_failed_parity_is_a_failed_gate(phone: Phone) -> None:
    run = device_reports.run_of(
        phone.build, "litert", "fp16", "gpu", valid=False, invalid_reasons=("parity failed",)
    )
    assert run.parity
    run = device_reports.dataclasses.replace(
        run, parity=device_reports.dataclasses.replace(run.parity, alpha_max_abs=0.7, passed=False)
    )
    error = phone.failure(log=[phone.report("report", run), FINISHED], code=1)
    assert error == "parity failed on Pixel 8: litert-fp16 on gpu"
    assert len(phone.kept()) == 1


def test_fixed_performance_is_set_and_undone(phone: Phone) -> None:
    code, _, err = phone.igf("--fixed-performance", log=[phone.report(), FINISHED])
    assert code == 0, err
    modes = [call[-1] for call in phone.calls() if "set-fixed-performance-mode-enabled" in call]
    assert modes == ["true", "false"]


def test_fixed_performance_is_undone_after_a_crash_and_refused_is_said(phone: Phone) -> None:
    phone.failure("--fixed-performance", log=[began(1), {"die": True}])
    assert [call[-1] for call in phone.calls() if "set-fixed-performance-mode-enabled" in call] == [
        "true",
        "false",
    ]
    phone.scenario["fixed_performance"] = False
    for name in ("dead", "started"):
        (phone.root / name).unlink()
    code, _, err = phone.igf("--fixed-performance", log=[phone.report(), FINISHED])
    assert code == 0 and "no fixed performance mode: Failed to set FIXED_PERFORMANCE mode" in err
    assert [call[-1] for call in phone.calls() if "set-fixed-performance-mode-enabled" in call] == [
        "true",
        "false",
        "true",
    ]


def test_no_adb(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(phone.root))
    monkeypatch.delenv("ANDROID_HOME", raising=False)
    monkeypatch.setenv("ANDROID_SDK_ROOT", str(phone.root))
    error = phone.failure(code=3)
    assert error.startswith(
        "not possible here: adb is neither on PATH nor below ANDROID_HOME or ANDROID_SDK_ROOT"
    )
    tools = phone.root / "platform-tools"
    tools.mkdir()
    (phone.root / "bin" / "adb").rename(tools / "adb")
    assert adb.find_adb() == str(tools / "adb")


@pytest.mark.parametrize(
    ("devices", "arguments", "message"),
    [
        ([], [], "adb sees no device: plug a phone in and enable USB debugging"),
        (
            [f"{SERIAL}  unauthorized usb:1-1 transport_id:3"],
            [],
            f"{SERIAL} does not trust this computer: unlock it",
        ),
        ([f"{SERIAL}  offline transport_id:3"], [], f"{SERIAL} is offline"),
        (
            [
                f"{SERIAL}  no permissions (user in plugdev group; are your udev rules wrong?); see [web] usb:1-1"
            ],
            [],
            f"{SERIAL} may not be opened by this user",
        ),
        ([f"{SERIAL}  rescue"], [], f"{SERIAL} cannot be used: its state is 'rescue'"),
        (
            [f"{SERIAL}  device model:Pixel_8", "emulator-5554  device model:sdk"],
            [],
            f"several devices; choose one with --serial: {SERIAL} (Pixel_8, device), emulator-5554 (sdk, device)",
        ),
        (
            [f"{SERIAL}  device model:Pixel_8"],
            ["--serial", "X"],
            f"no device 'X'; adb sees: {SERIAL} (Pixel_8, device)",
        ),
        (
            [f"{SERIAL}  unauthorized", "emulator-5554  device model:sdk"],
            ["--serial", SERIAL],
            f"{SERIAL} does not trust this computer",
        ),
    ],
)
def test_no_device_to_use(phone: Phone, devices: list[str], arguments: list[str], message: str) -> None:
    phone.scenario["devices"] = devices
    assert phone.failure(*arguments, code=3).startswith(f"not possible here: {message}")


def test_one_of_several_devices(phone: Phone) -> None:
    phone.scenario["devices"] = [
        f"{SERIAL}  device model:Pixel_8",
        "emulator-5554  device model:sdk",
        "Y  offline",
    ]
    code, _, err = phone.igf("-s", SERIAL, log=[phone.report(), FINISHED])
    assert code == 0, err


@pytest.mark.parametrize(
    ("why", "message"),
    [
        (
            "INSTALL_FAILED_INSUFFICIENT_STORAGE: Failed to override installation location",
            "storage is full: free",
        ),
        (
            "INSTALL_FAILED_VERSION_DOWNGRADE: Downgrade detected: 2 -> 1",
            "`adb uninstall igf.mobile.demo` first",
        ),
        (
            "INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures do not match",
            "has another signature: `adb uninstall",
        ),
        (
            "INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries",
            "no native code for the device's",
        ),
        ("INSTALL_FAILED_ABORTED: User rejected permissions", "User rejected permissions]"),
    ],
)
def test_the_app_cannot_be_installed(phone: Phone, why: str, message: str) -> None:
    apk = phone.root / "demo.apk"
    apk.touch()
    phone.scenario["install"] = why
    error = phone.failure("--apk", str(apk))
    assert (
        error.startswith(f"{apk} cannot be installed: ") and message in error and why.split(":")[0] in error
    )


def test_no_apk_and_no_app(phone: Phone) -> None:
    assert phone.failure("--apk", "no.apk").startswith("there is no no.apk; `make apk` writes the app")
    phone.scenario["installed"] = False
    assert f"igf.mobile.demo is not on {SERIAL}; `make apk` builds it, --apk installs it" in phone.failure()


def test_no_build_is_told_before_the_phone_is_touched(phone: Phone) -> None:
    (phone.build / "manifest.json").unlink()
    assert "manifest.json; `igf export` writes it" in phone.failure()
    assert phone.calls() == [["devices", "-l"]]


def test_the_storage_is_full(phone: Phone) -> None:
    phone.scenario["full_at"] = "igf-512-litert-fp16.tflite"
    error = phone.failure()
    assert error.startswith("igf-512-litert-fp16.tflite cannot be copied to /sdcard/")
    assert "the device's storage is full: free some space; nothing was measured" in error


def test_the_activity_is_not_there(phone: Phone) -> None:
    phone.scenario["no_activity"] = True
    assert "igf.mobile.demo/igf.app.MainActivity cannot be started: Activity class" in phone.failure()


CRASHES = [
    (
        [
            line("AndroidRuntime", "FATAL EXCEPTION: main", "E", 77),
            line("AndroidRuntime", "Process: com.other.app, PID: 77", "E", 77),
            line("AndroidRuntime", "java.lang.IllegalStateException: not ours", "E", 77),
            line("AndroidRuntime", "FATAL EXCEPTION: igf-session", "E"),
            line("AndroidRuntime", "Process: igf.mobile.demo, PID: 12345", "E"),
            line(
                "AndroidRuntime",
                "java.lang.OutOfMemoryError: Failed to allocate a 4194320 byte allocation",
                "E",
            ),
            line("AndroidRuntime", "\tat igf.app.LiteRtRuntime.load(LiteRtRuntime.kt:40)", "E"),
        ],
        "java.lang.OutOfMemoryError: Failed to allocate a 4194320 byte allocation",
        "",
    ),
    (
        [
            line(
                "libc",
                "Fatal signal 6 (SIGABRT), code -1 (SI_QUEUE) in tid 77 (x), pid 77 (com.other)",
                "F",
                77,
            ),
            line(
                "libc",
                "Fatal signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x0 in tid 12399 (igf-session), "
                "pid 12345 (igf.mobile.demo)",
                "F",
            ),
        ],
        "SIGSEGV in native code",
        "",
    ),
    (
        [],
        "it is gone, and Android noted LOW_MEMORY",
        "ACTIVITY MANAGER PROCESS EXIT INFO\n      ApplicationExitInfo #0:\n"
        "        process=igf.mobile.demo reason=3 (LOW_MEMORY) subreason=0 (UNKNOWN) status=0",
    ),
    ([], "it is gone, without a word in the log", ""),
]


@pytest.mark.parametrize(("lines", "why", "exit_info"), CRASHES)
def test_a_crash_keeps_the_finished_runs(
    phone: Phone, html: None, lines: list[Any], why: str, exit_info: str
) -> None:
    phone.scenario["exit_info"] = exit_info
    error = phone.failure(log=[began(1), phone.partial(), ended(1), began(2), *lines, {"die": True}])
    (name,) = phone.kept()
    assert name.endswith("Z-partial.json")
    assert error == f"the app crashed: {why}; 1 run kept in {phone.build}/devices/{name}"
    assert "Google Pixel 8" in (phone.build / "report.html").read_text()


def test_a_crash_before_the_first_run(phone: Phone) -> None:
    assert phone.failure(log=[{"die": True}]).endswith("; nothing was measured")
    assert phone.kept() == []


def test_a_pulled_cable_keeps_what_was_fetched(phone: Phone) -> None:
    error = phone.failure(log=[began(1), phone.partial(), ended(1), {"pulled": True}, {"gone": True}])
    (name,) = phone.kept()
    lost = f"lost {SERIAL}: device '{SERIAL}' not found"
    assert error == f"{lost}; 1 run kept in {phone.build}/devices/{name}"


def test_a_cable_that_ends_logcat(phone: Phone) -> None:
    assert phone.failure(log=[began(1), {"gone": True}, {"end": True}]).startswith(f"lost {SERIAL}")


def test_logcat_that_ends_by_itself(phone: Phone) -> None:
    error = phone.failure(log=[began(1), {"end": True}])
    assert error == "`adb logcat` ended before the app did; nothing was measured"


def test_a_hang(phone: Phone) -> None:
    error = phone.failure("--timeout", "3", log=[began(1), phone.partial(), ended(1), began(2)])
    assert error.startswith("the app hangs: no progress for 3 s; 1 run kept in")
    assert phone.calls()[-1][2:] == ["shell", "am", "force-stop", android.PACKAGE]


def test_the_app_gives_up(phone: Phone) -> None:
    failed = said(event="failed", error="the golden case is of checkpoint 1234, the build of 5678")
    error = phone.failure(log=[failed])
    assert (
        error
        == "the app gave up: the golden case is of checkpoint 1234, the build of 5678; nothing was measured"
    )


def test_a_report_that_is_not_valid(phone: Phone) -> None:
    broken = phone.root / "broken.json"
    broken.write_text(Path(phone.report()["report"]).read_text()[:-40])
    error = phone.failure(log=[{"report": str(broken)}, FINISHED])
    assert error.startswith("the device's report is not valid: ") and "it is cut off" in error
    assert phone.kept() == []


def test_a_partial_report_that_is_not_valid(phone: Phone) -> None:
    broken = phone.root / "broken.json"
    broken.write_text("{")
    error = phone.failure(log=[{"report": str(broken)}, ended(1), {"die": True}])
    assert "; what it had measured is not valid: " in error and phone.kept() == []


def test_a_report_of_another_build(phone: Phone) -> None:
    run = device_reports.run_of(phone.build, "litert", "fp16", "gpu")
    run = device_reports.dataclasses.replace(
        run, artifact=device_reports.dataclasses.replace(run.artifact, sha256="cd" * 32)
    )
    error = phone.failure(log=[phone.report("report", run), FINISHED])
    assert "runs[0]: igf-512-litert-fp16.tflite is of another build: sha256 cdcdcdcdcdcd" in error


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ('{"event":"run","index":3,"of":16,"file":"a.pte","unit":"gpu"}', Progress("a.pte on gpu", 2, 16)),
        (
            '{"event":"run_done","index":3,"of":16,"file":"a.pte","unit":"gpu","error":null}',
            Progress("a.pte on gpu: done", 3, 16),
        ),
        (
            '{"event":"run_done","index":3,"of":16,"file":"a.pte","unit":"gpu","error":"no"}',
            Progress("a.pte on gpu: no", 3, 16),
        ),
        (
            '{"event":"refused","file":"a.pte","unit":"npu","reason":"no NNAPI"}',
            Progress("a.pte on npu: no NNAPI"),
        ),
        ('{"event":"finished","runs":2}', Done()),
        ('{"event":"failed","error":"full"}', Failed("full")),
        ('{"event":"phase","phase":"steady","done":1,"of":60}', None),
        ('{"event":"run"}', None),
        ("[1]", None),
        ("hello", None),
        ('{"event":', None),
    ],
)
def test_lines_of_the_app(text: str, event: object) -> None:
    assert parse(text) == event


def test_a_command_that_does_not_end_or_start(tmp_path: Path) -> None:
    with pytest.raises(IgfError, match=r"`sleep 5` did not end in 0\.1 s"):
        run(["/bin/sleep", "5"], 0.1)
    with pytest.raises(IgfError, match="cannot run /nonexistent"):
        run(["/nonexistent"], 1)
    with pytest.raises(IgfError, match="cannot run /nonexistent"):
        Lines(["/nonexistent"])


def test_lines_end_with_their_command() -> None:
    with Lines(["/bin/sh", "-c", "printf 'a\\r\\nb'; exit 3"]) as lines:
        assert [lines.next(5), lines.next(5)] == ["a", "b"]
        for _ in range(2):
            with pytest.raises(EOFError):
                lines.next(5)
        assert lines.code() == 3
