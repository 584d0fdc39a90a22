"""The activation ranges of `w8a8` as data: one (minimum, maximum) per site, for all runtimes.

A table says which weights it is of, which samples and which observer it came from, and has a hash; it is
JSON, in a file of its own or in the metadata of a checkpoint that learned it.
"""

import hashlib
import json
import math
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import write_text

SCHEMA_VERSION = 1

Range = tuple[float, float]

LOGISTIC: Range = (0.0, 255.0 / 256.0)
"""Of every sigmoid: LiteRT's LOGISTIC has the fixed output scale 1/256, and the others follow."""

LEAST_SCALE = 2.0**-14
"""Below it a scale would not be a normal float16, as which Core ML keeps it."""

OFF_GRID = 1.0 + 2.0**-13
"""What enters the network has a range wider by this than was observed. Otherwise means of blocks of 16 pixels of 8 bits
lie half-way between two steps of 1/255 once in 16 times, and the last bit of a float sum, which differs by processor,
decides which one they become. Now none is nearer to such a place than 1.2e-4 of its value, the most there can be."""

LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True)
class Ranges:
    """The ranges of one set of weights."""

    observer: str
    """One of `observers.OBSERVERS`, or `qat`: learned with the weights."""
    calibration_sha256: str
    """Of the folder of samples that the ranges were observed on; QAT starts from there."""
    weights_sha256: str
    """`checkpoint.weights_sha256` of the network they belong to."""
    table: dict[str, Range]
    """Site -> (minimum, maximum), with minimum <= 0 <= maximum."""
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Refuse what no runtime can quantize with, naming the site."""
        if not self.table:
            raise IgfError("a table of ranges without a site")
        for site, (low, high) in self.table.items():
            if not (math.isfinite(low) and math.isfinite(high) and low <= 0.0 <= high and low < high):
                raise IgfError(f"the range of {site} is ({low}, {high}); it must be finite and hold 0")

    def __getitem__(self, site: str) -> Range:
        """The range of a site.

        Raises:
            IgfError: the table has none; it is of another network.
        """
        try:
            return self.table[site]
        except KeyError:
            raise IgfError(f"the table of ranges has no {site!r}; it is of another network") from None

    def to_json(self) -> str:
        """Sorted, a site a line."""
        head = {name: value for name, value in asdict(self).items() if name != "table"}
        lines = [f"  {json.dumps(site)}: {json.dumps(limits)}" for site, limits in sorted(self.table.items())]
        table = ",\n".join(lines)
        return json.dumps(head, indent=1, sort_keys=True)[:-2] + f',\n "table": {{\n{table}\n }}\n}}\n'

    @property
    def sha256(self) -> str:
        """Of the table's content, however it is written."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def grid(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of the asymmetric int8 that LiteRT and XNNPACK make of a range."""
    scale = max((high - low) / (HIGHEST - LOWEST), LEAST_SCALE)
    zero_point = round(LOWEST - low / scale)
    return scale, min(max(zero_point, LOWEST), HIGHEST)


def symmetric_grid(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point for Core ML: uint8 from 0 where nothing is negative, symmetric int8 elsewhere.

    The scale of the former is that of `grid`. Core ML has no zero points other than 0 here.
    """
    if low >= 0.0:
        return grid(0.0, high)[0], 0
    return max(max(-low, high) / HIGHEST, LEAST_SCALE), 0


def range_of(scale: float, zero_point: int) -> Range:
    """The range whose `grid` has this scale and zero point."""
    return (LOWEST - zero_point) * scale, (HIGHEST - zero_point) * scale


def parse(text: str, source: str) -> Ranges:
    """A table from its JSON.

    Args:
        text: of `Ranges.to_json`.
        source: what to call it in an error.

    Raises:
        DamagedFile: it is not such a table.
    """
    try:
        data = json.loads(text)
        version = data["schema_version"]
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema version {version!r}, this program reads {SCHEMA_VERSION}")
        for name in ("observer", "calibration_sha256", "weights_sha256"):
            if not isinstance(data[name], str):
                raise ValueError(f"{name}={data[name]!r} is no text")
        table = {str(site): (float(low), float(high)) for site, (low, high) in data["table"].items()}
        return Ranges(data["observer"], data["calibration_sha256"], data["weights_sha256"], table)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, IgfError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise DamagedFile(f"{source} is not a table of activation ranges: {reason}") from error


def load(path: Path) -> Ranges:
    """Read a table; errors as in `parse`."""
    try:
        return parse(Path(path).read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} is not a table of activation ranges: {error}") from error


def save(path: Path, ranges: Ranges) -> None:
    """Write a table, atomically."""
    write_text(path, ranges.to_json())


def widened(table: Mapping[str, Range]) -> dict[str, Range]:
    """The same ranges, made to hold 0 and to be wide enough for `LEAST_SCALE`.

    A minimum of less than half a step below 0 becomes 0: it is rounding noise, and int8 has 0 for it anyway. Core ML
    then has a bit more for the tensor.
    """
    least = LEAST_SCALE * (HIGHEST - LOWEST)
    result = {}
    for site, (low, high) in table.items():
        low, high = min(low, 0.0), max(high, 0.0)
        low = 0.0 if low > -high / (2.0 * (HIGHEST - LOWEST)) else low
        result[site] = (low, max(high, low + least))
    return result


def off_grid(table: Mapping[str, Range], entering: Container[str]) -> dict[str, Range]:
    """The same ranges, those of `entering` sites (`sites.Sites.entering`) wider by `OFF_GRID`."""
    return {
        site: (OFF_GRID * low, OFF_GRID * high) if site in entering else (low, high)
        for site, (low, high) in table.items()
    }
