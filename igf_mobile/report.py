"""`report.html`: what a build holds and how far it is from the float model, in one offline file.

The file loads nothing: pictures and plots are data URIs, and a content security policy says so. The same
manifest and mattes give the same bytes.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from igf_mobile import gates, schemes
from igf_mobile.device.comparison import Comparison
from igf_mobile.device.reader import stored
from igf_mobile.device.section import device_page
from igf_mobile.files import write_text
from igf_mobile.manifest import ArtifactRecord, Manifest, load_manifest
from igf_mobile.parity import IDENTICAL_DB, load_tolerances
from igf_mobile.quantize.plot import plot
from igf_mobile.quantize.ranking import Sensitivity, load
from igf_mobile.report_contents import contents_page
from igf_mobile.report_pictures import BACKGROUND, HEAT_COLOURS, HEAT_STEPS, strips
from igf_mobile.report_plots import Plot, is_reference, plots, sad_ratio

if TYPE_CHECKING:
    import jinja2

FILE_NAME = "report.html"
_NOT_RUN = "not run: "
_FULL_BAR_DB = 100.0


@dataclass(frozen=True)
class Band:
    """A word for a range of values: a reading aid, not a gate."""

    word: str
    least: float
    meaning: str


SQNR_BANDS = (
    Band("as fp32", 70.0, "above 70 dB, where Apple puts float32 conversions"),
    Band("as fp16", 50.0, "50 to 70 dB, where float16 conversions are"),
    Band("good", 40.0, "40 to 50 dB, about what 4-bit palettized weights reach"),
    Band("fair", 30.0, "30 to 40 dB; AI Hub Models calls over 30 typically good"),
    Band("poor", -math.inf, "below 30 dB: look at the mattes"),
)
"""Those figures are PSNR. SQNR divides by the signal's power, not by 1, and is some dB lower."""

RATIO_BANDS = (
    Band("worse", 1.10, "more than 10 % above the float model's error"),
    Band("close", 1.01, "1 to 10 % above"),
    Band("as float", -math.inf, "at most 1 % above"),
)


@dataclass(frozen=True)
class Row:
    """One artifact as the report shows it."""

    record: ArtifactRecord
    failed: bool
    """A failing sentence names it."""

    @property
    def name(self) -> str:
        """`<backend>-<scheme>`."""
        return f"{self.record.backend}-{self.record.scheme}"

    @property
    def status(self) -> str:
        """ "measured", "reference" or "not run"."""
        if self.record.ran_on.startswith(_NOT_RUN) or self.record.parity is None:
            return "not run"
        return "reference" if is_reference(self.record) else "measured"

    @property
    def why_not(self) -> str:
        """Why there are no measurements."""
        if self.record.ran_on.startswith(_NOT_RUN):
            return self.record.ran_on.removeprefix(_NOT_RUN)
        return "it ran, but nothing was recorded" if self.record.parity is None else "not recorded"

    @property
    def why_untimed(self) -> str:
        """Why there is no latency."""
        if self.status == "reference":
            return "a stand-in's time says nothing of the runtime"
        return self.why_not if self.status == "not run" else "not timed"

    @property
    def scheme_description(self) -> str:
        """From `schemes`; empty for a scheme this version does not know."""
        scheme = schemes.SCHEMES.get(self.record.scheme)
        return scheme.description if scheme else ""

    @property
    def sad_ratio(self) -> float:
        """NaN where not measured, or where the float model has no error."""
        return sad_ratio(self.record)


