"""The activation ranges of a build's `w8a8`, one table for all runtimes."""

import hashlib
import json
from pathlib import Path

import igf_mobile
from igf_mobile import composites, ranges
from igf_mobile.checkpoint import CheckpointInfo
from igf_mobile.composites import load_composites
from igf_mobile.files import sha256_of, size_of
from igf_mobile.manifest import FileRecord, Manifest, RangesRecord
from igf_mobile.model import Generator
from igf_mobile.observers import DEFAULT_OBSERVER, observe, ranges_for
from igf_mobile.pipeline.folder import RANGES
from igf_mobile.ranges import Ranges


def range_table(
    model: Generator, info: CheckpointInfo, manifest: Manifest, old: Manifest | None, folder: Path
) -> tuple[Ranges, RangesRecord]:
    """The activation ranges of `w8a8`, written to the folder: the checkpoint's, or observed, or still there."""
    path = folder / RANGES
    package = Path(igf_mobile.__file__).parent
    code = [sha256_of(package / f"{name}.py") for name in ("observers", "ranges", "sites")]
    parts = [info.ranges, DEFAULT_OBSERVER, manifest.checkpoint.sha256, manifest.calibration.sha256, code]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    before = old.ranges if old else None
    if before and before.key == key and path.is_file() and sha256_of(path) == before.file.sha256:
        return ranges.load(path), before
    if info.ranges:
        table = ranges_for(model, ranges.parse(info.ranges, manifest.checkpoint.file))
    else:
        samples = load_composites(composites.FOLDERS["calibration"])
        pairs = [sample.tensors() for sample in samples]
        (table,) = observe(model, pairs, manifest.calibration.sha256)
    ranges.save(path, table)
    file = FileRecord(RANGES, sha256_of(path), size_of(path))
    origin = "QAT" if info.ranges else "PTQ"
    return table, RangesRecord(file, origin, table.observer, table.calibration_sha256, table.sha256, key)
