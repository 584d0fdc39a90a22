"""Mixed-precision recipes: for each convolution, which numbers it computes with, as a JSON file.

    {
     "schema_version": 1,
     "name": "float-heads",
     "description": "int8 but for the two heads",
     "default": "w8a8",
     "layers": {"hourglass.*_head": "float32", "hourglass.residual.0": "w8"},
     "max_sad_ratio": 1.01
    }

A key of `layers` is a layer's name, a block's name or a pattern (`*`, `?`, `[ab]`). A layer's own name
overrules the others; two of the others that disagree on a layer are refused. What lies between the
convolutions (additions, products, upsampling) is int8 where every convolution around
it is `w8a8`.
"""

import difflib
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from igf_mobile import schemes
from igf_mobile.errors import DamagedFile

SCHEMA_VERSION = 1

FLOAT, WEIGHTS, STATIC = "float32", "w8", "w8a8"
PRECISIONS = {
    FLOAT: "float32 weights and arithmetic",
    WEIGHTS: "int8 weights, one scale per channel; float arithmetic",
    STATIC: "static int8: weights per channel, activations calibrated",
}
"""What a layer can compute with; a backend's `layer_precisions` says which of them it has."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_FIELDS = {"schema_version", "name", "description", "default", "layers", "max_sad_ratio"}


@dataclass(frozen=True)
class Recipe:
    """A recipe file, checked but for the names of layers."""

    name: str
    """Stands where a scheme's name would: in file names, the manifest and the metadata."""
    default: str
    layers: Mapping[str, str] = field(default_factory=dict)
    """Layer, block or pattern -> precision, where it is not the default."""
    description: str = ""
    max_sad_ratio: float | None = None
    """The gate on the matte: SAD over the float model's SAD, on the proof set."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"recipe name {self.name!r} is not of a-z, 0-9, - and .")
        if self.name in schemes.SCHEMES:
            raise ValueError(f"recipe name {self.name!r} is that of a scheme; choose another")
        for where, precision in (("default", self.default), *self.layers.items()):
            if precision not in PRECISIONS:
                choices = ", ".join(PRECISIONS)
                raise ValueError(f"recipe {self.name!r}: {where}: {precision!r} is not one of {choices}")
        limit = self.max_sad_ratio
        if limit is not None and not (math.isfinite(limit) and limit > 0.0):
            raise ValueError(f"recipe {self.name!r}: max_sad_ratio {limit} is not a positive number")

    def resolve(self, names: Sequence[str]) -> dict[str, str]:
        """Layer -> precision, for every layer of `names` in their order.

        Raises:
            ValueError: a key that fits no layer (the near names are listed), or two keys that disagree.
        """
        chosen: dict[str, str] = {}
        key_of: dict[str, str] = {}
        for key, precision in sorted(self.layers.items(), key=lambda item: item[0] in names):
            fitting = [name for name in names if _fits(key, name)]
            if not fitting:
                raise ValueError(f"recipe {self.name!r}: no layer fits {key!r}; {_near(key, names)}")
            for name in fitting:
                if chosen.get(name, precision) != precision and key != name:
                    raise ValueError(
                        f"recipe {self.name!r}: {key_of[name]!r} and {key!r} disagree on {name}; name the layer itself"
                    )
                chosen[name], key_of[name] = precision, key
        return {name: chosen.get(name, self.default) for name in names}

    def uses(self, precision: str) -> bool:
        """Whether the recipe names it, for whatever layer."""
        return precision in (self.default, *self.layers.values())

    def text(self) -> str:
        """The file's content, the same for the same recipe."""
        content: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "name": self.name}
        if self.description:
            content["description"] = self.description
        content |= {"default": self.default, "layers": dict(sorted(self.layers.items()))}
        if self.max_sad_ratio is not None:
            content["max_sad_ratio"] = self.max_sad_ratio
        return json.dumps(content, indent=1) + "\n"

    @property
    def sha256(self) -> str:
        """Of `text()`: layout and order of the file as written do not count."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        DamagedFile: it is absent, not JSON, of another schema version, or a field is unknown, missing,
            given twice or of another type.
        ValueError: a name or precision that is none.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFile(f"{path} is not a readable recipe: {error}") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION:
        raise DamagedFile(f"{path} has schema version {version!r}; this program reads {SCHEMA_VERSION}")
    if unknown := sorted(set(data) - _FIELDS):
        raise DamagedFile(f"{path}: unknown field {unknown[0]!r}; there are {', '.join(sorted(_FIELDS))}")
    fields = {name: value for name, value in data.items() if name != "schema_version"}
    for name in ("name", "default", "description"):
        if not isinstance(fields.get(name, "" if name == "description" else None), str):
            raise DamagedFile(f"{path}: {name} is {fields.get(name)!r}, not a string")
    layers = fields.get("layers", {})
    if not isinstance(layers, dict) or not all(isinstance(value, str) for value in layers.values()):
        raise DamagedFile(f"{path}: layers is not an object of names and precisions")
    limit = fields.get("max_sad_ratio")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
        raise DamagedFile(f"{path}: max_sad_ratio is {limit!r}, not a number")
    try:
        return Recipe(**fields)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def check_precisions(name: str, layers: Mapping[str, str], backend: str, available: Sequence[str]) -> None:
    """Refuse a resolved recipe that a backend cannot compute.

    Raises:
        ValueError: says which layer wants what, and what the backend has.
    """
    if not available:
        raise ValueError(f"{backend} takes no recipes; it exports whole schemes only")
    for layer, precision in layers.items():
        if precision not in available:
            raise ValueError(
                f"recipe {name!r} wants {precision} for {layer}; {backend} has {', '.join(available)} for a layer"
            )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise ValueError(f"{twice!r} is given twice")
    return dict(pairs)


def _fits(key: str, name: str) -> bool:
    return name == key or name.startswith(f"{key}.") or fnmatchcase(name, key)


def _near(key: str, names: Sequence[str]) -> str:
    blocks = {".".join(parts[:end]) for name in names for parts in (name.split("."),) for end in range(2, 9)}
    near = difflib.get_close_matches(key, sorted(blocks | set(names)), n=4, cutoff=0.5)
    return f"near it: {', '.join(near)}" if near else f"layers are {', '.join(names)}"