def write_report(
    folder: Path,
    failures: Sequence[str] | None = None,
    devices: Sequence[Path] | None = None,
    older: Comparison | None = None,
) -> Path:
    """Write `report.html` of a build from its manifest, its mattes and the reports of devices.

    Args:
        folder: the build, with `manifest.json`, `mattes/float/<sample>.png` and
            `mattes/<backend>-<scheme>/<sample>.png` (absent where an artifact was not run).
        failures: a sentence per gate that did not pass, as `igf verify` has them; shown on top. Empty: all
            passed. None: nobody checked, and the report says so.
        devices: device reports; those stored in `devices/` of the build by default.
        older: how those compare with older ones, shown where it was asked for.

    Returns:
        The report's path.

    Raises:
        DamagedFile: the manifest is absent or damaged, or a matte or a device report is.
        IgfError: a matte cannot be read, or the report cannot be written.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    path = folder / FILE_NAME
    page = _page(manifest, folder, failures)
    page |= contents_page(folder, [f"{r.backend}-{r.scheme}" for r in manifest.artifacts])
    page |= device_page(manifest, stored(folder) if devices is None else devices, older)
    write_text(path, environment().get_template(FILE_NAME).render(page))
    return path


def rewrite_report(
    folder: Path, devices: Sequence[Path] | None = None, older: Comparison | None = None
) -> Path:
    """`write_report` with the gates checked by what the manifest says; nothing is run again."""
    rows = load_tolerances(gates.DEFAULT_TOLERANCES)
    failures = [s for record in load_manifest(folder).artifacts for s in gates.check_artifact(record, rows)]
    return write_report(folder, failures, devices, older)


def band(value: float, bands: Sequence[Band]) -> int:
    """Index of the first of `bands` that `value` reaches."""
    return next(index for index, candidate in enumerate(bands) if value >= candidate.least)


def _page(manifest: Manifest, folder: Path, failures: Sequence[str] | None) -> dict[str, Any]:
    """What the template sees."""
    rows = [Row(record, any(_names(f, record) for f in failures or ())) for record in manifest.artifacts]
    run = [row.name for row in rows if row.status != "not run"]
    return {
        "manifest": manifest,
        "failures": failures,
        "rows": rows,
        "backends": {name: list(group) for name, group in groupby(rows, key=lambda row: row.record.backend)},
        "not_run": _grouped((row.why_not, row.name) for row in rows if row.status == "not run"),
        "float_matte": next((row.record.parity.float_matte for row in rows if row.record.parity), None),
        "plots": plots(manifest.artifacts),
        "sensitivity": _sensitivity(manifest, folder),
        "strips": strips(folder / "mattes", run),
        "tensors": _grouped(((row.record.inputs, row.record.outputs), row.name) for row in rows),
        "schemes": schemes.SCHEMES,
        "sqnr_bands": SQNR_BANDS,
        "ratio_bands": RATIO_BANDS,
        "full_bar_db": _FULL_BAR_DB,
        "identical_db": IDENTICAL_DB,
        "background": BACKGROUND,
        "heat_colours": HEAT_COLOURS,
        "heat_top": HEAT_STEPS / 255.0,
    }


def _sensitivity(manifest: Manifest, folder: Path) -> tuple[Sensitivity, Plot] | None:
    """The ranking in the folder and its plot, where it is of the build's checkpoint."""
    found = load(folder)
    if found is None or found.checkpoint_sha256 != manifest.checkpoint.sha256:
        return None
    return found, plot(found)


def _names(sentence: str, record: ArtifactRecord) -> bool:
    """Whether a failing sentence is about an artifact: "litert w8: ...", "litert-w8 ..." or its file."""
    pattern = rf"\b{re.escape(record.backend)}[ -]{re.escape(record.scheme)}\b"
    return record.file in sentence or re.search(pattern, sentence) is not None


def _grouped(pairs: Any) -> dict[Any, list[str]]:
    """(key, name) -> key: names, in the order of appearance."""
    groups: dict[Any, list[str]] = {}
    for key, name in pairs:
        groups.setdefault(key, []).append(name)
    return groups


def environment() -> "jinja2.Environment":
    """The package's templates, with the filters that they use."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("igf_mobile"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["finite"] = lambda value: value is not None and math.isfinite(value)
    environment.filters.update(short=_short, listed=_listed, band=band)
    return environment


def _short(value: float) -> str:
    """Two significant digits: 0.034, 5.2e-7."""
    mantissa, _, exponent = f"{value:.2g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def _listed(counts: dict[str, int]) -> str:
    """{"conv": 22, "add": 3} -> "22 conv, 3 add", the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in ordered)
