"""The gates of a build that are not about distance: what must be so of files, operators and outputs."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from igf_mobile import backends, composites, coreml_palettes, recipes
from igf_mobile.backends.base import FloatArray
from igf_mobile.contents.check import check_contents, match
from igf_mobile.contents.layers import Layer
from igf_mobile.errors import IgfError
from igf_mobile.files import sha256_of, write_text
from igf_mobile.manifest import ArtifactRecord, Manifest, check_files
from igf_mobile.parity import Tolerance, failures, load_tolerances, tolerance_rows

if TYPE_CHECKING:
    from igf_mobile.contents.expected import Expected

Matched = list[tuple[Layer, "Expected"]]

DEFAULT_TOLERANCES = Path(__file__).parent / "weights" / "tolerances.json"
"""Gates of the shipped checkpoint, beside it: they were set from what was measured of it."""

OPERATORS = "operators"
"""The step under which a tolerance bounds the operators that fell back."""

CONVOLUTIONS = 20
"""Convolutions of the network proper."""

_QUANTIZED = {
    "w8a8": (CONVOLUTIONS, "int8"),
    "p4": (CONVOLUTIONS - sum(coreml_palettes.KEPT.values()), "palettized"),
}
"""Scheme -> how many `ArtifactRecord.quantized` must count, and what as."""

_NEAR = 0.02
"""This near to 0 or 1 a matte is black or white."""
_UNSATURATED = 0.5
"""Share of the float model's grey pixels that an artifact must have."""
_ROUNDING = 1e-3
"""alpha may be this far outside [0, 1]: one unit of float16 at 1."""


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
    """Int8 weights and activation ranges against the manifest, and against the calibration set it names."""
    if (record := manifest.ranges) is None:
        return []
    sentences = [
        f"{file.file} is not the file that the artifacts were made from"
        for file in record.files
        if not file.is_in(folder)
    ]
    # QAT began on the set of its day, and learned since
    if record.origin == "PTQ" and record.calibration_sha256 != manifest.calibration.sha256:
        sentences.append(
            f"int8 weights and activation ranges are of calibration set {record.calibration_sha256[:12]}, "
            f"the build's is {manifest.calibration.sha256[:12]}; export again"
        )
    return sentences


def check_artifact(record: ArtifactRecord, tolerances: Sequence[Tolerance]) -> list[str]:
    """Distances, fallen-back operators and int8 convolutions of one artifact."""
    name = f"{record.backend} {record.scheme}"
    sentences = _check_recipe(record, name)
    tolerances = rows_for(record, tolerances)
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
    found = sum(count for operator, count in record.quantized.items() if "conv" in operator.lower())
    if record.recipe is not None:
        wanted = list(record.recipe.wanted.values()).count(recipes.STATIC)
        if wanted and found != wanted:  # weight-only layers alone are no int8 operators in every runtime
            sentences.append(f"{name}: {found} convolutions are int8, {wanted} in the recipe")
    elif record.scheme in _QUANTIZED:
        count, kind = _QUANTIZED[record.scheme]
        if found != count:
            sentences.append(f"{name}: {found} of {count} convolutions are {kind}; the rest stayed float")
    return sentences


def _check_recipe(record: ArtifactRecord, name: str) -> list[str]:
    """Each layer against the artifact's recipe, and the matte against the recipe's own limit."""
    if record.recipe is None:
        return []
    wanted, found = record.recipe.wanted, record.recipe.found
    sentences = [
        f"{name}: {layer} is {found.get(layer, 'absent')} in the file, {precision} in the recipe"
        for layer, precision in wanted.items()
        if found.get(layer) != precision
    ]
    limit = record.recipe.max_sad_ratio
    if limit is not None and record.parity is not None:
        ratio = record.parity.matte.sad / record.parity.float_matte.sad
        if not ratio <= limit:
            sentences.append(f"{name}: matte sad_ratio is {ratio:.5g}, above the recipe's {limit:.5g}")
    return sentences


