"""`igf eval` from end to end on a drawn suite, without what takes minutes."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from igf_mobile import cli, evaluate
from igf_mobile.errors import GateFailed, IgfError
from igf_mobile.evaluate import EvalCase
from igf_mobile.manifest import load_manifest, save_manifest
from igf_mobile.proof import command, run, tables
from igf_mobile.proof.cache import Cache
from igf_mobile.proof.flicker import Flicker
from igf_mobile.proof.guidance import GuidanceUse
from igf_mobile.proof.page import best_and_worst, write_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, suite: list[EvalCase]) -> Path:
    root = tmp_path_factory.mktemp("suite")
    for kind in ("input", "gt"):
        (root / kind).mkdir()
    for case in suite:
        picture, alpha = (np.rint(255 * image).astype(np.uint8) for image in (case.guidance, case.alpha))
        cv2.imwrite(str(root / "input" / f"{case.name}.png"), picture[..., ::-1])
        cv2.imwrite(str(root / "gt" / f"{case.name}.png"), alpha)
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "best_setting", lambda suite: (45, 1e-4))


def invoke(folder: Path, cache: Path, *options: object) -> tuple[str, int]:
    words = ["eval", "--suite", folder, "--cache", cache, "--no-peers", "--no-studies", *options]
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout, result.exit_code


def test_json_has_every_number_of_the_table(folder: Path, cache: Path) -> None:
    text, code = invoke(folder, cache, "--json")
    document = json.loads(text)
    assert code == 0
    assert list(document["methods"]) == ["weak mask", "fast guided filter", "ours"]
    ours, mask = (document["methods"][name] for name in ("ours", "weak mask"))
    assert ours["mean"]["sad"] < 0.5 * mask["mean"]["sad"]
    assert set(ours["per_image"]) == {"disc1", "disc2"}
    difference = document["difference_to_ours"]["weak mask"]["sad"]["mean"]
    assert difference == pytest.approx(mask["mean"]["sad"] - ours["mean"]["sad"])
    share = document["goals"]["sad"]["share"]
    assert share == pytest.approx(
        ours["mean"]["sad"] / document["methods"]["fast guided filter"]["mean"]["sad"]
    )
    assert document["guidance"]["failures"] == []
    table, code = invoke(folder, cache)
    assert code == 0 and f"{mask['mean']['sad']:.3f}" in table


def test_a_second_run_says_the_same(folder: Path, cache: Path) -> None:
    assert invoke(folder, cache, "--json") == invoke(folder, cache, "--json")


def test_a_checkpoint_that_ignores_its_image_fails(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "guidance_use", lambda runner: GuidanceUse(0.0, 0.0, 0.0))
    with pytest.raises(GateFailed, match="hardly uses its image: blur_change 0"):
        invoke(folder, cache)


def test_real_without_a_suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(command.REAL_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IgfError, match="set IGF_REAL_SUITE to, or give --suite, a folder"):
        command.suite_folder("real")
    monkeypatch.setenv(command.REAL_VARIABLE, str(tmp_path))
    assert command.suite_folder("real") == tmp_path
    assert command.suite_folder("elsewhere") == Path("elsewhere")


def test_real_beside_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / command.REAL_FOLDER.relative_to("..")).mkdir(parents=True)
    (tmp_path / "repository").mkdir()
    monkeypatch.delenv(command.REAL_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path / "repository")
    assert command.suite_folder("real") == command.REAL_FOLDER


# ---- the page


class Outside(HTMLParser):
    """Collects what a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "srcset", "href") and value and not value.startswith(("data:", "#")):
                self.loads.append(value)
        self.pictures += tag == "img"


def outcome(name: str, sads: dict[str, float]) -> run.Outcome:
    errors = {image: evaluate.AlphaMetrics(0.1, sad, 0.1, 0.1) for image, sad in sads.items()}
    return run.Outcome(
        name, result=evaluate.summarise(errors), median_ms=1.0, keys=dict.fromkeys(sads, "none")
    )


