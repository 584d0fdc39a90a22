"""The search for the cheapest recipe, on invented losses."""

from collections.abc import Mapping

import pytest

from igf_mobile.errors import GateFailed
from igf_mobile.quantize.budget import ATTEMPTS, choose, parse_budget, within
from igf_mobile.quantize.ranking import Row
from igf_mobile.recipes import STATIC, Recipe

LOSSES = {"a": 0.02, "b": 0.004, "c": 0.0, "d": -0.001, "e": 0.006}
MACS = {"a": 100, "b": 10, "c": 50, "d": 20, "e": 1000}
ROWS = [Row(n, (n,), 1.0, loss, "00", loss, MACS[n], 1) for n, loss in LOSSES.items()]
NAMES = list(LOSSES)


def simulate(layers: Mapping[str, str]) -> float:
    assert list(layers) == NAMES
    return 1.0 + sum(LOSSES[name] for name, precision in layers.items() if precision == STATIC)


def search(budget: float, measure: object, whole: float, precisions: tuple[str, ...] = ("float32", "w8a8")):  # type: ignore[no-untyped-def]
    said: list[str] = []
    choice = within("litert", precisions, ROWS, budget, simulate, measure, said.append, whole)  # type: ignore[arg-type]
    return choice, said


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (1.030, []),
        (1.025, ["b"]),  # most loss for a multiplication
        (1.010, ["a"]),  # b is tried first, and goes back
        (1.006, ["b", "a"]),
    ],
)
def test_the_layers_that_cost_least(limit: float, kept: list[str]) -> None:
    assert choose(NAMES, ROWS, limit, simulate) == kept


def test_no_choice_is_none() -> None:
    assert choose(NAMES, ROWS, 0.99, simulate) is None


def test_an_artifact_as_simulated_is_the_first_tried() -> None:
    exported: list[Recipe] = []

    def measure(recipe: Recipe) -> float:
        exported.append(recipe)
        return simulate(recipe.resolve(NAMES))

    choice, said = search(0.01, measure, 1.029, ("float32", "w8", "w8a8"))
    assert [dict(recipe.layers) for recipe in exported] == [{"a": "w8"}]
    assert choice.recipe.max_sad_ratio == pytest.approx(1.01)
    assert (choice.float_macs, choice.all_macs) == (100, 1180)
    assert choice.recipe.name == "budget-1-litert"
    assert len(said) == 1


def test_an_artifact_worse_than_simulated_takes_more_layers() -> None:
    tried: list[int] = []

    def measure(recipe: Recipe) -> float:
        tried.append(len(recipe.layers))
        return simulate(recipe.resolve(NAMES)) + 0.004 * (len(tried) == 1)

    choice, _ = search(0.01, measure, 1.029)
    assert tried == [1, 2]
    assert set(choice.recipe.layers) == {"a", "b"}
    assert set(choice.recipe.layers.values()) == {"float32"}
    assert choice.ratio <= 1.01


def test_a_budget_that_nothing_keeps_is_refused_with_what_came_nearest() -> None:
    tried: list[Recipe] = []

    def measure(recipe: Recipe) -> float:
        tried.append(recipe)
        return 1.02 - 0.001 * len(tried)

    with pytest.raises(GateFailed, match=r"no recipe of litert keeps SAD within 1\.0100 .* have 1\.01\d0 "):
        search(0.01, measure, 1.029)
    assert 1 <= len(tried) <= ATTEMPTS


def test_a_nan_is_never_within_a_budget() -> None:
    with pytest.raises(GateFailed, match="no recipe of litert"):
        search(0.01, lambda recipe: float("nan"), 1.029)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.5%", 0.005), ("0.02", 0.02)])
def test_budgets(text: str, share: float) -> None:
    assert parse_budget(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "%", "-1%", "0", "one", "200%", "nan", "inf"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="is not a share above 0, such as 1% or "):
        parse_budget(text)
