import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from igf_mobile.data.cache import Shard, build_cache, make_shard, planned_shards, shard_path
from igf_mobile.data.dataset import Composites
from igf_mobile.data.index import read_index
from igf_mobile.data.scenes import Scenes
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import sha256_of

SIZE, SAMPLES = 96, 4


def build(root: Path, count: int = 8, seed: int = 0) -> dict[str, str]:
    build_cache(root, count, seed, workers=1, size=SIZE, shard_samples=SAMPLES)
    return {path.name: sha256_of(path) for path in (root / "composites").glob("*.npy")}


@pytest.fixture
def root(data_root: Path, tmp_path: Path) -> Path:
    shutil.copy(data_root / "index.jsonl", tmp_path)
    (tmp_path / "raw").symlink_to(data_root / "raw")
    return tmp_path


def test_a_killed_build_resumes_to_the_same_bytes(root: Path) -> None:
    whole = build(root)
    assert sorted(whole) == ["train-000.npy", "train-001.npy", "validation-000.npy"]
    kept = shard_path(root, "train", 0)
    written = kept.stat().st_mtime_ns
    # what a kill leaves: a missing shard, a truncated one and a temporary folder
    shard_path(root, "train", 1).unlink()
    validation = shard_path(root, "validation", 0)
    validation.write_bytes(validation.read_bytes()[:-1000])
    (root / "composites" / ".train-001.npy.x1").mkdir()
    assert build(root) == whole
    assert kept.stat().st_mtime_ns == written


def test_more_composites_add_shards(root: Path) -> None:
    few = build(root, count=4)
    more = build(root, count=12)
    assert len(more) == 4 and few.items() <= more.items()
    meta = json.loads((root / "composites" / "meta.json").read_text())
    assert (meta["train_shards"], meta["validation_shards"], meta["seed"]) == (3, 1, 0)


def test_a_shard_is_whole_or_absent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", killed)
    shard = Shard(root, "train", 0, 0, SIZE, SAMPLES)
    with pytest.raises(KeyboardInterrupt):
        make_shard(shard)
    assert list((root / "composites").iterdir()) == []


def test_another_seed_is_refused_not_mixed_in(root: Path) -> None:
    build(root, count=4)
    with pytest.raises(IgfError, match="seed 0, not 1; delete the folder"):
        build(root, count=4, seed=1)


def test_bad_arguments_and_missing_index(root: Path) -> None:
    with pytest.raises(IgfError, match="count 0"):
        build(root, count=0)
    (root / "index.jsonl").unlink()
    with pytest.raises(IgfError, match="no index"):
        build(root)


def test_truncated_shard_is_named(root: Path) -> None:
    build(root, count=4)
    path = shard_path(root, "train", 0)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match=r"train-000\.npy is damaged .*delete it"):
        Composites(root, "train")
    np.save(path, np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(DamagedFile, match=r"train-000\.npy is uint8\(4, 8, 8\), expected"):
        Composites(root, "train")


def test_scenes_of_the_splits_share_no_picture(root: Path) -> None:
    entries = read_index(root)
    train, validation = (Scenes(root, entries, split) for split in ("train", "validation"))
    for pick in ("foregrounds", "backgrounds"):
        ours, theirs = ({e.identity for e in getattr(s, pick)} for s in (train, validation))
        assert ours and theirs and not ours & theirs
    assert np.isclose(train.foreground_odds.sum(), 1) and len(train.foreground_odds) == len(train.foregrounds)


def test_four_thousand_and_one_composites_need_seventeen_shards() -> None:
    shards = planned_shards(Path(), 4097, 0, 512)
    assert [s.split for s in shards].count("train") == 17
    assert [s.split for s in shards].count("validation") == 1