def rows_for(record: ArtifactRecord, tolerances: Sequence[Tolerance]) -> Sequence[Tolerance]:
    """The gates that bind an artifact: a recipe without its own has those of the coarsest scheme in it."""
    if record.recipe is None or any(
        (t.backend, t.scheme) == (record.backend, record.scheme) for t in tolerances
    ):
        return tolerances
    own = (record.backend, binding_scheme(record))
    return [dataclasses.replace(t, scheme=record.scheme) for t in tolerances if (t.backend, t.scheme) == own]


def binding_scheme(record: ArtifactRecord) -> str:
    """The scheme whose limits bind an artifact: its own, or the coarsest of its recipe."""
    if record.recipe is None:
        return record.scheme
    precisions = record.recipe.wanted.values()
    return next(p for p in (recipes.STATIC, recipes.WEIGHTS) if p in precisions)


def check_layers(
    record: ArtifactRecord, folder: Path, expected: Sequence["Expected"]
) -> tuple[list[str], Matched]:
    """The convolutions in the file against the checkpoint and the calibration set, layer by layer.

    Returns:
        A sentence per failure, and each convolution with its layer of the checkpoint: none where nothing reads them.
    """
    backend = backends.get(record.backend)
    if backend.layers is None:
        return [], []
    try:
        layers = backend.layers(folder / record.file)
    except (ValueError, IgfError) as error:
        return [f"{record.name}: {record.file}: {error}"], []
    precisions = record.recipe.wanted if record.recipe else None
    sentences = check_contents(record.file, binding_scheme(record), layers, expected, precisions)
    return sentences, match(layers, expected)


def check_outputs(name: str, alphas: Sequence[FloatArray], references: Sequence[FloatArray]) -> list[str]:
    """A sentence for each matte that is all but black and white where the reference is not.

    Args:
        name: `<backend>-<scheme>`.
        alphas: its mattes of the proof samples.
        references: the float model's.
    """
    sentences = []
    for position, (alpha, reference) in enumerate(zip(alphas, references, strict=True)):
        found, wanted = (float(((a > _NEAR) & (a < 1.0 - _NEAR)).mean()) for a in (alpha, reference))
        if not found >= _UNSATURATED * wanted:
            sentences.append(
                f"{name}: sample {position}: the matte is saturated: {found:.2%} of it lie between black and white, "
                f"{wanted:.2%} in the float model's"
            )
    return sentences


def check_stress(name: str, outputs: Mapping[str, tuple[FloatArray, FloatArray]]) -> list[str]:
    """A sentence for each stress input whose matte is no matte.

    Args:
        name: `<backend>-<scheme>`.
        outputs: name of the input -> alpha and coefficients.
    """
    sentences = []
    for what, (alpha, coefficients) in outputs.items():
        broken = sum(int((~np.isfinite(tensor)).sum()) for tensor in (alpha, coefficients))
        if broken:
            sentences.append(f"{name}: {what}: {broken} values are not finite")
        elif not (alpha.min() >= -_ROUNDING and alpha.max() <= 1.0 + _ROUNDING):
            sentences.append(f"{name}: {what}: alpha reaches from {alpha.min():.4g} to {alpha.max():.4g}")
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
    """Set the gates from what `manifest` measured: 1.5 times each error, the fallbacks as counted.

    Rows of artifacts that it does not hold stay as they are in `path`.
    """
    rows: list[Tolerance] = []
    for record in manifest.artifacts:
        if record.parity is None:
            continue
        how = f"igf verify --set-tolerances, {record.ran_on}"
        rows += tolerance_rows(record.backend, record.scheme, record.parity, how)
        fallen = float(sum(record.fallback.values()))
        rows.append(Tolerance(record.backend, record.scheme, OPERATORS, "fallback", fallen, fallen, how))
    measured = {(row.backend, row.scheme) for row in rows}
    before = load_tolerances(path) if path.exists() else []
    rows = [row for row in before if (row.backend, row.scheme) not in measured] + rows
    lines = ",\n".join(json.dumps(dataclasses.asdict(row)) for row in rows)
    write_text(path, f"[\n{lines}\n]\n")
