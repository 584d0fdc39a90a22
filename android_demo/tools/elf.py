"""What an ELF shared library says of itself: machine, segment alignment, libraries and symbols it needs."""

import struct
from dataclasses import dataclass

MACHINES = {"arm64-v8a": 183, "x86_64": 62}
_LOAD, _DYNAMIC_SYMBOLS, _DYNAMIC, _NEEDED = 1, 11, 6, 1


@dataclass(frozen=True)
class Library:
    """One 64-bit little-endian shared library."""

    machine: int
    alignment: int
    """Least alignment of its loaded segments, bytes: the largest page it can be mapped with."""
    needed: tuple[str, ...]
    undefined: frozenset[str]
    """Names that another library must define; weak ones are left out."""
    defined: frozenset[str]


def parse(content: bytes) -> Library:
    """Read a library.

    Raises:
        ValueError: it is not a 64-bit little-endian ELF file.
    """
    if content[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (machine,) = struct.unpack_from("<H", content, 18)
    programs, sections = struct.unpack_from("<QQ", content, 32)
    program_size, program_count, section_size, section_count = struct.unpack_from("<HHHH", content, 54)
    alignments = []
    for index in range(program_count):
        kind, _, _, _, _, _, _, align = struct.unpack_from(
            "<IIQQQQQQ", content, programs + index * program_size
        )
        if kind == _LOAD:
            alignments.append(align)
    headers = [
        struct.unpack_from("<IIQQQQIIQQ", content, sections + i * section_size) for i in range(section_count)
    ]
    needed: tuple[str, ...] = ()
    undefined, defined = set(), set()
    for _, kind, _, _, offset, size, link, _, _, _ in headers:
        if kind == _DYNAMIC:
            entries = struct.iter_unpack("<QQ", content[offset : offset + size])
            needed = tuple(
                _text(content, headers[link][4] + value) for tag, value in entries if tag == _NEEDED
            )
        if kind == _DYNAMIC_SYMBOLS:
            for name, info, _, section, _, _ in struct.iter_unpack(
                "<IBBHQQ", content[offset : offset + size]
            ):
                if section:
                    defined.add(_text(content, headers[link][4] + name))
                elif info >> 4 == 1:  # global; a weak one may stay undefined
                    undefined.add(_text(content, headers[link][4] + name))
    return Library(machine, min(alignments), needed, frozenset(undefined), frozenset(defined))


def _text(content: bytes, start: int) -> str:
    return content[start : content.index(b"\0", start)].decode()
