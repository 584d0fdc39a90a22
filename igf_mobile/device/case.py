"""The golden case a phone checks its artifacts on: `device_case/` of a build, at the artifacts' own size.

It has the form of `shared_vectors/matte`, and the limits of each artifact's alpha. Not in git: 5 MB.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from igf_mobile import composites, gates
from igf_mobile.backends.base import FloatArray
from igf_mobile.composites import load_composites
from igf_mobile.errors import IgfError
from igf_mobile.files import atomic_path, sha256_of, write_text
from igf_mobile.manifest import Manifest
from igf_mobile.matting import FloatRunner
from igf_mobile.model import Generator
from igf_mobile.parity import EXPORTED, QUANTIZED, Tolerance, load_tolerances

FOLDER = "device_case"

_OTHER_PROCESSOR = 1.75
"""The gates were measured on eight samples and x86. A phone's float16 units round elsewhere, and its case is
one sample. No phone has been measured yet; the mutants of tests/device/test_device_case.py fail these limits."""

Limits = dict[str, dict[str, dict[str, float]]]


def device_limits(tolerances: Sequence[Tolerance]) -> Limits:
    """backend -> scheme -> max_abs, mean_abs: how far an artifact's alpha may be from the float model's.

    The gates hold each step: float to fp32, fp32 to the scheme. The sum bounds both together.
    """
    rows = {(t.backend, t.scheme, t.step, t.quantity): t.limit for t in tolerances}
    limits: Limits = {}
    for backend, scheme in sorted({(t.backend, t.scheme) for t in tolerances}):
        steps = [("fp32", EXPORTED)] + ([(scheme, QUANTIZED)] if scheme != "fp32" else [])
        try:
            limits.setdefault(backend, {})[scheme] = {
                name: _OTHER_PROCESSOR * sum(rows[backend, s, step, f"alpha.{name}"] for s, step in steps)
                for name in ("max_abs", "mean_abs")
            }
        except KeyError as error:
            raise IgfError(f"no tolerance for {' '.join(error.args[0])}") from error
    return limits


def write_device_case(model: Generator, manifest: Manifest, build: Path) -> Path | None:
    """Write the first proof sample and the float model's outputs, unless they are there.

    Returns:
        The folder, or None where the artifacts have another size than the proof samples.
    """
    sample = load_composites(composites.FOLDERS["proof"])[0]
    if sample.alpha.shape != tuple(manifest.size):
        return None
    folder = build / FOLDER
    tolerances = load_tolerances(gates.DEFAULT_TOLERANCES)
    for record in manifest.artifacts:
        if record.recipe is not None:
            rows = gates.rows_for(record, tolerances)
            tolerances += [row for row in rows if row.scheme == record.scheme and row not in tolerances]
    description: dict[str, object] = {
        "name": f"proof-{sample.name}",
        "checkpoint": manifest.name,
        "checkpoint_sha256": manifest.checkpoint.sha256,
        "proof_sha256": manifest.proof.sha256,
        "limits": device_limits(tolerances),
    }
    if not _is_current(folder, description):
        guidance, weak_mask = sample.tensors()
        alpha, coefficients = FloatRunner(model)(guidance, weak_mask)
        tensors = {"guidance": guidance, "weak_mask": weak_mask, "alpha": alpha, "coefficients": coefficients}
        write_case(folder, tensors, description)
    return folder


def write_case(folder: Path, tensors: Mapping[str, FloatArray], description: Mapping[str, object]) -> None:
    """Each tensor as `<name>.f32`, and last `case.json`: `description`, shapes and sha256 of the tensors."""
    for name, values in tensors.items():
        with atomic_path(folder / f"{name}.f32") as temporary:
            temporary.write_bytes(values.astype("<f4").tobytes())
    case = {
        "name": folder.name,
        **description,
        "dtype": "little-endian float32",
        "layout": "NCHW",
        "sha256": {name: sha256_of(folder / f"{name}.f32") for name in tensors},
        "shapes": {name: list(values.shape) for name, values in tensors.items()},
    }
    write_text(folder / "case.json", json.dumps(case, indent=1, sort_keys=True) + "\n")


def _is_current(folder: Path, description: dict[str, object]) -> bool:
    try:
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        return {name: case.get(name) for name in description} == description
    except (OSError, ValueError, AttributeError):
        return False
