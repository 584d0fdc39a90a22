"""Mattes and their errors on disk, by the content that decides them: a new checkpoint redoes its own rows alone."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from igf_mobile import colour_regression, graph, hourglass, matrix, model, primitives, refit, start
from igf_mobile.evaluate import EvalCase, Float32Array
from igf_mobile.files import atomic_path, write_text

DEPTH = 65535.0
"""Mattes are kept as 16-bit PNG, and measured as they are kept."""


def default_folder() -> Path:
    """`igf_mobile` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "igf_mobile"


def digest(*parts: object) -> str:
    """32 hex digits of text, numbers and arrays, in order."""
    total = hashlib.sha256()
    for part in parts:
        content = part.tobytes() if isinstance(part, np.ndarray) else str(part).encode()
        total.update(f"{len(content)}:".encode() + content)
    return total.hexdigest()[:32]


def source_digest(*modules: Any) -> str:
    """Of the source files of modules: results go with the code that made them."""
    return digest(*(Path(module.__file__).read_bytes() for module in modules))


def network_code() -> str:
    """Digest of the package's files that decide what a checkpoint computes."""
    return source_digest(model, hourglass, start, colour_regression, refit, matrix, primitives, graph)


def case_digest(case: EvalCase) -> str:
    """Of everything a photograph is judged by."""
    return digest(case.guidance, case.weak_mask, case.alpha, case.region)


class Cache:
    """A folder of JSON records, some with a matte beside them. A damaged record counts as absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def record(self, key: str) -> dict[str, Any] | None:
        """What was stored under `key`, or None."""
        try:
            value = json.loads(self._path(key, ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def store(self, key: str, value: dict[str, Any]) -> None:
        """Keep a record."""
        write_text(self._path(key, ".json"), json.dumps(value, indent=1, sort_keys=True) + "\n")

    def document(self, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The record of `key`, made and kept if there is none."""
        value = self.record(key)
        if value is None:
            value = make()
            self.store(key, value)
        return value

    def alpha(self, key: str) -> Float32Array | None:
        """The matte (H, W) stored under `key`, or None."""
        path = self._path(key, ".png")
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
        return None if image is None else np.asarray(image / DEPTH, dtype=np.float32)

    def store_alpha(self, key: str, alpha: Float32Array) -> None:
        """Keep a matte (H, W) in [0, 1]."""
        with atomic_path(self._path(key, ".png")) as temporary:
            cv2.imwrite(str(temporary), _steps(alpha))

    def _path(self, key: str, suffix: str) -> Path:
        return self.folder / "proof" / f"{key}{suffix}"


def kept(alpha: Float32Array) -> Float32Array:
    """A matte as the cache gives it back."""
    return np.asarray(_steps(alpha) / DEPTH, dtype=np.float32)


def _steps(alpha: Float32Array) -> Any:
    return np.rint(np.clip(alpha, 0.0, 1.0) * DEPTH).astype(np.uint16)
