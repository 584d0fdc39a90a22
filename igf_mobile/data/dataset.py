"""Batches of crops from the cached composites, each a pure function of (seed, step)."""

from collections.abc import Iterator, Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from igf_mobile.data.cache import open_shard, shard_path
from igf_mobile.data.images import F32, U8
from igf_mobile.data.weak_mask import weak_mask
from igf_mobile.errors import DamagedFile, IgfError

if TYPE_CHECKING:
    import torch

Rng = np.random.Generator
Batch = tuple[F32, F32, F32]
CROPS_PER_COMPOSITE = 3  # making the mask of a 512 composite costs more than cutting a crop
NEAR_MATTE = 0.9  # share of crops centred where the mask is wrong or the alpha is soft
HUE = 0.06  # turns
MASK_TRIES = 8
CENTRE_GRID = 64  # crop centres are chosen on a grid of this side


class Composites:
    """The cached composites of one split: `len`, and `[i]` as (S,S,4) uint8 RGB and alpha."""

    def __init__(self, root: Path, split: str) -> None:
        """Open the shards of `split` below `<root>/composites`, as memory maps.

        Shards past a missing number are left alone: while a build goes on, composite `i` stays the same.

        Raises:
            IgfError: there is no shard.
            DamagedFile: a shard is truncated or of another shape than the first; it is named.
        """
        paths = list(takewhile(Path.is_file, (shard_path(root, split, n) for n in count())))
        if not paths:
            raise IgfError(f"no {split} composites in {Path(root) / 'composites'}; build the data first")
        self.shards = [open_shard(path) for path in paths]
        for path, shard in zip(paths, self.shards, strict=True):
            if shard.shape[1:] != self.shards[0].shape[1:]:
                raise DamagedFile(f"{path} is {shard.shape}, the first shard is {self.shards[0].shape}")
        self.starts = np.cumsum([0] + [len(shard) for shard in self.shards])

    def __len__(self) -> int:
        """How many composites there are."""
        return int(self.starts[-1])

    def __getitem__(self, i: int) -> U8:
        """Composite `i`, (S,S,4)."""
        shard = int(np.searchsorted(self.starts, i, side="right")) - 1
        return np.asarray(self.shards[shard][i - self.starts[shard]])


def sample_batch(
    composites: Composites,
    seed: int,
    step: int,
    batch_size: int,
    crop: int,
    pool: int | None = None,
    kinds: Mapping[str, float] | None = None,
) -> Batch:
    """The batch of training step `step`: always the same for the same composites, seed and step.

    The weak mask is made on the whole composite, at the scale of use, and then cropped. Three crops come
    from each composite, nine in ten of them centred near the mask's errors or the soft alpha.

    Args:
        composites: where to draw from.
        seed: of the run.
        step: of the run.
        batch_size: B.
        crop: side of the crops, px; the composites' own side takes them whole.
        pool: draw from the first `pool` composites only, for a curriculum; None for all.
        kinds: of the masks, as `weak_mask` takes them.

    Returns:
        guidance (B,3,crop,crop), weak_mask (B,1,crop,crop) and alpha (B,1,crop,crop), float32 in [0,1].
    """
    rng = np.random.default_rng([seed, step])
    size = min(pool or len(composites), len(composites))
    guidance = np.empty((batch_size, crop, crop, 3), np.uint8)
    masks = np.empty((batch_size, crop, crop), np.uint8)
    alphas = np.empty((batch_size, crop, crop), np.uint8)
    filled = 0
    while filled < batch_size:
        pixels = composites[int(rng.integers(size))]
        side = pixels.shape[0]
        if crop > side:
            raise IgfError(f"crop {crop} is larger than the composites' {side} px")
        alpha = np.asarray(cv2.extractChannel(pixels, 3), np.uint8)  # much faster than a strided copy
        mask = _try_mask(alpha, rng, kinds)
        if mask is None:
            continue
        whole = crop == side
        odds = None if whole else _centre_odds(mask, alpha)
        for _ in range(min(1 if whole else CROPS_PER_COMPOSITE, batch_size - filled)):
            top, left = (0, 0) if odds is None else _corner(odds, rng, side, crop)
            window = np.s_[top : top + crop, left : left + crop]
            flip = np.s_[:, ::-1] if rng.random() < 0.5 else np.s_[:, :]
            guidance[filled] = _shift_hue(pixels[window], rng)[flip]
            masks[filled] = mask[window][flip]
            alphas[filled] = alpha[window][flip]
            filled += 1
    return _unit(guidance.transpose(0, 3, 1, 2)), _unit(masks[:, None]), _unit(alphas[:, None])


