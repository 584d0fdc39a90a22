"""A ranking of layers by what their int8 costs the matte: its data and its file."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from igf_mobile.errors import DamagedFile
from igf_mobile.files import write_text

SCHEMA_VERSION = 1
FILE_NAME = "sensitivity.json"


@dataclass(frozen=True)
class Row:
    """One layer or block."""

    name: str
    layers: tuple[str, ...]
    sad: float
    """Mean over the samples, with these layers quantized and all others float."""
    loss: float
    """`sad` over the float network's, minus 1: 0.01 is 1 % worse."""
    worst: str
    """The sample that lost most."""
    worst_loss: float
    macs: int
    """Multiplications of these layers for one frame."""
    weights: int


@dataclass(frozen=True)
class Sensitivity:
    """A ranking, the most sensitive first."""

    schema_version: int
    checkpoint_sha256: str
    suite: str
    samples: int
    unit: str
    precision: str
    float_sad: float
    all_sad: float
    """With every layer quantized."""
    rows: tuple[Row, ...]

    @property
    def all_loss(self) -> float:
        """As `Row.loss`, with every layer quantized."""
        return self.all_sad / self.float_sad - 1.0


def save(sensitivity: Sensitivity, folder: Path) -> Path:
    """Write `sensitivity.json`."""
    path = Path(folder) / FILE_NAME
    write_text(path, json.dumps(dataclasses.asdict(sensitivity), indent=1, allow_nan=False) + "\n")
    return path


def load(folder: Path) -> Sensitivity | None:
    """Read `sensitivity.json` of a folder; None where there is none.

    Raises:
        DamagedFile: it is not what `save` wrote.
    """
    from pydantic import TypeAdapter, ValidationError

    path = Path(folder) / FILE_NAME
    if not path.exists():
        return None
    try:
        found: Sensitivity = TypeAdapter(Sensitivity).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DamagedFile(f"{path} is not a sensitivity: {str(error).splitlines()[0]}") from error
    if found.schema_version != SCHEMA_VERSION:
        raise DamagedFile(
            f"{path} has schema version {found.schema_version}; this program reads {SCHEMA_VERSION}"
        )
    return found
