"""The photographs that ship with the package."""

import cv2
import numpy as np
import pytest

from igf_mobile.composites import FOLDERS
from igf_mobile.samples import ASSETS, Sample, load_sample, load_samples, names


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return load_samples()


def test_all_load_with_masks_of_their_size(samples: list[Sample]) -> None:
    assert tuple(sample.name for sample in samples) == names() == ("astronaut", "chelsea", "coffee")
    for sample in samples:
        height, width = sample.guidance.shape[:2]
        assert sample.guidance.shape == (height, width, 3) and max(height, width) <= 512
        assert sample.weak_mask.shape == (height, width)
        assert set(np.unique(sample.weak_mask)) == {0.0, 1.0}
        assert 0.2 < sample.weak_mask.mean() < 0.8


def test_masks_are_single_coarse_blobs(samples: list[Sample]) -> None:
    for sample in samples:
        mask = sample.weak_mask.astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        assert len(contours) == 1
        assert len(cv2.approxPolyDP(contours[0], 2.0, True)) <= 30


def test_every_file_is_small_and_in_the_list_of_sources() -> None:
    files = [path for path in ASSETS.iterdir() if path.is_file() and path.name != "SOURCES.md"]
    folders = {path for path in ASSETS.iterdir() if path.is_dir()}
    assert folders == set(FOLDERS.values())
    sources = (ASSETS / "SOURCES.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in files) == sorted(
        name for sample in names() for name in (f"{sample}.jpg", f"{sample}_mask.png")
    )
    assert sum(path.stat().st_size for path in files) < 600_000
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 2_500_000
    assert all(f"`{folder.name}/`" in sources for folder in folders)
    for sample in load_samples():
        assert f"`{sample.name}.jpg`" in sources and sample.licence in ("public domain", "CC0-1.0")
        assert (ASSETS / f"{sample.name}.jpg").stat().st_size < 150_000
        assert sample.source


def test_masks_are_the_polygons_in_the_list_of_sources() -> None:
    """The note on how they were made is enough to make them again."""
    sources = (ASSETS / "SOURCES.md").read_text(encoding="utf-8")
    for sample in load_samples():
        entry = sources.split(f"- `{sample.name}`")[1].split("\n- ")[0]
        numbers = entry.split("cut):" if "cut):" in entry else "border):")[1]
        points = [tuple(map(int, point.strip("()").split(","))) for point in numbers.split()]
        mask = np.zeros(sample.weak_mask.shape, np.uint8)
        cv2.fillPoly(mask, [np.array(points, np.int32)], (1,))
        np.testing.assert_array_equal(mask, sample.weak_mask)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="sample 'dog' is not one of astronaut, chelsea, coffee"):
        load_sample("dog")
