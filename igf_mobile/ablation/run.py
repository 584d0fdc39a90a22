"""Train and judge what is missing; every finished run leaves `result.json` in its folder."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from igf_mobile.ablation.measure import TITLES, Judges, errors_of
from igf_mobile.ablation.plan import Variant
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.errors import DamagedFile
from igf_mobile.files import write_text
from igf_mobile.model import Generator
from igf_mobile.train import STATE_FILE, train
from igf_mobile.training_log import LOG_FILE
from igf_mobile.training_state import TrainConfig, load_state, recipe_of

RESULT_FILE = "result.json"


@dataclass(frozen=True)
class Result:
    """One finished run.

    Attributes:
        variant: its name.
        says: what differs from `against`.
        against: the variant it is compared with.
        seed: of weights and samples.
        steps: of the optimiser.
        crops: of 256 px a step.
        steps_per_second: of training, data included, on the machine that ran it.
        recipe: what decided the weights, as in a checkpoint.
        errors: by the names of `measure.TITLES`.
    """

    variant: str
    says: str
    against: str
    seed: int
    steps: int
    crops: int
    steps_per_second: float
    recipe: str
    errors: Mapping[str, float]


@dataclass(frozen=True)
class Ablation:
    """All that was run.

    Attributes:
        results: by variant in the plan's order, then by seed.
        references: errors of networks that were not trained here, by name.
        conditions: photographs, composites, threads: what the numbers depend on besides the recipes.
    """

    results: tuple[Result, ...]
    references: Mapping[str, Mapping[str, float]]
    conditions: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As what json.dumps takes."""
        return {"schema_version": 1, **asdict(self)}


def load_ablation(path: Path) -> Ablation:
    """Read what `igf ablate` wrote.

    Raises:
        DamagedFile: it is no such record.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        results = tuple(Result(**fields) for fields in document["results"])
        for result in results:
            _check_errors(result.errors)
        return Ablation(results, document["references"], document["conditions"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{path} is no record of an ablation: {error}") from error


def run_ablation(
    variants: Sequence[Variant],
    seeds: Sequence[int],
    config: Callable[[Variant, int], TrainConfig],
    by: Judges,
    conditions: Mapping[str, Any],
    keep: Callable[[Ablation], None] = lambda done: None,
    tell: Callable[[str], None] = lambda text: None,
) -> Ablation:
    """Train and judge every variant with every seed, all variants of one seed before the next seed.

    A run that is finished is taken as it is; one that was killed goes on.

    Args:
        variants: each after the one that it starts from.
        seeds: of weights and samples.
        config: of a variant and seed, as `plan.config_of`.
        by: what all are judged by.
        conditions: kept with the results; a run that was judged under others is judged again.
        keep: called after each run with all that is done by then.
        tell: told what is being done.
    """
    tell("judging what is not trained here")
    references = _references(by)
    done: dict[tuple[str, int], Result] = {}
    for seed in seeds:
        for variant in variants:
            tell(f"{variant.name}, seed {seed}")
            done[variant.name, seed] = _run(variant, config(variant, seed), by, conditions)
            ordered = (done.get((v.name, s)) for v in variants for s in seeds)
            ablation = Ablation(tuple(r for r in ordered if r is not None), references, conditions)
            keep(ablation)
    return ablation


def _run(variant: Variant, config: TrainConfig, by: Judges, conditions: Mapping[str, Any]) -> Result:
    path = Path(config.run_dir) / RESULT_FILE
    known = _known(path, config, conditions)
    if known is not None:
        return Result(**{**asdict(known), "says": variant.says, "against": variant.against})
    train(config)
    # The state and not the checkpoint: that one is refused where its form is not the shipped one.
    averaged = load_state(Path(config.run_dir) / STATE_FILE, config).averaged
    result = Result(
        variant=variant.name,
        says=variant.says,
        against=variant.against,
        seed=config.seed,
        steps=config.steps,
        crops=config.batch_size,
        steps_per_second=_speed(config),
        recipe=recipe_of(config),
        errors=errors_of(averaged, by),
    )
    write_text(path, json.dumps({"result": asdict(result), "conditions": dict(conditions)}, indent=1) + "\n")
    return result


def _known(path: Path, config: TrainConfig, conditions: Mapping[str, Any]) -> Result | None:
    """The result in a run's folder if it is of this configuration and was judged by the same."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        result = Result(**document["result"])
        _check_errors(result.errors)
        same = document["conditions"] == dict(conditions) and result.recipe == recipe_of(config)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if same else None


def _check_errors(errors: Mapping[str, float]) -> None:
    if missing := [name for name in TITLES if not isinstance(errors.get(name), float)]:
        raise ValueError(f"no number for {', '.join(missing)}")


def _speed(config: TrainConfig) -> float:
    """Median over the log's windows: a run that was killed and went on has slow ones."""
    lines = (Path(config.run_dir) / LOG_FILE).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    rates = sorted(r["samples_per_second"] for r in records if r["kind"] == "train")
    return float(rates[len(rates) // 2]) / config.batch_size


def _references(by: Judges) -> dict[str, dict[str, float]]:
    with torch.random.fork_rng():
        start = Generator()  # its head is zero, whatever the seed
    shipped, info = load_checkpoint(DEFAULT_CHECKPOINT)
    return {
        "nothing learned": errors_of(start, by),
        f"shipped {info.version}": errors_of(shipped, by),
    }
