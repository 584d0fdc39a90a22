"""Write the measured parts of README.md, the checkpoint's card and docs/strip.jpg again.

    make export && igf export --coefficients-only -b build-ab --backend litert
    igf bench --peers --compiled --applied build-ab --output bench.json
    python docs/update.py --suite DIR --bench bench.json

The table of artifacts also takes what these recorded in the build folder; a cell says which has not run:

    igf eval --suite DIR --artifacts; igf verify --arch arm64; igf verify --runtime tflite-2.14

The ablations are those that `igf ablate` wrote as `ablation.json` and that lie beside this file as `ablation*.json`.

Everything between `<!-- NAME -->` and `<!-- end -->` in the two files comes from here.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from igf_mobile import evaluate, images, matting
from igf_mobile.ablation.run import load_ablation
from igf_mobile.ablation.table import as_markdown
from igf_mobile.bench import markdown, record
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.files import write_text
from igf_mobile.manifest import ArtifactRecord, Manifest, load_manifest
from igf_mobile.matting import FloatRunner
from igf_mobile.proof import tables
from igf_mobile.proof.cache import Cache, default_folder
from igf_mobile.proof.run import OURS, checkpoint_name, prove
from igf_mobile.samples import load_sample

ROOT = Path(__file__).parent.parent
FILES = (ROOT / "README.md", ROOT / "igf_mobile" / "weights" / "README.md")
STRIP_SAMPLES = ("chelsea", "astronaut")
STRIP_HEIGHT = 200
BACKGROUND = "#1d6f8a"


class _Notes:
    """Why cells of a table are empty: a letter in the cell, a sentence below."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def __call__(self, reason: str) -> str:
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f"not run ({chr(ord('a') + self.reasons.index(reason))})"

    def lines(self) -> list[str]:
        """A line per reason."""
        return [f"- ({chr(ord('a') + index)}) {reason}." for index, reason in enumerate(self.reasons)]


def artifact_table(manifest: Manifest, build: Path) -> str:
    """A row per artifact: what `igf export`, `igf eval --artifacts`, `igf verify --arch` and `--runtime` recorded."""
    photographs, arm, oldest = (_record(build, name) for name in ("photographs", "arm64", "tflite-2.14"))
    notes = _Notes()
    header = (
        "runtime",
        "scheme",
        "KB",
        "SQNR dB",
        "max error",
        "SAD ratio, composites",
        "SAD ratio, photographs",
    )
    header += (
        "arm64 against x86",
        "tflite 2.14 against LiteRT",
        "operators int8 / float",
        "fell back",
        "median ms",
    )
    rows = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for r in manifest.artifacts:
        if (p := r.parity) is not None:
            ratio = p.matte.sad / p.float_matte.sad
            measured = [f"{p.alpha.sqnr_db:.1f}", f"{p.alpha.max_abs:.2g}", f"{ratio:.4f}"]
        else:
            measured = [notes(r.ran_on.removeprefix("not run: "))] * 3
        cells = [r.backend, r.scheme, f"{r.bytes / 1000:.0f}", *measured]
        cells += [
            _photographs_cell(r, photographs, notes),
            _arm_cell(r, arm, notes),
            _oldest_cell(r, oldest, notes),
        ]
        fallen = ", ".join(f"{n} {name}" for name, n in sorted(r.fallback.items())) or "0"
        late = (
            "a stand-in's time says nothing of the runtime"
            if r.parity
            else r.ran_on.removeprefix("not run: ")
        )
        latency = f"{r.latency.median_ms:.1f}" if r.latency else notes(late)
        cells += [_operators_cell(r, notes), fallen, latency]
        rows.append(f"| {' | '.join(cells)} |")
    ran_on = sorted({f"{r.backend}: {r.ran_on}" for r in manifest.artifacts if r.parity})
    return "\n".join([*rows, "", *notes.lines(), "", f"Ran on: {'; '.join(ran_on)}."])


def _record(build: Path, name: str) -> dict[str, Any] | None:
    path = build / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _photographs_cell(r: ArtifactRecord, found: dict[str, Any] | None, notes: _Notes) -> str:
    entry = found["artifacts"].get(f"{r.backend}-{r.scheme}") if found else None
    if entry is None or entry.get("sha256", r.sha256) != r.sha256:
        return notes("`igf eval --artifacts` has not seen this artifact")
    return notes(entry["not_run"]) if "not_run" in entry else f"{entry['sad_ratio']:.4f}"


def _arm_cell(r: ArtifactRecord, found: dict[str, Any] | None, notes: _Notes) -> str:
    rows = [row for row in found["rows"] if row["sha256"] == r.sha256] if found else []
    if not rows:
        return notes("`igf verify --arch arm64` has not seen this artifact")
    if reason := rows[0]["not_run"]:
        return notes(reason)
    text = _difference([row["alpha_max_abs"] for row in rows], any(row["failures"] for row in rows))
    steps = [row["heads"]["steps"] for row in rows if row["heads"]]
    return f"{text}; {max(steps):.1f} steps" if steps else text


