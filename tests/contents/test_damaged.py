"""Files that were cut off."""

from pathlib import Path

import pytest

from igf_mobile.contents import tflite
from igf_mobile.contents.parts import parts
from igf_mobile.errors import DamagedFile

CUT_OFF = b"\xf0\x00\x00\x00TFL3" + bytes(40)
"""Its root lies past its end."""


def test_a_tflite_that_was_cut_off_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    path.write_bytes(CUT_OFF)
    with pytest.raises(ValueError, match=r"it is not a whole \.tflite: unpack_from requires"):
        tflite.layers(path)
    with pytest.raises(DamagedFile, match=r"its parts cannot be read: it is not a whole \.tflite"):
        parts(path)
