"""Methods side by side: cached by content, timed, and compared image by image."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from igf_mobile import evaluate
from igf_mobile.backends.base import BackendUnavailable
from igf_mobile.errors import IgfError
from igf_mobile.evaluate import EvalCase, Float32Array, Matte
from igf_mobile.metrics import AlphaMetrics
from igf_mobile.proof import compare
from igf_mobile.proof.cache import Cache, digest, kept
from igf_mobile.proof.compare import Outcome, best_of, paired_difference, run_method
from igf_mobile.proof.peers import Method

Suite = list[EvalCase]


class Counted:
    """The weak mask times a factor, and how often it was asked for."""

    def __init__(self, factor: float = 0.5) -> None:
        self.factor, self.loads, self.calls = factor, 0, 0

    def load(self) -> Matte:
        self.loads += 1
        return self

    def __call__(self, guidance: Float32Array, weak_mask: Float32Array) -> Float32Array:
        self.calls += 1
        return np.asarray(self.factor * weak_mask, dtype=np.float32)


def test_what_is_cached_is_not_run_again(suite: Suite, tmp_path: Path) -> None:
    counted, cache = Counted(), Cache(tmp_path)
    first = run_method(Method("half", "1", counted.load), suite, cache)
    calls = counted.calls
    second = run_method(Method("half", "1", counted.load), suite, cache)
    assert counted.calls == calls and counted.loads == 1
    assert json.dumps(first.as_dict()) == json.dumps(second.as_dict())


def test_another_version_is_run_alone(suite: Suite, tmp_path: Path) -> None:
    old, new, cache = Counted(), Counted(0.25), Cache(tmp_path)
    before = run_method(Method("half", "1", old.load), suite, cache)
    after = run_method(Method("half", "2", new.load), suite, cache)
    assert new.loads == 1
    assert before.result is not None and after.result is not None
    assert after.result.mean.sad != before.result.mean.sad


def test_a_changed_picture_is_run_again(suite: Suite, tmp_path: Path) -> None:
    counted, cache = Counted(), Cache(tmp_path)
    run_method(Method("half", "1", counted.load), suite, cache)
    darker = [dataclasses.replace(suite[0], guidance=0.5 * suite[0].guidance), suite[1]]
    run_method(Method("half", "1", counted.load), darker, cache)
    assert counted.loads == 2


def test_a_damaged_record_is_run_again(suite: Suite, tmp_path: Path) -> None:
    counted, cache = Counted(), Cache(tmp_path)
    outcome = run_method(Method("half", "1", counted.load), suite, cache)
    (tmp_path / "proof" / f"{outcome.keys['disc1']}.json").write_text("{")
    run_method(Method("half", "1", counted.load), suite, cache)
    assert counted.loads == 2


def test_errors_are_those_of_the_evaluation(suite: Suite, tmp_path: Path) -> None:
    counted = Counted()
    outcome = run_method(Method("half", "1", counted.load), suite, Cache(tmp_path))
    direct = evaluate.evaluate(suite, counted)
    assert outcome.result is not None
    for name, wanted in direct.mean.as_dict().items():
        assert outcome.result.mean.as_dict()[name] == pytest.approx(wanted, rel=1e-3)
    assert outcome.median_ms is not None and outcome.median_ms > 0
    assert outcome.iterations == 2 * compare.FAST_REPEATS


def test_an_alpha_out_of_range_is_an_error(suite: Suite, tmp_path: Path) -> None:
    """The cache would clip it."""
    with pytest.raises(ValueError, match="outside"):
        run_method(Method("loud", "1", Counted(2.0).load), suite, Cache(tmp_path))


def test_what_cannot_run_says_why(suite: Suite, tmp_path: Path) -> None:
    def load() -> Matte:
        raise BackendUnavailable("no such\npackage")

    outcome = run_method(Method("absent", "1", load), suite, Cache(tmp_path))
    assert outcome.as_dict() == {"not_run": "no such package"}


def test_kept_mattes_are_within_a_step_of_16_bits(suite: Suite, tmp_path: Path) -> None:
    alpha = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    cache = Cache(tmp_path)
    cache.store_alpha("a", alpha)
    back = cache.alpha("a")
    assert back is not None and np.abs(back - alpha).max() < 1 / 65535
    np.testing.assert_array_equal(back, kept(alpha))
    assert cache.alpha("b") is None


def test_digests_tell_where_one_part_ends() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(np.zeros(2)) != digest(np.ones(2))


def _result(*sads: float) -> evaluate.EvalResult:
    return evaluate.summarise({f"{i}": AlphaMetrics(0.1, sad, 0.1, 0.1) for i, sad in enumerate(sads)})


def test_a_paired_difference_is_surer_than_two_means() -> None:
    """Images differ by far more than methods do: pairs cancel it."""
    mean, span = paired_difference(_result(1, 5, 9, 13), _result(2, 6, 10, 14.5))["sad"]
    assert mean == pytest.approx(1.125)
    assert span.low == pytest.approx(1.0) and span.high <= 1.5
    assert paired_difference(_result(1, 2), _result(1, 2))["mse"] == (0.0, evaluate.Interval(0.0, 0.0))


def test_pairs_are_of_the_same_images() -> None:
    with pytest.raises(IgfError, match="same images"):
        paired_difference(_result(1, 2), _result(1, 2, 3))


def test_the_best_has_the_least_sad_and_ran() -> None:
    ran = [Outcome("a", result=_result(2.0)), Outcome("b", result=_result(1.0)), Outcome("c", not_run="no")]
    assert best_of(ran).name == "b"
    assert best_of([Outcome("c", not_run="no"), Outcome("d", not_run="no")]).name == "c"
