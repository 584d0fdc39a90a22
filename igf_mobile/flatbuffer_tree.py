"""A flatbuffer as a tree of dicts, by its schema, and back.

A tree is as flatc's JSON: a union's member is `<field>_type`, enums go by name, numbers have their defaults, and what
else is absent is absent. flatc itself prints floats with six decimals, which loses scales, and writes equal tables and
vectors again and again; here they are written once.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers.number_types as numbers
import numpy as np
from flatbuffers.table import Table

from igf_mobile.flatbuffer_sharing import SharingBuilder

_SCALARS = {
    "bool": numbers.BoolFlags,
    **dict.fromkeys(("byte", "int8"), numbers.Int8Flags),
    **dict.fromkeys(("ubyte", "uint8"), numbers.Uint8Flags),
    **dict.fromkeys(("short", "int16"), numbers.Int16Flags),
    **dict.fromkeys(("ushort", "uint16"), numbers.Uint16Flags),
    **dict.fromkeys(("int", "int32"), numbers.Int32Flags),
    **dict.fromkeys(("uint", "uint32"), numbers.Uint32Flags),
    **dict.fromkeys(("long", "int64"), numbers.Int64Flags),
    **dict.fromkeys(("ulong", "uint64"), numbers.Uint64Flags),
    **dict.fromkeys(("float", "float32"), numbers.Float32Flags),
    **dict.fromkeys(("double", "float64"), numbers.Float64Flags),
}
_FLOATS = (numbers.Float32Flags, numbers.Float64Flags)
_BLOCK = re.compile(r"\b(table|enum|union)\s+(\w+)\s*(?::\s*(\w+))?[^{;]*\{([^}]*)\}")
_FIELD = re.compile(r"(\w+)\s*:\s*(\[?\w+\]?)\s*(?:=\s*([\w.+-]+))?\s*(\([^)]*\))?\s*;")
_MEMBER = re.compile(r"(\w+)\s*(?:[:=]\s*(\w+))?\s*(?:,|$)")


@dataclass(frozen=True)
class _Field:
    name: str
    kind: str
    """A type as the schema has it: "uint", "[uint]", "XNNGraph"."""
    default: str
    slot: int
    """A union has two, the first for which member it is."""
    deprecated: bool


@dataclass
class Schema:
    """A .fbs file without structs and fields out of order."""

    identifier: str
    root: str
    tables: dict[str, list[_Field]] = field(default_factory=dict)
    enums: dict[str, tuple[str, dict[str, int]]] = field(default_factory=dict)
    """Name -> scalar type and values."""
    unions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Name -> member -> table."""


def load_schema(path: Path) -> Schema:
    """A schema from its file and those it includes.

    Raises:
        OSError: there is none.
        ValueError: it has something that this does not read.
    """
    return parse(_with_includes(path))


