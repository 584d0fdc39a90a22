"""Open an artifact of a build, or the float model, by name."""

from dataclasses import replace
from pathlib import Path

from igf_mobile import backends
from igf_mobile.backends.base import Runner
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.manifest import check_files, load_manifest
from igf_mobile.matting import FloatRunner
from igf_mobile.pipeline.folder import FLOAT


def open_runner(runtime: str, scheme: str, folder: Path, checkpoint: Path) -> tuple[Runner, tuple[int, int]]:
    """A runner by name, and the size (H, W) it takes.

    Args:
        runtime: "float" for the checkpoint in torch, or a backend with an artifact in `folder`.
        scheme: of the artifact.
        folder: the build folder.
        checkpoint: for "float".

    Raises:
        ValueError: no such runtime.
        IgfError: the build has no such artifact.
        DamagedFile: the artifact is not the file the manifest describes.
        BackendUnavailable: it cannot run on this machine.
    """
    if runtime == FLOAT:
        return FloatRunner(load_checkpoint(checkpoint)[0]), (512, 512)
    if runtime not in backends.names():
        raise ValueError(f"unknown runtime {runtime!r}; available: {FLOAT}, {', '.join(backends.names())}")
    manifest = load_manifest(folder)
    record = manifest.find(runtime, scheme)
    if record is None:
        there = ", ".join(f"{r.backend} {r.scheme}" for r in manifest.artifacts) or "nothing"
        raise IgfError(f"{folder} has no {runtime} {scheme}; it has {there}")
    if problems := check_files(replace(manifest, artifacts=(record,)), folder):
        raise DamagedFile(problems[0])
    return backends.get(runtime).load(folder / record.file), manifest.size
