"""Draw one training scene from the index: which object, which background, which recipe."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from igf_mobile.data.colour import camera
from igf_mobile.data.composite import (
    Layer,
    background,
    blend,
    develop,
    edge_contrast,
    over,
    place,
    random_crop,
)
from igf_mobile.data.images import U8, read_rgb, read_rgba
from igf_mobile.data.index import Entry
from igf_mobile.data.procedural import grow_hair, procedural_drawing
from igf_mobile.data.sources import RENDERED, SOURCES

Rng = np.random.Generator
RECIPES = {"real": 0.50, "fringed": 0.12, "texture": 0.13, "procedural": 0.25}
SECOND_OBJECT = 0.12
DISTRACTOR = 0.25  # an object in the background that is not in the alpha: only the mask can tell
MIN_AREA, MAX_AREA = 0.04, 0.93  # share of the frame with alpha > 0.5
# of 255: below it F and B look alike along the edge. Rare: of 200 scenes none was, 8 failed on area
MIN_CONTRAST = 14.0
MAX_TRIES = 40


class Scenes:
    """The pictures of one split, drawn by the shares of their sources."""

    def __init__(self, root: Path, entries: Sequence[Entry], split: str) -> None:
        """Take the entries of `split`; paths are relative to `root`."""
        self.root = root
        self.foregrounds = [e for e in entries if e.split == split and e.role == "foreground"]
        self.backgrounds = [e for e in entries if e.split == split and e.role == "background"]
        self.foreground_odds = _odds(self.foregrounds)
        self.background_odds = _odds(self.backgrounds)

    def draw(self, rng: Rng, size: int = 512) -> tuple[U8, U8]:
        """One image (size,size,3) and alpha (size,size), both uint8; redrawn while hopeless."""
        for _ in range(MAX_TRIES):
            colour, alpha, behind = self._attempt(rng, size)
            area = float(np.mean(alpha > 127))
            if MIN_AREA <= area <= MAX_AREA and edge_contrast(colour, alpha, behind) >= MIN_CONTRAST:
                break
        return camera(blend(colour, alpha, behind), rng), alpha

    def _attempt(self, rng: Rng, size: int) -> tuple[U8, U8, U8]:
        """F (size,size,3), alpha (size,size) and B (size,size,3)."""
        recipe = str(rng.choice(list(RECIPES), p=list(RECIPES.values())))
        if recipe == "procedural":
            layer = self._procedural(rng, size)
        else:
            layer = self._object(rng, size, recipe)
            if recipe == "real" and rng.random() < SECOND_OBJECT:
                layer = over(self._object(rng, size, "real"), layer)
        behind = background(self._photograph(rng), rng, size)
        if rng.random() < DISTRACTOR:
            behind = self._distract(rng, behind, size)
        return *develop(layer, rng), behind

    def _object(self, rng: Rng, size: int, recipe: str) -> Layer:
        entry = self.foregrounds[int(rng.choice(len(self.foregrounds), p=self.foreground_odds))]
        rgba = _foreground(self.root / entry.path)
        if recipe == "texture":
            texture = random_crop(self._photograph(rng), rng, 512)
            texture = np.asarray(
                cv2.resize(texture, rgba.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8
            )
            rgba = np.dstack([texture, rgba[..., 3]])
        layer = place(rgba, rng, size)
        if recipe == "fringed":
            drawing = grow_hair(rng, layer.alpha)
            layer = Layer(layer.colour * drawing.shade[..., None], drawing.alpha)
        return layer

    def _procedural(self, rng: Rng, size: int) -> Layer:
        """A drawn alpha, coloured by a photograph that is smoothed by a random amount."""
        drawing = procedural_drawing(rng, size)
        texture = random_crop(self._photograph(rng), rng, size).astype(np.float32)
        smooth = cv2.GaussianBlur(texture, (0, 0), size / 24)
        share = np.float32(rng.uniform(0, 1))
        colour = (share * smooth + (1 - share) * texture) * drawing.shade[..., None]
        return Layer(np.asarray(colour, np.float32), drawing.alpha)

    def _photograph(self, rng: Rng) -> U8:
        entry = self.backgrounds[int(rng.choice(len(self.backgrounds), p=self.background_odds))]
        return _background(self.root / entry.path)

    def _distract(self, rng: Rng, behind: U8, size: int) -> U8:
        layer = self._object(rng, size, "real")
        share = layer.alpha[..., None]
        mixed = share * np.clip(layer.colour, 0, 255) + (1 - share) * behind
        blurred = cv2.GaussianBlur(mixed, (0, 0), float(rng.uniform(0.3, 4.0)))
        return np.asarray(np.clip(blurred, 0, 255), np.uint8)


def _odds(entries: Sequence[Entry]) -> NDArray[np.float64]:
    """Probability of each entry: its source's share, spread evenly, soft edges twice as often as hard."""
    shares = {source.name: source.share for source in (*SOURCES, RENDERED)}
    weights = np.array([0.5 + min(e.soft_share, 0.1) * 5 for e in entries])
    for name in {e.source for e in entries}:
        mine = np.array([e.source == name for e in entries])
        weights[mine] *= shares[name] / weights[mine].sum()
    return np.asarray(weights / weights.sum(), np.float64)


@lru_cache(maxsize=1000)
def _foreground(path: Path) -> U8:
    return read_rgba(path, max_long_side=1024)


@lru_cache(maxsize=400)
def _background(path: Path) -> U8:
    return read_rgb(path, max_short_side=1080)
