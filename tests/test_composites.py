"""The shipped composites, and folders that are not such."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from igf_mobile.composites import FOLDERS, CompositeSample, load_composites
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.evaluate import unknown_band
from igf_mobile.files import sha256_of


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[CompositeSample]]:
    return {kind: load_composites(folder) for kind, folder in FOLDERS.items()}


@pytest.mark.parametrize("kind", sorted(FOLDERS))
def test_they_are_what_they_say(shipped: dict[str, list[CompositeSample]], kind: str) -> None:
    assert [sample.name for sample in shipped[kind]] == [f"{i:02}" for i in range(8)]
    for sample in shipped[kind]:
        assert sample.guidance.shape == (512, 512, 3)
        assert sample.weak_mask.shape == sample.alpha.shape == (512, 512)
        assert {float(v) for v in np.unique(sample.weak_mask)} == {0.0, 1.0}
        assert (sample.alpha.min(), sample.alpha.max()) == (0.0, 1.0)
        assert 0.0 <= sample.guidance.min() < sample.guidance.max() <= 1.0


def test_the_mask_is_weak_and_its_band_holds_the_errors(shipped: dict[str, list[CompositeSample]]) -> None:
    for sample in shipped["proof"]:
        band = unknown_band(sample.weak_mask)
        wrong = np.abs(sample.weak_mask - sample.alpha)
        assert wrong.sum() > 0.005 * sample.alpha.sum(), "nothing left to matte"
        assert wrong[band].sum() > 0.5 * wrong.sum(), "the errors lie outside the band that is measured"


def test_calibration_and_proof_share_no_picture() -> None:
    sums = {kind: {sha256_of(p) for p in folder.glob("*.jpg")} for kind, folder in FOLDERS.items()}
    assert all(len(found) == 8 for found in sums.values())
    assert not sums["calibration"] & sums["proof"]


def test_tensors(shipped: dict[str, list[CompositeSample]]) -> None:
    sample = shipped["proof"][0]
    guidance, mask = sample.tensors()
    assert (guidance.shape, mask.shape) == ((1, 3, 512, 512), (1, 1, 512, 512))
    assert guidance.dtype == mask.dtype == np.float32
    assert guidance.flags.c_contiguous
    assert mask.flags.c_contiguous
    assert (guidance[0, :, 10, 20] == sample.guidance[10, 20]).all()
    guidance[:] = mask[:] = 0.25
    assert sample.guidance.max() > 0.25  # a copy
    assert sample.weak_mask.max() == 1.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("00.jpg", "00-mask.png", "00-alpha.png"):
        shutil.copy(FOLDERS["proof"] / name, tmp_path / name)
    (tmp_path / "index.json").write_text(json.dumps([{"name": "00"}]))
    return tmp_path


def test_the_index_decides(folder: Path) -> None:
    assert [sample.name for sample in load_composites(folder)] == ["00"]


@pytest.mark.parametrize("text", [None, "", "{", "[{}]", "[7]", '["00"]', "7", '[{"nam": 1}]'])
def test_a_damaged_index(folder: Path, text: str | None) -> None:
    (folder / "index.json").unlink()
    if text is not None:
        (folder / "index.json").write_text(text)
    with pytest.raises(DamagedFile, match=r"index\.json is not an index of composites"):
        load_composites(folder)


@pytest.mark.parametrize("name", ["00.jpg", "00-mask.png", "00-alpha.png"])
def test_a_damaged_or_absent_picture_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DamagedFile, match=f"{name} is cut off or damaged"):
        load_composites(folder)
    path.unlink()
    with pytest.raises(IgfError, match=f"cannot read .*{name}"):
        load_composites(folder)
