"""Checkpoints: a generator's weights and where they came from, in one safetensors file.

Loading one never executes code, and the same weights and information always give the same bytes.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import atomic_path
from igf_mobile.model import Generator

DEFAULT_CHECKPOINT = Path(__file__).parent / "weights" / "igf-512.safetensors"
"""The checkpoint the package ships."""

ARCHITECTURE = "igf-eighth-8"
"""Name of what `model.Generator` computes; to be changed whenever old weights would not fit it any more."""

_METADATA_KEY = "igf_mobile"
"""One key, because safetensors writes several in any order and the file's hash would vary."""

_MAX_WIDTH = 16


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself."""

    name: str
    version: str
    licence: str
    """Of the weights; it follows from the training data's."""
    width: int = 1
    """Of the generator; 1 is the paper's."""
    architecture: str = ARCHITECTURE
    steps: int = 0
    """Optimiser steps taken."""
    recipe: str = "{}"
    """How it was trained, as JSON."""
    origin: str = "float"
    """`float`, or `qat` after quantization-aware training."""
    ranges: str = ""
    """After that, the activation ranges learned with the weights (`ranges.Ranges` as JSON); else empty."""


def save_checkpoint(path: Path, generator: Generator, info: CheckpointInfo) -> None:
    """Write weights, batch-norm statistics and `info`, atomically.

    Raises:
        IgfError: the folder cannot be written.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in generator.state_dict().items()}
    metadata = {_METADATA_KEY: json.dumps(asdict(info), sort_keys=True)}
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(save(tensors, metadata))


def load_checkpoint(path: Path) -> tuple[Generator, CheckpointInfo]:
    """Read a checkpoint.

    Returns:
        The generator in eval mode, float32 on the CPU, and what the file says of it.

    Raises:
        IgfError: there is no such file.
        DamagedFile: it isn't a whole checkpoint of this architecture.
    """
    tensors, metadata = read_safetensors(path)
    info = _info(path, metadata)
    # On the meta device: no memory, and no random numbers drawn for weights that are replaced.
    with torch.device("meta"):
        generator = Generator(info.width)
    check_tensors(path, tensors, generator.state_dict())
    generator.load_state_dict(tensors, assign=True)
    return generator.eval(), info


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        IgfError: there is no such file.
        DamagedFile: it isn't a whole safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise IgfError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DamagedFile(f"{path} is not a whole safetensors file: {reason}") from error


def _info(path: Path, metadata: dict[str, str]) -> CheckpointInfo:
    """The information in a file's metadata, its types checked."""
    try:
        values = json.loads(metadata[_METADATA_KEY])
        wanted = {field.name: field.type for field in fields(CheckpointInfo)}
        if isinstance(values, dict):
            values.setdefault("ranges", "")  # files of before there were any
        if not isinstance(values, dict) or set(values) != set(wanted):
            raise ValueError(f"fields are not {', '.join(wanted)}")
        for name, kind in wanted.items():
            if type(values[name]) is not kind:
                raise ValueError(f"{name}={values[name]!r} is no {kind}")
    except (KeyError, ValueError, RecursionError) as error:
        raise DamagedFile(f"{path} has no readable checkpoint information: {error}") from error
    info = CheckpointInfo(**values)
    if info.architecture != ARCHITECTURE:
        raise DamagedFile(f"{path} has architecture {info.architecture!r}, this program {ARCHITECTURE!r}")
    if not 1 <= info.width <= _MAX_WIDTH:
        raise DamagedFile(f"{path} has width {info.width}, not 1..{_MAX_WIDTH}")
    return info


def check_tensors(path: Path, tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Compare names, shapes and types with a state dictionary's, and refuse NaN and infinity.

    Raises:
        DamagedFile: naming the file and the first tensor that is wrong.
    """
    missing = sorted(set(wanted) - set(tensors))
    extra = sorted(set(tensors) - set(wanted))
    if missing:
        raise DamagedFile(f"{path} lacks tensor {missing[0]} ({len(missing)} missing)")
    if extra:
        raise DamagedFile(f"{path} has unknown tensor {extra[0]} ({len(extra)} extra)")
    for name, tensor in tensors.items():
        want = wanted[name]
        if tensor.shape != want.shape or tensor.dtype != want.dtype:
            raise DamagedFile(
                f"{path}: tensor {name} is {tensor.dtype} {tuple(tensor.shape)}, "
                f"not {want.dtype} {tuple(want.shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise DamagedFile(f"{path}: tensor {name} holds NaN or infinity")


def weights_sha256(model: Generator) -> str:
    """Hash of a generator's weights and batch-norm statistics, by name and content."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
