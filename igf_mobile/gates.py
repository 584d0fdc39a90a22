"""The gates of a build that are not about distance: what must be so of files, operators and outputs."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from igf_mobile import composites, schemes
from igf_mobile.backends.base import FloatArray
from igf_mobile.files import sha256_of, write_text
from igf_mobile.manifest import ArtifactRecord, Manifest, check_files
from igf_mobile.parity import Tolerance, failures, tolerance_rows

DEFAULT_TOLERANCES = Path(__file__).parent / "weights" / "tolerances.json"
"""Gates of the shipped checkpoint, beside it: they were set from what was measured of it."""

OPERATORS = "operators"
"""The step under which a tolerance bounds the operators that fell back."""

CONVOLUTIONS = 26
"""Convolutions of the network proper; `w8a8` must have them all in int8."""


def check_build(manifest: Manifest, folder: Path, checkpoint: Path) -> list[str]:
    """Files against the manifest, and the manifest against the checkpoint and the shipped samples."""
    sentences = check_files(manifest, folder)
    if (found := sha256_of(checkpoint)) != manifest.checkpoint.sha256:
        sentences.append(
            f"the build is of checkpoint {manifest.checkpoint.sha256[:12]}, {checkpoint} is {found[:12]}; export again"
        )
    for kind, record in (("calibration", manifest.calibration), ("proof", manifest.proof)):
        if (found := sha256_of(composites.FOLDERS[kind])) != record.sha256:
            sentences.append(
                f"the build's {kind} set is {record.sha256[:12]}, this package has {found[:12]}; export again"
            )
    return sentences + _check_ranges(manifest, folder)


def _check_ranges(manifest: Manifest, folder: Path) -> list[str]:
    """The table of activation ranges against the manifest, and against the calibration set it names."""
    if (record := manifest.ranges) is None:
        return []
    sentences = []
    path = folder / record.file.file
    if not path.is_file() or sha256_of(path) != record.file.sha256:
        sentences.append(f"{record.file.file} is not the table of ranges that the artifacts were made from")
    # QAT began on the set of its day, and learned since
    if record.origin == "PTQ" and record.calibration_sha256 != manifest.calibration.sha256:
        sentences.append(
            f"the activation ranges were observed on calibration set {record.calibration_sha256[:12]}, "
            f"the build's is {manifest.calibration.sha256[:12]}; export again"
        )
    return sentences


def check_artifact(record: ArtifactRecord, tolerances: Sequence[Tolerance]) -> list[str]:
    """Distances, fallen-back operators and int8 convolutions of one artifact."""
    name = f"{record.backend} {record.scheme}"
    sentences = []
    if record.parity is not None:
        distances = [t for t in tolerances if t.step != OPERATORS]
        sentences += failures(record.backend, record.scheme, record.parity, distances)
    elif not record.ran_on.startswith("not run: "):
        sentences.append(f"{name}: no parity although it ran on {record.ran_on}")
    fallen = sum(record.fallback.values())
    limit = next(
        (
            t.limit
            for t in tolerances
            if (t.backend, t.scheme, t.step) == (record.backend, record.scheme, OPERATORS)
        ),
        0.0,
    )
    if not fallen <= limit:  # so that a NaN limit fails
        which = ", ".join(f"{count} {operator}" for operator, count in sorted(record.fallback.items()))
        sentences.append(f"{name}: {fallen} operators fell back ({which}), {limit:.0f} are expected")
    if schemes.get(record.scheme).activations == "int8":
        int8 = sum(count for operator, count in record.quantized.items() if "conv" in operator.lower())
        if int8 != CONVOLUTIONS:
            sentences.append(f"{name}: {int8} of {CONVOLUTIONS} convolutions are int8; the rest stayed float")
    return sentences


def check_distinct(alphas: Mapping[str, Sequence[FloatArray]]) -> list[str]:
    """A sentence for each two schemes of a backend whose outputs are the same to the bit.

    Args:
        alphas: `<backend>-<scheme>` -> its alphas of the proof samples.
    """
    sentences = []
    names = sorted(alphas)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            if first.split("-")[0] != second.split("-")[0]:
                continue
            if all(np.array_equal(a, b) for a, b in zip(alphas[first], alphas[second], strict=True)):
                sentences.append(
                    f"{first} and {second} give the same bits: one of them is not what its name says"
                )
    return sentences


def write_tolerances(path: Path, manifest: Manifest) -> None:
    """Set the gates from what `manifest` measured: 1.5 times each error, the fallbacks as counted."""
    rows: list[Tolerance] = []
    for record in manifest.artifacts:
        if record.parity is None:
            continue
        how = f"igf verify --set-tolerances, {record.ran_on}"
        rows += tolerance_rows(record.backend, record.scheme, record.parity, how)
        fallen = float(sum(record.fallback.values()))
        rows.append(Tolerance(record.backend, record.scheme, OPERATORS, "fallback", fallen, fallen, how))
    lines = ",\n".join(json.dumps(dataclasses.asdict(row)) for row in rows)
    write_text(path, f"[\n{lines}\n]\n")
