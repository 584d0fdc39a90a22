"""`igf profile ios` against scripted Xcode tools: the commands, what is read from them, what can go wrong."""

import json
import sys
from pathlib import Path
from typing import Any

import device_reports
import pytest
from rich.console import Console

from igf_mobile import cli, report, terminal
from igf_mobile.profile import ios
from igf_mobile.profile.progress import Progress

FAKE = Path(__file__).parent / "fake_xcode.py"
UDID = "00008130-001A2B3C4D5E6F70"


def iphone(udid: str = UDID, name: str = "Ann's iPhone", **changes: Any) -> dict[str, Any]:
    """An entry of devicectl's list; `tunnelState` and others by name."""
    entry = {
        "identifier": "3D048AED-F823-4530-A0E8-D1D1C16F9948",
        "connectionProperties": {
            "pairingState": "paired",
            "tunnelState": "disconnected",
            "transportType": "wired",
        },
        "deviceProperties": {"name": name, "osVersionNumber": "26.1", "developerModeStatus": "enabled"},
        "hardwareProperties": {
            "platform": "iOS",
            "productType": "iPhone17,1",
            "reality": "physical",
            "udid": udid,
        },
    }
    for part in entry.values():
        if isinstance(part, dict):
            part.update({key: value for key, value in changes.items() if key in part})
    return entry


class Mac:
    """The scripted tools, the build and the command line."""

    def __init__(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.root, self.capfd = root, capfd
        self.build = device_reports.write_build(root / "build")
        self.project = root / "IGF.xcodeproj"
        self.project.mkdir()
        self.scenario: dict[str, Any] = {"devices": [iphone()]}

    def report(self, **changes: Any) -> str:
        made = device_reports.report_of(self.build, model="iPhone17,1", **changes)
        return str(device_reports.save(made, self.root / "report.json"))

    def igf(self, *arguments: str) -> tuple[int, str, str]:
        (self.root / "scenario.json").write_text(json.dumps(self.scenario))
        sys.argv = [
            "igf",
            "profile",
            "ios",
            "--build",
            str(self.build),
            "--project",
            str(self.project),
            *arguments,
        ]
        with pytest.raises(SystemExit) as ending:
            cli.main()
        terminal.screen.file.flush()
        return int(ending.value.code or 0), *self.capfd.readouterr()

    def failure(self, *arguments: str, code: int = 2) -> str:
        found, _, err = self.igf(*arguments)
        errors = [text for text in err.splitlines() if text.startswith("igf: ")]
        assert (found, len(errors)) == (code, 1), err
        return errors[0].removeprefix("igf: ")

    def calls(self) -> list[list[Any]]:
        return [json.loads(call) for call in (self.root / "calls.txt").read_text().splitlines()]


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Mac:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in ("xcrun", "xcodebuild"):
        (bin_ / tool).write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" {tool} "$@"\n')
        (bin_ / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_XCODE", str(tmp_path))
    monkeypatch.setattr(report, "rewrite_report", lambda build, reports: build / "report.html")
    monkeypatch.setattr(terminal, "screen", Console(stderr=True))
    return Mac(tmp_path, capfd)


def test_a_whole_measurement(mac: Mac) -> None:
    mac.scenario["test"] = [
        {"line": "Command line invocation:"},
        {
            "line": "igf verify igf-512-coreml-fp32.mlpackage on npu: passed, mean distance 3e-05, limit 0.0001"
        },
        {"line": "igf measure 2 of 9: igf-512-coreml-fp32.mlpackage on npu: measuring for 60 s"},
        {"report": mac.report()},
        {"line": "** TEST SUCCEEDED **"},
    ]
    code, out, err = mac.igf("--team", "ABCDE12345", "--sustained", "10")
    assert code == 0, err
    (kept,) = (mac.build / "devices").glob("*")
    assert kept.name.startswith("iPhone17-1-20") and f"{kept}  iPhone17,1: 2 runs, 2 valid" in out
    assert "verify igf-512-coreml-fp32.mlpackage on npu: passed" in err
    assert "1/9  igf-512-coreml-fp32.mlpackage on npu: measuring for 60 s" in err

    listed, tested, copied = mac.calls()
    assert listed[:5] == ["xcrun", "devicectl", "list", "devices", "--json-output"]
    assert tested == [
        *("xcodebuild", "test", "-project", str(mac.project), "-scheme", "IGF", "-configuration", "Release"),
        *("-destination", f"id={UDID}", "-only-testing:IGFTests/UnattendedTests/testVerifyAndMeasure"),
        *("-allowProvisioningUpdates", "DEVELOPMENT_TEAM=ABCDE12345", "600"),
    ]
    assert copied[:-2] == [
        *("xcrun", "devicectl", "device", "copy", "from", "--device", UDID),
        *("--domain-type", "appDataContainer", "--domain-identifier", "org.igf-mobile.demo"),
        *("--source", "Documents/latency_report.json", "--destination"),
    ]


def test_no_mac(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(mac.root))
    error = mac.failure(code=3)
    assert error.startswith(
        "not possible here: there is no xcrun and no xcodebuild here; this needs a Mac with Xcode"
    )
    assert error.endswith("a report that the app shared is read with `igf profile import`")


@pytest.mark.parametrize(
    ("devices", "arguments", "message"),
    [
        ([], [], "no iPhone can be reached: plug it in, unlock it and trust this Mac; Xcode knows: none"),
        (
            [iphone(tunnelState="unavailable")],
            [],
            "no iPhone can be reached: plug it in, unlock it and trust this Mac; "
            f"Xcode knows: {UDID} (Ann's iPhone, not reachable)",
        ),
        ([iphone(pairingState="unpaired")], [], "no iPhone can be reached"),
        ([iphone(platform="watchOS")], [], "no iPhone can be reached"),
        ([iphone(reality="simulated")], [], "no iPhone can be reached"),
        (
            [iphone(developerModeStatus="disabled")],
            [],
            "Ann's iPhone: switch on Settings > Privacy & Security",
        ),
        (
            [iphone(), iphone("X", "Bob's")],
            [],
            f"several devices; choose one with --device: {UDID} (Ann's iPhone, reachable), X",
        ),
        ([iphone()], ["--device", "Bob's"], f'no device "Bob\'s"; Xcode knows: {UDID}'),
    ],
)
def test_no_device_to_use(mac: Mac, devices: list[Any], arguments: list[str], message: str) -> None:
    mac.scenario["devices"] = devices
    assert mac.failure(*arguments, code=3).startswith(f"not possible here: {message}")


@pytest.mark.parametrize("wanted", ["X", "Bob's"])
def test_one_of_several_devices(mac: Mac, wanted: str) -> None:
    mac.scenario |= {"devices": [iphone(), iphone("X", "Bob's")], "test": [{"report": mac.report()}]}
    code, _, err = mac.igf("--device", wanted)
    assert code == 0, err
    assert "id=X" in mac.calls()[1]


@pytest.mark.parametrize(
    "content", ["{", "{}", "[]", '{"result": {"devices": [{}]}}', '{"result": {"devices": 7}}']
)
def test_a_list_that_is_not_understood(mac: Mac, content: str) -> None:
    mac.scenario["devices"] = content
    assert mac.failure().startswith("the list of `xcrun devicectl` is not understood: ")


def test_an_old_xcode_and_a_failing_devicectl(mac: Mac) -> None:
    mac.scenario["devicectl"] = (
        'xcrun: error: unable to find utility "devicectl", not a developer tool or in PATH'
    )
    assert mac.failure(code=3).startswith("not possible here: this Xcode has no devicectl")
    mac.scenario["devicectl"] = "ERROR: Timed out waiting for CoreDeviceService"
    assert mac.failure().endswith("failed: ERROR: Timed out waiting for CoreDeviceService")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            'error: Signing for "IGF" requires a development team. Select a development team.',
            "signing needs a team: --team",
        ),
        (
            "xcodebuild: error: Unable to find a destination matching the provided destination specifier:",
            "Xcode cannot reach",
        ),
        ("Testing failed: the device is locked", "unlock the device"),
        (
            "/x/App.swift:7:3: error: cannot find 'y' in scope",
            "/x/App.swift:7:3: error: cannot find 'y' in scope",
        ),
        ("** TEST FAILED **", "** TEST FAILED **"),
    ],
)
def test_a_test_that_fails(mac: Mac, line: str, why: str) -> None:
    mac.scenario |= {"test": [{"line": "note: x"}, {"line": line}, {"line": ""}], "code": 65}
    error = mac.failure()
    assert error.startswith(f"`xcodebuild test` failed: {why}") and error.endswith("; nothing was measured")


