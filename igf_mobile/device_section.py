"""The devices section of `report.html`: what its template sees."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from igf_mobile import devices
from igf_mobile.device_checks import FRAME_BUDGETS_MS
from igf_mobile.device_plots import device_plots
from igf_mobile.device_reader import load_reports
from igf_mobile.manifest import Manifest


def device_page(
    manifest: Manifest, reports: Sequence[Path], older: devices.Comparison | None
) -> dict[str, Any]:
    """Names of the template -> values; no devices make an empty section, which is not shown.

    Raises:
        DamagedFile: a report breaks the schema or contradicts itself.
    """
    views = [devices.view(report, manifest) for report in load_reports(reports, manifest.size)]
    return {
        "devices": views,
        "device_plots": device_plots(views, [record.backend for record in manifest.artifacts]),
        "older": older,
        "margin": devices.MARGIN,
        "paper": devices.PAPER,
        "paper_source": devices.PAPER_SOURCE,
        "frame_budgets": FRAME_BUDGETS_MS,
        "share_at_minutes": devices.share_at_minutes,
    }
