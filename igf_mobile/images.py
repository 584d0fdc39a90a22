"""Pictures in and out: files <-> float32 arrays of sRGB values in [0,1].

Reading gives the first frame, upright (EXIF), whole or not at all. Writing is atomic and lossless but
for JPEG. Problems with a file are one-line `IgfError`s that start from its path; problems with an array are
`ValueError`s.
"""

import io
import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import atomic_path

FloatArray = npt.NDArray[np.float32]

MAX_PIXELS = 200_000_000
"""More than any phone takes; a file of a few KB that claims more would fill the memory."""

READABLE = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")
"""Pillow's names. Its other formats start helper programs or (JPEG 2000) can be half-read unnoticed."""

_log = logging.getLogger(__name__)
_pillow_lock = threading.Lock()

_DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_ASPECT_TOLERANCE = 0.01
_DIM = 0.1
_ROUNDING = 1e-3
"""How far past [0,1] a value may be: the next number after 1 in half precision is 1.00098."""

_LOSSLESS: Mapping[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".webp": ("WEBP", {"lossless": True, "exact": True}),
}
_PICTURES = {
    **_LOSSLESS,
    ".bmp": ("BMP", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
}


def read_image(path: Path) -> FloatArray:
    """A photograph as (H,W,3) sRGB values in [0,1].

    An embedded ICC profile is converted to sRGB; a broken one is ignored with a warning in the log.
    Transparency is dropped and the colours under it are kept. Grey becomes three equal channels.
    16-bit grey keeps its depth (its profile is not applied), 16-bit colour keeps its upper 8 bits. A file
    that is cut off is refused; damage inside a JPEG shows in the picture only, the format has no checksum.

    Raises:
        IgfError: the file cannot be opened, or has more than `MAX_PIXELS`.
        DamagedFile: it is empty, cut off, damaged or not a picture.
    """
    path = Path(path)
    image = _decoded(path)
    if image.mode in _DEEP_GREY:
        return np.repeat(_deep_grey(image, path)[:, :, None], 3, axis=2)
    return _unit(_srgb(image, path))


def read_mask(path: Path, size: tuple[int, int] | None = None, invert: bool = False) -> FloatArray:
    """A weak mask as (H,W) in [0,1], 1 for foreground. Soft values stay soft.

    A cut-out (a picture with transparency that varies) gives its transparency, any other picture its
    luminance. ICC profiles are ignored: a mask holds numbers, not colours. A mask without a border
    between foreground and background is allowed and warned of in the log.

    Args:
        path: the file.
        size: (H, W) of the photograph; a mask of another size is resized to it where both have the same
            aspect ratio within 1 % (or one pixel of a small mask, which is what rounding leaves).
        invert: the file has 1 for background.

    Raises:
        IgfError: as `read_image`, or the mask's shape does not fit the photograph's.
        DamagedFile: as `read_image`.
    """
    path = Path(path)
    image = _decoded(path)
    mask = _deep_grey(image, path) if image.mode in _DEEP_GREY else _unit(_mask_channel(image))
    if size is not None and mask.shape != tuple(size):
        _check_aspect(path, mask.shape, size)
        mask = resize(mask, size)
    if invert:
        mask = np.float32(1.0) - mask
    _warn_if_empty(path, mask)
    return mask


def write_alpha(path: Path, alpha: npt.NDArray[Any]) -> None:
    """Write a matte (H,W) in [0,1] as 8-bit grey, lossless: .png, .tif, .tiff or .webp.

    Raises:
        IgfError: another suffix, or the file cannot be written; nothing is left behind.
        ValueError: `alpha` has another shape, or values that are not in [0,1].
    """
    _write(path, _bytes(check_unit("alpha", alpha)), _LOSSLESS)


def write_rgba(path: Path, colour: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> None:
    """Write a cut-out, `colour` (H,W,3) and `alpha` (H,W), not premultiplied. Errors: see `write_alpha`.

    For `colour` give `matting.estimate_foreground`, or the old background shines through the edges.
    """
    colour, alpha = check_unit("colour", colour, channels=3), check_unit("alpha", alpha)
    if colour.shape[:2] != alpha.shape:
        raise ValueError(f"colour is {colour.shape[:2]} pixels, alpha {alpha.shape}")
    _write(path, np.dstack([_bytes(colour), _bytes(alpha)]), _LOSSLESS)


def write_image(path: Path, image: npt.NDArray[Any]) -> None:
    """Write a picture (H,W,3), sRGB in [0,1], also as .jpg, .jpeg or .bmp. Errors: see `write_alpha`."""
    _write(path, _bytes(check_unit("image", image, channels=3)), _PICTURES)


def check_unit(name: str, values: npt.NDArray[Any], channels: int | None = None) -> FloatArray:
    """`values` as float32 after a check that they are (H,W) or (H,W,channels), finite and in [0,1].

    Raises:
        ValueError: they are not; the text has `name` and, for NaN and infinity, how many and where.
    """
    values = np.asarray(values)
    wanted = "(H,W)" if channels is None else f"(H,W,{channels})"
    tail = () if channels is None else (channels,)
    if values.ndim != 2 + len(tail) or values.shape[2:] != tail or 0 in values.shape:
        raise ValueError(f"{name} has shape {values.shape}, not {wanted}")
    if values.dtype.kind not in "fb":
        raise ValueError(f"{name} has dtype {values.dtype}, not floats in [0,1]")
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        bad = ~np.isfinite(values)
        first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
        raise ValueError(f"{name} has {int(bad.sum())} NaN or infinite values, the first at {first}")
    if low < -_ROUNDING or high > 1.0 + _ROUNDING:
        raise ValueError(f"{name} has values from {low:.4g} to {high:.4g}, not in [0,1]")
    return values.astype(np.float32, copy=False)


def resize(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """(H,W[,C]) in [0,1] at `size` (rows, columns): block means where it shrinks, bilinear where it grows.

    Each axis by its own rule: OpenCV's INTER_AREA skips rows when the other axis grows.
    """
    height, width = values.shape[:2]
    smaller = (min(height, size[0]), min(width, size[1]))
    shrunk = cv2.resize(values, smaller[::-1], interpolation=cv2.INTER_AREA)
    grown = cv2.resize(shrunk, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    # OpenCV's block means of ones are 1.0000001.
    return np.asarray(np.clip(grown, 0.0, 1.0), dtype=np.float32)


def _decoded(path: Path) -> Image.Image:
    """The first frame, whole and upright."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise IgfError(f"cannot read {path}: {error.strerror or error}") from error
    with stream, _strict_pillow():
        if not stream.read(1):
            raise DamagedFile(f"{path} is empty")
        stream.seek(0)
        try:
            # A Pillow built without AVIF ends in a KeyError when asked for it.
            Image.init()
            image = Image.open(stream, formats=[name for name in READABLE if name in Image.OPEN])
            _check_pixels(path, image.size)
            image.load()
        except IgfError:
            raise
        except UnidentifiedImageError as error:
            raise DamagedFile(f"{path} is not a picture, or its start is damaged: {_choices()}") from error
        except MemoryError as error:
            raise IgfError(f"{path} does not fit into memory") from error
        except Exception as error:  # Pillow's formats raise a dozen types on damaged files
            raise DamagedFile(f"{path} is cut off or damaged: {error}") from error
        return _upright(image, path)


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Our limit instead of Pillow's (89 million pixels), no half-read files whatever others set, and no
    warnings beside our one-line errors.
    """
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, lenient = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, lenient


def _choices() -> str:
    return f"readable are {', '.join(READABLE)}"


def _check_pixels(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise IgfError(f"{path} has {width} x {height} pixels; the limit is {MAX_PIXELS / 1e6:.0f} million")


def _upright(image: Image.Image, path: Path) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # as in `_decoded`; the pixels are whole
        _log.warning("%s: its EXIF data is damaged (%s); taken as upright", path, error)
        return image


def _deep_grey(image: Image.Image, path: Path) -> FloatArray:
    """(H,W) in [0,1] of a grey picture with more than 8 bits."""
    values = np.asarray(image).astype(np.float32)
    if image.mode != "F":
        values /= np.float32(65535.0)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= 1.0):
        allowed = "floats in [0,1]" if image.mode == "F" else "16-bit integers"
        raise DamagedFile(f"{path} does not hold {allowed}, the only grey values deeper than 8 bits read")
    return values


def _srgb(image: Image.Image, path: Path) -> Image.Image:
    """Mode RGB, colours converted from the embedded profile to sRGB."""
    if image.mode in ("1", "L", "LA"):
        plain = image.convert("L")
    elif image.mode in ("RGB", "CMYK"):
        plain = image
    else:  # by way of RGBA, because only that undoes premultiplied and palette transparency
        plain = image.convert("RGBA").convert("RGB")
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                plain, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            _log.warning("%s: its colour profile is unusable (%s); taken as sRGB", path, error)
    return plain.convert("RGB")


def _mask_channel(image: Image.Image) -> Image.Image:
    """Mode L: transparency where it varies, otherwise luminance."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        transparency = image.getchannel("A")
        low, high = transparency.getextrema()
        if low != high:
            return transparency
    # Pillow cannot turn a palette with transparency, or YCbCr, straight into grey without losses.
    return image if image.mode == "L" else image.convert("RGB").convert("L")


def _unit(image: Image.Image) -> FloatArray:
    values = np.asarray(image).astype(np.float32)
    values /= np.float32(255.0)
    return values


def _bytes(values: FloatArray) -> npt.NDArray[np.uint8]:
    """[0,1] -> 0..255, rounded and saturated without a float copy."""
    return np.asarray(cv2.convertScaleAbs(values, alpha=255.0), dtype=np.uint8)


def _check_aspect(path: Path, mask: tuple[int, ...], size: tuple[int, int]) -> None:
    def fits(height: int, width: int) -> bool:
        if height <= width:
            side, expected = height, width * size[0] / size[1]
        else:
            side, expected = width, height * size[1] / size[0]
        return abs(side - expected) <= max(_ASPECT_TOLERANCE * expected, min(1.0, 0.1 * expected))

    if fits(mask[0], mask[1]):
        return
    turned = "; it would fit turned by 90 degrees" if fits(mask[1], mask[0]) else ""
    raise IgfError(
        f"mask {path} is {mask[1]} x {mask[0]} pixels, its photograph {size[1]} x {size[0]}: "
        f"the shapes differ by more than {_ASPECT_TOLERANCE:.0%}{turned}"
    )


def _warn_if_empty(path: Path, mask: FloatArray) -> None:
    low, high = float(mask.min()), float(mask.max())
    if high == 0.0:
        _log.warning("mask %s is all background: there is no border to refine", path)
    elif low == 1.0:
        _log.warning("mask %s is all foreground: there is no border to refine", path)
    elif high < _DIM:
        _log.warning("mask %s is at most %.4f of 1; a label map needs foreground 255, not 1", path, high)


def _write(
    path: Path, pixels: npt.NDArray[np.uint8], formats: Mapping[str, tuple[str, dict[str, Any]]]
) -> None:
    path = Path(path)
    if path.suffix.lower() not in formats:
        raise IgfError(f"cannot write {path}: suffix {path.suffix!r} is not one of {', '.join(formats)}")
    if path.exists() and not path.is_file():  # replacing a device by a file would be worse
        raise IgfError(f"cannot write {path}: it is not a file")
    name, options = formats[path.suffix.lower()]
    # To memory first: Pillow's encoders hide "no space left on device" behind "encoder error -2".
    encoded = io.BytesIO()
    try:
        Image.fromarray(pixels).save(encoded, name, **options)
    except (OSError, ValueError) as error:
        raise IgfError(f"cannot write {path}: {error}") from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())
