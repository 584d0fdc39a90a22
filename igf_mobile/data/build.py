"""Everything from package names to composites on disk."""

from pathlib import Path

from igf_mobile.data.cache import build_cache
from igf_mobile.data.fetch import fetch
from igf_mobile.data.index import build_index
from igf_mobile.data.sources import RENDERED


def build_data(root: Path, count: int, seed: int, workers: int) -> None:
    """Fetch the sources, index their pictures and make `count` training composites below `root`.

    What is there already is kept, so a killed build goes on where it stopped.

    Raises:
        IgfError: as `fetch`, `build_index` and `build_cache`.
    """
    root.mkdir(parents=True, exist_ok=True)
    sources = fetch(root)
    if any((root / "raw" / RENDERED.folder).glob("*.png")):
        sources.append(RENDERED)
    build_index(root, sources)
    build_cache(root, count, seed, workers)
