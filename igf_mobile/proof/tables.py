"""The proof as rows of text, the first the heading; the terminal and the README show the same."""

from igf_mobile.evaluate import Interval
from igf_mobile.proof.compare import METRICS, Outcome
from igf_mobile.proof.flicker import KINDS
from igf_mobile.proof.run import GUIDED, OURS, Proof

Rows = list[list[str]]
TITLES = {"mse": "MSE", "sad": "SAD", "grad": "Grad", "conn": "Conn"}


def error_rows(proof: Proof) -> Rows:
    """A row per method: mean errors with intervals, time per frame."""
    rows = [["method", *TITLES.values(), "ms per frame"]]
    for outcome in proof.outcomes:
        label = row_label(proof, outcome.name)
        if outcome.result is None:
            rows.append([label, f"not run: {outcome.not_run}", "", "", "", ""])
            continue
        mean = outcome.result.mean.as_dict()
        rows.append([label, *(_cell(mean[m], outcome.result.interval[m]) for m in METRICS), _time(outcome)])
    return rows


def difference_rows(proof: Proof) -> Rows:
    """A row per other method: mean of (other - ours) over the images with its interval."""
    rows = [["method", *TITLES.values()]]
    for name, found in proof.differences.items():
        rows.append([name, *(_cell(*found[metric]) for metric in METRICS)])
    return rows


def study_rows(proof: Proof) -> Rows:
    """SAD (MSE) by method and damage."""
    rows = [["method", *(f"{px} px" for px in proof.damage[OURS])]]
    for name, results in proof.damage.items():
        rows.append([name, *(f"{r.mean.sad:.2f} ({r.mean.mse:.4f})" for r in results.values())])
    return rows


def flicker_rows(proof: Proof) -> Rows:
    """Flicker in thousandths by method and kind of mask damage."""
    rows = [["method", *(f"{kind} mask damage" for kind in KINDS)]]
    for name, kinds in proof.flicker.items():
        cells = []
        for kind in KINDS:
            span = kinds[kind].interval
            cells.append(_cell(1e3 * kinds[kind].mean, Interval(1e3 * span.low, 1e3 * span.high), 2))
        rows.append([name, *cells])
    return rows


def row_label(proof: Proof, name: str) -> str:
    """A method's name, the guided filter's with its settings."""
    radius, eps = proof.guided
    return f"{name}, best of a grid (radius {radius}, eps {eps:g})" if name == GUIDED else name


def markdown(rows: Rows) -> str:
    """Rows as a Markdown table."""
    heading, *body = rows
    lines = [heading, ["---"] * len(heading), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: float, span: Interval, digits: int = 3) -> str:
    return f"{value:.{digits}f} [{span.low:.{digits}f}, {span.high:.{digits}f}]"


def _time(outcome: Outcome) -> str:
    return (
        f"{outcome.median_ms:.0f}"
        if outcome.median_ms and outcome.median_ms >= 10
        else f"{outcome.median_ms:.1f}"
    )
