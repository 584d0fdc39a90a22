"""Does a checkpoint use its image? A network of A = 0 that smooths its mask can have a fair SAD (docs: data.md).

Two probes on the shipped proof composites, each with a gate in `weights/guidance_gates.json`:

- `blur_change`: mean |alpha(I) - alpha(blurred I)| over mean |alpha(I) - weak mask|, both in the unknown band: the
  share of what the network changes that the image's detail decides. 0 for a mask smoother.
- `detail_share`: the share of the matte's gradient energy that comes from A * I (`training_probe.detail_probe`), 0
  where A has collapsed, even if B still follows the image's colours.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from igf_mobile import composites, evaluate
from igf_mobile.backends.base import Runner
from igf_mobile.composites import CompositeSample
from igf_mobile.errors import DamagedFile
from igf_mobile.model import Matte
from igf_mobile.training_probe import detail_probe

DEFAULT_GATES = Path(__file__).parent.parent / "weights" / "guidance_gates.json"
BLUR_SIGMA_PX = 8.0


@dataclass(frozen=True)
class GuidanceUse:
    """How much a checkpoint's mattes owe to the image; means over samples."""

    blur_change: float
    detail_share: float
    mean_slope: float
    """Mean |A|; shown, not gated: it goes with the photographs' contrast."""

    def as_dict(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


def guidance_use(runner: Runner, samples: Sequence[CompositeSample] | None = None) -> GuidanceUse:
    """Probe a runner on `samples`, the shipped proof composites by default.

    Args:
        runner: (guidance (1,3,H,W), weak_mask (1,1,H,W)) -> alpha and coefficients, NCHW.
        samples: composites of sides divisible by 32.
    """
    found = [
        _probe(runner, sample)
        for sample in samples or composites.load_composites(composites.FOLDERS["proof"])
    ]
    blur, detail, slope = np.mean(found, axis=0)
    return GuidanceUse(float(blur), float(detail), float(slope))


def load_gates(path: Path = DEFAULT_GATES) -> dict[str, float]:
    """The least allowed value of each gated probe.

    Raises:
        DamagedFile: the file is no table of gates.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        return {str(name): float(row["least"]) for name, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{path} is no table of gates: {error}") from error


def check_guidance(use: GuidanceUse, gates: dict[str, float]) -> list[str]:
    """A sentence for each gate that fails; a probe without a gate fails, and so does a NaN."""
    sentences = []
    for name in ("blur_change", "detail_share"):
        value, least = use.as_dict()[name], gates.get(name)
        if least is None:
            sentences.append(f"no gate for {name}")
        elif not value >= least:
            sentences.append(
                f"the checkpoint hardly uses its image: {name} {value:.3g}, at least {least:g} expected"
            )
    return sentences


def _probe(runner: Runner, sample: CompositeSample) -> tuple[float, float, float]:
    guidance, weak_mask = sample.tensors()
    alpha, coefficients = runner(guidance, weak_mask)
    blurred = cv2.GaussianBlur(sample.guidance, (0, 0), BLUR_SIGMA_PX, borderType=cv2.BORDER_REPLICATE)
    without_detail, _ = runner(np.ascontiguousarray(blurred.transpose(2, 0, 1)[None]), weak_mask)
    band = evaluate.unknown_band(sample.weak_mask)
    changed = float(np.abs(alpha - without_detail)[0, 0][band].mean())
    repaired = float(np.abs(alpha - weak_mask)[0, 0][band].mean())
    tensors = Matte(torch.from_numpy(alpha.copy()), torch.from_numpy(coefficients.copy()))
    slope, detail = detail_probe(tensors, torch.from_numpy(guidance))
    return changed / max(repaired, 1e-6), detail, slope
