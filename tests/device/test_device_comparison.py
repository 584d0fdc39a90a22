"""Devices in the HTML report: what is quoted, what is grey, what is a regression and what is noise."""

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import device_reports
import pytest
from rich.console import Console

from igf_mobile import cli, report
from igf_mobile.device.comparison import against, binned, share_at_minutes, times_s, view
from igf_mobile.device.fixture import fixture_report
from igf_mobile.device.report import DeviceReport, Sustained, ThermalSample
from igf_mobile.errors import DamagedFile
from igf_mobile.manifest import load_manifest, save_manifest
from igf_mobile.report import rewrite_report

FIXTURE = Path(__file__).parents[2] / "shared_vectors" / "latency_report.json"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        report, "strips", lambda folder, run: []
    )  # the mattes' pictures have tests of their own
    return device_reports.write_build(tmp_path / "build")


def text_of(html: str) -> str:
    html = re.sub(r"<style>.*?</style>|data:[^\"]*", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("&#39;", "'"))


def section(page: str) -> str:
    return page[page.index('<h2 id="devices">') : page.index('<h2 id="mattes">')]


def runs_of(build: Path, *, scale: float = 1.0, seed: int = 0) -> DeviceReport:
    """fp32 on the CPU, fp16 on CPU and GPU."""
    run = device_reports.run_of
    return device_reports.report_of(
        build,
        run(build, "litert", "fp32", "cpu", 10.0 * scale, threads=2, seed=seed),
        run(build, "litert", "fp16", "cpu", 10.0 * scale, threads=4, seed=seed),
        run(build, "litert", "fp16", "gpu", 5.0 * scale, seed=seed),
        run(build, "executorch", "w8", "cpu", 8.0 * scale, seed=seed),
    )


def test_ratios_are_to_fp32_on_the_cpu_of_the_same_runtime(build: Path) -> None:
    rows = view(runs_of(build), load_manifest(build)).rows
    assert rows[0].ratio is None and rows[0].baseline == "what the others are compared with"
    assert rows[1].ratio and rows[1].ratio.verdict == "no difference"
    assert rows[1].baseline == "litert-fp32 on cpu, 2 threads"
    assert (
        rows[2].ratio and rows[2].ratio.verdict == "better" and rows[2].ratio.low < 0.5 < rows[2].ratio.high
    )
    assert rows[3].ratio is None and rows[3].baseline == "no valid executorch-fp32 on cpu to compare with"


def test_the_baseline_with_the_same_threads_comes_first(build: Path) -> None:
    runs = [
        device_reports.run_of(build, "litert", "fp32", "cpu", ms, threads=n)
        for n, ms in ((1, 20.0), (4, 10.0))
    ]
    runs.append(device_reports.run_of(build, "litert", "fp16", "cpu", 9.0, threads=4))
    rows = view(device_reports.report_of(build, *runs), load_manifest(build)).rows
    assert rows[2].baseline == "litert-fp32 on cpu, 4 threads"


def test_what_is_not_valid_or_of_another_build_is_not_quoted(build: Path) -> None:
    made = runs_of(build)
    other = dataclasses.replace(
        made.runs[0], artifact=dataclasses.replace(made.runs[0].artifact, sha256="ab" * 32)
    )
    hot = dataclasses.replace(made.runs[1], valid=False, invalid_reasons=("it started hot",))
    rows = view(dataclasses.replace(made, runs=(other, hot, *made.runs[2:])), load_manifest(build)).rows
    assert "is of another build" in rows[0].why_not[0] and rows[1].why_not == ("it started hot",)
    assert [row.shown for row in rows] == [False, False, True, True]
    assert rows[2].ratio is None  # its baseline is of another build
    assert rows[1].baseline == "not quoted"


def test_the_same_phone_again_is_no_regression(build: Path) -> None:
    found = against([runs_of(build, seed=1)], [runs_of(build, seed=2)])
    assert found.regressions == [] and len(found.changes) == 8 and found.unmatched == ()


def test_slower_is_a_regression_and_faster_none(build: Path) -> None:
    found = against([runs_of(build, scale=1.2)], [runs_of(build, seed=2)])
    assert len(found.regressions) == 8
    assert re.match(
        r"Pixel 8, litert-fp32 on cpu, 2 threads: median 1\.(19|20|21) \[.*\] times that of",
        found.regressions[0],
    )
    found = against([runs_of(build, scale=0.8)], [runs_of(build, seed=2)])
    assert found.regressions == [] and {change.ratio.verdict for change in found.changes} == {"better"}


def test_two_percent_is_within_what_a_run_does_not_show(build: Path) -> None:
    found = against([runs_of(build, scale=1.02)], [runs_of(build, seed=2)])
    assert found.regressions == []


