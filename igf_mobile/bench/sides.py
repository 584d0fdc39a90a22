"""What can be timed: the artifacts of a build, and the same network in torch."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from igf_mobile.manifest import Manifest

Kind = Literal["artifact", "applied", "torch", "peer"]
TORCH = ("eager", "compile")


@dataclass(frozen=True)
class Spec:
    """One side, as it is sent to its process."""

    kind: Kind
    what: str
    """`<backend>-<scheme>` of an artifact, applied or not, a name of `TORCH`, or a name of `peers.PEERS`."""
    threads: int
    size: tuple[int, int]
    """(H, W) of the photograph it is given."""
    build: str
    """The build folder."""
    checkpoint: str | None
    """Weights of the torch sides; None: the shipped ones."""
    cache: str
    """Folder of what was fetched for peers."""
    frame: tuple[int, int] | None = None
    """(H, W) of the frame that an applied artifact's coefficients go to."""
    coefficients_only: bool | None = None
    """Whether an artifact, applied or not, ends at A and B; None of other sides."""
    batch: int = 1
    """Frames of a call; artifacts take one."""

    @property
    def name(self) -> str:
        """As tables show it, without the threads."""
        if self.frame:
            return f"{self.what} + {self.frame[1]}x{self.frame[0]}"
        return f"torch {self.what}" if self.kind == "torch" else self.what

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Spec":
        """The inverse of `dataclasses.asdict` and JSON, which has no tuples."""
        pairs = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return cls(**{**fields, **pairs})


def artifact_specs(manifest: Manifest, base: Spec, only: Sequence[str] = ()) -> list[Spec]:
    """A side per artifact of a build.

    Args:
        manifest: the build's.
        base: the fields that all sides share; the size is the manifest's.
        only: names of artifacts; all when empty.

    Raises:
        ValueError: a name that no artifact has.
    """
    names = [record.name for record in manifest.artifacts]
    if unknown := sorted(set(only) - set(names)):
        raise ValueError(f"the build has no artifact {unknown[0]!r}; it has {', '.join(names)}")
    shared = dataclasses.replace(
        base, kind="artifact", size=manifest.size, coefficients_only=manifest.coefficients_only
    )
    return [dataclasses.replace(shared, what=n) for n in names if not only or n in only]


def applied_specs(
    manifest: Manifest, base: Spec, frame: tuple[int, int], only: Sequence[str] = ()
) -> list[Spec]:
    """As `artifact_specs`; each call goes on to apply the coefficients to a frame (H, W).

    Of `only`, the build may lack some, but not all: it holds what was exported to be applied.
    """
    names = {record.name for record in manifest.artifacts}
    specs = artifact_specs(manifest, base, [name for name in only if name in names] or only)
    return [dataclasses.replace(spec, kind="applied", frame=frame) for spec in specs]


def eager_spec(
    build: Path, checkpoint: Path | None, cache: Path, size: tuple[int, int], threads: int
) -> Spec:
    """Eager torch; the other sides of a run share all but its kind and name."""
    return Spec(
        "torch", "eager", threads, size, str(build), str(checkpoint) if checkpoint else None, str(cache)
    )


def compiled_spec(base: Spec) -> Spec:
    """The same network through torch.compile, which takes a minute of a core to load, three beside others."""
    return dataclasses.replace(base, kind="torch", what="compile")


def cache_folder() -> Path:
    """Where peers, their models and the log are kept; the folder of `proof.cache`, which imports OpenCV."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "igf_mobile"
