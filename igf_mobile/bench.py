"""`igf bench`: the artifacts of a build timed on this machine, with eager torch beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from igf_mobile import backends, composites
from igf_mobile.backends.base import BackendUnavailable, Runner
from igf_mobile.composites import load_composites
from igf_mobile.errors import IgfError
from igf_mobile.latency import Latency, measure
from igf_mobile.manifest import load_manifest


@dataclass(frozen=True)
class BenchRow:
    """One artifact."""

    name: str
    ran_on: str
    """The runtime, or "not run: reason"."""
    latency: Latency | None


def bench_build(
    folder: Path, warm_up: int, iterations: int, threads: int, progress: Callable[[str], None]
) -> list[BenchRow]:
    """Time every artifact of the build, on one real composite.

    Raises:
        DamagedFile: the manifest or an artifact cannot be read.
        IgfError: the artifacts are not of the shipped composites' size.
    """
    manifest = load_manifest(folder)
    sample = load_composites(composites.FOLDERS["proof"])[0]
    if manifest.size != sample.alpha.shape:
        raise IgfError(f"the build is for {manifest.size}, the shipped composites are {sample.alpha.shape}")
    guidance, weak_mask = sample.tensors()

    def timed(name: str, load: Callable[[], Runner]) -> BenchRow:
        progress(name)
        try:
            runner = load()
        except BackendUnavailable as reason:
            return BenchRow(name, f"not run: {reason}", None)
        if runner.description.startswith("reference evaluation"):
            return BenchRow(name, "not run: a reference evaluation's time says nothing of Core ML", None)

        def loaded() -> Callable[[], object]:
            again = load()
            return lambda: again(guidance, weak_mask)

        return BenchRow(name, runner.description, measure(loaded, warm_up, iterations, threads))

    rows = [timed("torch-fp32 (shipped checkpoint)", lambda: _eager(threads))]
    for record in manifest.artifacts:
        backend, path = backends.get(record.backend), folder / record.file
        rows.append(
            timed(f"{record.backend}-{record.scheme}", lambda b=backend, p=path: b.load(p, threads))  # type: ignore[misc]
        )
    return rows


def _eager(threads: int) -> Runner:
    import torch

    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
    from igf_mobile.matting import FloatRunner

    torch.set_num_threads(threads)
    return FloatRunner(load_checkpoint(DEFAULT_CHECKPOINT)[0])
