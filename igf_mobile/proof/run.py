"""The whole proof: every method on the suite, the studies, the probe, as one record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from igf_mobile import evaluate, guided_filter, metrics
from igf_mobile.backends.base import Runner
from igf_mobile.evaluate import EvalCase, EvalResult, Float32Array, Interval, Matte
from igf_mobile.files import sha256_of
from igf_mobile.metrics import AlphaMetrics
from igf_mobile.proof import damage, flicker, peers
from igf_mobile.proof.cache import Cache, case_digest, digest, network_code, source_digest
from igf_mobile.proof.compare import Outcome, best_of, paired_difference, run_method, single_thread
from igf_mobile.proof.flicker import Flicker
from igf_mobile.proof.guidance import GuidanceUse, check_guidance, guidance_use, load_gates
from igf_mobile.proof.guided import best_setting
from igf_mobile.proof.peers import Method

OURS, MASK, GUIDED, TRUTH = "ours", "weak mask", "fast guided filter", "true alpha"
GOALS = {"mse": 1 / 2.0, "sad": 1 / 2.0, "grad": 1 / 1.5, "conn": 1 / 2.0}
"""Targets as shares of the guided filter's errors (issue 3)."""


class Progress(Protocol):
    """Called once for each unit of work."""

    def __call__(self, text: str, total: int | None = None) -> None:
        """What is being done, and how often in all; None for once an image."""


def _silent(text: str, total: int | None = None) -> None:
    pass


@dataclass(frozen=True)
class Proof:
    """Everything that was measured of one checkpoint on one suite."""

    checkpoint: str
    """Names the weights and the runtime."""
    outcomes: tuple[Outcome, ...]
    """Mask, guided filter, ours first; then the peers."""
    differences: Mapping[str, Mapping[str, tuple[float, Interval]]]
    """Mean (other - ours) with its interval, by method and metric."""
    guided: tuple[int, float]
    """(radius, eps) of the guided filter, the best of the grid by MSE."""
    damage: Mapping[str, Mapping[int, EvalResult]]
    """Method -> damage in pixels -> errors; empty where not run."""
    damage_radii: Mapping[int, int]
    flicker: Mapping[str, Mapping[str, Flicker]]
    """Method -> kind of mask damage -> flicker; empty where not run."""
    guidance: GuidanceUse
    guidance_failures: tuple[str, ...]

    def outcome(self, name: str) -> Outcome:
        """By name; KeyError where there is none."""
        return {outcome.name: outcome for outcome in self.outcomes}[name]

    def goals(self) -> dict[str, tuple[float, float]]:
        """Metric -> (our share of the guided filter's error, the goal)."""
        ours, guided = (self.outcome(name).result for name in (OURS, GUIDED))
        assert ours is not None and guided is not None  # both need nothing that can be absent
        mean, baseline = ours.mean.as_dict(), guided.mean.as_dict()
        return {metric: (mean[metric] / baseline[metric], goal) for metric, goal in GOALS.items()}

    def as_dict(self) -> dict[str, Any]:
        """As what json.dumps takes."""
        return {
            "schema_version": 1,
            "checkpoint": self.checkpoint,
            "methods": {outcome.name: outcome.as_dict() for outcome in self.outcomes},
            "difference_to_ours": {
                name: {
                    metric: {"mean": mean, **asdict(interval)} for metric, (mean, interval) in found.items()
                }
                for name, found in self.differences.items()
            },
            "goals": {
                metric: {"share": share, "goal": goal} for metric, (share, goal) in self.goals().items()
            },
            "guided_filter": {"radius": self.guided[0], "eps": self.guided[1]},
            "damage": {
                name: {str(px): result.as_dict() for px, result in results.items()}
                for name, results in self.damage.items()
            },
            "damage_guided_filter_radius": {str(px): radius for px, radius in self.damage_radii.items()},
            "flicker": {
                name: {kind: found.as_dict() for kind, found in kinds.items()}
                for name, kinds in self.flicker.items()
            },
            "guidance": {**self.guidance.as_dict(), "failures": list(self.guidance_failures)},
        }


def prove(
    suite: Sequence[EvalCase],
    runner: Runner,
    checkpoint: str,
    cache: Cache,
    full: bool = True,
    studies: bool = True,
    progress: Progress = _silent,
) -> Proof:
    """Run what the cache lacks and put it together.

    Args:
        suite: photographs with true alpha.
        runner: the network; any size divisible by 32 where `studies` is on.
        checkpoint: names the weights, the runtime and the code of the network: its results are cached by it.
        cache: where results go.
        full: also the peers; else mask, guided filter and network.
        studies: also error against damage, and flicker.
        progress: told what is done.
    """
    ours = Method(OURS, checkpoint, lambda: network_matte(runner))
    guided_at = _guided_settings(suite, cache, progress)
    guided = _guided_method(*guided_at)
    methods = [Method(MASK, "identity", lambda: evaluate.weak_mask_matte), guided, ours]
    if full:
        masks = peers.segmentation_peers(cache.folder)
        methods += [method for mask in masks for method in (mask, peers.refined(mask, ours))]
    outcomes = [run_method(method, suite, cache, partial(progress, method.name)) for method in methods]
    if full:
        outcomes += _trimap_outcomes(suite, cache, progress)
    result = next(outcome.result for outcome in outcomes if outcome.name == OURS)
    assert result is not None
    damages, radii = _damage(suite, methods[:3], cache, progress) if studies else ({}, {})
    use = guidance_use(runner)
    return Proof(
        checkpoint=checkpoint,
        outcomes=tuple(outcomes),
        differences={
            o.name: paired_difference(result, o.result) for o in outcomes if o.result and o.name != OURS
        },
        guided=guided_at,
        damage=damages,
        damage_radii=radii,
        flicker=_flicker(suite, methods[:3], cache, progress) if studies else {},
        guidance=use,
        guidance_failures=tuple(check_guidance(use, load_gates())),
    )


