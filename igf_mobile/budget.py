"""How large artifacts may be and how much accuracy they may cost: the goal, and what holds today, as data.

`igf verify` fails past what holds and says where the goal is not met yet.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from igf_mobile.contents.parts import parts
from igf_mobile.errors import DamagedFile
from igf_mobile.files import size_of
from igf_mobile.manifest import ArtifactRecord, Manifest

DEFAULT_BUDGET = Path(__file__).parent / "weights" / "budget.json"

BYTES, WEIGHT_BYTES, SAD_RATIO = "bytes", "weight_bytes", "sad_ratio"
METRICS = ("sad", "mse", "grad", "conn")
ON_PHOTOGRAPHS = "photographs_{}_ratio"
_PHOTOGRAPH_RATIOS = tuple(ON_PHOTOGRAPHS.format(metric) for metric in METRICS)
_RATIOS = (SAD_RATIO, *_PHOTOGRAPH_RATIOS)
_QUANTITIES = (BYTES, WEIGHT_BYTES, *_RATIOS)

PHOTOGRAPHS = "photographs.json"
"""What `igf eval --artifacts` measured, in a build's folder."""

ANY = "any"
"""A bound of every backend's artifact of a scheme."""


@dataclass(frozen=True)
class Bound:
    """One line of the budget."""

    backend: str
    """Its name, or any."""
    scheme: str
    quantity: str
    """bytes of the artifact, weight_bytes (an .mlpackage's weight files), sad_ratio (of the float model's, on the proof
    composites), photographs_sad_ratio and _mse_, _grad_, _conn_ (on photographs with true alpha)."""
    goal: float
    holds: float
    """What it must not exceed today; above the goal where that is not met."""
    why: str
    """What stands between the two; empty where the goal holds."""

    @property
    def on_photographs(self) -> bool:
        """Whether it is held to what `igf eval --artifacts` measured."""
        return self.quantity in _PHOTOGRAPH_RATIOS

    def __post_init__(self) -> None:
        where = f"budget of {self.backend} {self.scheme} {self.quantity}"
        if self.quantity not in _QUANTITIES:
            raise ValueError(f"{where}: the quantity is not one of {', '.join(_QUANTITIES)}")
        for name in ("goal", "holds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < math.inf:
                raise ValueError(f"{where}: {name} {value!r} is not a positive number")
        if self.holds < self.goal:
            raise ValueError(
                f"{where}: it holds {self.holds:g}, which is tighter than the goal {self.goal:g}"
            )
        if (self.holds > self.goal) != bool(self.why):
            raise ValueError(f"{where}: a goal that is not met needs its reason, and only such a one")


@dataclass(frozen=True)
class Spending:
    """What an artifact takes of one bound."""

    bound: Bound
    value: float | None
    """None where it was not measured."""
    parts: str = ""
    """Where the bytes are; empty for a ratio and where nothing reads the file."""

    @property
    def failure(self) -> str | None:
        """A sentence where the value is past what holds, or is none."""
        b = self.bound
        if self.value is None:
            return f"{b.backend} {b.scheme}: {b.quantity} has a budget but was not measured"
        if self.value <= b.holds:  # False for NaN
            return None
        return (
            f"{b.backend} {b.scheme}: {b.quantity} {_text(self.value)} is past the budget, {_text(b.holds)}"
        )

    @property
    def unmet(self) -> str | None:
        """A sentence where the value is within what holds and past the goal."""
        b = self.bound
        if self.failure or self.value is None or self.value <= b.goal:
            return None
        spent = f"{b.quantity} {_text(self.value)}, goal {_text(b.goal)}"
        return f"goal not met: {b.backend} {b.scheme}: {spent}: {b.why}{self.parts}"


def load_budget(path: Path = DEFAULT_BUDGET) -> list[Bound]:
    """The bounds in a JSON file, a list of rows with the fields of `Bound`.

    Raises:
        DamagedFile: the file is absent, not JSON, or a row is not a bound.
    """
    try:
        return [Bound(**row) for row in json.loads(Path(path).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DamagedFile(f"{path} is not a budget: {error}") from error


def spend(manifest: Manifest, folder: Path, bounds: Sequence[Bound]) -> list[Spending]:
    """Each bound with what the artifacts of a build take of it; bounds of artifacts that it lacks are left out.

    A ratio of an artifact that did not run ("not run: reason") is left out too, for the record says why; and those on
    photographs that were not measured, for they need photographs (`not_on_photographs` names them).
    """
    photographs = on_photographs(manifest, folder)
    found = []
    for bound in bounds:
        for record in manifest.artifacts:
            if bound.scheme != record.scheme or bound.backend not in (record.backend, ANY):
                continue
            if bound.quantity in _RATIOS and record.ran_on.startswith("not run: "):
                continue
            if bound.on_photographs:
                ratios = photographs.get(record.name)
                if ratios is None:
                    continue
                value: float | None = ratios[bound.quantity]
            else:
                value = _value(bound.quantity, record, folder)
            unmet = bound.quantity not in _RATIOS and value is not None and value > bound.goal
            own = dataclasses.replace(bound, backend=record.backend)
            found.append(Spending(own, value, _parts(folder / record.file) if unmet else ""))
    return found


def on_photographs(manifest: Manifest, folder: Path) -> dict[str, dict[str, float]]:
    """`<backend>-<scheme>` -> quantity -> ratio, as far as `igf eval --artifacts` measured these very files.

    Raises:
        DamagedFile: what it wrote cannot be read.
    """
    path = folder / PHOTOGRAPHS
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["artifacts"]
        return {
            name: {ON_PHOTOGRAPHS.format(m): float(rows[name][f"{m}_ratio"]) for m in METRICS}
            for record in manifest.artifacts
            if (name := record.name) in rows and rows[name].get("sha256") == record.sha256
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedFile(f"{path} is not readable: {error!r}; `igf eval --artifacts` writes it") from error


def not_on_photographs(manifest: Manifest, folder: Path) -> list[str]:
    """Names of the artifacts that run here and were not measured on photographs."""
    measured = on_photographs(manifest, folder)
    here = [record for record in manifest.artifacts if not record.ran_on.startswith("not run: ")]
    return [record.name for record in here if record.name not in measured]


def _value(quantity: str, record: ArtifactRecord, folder: Path) -> float | None:
    if quantity == BYTES:
        return record.bytes
    if quantity == WEIGHT_BYTES:
        files = [size_of(file) for file in (folder / record.file).glob("Data/*/weights/*")]
        return float(sum(files)) if files else None
    if record.parity is None:
        return None
    reference = record.parity.float_matte.sad
    return record.parity.matte.sad / reference if reference else math.nan


def _parts(path: Path) -> str:
    found = parts(path)
    return f" ({', '.join(f'{size:,} {name}' for name, size in found.items())})" if found else ""


def _text(value: float) -> str:
    return f"{value:.4f}" if value < 100.0 else f"{value:,.0f}"


def as_json(spendings: Sequence[Spending]) -> list[dict[str, object]]:
    """For `--json`: the bounds' fields, the value and what it says."""
    return [
        {**dataclasses.asdict(s.bound), "value": s.value, "failure": s.failure, "unmet": s.unmet}
        for s in spendings
    ]