def proof_of(sads: dict[str, float]) -> run.Proof:
    outcomes = [outcome(name, sads) for name in ("weak mask", "fast guided filter", "ours")]
    result = outcomes[-1].result
    assert result is not None
    still = Flicker(sads, 0.01, evaluate.Interval(0.005, 0.02))
    names = [o.name for o in outcomes]
    return run.Proof(
        checkpoint="weights",
        outcomes=(*outcomes, run.Outcome("KNN matting", not_run="numba <cannot> be imported")),
        differences={name: run.paired_difference(result, result) for name in names[:2]},
        guided=(60, 1e-6),
        damage={name: dict.fromkeys((5, 60), result) for name in names},
        damage_radii={5: 8, 60: 100},
        flicker=dict.fromkeys(("true alpha", *names), dict.fromkeys(("fixed", "independent"), still)),
        guidance=GuidanceUse(0.7, 0.8, 0.1),
        guidance_failures=(),
    )


def test_the_page_loads_nothing_and_shows_best_and_worst(suite: list[EvalCase], tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, proof_of({"disc1": 3.0, "disc2": 1.0}), suite, Cache(tmp_path))
    text = path.read_text(encoding="utf-8")
    outside = Outside()
    outside.feed(text)
    assert outside.loads == [] and outside.pictures >= 2 + 2 * 3
    assert re.findall(r"<h3>(\w+) 1: (\w+)", text) == [("Best", "disc2"), ("Worst", "disc1")]
    assert "numba &lt;cannot&gt; be imported" in text


def test_three_best_and_three_worst_do_not_overlap() -> None:
    best, worst = best_and_worst(proof_of({f"{i}": float(i) for i in range(14)}))
    assert best == ["0", "1", "2"] and worst == ["13", "12", "11"]
    best, worst = best_and_worst(proof_of({f"{i}": float(i) for i in range(5)}))
    assert best == ["0", "1"] and worst == ["4", "3"]


def test_tables_have_a_cell_for_every_heading() -> None:
    proof = proof_of({"disc1": 3.0, "disc2": 1.0})
    for rows in (
        tables.error_rows(proof),
        tables.difference_rows(proof),
        tables.study_rows(proof),
        tables.flicker_rows(proof),
    ):
        assert len(rows) > 2 and {len(row) for row in rows} == {len(rows[0])}
    text = tables.markdown(tables.error_rows(proof))
    assert "not run: numba <cannot> be imported" in text
    assert text.splitlines()[1] == "| --- | --- | --- | --- | --- | --- |"


def test_every_artifact_beside_the_float_model(
    fake: Any, healthy_build: Path, folder: Path, cache: Path, tmp_path: Path
) -> None:
    """The errors of a wrong artifact show in its ratio and end the command; what the manifest does not describe is
    not run."""
    build = tmp_path / "build"
    shutil.copytree(healthy_build, build)
    manifest = load_manifest(build)
    save_manifest(dataclasses.replace(manifest, size=(512, 512)), build)
    fake.module.mutants["w8"] = "dropped mask"
    with (build / "igf-test-fake-fp16.fake").open("ab") as file:
        file.write(b"x")
    words = ["eval", "--suite", folder, "--cache", cache, "--artifacts", "--build", build]
    words += ["--checkpoint", fake.checkpoint]

    def evaluated(*more: str) -> str:
        result = CliRunner().invoke(cli.app, [str(word) for word in (*words, *more)])
        assert isinstance(result.exception, GateFailed)
        assert "fake w8: photographs_sad_ratio" in str(result.exception)
        assert "fake w8a8: photographs_sad_ratio" not in str(result.exception)
        return result.stdout

    found = json.loads(evaluated("--json"))["artifacts"]
    assert found["fake-fp32"]["sad_ratio"] == pytest.approx(1.0, abs=1e-3)
    assert found["fake-w8"]["sad_ratio"] > 1.5
    assert "the manifest says" in found["fake-fp16"]["not_run"]
    assert json.loads((build / "photographs.json").read_text())["artifacts"] == found
    fake.module.unavailable = "asked again"  # so the cache answers
    assert json.loads(evaluated("--json"))["artifacts"] == found
    assert "fake-w8a8" in evaluated()
