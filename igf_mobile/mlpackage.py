"""An .mlpackage on disk: is it whole, its metadata, each constant once, and the same bytes for the same model."""

import json
import struct
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from igf_mobile.errors import DamagedFile

_CONVERTER_PREFIX = "com.github.apple.coremltools."
_CONVERSION_DATE = _CONVERTER_PREFIX + "conversion_date"
_STRAY_FILE = "executorch_debug_handle_mapping.json"
"""coremltools writes it for every program that came from `torch.export`; it is no part of the package."""

_NAMESPACE = uuid.UUID("7a3c1a52-5f0e-5c55-9c1d-1f6f0d3c0b11")
"""Any constant will do: the package's items only need identifiers that stay the same."""

_BLOB_HEADER = struct.Struct("<IIQQ")
_BLOB_SENTINEL = 0xDEADBEEF


def read_spec(path: Path) -> Any:
    """The Model protobuf of a package whose parts are all there.

    coremltools would crash the process on a cut weight file (it maps the file and reads past the
    end), so everything is looked at before its reader is.

    Raises:
        DamagedFile: a part is missing, cut or is not what it should be; says which.
    """
    from coremltools.proto import Model_pb2

    file = _model_file(path)
    spec = Model_pb2.Model()
    try:
        spec.ParseFromString(file.read_bytes())
    except Exception as error:  # protobuf's own class for this depends on its implementation
        raise DamagedFile(f"{path}: {file.name} is not a Core ML model: {error}") from error
    kind = spec.WhichOneof("Type")
    if kind != "mlProgram":
        raise DamagedFile(f"{path}: {file.name} holds {kind or 'nothing'}, not an mlProgram")
    if "main" not in spec.mlProgram.functions:
        raise DamagedFile(f"{path}: {file.name} has no function 'main'")
    _check_weights(path, spec.mlProgram)
    return spec


def weights_folder(path: Path) -> Path:
    """Where the package keeps its weights, as its manifest has it."""
    entries = _manifest(path)["itemInfoEntries"].values()
    names = [entry["path"] for entry in entries if entry.get("name") == "weights"]
    return path / "Data" / names[0] if names else path / "Data"


def read_metadata(path: Path) -> dict[str, str]:
    """What `finish` wrote, without the converter's own notes.

    Raises:
        DamagedFile: see `read_spec`.
    """
    stored = read_spec(path).description.metadata.userDefined
    return {key: stored[key] for key in sorted(stored) if not key.startswith(_CONVERTER_PREFIX)}


def finish(path: Path, metadata: Mapping[str, str]) -> None:
    """Write `metadata` into a fresh package and take out what is repeated and what differs from run to run.

    That is: the date of conversion, the random identifiers in Manifest.json, the order of protobuf's
    maps, and a debugging file.
    """
    (path / _STRAY_FILE).unlink(missing_ok=True)
    spec = read_spec(path)
    for block in spec.mlProgram.functions["main"].block_specializations.values():
        _share_constants(block)
    stored = spec.description.metadata
    stored.shortDescription = metadata.get("description", metadata.get("name", ""))
    stored.versionString = metadata.get("version", "")
    stored.license = metadata.get("licence", "")
    stored.author = metadata.get("author", "")
    stored.userDefined.pop(_CONVERSION_DATE, None)
    stored.userDefined.update(metadata)
    file = _model_file(path)
    file.write_bytes(spec.SerializeToString(deterministic=True))
    file.chmod(0o644)  # coremltools leaves it readable by its owner alone

    manifest = _manifest(path)
    entries = manifest["itemInfoEntries"]
    renamed = {old: str(uuid.uuid5(_NAMESPACE, entry["path"])) for old, entry in entries.items()}
    manifest["itemInfoEntries"] = {renamed[old]: entry for old, entry in entries.items()}
    manifest["rootModelIdentifier"] = renamed[manifest["rootModelIdentifier"]]
    text = json.dumps(manifest, indent=4, sort_keys=True) + "\n"
    (path / "Manifest.json").write_text(text, encoding="utf-8")


def _share_constants(block: Any) -> None:
    """Let operators read the first of equal constants in the program's text, in place.

    coremltools writes one for each stride and padding of each convolution: a third of an `fp16` program of ours.
    """
    first: dict[bytes, str] = {}
    stands_for: dict[str, str] = {}
    repeated = []
    for index, operation in enumerate(block.operations):
        for argument in operation.inputs.values():
            for binding in argument.arguments:
                if binding.name in stands_for:
                    binding.name = stands_for[binding.name]
        if operation.type == "const" and operation.attributes["val"].WhichOneof("value") == "immediateValue":
            value = operation.attributes["val"].SerializeToString(deterministic=True)
            name = operation.outputs[0].name
            if first.setdefault(value, name) != name and name not in block.outputs:
                stands_for[name] = first[value]
                repeated.append(index)
    for index in reversed(repeated):
        del block.operations[index]


def _manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise DamagedFile(
            f"{path}: {'not a folder' if path.exists() else 'no such file'}; an .mlpackage is one"
        )
    try:
        manifest: dict[str, Any] = json.loads((path / "Manifest.json").read_text(encoding="utf-8"))
        for entry in manifest["itemInfoEntries"].values():
            if not (path / "Data" / entry["path"]).exists():
                raise DamagedFile(f"{path}: {entry['path']}, which Manifest.json lists, is missing")
        manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except OSError as error:
        raise DamagedFile(f"{path}: Manifest.json cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{path}: Manifest.json is broken: {error!r}") from error
    return manifest


def _model_file(path: Path) -> Path:
    manifest = _manifest(path)
    return path / "Data" / str(manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"])


def _check_weights(path: Path, program: Any) -> None:
    """Every weight the program refers to has its header and all its bytes in the file."""
    folder = weights_folder(path)
    for function in program.functions.values():
        for block in function.block_specializations.values():
            for name, value in _file_values(block):
                file = folder / value.fileName.rsplit("/", 1)[-1]
                if not file.is_file():
                    raise DamagedFile(f"{path}: {file.name}, which holds {name}, is missing")
                if not _holds_blob(file, value.offset):
                    raise DamagedFile(f"{path}: {file.name} is cut or damaged at {name}")


def _file_values(block: Any) -> Iterator[tuple[str, Any]]:
    """(tensor name, reference into a weight file) of each value that is kept outside the program."""
    for operation in block.operations:
        name = operation.outputs[0].name if operation.outputs else operation.type
        values = list(operation.attributes.values())
        for argument in operation.inputs.values():
            values += [binding.value for binding in argument.arguments]
        for value in values:
            if value.WhichOneof("value") == "blobFileValue":
                yield name, value.blobFileValue


def _holds_blob(file: Path, offset: int) -> bool:
    with file.open("rb") as stream:
        stream.seek(offset)
        header = stream.read(_BLOB_HEADER.size)
    if len(header) < _BLOB_HEADER.size:
        return False
    sentinel, _, size, start = _BLOB_HEADER.unpack(header)
    return bool(sentinel == _BLOB_SENTINEL and start + size <= file.stat().st_size)
