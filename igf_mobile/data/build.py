"""Everything from package names to composites on disk."""

from pathlib import Path

import numpy as np

from igf_mobile.data.cache import SPLITS, build_cache
from igf_mobile.data.dataset import Composites
from igf_mobile.data.fetch import fetch
from igf_mobile.data.index import build_index
from igf_mobile.data.sheets import write_sheet
from igf_mobile.data.sources import RENDERED

SHEET_SAMPLES = 24


def build_data(root: Path, count: int, seed: int, workers: int) -> list[Path]:
    """Fetch the sources, index their pictures and make `count` training composites below `root`.

    What is there already is kept, so a killed build goes on where it stopped.

    Returns:
        A contact sheet of each split, `<root>/sheets/<split>.png`.

    Raises:
        IgfError: as `fetch`, `build_index` and `build_cache`.
    """
    root.mkdir(parents=True, exist_ok=True)
    sources = fetch(root)
    if any((root / "raw" / RENDERED.folder).glob("*.png")):
        sources.append(RENDERED)
    build_index(root, sources)
    build_cache(root, count, seed, workers)
    return [write_split_sheet(root, split) for split in SPLITS]


def write_split_sheet(root: Path, split: str) -> Path:
    """Some of the split's composites, evenly spaced, each with a weak mask."""
    composites = Composites(root, split)
    chosen = np.linspace(0, len(composites) - 1, min(SHEET_SAMPLES, len(composites))).astype(int)
    path = root / "sheets" / f"{split}.png"
    write_sheet(path, np.stack([composites[int(i)] for i in chosen]), np.random.default_rng(0), columns=2)
    return path
