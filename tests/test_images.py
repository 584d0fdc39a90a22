"""Reading and writing pictures: depths, colours, orientation, damage, and what is left after a failure."""

import errno
import io
import logging
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from igf_mobile import images
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.images import read_image, read_mask, resize, write_alpha, write_image, write_rgba

HEIGHT, WIDTH = 20, 28
EIGHT_BIT = 0.5 / 255 + 1e-6
"""Half a step of an 8-bit file."""


def picture(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """uint8 (H,W,3): smooth, every corner another colour."""
    corners = np.random.default_rng(seed).integers(0, 256, (3, 3, 3)).astype(np.float32)
    return cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR).round().astype(np.uint8)


def ramp() -> np.ndarray:
    """uint16 (H,W), all of the range."""
    return np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).round().astype(np.uint16)


def encoded(pixels: np.ndarray, name: str, mode: str | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, name, **options)
    return stream.getvalue()


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# Depths and modes


@pytest.mark.parametrize("name", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_colour_is_read_exactly(tmp_path: Path, name: str) -> None:
    values = read_image(saved(tmp_path / "a", encoded(picture(), name)))
    assert values.dtype == np.float32 and values.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(values, picture().astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "GIF"])
def test_lossy_colour_is_close(tmp_path: Path, name: str) -> None:
    values = read_image(saved(tmp_path / "a", encoded(picture(), name)))
    assert np.abs(values - picture() / 255).mean() < 0.02  # 0.0135 measured, of WebP


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb_as_pillow_has_it(tmp_path: Path, mode: str) -> None:
    source = Image.fromarray(picture()).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    source.save(path)
    np.testing.assert_allclose(read_image(path), np.asarray(source.convert("RGB")) / 255, atol=1e-6)