def _with_includes(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return re.sub(
        r'^include\s+"(.+)";', lambda m: _with_includes(path.parent / m[1]), text, flags=re.MULTILINE
    )


def parse(text: str) -> Schema:
    """A schema from its text; errors as in `load_schema`."""
    text = re.sub(r"//[^\n]*", "", text)
    root, identifier = (re.search(p, text) for p in (r"root_type\s+(\w+)", r'file_identifier\s+"(\w{4})"'))
    if root is None or identifier is None or re.search(r"^\s*struct\b", text, re.MULTILINE):
        raise ValueError("the schema has no root, no identifier, or a struct")
    schema = Schema(identifier[1], root[1])
    blocks = _BLOCK.findall(text)
    for kind, name, base, body in blocks:
        members = [(m, value) for m, value in _MEMBER.findall(body)] if kind != "table" else []
        if kind == "enum":
            values: dict[str, int] = {}
            for member, value in members:
                values[member] = int(value) if value else max(values.values(), default=-1) + 1
            schema.enums[name] = base, values
        elif kind == "union":
            schema.unions[name] = {member: value or member for member, value in members}
    for kind, name, _, body in blocks:
        if kind == "table":
            schema.tables[name] = _fields(body, schema)
    return schema


def _fields(body: str, schema: Schema) -> list[_Field]:
    fields, slot = [], 0
    for name, kind, default, attributes in _FIELD.findall(body):
        slot += kind in schema.unions
        fields.append(_Field(name, kind, default, slot, "deprecated" in attributes))
        slot += 1
    return fields


def read(content: bytes, schema: Schema) -> dict[str, Any]:
    """The tree of a flatbuffer; vectors of numbers are lists, those of ubyte bytes.

    Raises:
        ValueError: it has another identifier, or points out of itself.
    """
    try:
        if content[4:8] != schema.identifier.encode():
            raise TypeError(f"its identifier is {content[4:8]!r}")
        return _read_table(Table(content, struct.unpack_from("<I", content)[0]), schema.root, schema)
    except (struct.error, IndexError, TypeError) as error:
        raise ValueError(f"it is no flatbuffer of a {schema.root}: {error}") from error


def _read_table(table: Table, name: str, schema: Schema) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for f in schema.tables[name]:
        place = table.Offset(4 + 2 * f.slot)
        if f.deprecated:
            continue
        if f.kind in schema.unions:
            which = table.Offset(4 + 2 * (f.slot - 1))
            if which and place and (index := table.Get(numbers.Uint8Flags, table.Pos + which)):
                member, kind = list(schema.unions[f.kind].items())[index - 1]
                inner = Table(table.Bytes, table.Indirect(table.Pos + place))
                tree |= {f"{f.name}_type": member, f.name: _read_table(inner, kind, schema)}
        elif (flags := _SCALARS.get(_base(f.kind, schema))) is not None:
            value = table.Get(flags, table.Pos + place) if place else _default(f, schema)
            tree[f.name] = _named(value, f.kind, schema)
        elif place:
            tree[f.name] = _read_reference(table, table.Pos + place, f.kind, schema)
    return tree


def _named(value: Any, kind: str, schema: Schema) -> Any:
    if kind in schema.enums:
        return next((name for name, number in schema.enums[kind][1].items() if number == value), value)
    return bool(value) if kind == "bool" else value


def _read_reference(table: Table, place: int, kind: str, schema: Schema) -> Any:
    if kind == "string":
        return table.String(place).decode("utf-8")
    start = table.Indirect(place)
    if not kind.startswith("["):
        return _read_table(Table(table.Bytes, start), kind, schema)
    inner, count = kind[1:-1], struct.unpack_from("<I", table.Bytes, start)[0]
    if (flags := _SCALARS.get(_base(inner, schema))) is not None:
        dtype = np.dtype("bool" if inner == "bool" else flags.name)
        values = np.frombuffer(table.Bytes, dtype, count, start + 4)
        return values.tobytes() if inner == "ubyte" else [_named(v, inner, schema) for v in values.tolist()]
    return [_read_reference(table, start + 4 + 4 * index, inner, schema) for index in range(count)]


def write(content: Mapping[str, Any], schema: Schema) -> bytes:
    """The flatbuffer of a tree.

    Raises:
        ValueError: a field that the schema has not, or has deprecated.
    """
    builder = SharingBuilder()
    builder.Finish(_table(content, schema.root, schema, builder), schema.identifier.encode())
    return bytes(builder.Output())


def _table(content: Mapping[str, Any], name: str, schema: Schema, builder: SharingBuilder) -> int:
    fields = schema.tables[name]
    known = {f.name for f in fields if not f.deprecated} | {
        f"{f.name}_type" for f in fields if f.kind in schema.unions
    }
    if unknown := set(content) - known:
        raise ValueError(f"table {name} has no field {min(unknown)!r}")
    slots: list[tuple[int, Any, Any, int]] = []
    for f in fields:
        if f.name not in content:
            continue
        value = content[f.name]
        if f.kind in schema.unions:
            members = list(schema.unions[f.kind])
            member = content[f"{f.name}_type"]
            slots.append((f.slot - 1, numbers.Uint8Flags, 1 + members.index(member), 0))
            value = _table(value, schema.unions[f.kind][member], schema, builder)
            slots.append((f.slot, None, value, 0))
        elif (flags := _SCALARS.get(_base(f.kind, schema))) is not None:
            slots.append((f.slot, flags, _scalar(value, f.kind, schema), _default(f, schema)))
        else:
            slots.append((f.slot, None, _reference(value, f.kind, schema, builder), 0))
    builder.StartObject(fields[-1].slot + 1)
    # widest first: no gaps
    for slot, flags, value, default in sorted(
        slots, key=lambda entry: -(entry[1].bytewidth if entry[1] else 4)
    ):
        if flags is None:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            builder.PrependSlot(flags, slot, value, default)
    return builder.EndObject()


def _base(kind: str, schema: Schema) -> str:
    return schema.enums[kind][0] if kind in schema.enums else kind


def _scalar(value: Any, kind: str, schema: Schema) -> Any:
    if kind in schema.enums and isinstance(value, str):
        return schema.enums[kind][1][value]
    return float(value) if _SCALARS[_base(kind, schema)] in _FLOATS else int(value)


def _default(f: _Field, schema: Schema) -> Any:
    return _scalar(f.default or 0, f.kind, schema)


def _reference(value: Any, kind: str, schema: Schema, builder: SharingBuilder) -> int:
    """A string, a table, or a vector of one of those or of numbers."""
    if kind == "string":
        return int(builder.CreateSharedString(value))
    if not kind.startswith("["):
        return _table(value, kind, schema, builder)
    inner = kind[1:-1]
    if (flags := _SCALARS.get(_base(inner, schema))) is not None:
        numeric = [_scalar(entry, inner, schema) for entry in value]
        return builder.CreateNumpyVector(np.array(numeric, flags.py_type if inner == "bool" else flags.name))
    offsets = [_reference(entry, inner, schema, builder) for entry in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
