"""A flatbuffers builder that writes equal tables and vectors once.

A graph repeats itself: shapes, scales, options of operators. Readers follow offsets and do not mind where two of them
lead to one place.
"""

from typing import Any

import flatbuffers

_Record = tuple[int, bool, Any]
"""Slot, whether it is an offset, and its value; an offset counts from the end, so it stays what it is."""


class SharingBuilder(flatbuffers.Builder):
    """As `flatbuffers.Builder`; what was written before is not written again."""

    def __init__(self) -> None:
        super().__init__(1024)
        self._arrays: dict[tuple[str, bytes], int] = {}
        self._tables: dict[tuple[_Record, ...], int] = {}
        self._records: list[_Record] = []
        self._before = 0

    def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802
        """A vector of numbers."""
        key = (x.dtype.str, x.tobytes())
        if key not in self._arrays:
            self._arrays[key] = super().CreateNumpyVector(x)
        return self._arrays[key]

    def StartObject(self, numfields: int) -> None:  # noqa: N802
        """Begin a table."""
        super().StartObject(numfields)
        self._records, self._before = [], self.Offset()

    def PrependSlot(self, flags: Any, o: int, x: Any, d: Any) -> None:  # noqa: N802
        """A number of the table."""
        if x is not None and x != d:
            self._records.append((o, False, (flags, x)))
        super().PrependSlot(flags, o, x, d)

    def PrependUOffsetTRelativeSlot(self, o: int, x: int, d: int) -> None:  # noqa: N802
        """An offset of the table."""
        if x != d:
            self._records.append((o, True, x))
        super().PrependUOffsetTRelativeSlot(o, x, d)

    def PrependStructSlot(self, v: int, x: int, d: int) -> None:  # noqa: N802
        """A struct of the table; tables with one are never shared."""
        self._records.append((v, True, object()))
        super().PrependStructSlot(v, x, d)

    def EndObject(self) -> int:  # noqa: N802
        """End a table: its offset, or that of an equal one."""
        key = tuple(sorted(self._records, key=lambda record: record[0]))
        if (known := self._tables.get(key)) is not None:
            self.head, self.nested = len(self.Bytes) - self._before, False
            return known
        offset: int = super().EndObject()
        self._tables[key] = offset
        return offset
