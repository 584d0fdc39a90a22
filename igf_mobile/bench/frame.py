"""A whole frame, stage by stage: camera or file pixels to a composite at the frame's own size."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from igf_mobile.backends.base import FloatArray
from igf_mobile.images import read_image, resize, write_image

Bytes = npt.NDArray[np.uint8]
Format = Literal["nv12", "bgra", "jpeg"]
FORMATS: tuple[Format, ...] = get_args(Format)
STAGES = ("convert", "resize", "inference", "apply", "composite")
"""convert: pixels to float RGB in [0,1]. resize: to the network's size and layout. inference: the runtime's call, the
same picture in place. apply: coefficients to alpha at the frame's size. composite: the frame over a colour."""

_BACKGROUND = np.array([0.0, 0.69, 0.25], np.float32)


def nv12_from(rgb: FloatArray) -> tuple[Bytes, Bytes]:
    """(H,W,3) in [0,1], even sides -> Y (H,W) and interleaved CbCr (H/2,W/2,2), full range, BT.601 as JPEG has it."""
    ycrcb = cv2.cvtColor(np.rint(rgb * 255.0).astype(np.uint8), cv2.COLOR_RGB2YCrCb)
    small = cv2.resize(ycrcb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(ycrcb[:, :, 0]), np.ascontiguousarray(small[:, :, [2, 1]])


def rgb_from_nv12(luma: Bytes, chroma: Bytes) -> FloatArray:
    """The inverse of `nv12_from`."""
    height, width = luma.shape
    full = cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR)
    rgb = cv2.cvtColor(cv2.merge([luma, full[:, :, 1], full[:, :, 0]]), cv2.COLOR_YCrCb2RGB)
    return np.asarray(rgb, np.float32) * np.float32(1 / 255)


def rgb_from_bgra(bgra: Bytes) -> FloatArray:
    """(H,W,4) bytes -> (H,W,3) in [0,1]."""
    return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB), np.float32) * np.float32(1 / 255)


def over_colour(rgb: FloatArray, alpha: FloatArray) -> FloatArray:
    """alpha * frame + (1 - alpha) * colour, as a live preview does it; no foreground colours are estimated."""
    return np.asarray(_BACKGROUND + alpha[:, :, None] * (rgb - _BACKGROUND), np.float32)


def time_frames(
    call: Callable[[], Sequence[npt.NDArray[Any]]],
    picture: FloatArray,
    store: Callable[[FloatArray], object],
    pixels: Format,
    size: tuple[int, int],
    frames: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Mapping[str, list[float]]:
    """Milliseconds of each stage of each frame, after one frame that is not counted.

    Args:
        call: one inference on `picture`; the last output are the coefficients, (1,h,w,4) or (1,4,h,w).
        picture: (H,W,3), what the network sees; enlarged to the frame.
        store: (H,W,3) at the network's size -> the tensor as the runtime takes it.
        pixels: the frame's format.
        size: (H, W) of the frame, even.
        frames: how many.
        clock: seconds; injected by tests.
    """
    from igf_mobile.full_resolution import apply_coefficients

    if size[0] % 2 or size[1] % 2:
        raise ValueError(f"a frame of {size[1]} x {size[0]} has an odd side")
    frame = resize(picture, size)
    samples: dict[str, list[float]] = {stage: [] for stage in STAGES}
    with tempfile.TemporaryDirectory() as scratch:
        convert = _converter(frame, pixels, Path(scratch))
        for number in range(frames + 1):
            times = [clock()]
            rgb = convert()
            times.append(clock())
            store(resize(rgb, (picture.shape[0], picture.shape[1])))
            times.append(clock())
            coefficients = channels_last_of(call()[-1])
            times.append(clock())
            alpha = apply_coefficients(coefficients, rgb)
            times.append(clock())
            over_colour(rgb, alpha)
            times.append(clock())
            if number:
                for stage, before, after in zip(STAGES, times, times[1:], strict=False):
                    samples[stage].append((after - before) * 1e3)
    return samples


def _converter(frame: FloatArray, pixels: Format, scratch: Path) -> Callable[[], FloatArray]:
    """Gives the frame's float values from its bytes, again and again."""
    if pixels == "nv12":
        luma, chroma = nv12_from(frame)
        return lambda: rgb_from_nv12(luma, chroma)
    if pixels == "bgra":
        eight = np.rint(frame * 255.0).astype(np.uint8)
        bgra = np.asarray(cv2.cvtColor(eight, cv2.COLOR_RGB2BGRA), np.uint8)
        return lambda: rgb_from_bgra(bgra)
    if pixels == "jpeg":
        path = scratch / "frame.jpg"
        write_image(path, frame)
        return lambda: read_image(path)
    raise ValueError(f"unknown frame format {pixels!r}; available: {', '.join(FORMATS)}")


def channels_last_of(coefficients: npt.NDArray[Any]) -> FloatArray:
    """(1,4,h,w) or (1,h,w,4) -> (h,w,4)."""
    values = coefficients[0]
    if values.shape[-1] != 4:
        values = values.transpose(1, 2, 0)
    return np.ascontiguousarray(values, np.float32)
