"""Parity in three steps, each against its predecessor, and the gates over it.

1. exported: the float model against the fp32 artifact.
2. quantized: the fp32 artifact of a backend against its artifacts of other schemes.
3. matte: the artifact's matte against the true alpha, as a ratio to the float model's error.

A gate is a row of data: backend, scheme, step, quantity, limit, what was measured and how. A missing
row, a missing quantity and a NaN fail.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from igf_mobile.errors import DamagedFile
from igf_mobile.metrics import AlphaMetrics, sqnr_db

FloatArray = npt.NDArray[np.floating[Any]]

EXPORTED, QUANTIZED, MATTE = "exported", "quantized", "matte"

IDENTICAL_DB = 200.0
"""Stands for an infinite SQNR in JSON; float32 cannot show more than about 150."""

_HIGHER_IS_BETTER = ("sqnr_db",)


@dataclass(frozen=True)
class Comparison:
    """Distance of one tensor from its reference, over all samples."""

    sqnr_db: float
    max_abs: float
    mean_abs: float


@dataclass(frozen=True)
class Parity:
    """What was measured of one artifact."""

    step: str
    """EXPORTED for fp32, QUANTIZED for the others: what `alpha` and `coefficients` compare with."""
    alpha: Comparison
    coefficients: Comparison
    matte: AlphaMetrics
    """Mean over the proof samples, against the true alpha."""
    float_matte: AlphaMetrics
    """The same of the float model."""

    def quantities(self) -> dict[tuple[str, str], float]:
        """(step, quantity) -> value, as the gates name them."""
        values: dict[tuple[str, str], float] = {}
        for tensor in ("alpha", "coefficients"):
            comparison: Comparison = getattr(self, tensor)
            values[self.step, f"{tensor}.sqnr_db"] = comparison.sqnr_db
            values[self.step, f"{tensor}.max_abs"] = comparison.max_abs
            values[self.step, f"{tensor}.mean_abs"] = comparison.mean_abs
        reference = self.float_matte.as_dict()
        for name, value in self.matte.as_dict().items():
            values[MATTE, f"{name}_ratio"] = value / reference[name] if reference[name] else math.nan
        return values


@dataclass(frozen=True)
class Tolerance:
    """One gate."""

    backend: str
    scheme: str
    step: str
    quantity: str
    limit: float
    """Least value for `*.sqnr_db`, greatest value for everything else."""
    measured: float
    how: str

    def failure(self, value: float) -> str | None:
        """None where `value` holds; else a sentence."""
        if self.quantity.split(".")[-1] in _HIGHER_IS_BETTER:
            holds, word = value >= self.limit, "below"
        else:
            holds, word = value <= self.limit, "above"
        if holds:  # False for NaN, whichever the direction
            return None
        return (
            f"{self.backend} {self.scheme}: {self.step} {self.quantity} is {value:.5g},"
            f" {word} the limit {self.limit:.5g} (measured when it was set: {self.measured:.5g})"
        )


def compare(reference: Sequence[FloatArray], other: Sequence[FloatArray]) -> Comparison:
    """Compare tensors pairwise, all samples counted together.

    Raises:
        ValueError: different shapes, a NaN or infinity, or a constant `other` where the reference is
            not: a comparison of such tensors means nothing.
    """
    if len(reference) != len(other) or not reference:
        raise ValueError(f"{len(reference)} reference tensors against {len(other)}")
    for position, (a, b) in enumerate(zip(reference, other, strict=True)):
        if a.shape != b.shape:
            raise ValueError(f"sample {position}: shape {b.shape} instead of {a.shape}")
        for tensor in (a, b):
            if not np.isfinite(tensor).all():
                raise ValueError(
                    f"sample {position}: {int((~np.isfinite(tensor)).sum())} values are not finite"
                )
        if np.ptp(b) == 0 and np.ptp(a) > 0:
            raise ValueError(f"sample {position}: the output is constant ({float(b.flat[0]):.4g})")
    a, b = (np.concatenate([np.ravel(t).astype(np.float64) for t in side]) for side in (reference, other))
    difference = np.abs(a - b)
    return Comparison(min(sqnr_db(a, b), IDENTICAL_DB), float(difference.max()), float(difference.mean()))


def load_tolerances(path: Path) -> list[Tolerance]:
    """The gates in a JSON file: a list of rows with the fields of `Tolerance`.

    Raises:
        DamagedFile: the file is absent, not JSON, or a row is not a gate.
    """
    try:
        rows = [Tolerance(**row) for row in json.loads(Path(path).read_text(encoding="utf-8"))]
        for row in rows:
            if isinstance(row.limit, bool) or not isinstance(row.limit, int | float):
                raise ValueError(
                    f"{row.backend} {row.scheme} {row.quantity}: limit {row.limit!r} is not a number"
                )
        return rows
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DamagedFile(f"{path} is not a table of tolerances: {error}") from error


def failures(backend: str, scheme: str, parity: Parity, tolerances: Sequence[Tolerance]) -> list[str]:
    """One sentence for each gate that `parity` does not pass, and for each that is missing."""
    values = parity.quantities()
    rows = {(t.step, t.quantity): t for t in tolerances if (t.backend, t.scheme) == (backend, scheme)}
    sentences = []
    for key, value in values.items():
        if key not in rows:
            sentences.append(f"{backend} {scheme}: no tolerance for {' '.join(key)} (measured: {value:.5g})")
        elif sentence := rows[key].failure(value):
            sentences.append(sentence)
    sentences += [
        f"{backend} {scheme}: {' '.join(key)} has a tolerance but was not measured"
        for key in rows
        if key not in values
    ]
    return sentences


def tolerance_rows(
    backend: str, scheme: str, parity: Parity, how: str, slack: float = 1.5
) -> list[Tolerance]:
    """Gates set from a measurement: `slack` times an error, or the SQNR that goes with it.

    A ratio of matte errors may be up to `slack` times as far above 1 as measured, and at least 0.5 %.
    """
    rows = []
    for (step, quantity), value in parity.quantities().items():
        if quantity.endswith("sqnr_db"):
            limit = value - 20.0 * math.log10(slack)
        elif quantity.endswith("_ratio"):
            limit = 1.0 + max(slack * (value - 1.0), 0.005)
        else:
            limit = max(slack * value, 1e-7)
        rows.append(Tolerance(backend, scheme, step, quantity, _round(limit), _round(value), how))
    return rows


def _round(value: float) -> float:
    return float(f"{value:.4g}")
