"""The cheapest recipe whose matte stays within a budget of SAD.

Cost is what is left in float: multiplications of layers that are not `w8a8`. Layers go to `w8` where the
backend has it, so that the file does not grow, and to float32 elsewhere. They are chosen by simulation,
in order of the loss that the sensitivity ranking found per multiplication; those that turn out not to
be needed go back to `w8a8`, the costliest first. The artifact decides: where it is past the budget, the
simulation is held to a budget that is smaller by as much as it was wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from igf_mobile.errors import GateFailed
from igf_mobile.quantize.ranking import Row
from igf_mobile.recipes import FLOAT, STATIC, WEIGHTS, Recipe

ATTEMPTS = 4
"""Artifacts to export at most; each takes about a minute."""

Simulate = Callable[[dict[str, str]], float]
"""Layer -> precision, all layers, to the ratio of the SAD to the float network's."""
Measure = Callable[[Recipe], float]
"""Exports a recipe and gives the same ratio of the artifact."""


@dataclass(frozen=True)
class Choice:
    """A recipe within the budget."""

    recipe: Recipe
    ratio: float
    """SAD of the artifact over the float network's."""
    simulated: float
    float_macs: int
    """Multiplications for a frame that are not int8 times int8."""
    all_macs: int


def parse_budget(text: str) -> float:
    """ "1%" or "0.01" -> 0.01.

    Raises:
        ValueError: not a number above 0 and up to 100 %.
    """
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 1.0:
        raise ValueError(f"budget {text!r} is not a share above 0, such as 1% or 0.01")
    return value


def recipe_name(backend: str, budget: float) -> str:
    """`budget-1-litert`; the same search writes the same file."""
    return f"budget-{100.0 * budget:g}-{backend}"


def choose(layers: Sequence[str], rows: Sequence[Row], limit: float, simulate: Simulate) -> list[str] | None:
    """The layers to keep from `w8a8` so that the simulated ratio is at most `limit`.

    Args:
        layers: all of them.
        rows: the ranking, a row per layer.
        limit: of the ratio, 1.01 for 1 %.
        simulate: the ratio of the layers that are kept, in whatever precision that is.

    Returns:
        None where nothing less than the float network stays within the limit.
    """
    kept: list[str] = []

    def ratio(without: str | None = None) -> float:
        chosen = [name for name in kept if name != without]
        return simulate({name: FLOAT if name in chosen else STATIC for name in layers})

    costly = sorted((row for row in rows if row.loss > 0.0), key=lambda row: -row.loss / row.macs)
    rest = sorted((row for row in rows if row.loss <= 0.0), key=lambda row: row.macs)
    order = [row.name for row in (*costly, *rest)]
    while not ratio() <= limit:
        if len(kept) == len(order) - 1:
            return None
        kept.append(order[len(kept)])
    macs = {row.name: row.macs for row in rows}
    for name in sorted(kept, key=lambda name: -macs[name]):
        if ratio(without=name) <= limit:
            kept.remove(name)
    return kept


def within(
    backend: str,
    precisions: Sequence[str],
    rows: Sequence[Row],
    budget: float,
    simulate: Simulate,
    measure: Measure,
    progress: Callable[[str], None],
    whole: float,
) -> Choice:
    """Search one backend.

    Args:
        backend: for the recipe's name.
        precisions: the backend's `layer_precisions`.
        rows: the ranking, a row per layer.
        budget: 0.01 for 1 %.
        simulate: of a recipe's layers.
        measure: of a recipe's artifact.
        progress: is told what was tried.
        whole: the ratio of the artifact in `w8a8` throughout, which was measured and is past the budget.

    Raises:
        GateFailed: no recipe stays within the budget; says which came nearest.
    """
    names = [row.name for row in rows]
    macs = {row.name: row.macs for row in rows}
    other = WEIGHTS if WEIGHTS in precisions else FLOAT

    def layers(kept: Sequence[str]) -> dict[str, str]:
        return {name: other if name in kept else STATIC for name in names}

    def simulated(mixed: Mapping[str, str]) -> float:
        return simulate(layers([name for name, precision in mixed.items() if precision != STATIC]))

    limit = 1.0 + budget
    wrong = whole - simulate(layers([]))
    nearest = f"w8a8 has {whole:.4f}"
    least, tried = whole, 0
    while tried < ATTEMPTS and (kept := choose(names, rows, limit - wrong, simulated)) is not None:
        recipe = Recipe(
            name=recipe_name(backend, budget),
            default=STATIC,
            layers=dict.fromkeys(sorted(kept), other),
            description=f"igf export --budget-sad {100.0 * budget:g}% --backend {backend}",
            max_sad_ratio=limit,
        )
        guess, found, tried = simulate(layers(kept)), measure(recipe), tried + 1
        progress(f"{backend}: {len(kept)} layers in {other}: SAD ratio {found:.4f}, simulated {guess:.4f}")
        if found <= limit:
            return Choice(recipe, found, guess, sum(macs[name] for name in kept), sum(macs.values()))
        if found < least:
            least, nearest = found, f"{len(kept)} layers in {other} have {found:.4f}"
        wrong = max(found - guess, wrong + budget / 10.0)
    raise GateFailed(
        f"no recipe of {backend} keeps SAD within {limit:.4f} of the float network's on the proof set; {nearest} "
        f"({tried} recipes exported, all {len(names)} layers considered)"
    )
