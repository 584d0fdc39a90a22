"""Every artifact of a build on photographs with true alpha, as a ratio to the float model's errors."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from igf_mobile import backends
from igf_mobile.backends.base import BackendUnavailable, Runner
from igf_mobile.budget import METRICS, PHOTOGRAPHS
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.evaluate import EvalCase, Float32Array, evaluate
from igf_mobile.files import sha256_of, write_text
from igf_mobile.manifest import ArtifactRecord, Manifest, check_files, load_manifest
from igf_mobile.matting import FloatRunner
from igf_mobile.proof.cache import Cache, case_digest, digest, network_code
from igf_mobile.quiet import output_to

FLOAT = "float"


def measure_artifacts(
    folder: Path, checkpoint: Path, cases: Sequence[EvalCase], cache: Cache, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Errors of every artifact, also written to `photographs.json` of the build.

    An artifact's errors are cached by its sha256, its runtime's version and the photographs.

    Returns:
        {"photographs": count, "artifacts": {name: {"sha256", "sad", ..., "sad_ratio", ...} or {"not_run": reason}}},
        the float model among them as "float". A build that is damaged gives a "not_run" for what is damaged.

    Raises:
        DamagedFile: the manifest or the checkpoint cannot be read.
    """
    manifest = load_manifest(folder)
    photographs = digest(*(case_digest(case) for case in cases))
    tools = json.dumps(manifest.tools, sort_keys=True)

    def errors(name: str, content: str, runner: Callable[[], Runner]) -> dict[str, float]:
        def make() -> dict[str, float]:
            loaded = runner()

            def matte(guidance: Float32Array, weak_mask: Float32Array) -> Float32Array:
                progress(f"{name}: running")
                alpha, _ = loaded(guidance.transpose(2, 0, 1)[None].copy(), weak_mask[None, None].copy())
                return np.asarray(alpha[0, 0].clip(0.0, 1.0))

            with output_to(folder / "export.log"):
                mean = evaluate(cases, matte).mean.as_dict()
            return {metric: mean[metric] for metric in METRICS}

        return cache.document(digest("artifact on photographs", name, content, tools, photographs), make)

    sha256 = sha256_of(checkpoint)
    reference = errors(FLOAT, sha256 + network_code(), lambda: FloatRunner(load_checkpoint(checkpoint)[0]))
    artifacts: dict[str, dict[str, Any]] = {FLOAT: {"sha256": sha256, **reference}}
    for record in manifest.artifacts:
        name = record.name
        if reason := _why_not(record, folder, manifest):
            artifacts[name] = {"not_run": reason}
            continue
        load = backends.get(record.backend).load
        try:
            found = errors(name, record.sha256, partial(load, folder / record.file))
        except BackendUnavailable as reason:
            artifacts[name] = {"not_run": str(reason)}
            continue
        ratios = {f"{metric}_ratio": found[metric] / reference[metric] for metric in METRICS}
        artifacts[name] = {"sha256": record.sha256, **found, **ratios}
    result = {"photographs": len(cases), "artifacts": artifacts}
    write_text(folder / PHOTOGRAPHS, json.dumps(result, indent=1, sort_keys=True) + "\n")
    return result


def _why_not(record: ArtifactRecord, folder: Path, manifest: Manifest) -> str | None:
    if manifest.size != (512, 512):
        return f"the photographs are 512 x 512, the artifact {manifest.size[0]} x {manifest.size[1]}"
    problems = check_files(replace(manifest, artifacts=(record,)), folder)
    return problems[0] if problems else None


def table_rows(result: dict[str, Any]) -> list[list[str]]:
    """A header and a row per artifact."""
    rows = [["artifact", "SAD", "SAD / float", "MSE / float", "Grad / float", "Conn / float"]]
    for name, found in result["artifacts"].items():
        if "not_run" in found:
            rows.append([name, f"not run: {found['not_run']}", *[""] * 4])
            continue
        ratios = [f"{found[f'{m}_ratio']:.4f}" if name != FLOAT else "1" for m in METRICS]
        rows.append([name, f"{found['sad']:.3f}", *ratios])
    return rows
