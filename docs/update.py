"""Write the measured parts of README.md, the checkpoint's card and docs/strip.jpg again.

    make export && igf bench --peers --output bench.json
    python docs/update.py --suite DIR --bench bench.json

Everything between `<!-- NAME -->` and `<!-- end -->` in the two files comes from here.
"""

import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from igf_mobile import evaluate, images, matting
from igf_mobile.bench import markdown, record
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.files import write_text
from igf_mobile.manifest import Manifest, load_manifest
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


def artifact_table(manifest: Manifest) -> str:
    """A row per artifact, from the manifest."""
    rows = [
        "| runtime | scheme | KB | SQNR dB | max error | SAD ratio | median ms | fell back | ran on |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in manifest.artifacts:
        p, t = r.parity, r.latency
        measured = ["-"] * 3
        if p is not None:
            measured = [
                f"{p.alpha.sqnr_db:.1f}",
                f"{p.alpha.max_abs:.2g}",
                f"{p.matte.sad / p.float_matte.sad:.4f}",
            ]
        latency = f"{t.median_ms:.1f}" if t else "not run"
        fallen = ", ".join(f"{n} {name}" for name, n in sorted(r.fallback.items())) or "0"
        ran_on = r.ran_on.split(",")[0]
        cells = (r.backend, r.scheme, f"{r.bytes / 1000:.0f}", *measured, latency, fallen, ran_on)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


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
    parts = {"artifacts": artifact_table(load_manifest(build))}
    if suite is not None:
        parts |= eval_tables(suite)
    if bench is not None:
        parts["performance"] = performance(bench)
    for path in FILES:
        fill(path, parts)
    write_strip(ROOT / "docs" / "strip.jpg")


if __name__ == "__main__":
    typer.run(update)