def network_matte(runner: Runner) -> Matte:
    """A runner (NCHW) as a matte of one photograph."""

    def matte(guidance: Float32Array, weak_mask: Float32Array) -> Float32Array:
        alpha, _ = runner(guidance.transpose(2, 0, 1)[None].copy(), weak_mask[None, None].copy())
        return np.asarray(alpha[0, 0].clip(0.0, 1.0), dtype=np.float32)

    return matte


def checkpoint_name(weights: Path, ran_on: str = "float") -> str:
    """What `prove` caches a network's results by: weights, runtime and the code that runs them."""
    return f"{weights.name} {sha256_of(weights)[:12]}, {ran_on}, code {network_code()[:8]}"


def _guided_method(radius: int, eps: float) -> Method:
    version = f"fast guided filter {radius} {eps:g} {source_digest(guided_filter)}"
    return Method(GUIDED, version, lambda: evaluate.guided_filter_matte(radius, eps))


def _guided_settings(suite: Sequence[EvalCase], cache: Cache, progress: Progress) -> tuple[int, float]:
    def search() -> dict[str, Any]:
        progress("guided filter, grid", 1)
        radius, eps = best_setting(suite)
        return {"radius": radius, "eps": eps}

    code = source_digest(evaluate, metrics, guided_filter)
    found = cache.document(digest("guided filter grid", code, *map(case_digest, suite)), search)
    return int(found["radius"]), float(found["eps"])


def _trimap_outcomes(suite: Sequence[EvalCase], cache: Cache, progress: Progress) -> list[Outcome]:
    """Each trimap peer at its best width; the choice sees the truth, which flatters it as it does the guided filter."""
    outcomes = [run_method(m, suite, cache, partial(progress, m.name)) for m in peers.trimap_peers()]
    kinds = dict.fromkeys(outcome.name.split(",")[0] for outcome in outcomes)
    return [best_of([outcome for outcome in outcomes if outcome.name.startswith(kind)]) for kind in kinds]


def _damage(
    suite: Sequence[EvalCase], methods: Sequence[Method], cache: Cache, progress: Progress
) -> tuple[dict[str, dict[int, EvalResult]], dict[int, int]]:
    code = source_digest(evaluate, metrics, damage)
    cases = [case_digest(case) for case in suite]
    found: dict[str, dict[int, EvalResult]] = {}
    radii: dict[int, int] = {}
    for method in methods:
        tell = partial(progress, f"mask damage, {method.name}", len(damage.DAMAGES_PX))

        def study(method: Method = method, tell: Callable[[], None] = tell) -> dict[str, Any]:
            with single_thread():
                if method.name == GUIDED:
                    by_damage = damage.guided_study(suite, tell)
                else:
                    by_damage = {
                        px: (0, r) for px, r in damage.damage_study(suite, method.load(), tell).items()
                    }
            return {str(px): {"radius": radius, **r.as_dict()} for px, (radius, r) in by_damage.items()}

        # the guided filter's settings are chosen within the study
        version = source_digest(guided_filter) if method.name == GUIDED else method.version
        document = cache.document(digest("damage", method.name, version, code, *cases), study)
        found[method.name] = {int(px): _result(document[px]) for px in sorted(document, key=int)}
        if method.name == GUIDED:
            radii = {int(px): int(document[px]["radius"]) for px in sorted(document, key=int)}
    return found, radii


def _flicker(
    suite: Sequence[EvalCase], methods: Sequence[Method], cache: Cache, progress: Progress
) -> dict[str, dict[str, Flicker]]:
    code = source_digest(evaluate, flicker)
    cases = [case_digest(case) for case in suite]
    found = {TRUTH: flicker.flicker_study(suite, None)}
    for method in methods:
        tell = partial(progress, f"flicker, {method.name}", len(flicker.KINDS) * len(suite))

        def study(method: Method = method, tell: Callable[[], None] = tell) -> dict[str, Any]:
            with single_thread():
                kinds = flicker.flicker_study(suite, method.load(), tell)
            return {kind: dict(result.per_image) for kind, result in kinds.items()}

        document = cache.document(digest("flicker", method.version, code, *cases), study)
        found[method.name] = {kind: flicker.summarise(document[kind]) for kind in flicker.KINDS}
    return found


def _result(document: Mapping[str, Any]) -> EvalResult:
    return evaluate.summarise(
        {name: AlphaMetrics(**errors) for name, errors in document["per_image"].items()}
    )
