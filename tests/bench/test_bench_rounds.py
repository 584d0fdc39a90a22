"""Turns: everyone meets the same noise, slow sides call less, a broken side stops nobody."""

from bench_sides import FakeSide

from igf_mobile.bench.rounds import measure_in_turns


def quiet(done: int, of: int) -> None:
    pass


def test_sides_take_turns_in_blocks() -> None:
    log: list[tuple[str, int]] = []
    sides = [FakeSide("a", 1.0, log), FakeSide("b", 2.0, log)]
    first, second = measure_in_turns(sides, warm_up=0, iterations=25, block=10, progress=quiet)
    assert log[2:] == [("a", 10), ("b", 10), ("b", 10), ("a", 10), ("a", 5), ("b", 5)]
    assert first.samples_ms == (1.0,) * 25
    assert second.samples_ms == (2.0,) * 25


def test_warm_up_calls_are_no_samples() -> None:
    log: list[tuple[str, int]] = []
    (only,) = measure_in_turns([FakeSide("a", 1.0, log)], 20, 10, 10, quiet)
    assert sum(calls for _, calls in log) == 30
    assert len(only.samples_ms) == 10


def test_slow_sides_call_less_but_take_every_turn() -> None:
    log: list[tuple[str, int]] = []
    sides = [FakeSide("fast", 1.0, log), FakeSide("slow", 100.0, log), FakeSide("slower", 9000.0, log)]
    fast, slow, slower = measure_in_turns(sides, 20, 200, 10, quiet)
    assert [len(side.samples_ms) for side in (fast, slow, slower)] == [200, 100, 20]
    assert sum(calls for name, calls in log if name == "slower") - 20 <= 3  # its warm-up


def test_a_side_that_cannot_load_has_a_reason_and_the_others_go_on() -> None:
    broken, whole = measure_in_turns([FakeSide("a", 1.0, breaks_at=0), FakeSide("b", 1.0)], 0, 20, 10, quiet)
    assert str(broken.failure) == "a broke"
    assert (broken.loaded, broken.samples_ms) == (None, ())
    assert len(whole.samples_ms) == 20


def test_a_side_that_breaks_later_has_no_samples_left() -> None:
    """Half a measurement is not shown beside whole ones."""
    sides = [FakeSide("a", 1.0, breaks_at=3), FakeSide("b", 1.0)]
    broken, whole = measure_in_turns(sides, 0, 40, 10, quiet)
    assert broken.loaded is not None
    assert broken.samples_ms == ()
    assert len(whole.samples_ms) == 40


def test_progress_is_told_once_per_round() -> None:
    told: list[tuple[int, int]] = []
    measure_in_turns([FakeSide("a", 1.0)], 0, 30, 10, lambda done, of: told.append((done, of)))
    assert told == [(0, 3), (1, 3), (2, 3)]
