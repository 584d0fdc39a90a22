"""Composites made once and kept as uint8 shards: a training step then only cuts crops."""

import json
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from igf_mobile.data.index import read_index
from igf_mobile.data.scenes import Scenes
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import atomic_path, sha256_of, write_text

SHARD_SAMPLES = 256
TRAIN_SHARDS_PER_VALIDATION_SHARD = 16
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Shard:
    """One file of the cache: a pure function of the index, the seed, its split and its number."""

    root: Path
    split: str
    number: int
    seed: int
    size: int
    samples: int

    @property
    def path(self) -> Path:
        """Where it lies, `<root>/composites/<split>-NNN.npy`."""
        return shard_path(self.root, self.split, self.number)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(samples, size, size, 4): RGB and alpha."""
        return (self.samples, self.size, self.size, 4)


def shard_path(root: Path, split: str, number: int) -> Path:
    """`<root>/composites/<split>-NNN.npy`."""
    return Path(root) / "composites" / f"{split}-{number:03d}.npy"


def build_cache(
    root: Path, count: int, seed: int, workers: int, size: int = 512, shard_samples: int = SHARD_SAMPLES
) -> None:
    """Make `count` training composites, rounded up to whole shards, and a validation shard for every 16.

    A build that was killed goes on at its first missing shard; a larger `count` adds shards.

    Raises:
        IgfError: there is no index, `count` or `workers` is not positive, the disk is full, or the
            folder holds composites of another index, seed or size.
    """
    if count < 1 or workers < 1:
        raise IgfError(f"count {count} and workers {workers} must be positive")
    recipe = {"index_sha256": _index_hash(root), "seed": seed, "size": size, "shard_samples": shard_samples}
    _check_recipe(root, recipe)
    shards = planned_shards(root, count, seed, size, shard_samples)
    missing = [shard for shard in shards if not is_whole(shard)]
    _write_meta(root, recipe)
    columns = (TextColumn("composites"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as progress:
        total = sum(shard.samples for shard in shards)
        done = total - sum(shard.samples for shard in missing)
        task = progress.add_task("composites", total=total, completed=done, rate="")
        made = 0
        for shard in _make_all(missing, workers):
            made += shard.samples
            elapsed = progress.tasks[0].elapsed or 1e-9
            progress.update(task, advance=shard.samples, rate=f"{made / elapsed:.1f} samples/s")
            _write_meta(root, recipe)


def planned_shards(
    root: Path, count: int, seed: int, size: int, shard_samples: int = SHARD_SAMPLES
) -> list[Shard]:
    """The shards of a cache of `count` training composites; validation first, it is wanted first."""
    train = -(-count // shard_samples)
    validation = max(1, train // TRAIN_SHARDS_PER_VALIDATION_SHARD)
    numbers = [("validation", n) for n in range(validation)] + [("train", n) for n in range(train)]
    return [Shard(root, split, number, seed, size, shard_samples) for split, number in numbers]


def make_shard(shard: Shard) -> Shard:
    """Draw the composites of one shard and write it, whole or not at all."""
    cv2.setNumThreads(1)
    scenes = Scenes(shard.root, read_index(shard.root), shard.split)
    pixels = np.empty(shard.shape, np.uint8)
    for i in range(shard.samples):
        rng = np.random.default_rng([shard.seed, SPLITS.index(shard.split), shard.number, i])
        pixels[i, ..., :3], pixels[i, ..., 3] = scenes.draw(rng, shard.size)
    with atomic_path(shard.path) as temporary:
        np.save(temporary, pixels)
    return shard


def is_whole(shard: Shard) -> bool:
    """Whether the shard is there with its shape and all its bytes."""
    try:
        return open_shard(shard.path).shape == shard.shape
    except (DamagedFile, FileNotFoundError):
        return False


def open_shard(path: Path) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """A shard as a read-only (N,S,S,4) uint8 memory map.

    Raises:
        DamagedFile: it is truncated or is no array of composites.
        FileNotFoundError: it is not there.
    """
    try:
        pixels = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise DamagedFile(f"{path} is damaged ({error}); delete it and build the data again") from error
    if (
        not isinstance(pixels, np.memmap)
        or pixels.dtype != np.uint8
        or pixels.ndim != 4
        or pixels.shape[3] != 4
    ):
        raise DamagedFile(f"{path} is {pixels.dtype}{pixels.shape}, expected uint8 (N, S, S, 4)")
    return pixels


def _make_all(shards: list[Shard], workers: int) -> Iterator[Shard]:
    if workers == 1 or len(shards) <= 1:
        yield from map(make_shard, shards)
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(shards))) as pool:
        yield from pool.imap_unordered(make_shard, shards)


def _index_hash(root: Path) -> str:
    read_index(root)  # says what is wrong with it
    return sha256_of(root / "index.jsonl")


def _check_recipe(root: Path, recipe: dict[str, object]) -> None:
    path = root / "composites" / "meta.json"
    if not path.is_file():
        return
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedFile(f"{path} is not JSON: {error}") from error
    for key, value in recipe.items():
        if known.get(key) != value:
            raise IgfError(
                f"{path.parent} holds composites made with {key} {known.get(key)}, not {value}; "
                "delete the folder or choose another"
            )


def _write_meta(root: Path, recipe: dict[str, object]) -> None:
    folder = root / "composites"
    counts = {f"{split}_shards": len(list(folder.glob(f"{split}-*.npy"))) for split in SPLITS}
    write_text(folder / "meta.json", json.dumps({**recipe, **counts}, indent=2) + "\n")
