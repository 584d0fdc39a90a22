"""The composites that ship with the package: a calibration set and a proof set, small and free.

Users have no training data, yet `w8a8` needs ranges and the gates need a true alpha. Both sets are
drawn like training composites, from public-domain and CC0 pictures alone: openclipart objects (of the
train split for calibration, of the validation split for the proof) over scikit-image's
photographs, which include the shipped samples.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from igf_mobile.composites import FOLDERS
from igf_mobile.data.index import read_index
from igf_mobile.data.scenes import Scenes
from igf_mobile.data.weak_mask import weak_mask
from igf_mobile.files import write_text
from igf_mobile.images import write_alpha, write_image
from igf_mobile.samples import ASSETS

_COUNT = 8
_FOREGROUNDS = "openclipart-png"
_BACKGROUNDS = "scikit-image"
_KIND = "dilate_erode"
_LICENCE = "public domain (openclipart) and CC0 (scikit-image)"


def write_shipped(root: Path) -> None:
    """Draw both sets from the index below `root` and write them into the package."""
    entries = read_index(root)
    template = next(e for e in entries if e.source == _BACKGROUNDS)
    photographs = [e for e in entries if e.source == _BACKGROUNDS]
    photographs += [dataclasses.replace(template, path=str(path)) for path in sorted(ASSETS.glob("*.jpg"))]
    for seed, (split, folder) in enumerate(zip(("train", "validation"), FOLDERS.values(), strict=True)):
        objects = [e for e in entries if e.source == _FOREGROUNDS]
        behind = [dataclasses.replace(photograph, split=split) for photograph in photographs]
        scenes = Scenes(root, objects + behind, split)
        rng = np.random.default_rng([20261122, seed])
        records: list[dict[str, str]] = []
        while len(records) < _COUNT:
            image, alpha = scenes.draw(rng)
            mask = weak_mask(alpha, rng, kinds={_KIND: 1.0})
            if mask is None:
                continue
            name = f"{len(records):02d}"
            write_image(folder / f"{name}.jpg", image.astype(np.float32) / 255.0)
            for kind, values in (("alpha", alpha), ("mask", mask)):
                write_alpha(folder / f"{name}-{kind}.png", values.astype(np.float32) / 255.0)
            records.append({"name": name, "licence": _LICENCE})
        write_text(folder / "index.json", json.dumps(records, indent=1) + "\n")
