"""What a user would pick instead, timed beside our artifacts: one call each, pictures in place, mask or matte out.

The two segmentation networks are called as bare as ours: the tensor of their own size is in place, no resize before or
after. `proof.peers` fetches them, pinned.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from igf_mobile.backends.base import BackendUnavailable
from igf_mobile.bench.calls import Call, Photograph, Prepared, photograph
from igf_mobile.bench.sides import Spec

RADIUS_PX, EPS = 80, 1e-6
"""The best of the grid on the real photographs (README); a box filter's time does not depend on its radius."""
_FAST_SCALE = 0.25


@dataclass(frozen=True)
class Peer:
    """One way to a mask or a matte."""

    needs_contrib: bool
    """Whether its process takes OpenCV's contrib modules in place of the environment's OpenCV."""
    prepare: Callable[[Spec, Photograph], Prepared]


def prepare_peer(spec: Spec) -> Prepared:
    """See `calls.prepare`."""
    try:
        return PEERS[spec.what].prepare(spec, photograph(spec.size))
    except ImportError as error:
        raise BackendUnavailable(f"{error}; pip install 'igf-mobile[peers]'") from error


def peer_specs(base: Spec) -> list[Spec]:
    """A side per peer."""
    return [dataclasses.replace(base, kind="peer", what=name) for name in PEERS]


def _opencv(scale: float, number: str = "float32") -> Callable[[Spec, Photograph], Prepared]:
    """OpenCV's filter of pictures of a type; those of bytes are resized and written as bytes, and much faster so."""

    def prepare(spec: Spec, picture: Photograph) -> Prepared:
        import cv2

        if not hasattr(cv2, "ximgproc"):
            raise BackendUnavailable(f"this OpenCV {cv2.__version__} has no ximgproc (a contrib module)")
        cv2.setNumThreads(spec.threads)
        guided_filter: Any = cv2.ximgproc.guidedFilter
        unit = 255.0 if number == "uint8" else 1.0
        guidance, mask = (
            (unit * x).round().astype(number) if unit > 1.0 else x
            for x in (picture.guidance, picture.weak_mask)
        )
        eps = EPS * unit**2

        def call() -> Sequence[npt.NDArray[Any]]:
            return [guided_filter(guidance, mask, RADIUS_PX, eps, dDepth=-1, scale=scale)]

        ran_on = f"OpenCV {cv2.__version__} contrib, colour, {number}, radius {RADIUS_PX}, scale {scale:g}"
        return Prepared(ran_on, picture.weak_mask.size, lambda: call)

    return prepare


def _own_filter(spec: Spec, picture: Photograph) -> Prepared:
    import cv2

    from igf_mobile.guided_filter import fast_guided_filter

    cv2.setNumThreads(spec.threads)
    call = lambda: [fast_guided_filter(picture.guidance, picture.weak_mask, RADIUS_PX, EPS)]  # noqa: E731
    return Prepared("igf_mobile.guided_filter, NumPy and OpenCV", picture.weak_mask.size, lambda: call)


def _closed_form(spec: Spec, picture: Photograph) -> Prepared:
    from importlib.metadata import version

    import numba
    import pymatting

    from igf_mobile.proof.peers import TRIMAP_PX, weak_trimap

    numba.set_num_threads(spec.threads)
    guidance = picture.guidance.astype(np.float64)
    trimap = weak_trimap(picture.weak_mask, TRIMAP_PX[0]).astype(np.float64)
    ran_on = f"PyMatting {version('pymatting')}, trimap of {TRIMAP_PX[0]} px"
    return Prepared(ran_on, trimap.size, lambda: lambda: [pymatting.estimate_alpha_cf(guidance, trimap)])


def _pymatting_guided(spec: Spec, picture: Photograph) -> Prepared:
    from importlib.metadata import version

    import pymatting  # noqa: F401  an absent package is the other reason

    raise BackendUnavailable(f"PyMatting {version('pymatting')} has no guided filter; see its closed form")


def _selfie(spec: Spec, picture: Photograph) -> Prepared:
    from ai_edge_litert import __version__ as version
    from ai_edge_litert.interpreter import Interpreter

    from igf_mobile.images import resize
    from igf_mobile.proof.peers import SELFIE, model_file

    path = model_file(Path(spec.cache), SELFIE, ".tflite")
    probe = Interpreter(str(path))
    height, width = (int(side) for side in probe.get_input_details()[0]["shape"][1:3])
    small = np.ascontiguousarray(resize(picture.guidance, (height, width))[None])

    def load() -> Call:
        interpreter = Interpreter(str(path), num_threads=spec.threads)
        interpreter.allocate_tensors()
        taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        interpreter.set_tensor(taken["index"], small)

        def call() -> Sequence[npt.NDArray[Any]]:
            interpreter.invoke()
            return [interpreter.get_tensor(given["index"])]

        return call

    return Prepared(f"LiteRT {version}, {width} x {height}", height * width, load)


def _u2netp(spec: Spec, picture: Photograph) -> Prepared:
    import onnxruntime

    from igf_mobile.images import resize
    from igf_mobile.proof.peers import U2NETP, U2NETP_MEAN, U2NETP_SIDE_PX, U2NETP_STD, model_file

    path = model_file(Path(spec.cache), U2NETP, ".onnx")
    side = U2NETP_SIDE_PX
    normal = (resize(picture.guidance, (side, side)) - np.array(U2NETP_MEAN)) / np.array(U2NETP_STD)
    tensor = np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)

    def load() -> Call:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = spec.threads, 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        taken, given = session.get_inputs()[0].name, session.get_outputs()[0].name
        return lambda: session.run([given], {taken: tensor})

    return Prepared(f"onnxruntime {onnxruntime.__version__}, {side} x {side}", side * side, load)


PEERS: Mapping[str, Peer] = {
    "OpenCV guided filter": Peer(True, _opencv(1.0)),
    "OpenCV fast guided filter": Peer(True, _opencv(_FAST_SCALE)),
    "OpenCV fast guided filter, bytes": Peer(True, _opencv(_FAST_SCALE, "uint8")),
    "our fast guided filter": Peer(False, _own_filter),
    "PyMatting guided filter": Peer(False, _pymatting_guided),
    "PyMatting closed form": Peer(False, _closed_form),
    "MediaPipe selfie": Peer(False, _selfie),
    "u2netp": Peer(False, _u2netp),
}
"""Name -> peer, in the order of the tables."""