def test_transparency_is_dropped_and_colours_are_kept(tmp_path: Path) -> None:
    pixels = np.dstack([picture(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    path = saved(tmp_path / "a.png", encoded(pixels, "PNG"))
    np.testing.assert_allclose(read_image(path), picture() / 255, atol=1e-6)


def test_palette_with_transparency_keeps_its_colours(tmp_path: Path) -> None:
    source = Image.fromarray(picture()).quantize(8)
    path = tmp_path / "a.png"
    source.save(path, transparency=bytes([0, 128, 255]))
    np.testing.assert_allclose(read_image(path), np.asarray(source.convert("RGB")) / 255, atol=1e-6)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_of_16_bits_keeps_its_depth(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    assert cv2.imwrite(str(path), ramp())
    expected = ramp() / np.float32(65535)
    np.testing.assert_allclose(read_mask(path), expected, atol=1e-7)
    np.testing.assert_allclose(read_image(path), np.repeat(expected[..., None], 3, 2), atol=1e-7)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colour_of_16_bits_is_read_to_8(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    blue_green_red = np.dstack([ramp(), ramp()[::-1], np.full_like(ramp(), 32768)])
    assert cv2.imwrite(str(path), blue_green_red)
    np.testing.assert_allclose(read_image(path), blue_green_red[..., ::-1] / 65535, atol=1 / 255)


def test_floats_outside_the_unit_range_are_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tif", tmp_path / "bad.tif"
    cv2.imwrite(str(good), (ramp() / 65535).astype(np.float32))
    cv2.imwrite(str(bad), ramp().astype(np.float32))
    np.testing.assert_allclose(read_mask(good), ramp() / 65535, atol=1e-6)
    with pytest.raises(DamagedFile, match=r"bad\.tif does not hold floats in \[0,1\]"):
        read_mask(bad)


def test_cmyk_photograph_as_cameras_and_printers_write_it(tmp_path: Path) -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    path = saved(tmp_path / "a.jpg", encoded(red, "JPEG", "CMYK", quality=100))
    np.testing.assert_allclose(read_image(path)[8, 8], (1, 0, 0), atol=0.02)


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = (Image.new("L", (8, 6), grey) for grey in (51, 204))
    path = tmp_path / "a.gif"
    first.save(path, save_all=True, append_images=[second])
    np.testing.assert_allclose(read_image(path), 0.2, atol=1e-6)


# Colour profiles


def swapped_profile() -> bytes:
    """sRGB with the red and green primaries exchanged: a conversion that cannot be overlooked."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_embedded_profile_is_converted(tmp_path: Path, name: str) -> None:
    reddish = np.full((16, 16, 3), (200, 30, 30), np.uint8)
    plain = read_image(saved(tmp_path / "a", encoded(reddish, name)))[8, 8]
    values = read_image(saved(tmp_path / "b", encoded(reddish, name, icc_profile=swapped_profile())))[8, 8]
    np.testing.assert_allclose(values, plain[[1, 0, 2]], atol=0.03)


def test_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = saved(tmp_path / "a.png", encoded(picture(), "PNG", icc_profile=profile))
    np.testing.assert_allclose(read_image(path), picture() / 255, atol=1.01 / 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK"])
def test_unusable_profile_is_named_and_ignored(
    tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    # A valid RGB profile is as unusable for CMYK and grey as garbage is.
    profile = swapped_profile() if mode in ("L", "CMYK") else b"garbage" * 40
    source = Image.fromarray(picture()).convert(mode)
    path = tmp_path / "a.tif"
    source.save(path, icc_profile=profile)
    values = read_image(path)
    np.testing.assert_allclose(values, np.asarray(source.convert("RGB")) / 255, atol=1e-6)
    assert "a.tif: its colour profile is unusable" in caplog.text


# Orientation

_FROM_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
"""How a camera stores an upright picture under each EXIF orientation."""

EXACT: dict[str, dict[str, object]] = {
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 100, "subsampling": 0},
}


@pytest.mark.parametrize("orientation", _FROM_UPRIGHT)
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_all_orientations_are_upright(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = EXACT.get(name, {})
    stored = np.ascontiguousarray(_FROM_UPRIGHT[orientation](picture()))
    path = saved(tmp_path / "a", encoded(stored, name, exif=exif, **options))
    allowed = 0.02 if name == "JPEG" else 1e-6  # 0.0118 measured
    np.testing.assert_allclose(read_image(path), picture() / 255, atol=allowed)
    assert read_mask(path, size=(HEIGHT, WIDTH)).shape == (HEIGHT, WIDTH)


def test_damaged_exif_does_not_hide_the_picture(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", encoded(picture(), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    np.testing.assert_allclose(read_image(path), picture() / 255, atol=1e-6)


# Damage

FORMATS = {
    "PNG": {},
    "JPEG": {},
    "progressive JPEG": {"progressive": True},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "LZW TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
    "GIF": {},
    "PPM": {},
}


@pytest.mark.parametrize("name", FORMATS)
def test_cut_off_anywhere_is_refused_or_whole(tmp_path: Path, name: str) -> None:
    content = encoded(picture(6, 8), name.split()[-1], **FORMATS[name])
    path = saved(tmp_path / "a", content)
    whole = read_image(path)
    refused = 0
    for length in range(len(content)):
        path.write_bytes(content[:length])
        try:
            values = read_image(path)
        except DamagedFile as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
        else:  # only what ends the file is missing, such as the IEND of a PNG
            np.testing.assert_array_equal(values, whole)
    assert refused >= 0.9 * len(content)


@settings(max_examples=80, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_changed_byte_ends_in_a_picture_or_our_error(place: int, value: int) -> None:
    for name in ("PNG", "JPEG", "TIFF", "GIF", "WEBP"):
        content = bytearray(encoded(picture(8, 8), name))
        content[place % len(content)] = value
        with tempfile.TemporaryDirectory() as folder:
            path = saved(Path(folder) / "a", bytes(content))
            try:
                values = read_image(path)
            except IgfError:
                continue
            assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1


def test_others_who_allow_half_read_files_do_not_change_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    content = encoded(picture(), "PNG")
    with pytest.raises(DamagedFile, match="cut off"):
        read_image(saved(tmp_path / "a.png", content[: len(content) // 2]))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert Image.MAX_IMAGE_PIXELS is not None


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_what_is_no_picture_is_named(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(DamagedFile, match=r"empty\.png is empty"):
        read(saved(tmp_path / "empty.png", b""))
    with pytest.raises(DamagedFile, match=r"text\.png is not a picture.*readable are JPEG, .*PNG"):
        read(saved(tmp_path / "text.png", b"not a picture"))
    with pytest.raises(IgfError, match=r"cannot read .*absent\.png: No such file"):
        read(tmp_path / "absent.png")
    with pytest.raises(IgfError, match=r"cannot read .*: Is a directory"):
        read(tmp_path)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Drop root's right to read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_unreadable_file() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = saved(Path(folder) / "a.png", encoded(picture(), "PNG"))
        path.chmod(0)
        with as_nobody(), pytest.raises(IgfError, match=r"cannot read .*a\.png: Permission denied"):
            read_image(path)


def test_folder_without_write_permission() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with as_nobody(), pytest.raises(IgfError, match=r"cannot write .*a\.png: Permission denied"):
            write_alpha(Path(folder) / "a.png", np.zeros((4, 4), np.float32))
        assert list(Path(folder).iterdir()) == []
        Path(folder).chmod(0o755)


def test_decompression_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(IgfError, match=r"20000 x 10001 pixels; the limit is 200 million"):
        read_image(saved(tmp_path / "a.png", png(20_000, 10_001)))
    # Past Pillow's own limit of 179 million and below ours: refused for its missing rows alone.
    with pytest.raises(DamagedFile, match="cut off"):
        read_image(saved(tmp_path / "b.png", png(14_000, 14_000)))


def test_wide_panorama(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", encoded(picture(40, 12_000), "PNG"))
    assert read_image(path).shape == (40, 12_000, 3)


# Masks


def test_soft_mask_stays_soft_and_can_be_inverted(tmp_path: Path) -> None:
    soft = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = saved(tmp_path / "a.png", encoded(soft, "PNG"))
    np.testing.assert_allclose(read_mask(path), soft / 255, atol=1e-6)
    np.testing.assert_allclose(read_mask(path, invert=True), 1 - soft / 255, atol=1e-6)


def test_mask_of_one_bit(tmp_path: Path) -> None:
    hard = np.eye(16, dtype=bool)
    path = saved(tmp_path / "a.png", encoded(hard, "PNG"))
    np.testing.assert_array_equal(read_mask(path), hard.astype(np.float32))


def test_cut_out_gives_its_transparency_unless_that_is_constant(tmp_path: Path) -> None:
    transparency = np.tile(np.arange(WIDTH, dtype=np.uint8) * 9, (HEIGHT, 1))
    cut_out = saved(tmp_path / "a.png", encoded(np.dstack([picture(), transparency]), "PNG"))
    np.testing.assert_allclose(read_mask(cut_out), transparency / 255, atol=1e-6)
    opaque = np.full_like(transparency, 255)
    grey = np.repeat(transparency[..., None], 3, 2)
    opaque_file = saved(tmp_path / "b.png", encoded(np.dstack([grey, opaque]), "PNG"))
    np.testing.assert_allclose(read_mask(opaque_file), transparency / 255, atol=1e-6)


@pytest.mark.parametrize("size", [(40, 56), (10, 14), (200, 281), (20, 28)])
def test_mask_of_the_same_shape_is_resized(tmp_path: Path, size: tuple[int, int]) -> None:
    hard = np.zeros((HEIGHT, WIDTH), np.uint8)
    hard[:, WIDTH // 2 :] = 255
    mask = read_mask(saved(tmp_path / "a.png", encoded(hard, "PNG")), size=size)
    assert mask.shape == size
    assert mask[:, 0].max() == 0 and mask[:, -1].min() == 1
    assert mask.mean() == pytest.approx(0.5, abs=0.01)


def test_mask_of_another_shape_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", encoded(np.zeros((300, 400), np.uint8), "PNG"))
    with pytest.raises(IgfError, match=r"400 x 300 pixels, its photograph 1600 x 900"):
        read_mask(path, size=(900, 1600))
    with pytest.raises(IgfError, match=r"it would fit turned by 90 degrees"):
        read_mask(path, size=(1600, 1200))
    assert read_mask(path, size=(755, 1000)).shape == (755, 1000)
    with pytest.raises(IgfError, match="more than 1%"):
        read_mask(path, size=(765, 1000))


@pytest.mark.parametrize(
    ("value", "text"), [(0, "all background"), (255, "all foreground"), (1, "label map needs foreground 255")]
)
def test_mask_without_a_border_is_warned_of(
    tmp_path: Path, value: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path / "a.png", encoded(np.full((4, 4), value, np.uint8), "PNG"))
    with caplog.at_level(logging.WARNING):
        assert read_mask(path).max() == pytest.approx(value / 255)
    assert text in caplog.text


# Writing


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), suffix=st.sampled_from([".png", ".tif", ".webp"]))
def test_what_is_written_is_read_back(height: int, width: int, suffix: str) -> None:
    generator = np.random.default_rng(height * 41 + width)
    colour = generator.random((height, width, 3), dtype=np.float32)
    alpha = generator.random((height, width), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_alpha(path, alpha)
        np.testing.assert_allclose(read_mask(path), alpha, atol=EIGHT_BIT)
        write_image(path, colour)
        np.testing.assert_allclose(read_image(path), colour, atol=EIGHT_BIT)
        write_rgba(path, colour, alpha)
        np.testing.assert_allclose(read_image(path), colour, atol=EIGHT_BIT)
        assert [p.name for p in Path(folder).iterdir()] == [path.name]


def test_photograph_as_jpeg(tmp_path: Path) -> None:
    write_image(tmp_path / "new" / "a.JPG", picture() / np.float32(255))
    assert np.abs(read_image(tmp_path / "new" / "a.JPG") - picture() / 255).max() < 0.04  # 0.0235 measured


def test_unknown_suffix_names_the_choices(tmp_path: Path) -> None:
    alpha = np.zeros((4, 4), np.float32)
    with pytest.raises(IgfError, match=r"suffix '\.jpg' is not one of \.png, \.tif, \.tiff, \.webp$"):
        write_alpha(tmp_path / "a.jpg", alpha)
    with pytest.raises(IgfError, match=r"suffix '' is not one of .*\.jpg"):
        write_image(tmp_path / "a", np.zeros((4, 4, 3), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    saved(tmp_path / "file", b"")
    with pytest.raises(IgfError, match=r"cannot write .*a\.png"):
        write_alpha(tmp_path / "file" / "a.png", np.zeros((4, 4), np.float32))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_target_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IgfError, match=r"a\.png: it is not a file"):
        write_alpha(tmp_path / "a.png", np.zeros((4, 4), np.float32))


def test_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the bytes fit. (Really writing to /dev/full crashed CPython 3.12.1's garbage collector.)"""
    path = tmp_path / "a.png"
    write_alpha(path, np.zeros((4, 4), np.float32))
    before = path.read_bytes()

    def half_written(self: Path, content: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half_written)
    with pytest.raises(IgfError, match=r"cannot write .*a\.png: No space left on device"):
        write_alpha(path, np.ones((4, 4), np.float32))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == before


def test_picture_too_wide_for_its_format(tmp_path: Path) -> None:
    with pytest.raises(IgfError, match=r"cannot write .*a\.webp"):
        write_alpha(tmp_path / "a.webp", np.zeros((1, 16_384), np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.full((2, 3), np.nan, np.float32), r"alpha has 6 NaN or infinite values, the first at \(0, 0\)"),
        (np.array([[0, 1], [np.inf, 0]], np.float32), r"1 NaN or infinite values, the first at \(1, 0\)"),
        (np.full((2, 3), 255.0, np.float32), r"values from 255 to 255, not in \[0,1\]"),
        (np.full((2, 3), 255, np.uint8), "dtype uint8"),
        (np.zeros((2, 3, 3), np.float32), r"shape \(2, 3, 3\), not \(H,W\)"),
        (np.zeros((0, 3), np.float32), r"shape \(0, 3\)"),
    ],
)
def test_arrays_that_are_no_matte(tmp_path: Path, values: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        write_alpha(tmp_path / "a.png", values)
    assert list(tmp_path.iterdir()) == []


def test_cut_out_of_two_sizes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"colour is \(4, 5\) pixels, alpha \(4, 4\)"):
        write_rgba(tmp_path / "a.png", np.zeros((4, 5, 3), np.float32), np.zeros((4, 4), np.float32))


# Resizing


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70), st.integers(1, 70))
def test_resize_keeps_constants_and_range(height: int, width: int, rows: int, columns: int) -> None:
    values = np.random.default_rng(height).random((height, width), dtype=np.float32)
    result = resize(values, (rows, columns))
    assert result.shape == (rows, columns)
    assert values.min() - 1e-5 <= result.min() and result.max() <= values.max() + 1e-5
    np.testing.assert_allclose(resize(np.full_like(values, 0.3), (rows, columns)), 0.3, atol=1e-5)


def test_resize_averages_the_axis_that_shrinks_when_the_other_grows() -> None:
    stripes = np.tile(np.array([[1.0], [0.0], [0.0], [0.0]], np.float32), (16, 8))
    np.testing.assert_allclose(resize(stripes, (16, 32)), 0.25, atol=1e-6)


def test_limit_is_the_documented_one() -> None:
    assert images.MAX_PIXELS == 200_000_000
