"""Recipe files: what is read, what is refused and with which words, and which layer gets what."""

import json
from pathlib import Path
from typing import Any

import pytest

from igf_mobile.errors import DamagedFile
from igf_mobile.recipes import Recipe, check_precisions, load_recipe

NAMES = [
    "hourglass.stem.parts.0",
    "hourglass.stem.parts.1",
    "hourglass.residual.0.first.0",
    "hourglass.residual.0.second.0",
    "hourglass.slope_head",
    "hourglass.alpha_head",
]


def content(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"schema_version": 1, "name": "mixed", "default": "w8a8", "layers": {}}
    return {name: value for name, value in (whole | changes).items() if value is not None}


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.json"
    path.write_text(text)
    return path


def test_layers_blocks_and_patterns(tmp_path: Path) -> None:
    layers = {
        "hourglass.*_head": "float32",
        "hourglass.residual": "w8",
        "hourglass.residual.0.second.0": "w8a8",
    }
    recipe = load_recipe(written(tmp_path, json.dumps(content(layers=layers))))
    assert recipe.resolve(NAMES) == {
        "hourglass.stem.parts.0": "w8a8",
        "hourglass.stem.parts.1": "w8a8",
        "hourglass.residual.0.first.0": "w8",
        "hourglass.residual.0.second.0": "w8a8",
        "hourglass.slope_head": "float32",
        "hourglass.alpha_head": "float32",
    }


def test_a_name_is_not_a_prefix_of_another_name() -> None:
    with pytest.raises(ValueError, match=r"no layer fits 'hourglass\.slope'"):
        Recipe("mixed", "w8a8", {"hourglass.slope": "w8"}).resolve(NAMES)


def test_keys_that_disagree_are_refused_whatever_their_order() -> None:
    keys = {"hourglass.*": "w8", "hourglass.stem": "float32"}
    for layers in (keys, dict(reversed(keys.items()))):
        with pytest.raises(ValueError, match=r"disagree on hourglass\.stem\.parts\.0; name the layer itself"):
            Recipe("mixed", "w8a8", layers).resolve(NAMES)
    agreed = Recipe("mixed", "w8a8", {"hourglass.*": "w8", "hourglass.stem": "w8"})
    assert set(agreed.resolve(NAMES).values()) == {"w8"}


def test_an_unknown_layer_names_the_near_ones() -> None:
    with pytest.raises(ValueError) as raised:
        Recipe("mixed", "w8a8", {"hourglass.slope_haed": "w8"}).resolve(NAMES)
    assert str(raised.value).startswith("recipe 'mixed': no layer fits 'hourglass.slope_haed'; near it: ")
    assert "hourglass.slope_head" in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"default": "int8"}, ValueError, "default: 'int8' is not one of float32, w8, w8a8"),
        ({"layers": {"a": "w4"}}, ValueError, "a: 'w4' is not one of float32, w8, w8a8"),
        ({"name": "w8a8"}, ValueError, "'w8a8' is that of a scheme"),
        ({"name": "Two words"}, ValueError, "is not of a-z"),
        ({"name": "../x"}, ValueError, "is not of a-z"),
        ({"max_sad_ratio": -1.0}, ValueError, "is not a positive number"),
        ({"max_sad_ratio": float("nan")}, ValueError, "is not a positive number"),
        ({"max_sad_ratio": True}, DamagedFile, "max_sad_ratio is True"),
        ({"schema_version": 2}, DamagedFile, "has schema version 2; this program reads 1"),
        ({"schema_version": None}, DamagedFile, "has schema version None"),
        ({"default": None}, DamagedFile, "default is None, not a string"),
        ({"layers": ["a"]}, DamagedFile, "layers is not an object"),
        ({"layer": {}}, DamagedFile, "unknown field 'layer'; there are "),
    ],
)
def test_refusals(tmp_path: Path, changes: dict[str, Any], error: type[Exception], words: str) -> None:
    path = written(tmp_path, json.dumps(content(**changes)))
    with pytest.raises(error) as raised:
        load_recipe(path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[1]", '{"name": "a", "name": "b"}', "{" * 100_000])
def test_what_is_no_recipe(tmp_path: Path, text: str) -> None:
    with pytest.raises(DamagedFile):
        load_recipe(written(tmp_path, text))


def test_the_text_comes_back_and_the_hash_is_of_the_meaning(tmp_path: Path) -> None:
    recipe = Recipe("mixed", "w8", {"b": "w8a8", "a": "float32"}, "why", 1.02)
    again = load_recipe(written(tmp_path, recipe.text()))
    assert again == recipe
    reordered = Recipe("mixed", "w8", {"a": "float32", "b": "w8a8"}, "why", 1.02)
    assert again.sha256 == recipe.sha256 == reordered.sha256
    assert Recipe("mixed", "w8", {"b": "w8a8", "a": "w8"}, "why", 1.02).sha256 != recipe.sha256


def test_a_backend_says_what_it_has() -> None:
    layers = {"hourglass.stem.parts.0": "w8a8", "hourglass.stem.parts.1": "w8"}
    check_precisions("mixed", layers, "litert", ("float32", "w8", "w8a8"))
    with pytest.raises(ValueError) as raised:
        check_precisions("mixed", layers, "executorch", ("float32", "w8a8"))
    wanted = "recipe 'mixed' wants w8 for hourglass.stem.parts.1; executorch has float32, w8a8 for a layer"
    assert str(raised.value) == wanted
    with pytest.raises(ValueError, match="abacus takes no recipes"):
        check_precisions("mixed", layers, "abacus", ())