def test_a_sustained_run_that_throttles_is_a_regression(build: Path) -> None:
    def sustained(factor: float) -> Sustained:
        return Sustained(60.0, tuple(10.0 * factor + 0.01 * (i % 7) for i in range(100)), 1.0, 1.0, ())

    new, old = (
        device_reports.report_of(
            build, device_reports.run_of(build, "litert", "fp32", "cpu", sustained=sustained(f))
        )
        for f in (1.5, 1.0)
    )
    assert [c.quantity for c in against([new], [old]).changes] == ["median", "p90", "sustained median"]
    (sentence,) = against([new], [old]).regressions
    assert "sustained median 1.50" in sentence


def test_what_cannot_be_compared_says_why(build: Path) -> None:
    new = runs_of(build)
    found = against(
        [new], [dataclasses.replace(new, device=dataclasses.replace(new.device, model="Pixel 7"))]
    )
    assert found.changes == () and found.unmatched == ("Pixel 8: no older report of this device",)
    found = against([new], [dataclasses.replace(new, kind="fixture")])
    assert found.unmatched == ("Pixel 8: no older report of this device",)
    older = dataclasses.replace(
        new,
        runs=new.runs[:1],
        device=dataclasses.replace(new.device, os_version="15"),
        created_at="2026-01-02T00:00:00Z",
    )
    oldest = dataclasses.replace(new, created_at="2026-01-01T00:00:00Z")
    found = against([new], [oldest, older])
    assert found.unmatched[0].startswith("Pixel 8: its system changed from 15 to 16")
    assert found.unmatched[1:] == tuple(f"Pixel 8, {run.name}: no valid older run" for run in new.runs[1:])
    assert {change.older for change in found.changes} == {"2026-01-02T00:00:00Z"}


def of_coefficients(report: DeviceReport, **changes: Any) -> DeviceReport:
    """The same, of artifacts that end at the coefficients."""
    return dataclasses.replace(
        report, build=dataclasses.replace(report.build, coefficients_only=True), **changes
    )


def test_less_work_is_not_faster(build: Path) -> None:
    alpha = runs_of(build, seed=2)
    less = of_coefficients(runs_of(build, scale=0.5))
    for new, old, ends in (
        (less, alpha, "at the coefficients, those of older reports at alpha"),
        (alpha, less, "at alpha, those of older reports at the coefficients"),
    ):
        found = against([new], [old])
        assert found.changes == ()
        assert found.unmatched == (f"Pixel 8: its artifacts end {ends}, so the times are of different work",)
    older = of_coefficients(runs_of(build, scale=0.4, seed=3), created_at="2026-01-01T00:00:00Z")
    found = against([less], [alpha, older])  # the newest of its kind, not the newest
    assert len(found.regressions) == 8 and {change.older for change in found.changes} == {older.created_at}


def test_the_section_says_that_alpha_is_left_out(build: Path) -> None:
    badge = "Google Pixel 8 coefficients only: inference leaves alpha out"
    less = of_coefficients(runs_of(build))
    path = device_reports.save(less, build / "ab.json")
    page = section(rewrite_report(build, [path]).read_text())
    assert badge in text_of(page) and page.count('<tr class="invalid">') == len(less.runs)
    assert "end at the coefficients, those of igf-512 0.1.0 at alpha" in text_of(page)
    save_manifest(dataclasses.replace(load_manifest(build), coefficients_only=True), build)
    page = section(rewrite_report(build, [path]).read_text())
    assert badge in text_of(page) and '<tr class="invalid">' not in page
    alpha = device_reports.save(runs_of(build), build / "alpha.json")
    assert badge not in text_of(section(rewrite_report(build, [alpha]).read_text()))


def test_shares_at_minutes() -> None:
    fast, slow = [10.0] * 6000, [20.0] * 27000  # one minute, then nine
    sustained = Sustained(600.0, (*fast, *slow), 6000 / 33000, 1.0, ())
    assert share_at_minutes(sustained, 16.7) == {1: 1.0, 10: 0.0}
    assert share_at_minutes(sustained, 33.3) == {1: 1.0, 10: 1.0}
    assert share_at_minutes(Sustained(30.0, (10.0,) * 3000, 1.0, 1.0, ()), 16.7) == {}


def test_times_and_bins() -> None:
    sustained = Sustained(2.0, (500.0, 250.0, 250.0), 0.0, 0.0, ())
    assert times_s(sustained) == [1.0, 1.5, 2.0]
    assert binned([1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 1.0, 3.0, 9.0, 7.0], bins=2) == [(2.0, 3.0), (4.0, 7.0)]
    assert len(binned(list(range(1, 1001)), [1.0] * 1000)) == 200


