"""Runs inside the old environment: standard library, NumPy and tflite-runtime alone.

Usage: guest.py ARTIFACT FOLDER COUNT. Reads `guidance-<i>.npy` and `weak_mask-<i>.npy` of FOLDER, in the artifact's own
layout; writes `alpha-<i>.npy`, `coefficients-<i>.npy` and at the end `guest.json`: "version", and "refused" where the
runtime does not take the file.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np


def main(artifact: str, folder: Path, count: int) -> None:
    """Run `artifact` on `count` samples."""
    from tflite_runtime.interpreter import Interpreter

    found = {"version": version("tflite-runtime")}
    try:
        interpreter = Interpreter(artifact, num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        found["refused"] = str(error)
    else:
        signature = interpreter.get_signature_runner()
        for index in range(count):
            inputs = {name: np.load(folder / f"{name}-{index}.npy") for name in ("guidance", "weak_mask")}
            for name, value in signature(**inputs).items():
                np.save(folder / f"{name}-{index}.npy", value)
    (folder / "guest.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
