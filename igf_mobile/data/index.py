"""The index of usable pictures: filter what was extracted, say what each picture is, split by identity."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from igf_mobile.data.images import U8, read_rgb, read_rgba
from igf_mobile.data.sources import SOURCES, Role, Source
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import write_text

MIN_FOREGROUND_SIDE = 200  # px, the object's long side
MIN_BACKGROUND_SIDE = 360  # px, short side: the 273 landscapes of endless-sky-land have 360
MIN_OBJECT_SHARE, MAX_OBJECT_SHARE = 0.03, 0.97  # of the object's own bounding box
NEAR_DUPLICATE_BITS = 6  # of 128
VALIDATION_SHARE = 0.08


@dataclass(frozen=True)
class Entry:
    """One usable picture.

    Attributes:
        id: twelve hex digits of the SHA-256 of source and path.
        role: foreground or background.
        path: relative to the data root.
        source: the package's name.
        licence: of the picture.
        width: px.
        height: px.
        soft_share: share of the object (alpha > 10) with alpha below 245; 0 for a background.
        identity: what the picture shows: frames, mirrored copies and numbered variants share one.
        split: train or validation, by the hash of the identity.
    """

    id: str
    role: Role
    path: str
    source: str
    licence: str
    width: int
    height: int
    soft_share: float
    identity: str
    split: str


def build_index(root: Path, sources: Sequence[Source] = SOURCES) -> list[Entry]:
    """Look at every extracted picture of `sources`, write `<root>/index.jsonl`, return its entries.

    Sources that were not fetched are simply absent. An index of the same pictures is kept as it is.

    Raises:
        IgfError: no foreground or no background is usable.
    """
    made_from = _made_from(root, sources)
    stamp = root / "index.from"
    if (
        stamp.is_file()
        and stamp.read_text(encoding="utf-8") == made_from
        and (root / "index.jsonl").is_file()
    ):
        return read_index(root)
    entries: list[Entry] = []
    hashes: dict[Role, list[NDArray[np.uint8]]] = {"foreground": [], "background": []}
    for source in sources:
        usable = 0
        files = list(_pictures(root, source))
        for file in track(files, f"indexing {source.name}", console=Console(stderr=True)):
            if source.limit and usable >= source.limit:
                break
            found = _examine(root, file, source)
            if found is None or _is_near(found[1], hashes[source.role]):
                continue
            entries.append(found[0])
            hashes[source.role].append(found[1])
            usable += 1
    for role in hashes:
        if not hashes[role]:
            raise IgfError(f"no usable {role} below {root / 'raw'}; fetch the sources first")
    write_text(root / "index.jsonl", "".join(json.dumps(asdict(entry)) + "\n" for entry in entries))
    write_text(stamp, made_from)
    return entries


def read_index(root: Path) -> list[Entry]:
    """The entries of `<root>/index.jsonl`.

    Raises:
        IgfError: there is no index.
        DamagedFile: a line of it is not an entry.
    """
    path = root / "index.jsonl"
    if not path.is_file():
        raise IgfError(f"no index at {path}; build the data first")
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            fields: dict[str, Any] = json.loads(line)
            entries.append(Entry(**fields))
        except (ValueError, TypeError) as error:
            raise DamagedFile(f"{path}:{number} is not an index entry: {error}") from error
    return entries


def soft_share(alpha: U8) -> float:
    """Share of the object's pixels (alpha > 10) that are neither opaque nor empty (alpha < 245)."""
    visible = int(np.count_nonzero(alpha > 10))
    return float(np.count_nonzero((alpha > 10) & (alpha < 245))) / max(visible, 1)