def test_the_fixture_in_the_report_is_marked_everywhere(build: Path) -> None:
    page = rewrite_report(build, [FIXTURE]).read_text()
    shown = section(page)
    text = text_of(shown)
    assert '<a href="#devices">' in page
    assert text.count("fixture: not measured on a device") >= 4  # the notice, the device, both kinds of plot
    assert shown.count("<small><br>fixture</small>") == len(fixture_report().runs)
    for run in fixture_report().runs:
        assert f"{run.artifact.backend} {run.artifact.scheme}" in text
        for reason in run.invalid_reasons:
            assert reason in text
    assert shown.count('<tr class="invalid">') == 3
    assert "iPhone Xs 15.7 ms, iPhone X 22.3 ms, iPhone SE (2016) 25.9 ms (Li et al. 2019" in text
    first = fixture_report().runs[0]
    assert f"{first.summary['inference'].median_ms:.2f}" in text
    assert not re.search(r"\b(nan|None)\b", text)
    assert "http" not in re.sub(r"data:[^\"]*", "", shown)


def test_the_same_reports_give_the_same_bytes(build: Path) -> None:
    first = rewrite_report(build, [FIXTURE]).read_bytes()
    assert rewrite_report(build, [FIXTURE]).read_bytes() == first


def test_no_devices_no_section(build: Path) -> None:
    assert 'id="devices"' not in rewrite_report(build).read_text()


def test_stored_reports_are_in_every_report(build: Path) -> None:
    device_reports.save(runs_of(build), build / "devices" / "Pixel-8.json")
    page = rewrite_report(build).read_text()
    assert "Google Pixel 8" in section(page) and "not measured on a device" not in section(page)
    assert section(page).count('<tr class="invalid">') == 0


def test_a_report_that_contradicts_itself_is_named(build: Path) -> None:
    made = runs_of(build)
    wrong = dataclasses.replace(made, runs=(dataclasses.replace(made.runs[0], load_ms=0.0),))
    path = device_reports.save(wrong, build / "devices" / "x.json")
    with pytest.raises(DamagedFile, match=r"x\.json: runs\[0\] .* load_ms is 0 ms"):
        rewrite_report(build)
    path.write_text("<b>")
    with pytest.raises(DamagedFile, match=r"x\.json is not readable JSON"):
        rewrite_report(build)


def test_text_of_a_report_is_escaped_and_strange_heat_is_drawn(build: Path) -> None:
    thermal = (
        ThermalSample(0.0, "unknown", None, 31.0),
        ThermalSample(1.0, "critical", None, 44.0),
    )
    run = device_reports.run_of(
        build,
        "litert",
        "fp32",
        "cpu",
        sustained=Sustained(2.0, (10.5,), 1.0, 1.0, thermal),
        valid=False,
        invalid_reasons=("<script>alert(1)</script> $x_{$",),
    )
    path = device_reports.save(
        device_reports.report_of(build, run, model="<b>$\\bad$</b>"), build / "one.json"
    )
    page = rewrite_report(build, [path]).read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page and "<b>$" not in page


def igf(build: Path, *arguments: Any) -> int:
    sys.argv = ["igf", "report", "--build", str(build), *map(str, arguments)]
    with pytest.raises(SystemExit) as ending:
        cli.main()
    return int(ending.value.code or 0)


def test_the_command_takes_any_number_of_reports(build: Path) -> None:
    paths = [
        device_reports.save(
            dataclasses.replace(runs_of(build), created_at=f"2026-11-0{n}T00:00:00Z"), build / f"{n}.json"
        )
        for n in (1, 2, 3)
    ]
    assert igf(build, "--devices", *paths) == 0
    page = (build / "report.html").read_text()
    assert all(f"measured 2026-11-0{n}T00:00:00Z" in page for n in (1, 2, 3))


def test_the_command_fails_on_a_regression(
    build: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("igf_mobile.terminal.screen", Console(stderr=True))
    new = device_reports.save(runs_of(build, scale=1.5), build / "new.json")
    old = device_reports.save(runs_of(build), build / "old.json")
    assert igf(build, "--devices", new, "--against", old) == 1
    err = capfd.readouterr().err
    assert "8 regression(s) against older reports" in err and "Pixel 8, litert-fp16 on gpu: median 1.5" in err
    text = text_of(section((build / "report.html").read_text()))
    assert "✗ 8 regressions against older reports" in text and "median 1.50" in text
    assert igf(build, "--devices", old, "--against", new) == 0
    assert "No regression against older reports" in (build / "report.html").read_text()


def test_the_command_says_why_it_does_not_compare(build: Path, capfd: pytest.CaptureFixture[str]) -> None:
    old = device_reports.save(runs_of(build, scale=0.5), build / "old.json")
    new = device_reports.save(of_coefficients(runs_of(build)), build / "new.json")
    assert igf(build, "--devices", new, "--against", old) == 0
    assert "not compared: Pixel 8: its artifacts end at the coefficients, those of" in capfd.readouterr().out
    assert "Nothing could be compared with older reports" in (build / "report.html").read_text()
