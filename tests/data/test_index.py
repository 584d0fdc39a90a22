from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_pictures import disc_rgba, make_source, textured, write_rgba

from igf_mobile.data.index import (
    build_index,
    identity_of,
    is_usable_foreground,
    perceptual_hash,
    read_index,
    soft_share,
    split_of,
)
from igf_mobile.errors import DamagedFile, IgfError


def test_filter_takes_objects_and_drops_the_rest() -> None:
    rng = np.random.default_rng(1)
    disc = disc_rgba(rng)
    full = np.dstack([textured(rng, 260, 260), np.full((260, 260), 255, np.uint8)])
    veil = disc.copy()
    veil[..., 3] //= 3
    sign = disc.copy()
    sign[..., :3] = (255, 0, 0)
    bar = np.zeros((60, 400, 4), np.uint8)
    bar[10:40, 10:390] = disc[100:130, 100:101]
    assert is_usable_foreground(disc)
    small = np.asarray(cv2.resize(disc, (150, 150)), np.uint8)
    for unusable in (full, veil, sign, bar, small, np.zeros((300, 300, 4), np.uint8)):
        assert not is_usable_foreground(unusable)


def test_soft_share_is_of_the_object() -> None:
    alpha = np.zeros((10, 10), np.uint8)
    alpha[:5] = 255
    alpha[5, :] = 128
    assert soft_share(alpha) == pytest.approx(1 / 6)


def test_near_duplicates_and_small_backgrounds_are_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    disc = disc_rgba(rng)
    brighter = disc.copy()
    brighter[..., :3] = np.clip(brighter[..., :3].astype(int) + 2, 0, 255)
    for name, rgba in {"one": disc, "two": brighter, "three": disc_rgba(rng, 300, 120)}.items():
        write_rgba(tmp_path / "raw/front" / f"{name}.png", rgba)
    write_rgba(tmp_path / "raw/back/large.png", textured(rng, 400, 600))
    write_rgba(tmp_path / "raw/back/small.png", textured(rng, 300, 600))
    (tmp_path / "raw/front/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    entries = build_index(tmp_path, [make_source("front", "foreground"), make_source("back", "background")])
    assert [e.role for e in entries].count("foreground") == 2
    assert [Path(e.path).name for e in entries if e.role == "background"] == ["large.png"]
    assert read_index(tmp_path) == entries
    assert all(e.licence == "CC0" for e in entries)


def test_hash_sees_the_alpha() -> None:
    disc = disc_rgba(np.random.default_rng(3))
    other = disc.copy()
    other[:, 130:, 3] = 0
    assert np.unpackbits(perceptual_hash(disc) ^ perceptual_hash(other)).sum() > 6


@pytest.mark.parametrize(
    "variant", ["a/flame+3.png", "a/flame-12.png", "a/flame_mirror.png", "a/Flame_02_flip.png"]
)
def test_variants_share_an_identity(variant: str) -> None:
    assert identity_of(variant) == identity_of("a/flame.png")
    assert identity_of(variant) != identity_of("b/flame.png")


def test_split_is_about_eight_percent_and_by_identity(data_root: Path) -> None:
    share = np.mean([split_of(f"picture {i}") == "validation" for i in range(4000)])
    assert 0.06 <= share <= 0.10
    entries = read_index(data_root)
    of = {split: {e.identity for e in entries if e.split == split} for split in ("train", "validation")}
    assert of["train"] and of["validation"] and not of["train"] & of["validation"]


def test_unusable_index_says_where(tmp_path: Path) -> None:
    with pytest.raises(IgfError, match="build the data first"):
        read_index(tmp_path)
    (tmp_path / "index.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(DamagedFile, match=r"index\.jsonl:1 "):
        read_index(tmp_path)
    with pytest.raises(IgfError, match="no usable foreground"):
        build_index(tmp_path, [])
