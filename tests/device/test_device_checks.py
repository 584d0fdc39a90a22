"""Reports that pass the schema and cannot be true, or are of another build: each is one sentence."""

import dataclasses
from datetime import datetime, timezone
from typing import Any

import pytest
from device_reports import bare_record

from igf_mobile.device.checks import check_build, check_end, check_report, share_within
from igf_mobile.device.fixture import fixture_report
from igf_mobile.device.report import DeviceReport, Run, Stages, Sustained, summarise
from igf_mobile.manifest import FileRecord, Manifest

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)


def as_measured() -> DeviceReport:
    """The fixture's numbers, as if a device had sent them."""
    return dataclasses.replace(fixture_report(), kind="device")


def with_run(**changes: Any) -> DeviceReport:
    report = as_measured()
    return dataclasses.replace(report, runs=(dataclasses.replace(report.runs[0], **changes),))


def with_samples(*samples: float, duration_s: float = 60.0) -> DeviceReport:
    return with_run(
        stages=Stages(samples),
        summary={"inference": summarise(samples)},
        duration_s=duration_s,
        sustained=None,
    )


def with_sustained(**changes: Any) -> DeviceReport:
    run = fixture_report().runs[0]
    assert run.sustained
    return with_run(sustained=dataclasses.replace(run.sustained, **changes))


def with_parity(**changes: Any) -> DeviceReport:
    run = fixture_report().runs[0]
    assert run.parity
    return with_run(parity=dataclasses.replace(run.parity, **changes))


def test_the_fixture_has_nothing_to_find() -> None:
    assert check_report(fixture_report(), NOW) == []
    assert check_report(as_measured(), NOW) == []


def test_a_fixture_may_hold_what_no_device_measures_but_not_contradict_itself() -> None:
    report = dataclasses.replace(with_samples(*[16.0] * 30), created_at="1970-01-01T00:00:00Z")
    assert len(check_report(report, NOW)) == 2
    report = dataclasses.replace(report, kind="fixture")
    assert check_report(report, NOW) == []
    run = dataclasses.replace(report.runs[0], summary={}, duration_s=0.1)
    assert len(check_report(dataclasses.replace(report, runs=(run,)), NOW)) == 2


@pytest.mark.parametrize("field", ["median_ms", "p90_ms", "p95_ms", "p99_ms", "minimum_ms"])
def test_each_wrong_summary_is_named(field: str) -> None:
    run = fixture_report().runs[0]
    right = run.summary["inference"]
    wrong = dataclasses.replace(right, **{field: getattr(right, field) + 0.01})
    (problem,) = check_report(with_run(summary=run.summary | {"inference": wrong}), NOW)
    assert problem.startswith(f"runs[0] (litert-fp32 on cpu, 2 threads): summary.inference.{field} is ")
    near = dataclasses.replace(right, **{field: getattr(right, field) + 0.0009})
    assert check_report(with_run(summary=run.summary | {"inference": near}), NOW) == []


def test_iterations_that_are_not_the_samples() -> None:
    run = fixture_report().runs[0]
    wrong = dataclasses.replace(run.summary["apply"], iterations=61)
    (problem,) = check_report(with_run(summary=run.summary | {"apply": wrong}), NOW)
    assert problem.endswith("summary.apply.iterations is 61, its samples give 60")


def test_a_summary_without_samples_and_samples_without_a_summary() -> None:
    run = fixture_report().runs[0]
    without = {"inference": run.summary["inference"], "convert": run.summary["convert"]}
    problems = check_report(with_run(summary=without, stages=Stages(run.stages.inference)), NOW)
    assert [p.split(": ", 1)[1] for p in problems] == ["summary.convert has no samples in stages.convert"]
    problems = check_report(with_run(summary={"inference": run.summary["inference"]}), NOW)
    assert len(problems) == 3 and "stages.convert has 60 samples and no summary" in problems[0]


def test_shares_are_recomputed() -> None:
    (problem,) = check_report(with_sustained(share_within_16_7_ms=0.9), NOW)
    assert "sustained share within 16.7 ms is 0.9, its samples give 0.4" in problem
    (problem,) = check_report(with_sustained(share_within_33_3_ms=0.5), NOW)
    assert "sustained share within 33.3 ms is 0.5, its samples give 1" in problem


def test_the_budget_itself_is_within() -> None:
    assert share_within([16.7, 16.701, 33.3], 16.7) == pytest.approx(1 / 3)


def test_a_clock_that_ran_backwards() -> None:
    (problem,) = check_report(with_samples(*[900.5] * 100), NOW)
    assert "the samples of the steady part sum to 90.050 s in 60 s: the clock ran backwards" in problem
    run = fixture_report().runs[0]
    assert run.sustained
    (problem,) = check_report(with_sustained(duration_s=1.9, thermal=()), NOW)
    assert "the samples of the sustained run sum to" in problem and "the clock ran backwards" in problem
    thermal = run.sustained.thermal
    (problem,) = check_report(with_sustained(thermal=(thermal[1], thermal[0])), NOW)
    assert problem.endswith("sustained.thermal[1] is at 0 s after 20 s: the clock ran backwards")
    late = dataclasses.replace(thermal[0], at_s=400.0)
    (problem,) = check_report(with_sustained(thermal=(late,)), NOW)
    assert problem.endswith("sustained.thermal ends at 400 s of a run of 120 s")


