"""`manifest.json`: what a build holds, for people, for `igf verify` and for the apps.

The apps take shapes, ranges, layouts and channel order from here and nowhere else.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from igf_mobile.backends.base import TensorSpec
from igf_mobile.errors import DamagedFile
from igf_mobile.files import sha256_of, size_of, write_text
from igf_mobile.latency import Latency
from igf_mobile.parity import Parity

SCHEMA_VERSION = 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class FileRecord:
    """A file by name and content."""

    file: str
    """Relative to the manifest."""
    sha256: str
    bytes: int

    @classmethod
    def of(cls, path: Path) -> "FileRecord":
        """A file as it is, under its name; or a folder."""
        return cls(path.name, sha256_of(path), size_of(path))

    def is_in(self, folder: Path) -> bool:
        """Whether the build's folder has it, unchanged."""
        path = Path(folder) / self.file
        return path.is_file() and sha256_of(path) == self.sha256


@dataclass(frozen=True)
class RecipeRecord:
    """The recipe of an artifact, and whether it was followed."""

    file: FileRecord
    wanted: dict[str, str]
    """Layer -> precision, as the recipe says."""
    found: dict[str, str]
    """Layer -> precision, as counted in the artifact."""
    max_sad_ratio: float | None
    """The recipe's own gate on the matte."""


@dataclass(frozen=True)
class ArtifactRecord:
    """One exported artifact."""

    file: str
    sha256: str
    bytes: int
    backend: str
    scheme: str
    """A scheme's name, or that of `recipe`."""
    key: str
    """Hash of everything that decides the artifact; the same key means nothing to rebuild."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    delegated: dict[str, int]
    fallback: dict[str, int]
    quantized: dict[str, int]
    notes: tuple[str, ...]
    ran_on: str
    """The runtime that measured `parity`, or "not run: reason"."""
    parity: Parity | None
    latency: Latency | None
    recipe: RecipeRecord | None = None

    @property
    def name(self) -> str:
        """`<backend>-<scheme>`, as its job's (`pipeline.jobs.Job.name`)."""
        return f"{self.backend}-{self.scheme}"


@dataclass(frozen=True)
class RangesRecord:
    """Where a build's int8 weights and `w8a8`'s activation ranges came from; the same for all its runtimes."""

    file: FileRecord
    origin: str
    """`PTQ`: observed on the calibration set. `QAT`: learned with the checkpoint's weights."""
    observer: str
    calibration_sha256: str
    """Of the set they were observed on; with QAT, where learning began."""
    sha256: str
    """`ranges.Ranges.sha256`, which every `w8a8` artifact carries."""
    key: str
    """Hash of what decides them: the same key means that they need not be observed again."""
    rounded: FileRecord | None = None
    """The int8 weights chosen on the same samples (`rounding`), of all artifacts that have any; None after QAT."""

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """What lies in the build's folder."""
        return (self.file,) if self.rounded is None else (self.file, self.rounded)


@dataclass(frozen=True)
class Manifest:
    """A build."""

    schema_version: int
    name: str
    version: str
    licence: str
    checkpoint: FileRecord
    size: tuple[int, int]
    """(H, W) of the artifacts' images."""
    calibration: FileRecord
    proof: FileRecord
    """The samples with true alpha that `parity` was measured on."""
    tools: dict[str, str]
    """Distribution -> version."""
    artifacts: tuple[ArtifactRecord, ...]
    ranges: RangesRecord | None = None
    """Of `w8a8`; None in builds without it."""
    coefficients_only: bool = False
    """The artifacts end at the coefficients: whoever has the frame applies them at its own size."""

    def find(self, backend: str, scheme: str) -> ArtifactRecord | None:
        """The artifact of one backend and scheme."""
        for record in self.artifacts:
            if (record.backend, record.scheme) == (backend, scheme):
                return record
        return None


def save_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write `manifest.json`, sorted and indented, atomically."""
    path = Path(folder) / FILE_NAME
    write_text(
        path, json.dumps(dataclasses.asdict(manifest), indent=1, sort_keys=True, allow_nan=False) + "\n"
    )
    return path


def load_manifest(folder: Path) -> Manifest:
    """Read and validate `manifest.json`.

    Raises:
        DamagedFile: it is absent, not JSON, of another schema version, or a field is missing or of
            another type; the text names the field.
    """
    from pydantic import TypeAdapter, ValidationError

    path = Path(folder) / FILE_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DamagedFile(f"there is no {path}; `igf export` writes it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFile(f"{path} is not readable JSON: {error}") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION:
        raise DamagedFile(f"{path} has schema version {version!r}; this program reads {SCHEMA_VERSION}")
    try:
        manifest: Manifest = TypeAdapter(Manifest).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DamagedFile(f"{path}: {where}: {first['msg']}") from error
    return manifest


def check_files(manifest: Manifest, folder: Path) -> list[str]:
    """One sentence per artifact that is absent or not the file the manifest describes."""
    problems = []
    for record in manifest.artifacts:
        path = Path(folder) / record.file
        if not path.exists():
            problems.append(f"{record.file} is in the manifest but not in {folder}")
        elif size_of(path) != record.bytes:
            problems.append(f"{record.file} has {size_of(path)} bytes, the manifest says {record.bytes}")
        elif sha256_of(path) != record.sha256:
            problems.append(
                f"{record.file} does not have the sha256 of the manifest; it was changed or damaged"
            )
        if record.recipe is not None:
            recipe = record.recipe.file
            if not recipe.is_in(folder):
                problems.append(f"{record.file}: its recipe {recipe.file} is absent or was changed")
    return problems