class BatchLoader:
    """Batches in step order as torch tensors, made ahead by worker processes."""

    def __init__(
        self,
        composites: Composites,
        seed: int,
        steps: range,
        batch_size: int,
        crop: int,
        workers: int = 1,
        prefetch: int = 4,
        pool: int | None = None,
        kinds: Mapping[str, float] | None = None,
    ) -> None:
        """Make the batches of `steps`.

        Args:
            composites: where to draw from; workers share its memory maps.
            seed: of the run.
            steps: those wanted: a resumed run leaves out its first ones and sees the same data.
            batch_size: B.
            crop: side of the crops, px.
            workers: processes; 0 makes the batches in this one.
            prefetch: batches kept ready for each worker.
            pool: as in `sample_batch`.
            kinds: as in `sample_batch`.
        """
        self.steps = steps
        self.arguments = (composites, seed, batch_size, crop, pool, kinds)
        self.workers, self.prefetch = workers, prefetch

    def __iter__(self) -> Iterator[tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]]:
        """Yield (guidance, weak_mask, alpha), as `sample_batch`."""
        from torch.utils.data import DataLoader

        options: dict[str, Any] = {"prefetch_factor": self.prefetch} if self.workers else {}
        if self.workers:
            # OpenCV's thread pool does not survive a fork: a worker that touches it, be it to set the
            # number of threads, waits for ever. Workers inherit the 0.
            cv2.setNumThreads(0)
        # a sampler of steps over a dataset of steps: DataLoader keeps the order whatever worker is first
        loader: DataLoader[Any] = DataLoader(
            _Steps(*self.arguments),  # type: ignore[arg-type]
            batch_size=None,
            sampler=self.steps,
            num_workers=self.workers,
            **options,
        )
        yield from loader


class _Steps:
    """What DataLoader's workers index by step."""

    def __init__(
        self,
        composites: Composites,
        seed: int,
        batch_size: int,
        crop: int,
        pool: int | None,
        kinds: Mapping[str, float] | None,
    ) -> None:
        self.composites, self.seed = composites, seed
        self.rest = (batch_size, crop, pool, kinds)

    def __getitem__(self, step: int) -> tuple["torch.Tensor", ...]:
        import torch

        arrays = sample_batch(self.composites, self.seed, step, *self.rest)
        return tuple(torch.from_numpy(array) for array in arrays)


def _try_mask(alpha: U8, rng: Rng, kinds: Mapping[str, float] | None) -> U8 | None:
    """A weak mask, or None where the alpha yields none in several tries (the paper abandons such samples)."""
    for _ in range(MASK_TRIES):
        mask = weak_mask(alpha, rng, kinds)
        if mask is not None:
            return mask
    return None


def _centre_odds(mask: U8, alpha: U8) -> F32:
    """Cumulative odds of the cells of a coarse grid, by how wrong the mask or how soft the alpha is."""
    wrong = cv2.absdiff(mask, alpha)
    soft = np.minimum(alpha, 255 - alpha)
    grid = cv2.resize(cv2.add(wrong, soft), (CENTRE_GRID, CENTRE_GRID), interpolation=cv2.INTER_AREA)
    return np.cumsum(grid.ravel(), dtype=np.float32)


def _corner(odds: F32, rng: Rng, side: int, crop: int) -> tuple[int, int]:
    """Top and left of a crop, by `odds` or, one time in ten, anywhere."""
    if rng.random() >= NEAR_MATTE or odds[-1] <= 0:
        top, left = rng.integers(0, side - crop + 1, 2)
        return int(top), int(left)
    cell = int(np.searchsorted(odds, rng.random() * odds[-1], side="right"))
    row, column = divmod(min(cell, len(odds) - 1), CENTRE_GRID)
    step = side / CENTRE_GRID
    # off centre by up to a third, or the matte would always lie in the middle
    centre = np.array([(row + 0.5) * step, (column + 0.5) * step]) + rng.uniform(-1, 1, 2) * crop / 3
    top, left = np.clip(np.rint(centre - crop / 2), 0, side - crop)
    return int(top), int(left)


def _shift_hue(rgba: U8, rng: Rng) -> U8:
    hsv = cv2.cvtColor(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(
        round(float(rng.uniform(-HUE, HUE)) * 256) % 256
    )  # 256 to the turn: wraps by itself
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def _unit(pixels: U8) -> F32:
    return np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)
