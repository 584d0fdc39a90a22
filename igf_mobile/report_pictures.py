"""The pictures of the report: a strip per sample photograph, everything as data URIs."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from igf_mobile.errors import DamagedFile
from igf_mobile.images import FloatArray, read_mask
from igf_mobile.matting import composite
from igf_mobile.samples import Sample, load_samples

BACKGROUND = "#00b140"
"""Chroma green: in none of the sample photographs, so that a halo of the old background shows."""

HEAT_STEPS = 13
"""Top of the difference scale in steps of an 8-bit matte: 13/255 = 0.051. Larger ones look the same."""

HEAT_COLOURS = (
    *("#000000", "#2f0a5b", "#4d0d6c", "#6a176e", "#87216b", "#a32c61", "#bf3952"),
    *("#d74b3f", "#ea632a", "#f68013", "#fca108", "#fac42a", "#f2e661", "#fcffa4"),
)
"""Matplotlib's inferno, black for no difference, then from 0.16 on: the smallest step must be visible."""


@dataclass(frozen=True)
class Pictures:
    """The matte of one artifact on one sample. Each picture is a data URI."""

    alpha: str
    composite: str
    difference: str | None
    """Heat map of |alpha - float alpha|; None where the float model's matte is absent."""
    max_abs: float | None
    mean_abs: float | None


@dataclass(frozen=True)
class Strip:
    """One sample photograph with the mattes of all artifacts."""

    sample: Sample
    photograph: str
    weak_mask: str
    float_model: Pictures | None
    artifacts: dict[str, Pictures | None]
    """`<backend>-<scheme>` -> its pictures, None where there is no matte."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.sample.weak_mask.shape
        return height, width


def strips(mattes: Path, artifacts: Sequence[str]) -> list[Strip]:
    """A strip per sample.

    Args:
        mattes: the folder with `float/` and `<backend>-<scheme>/`, in each a `<sample>.png`.
        artifacts: the `<backend>-<scheme>` to look for.

    Raises:
        DamagedFile: a matte is cut off, no picture, or of another size than its photograph.
    """
    return [_strip(sample, mattes, artifacts) for sample in load_samples()]


def _strip(sample: Sample, mattes: Path, artifacts: Sequence[str]) -> Strip:
    def alpha_of(name: str) -> FloatArray | None:
        return _read_matte(mattes / name / f"{sample.name}.png", sample)

    float_alpha = alpha_of("float")

    def pictures_of(alpha: FloatArray | None) -> Pictures | None:
        return None if alpha is None else _pictures(sample, alpha, float_alpha)

    return Strip(
        sample,
        photograph=photograph_uri(sample.guidance),
        weak_mask=grey_uri(sample.weak_mask),
        float_model=pictures_of(float_alpha),
        artifacts={name: pictures_of(alpha_of(name)) for name in artifacts},
    )


def _read_matte(path: Path, sample: Sample) -> FloatArray | None:
    if not path.exists():
        return None
    alpha = read_mask(path)
    if alpha.shape != sample.weak_mask.shape:
        found, wanted = (" x ".join(map(str, shape[::-1])) for shape in (alpha.shape, sample.weak_mask.shape))
        raise DamagedFile(f"matte {path} is {found} pixels, its photograph {wanted}")
    return alpha


def _pictures(sample: Sample, alpha: FloatArray, float_alpha: FloatArray | None) -> Pictures:
    on_colour = photograph_uri(composite(sample.guidance, alpha, BACKGROUND))
    if float_alpha is None:
        return Pictures(grey_uri(alpha), on_colour, None, None, None)
    difference = np.abs(alpha - float_alpha)
    return Pictures(
        alpha=grey_uri(alpha),
        composite=on_colour,
        difference=heat_uri(difference),
        max_abs=float(difference.max()),
        mean_abs=float(difference.mean()),
    )


def photograph_uri(values: FloatArray) -> str:
    """(H,W,3) as WebP: 30 KB where PNG takes 400."""
    return _data_uri(Image.fromarray(_bytes(values)), "WEBP", quality=82, method=4)


def grey_uri(values: FloatArray) -> str:
    """(H,W) as PNG."""
    return _data_uri(Image.fromarray(_bytes(values)), "PNG")


def heat_uri(difference: FloatArray) -> str:
    """(H,W) of differences as PNG. Sixteen colours, four bits a pixel: mattes of 8 bits differ by whole steps."""
    steps = np.minimum(np.rint(difference * 255.0), HEAT_STEPS).astype(np.uint8)
    image = Image.fromarray(steps).convert("P")
    image.putpalette(b"".join(bytes.fromhex(colour[1:]) for colour in HEAT_COLOURS))
    return _data_uri(image, "PNG", bits=4)


def _bytes(values: FloatArray) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(values * 255.0), dtype=np.uint8)


def _data_uri(image: Image.Image, kind: str, **options: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return data_uri(stream.getvalue(), f"image/{kind.lower()}")


def data_uri(content: bytes, kind: str) -> str:
    """`content` of MIME type `kind` as a URI that needs no file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
