"""`igf ablate` on two tiny variants: what differs, what is kept, what is refused."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from igf_mobile import cli, evaluate
from igf_mobile.ablation import measure, plan, run, table
from igf_mobile.ablation.measure import TITLES, Judges
from igf_mobile.ablation.plan import VARIANTS, Variant, chosen, config_of
from igf_mobile.ablation.run import Ablation, Result, load_ablation, run_ablation
from igf_mobile.data.cache import shard_path
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.model import Generator
from igf_mobile.training_state import TrainConfig

SIDE = 64
TINY: dict[str, Any] = {"steps": 3, "batch_size": 2, "crop": SIDE, "warmup_steps": 1}
TWO = (
    Variant("ours", "as it is", "ours", TINY),
    Variant("drawn", "direct alpha", "ours", {**TINY, "form": "direct"}),
    Variant("on", "more steps", "ours", TINY, "ours"),
)


def pictures(seed: int, count: int, side: int) -> np.ndarray:
    """(N,S,S,4): a light disc with a soft rim on a dark ground with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    found = np.empty((count, side, side, 4), np.uint8)
    for i in range(count):
        distance = np.hypot(x - rng.uniform(0.4, 0.6) * side, y - rng.uniform(0.4, 0.6) * side)
        alpha = np.clip((0.28 * side - distance) / 4 + 0.5, 0, 1)[..., None]
        front, back = rng.uniform(120, 255, 3), rng.uniform(0, 90, 3) + rng.uniform(0, 30, (side, side, 3))
        found[i] = np.dstack([alpha * front + (1 - alpha) * back, 255 * alpha])
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for seed, split in enumerate(("train", "validation")):
        path = shard_path(root, split, 0)
        path.parent.mkdir(exist_ok=True)
        np.save(path, pictures(seed, 6, SIDE))
    (root / "index.jsonl").write_text("", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("suite")
    (picture,) = pictures(7, 1, 512)
    for kind, image in (("input", picture[..., 2::-1]), ("gt", picture[..., 3])):
        (root / kind).mkdir()
        cv2.imwrite(str(root / kind / "disc1.png"), image)
    return root


@pytest.fixture(scope="module")
def judged_by(data: Path, suite: Path) -> Judges:
    torch.set_num_threads(1)
    return measure.judges(data, evaluate.load_suite(suite), crops=4, crop=SIDE)


def config_in(data: Path, runs: Path) -> Callable[[Variant, int], TrainConfig]:
    return lambda variant, seed: config_of(variant, seed, data, runs, workers=0)


@pytest.fixture(scope="module")
def done(data: Path, judged_by: Judges, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ablation]:
    runs = tmp_path_factory.mktemp("runs")
    return runs, run_ablation(TWO, [0, 1], config_in(data, runs), judged_by, {"composites": 6})


def test_every_variant_and_seed_has_every_number(done: tuple[Path, Ablation]) -> None:
    _, ablation = done
    assert [(r.variant, r.seed) for r in ablation.results] == [(v.name, s) for v in TWO for s in (0, 1)]
    for result in ablation.results:
        assert set(result.errors) == set(TITLES)
        assert all(np.isfinite(value) and value > 0 for value in result.errors.values())
        assert result.steps == 3 and result.steps_per_second > 0
    by_key = {(r.variant, r.seed): r.errors for r in ablation.results}
    assert by_key["ours", 0] != by_key["ours", 1] != by_key["drawn", 1]


def test_a_variant_starts_from_the_weights_of_its_own_seed(done: tuple[Path, Ablation], data: Path) -> None:
    runs, ablation = done
    recipes = {(r.variant, r.seed): json.loads(r.recipe) for r in ablation.results}
    assert recipes["on", 1]["init"] == "last.safetensors" and recipes["ours", 1]["init"] == ""
    assert config_in(data, runs)(TWO[2], 1).init == str(runs / "ours-1" / "last.safetensors")


def test_what_is_done_is_kept_and_another_judge_judges_again(
    done: tuple[Path, Ablation], data: Path, judged_by: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, ablation = done
    trained: list[str] = []
    monkeypatch.setattr(run, "train", lambda config: trained.append(Path(config.run_dir).name))
    monkeypatch.setattr(run, "errors_of", lambda generator, by: dict.fromkeys(TITLES, 1.0))
    config = config_in(data, runs)
    again = run_ablation(TWO[:2], [0, 1], config, judged_by, {"composites": 6})
    assert again.results == ablation.results[:4] and trained == []
    (path,) = runs.glob("ours-0/result.json")
    kept = path.read_text(encoding="utf-8")
    try:
        other = run_ablation(TWO[:1], [0], config, judged_by, {"composites": 7})
        assert trained == ["ours-0"] and set(other.results[0].errors.values()) == {1.0}
        path.write_text(kept[:40], encoding="utf-8")
        run_ablation(TWO[:1], [0], config, judged_by, {"composites": 6})
        assert trained == ["ours-0"] * 2
    finally:
        path.write_text(kept, encoding="utf-8")


def test_a_record_is_read_back_and_a_damaged_one_is_named(
    done: tuple[Path, Ablation], tmp_path: Path
) -> None:
    _, ablation = done
    path = tmp_path / "ablation.json"
    path.write_text(json.dumps(ablation.as_dict()), encoding="utf-8")
    assert load_ablation(path).results == ablation.results
    document = ablation.as_dict()
    del document["results"][0]["errors"]["grad"]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DamagedFile, match=r"ablation.json is no record of an ablation: no number for grad"):
        load_ablation(path)


def made_up(variant: str, seed: int, sad: float, against: str = "ours") -> Result:
    errors = dict.fromkeys(TITLES, 1.0) | {"sad": sad}
    return Result(variant, f"{variant} says", against, seed, 10, 8, 2.0, "{}", errors)


def test_tables_show_mean_and_spread_and_compare_seed_by_seed() -> None:
    results = (made_up("ours", 0, 2.0), made_up("ours", 1, 4.0), made_up("x", 0, 1.0), made_up("x", 1, 5.0))
    ablation = Ablation(results, {"nothing learned": dict.fromkeys(TITLES, 3.0)}, {"composites": 6})
    column = list(TITLES).index("sad")
    head, ours, _, reference = table.value_rows(ablation)
    assert ours[4 + column] == "3.000 [2.000, 4.000]" and reference[4 + column] == "3.000"
    assert head[4 + column] == TITLES["sad"] and ours[:4] == ["ours", "10 x 8", "2", "2"]
    _, difference = table.difference_rows(ablation)
    assert difference[:3] == ["x", "ours", "x says"]
    assert difference[3 + column] == "-12.5 [-50.0, +25.0]"  # -50 % and +25 %, not 3 against 3
    assert "composites 6" in table.as_markdown(ablation)


def test_a_seed_without_its_other_is_not_compared() -> None:
    ablation = Ablation((made_up("ours", 1, 2.0), made_up("x", 0, 1.0)), {}, {})
    assert len(table.difference_rows(ablation)) == 1 and len(table.value_rows(ablation)) == 3


def test_the_plan_differs_in_one_thing_and_sees_the_same_samples() -> None:
    configs = {v.name: config_of(v, 3, Path("data"), Path("runs")) for v in VARIANTS}
    hidden = {"run_dir", "init"}
    for variant in VARIANTS:
        mine, other = (dataclasses.asdict(configs[name]) for name in (variant.name, variant.against))
        differing = {name for name in mine if mine[name] != other[name]} - hidden
        if variant.starts_from != variant.against:  # else it goes on, with a schedule of its own
            assert {name: mine[name] for name in ("seed", "steps", "batch_size", "crop")} == {
                name: other[name] for name in ("seed", "steps", "batch_size", "crop")
            }
            assert len(differing - {"losses"}) <= 1, variant.name
        assert (variant.name == variant.against) == (not differing)
    assert configs["width 4"].width == 4 and configs["direct alpha"].form == "direct"
    assert configs["paper's, adversarial"].adversarial and not configs["paper's, longer"].adversarial
    assert len({config.run_dir for config in configs.values()}) == len(VARIANTS)


def test_choosing_brings_what_is_needed_along() -> None:
    names = [v.name for v in chosen(["paper's, adversarial"])]
    assert names == ["ours", "paper's losses", "paper's, longer", "paper's, adversarial"]
    with pytest.raises(IgfError, match="variant 'wide' is not one of ours, predicted A, direct alpha"):
        chosen(["wide"])


def test_direct_alpha_and_coefficients_start_alike(judged_by: Judges) -> None:
    """What is compared is the form, so the network must be the same one otherwise."""
    errors = measure.errors_of(Generator(), judged_by)
    assert 0 < errors["held_out_mse"] < 0.1 and errors["flicker"] < 100


def test_the_command_writes_both_files_and_prints_the_table(
    data: Path, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "VARIANTS", TWO[:2])
    monkeypatch.setattr(plan.chosen, "__defaults__", (TWO[:2],))
    monkeypatch.setattr(measure.judges, "__defaults__", (4, SIDE))
    words = ["ablate", "--runs", tmp_path, "--data", data, "--suite", suite, "--seeds", 1, "--workers", 0]
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert "| drawn | 3 x 2 | 1 |" in result.stdout
    assert "| drawn | ours | direct alpha |" in (tmp_path / "ablation.md").read_text(encoding="utf-8")
    assert [r.variant for r in load_ablation(tmp_path / "ablation.json").results] == ["ours", "drawn"]


ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("ablation*.json")), ids=lambda path: path.stem)
def test_the_card_shows_the_kept_record(path: Path) -> None:
    card = (ROOT / "igf_mobile" / "weights" / "README.md").read_text(encoding="utf-8")
    assert f"<!-- {path.stem} -->\n{table.as_markdown(load_ablation(path))}\n<!-- end -->" in card
