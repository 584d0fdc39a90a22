"""Read pictures as arrays; the two array types of the data pipeline."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from igf_mobile.errors import DamagedFile

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
MAX_PIXELS = 24_000_000  # openclipart has drawings of 230 million, a page each
UNREADABLE = (
    OSError,
    UnidentifiedImageError,
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)


def read_rgba(path: Path, max_long_side: int = 0) -> U8:
    """A picture as (H,W,4) RGBA, alpha not premultiplied; palette and grey transparency are expanded.

    Scaled down to `max_long_side` px where that is given and it is larger.

    Raises:
        DamagedFile: it is not a picture, or so large that it is likelier a mistake.
    """
    return _read(path, "RGBA", lambda size: max_long_side / max(size) if max_long_side else 1.0)


def read_rgb(path: Path, max_short_side: int = 0) -> U8:
    """A picture as (H,W,3) RGB, scaled down to `max_short_side` px where that is given and it is larger.

    Raises:
        DamagedFile: as `read_rgba`.
    """
    return _read(path, "RGB", lambda size: max_short_side / min(size) if max_short_side else 1.0)


def _read(path: Path, mode: str, scale_of: Callable[[tuple[int, int]], float]) -> U8:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"{image.width}x{image.height} px")
                scale = scale_of(image.size)
                converted = image.convert(mode)
        if scale < 1:
            width, height = converted.size
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            converted = converted.resize(size, Image.Resampling.BOX)  # Pillow premultiplies RGBA by itself
        return np.asarray(converted, np.uint8)
    except UNREADABLE as error:
        raise DamagedFile(f"{path} is not a usable picture: {error}") from error
