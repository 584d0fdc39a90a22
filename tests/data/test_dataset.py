from pathlib import Path

import numpy as np
import pytest

from igf_mobile.data.cache import shard_path
from igf_mobile.data.dataset import BatchLoader, Composites, sample_batch
from igf_mobile.data.images import U8
from igf_mobile.data.sheets import write_sheet
from igf_mobile.data.weak_mask import MIXES
from igf_mobile.errors import IgfError

SIDE = 128


def soft_discs(count: int) -> U8:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, SIDE, SIDE, 4), dtype=np.uint8)
    for i in range(count):
        radius = np.hypot(y - rng.uniform(50, 78), x - rng.uniform(50, 78))
        pixels[i, ..., 3] = np.clip((38 - radius) * 20 + 128, 0, 255)
    return pixels


@pytest.fixture
def composites(tmp_path: Path) -> Composites:
    pixels = soft_discs(10)
    for number in range(2):
        path = shard_path(tmp_path, "train", number)
        path.parent.mkdir(exist_ok=True)
        np.save(path, pixels[5 * number : 5 * number + 5])
    return Composites(tmp_path, "train")


def test_composites_are_those_of_the_shards_in_order(composites: Composites) -> None:
    assert len(composites) == 10
    assert np.array_equal(np.stack([composites[i] for i in range(10)]), soft_discs(10))


def test_shards_past_a_gap_wait(composites: Composites, tmp_path: Path) -> None:
    np.save(shard_path(tmp_path, "train", 3), soft_discs(5))
    assert len(Composites(tmp_path, "train")) == 10
    with pytest.raises(IgfError, match="no validation composites"):
        Composites(tmp_path, "validation")


@pytest.mark.parametrize("crop", [64, SIDE])
def test_shapes_ranges_and_purity_in_seed_and_step(composites: Composites, crop: int) -> None:
    batch = sample_batch(composites, seed=1, step=5, batch_size=7, crop=crop)
    for array, channels in zip(batch, (3, 1, 1), strict=True):
        assert array.shape == (7, channels, crop, crop) and array.dtype == np.float32
        assert array.min() >= 0 and array.max() <= 1
    binary = sample_batch(composites, seed=1, step=5, batch_size=7, crop=crop, kinds=MIXES["first"])
    assert set(np.unique(binary[1])) <= {0, 1}
    sample_batch(composites, seed=1, step=6, batch_size=7, crop=crop)
    again = sample_batch(composites, seed=1, step=5, batch_size=7, crop=crop)
    assert all(np.array_equal(a, b) for a, b in zip(batch, again, strict=True))
    for seed, step in ((1, 6), (2, 5)):
        other = sample_batch(composites, seed=seed, step=step, batch_size=7, crop=crop)
        assert not np.array_equal(batch[0], other[0])


def test_a_mask_may_be_soft(composites: Composites) -> None:
    _, mask, _ = sample_batch(composites, 0, 0, batch_size=8, crop=64, kinds={"previous_alpha": 1.0})
    assert np.mean((mask > 0.05) & (mask < 0.95)) > 0.01


def test_pool_draws_from_the_first_composites_only(composites: Composites) -> None:
    alphas = sample_batch(composites, 0, 0, batch_size=24, crop=SIDE, pool=1)[2]
    alpha = composites[0][..., 3] / 255
    for drawn in alphas[:, 0]:
        assert min(np.abs(drawn - alpha).max(), np.abs(drawn - alpha[:, ::-1]).max()) < 1e-6


def test_most_crops_see_the_edge(composites: Composites) -> None:
    _, mask, alpha = sample_batch(composites, 0, 0, batch_size=60, crop=32)
    wrong = np.abs(mask - alpha).mean(axis=(1, 2, 3))
    # anywhere in the picture, 57 % of such crops hold no edge at all
    assert np.mean(wrong > 0.005) > 0.8


def test_image_alpha_and_mask_are_flipped_together(composites: Composites) -> None:
    for i in range(len(composites)):
        composites.shards[i // 5] = np.array(composites.shards[i // 5])  # type: ignore[call-overload]
        composites[i][..., :3] = composites[i][..., 3:]
    guidance, _, alpha = sample_batch(composites, 0, 0, batch_size=30, crop=64)
    assert np.abs(guidance - alpha).max() < 0.02  # grey has no hue to shift


def test_crop_larger_than_the_composites_is_refused(composites: Composites) -> None:
    with pytest.raises(IgfError, match="crop 256 is larger than the composites' 128 px"):
        sample_batch(composites, 0, 0, 1, 256)


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_yields_the_steps_in_order_from_any_start(composites: Composites, workers: int) -> None:
    kinds = MIXES["first"]
    loader = BatchLoader(composites, 3, range(10, 15), 4, 64, workers=workers, prefetch=2, kinds=kinds)
    batches = list(loader)
    assert len(batches) == 5
    for step, batch in zip(range(10, 15), batches, strict=True):
        for tensor, array in zip(batch, sample_batch(composites, 3, step, 4, 64, kinds=kinds), strict=True):
            assert np.array_equal(tensor.numpy(), array)


def test_endless_loader_starts(composites: Composites) -> None:
    first = next(iter(BatchLoader(composites, 3, range(7, 8), 4, 64, workers=0)))
    assert np.array_equal(first[0].numpy(), sample_batch(composites, 3, 7, 4, 64)[0])


def test_sheet_is_a_picture(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", soft_discs(3), np.random.default_rng(0), columns=2, cell=32)
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
