"""Write the measured parts of README.md, the checkpoint's card and docs/strip.jpg again.

    make export && python docs/update.py --suite DIR

Everything between `<!-- NAME -->` and `<!-- end -->` in the two files comes from here.
"""

import re
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from igf_mobile import evaluate, images, matting
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.files import write_text
from igf_mobile.manifest import Manifest, load_manifest
from igf_mobile.matting import FloatRunner
from igf_mobile.model import Matte
from igf_mobile.samples import load_sample
from igf_mobile.training_probe import detail_probe

ROOT = Path(__file__).parent.parent
FILES = (ROOT / "README.md", ROOT / "igf_mobile" / "weights" / "README.md")
STRIP_SAMPLES = ("chelsea", "astronaut")
STRIP_HEIGHT = 200
BACKGROUND = "#1d6f8a"
GOALS = {"mse": 2.0, "sad": 2.0, "grad": 1.5, "conn": 2.0}


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
    """The tables of the real photographs: means with intervals, per photograph, distance to the goals."""
    runner = FloatRunner(load_checkpoint(DEFAULT_CHECKPOINT)[0])
    cases = evaluate.load_suite(suite)
    slopes, shares = [], []

    def ours(guidance: np.ndarray, weak_mask: np.ndarray) -> np.ndarray:
        pair = guidance.transpose(2, 0, 1)[None].copy(), weak_mask[None, None].copy()
        alpha, coefficients = (torch.from_numpy(x.copy()) for x in runner(*pair))
        slope, share = detail_probe(Matte(alpha, coefficients), torch.from_numpy(pair[0]))
        slopes.append(slope)
        shares.append(share)
        return alpha[0, 0].numpy()

    radius, eps, filtered = evaluate.best_guided_filter(cases)
    results = {
        "weak mask": evaluate.evaluate(cases, evaluate.weak_mask_matte),
        f"fast guided filter, best of a grid (radius {radius}, eps {eps:g})": filtered,
        "igf-512": evaluate.evaluate(cases, ours),
    }
    rows = ["| method | MSE | SAD | Grad | Conn |", "|---|---|---|---|---|"]
    for name, result in results.items():
        cells = [
            f"{value:.3f} [{result.interval[q].low:.3f}, {result.interval[q].high:.3f}]"
            for q, value in result.mean.as_dict().items()
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    mean, baseline = results["igf-512"].mean.as_dict(), filtered.mean.as_dict()
    goals = "; ".join(
        f"{q.upper() if q in ('mse', 'sad') else q.title()} {mean[q] / baseline[q]:.2f} (goal {1.0 / goal:.2f})"
        for q, goal in GOALS.items()
    )
    each = ", ".join(f"{name} {m.sad:.2f}" for name, m in results["igf-512"].per_image.items())
    detail = (
        f"mean |A| on these photographs is {np.mean(slopes):.3f}, and {np.mean(shares):.0%} of the matte's"
        " gradient energy comes from A * I."
    )
    return {
        "eval": "\n".join(rows),
        "per-image": f"SAD per photograph: {each}.",
        "goals": f"Error as a share of that guided filter's: {goals}.",
        "detail": f"It uses the image: {detail}",
    }


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
) -> None:
    """Fill README.md and the card."""
    parts = {"artifacts": artifact_table(load_manifest(build))}
    if suite is not None:
        parts |= eval_tables(suite)
    for path in FILES:
        fill(path, parts)
    write_strip(ROOT / "docs" / "strip.jpg")


if __name__ == "__main__":
    typer.run(update)
