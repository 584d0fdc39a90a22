"""Run methods over a suite: errors, intervals, paired differences, time per frame; whatever is cached stays.

Time is the processor's, of one thread: on an idle core it is the time of a frame, and on a shared one it does not count
what others do.
"""

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from igf_mobile import evaluate, metrics
from igf_mobile.backends.base import BackendUnavailable
from igf_mobile.errors import IgfError
from igf_mobile.evaluate import EvalCase, EvalResult, Float32Array, Interval, Matte
from igf_mobile.latency import percentile
from igf_mobile.metrics import AlphaMetrics
from igf_mobile.processor import processor_name
from igf_mobile.proof.cache import Cache, case_digest, digest, kept, source_digest
from igf_mobile.proof.peers import Method

METRICS = ("mse", "sad", "grad", "conn")
FAST_MS = 300.0
"""A method under this is warmed up and timed more often."""
FAST_REPEATS, SLOW_REPEATS = 3, 1


@dataclass(frozen=True)
class Outcome:
    """What one method did on a suite.

    `not_run` holds the reason where it could not run; the rest is then None or empty.
    """

    name: str
    not_run: str | None = None
    result: EvalResult | None = None
    median_ms: float | None = None
    """Processor time of a frame, one thread."""
    warm_up: int = 0
    iterations: int = 0
    measured: tuple[str, ...] = ()
    """When and on which processor, each combination once."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Cache key of the matte, by image."""

    def as_dict(self) -> dict[str, Any]:
        """As what json.dumps takes."""
        if self.result is None:
            return {"not_run": self.not_run}
        timing = {
            "median_cpu_ms": self.median_ms,
            "threads": 1,
            "warm_up": self.warm_up,
            "iterations": self.iterations,
            "measured": list(self.measured),
        }
        return {**self.result.as_dict(), "time": timing}


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """One thread for torch, OpenCV and the linear algebra below NumPy; as it was, afterwards."""
    import torch

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError):
            import threadpoolctl

            stack.enter_context(threadpoolctl.threadpool_limits(1))
        before = torch.get_num_threads(), cv2.getNumThreads()
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            cv2.setNumThreads(before[1])


def run_method(
    method: Method, suite: Sequence[EvalCase], cache: Cache, progress: Callable[[], None] = lambda: None
) -> Outcome:
    """Errors and time of one method; only images that the cache lacks are run. `progress` is called for each image."""
    code = source_digest(evaluate, metrics)
    keys = {case.name: digest(method.version, case_digest(case), code) for case in suite}
    records: dict[str, dict[str, Any]] = {}
    matte: Matte | None = None
    repeats = SLOW_REPEATS
    for case in suite:
        record = cache.record(keys[case.name])
        if record is None:
            if matte is None:
                try:
                    matte = method.load()
                    repeats = _warm_up(matte, case)
                except (BackendUnavailable, IgfError) as error:
                    return Outcome(method.name, not_run=" ".join(str(error).split()))
            record = _measure(matte, case, keys[case.name], repeats, cache)
        records[case.name] = record
        progress()
    return _outcome(method.name, records, keys)


def best_of(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome with the least mean SAD; where none ran, the first."""
    ran = [(outcome.result.mean.sad, i) for i, outcome in enumerate(outcomes) if outcome.result]
    return outcomes[min(ran)[1]] if ran else outcomes[0]


def paired_difference(ours: EvalResult, other: EvalResult) -> dict[str, tuple[float, Interval]]:
    """Mean of (other - ours) over the images and its 95 % bootstrap interval, by metric; above 0, ours is better.

    Raises:
        IgfError: results on different images.
    """
    if list(ours.per_image) != list(other.per_image):
        raise IgfError("a paired difference needs results on the same images")
    found = {}
    for metric in METRICS:
        pairs = zip(other.per_image.values(), ours.per_image.values(), strict=True)
        difference = np.array([theirs.as_dict()[metric] - own.as_dict()[metric] for theirs, own in pairs])
        found[metric] = float(difference.mean()), evaluate.bootstrap_interval(difference)
    return found


def _warm_up(matte: Matte, case: EvalCase) -> int:
    """Call twice; how often a method of this speed is called for each image."""
    with single_thread():
        matte(case.guidance.copy(), case.weak_mask.copy())
        start = time.process_time()
        matte(case.guidance.copy(), case.weak_mask.copy())
        elapsed_ms = (time.process_time() - start) * 1e3
    return FAST_REPEATS if elapsed_ms < FAST_MS else SLOW_REPEATS


def _measure(matte: Matte, case: EvalCase, key: str, repeats: int, cache: Cache) -> dict[str, Any]:
    samples_ms = []
    with single_thread():
        for _ in range(repeats):
            guidance, weak_mask = case.guidance.copy(), case.weak_mask.copy()
            start = time.process_time()
            alpha = matte(guidance, weak_mask)
            samples_ms.append((time.process_time() - start) * 1e3)
    errors = _errors(case, alpha)
    cache.store_alpha(key, alpha)
    record = {
        "errors": errors.as_dict(),
        "cpu_ms": samples_ms,
        "warm_up": 2,
        "measured": f"{datetime.date.today().isoformat()} on {processor_name()}",
    }
    cache.store(key, record)
    return record


def _errors(case: EvalCase, alpha: Float32Array) -> AlphaMetrics:
    """Of a matte as the cache keeps it, after the checks of one fresh from its method."""
    metrics.alpha_metrics(alpha, case.alpha, case.region)
    return metrics.alpha_metrics(kept(alpha), case.alpha, case.region)


def _outcome(name: str, records: Mapping[str, dict[str, Any]], keys: Mapping[str, str]) -> Outcome:
    result = evaluate.summarise(
        {image: AlphaMetrics(**record["errors"]) for image, record in records.items()}
    )
    samples = [float(ms) for record in records.values() for ms in record["cpu_ms"]]
    return Outcome(
        name=name,
        result=result,
        median_ms=percentile(samples, 50),
        warm_up=max(int(record["warm_up"]) for record in records.values()),
        iterations=len(samples),
        measured=tuple(sorted({str(record["measured"]) for record in records.values()})),
        keys=dict(keys),
    )
