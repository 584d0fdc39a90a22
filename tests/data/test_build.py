"""Our own renders join the sources where there are any; what was made can be looked at."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_pictures import disc_rgba, make_source, textured, write_rgba

from igf_mobile.data import build
from igf_mobile.data.cache import build_cache
from igf_mobile.data.index import read_index


def test_renders_are_indexed_each_as_its_own_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    write_rgba(tmp_path / "raw/back/large.png", textured(rng, 400, 600))
    monkeypatch.setattr(build, "fetch", lambda root: [make_source("back", "background")])
    monkeypatch.setattr(build, "build_cache", lambda *_: None)
    monkeypatch.setattr(build, "write_split_sheet", lambda root, split: root)
    # different radii: equal ones would be near duplicates
    for seed, radius in enumerate((105, 150, 190)):
        write_rgba(tmp_path / f"raw/rendered/fur-{seed}.png", disc_rgba(rng, 400, radius))
    write_rgba(tmp_path / "raw/rendered/.part/.fur-9.png", disc_rgba(rng, 300, 100))
    build.build_data(tmp_path, 256, 0, 1)
    renders = [entry for entry in read_index(tmp_path) if entry.source == "rendered"]
    assert len(renders) == 3 and {entry.licence for entry in renders} == {"own"}
    assert len({entry.identity for entry in renders}) == 3


def test_some_composites_of_each_split_can_be_looked_at(data_root: Path, tmp_path: Path) -> None:
    shutil.copy(data_root / "index.jsonl", tmp_path)
    (tmp_path / "raw").symlink_to(data_root / "raw")
    build_cache(tmp_path, 3, 0, 1, size=64, shard_samples=3)
    for split in ("train", "validation"):
        sheet = build.write_split_sheet(tmp_path, split)
        assert sheet == tmp_path / "sheets" / f"{split}.png"
        assert cv2.imread(str(sheet)).shape == (2 * 192, 2 * 3 * 192, 3)
