"""`igf ablate`: parse, call, print."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from igf_mobile.proof.command import REAL, suite_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igf_mobile.ablation.run import Ablation
    from igf_mobile.evaluate import EvalCase


def ablate(
    runs: Annotated[Path, typer.Option(help="Folder of the runs; the same folder goes on.")] = Path(
        "runs/ablation"
    ),
    data: Annotated[Path, typer.Option(help="Folder of `igf data build`.")] = Path("data_cache"),
    suite: Annotated[
        str, typer.Option(help="A folder with input/ and gt/ (alphamatting.com layout), or 'real'.")
    ] = REAL,
    seeds: Annotated[int, typer.Option(help="Runs of each variant.", min=1)] = 2,
    variant: Annotated[
        list[str] | None, typer.Option(help="Repeat for several, with what they need; all by default.")
    ] = None,
    factor: Annotated[
        float, typer.Option(help="Of all step counts: 1 takes about an hour of one core.", min=1e-4)
    ] = 1.0,
    workers: Annotated[int, typer.Option(help="Processes that make batches.", min=0)] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
) -> None:
    """What each part of the recipe is worth: short trainings that differ in one thing, on the same samples.

    Gabor loss, discriminator, A predicted or by refit, direct alpha, the paper's losses against ours, four times the
    width, kinds of masks. Killed? The same command goes on. After every run `ablation.json` and `ablation.md` in the
    folder hold what is done.

    Examples: `igf ablate --suite real` · `igf ablate --variant "width 4" --seeds 3 --factor 10`
    """
    from rich.console import Console

    from igf_mobile.ablation.measure import judges
    from igf_mobile.ablation.plan import chosen, config_of
    from igf_mobile.ablation.run import run_ablation
    from igf_mobile.ablation.table import as_markdown
    from igf_mobile.evaluate import load_suite
    from igf_mobile.files import write_text

    wanted = chosen(variant)
    cases = load_suite(suite_folder(suite))
    screen = Console(stderr=True)

    def keep(done: "Ablation") -> None:
        write_text(runs / "ablation.json", json.dumps(done.as_dict(), indent=1) + "\n")
        write_text(runs / "ablation.md", as_markdown(done) + "\n")

    ablation = run_ablation(
        wanted,
        range(seeds),
        lambda v, seed: config_of(v, seed, data, runs, factor, workers),
        judges(data, cases),
        _conditions(data, cases),
        keep,
        lambda text: screen.print(text, highlight=False),
    )
    print(json.dumps(ablation.as_dict(), indent=1) if json_ else as_markdown(ablation))


def _conditions(data: Path, cases: "Sequence[EvalCase]") -> "dict[str, Any]":
    """What the numbers depend on besides the recipes."""
    from igf_mobile.ablation.measure import CROP_PX, CROPS
    from igf_mobile.data.dataset import Composites
    from igf_mobile.files import sha256_of
    from igf_mobile.proof.cache import case_digest, digest

    return {
        "training composites": len(Composites(data, "train")),
        "crops judged": f"2 x {CROPS} of {CROP_PX} px",
        "photographs": len(cases),
        "index": sha256_of(data / "index.jsonl")[:12],
        "suite": digest(*map(case_digest, cases))[:12],
    }
