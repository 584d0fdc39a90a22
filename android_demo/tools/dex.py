"""What a .dex file holds, as far as the checks ask."""

import struct
from dataclasses import dataclass

_CALL_SITES, _METHOD_HANDLES = 7, 8


@dataclass(frozen=True)
class Dex:
    """One classes.dex."""

    classes: frozenset[str]
    """Descriptors: "Ligf/app/MainActivity;"."""
    call_sites: int
    """Targets of `invoke-custom`; without one there is no such instruction."""


def parse(content: bytes) -> Dex:
    """Read a .dex.

    Raises:
        ValueError: it is none.
    """
    if content[:4] != b"dex\n":
        raise ValueError("not a .dex file")
    (map_offset,) = struct.unpack_from("<I", content, 52)
    (count,) = struct.unpack_from("<I", content, map_offset)
    sizes = {}
    for index in range(count):
        kind, _, size, _ = struct.unpack_from("<HHII", content, map_offset + 4 + 12 * index)
        sizes[kind] = size
    strings, types = struct.unpack_from("<I", content, 60)[0], struct.unpack_from("<I", content, 68)[0]
    class_count, classes = struct.unpack_from("<II", content, 96)
    names = set()
    for index in range(class_count):
        (type_index,) = struct.unpack_from("<I", content, classes + 32 * index)
        (string_index,) = struct.unpack_from("<I", content, types + 4 * type_index)
        (start,) = struct.unpack_from("<I", content, strings + 4 * string_index)
        while content[start] & 0x80:  # the length in UTF-16 units comes first
            start += 1
        names.add(content[start + 1 : content.index(b"\0", start + 1)].decode())
    return Dex(frozenset(names), sizes.get(_CALL_SITES, 0) + sizes.get(_METHOD_HANDLES, 0))
