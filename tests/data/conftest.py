"""A small data root with drawn pictures."""

from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import disc_rgba, make_source, textured, write_rgba

from igf_mobile.data.index import build_index


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Foregrounds and backgrounds of both splits, indexed under the names of real sources."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    first = ["ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay"]
    words = [*first, "kite", "lynx", "mole", "newt", "owl", "pig", "quail", "ram", "seal", "toad"]
    for word in words:
        radius = int(rng.integers(104, 125))
        write_rgba(root / "raw/tuxpaint-stamps-default" / f"{word}.png", disc_rgba(rng, 260, radius))
        write_rgba(root / "raw/mate-backgrounds" / f"{word}.png", textured(rng, 400, 500))
    sources = [
        make_source("tuxpaint-stamps-default", "foreground"),
        make_source("mate-backgrounds", "background"),
    ]
    entries = build_index(root, sources)
    for role in ("foreground", "background"):
        assert {e.split for e in entries if e.role == role} == {"train", "validation"}
    return root
