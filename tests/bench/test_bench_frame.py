"""Whole frames: the conversions are right, each stage has its own time."""

import itertools

import numpy as np
import pytest

from igf_mobile.bench import frame
from igf_mobile.images import resize
from igf_mobile.samples import load_sample


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return resize(load_sample("chelsea").guidance, (96, 128))


def test_bgra_comes_back(picture: np.ndarray) -> None:
    convert = frame._converter(picture, "bgra", None)  # type: ignore[arg-type]
    np.testing.assert_allclose(convert(), picture, atol=0.5 / 255 + 1e-6)


def test_nv12_comes_back_but_for_fine_colour(picture: np.ndarray) -> None:
    luma, chroma = frame.nv12_from(picture)
    assert luma.shape == (96, 128) and chroma.shape == (48, 64, 2)
    back = frame.rgb_from_nv12(luma, chroma)
    assert np.abs(back - picture).mean() < 0.01
    swapped = frame.rgb_from_nv12(luma, np.ascontiguousarray(chroma[:, :, ::-1]))
    assert np.abs(swapped - picture).mean() > 0.03  # the measure sees red and blue swapped


def test_nv12_is_full_range_and_cb_comes_first() -> None:
    black_to_white = np.repeat(np.linspace(0, 1, 16, dtype=np.float32)[None, :, None], 3, axis=2).repeat(
        2, axis=0
    )
    luma, chroma = frame.nv12_from(black_to_white)
    assert (luma.min(), luma.max()) == (0, 255)
    assert (chroma == 128).all()
    blue = np.zeros((2, 2, 3), np.float32)
    blue[:, :, 2] = 1.0
    assert frame.nv12_from(blue)[1][0, 0, 0] > 250 > 128 > frame.nv12_from(blue)[1][0, 0, 1]


def test_a_composite_is_the_frame_where_alpha_is_one(picture: np.ndarray) -> None:
    alpha = np.zeros(picture.shape[:2], np.float32)
    alpha[:40] = 1.0
    over = frame.over_colour(picture, alpha)
    np.testing.assert_allclose(over[:40], picture[:40], atol=1e-6)
    assert np.ptp(over[40:], axis=(0, 1)).max() == 0


@pytest.mark.parametrize("pixels", frame.FORMATS)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_each_stage_of_each_frame_has_a_time(picture: np.ndarray, pixels: frame.Format, layout: str) -> None:
    ticks = (2.0**n for n in itertools.count())
    stored: list[tuple[int, ...]] = []
    coefficients = np.zeros((1, 4, 24, 32) if layout == "NCHW" else (1, 24, 32, 4), np.float32)
    samples = frame.time_frames(
        lambda: [np.zeros((1, 1, 96, 128), np.float32), coefficients],
        picture,
        lambda small: stored.append(small.shape),
        pixels,
        (120, 200),
        frames=2,
        clock=lambda: next(ticks),
    )
    # A clock that doubles: stage k of frame n takes 2^(6 n + k) s, so no two may be exchanged.
    assert samples == {
        stage: [1e3 * 2.0 ** (6 * number + k) for number in (1, 2)] for k, stage in enumerate(frame.STAGES)
    }
    assert stored == [(96, 128, 3)] * 3


def test_odd_frames_and_unknown_formats_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="200 x 121 has an odd side"):
        frame.time_frames(list, picture, lambda x: x, "nv12", (121, 200), 1)
    with pytest.raises(ValueError, match="unknown frame format 'yuv'; available: nv12, bgra, jpeg"):
        frame.time_frames(list, picture, lambda x: x, "yuv", (120, 200), 1)  # type: ignore[arg-type]
