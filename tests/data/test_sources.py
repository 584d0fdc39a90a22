import re

import pytest

from igf_mobile.data.sources import SOURCES, source_named


def test_every_source_is_pinned_and_licensed() -> None:
    for source in SOURCES:
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256), source.name
        assert source.version and source.licence and source.take, source.name
        assert source.share > 0, source.name


def test_names_and_folders_are_unique() -> None:
    assert len({s.name for s in SOURCES}) == len({s.folder for s in SOURCES}) == len(SOURCES)


def test_drop_wins_over_take() -> None:
    stamps = source_named("tuxpaint-stamps-default")
    assert stamps.wants("usr/share/tuxpaint/stamps/animals/Cow.PNG")
    assert not stamps.wants("usr/share/tuxpaint/stamps/animals/cartoon/cow.png")
    assert not stamps.wants("usr/share/tuxpaint/stamps/animals/cow.svg")


def test_of_a_game_only_whole_photographed_trees_are_taken() -> None:
    torcs = source_named("torcs-data")
    tracks = "usr/share/games/torcs/tracks"
    assert torcs.wants(f"{tracks}/road/corkscrew/treeSC2_n.png")
    for other in (
        "road/e-track-6/treeline_n.png",
        "dirt/dirt-2/treeUGLIES02_n.png",
        "road/wheel-1/tree2_n.png",
    ):
        assert not torcs.wants(f"{tracks}/{other}"), other


def test_drawn_backgrounds_stay_out() -> None:
    scratch = source_named("scratch")
    folder = "usr/share/scratch/Media/Backgrounds"
    assert scratch.wants(f"{folder}/Nature/lake.jpg")
    for drawn in (
        "Indoors/room1.jpg",
        "Nature/woods-and-bench.jpg",
        "Outdoors/berkeley-mural.jpg",
        "Nature/woods.gif",
    ):
        assert not scratch.wants(f"{folder}/{drawn}"), drawn


def test_samples_of_the_repository_are_not_trained_on() -> None:
    fixtures = source_named("scikit-image")
    for name in ("astronaut.png", "chelsea.png", "coffee.png"):
        assert not fixtures.wants(f"skimage/data/{name}")


def test_unknown_source_names_the_choices() -> None:
    with pytest.raises(KeyError, match="freeorion-data"):
        source_named("nothing")