def is_usable_foreground(rgba: U8) -> bool:
    """Whether an (H,W,4) picture is an object with a real alpha, big enough and with an outline.

    A full rectangle, a hairline frame, a faint veil and a two-coloured sign all fail.
    """
    alpha = rgba[..., 3]
    box = bounding_box(alpha)
    if box is None:
        return False
    top, bottom, left, right = box
    height, width = bottom - top, right - left
    if max(height, width) < MIN_FOREGROUND_SIDE or min(height, width) < 0.2 * max(height, width):
        return False
    object_alpha = alpha[top:bottom, left:right]
    share = float(np.mean(object_alpha > 127))
    if not MIN_OBJECT_SHARE <= share <= MAX_OBJECT_SHARE:
        return False
    opaque = rgba[top:bottom, left:right][object_alpha > 127][:, :3]
    return len(np.unique(opaque[:: max(1, len(opaque) // 4096)] >> 3, axis=0)) >= 24


def bounding_box(alpha: U8, threshold: int = 10) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) of the pixels above `threshold`, None when there is none."""
    rows = np.flatnonzero((alpha > threshold).any(axis=1))
    columns = np.flatnonzero((alpha > threshold).any(axis=0))
    if len(rows) == 0:
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def perceptual_hash(rgba: U8) -> NDArray[np.uint8]:
    """128 bits, packed: the signs of horizontal steps in a 9x8 thumbnail over grey, and in its alpha."""
    alpha = rgba[..., 3].astype(np.float32) / 255.0
    grey = cv2.cvtColor(rgba[..., :3], cv2.COLOR_RGB2GRAY).astype(np.float32) * alpha + 128.0 * (1 - alpha)
    bits = []
    for plane in (grey, alpha):
        thumbnail = cv2.resize(plane, (9, 8), interpolation=cv2.INTER_AREA)
        bits.append(np.diff(thumbnail, axis=1) > 0)
    return np.packbits(np.stack(bits))


def identity_of(path: str) -> str:
    """What a picture shows: its path without suffix, numbers and the words for a variant of another."""
    stem = path.rsplit(".", 1)[0].lower()
    return re.sub(r"(mirror|flip|female|male|[-_+~0-9 ])+$", "", stem)


def split_of(identity: str) -> str:
    """train or validation, by the hash of the identity; the same on every machine."""
    draw = int(hashlib.sha256(identity.encode()).hexdigest()[:8], 16) / 0x1_0000_0000
    return "validation" if draw < VALIDATION_SHARE else "train"


def _pictures(root: Path, source: Source) -> Iterator[Path]:
    """The extracted pictures of a source, in the order of their hashed paths: a limit takes a fair share."""
    folder = root / "raw" / source.folder
    files: Iterable[Path] = (f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))
    wanted = (f for f in files if source.wants(f.relative_to(folder).as_posix()))
    yield from sorted(wanted, key=lambda f: _digest(f.relative_to(folder).as_posix()))


def _made_from(root: Path, sources: Sequence[Source]) -> str:
    """Names all pictures and everything the filter goes by."""
    limits = [
        MIN_FOREGROUND_SIDE,
        MIN_BACKGROUND_SIDE,
        MIN_OBJECT_SHARE,
        MAX_OBJECT_SHARE,
        NEAR_DUPLICATE_BITS,
    ]
    listed = [(s, [f.relative_to(root).as_posix() for f in _pictures(root, s)]) for s in sources]
    return hashlib.sha256(repr((limits, VALIDATION_SHARE, listed)).encode()).hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _examine(root: Path, file: Path, source: Source) -> tuple[Entry, NDArray[np.uint8]] | None:
    """The entry and the perceptual hash of a picture, None where it is unusable."""
    relative = file.relative_to(root).as_posix()
    try:
        rgba = read_rgba(file) if source.role == "foreground" else _opaque(read_rgb(file))
    except DamagedFile:
        return None
    if source.role == "foreground":
        if not is_usable_foreground(rgba):
            return None
    elif min(rgba.shape[:2]) < MIN_BACKGROUND_SIDE:
        return None
    # backgrounds named beach1 and beach2 are different beaches, and so are renders of two seeds: each is its own
    numbered = source.role == "foreground" and source.kind != "own"
    identity = f"{source.name}:{identity_of(relative) if numbered else relative}"
    entry = Entry(
        id=_digest(relative),
        role=source.role,
        path=relative,
        source=source.name,
        licence=source.licence,
        width=rgba.shape[1],
        height=rgba.shape[0],
        soft_share=round(soft_share(rgba[..., 3]), 4) if source.role == "foreground" else 0.0,
        identity=identity,
        split=split_of(identity),
    )
    return entry, perceptual_hash(rgba)


def _opaque(rgb: U8) -> U8:
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def _is_near(candidate: NDArray[np.uint8], known: Sequence[NDArray[np.uint8]]) -> bool:
    if not known:
        return False
    distance = np.unpackbits(np.stack(known) ^ candidate, axis=1).sum(axis=1)
    return bool(distance.min() <= NEAR_DUPLICATE_BITS)
