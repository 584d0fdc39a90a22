"""Files are whole or absent, and a checksum sees every byte and every name."""

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from igf_mobile.errors import IgfError
from igf_mobile.files import atomic_path, sha256_of, size_of, write_text


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "model.tflite"
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".tflite"
        temporary.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert entries(path.parent) == {"model.tflite"}


@pytest.mark.parametrize("error", [RuntimeError("converter"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "model.pte"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old"
    assert entries(tmp_path) == {"model.pte"}


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.pte"
    with pytest.raises(IgfError) as raised, atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(raised.value) == f"cannot write {path}: No space left on device"
    assert entries(tmp_path) == set()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IgfError, match=r"cannot write .*x\.bin: (File exists|Not a directory)$"):
        write_text(tmp_path / "file" / "x.bin", "text")


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "model.mlpackage"
    path.mkdir()
    (path / "stale").write_text("old")
    with atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "fresh").write_text("new")
    assert entries(path) == {"fresh"}
    assert entries(tmp_path) == {"model.mlpackage"}


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "keep").write_text("")
    with pytest.raises(IgfError, match=r"cannot write .*taken"):
        write_text(tmp_path / "taken", "text")
    assert entries(tmp_path) == {"taken"}
    assert entries(tmp_path / "taken") == {"keep"}


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "Stéfan ✓\n")
    assert (tmp_path / "t").read_bytes() == "Stéfan ✓\n".encode()


@given(st.binary(max_size=200))
def test_sha256_of_a_file(content: bytes) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(content)
        assert sha256_of(path) == hashlib.sha256(content).hexdigest()
        assert size_of(path) == len(content)


def test_sha256_reads_past_the_first_block(tmp_path: Path) -> None:
    content = bytes((1 << 20) + 3)
    (tmp_path / "f").write_bytes(content)
    assert sha256_of(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_a_folders_sum_sees_content_and_names(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a").write_text("one")
    (folder / "b").write_text("two!")
    assert size_of(folder) == 7
    sums = [sha256_of(folder)]
    (folder / "data" / "a").write_text("onf")
    sums.append(sha256_of(folder))
    (folder / "data" / "a").rename(folder / "data" / "c")
    sums.append(sha256_of(folder))
    (folder / "data" / "c").rename(folder / "c")
    sums.append(sha256_of(folder))
    (folder / "empty-file").write_text("")
    sums.append(sha256_of(folder))
    assert len(set(sums)) == 5


def test_a_folders_sum_is_of_its_content_not_of_where_it_lies(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        for file in sorted(("x", "y"), reverse=name == "second"):
            (tmp_path / name / file).write_text(file)
    assert sha256_of(tmp_path / "first") == sha256_of(tmp_path / "second")
