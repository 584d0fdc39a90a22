"""The devices section of `report.html`: what its template sees."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from igf_mobile.device import comparison
from igf_mobile.device.checks import FRAME_BUDGETS_MS
from igf_mobile.device.plots import device_plots
from igf_mobile.device.reader import load_reports
from igf_mobile.manifest import Manifest


def device_page(
    manifest: Manifest, reports: Sequence[Path], older: comparison.Comparison | None
) -> dict[str, Any]:
    """Names of the template -> values; no devices make an empty section, which is not shown.

    Raises:
        DamagedFile: a report breaks the schema or contradicts itself.
    """
    views = [comparison.view(report, manifest) for report in load_reports(reports, manifest.size)]
    return {
        "devices": views,
        "device_plots": device_plots(views, [record.backend for record in manifest.artifacts]),
        "older": older,
        "margin": comparison.MARGIN,
        "paper": comparison.PAPER,
        "paper_source": comparison.PAPER_SOURCE,
        "frame_budgets": FRAME_BUDGETS_MS,
        "share_at_minutes": comparison.share_at_minutes,
    }
