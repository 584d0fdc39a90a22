"""`shared_vectors/`: tiny golden cases that the Python, Kotlin and Swift tests all read.

Tensors are raw little-endian float32 files, described by a JSON file beside them.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from igf_mobile.backends.base import FloatArray
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.device.case import write_case
from igf_mobile.device.fixture import write_fixture
from igf_mobile.files import atomic_path, sha256_of, write_text
from igf_mobile.images import resize
from igf_mobile.latency import percentile
from igf_mobile.matting import FloatRunner
from igf_mobile.samples import load_sample

_SIDE = 64
_CAMERA_SIDE = 32
_SAMPLES_MS = (16.0, 3.5, 7.25, 9.0, 3.5, 120.0, 8.0, 8.5, 7.0, 31.0, 6.0)
_PERCENTS = (1, 25, 50, 90, 95, 99, 100)


def write_vectors(checkpoint: Path, folder: Path) -> None:
    """Write every golden case below `folder`."""
    cases = [
        {"samples": list(samples), "percent": percent, "value": percentile(samples, percent)}
        for samples in (_SAMPLES_MS, _SAMPLES_MS[:1], _SAMPLES_MS[:4])
        for percent in _PERCENTS
    ]
    rule = "nearest rank: the sample at index ceil(percent / 100 * count) - 1 of the sorted samples"
    write_text(folder / "percentile.json", json.dumps({"rule": rule, "cases": cases}, indent=1) + "\n")
    write_matte_case(checkpoint, folder / "matte")
    write_fixture(folder)
    write_camera_case(folder / "camera")


def write_matte_case(checkpoint: Path, folder: Path) -> None:
    """The float model on a 64 x 64 reduction of a shipped photograph, NCHW."""
    sample = load_sample("chelsea")
    side = (_SIDE, _SIDE)
    guidance = cv2.resize(sample.guidance, side, interpolation=cv2.INTER_AREA).transpose(2, 0, 1)[None]
    mask = cv2.resize(sample.weak_mask, side, interpolation=cv2.INTER_NEAREST)[None, None]
    guidance, mask = (np.ascontiguousarray(x, np.float32) for x in (guidance, mask))
    model, info = load_checkpoint(checkpoint)
    alpha, coefficients = FloatRunner(model)(guidance, mask)
    tensors = {"guidance": guidance, "weak_mask": mask, "alpha": alpha, "coefficients": coefficients}
    case = {"checkpoint": info.name, "checkpoint_sha256": sha256_of(checkpoint)}
    write_case(folder, tensors, case)


def write_camera_case(folder: Path) -> None:
    """One frame as cameras give it, with padded rows, and the guidance tensors it must become.

    `rgba.u8`: 4 bytes a pixel. `y.u8`, `uv.u8`: YUV 4:2:0, BT.601 full range (JFIF), chroma interleaved
    U first. Both squeezed to 32 x 32: area average where an axis shrinks, bilinear where it grows, each
    YUV plane before the conversion to RGB.
    """
    height, width, row_stride = 24, 80, 352
    picture = resize(load_sample("coffee").guidance, (height, width))
    rgb = np.rint(picture * 255.0).astype(np.uint8)
    y, cb, cr = (plane.astype(np.uint8) for plane in cv2.split(_ycbcr(rgb)))
    chroma = np.stack([plane[::2, ::2] for plane in (cb, cr)], axis=-1).reshape(height // 2, width)
    rgba = np.dstack([rgb, np.full((height, width, 1), 255, np.uint8)]).reshape(height, 4 * width)
    for name, rows in (("rgba", rgba), ("y", y), ("uv", chroma)):
        padded = np.full((len(rows), row_stride), 7, np.uint8)
        padded[:, : rows.shape[1]] = rows
        _write_bytes(folder / f"{name}.u8", padded.tobytes())
    size = (_CAMERA_SIDE, _CAMERA_SIDE)
    planes = (y, chroma[:, 0::2], chroma[:, 1::2])
    small = [resize(plane.astype(np.float32) / np.float32(255.0), size) for plane in planes]
    tensors = {
        "guidance_rgba": _nchw(resize(rgb.astype(np.float32) / np.float32(255.0), size)),
        "guidance_yuv": _nchw(_rgb(*small)),
    }
    frame = {"width": width, "height": height, "row_stride": row_stride}
    hashes = {f"{name}.u8": sha256_of(folder / f"{name}.u8") for name in ("rgba", "y", "uv")}
    write_case(folder, tensors, {"frame": frame, "frame_sha256": hashes})


def _ycbcr(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """BT.601 full range, rounded to whole steps of 0 to 255."""
    weights = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return np.asarray(np.clip(np.rint(rgb @ weights.T + (0.0, 128.0, 128.0)), 0, 255))


def _rgb(y: FloatArray, cb: FloatArray, cr: FloatArray) -> FloatArray:
    """The inverse of `_ycbcr`: (H,W) in [0,1] each, 128/255 is no colour -> (H,W,3) in [0,1]."""
    cb, cr = cb - 128.0 / 255.0, cr - 128.0 / 255.0
    rgb = np.dstack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])
    return np.asarray(np.clip(rgb, 0.0, 1.0), np.float32)


def _nchw(image: FloatArray) -> FloatArray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)


def _write_bytes(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
