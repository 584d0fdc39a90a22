"""Our own renders join the sources where there are any."""

from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import disc_rgba, make_source, textured, write_rgba

from igf_mobile.data import build
from igf_mobile.data.index import read_index


def test_renders_are_indexed_each_as_its_own_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    write_rgba(tmp_path / "raw/back/large.png", textured(rng, 400, 600))
    monkeypatch.setattr(build, "fetch", lambda root: [make_source("back", "background")])
    monkeypatch.setattr(build, "build_cache", lambda *_: None)
    # different radii: equal ones would be near duplicates
    for seed, radius in enumerate((105, 150, 190)):
        write_rgba(tmp_path / f"raw/rendered/fur-{seed}.png", disc_rgba(rng, 400, radius))
    write_rgba(tmp_path / "raw/rendered/.part/.fur-9.png", disc_rgba(rng, 300, 100))
    build.build_data(tmp_path, 256, 0, 1)
    renders = [entry for entry in read_index(tmp_path) if entry.source == "rendered"]
    assert len(renders) == 3 and {entry.licence for entry in renders} == {"own"}
    assert len({entry.identity for entry in renders}) == 3
