"""Flatbuffers as trees: what is written is read again, equal parts once, and what is none is refused."""

import struct
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from igf_mobile import flatbuffer_tree
from igf_mobile.flatbuffer_sharing import SharingBuilder

SCHEMA = """
// a comment with table X { }
namespace any;
file_identifier "TT01";
enum Kind : short { none = 0, much = 7, more }
union Shape { Circle, Square: _Box }
table Circle { radius: float = 1.5; }
table _Box { sides: [uint]; }
table Part {
  name: string;
  old: [int] (deprecated);
  shape: Shape;
  kind: Kind = much;
  data: [ubyte] (force_align: 16);
  big: uint64;
  on: bool;
}
table Whole { parts: [Part]; names: [string]; weights: [double]; flags: [bool]; }
root_type Whole;
"""


def part(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "much", "big": 0, "on": False} | more


WHOLE = {
    "parts": [
        part("a", shape_type="Circle", shape={"radius": 0.1234567}, kind="more"),
        part("b", shape_type="Square", shape={"sides": [1, 2, 3]}, data=b"\x00\x01"),
        part("c", shape_type="Square", shape={"sides": [1, 2, 3]}, big=2**64 - 1, on=True),
        part("ü", kind="none"),
    ],
    "names": ["one", "two", "one"],
    "weights": [0.1, -1e300],
    "flags": [True, False],
}


@pytest.fixture(scope="module")
def schema() -> flatbuffer_tree.Schema:
    return flatbuffer_tree.parse(SCHEMA)


def near(tree: Any) -> Any:
    """With float32's rounding taken out."""
    if isinstance(tree, dict):
        return {name: near(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [near(value) for value in tree]
    return pytest.approx(tree, rel=1e-7) if isinstance(tree, float) else tree


def test_what_is_written_is_read(schema: flatbuffer_tree.Schema) -> None:
    content = flatbuffer_tree.write(WHOLE, schema)
    assert content[4:8] == b"TT01"
    found = flatbuffer_tree.read(content, schema)
    assert found == near(WHOLE)
    assert found["parts"][0]["shape"]["radius"] == float(np.float32(0.1234567))
    assert flatbuffer_tree.write(found, schema) == content


def test_equal_parts_are_written_once(schema: flatbuffer_tree.Schema) -> None:
    one, many = ({"parts": [part("a", data=bytes(500))] * count} for count in (1, 50))
    grown = len(flatbuffer_tree.write(many, schema)) - len(flatbuffer_tree.write(one, schema))
    assert grown == 49 * 4
    assert flatbuffer_tree.read(flatbuffer_tree.write(many, schema), schema) == many


def test_parts_that_differ_in_one_number_stay_apart(schema: flatbuffer_tree.Schema) -> None:
    tree = {"parts": [part("a", big=value) for value in (1, 2, 0, 1)]}
    assert [p["big"] for p in flatbuffer_tree.read(flatbuffer_tree.write(tree, schema), schema)["parts"]] == [
        1,
        2,
        0,
        1,
    ]


def test_a_shared_table_may_come_after_the_buffer_grew(schema: flatbuffer_tree.Schema) -> None:
    parts = [part(f"{i % 7}", data=bytes([i % 7]) * 900) for i in range(40)]
    found = flatbuffer_tree.read(flatbuffer_tree.write({"parts": parts}, schema), schema)
    assert found["parts"] == parts


def test_includes_are_read(tmp_path: Path) -> None:
    (tmp_path / "kinds.fbs").write_text("enum Kind : byte { no, yes }\n")
    (tmp_path / "a.fbs").write_text(
        'include "kinds.fbs";\ntable T { k: Kind; }\nroot_type T;\nfile_identifier "AAAA";'
    )
    schema = flatbuffer_tree.load_schema(tmp_path / "a.fbs")
    assert flatbuffer_tree.read(flatbuffer_tree.write({"k": "yes"}, schema), schema) == {"k": "yes"}


@pytest.mark.parametrize(
    "tree", [{"part": []}, {"parts": [{"old": [1]}]}], ids=["not in the schema", "deprecated"]
)
def test_unknown_fields_are_refused(schema: flatbuffer_tree.Schema, tree: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has no field"):
        flatbuffer_tree.write(tree, schema)


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, struct.pack("<I", 4000) + bytes(40)])
def test_what_is_no_flatbuffer_is_refused(schema: flatbuffer_tree.Schema, content: bytes) -> None:
    with pytest.raises(ValueError, match="no flatbuffer of a Whole"):
        flatbuffer_tree.read(content, schema)


@pytest.mark.parametrize("text", ["table T { a: int; }", SCHEMA + "struct S { x: int; }"])
def test_schemas_that_it_does_not_read_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no root, no identifier, or a struct"):
        flatbuffer_tree.parse(text)


def test_tables_with_structs_are_never_shared() -> None:
    builder = SharingBuilder()
    offsets = []
    for _ in range(2):
        builder.StartObject(1)
        builder.Prep(4, 4)
        builder.PrependInt32(7)
        builder.PrependStructSlot(0, builder.Offset(), 0)
        offsets.append(builder.EndObject())
    assert offsets[0] != offsets[1]
    assert isinstance(builder, flatbuffers.Builder)
