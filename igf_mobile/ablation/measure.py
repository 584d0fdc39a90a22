"""What a trained network is judged by: composites it has seen, composites of other objects, real photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from igf_mobile import evaluate
from igf_mobile.batches import Batch, as_batch
from igf_mobile.data.dataset import Composites, sample_batch
from igf_mobile.data.weak_mask import MIXES
from igf_mobile.evaluate import EvalCase
from igf_mobile.matting import FloatRunner
from igf_mobile.model import Generator
from igf_mobile.proof import damage, flicker
from igf_mobile.proof.run import network_matte
from igf_mobile.training_probe import validation_errors

SLIGHT_PX = 5
CROPS, CROP_PX = 192, 256
_BATCH = 16
_SEED = 20_261_125
"""Of the crops; no training has it."""

TITLES: dict[str, str] = {
    "seen_sad": "seen composites, SAD",
    "held_out_sad": "held-out, SAD",
    "held_out_mse": "held-out, MSE",
    "mse": "photographs, MSE",
    "sad": "SAD",
    "grad": "Grad",
    "conn": "Conn",
    "slight_sad": f"SAD, masks {SLIGHT_PX} px wrong",
    "flicker": "flicker",
}
"""Columns, by the name of the number."""


@dataclass(frozen=True)
class Judges:
    """The pictures, the same for all variants.

    Attributes:
        seen: crops of training composites, with masks that no training drew.
        held_out: as many crops of the held-out composites.
        suite: photographs with true alpha.
    """

    seen: Sequence[Batch]
    held_out: Sequence[Batch]
    suite: Sequence[EvalCase]


def judges(data: Path, suite: Sequence[EvalCase], crops: int = CROPS, crop: int = CROP_PX) -> Judges:
    """Cut the crops of both splits below `data`; their masks are of the mix `first`, as all held-out ones."""
    batches = {}
    for split in ("train", "validation"):
        composites = Composites(data, split)
        batches[split] = [
            as_batch(sample_batch(composites, _SEED, step, min(_BATCH, crops), crop, kinds=MIXES["first"]))
            for step in range(max(1, crops // _BATCH))
        ]
    return Judges(batches["train"], batches["validation"], suite)


def errors_of(generator: Generator, by: Judges) -> dict[str, float]:
    """The numbers of `TITLES`; flicker, under masks that follow exactly, in thousandths of alpha."""
    network = generator.eval()
    seen = validation_errors(lambda guidance, mask: network(guidance, mask).alpha, by.seen)
    held_out = validation_errors(lambda guidance, mask: network(guidance, mask).alpha, by.held_out)
    matte = network_matte(FloatRunner(network))
    photographs = evaluate.evaluate(by.suite, matte).mean
    slight = evaluate.evaluate([damage.damaged(case, SLIGHT_PX) for case in by.suite], matte).mean
    panned = {case.name: flicker.image_flicker(case, matte, "fixed") for case in by.suite}
    return {
        "seen_sad": seen["sad"],
        "held_out_sad": held_out["sad"],
        "held_out_mse": held_out["mse"],
        **photographs.as_dict(),
        "slight_sad": slight.sad,
        "flicker": 1e3 * flicker.summarise(panned).mean,
    }
