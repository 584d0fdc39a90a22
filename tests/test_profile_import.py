"""`igf profile import`: a good report is stored, each broken one is refused with its reason, and then nothing is."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import device_reports
import pytest
from rich.console import Console

from igf_mobile import cli, report
from igf_mobile.device.fixture import fixture_report
from igf_mobile.device.reader import load_report
from igf_mobile.profile import store


class Desk:
    """A build and the command line."""

    def __init__(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.root, self.capfd = root, capfd
        self.build = device_reports.write_build(root / "build")
        self.merged: list[list[str]] = []

    def igf(self, *arguments: str | Path) -> tuple[int, str, str]:
        sys.argv = ["igf", "profile", "import", "--build", str(self.build), *map(str, arguments)]
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return int(ending.value.code or 0), *self.capfd.readouterr()

    def stored(self) -> list[str]:
        return sorted(path.name for path in (self.build / "devices").glob("*"))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Desk:
    desk = Desk(tmp_path, capfd)

    def merge(build: Path, reports: list[Path]) -> Path:
        desk.merged.append([path.name for path in reports])
        return build / "report.html"

    monkeypatch.setattr(report, "rewrite_report", merge)
    monkeypatch.setattr("igf_mobile.terminal.screen", Console(stderr=True))
    return desk


def broken(desk: Desk, **changes: Any) -> Path:
    """A good report whose first run has other fields."""
    path = device_reports.save(device_reports.report_of(desk.build), desk.root / "broken.json")
    data = json.loads(path.read_text())
    data["runs"][0] |= changes
    path.write_text(json.dumps(data))
    return path


def test_reports_are_stored_and_merged(desk: Desk) -> None:
    made = device_reports.report_of(desk.build, created_at="2026-11-20T10:00:00Z")
    one = device_reports.save(made, desk.root / "one.json")
    other = device_reports.save(
        dataclasses.replace(made, created_at="2026-11-21T10:00:00Z"), desk.root / "two.json"
    )
    code, out, err = desk.igf(one, other)
    assert code == 0, err
    assert desk.stored() == ["Pixel-8-2026-11-20T100000Z.json", "Pixel-8-2026-11-21T100000Z.json"]
    assert load_report(desk.build / "devices" / desk.stored()[0]) == made
    assert out.count("Pixel 8: 2 runs, 2 valid") == 2
    assert desk.merged == [desk.stored()]


def test_the_same_report_twice_is_one_and_another_gets_a_number(desk: Desk) -> None:
    made = device_reports.report_of(desk.build, created_at="2026-11-20T10:00:00Z")
    path = device_reports.save(made, desk.root / "one.json")
    assert [desk.igf(path)[0] for _ in range(2)] == [0, 0]
    device_reports.save(dataclasses.replace(made, runs=made.runs[:1]), path)
    assert desk.igf(path)[0] == 0
    assert desk.stored() == ["Pixel-8-2026-11-20T100000Z-2.json", "Pixel-8-2026-11-20T100000Z.json"]


def test_another_folder_is_merged_too(desk: Desk) -> None:
    path = device_reports.save(
        device_reports.report_of(desk.build, model="../../x y"), desk.root / "one.json"
    )
    code, _, err = desk.igf(path, "--output", desk.root / "elsewhere")
    assert code == 0, err
    (kept,) = (desk.root / "elsewhere").iterdir()
    assert kept.name.startswith("x-y-20") and desk.stored() == [] and desk.merged == [[kept.name]]


def test_a_fixture_says_that_it_is_one(desk: Desk) -> None:
    path = device_reports.save(fixture_report(), desk.root / "fixture.json")
    code, out, _ = desk.igf(path)
    assert code == 0 and "fixture phone (fixture: not measured on a device): 5 runs, 2 valid" in out


BROKEN = {
    "wrong schema": ({"schema": 1}, r"runs[0].schema is not a field of the schema"),
    "wrong type": ({"warm_up": "10"}, "runs[0].warm_up is '10'"),
    "clock backwards": (
        {"duration_s": 60.0, "stages": {"inference": [1000.5] * 80}},
        "the clock ran backwards",
    ),
    "negative": ({"load_ms": -1.0}, "runs[0].load_ms is -1.0: negative, so the clock ran backwards"),
    "absurd": ({"first_ms": 0.001}, "first_ms is 0.001 ms, not 0.05 to 600000"),
    "summary": ({"summary": {}}, "stages.inference has 80 samples and no summary"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_report_is_refused(desk: Desk, name: str) -> None:
    changes, message = BROKEN[name]
    good = device_reports.save(device_reports.report_of(desk.build), desk.root / "good.json")
    code, _, err = desk.igf(good, broken(desk, **changes))
    assert code == 2 and message in err and "broken.json" in err
    assert desk.stored() == [] and desk.merged == []  # all or nothing


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused(desk: Desk, literal: str) -> None:
    path = broken(desk)
    path.write_text(path.read_text().replace('"load_ms": 49.0', f'"load_ms": {literal}', 1))
    assert literal in path.read_text()
    code, _, err = desk.igf(path)
    assert code == 2 and "runs[0].load_ms is" in err and "not a finite number" in err


def test_truncated_and_huge_files_are_refused(desk: Desk) -> None:
    path = broken(desk)
    path.write_bytes(path.read_bytes()[:-100])
    code, _, err = desk.igf(path)
    assert code == 2 and "it is cut off" in err
    with path.open("ab") as stream:
        stream.truncate(100_000_000)
    code, _, err = desk.igf(path)
    assert code == 2 and "has 100 MB; a report has at most 64" in err


def test_another_schema_version_is_refused(desk: Desk) -> None:
    path = broken(desk)
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    code, _, err = desk.igf(path)
    assert code == 2 and "has schema version 2; this program reads 1" in err


def test_another_build_s_artifacts_are_refused(desk: Desk) -> None:
    path = broken(desk)
    (desk.build / "igf-512-litert-fp16.tflite").write_bytes(b"newer")
    manifest = json.loads((desk.build / "manifest.json").read_text())
    manifest["artifacts"][1]["sha256"] = "ef" * 32
    (desk.build / "manifest.json").write_text(json.dumps(manifest))
    code, _, err = desk.igf(path)
    assert code == 2
    assert (
        "runs[1]: igf-512-litert-fp16.tflite is of another build" in err
        and "this build has efefefefefef" in err
    )


def test_a_report_of_coefficients_is_refused_once_by_a_build_with_alpha(desk: Desk) -> None:
    made = device_reports.report_of(desk.build)
    of_coefficients = dataclasses.replace(made.build, coefficients_only=True)
    path = device_reports.save(dataclasses.replace(made, build=of_coefficients), desk.root / "ab.json")
    code, _, err = desk.igf(path)
    assert code == 2 and len(made.runs) > 1 and desk.stored() == []
    assert err.count("the report's artifacts end at the coefficients, those of igf-512 0.1.0 at alpha") == 1


def test_many_contradictions_are_a_line_each(desk: Desk) -> None:
    made = device_reports.report_of(desk.build)
    run = dataclasses.replace(made.runs[0], load_ms=0.0)
    path = device_reports.save(dataclasses.replace(made, runs=(run,) * 14), desk.root / "many.json")
    code, _, err = desk.igf(path)
    lines = err.strip().splitlines()
    assert code == 2 and len(lines) == 12
    assert lines[0].endswith("many.json has 14 contradictions:") and lines[-1] == "  and 4 more"


def test_no_build(desk: Desk) -> None:
    path = broken(desk)
    (desk.build / "manifest.json").unlink()
    code, _, err = desk.igf(path)
    assert code == 2 and "`igf export` writes it" in err


def test_outcome_names_failed_parity(desk: Desk) -> None:
    made = device_reports.report_of(desk.build)
    assert made.runs[1].parity
    failed = dataclasses.replace(
        made.runs[1], parity=dataclasses.replace(made.runs[1].parity, passed=False), valid=False
    )
    text = store.outcome(dataclasses.replace(made, runs=(made.runs[0], failed)))
    assert text == "Pixel 8: 2 runs, 1 valid; parity failed: litert-fp16 on gpu"
