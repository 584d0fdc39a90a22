"""Runs inside the emulated arm64 machine: standard library, NumPy and ai-edge-litert alone.

Usage: litert_guest.py ARTIFACT FOLDER COUNT. Reads `guidance-<i>.npy` and `weak_mask-<i>.npy` of FOLDER, in the
artifact's own layout; writes `alpha-<i>.npy`, `coefficients-<i>.npy` and at the end `guest.json`.
"""

import json
import sys
from pathlib import Path

import numpy as np

_AT_HWCAP, _AT_HWCAP2 = 16, 26
_FEATURES = {
    "fp16": (_AT_HWCAP, 10),
    "dotprod": (_AT_HWCAP, 20),
    "sve": (_AT_HWCAP, 22),
    "i8mm": (_AT_HWCAP2, 13),
    "bf16": (_AT_HWCAP2, 14),
    "sme": (_AT_HWCAP2, 23),
}
"""Name -> word of the auxiliary vector and bit in it (Linux, asm/hwcap.h)."""


def features() -> list[str]:
    """What the processor says it has, of what changes the kernels that are chosen."""
    import ctypes

    getauxval = ctypes.CDLL(None).getauxval
    getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return [name for name, (word, bit) in _FEATURES.items() if getauxval(word) >> bit & 1]


def main(artifact: str, folder: Path, count: int) -> None:
    """Run `artifact` on `count` samples."""
    from ai_edge_litert import __version__
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(artifact, num_threads=1)
    interpreter.allocate_tensors()
    signature = interpreter.get_signature_runner()
    for index in range(count):
        inputs = {name: np.load(folder / f"{name}-{index}.npy") for name in ("guidance", "weak_mask")}
        for name, value in signature(**inputs).items():
            np.save(folder / f"{name}-{index}.npy", value)
    delegates = sum(node["op_name"] == "DELEGATE" for node in interpreter._get_ops_details())
    found = {"runtime": f"LiteRT {__version__}", "delegates": delegates, "features": features()}
    (folder / "guest.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
