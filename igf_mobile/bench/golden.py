"""An artifact's alpha against the golden one of a build's `device_case/`, as phones check theirs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from igf_mobile.bench.frame import channels_last_of
from igf_mobile.device.report import DeviceParity
from igf_mobile.errors import DamagedFile

FOLDER = "device_case"


def check(
    outputs: Mapping[str, npt.NDArray[Any]], build: Path, backend: str, scheme: str
) -> DeviceParity | None:
    """The distance of outputs on the first proof sample; None where the build has no case with its limits.

    Outputs are by name, in the artifact's layout. Coefficients without an alpha are applied to the case's guidance.

    Raises:
        DamagedFile: the case cannot be read or is of another size.
    """
    folder = build / FOLDER
    if not (folder / "case.json").is_file():
        return None
    try:
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        limits = case["limits"].get(backend, {}).get(scheme)
        golden = np.fromfile(folder / "alpha.f32", "<f4")
        name = str(case["name"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{folder} is no golden case: {error!r}") from error
    if limits is None:
        return None
    alpha = outputs["alpha"] if "alpha" in outputs else _applied(outputs["coefficients"], folder, case)
    scale = 255.0 if alpha.dtype == np.uint8 else 1.0
    values = alpha.astype(np.float64).ravel() / scale
    if values.shape != golden.shape:
        raise DamagedFile(f"{folder} has {golden.size} pixels, the artifact gives {values.size}")
    finite = all(bool(np.isfinite(output).all()) for output in outputs.values())
    constant = bool(np.ptp(values) == 0)
    distance = np.abs(values - golden)
    largest, mean = (float(distance.max()), float(distance.mean())) if finite else (None, None)
    within = (
        largest is not None
        and mean is not None
        and largest <= limits["max_abs"]
        and mean <= limits["mean_abs"]
    )
    return DeviceParity(
        case=name,
        alpha_max_abs=largest,
        alpha_mean_abs=mean,
        limit_max_abs=float(limits["max_abs"]),
        limit_mean_abs=float(limits["mean_abs"]),
        finite=finite,
        constant=constant,
        passed=finite and not constant and within,
    )


def _applied(coefficients: npt.NDArray[Any], folder: Path, case: Mapping[str, Any]) -> npt.NDArray[Any]:
    """(1,h,w,4) or (1,4,h,w) -> (H,W) on the case's guidance."""
    from igf_mobile.full_resolution import apply_coefficients

    try:
        guidance = np.fromfile(folder / "guidance.f32", "<f4").reshape(case["shapes"]["guidance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{folder} has no whole guidance: {error!r}") from error
    return apply_coefficients(channels_last_of(coefficients), guidance[0].transpose(1, 2, 0))
