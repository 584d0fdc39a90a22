"""A recipe through the whole pipeline, with the backend of one file; each gate of it by a mutant."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from igf_mobile import gates
from igf_mobile.backends.base import Backend
from igf_mobile.files import sha256_of
from igf_mobile.manifest import Manifest, load_manifest, save_manifest
from igf_mobile.parity import Tolerance, load_tolerances
from igf_mobile.pipeline.export import export_build
from igf_mobile.pipeline.jobs import wanted_jobs
from igf_mobile.pipeline.verify import open_build, verify_build
from igf_mobile.recipes import Recipe

SMALL = (96, 96)
RECIPE = Recipe("heads", "w8a8", {"hourglass.head": "float32"})


@pytest.fixture
def build(healthy_build: Path, tmp_path: Path) -> Path:
    return shutil.copytree(healthy_build, tmp_path / "build")


@pytest.fixture(scope="module")
def tolerances(healthy_build: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Tolerance]:
    path = tmp_path_factory.mktemp("gates") / "tolerances.json"
    gates.write_tolerances(path, load_manifest(healthy_build))
    return load_tolerances(path)


def export(fake: Any, folder: Path, recipe: Recipe = RECIPE) -> Manifest:
    wanted = wanted_jobs(["fake"], None, recipe)
    return export_build(fake.checkpoint, folder, wanted, SMALL, progress=lambda text: None)


def verify(fake: Any, folder: Path, tolerances: list[Tolerance]) -> list[str]:
    return verify_build(open_build(folder, fake.checkpoint), tolerances, progress=lambda text: None)[1]


def test_it_is_exported_beside_what_is_there(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    manifest = export(fake, build)
    assert fake.module.exported == ["heads"]
    assert [r.scheme for r in manifest.artifacts] == ["fp32", "fp16", "w8", "w8a8", "heads"]
    record = manifest.find("fake", "heads")
    assert record is not None and record.recipe is not None and record.parity is not None
    assert record.recipe.file.sha256 == sha256_of(build / "recipes" / "heads.json") == RECIPE.sha256
    assert list(record.recipe.wanted.values()).count("float32") == 2
    metadata = fake.module.BACKEND.read_metadata(build / record.file)
    assert metadata["recipe_sha256"] == RECIPE.sha256
    assert metadata["calibration_sha256"] == manifest.calibration.sha256
    assert verify(fake, build, tolerances) == []


def test_a_second_export_has_nothing_to_do_and_another_recipe_has(fake: Any, build: Path) -> None:
    export(fake, build)
    fake.module.exported.clear()
    export(fake, build)
    assert fake.module.exported == []
    export(fake, build, dataclasses.replace(RECIPE, layers={"hourglass.encode_8": "float32"}))
    assert fake.module.exported == ["heads"]


def test_an_export_without_the_recipe_keeps_its_artifact(fake: Any, build: Path) -> None:
    export(fake, build)
    wanted = wanted_jobs(["fake"], ["fp32"])
    export_build(fake.checkpoint, build, wanted, SMALL, progress=lambda text: None)
    assert load_manifest(build).find("fake", "heads") is not None
    (build / "recipes" / "heads.json").unlink()
    export_build(fake.checkpoint, build, wanted, SMALL, progress=lambda text: None)
    assert load_manifest(build).find("fake", "heads") is None


@pytest.mark.parametrize(
    ("mutant", "words"),
    [
        (
            "one layer left float",
            "fake heads: hourglass.encode_8.parts.0 is float32 in the file, w8a8 in the recipe",
        ),
        ("one layer left float", "fake heads: 17 convolutions are int8, 18 in the recipe"),
        (
            "two layers swapped",
            "fake heads: hourglass.head.parts.1 is w8a8 in the file, float32 in the recipe",
        ),
        ("fallback", "fake heads: 3 operators fell back"),
    ],
)
def test_a_file_that_is_not_as_the_recipe_says(
    fake: Any, build: Path, tolerances: list[Tolerance], mutant: str, words: str
) -> None:
    fake.module.mutants["heads"] = mutant
    export(fake, build)
    fake.module.mutants.clear()
    assert any(sentence.startswith(words) for sentence in verify(fake, build, tolerances))


@pytest.mark.parametrize("mutant", ["shifted guidance", "dropped mask", "red and blue swapped"])
def test_it_is_held_to_the_distances_of_its_coarsest_scheme(
    fake: Any, build: Path, tolerances: list[Tolerance], mutant: str
) -> None:
    export(fake, build)
    fake.module.mutants["heads"] = mutant
    assert any(s.startswith("fake heads: quantized alpha") for s in verify(fake, build, tolerances))


def test_its_own_limit_on_the_matte(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    export(fake, build, dataclasses.replace(RECIPE, max_sad_ratio=0.5))
    failures = verify(fake, build, tolerances)
    assert len(failures) == 1
    assert failures[0].startswith("fake heads: matte sad_ratio is ")
    assert failures[0].endswith("above the recipe's 0.5")


def test_a_changed_recipe_fails(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    export(fake, build)
    path = build / "recipes" / "heads.json"
    path.write_text(path.read_text().replace("w8a8", "float32"))
    failures = verify(fake, build, tolerances)
    assert "igf-test-fake-heads.fake: its recipe recipes/heads.json is absent or was changed" in failures


def test_a_recipe_of_another_name_fails(fake: Any, build: Path, tolerances: list[Tolerance]) -> None:
    manifest = export(fake, build)
    other = dataclasses.replace(RECIPE, name="other")
    path = build / "recipes" / "heads.json"
    path.write_text(other.text())
    artifacts = [json.loads(json.dumps(dataclasses.asdict(r))) for r in manifest.artifacts]
    for record in artifacts:
        if record["recipe"]:
            record["recipe"]["file"]["sha256"] = sha256_of(path)
    text = json.loads((build / "manifest.json").read_text())
    (build / "manifest.json").write_text(json.dumps(text | {"artifacts": artifacts}))
    assert "igf-test-fake-heads.fake: recipes/heads.json is not its recipe" in verify(fake, build, tolerances)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe("x", "w8a8", {"hourglass.encode_8": "w8"}), "fake has float32, w8a8 for a layer"),
        (Recipe("x", "w8a8", {"hourglass.encode_9": "float32"}), "near it: hourglass.encode_8"),
        (Recipe("x", "w8a8"), "recipe 'x' gives every layer w8a8: that is scheme w8a8"),
        (Recipe("x", "float32"), "recipe 'x' gives every layer float32: that is scheme fp32"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is(
    fake: Any, tmp_path: Path, recipe: Recipe, words: str
) -> None:
    with pytest.raises(ValueError) as raised:
        export(fake, tmp_path / "build", recipe)
    assert words in str(raised.value)
    assert fake.module.exported == []
    assert not (tmp_path / "build").exists()


def test_an_older_manifest_without_recipes_is_read(build: Path) -> None:
    text = json.loads((build / "manifest.json").read_text())
    for record in text["artifacts"]:
        del record["recipe"]
    (build / "manifest.json").write_text(json.dumps(text))
    manifest = load_manifest(build)
    assert [record.recipe for record in manifest.artifacts] == [None] * 4
    save_manifest(manifest, build)


def test_the_backend_names_what_it_has(fake: Any) -> None:
    assert isinstance(fake.module.BACKEND, Backend)
    assert fake.module.BACKEND.layer_precisions == ("float32", "w8a8")
