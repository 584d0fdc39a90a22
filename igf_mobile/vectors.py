"""`shared_vectors/`: tiny golden cases that the Python, Kotlin and Swift tests all read.

Tensors are raw little-endian float32 files, described by a JSON file beside them.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from igf_mobile.backends.base import FloatArray
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.device_fixture import write_fixture
from igf_mobile.files import atomic_path, sha256_of, write_text
from igf_mobile.latency import percentile
from igf_mobile.matting import FloatRunner
from igf_mobile.samples import load_sample

_SIDE = 64
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


def write_case(folder: Path, tensors: Mapping[str, FloatArray], description: Mapping[str, object]) -> None:
    """Each tensor as `<name>.f32`, and last `case.json`: `description`, shapes and sha256 of the tensors."""
    for name, values in tensors.items():
        with atomic_path(folder / f"{name}.f32") as temporary:
            temporary.write_bytes(values.astype("<f4").tobytes())
    case = {
        **description,
        "dtype": "little-endian float32",
        "layout": "NCHW",
        "sha256": {name: sha256_of(folder / f"{name}.f32") for name in tensors},
        "shapes": {name: list(values.shape) for name, values in tensors.items()},
    }
    write_text(folder / "case.json", json.dumps(case, indent=1, sort_keys=True) + "\n")