def _oldest_cell(r: ArtifactRecord, found: dict[str, Any] | None, notes: _Notes) -> str:
    if not r.file.endswith(".tflite"):
        return notes("that runtime takes .tflite files alone")
    rows = [row for row in found["rows"] if row["sha256"] == r.sha256] if found else []
    if not rows:
        return notes("`igf verify --runtime tflite-2.14` has not seen this artifact")
    text = _difference([row["alpha"] and row["alpha"]["max_abs"] for row in rows], bool(rows[0]["failures"]))
    own = rows[0]["own_kernels"]
    return f"{text}; {own['alpha_max_abs']:.2g} without XNNPACK" if own else text


def _difference(values: list[float | None], failed: bool) -> str:
    """The largest difference of alpha, over all CPU models."""
    known = [value for value in values if value is not None]
    text = f"{max(known):.2g}" if len(known) == len(values) else "no result"
    return f"{text}, **failed**" if failed else text


def _operators_cell(r: ArtifactRecord, notes: _Notes) -> str:
    int8 = sum(r.quantized.values())
    everything = sum(r.delegated.values()) + sum(r.fallback.values())
    if everything:
        return f"{int8} / {everything - int8}"
    return f"{int8} / {notes('Core ML fuses and places operators on the device')}"


def eval_tables(suite: Path) -> dict[str, str]:
    """The tables of the real photographs, what the cache of `igf eval` lacks run again."""
    runner = FloatRunner(load_checkpoint(DEFAULT_CHECKPOINT)[0])
    cases = evaluate.load_suite(suite)
    proof = prove(cases, runner, checkpoint_name(DEFAULT_CHECKPOINT), Cache(default_folder()))
    result = proof.outcome(OURS).result
    if result is None:
        raise RuntimeError("the checkpoint was not run")
    each = ", ".join(f"{name} {m.sad:.2f}" for name, m in result.per_image.items())
    goals = "; ".join(
        f"{tables.TITLES[m]} {share:.2f} (goal {goal:.2f})" for m, (share, goal) in proof.goals().items()
    )
    use = proof.guidance
    return {
        "eval": tables.markdown(tables.error_rows(proof)),
        "damage": tables.markdown(tables.study_rows(proof)),
        "flicker": tables.markdown(tables.flicker_rows(proof)),
        "per-image": f"SAD per photograph: {each}.",
        "goals": f"Error as a share of that guided filter's: {goals}.",
        "detail": f"It uses the image: blurring it changes {use.blur_change:.0%} of what the network repairs, and "
        f"{use.detail_share:.0%} of the matte's gradient energy comes from A * I; mean |A| is {use.mean_slope:.3f} "
        "(shipped proof composites).",
    }


def ablation_tables() -> dict[str, str]:
    """The tables of each kept ablation, by the name of its file."""
    return {
        path.stem: as_markdown(load_ablation(path)) for path in sorted((ROOT / "docs").glob("ablation*.json"))
    }


def performance(path: Path) -> str:
    """What `igf bench --peers --output` measured: our artifacts beside what a user would pick instead."""
    run = record.load(path)
    return "\n\n".join((markdown.table(run), markdown.conditions(run)))


def write_strip(path: Path) -> None:
    """Photograph, weak mask, matte, composite; a row per sample."""
    runner = FloatRunner(load_checkpoint(DEFAULT_CHECKPOINT)[0])
    rows = []
    for name in STRIP_SAMPLES:
        sample = load_sample(name)
        alpha = matting.matte(runner, sample.guidance, sample.weak_mask)
        on_colour = matting.composite(sample.guidance, alpha, BACKGROUND)
        width = round(sample.guidance.shape[1] * STRIP_HEIGHT / sample.guidance.shape[0])
        size = (STRIP_HEIGHT, width)
        panels = [sample.guidance, np.dstack([sample.weak_mask] * 3), np.dstack([alpha] * 3), on_colour]
        rows.append(np.hstack([images.resize(panel, size) for panel in panels]))
    full = max(row.shape[1] for row in rows)
    padded = [np.pad(r, ((0, 8), (0, full - r.shape[1]), (0, 0)), constant_values=1.0) for r in rows]
    images.write_image(path, np.vstack(padded).clip(0.0, 1.0))


def fill(path: Path, parts: dict[str, str]) -> None:
    """Replace what stands between a part's markers."""
    text = path.read_text(encoding="utf-8")
    for name, content in parts.items():
        pattern = rf"<!-- {name} -->.*?<!-- end -->"
        text = re.sub(pattern, lambda _: f"<!-- {name} -->\n{content}\n<!-- end -->", text, flags=re.S)  # noqa: B023
    write_text(path, text)


def update(
    build: Annotated[Path, typer.Option(help="The build folder.")] = Path("build"),
    suite: Annotated[
        Path | None, typer.Option(help="Photographs with true alpha; else that part stays.")
    ] = None,
    bench: Annotated[
        Path | None, typer.Option(help="A run of `igf bench --peers --output`; else that part stays.")
    ] = None,
) -> None:
    """Fill README.md and the card."""
    parts = {"artifacts": artifact_table(load_manifest(build), build)}
    parts |= ablation_tables()
    if suite is not None:
        parts |= eval_tables(suite)
    if bench is not None:
        parts["performance"] = performance(bench)
    for path in FILES:
        fill(path, parts)
    write_strip(ROOT / "docs" / "strip.jpg")


if __name__ == "__main__":
    typer.run(update)
