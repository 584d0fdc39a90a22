"""The ablation as rows of text: what each variant reaches, and how far it is from what it is compared with."""

from collections.abc import Sequence

from igf_mobile.ablation.measure import TITLES
from igf_mobile.ablation.run import Ablation, Result
from igf_mobile.proof.tables import Rows, markdown

_DIGITS = {"mse": 4, "held_out_mse": 4, "grad": 4, "slight_sad": 2, "flicker": 1}


def value_rows(ablation: Ablation) -> Rows:
    """A row per variant, mean over seeds and, in brackets, the least and the most; then the references."""
    rows = [["variant", "steps x crops", "seeds", "steps/s", *TITLES.values()]]
    for results in _by_variant(ablation):
        first = results[0]
        cells = [first.variant, f"{first.steps} x {first.crops}", str(len(results))]
        cells.append(f"{_mean([r.steps_per_second for r in results]):.2g}")
        for name in TITLES:
            cells.append(_spread([r.errors[name] for r in results], f".{_DIGITS.get(name, 3)}f"))
        rows.append(cells)
    for name, errors in ablation.references.items():
        rows.append([name, "", "", "", *(f"{errors[key]:.{_DIGITS.get(key, 3)}f}" for key in TITLES)])
    return rows


def difference_rows(ablation: Ablation) -> Rows:
    """A row per comparison: the error more or less in percent of the other's, seed by seed."""
    rows = [["variant", "against", "what differs", *TITLES.values()]]
    found = {(r.variant, r.seed): r for r in ablation.results}
    for results in _by_variant(ablation):
        first = results[0]
        pairs = [(r, other) for r in results if (other := found.get((r.against, r.seed))) is not None]
        if first.against == first.variant or not pairs:
            continue
        cells = [first.variant, first.against, first.says]
        for name in TITLES:
            shares = [100.0 * (mine.errors[name] / other.errors[name] - 1.0) for mine, other in pairs]
            cells.append(_spread(shares, "+.1f"))
        rows.append(cells)
    return rows


def as_markdown(ablation: Ablation) -> str:
    """Both tables with what they were made from, for the card."""
    conditions = ", ".join(f"{name} {value}" for name, value in ablation.conditions.items())
    return "\n\n".join(
        (
            markdown(value_rows(ablation)),
            "Error in percent more (+) or less (-) than the other's, same seed, same samples: mean [least, most].",
            markdown(difference_rows(ablation)),
            f"Made from: {conditions}.",
        )
    )


def _by_variant(ablation: Ablation) -> list[list[Result]]:
    names = dict.fromkeys(r.variant for r in ablation.results)
    return [[r for r in ablation.results if r.variant == name] for name in names]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _spread(values: Sequence[float], form: str) -> str:
    mean, least, most = (format(f(values), form) for f in (_mean, min, max))
    return mean if len(values) == 1 else f"{mean} [{least}, {most}]"
