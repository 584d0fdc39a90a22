"""The golden case of a build for phones: inputs at the artifacts' size, the float model's matte, limits.

Both apps bundle it and hold every artifact to it on the device.
"""

from pathlib import Path

import numpy as np

from igf_mobile import backends, composites
from igf_mobile.backends.base import BackendUnavailable, FloatArray
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.errors import DamagedFile
from igf_mobile.files import sha256_of
from igf_mobile.manifest import ArtifactRecord, load_manifest
from igf_mobile.matting import FloatRunner
from igf_mobile.parity import compare
from igf_mobile.vectors import write_case

SLACK = 1.5
"""As `parity.tolerance_rows`: a limit is this many times what was measured."""

LEAST_LIMITS = {"max_abs": 0.5 / 255.0, "mean_abs": 1e-5}
"""Limits no smaller than these: half an 8-bit step, which another processor's float32 arithmetic may
move a pixel by. float16 arithmetic moves some by 0.015, and does not pass as float32."""


def write_device_case(build: Path, checkpoint: Path, folder: Path) -> dict[str, str]:
    """Write the first proof composite, the float model's outputs for it, and a limit per artifact.

    The limit of an artifact comes from running it here. One that cannot run here gets none, and the apps
    then do not pass it.

    Returns:
        Artifact file -> why it has no limit.

    Raises:
        DamagedFile: the manifest is absent, or the build is of another checkpoint.
    """
    manifest = load_manifest(build)
    if (found := sha256_of(checkpoint)) != manifest.checkpoint.sha256:
        raise DamagedFile(
            f"{build} is of checkpoint {manifest.checkpoint.sha256[:12]}, {checkpoint} is {found[:12]}; export again"
        )
    sample = composites.load_composites(composites.FOLDERS["proof"])[0]
    guidance, weak_mask = sample.tensors()
    model, _ = load_checkpoint(checkpoint)
    alpha, coefficients = FloatRunner(model)(guidance, weak_mask)
    limits: dict[str, dict[str, dict[str, float | str]]] = {}
    missing: dict[str, str] = {}
    for record in manifest.artifacts:
        try:
            limit = _limit(build, record, (guidance, weak_mask), alpha)
        except BackendUnavailable as error:
            missing[record.file] = str(error)
        else:
            limits.setdefault(record.backend, {})[record.scheme] = limit
    tensors = {"guidance": guidance, "weak_mask": weak_mask, "alpha": alpha, "coefficients": coefficients}
    description: dict[str, object] = {
        "name": f"proof-{sample.name}",
        "checkpoint": manifest.checkpoint.file,
        "checkpoint_sha256": manifest.checkpoint.sha256,
        "limits": limits,
    }
    write_case(folder, tensors, description)
    return missing


def _limit(
    build: Path, record: ArtifactRecord, inputs: tuple[FloatArray, FloatArray], alpha: FloatArray
) -> dict[str, float | str]:
    """What an artifact's alpha may differ from the float model's by, and the evidence."""
    runner = backends.get(record.backend).load(build / record.file)
    distance = compare([alpha], [runner(*inputs)[0]])
    row: dict[str, float | str] = {"how": f"{SLACK} x measured, {runner.description}"}
    for quantity, least in LEAST_LIMITS.items():
        measured = float(getattr(distance, quantity))
        row[quantity] = float(np.format_float_positional(max(SLACK * measured, least), 4, fractional=False))
        row[f"measured_{quantity}"] = measured
    return row
