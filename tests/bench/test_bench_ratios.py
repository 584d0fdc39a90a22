"""Two runs side by side: what differs, what does not, what cannot be compared."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_sides import make_row, make_run
from rich.console import Console

from igf_mobile.bench import record, tables
from igf_mobile.bench.memory import Memory
from igf_mobile.bench.ratios import Comparison, compare_runs, ratios_to
from igf_mobile.bench.record import Row
from igf_mobile.errors import DamagedFile


def noisy(middle: float, seed: int, count: int = 200) -> list[float]:
    return list(middle * (1 + 0.1 * np.random.default_rng(seed).random(count)))


def test_a_faster_side_is_faster_and_noise_is_no_difference() -> None:
    old = make_run(make_row("a", noisy(10, 1)), make_row("b", noisy(10, 2)), make_row("c", noisy(10, 3)))
    new = make_run(make_row("a", noisy(8, 4)), make_row("b", noisy(10, 5)), make_row("c", noisy(12, 6)))
    assert [c.verdict for c in compare_runs(new, old)] == ["faster", "no difference", "slower"]
    first = compare_runs(new, old)[0]
    assert first.ratio is not None and first.ratio.ratio == pytest.approx(0.8, abs=0.01)
    assert (first.old_ms, first.new_ms) == (pytest.approx(10.5, abs=0.2), pytest.approx(8.4, abs=0.2))


def test_what_is_not_in_both_runs_is_said() -> None:
    old, new = make_run(make_row("a", noisy(1, 1))), make_run(make_row("b", noisy(1, 1)))
    assert [(c.side, c.verdict) for c in compare_runs(new, old)] == [
        ("b, 1 thread", "not compared: not measured in the old run"),
        ("a, 1 thread", "not compared: not measured in the new run"),
    ]


def test_the_same_name_on_other_threads_is_another_side() -> None:
    old = make_run(make_row("a", noisy(1, 1)))
    new = make_run(make_row("a", noisy(1, 1), threads=2))
    assert all(c.ratio is None for c in compare_runs(new, old))


def artifact(name: str = "litert-fp32", only: bool | None = False, seed: int = 1, **changes: object) -> Row:
    return make_row(name, noisy(4, seed), **{"size": (512, 512), "coefficients_only": only, **changes})


def applied(frame: str = "3840x2160", only: bool | None = True, **changes: object) -> Row:
    changes = {"kind": "applied", "pixels": 3840 * 2160, **changes}
    return artifact(f"litert-fp32 + {frame}", only, **changes)


def compared(new: Row, old: Row) -> Comparison:
    (found,) = compare_runs(make_run(new), make_run(old))
    assert found.old_ms and found.new_ms
    return found


@pytest.mark.parametrize("only", [False, True])
@pytest.mark.parametrize("row", [artifact, applied])
def test_like_is_compared_with_like(row: Callable[..., Row], only: bool) -> None:
    found = compared(row(only=only, seed=2), row(only=only))
    assert (found.verdict, found.note) == ("no difference", None)
    assert found.ratio is not None


@pytest.mark.parametrize("row", [artifact, applied])
def test_an_artifact_that_ends_at_the_coefficients_is_another(row: Callable[..., Row]) -> None:
    """Its name is the same; that it is faster is no news."""
    found = compared(row(only=True), row(only=False))
    assert found.ratio is None
    assert (
        found.verdict
        == "not compared: the artifact ends at alpha in the old run, at the coefficients in the new"
    )


def test_a_frame_from_a_network_of_another_size_is_another() -> None:
    found = compared(applied(size=(256, 256)), applied(size=(512, 512)))
    assert found.ratio is None
    assert found.verdict == "not compared: the artifact is given 512x512 in the old run, 256x256 in the new"


def test_what_has_no_counterpart_of_its_kind_is_said() -> None:
    old = make_run(artifact(), artifact("litert-w8"))
    new = make_run(
        artifact(), applied(), applied("1280x720", threads=2), make_row("u2netp", noisy(9, 3), kind="peer")
    )
    lacks = "not compared: not measured in the"
    assert {c.side: c.verdict for c in compare_runs(new, old)} == {
        "litert-fp32, 1 thread": "no difference",
        "litert-fp32 + 3840x2160, 1 thread": f"{lacks} old run, which has litert-fp32",
        "litert-fp32 + 1280x720, 2 threads": f"{lacks} old run",
        "u2netp, 1 thread": f"{lacks} old run",
        "litert-w8, 1 thread": f"{lacks} new run",
    }
    (first, _) = compare_runs(make_run(applied()), make_run(applied("1280x720")))
    assert first.verdict == f"{lacks} old run, which has litert-fp32 + 1280x720"
    namesakes = compare_runs(
        make_run(make_row("a", noisy(4, 1))), make_run(make_row("a", noisy(4, 1), kind="peer"))
    )
    assert [found.verdict for found in namesakes] == [f"{lacks} old run", f"{lacks} new run"]


def test_records_from_before_do_not_say_where_artifacts_end() -> None:
    unsaid = "run does not say whether the artifact ends at alpha or at the coefficients"
    found = compared(artifact(only=False), artifact(only=None))
    assert (found.verdict, found.note) == ("no difference", f"the old {unsaid}")
    console = Console(width=200, record=True)
    console.print(tables.comparison_table([found]))
    assert f"no difference; the old {unsaid}" in console.export_text()
    both = compared(artifact(only=None), artifact(only=None))
    assert both.note == "neither run says whether the artifact ends at alpha or at the coefficients"
    for new, old, which in (
        (artifact(only=True), artifact(only=None), "old"),
        (artifact(only=None), artifact(only=True), "new"),
        (applied(only=True), applied(only=None), "old"),
    ):
        found = compared(new, old)
        assert found.ratio is None and found.verdict == f"not compared: the {which} {unsaid}"
    torch = make_row("torch eager", noisy(4, 1), kind="torch")
    assert compared(torch, torch).note is None


def test_other_machines_sizes_and_few_samples_are_not_compared() -> None:
    old = make_run(make_row("a", noisy(1, 1)))
    elsewhere = dataclasses.replace(old, machine=dataclasses.replace(old.machine, processor="other"))
    larger, few = make_run(make_row("a", noisy(1, 1), pixels=4)), make_run(make_row("a", noisy(1, 1, 19)))
    for new, why in ((elsewhere, "processor"), (larger, "pixels 262144 and 4"), (few, "19 samples")):
        (found,) = compare_runs(new, old)
        assert found.ratio is None and f"not compared: {why}" in found.verdict


def test_ratios_inside_a_run() -> None:
    run = make_run(
        make_row("litert-fp32", noisy(4, 1)),
        make_row("half", noisy(2, 2)),
        make_row("few", [8.4] * 5),
        make_row("absent", ()),
        make_row("half", noisy(400, 2), threads=2),
    )
    ratios = ratios_to(run, "litert-fp32", 1)
    assert ratios["half"].startswith("0.50 [0.") and ratios["few"] == "2.00" and "absent" not in ratios
    assert ratios_to(run, "nothing", 1) == {}
    console = Console(width=200, record=True)
    console.print(tables.ratio_table(run))
    half = next(line for line in console.export_text().splitlines() if "half" in line)
    assert "2.10" in half and "124.7" in half  # 0.262144 Mpixel / 2.10 ms


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = make_run(
        make_row("a", [1.5, 2.5], memory=Memory(base_bytes=5, peak_bytes=9)),
        make_row("b", (), ran_on="not run: it wants a phone", load_ms=None, first_ms=None, pixels=None),
    )
    record.save(run, tmp_path / "run.json")
    assert record.load(tmp_path / "run.json") == run
    stored = json.loads((tmp_path / "run.json").read_text())
    assert stored["rows"][0]["summary"]["median_ms"] == 1.5
    assert stored["rows"][1]["summary"] is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not readable JSON"),
        ("[]", "no document of `igf bench --output`"),
        ('{"schema_version": 2}', "no document"),
        ('{"schema_version": 1}', "created_at: Field required"),
    ],
)
def test_a_damaged_run_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DamagedFile, match=why):
        record.load(tmp_path / "run.json")
    with pytest.raises(DamagedFile, match="not readable"):
        record.load(tmp_path / "absent.json")