def test_all_stages_count_for_the_duration() -> None:
    samples = (400.5,) * 100
    stages = Stages(samples, convert=samples)
    summary = {"inference": summarise(samples), "convert": summarise(samples)}
    (problem,) = check_report(with_run(stages=stages, summary=summary, sustained=None), NOW)
    assert "sum to 80.100 s in 60.5 s" in problem


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (with_samples(9.1, 0.04), r"stages.inference[1] is 0.04 ms, not 0.05 to 60000 (512 x 512 reads"),
        (with_samples(9.1, 60_001.0, duration_s=80), "stages.inference[1] is 60001 ms, not 0.05 to 60000"),
        (with_samples(*[16.0] * 20), "all 20 samples are whole milliseconds: the clock is too coarse"),
        (with_run(load_ms=0.0), "load_ms is 0 ms, not 0.001 to 600000"),
        (with_run(first_ms=1e6), "first_ms is 1e+06 ms, not 0.05 to 600000"),
        (with_run(duration_s=1e5), "the steady part is 100000 s, not 0 to 86400 (a day)"),
        (with_run(duration_s=None), "the steady part has samples and no duration"),
        (with_sustained(duration_s=1e5), "the sustained run is 100000 s"),
        (with_parity(alpha_max_abs=0.02), "parity says passed, its numbers say otherwise"),
        (with_parity(constant=True), "parity says passed, its numbers say otherwise"),
        (with_parity(finite=False), "parity says passed, its numbers say otherwise"),
        (with_parity(passed=False), "parity says failed, its numbers say otherwise"),
        (
            with_parity(alpha_mean_abs=0.005, limit_mean_abs=0.005),
            "the mean error 0.005 is above the largest",
        ),
        (with_parity(limit_mean_abs=0.2), "parity.limit_mean_abs is 0.2"),
        (
            with_parity(alpha_max_abs=None, passed=False),
            "parity: the output is finite and has no distance",
        ),
    ],
)
def test_absurd_values(report: DeviceReport, message: str) -> None:
    (problem,) = check_report(report, NOW)
    assert message in problem and "\n" not in problem


def test_what_is_only_slow_or_fast_passes() -> None:
    assert check_report(with_samples(0.051, 59_999.5), NOW) == []
    assert check_report(with_samples(*[16.0] * 19), NOW) == []
    assert check_report(with_samples(0.01), NOW, size=(64, 64)) == []  # a small picture is faster


@pytest.mark.parametrize(
    ("created_at", "message"),
    [
        ("1970-01-01T00:00:07Z", "the device's clock was not set"),
        ("2026-11-25T00:00:00Z", "is in the future (now 2026-11-23T00:00:00Z)"),
        ("2026-13-45T00:00:00Z", "is no date"),
    ],
)
def test_created_at(created_at: str, message: str) -> None:
    (problem,) = check_report(dataclasses.replace(as_measured(), created_at=created_at), NOW)
    assert message in problem


def test_memory() -> None:
    report = as_measured()
    report = dataclasses.replace(report, device=dataclasses.replace(report.device, memory_bytes=8))
    (problem,) = check_report(report, NOW)
    assert problem.startswith("device.memory_bytes is 8 bytes")


def manifest_of(*runs: Run) -> Manifest:
    records = tuple(bare_record(run.artifact) for run in runs)
    file = FileRecord("x", "0" * 64, 1)
    return Manifest(1, "igf-512", "0.2", "", file, (512, 512), file, file, {}, records)


def test_another_build_s_artifact() -> None:
    report = fixture_report()
    manifest = manifest_of(*report.runs)
    assert check_build(report, manifest) == {}
    first, _, *rest = manifest.artifacts
    changed = (dataclasses.replace(first, sha256="ab" * 32), *rest)
    found = check_build(report, dataclasses.replace(manifest, artifacts=changed))
    assert set(found) == {0, 1}
    assert "igf-512-litert-fp32.tflite is of another build: sha256" in found[0]
    assert found[0].endswith("this build has abababababab")
    assert found[1] == "igf-512 0.2 has no litert-fp16"
    changed = (dataclasses.replace(first, bytes=7), *manifest.artifacts[1:])
    found = check_build(report, dataclasses.replace(manifest, artifacts=changed))
    assert "with 100000 bytes has the sha256 of igf-512-litert-fp32.tflite with 7 bytes" in found[0]


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (True, "the report's artifacts end at the coefficients, those of igf-512 0.2 at alpha"),
        (False, "the report's artifacts end at alpha, those of igf-512 0.2 at the coefficients"),
    ],
)
def test_a_build_with_another_end(measured: bool, sentence: str) -> None:
    report = fixture_report()
    report = dataclasses.replace(report, build=dataclasses.replace(report.build, coefficients_only=measured))
    manifest = dataclasses.replace(manifest_of(*report.runs), coefficients_only=not measured)
    assert check_end(report, manifest) == sentence
    assert check_build(report, manifest) == dict.fromkeys(range(len(report.runs)), sentence)
    manifest = dataclasses.replace(manifest, coefficients_only=measured)
    assert check_end(report, manifest) is None and check_build(report, manifest) == {}


def test_sustained_is_checked_for_absurd_values() -> None:
    sustained = Sustained(120.0, (9.5, 0.001), 1.0, 1.0, ())
    (problem,) = check_report(with_run(sustained=sustained), NOW)
    assert "sustained.samples_ms[1] is 0.001 ms" in problem