def test_a_failed_test_keeps_what_was_measured(mac: Mac) -> None:
    mac.scenario |= {"test": [{"report": mac.report()}, {"line": "The device disconnected"}], "code": 65}
    error = mac.failure()
    (kept,) = (mac.build / "devices").glob("*")
    assert error == f"`xcodebuild test` failed: the device was unplugged; 2 runs kept in {kept}"
    assert kept.name.endswith("-partial.json")


@pytest.mark.parametrize("code", [0, 65])
def test_the_report_of_an_earlier_measurement_is_not_taken(mac: Mac, code: int) -> None:
    mac.scenario |= {"test": [{"report": mac.report(created_at="2026-11-01T00:00:00Z")}], "code": code}
    error = mac.failure()
    assert error.endswith("; nothing was measured")
    assert code or "was written 2026-11-01T00:00:00Z, before this measurement" in error
    assert not (mac.build / "devices").exists()


def test_no_report(mac: Mac) -> None:
    assert "the report cannot be copied from the device: ERROR: The operation" in mac.failure()


def test_no_project(mac: Mac) -> None:
    mac.project.rmdir()
    assert mac.failure().startswith(f"there is no {mac.project}; name the app's project with --project")


def test_a_hang(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ios.Session.__init__, "__defaults__", (ios.PROJECT, ios.SCHEME, None, 0, 1800.0, 0.1))
    mac.scenario["test"] = [{"line": "x"}, {"hang": True}]
    assert mac.failure("--timeout", "1").startswith("xcodebuild hangs: nothing from it for 1 s")


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("igf measure 3 of 16: a.pte on cpu: loading", Progress("a.pte on cpu: loading", 2, 16)),
        ("2026-11-22 igf verify a.pte on cpu: passed", Progress("verify a.pte on cpu: passed")),
        ("Test Case 'x' started", None),
    ],
)
def test_lines_of_the_test(line: str, step: Progress | None) -> None:
    assert ios.parse(line) == step
