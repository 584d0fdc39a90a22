"""Int8 weights and activation ranges of a build, in its folder."""

import hashlib
import json
from pathlib import Path

import igf_mobile
from igf_mobile import ranges
from igf_mobile.calibration import Calibrated, calibrate
from igf_mobile.checkpoint import CheckpointInfo
from igf_mobile.files import sha256_of
from igf_mobile.manifest import FileRecord, Manifest, RangesRecord
from igf_mobile.model import Generator
from igf_mobile.observers import DEFAULT_OBSERVER
from igf_mobile.pipeline.folder import RANGES, ROUNDED
from igf_mobile.rounding import load_rounded, save_rounded


def calibrated(
    model: Generator, info: CheckpointInfo, manifest: Manifest, old: Manifest | None, folder: Path
) -> tuple[Calibrated, RangesRecord]:
    """The checkpoint's own, or learned from the shipped samples, or what still is in the folder; written there."""
    package = Path(igf_mobile.__file__).parent
    names = ("calibration", "observers", "ranges", "rounding", "sites")
    code = [sha256_of(package / f"{name}.py") for name in names]
    parts = [info.ranges, DEFAULT_OBSERVER, manifest.checkpoint.sha256, manifest.calibration.sha256, code]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    before = old.ranges if old else None
    if before and before.key == key and all(file.is_in(folder) for file in before.files):
        return open_calibrated(model, before, folder), before
    found = calibrate(model, info.ranges, manifest.checkpoint.file)
    table, rounded = found.ranges, None
    ranges.save(folder / RANGES, table)
    if found.rounded:
        save_rounded(folder / ROUNDED, found.rounded)
        rounded = FileRecord.of(folder / ROUNDED)
    origin = "QAT" if info.ranges else "PTQ"
    return found, RangesRecord(
        file=FileRecord.of(folder / RANGES),
        origin=origin,
        observer=table.observer,
        calibration_sha256=table.calibration_sha256,
        sha256=table.sha256,
        key=key,
        rounded=rounded,
    )


def open_calibrated(model: Generator, record: RangesRecord, folder: Path) -> Calibrated:
    """What `calibrated` wrote into a build.

    Raises:
        DamagedFile: it cannot be read.
    """
    table = ranges.load(folder / record.file.file)
    return Calibrated(model, table, load_rounded(folder / record.rounded.file) if record.rounded else None)
