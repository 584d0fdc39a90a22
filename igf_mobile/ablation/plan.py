"""Which trainings are compared: each differs in one thing from another one that sees the same samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from igf_mobile.errors import IgfError
from igf_mobile.losses import LOSS_PRESETS
from igf_mobile.train import LAST_FILE
from igf_mobile.training_state import TrainConfig, preset_config

COMMON: Mapping[str, Any] = {
    "steps": 1500,
    "batch_size": 8,
    "lr": 1.5e-3,
    "warmup_steps": 100,
    # Averages over 100 steps: with the preset's 0.998 the first steps would still weigh at the end.
    "ema_decay": 0.99,
    "validate_every": 0,
}
"""Fields of `TrainConfig` that all variants have, beside those of preset `fast`: short, so that seeds fit."""


@dataclass(frozen=True)
class Variant:
    """One training.

    Attributes:
        name: of its row, and of its folder.
        says: what differs from `against`.
        changes: fields of `TrainConfig` over `COMMON`.
        against: the variant it is compared with, seed by seed; itself for none.
        starts_from: the variant whose weights of the same seed it begins with; "" for fresh weights.
    """

    name: str
    says: str
    against: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    starts_from: str = ""


_OURS, _PAPER = LOSS_PRESETS["fast"], replace(LOSS_PRESETS["paper"], adversarial=0.0)
# The discriminator costs twenty times the generator: few steps, small batches, from weights that matte already.
_LONGER: Mapping[str, Any] = {
    "steps": 300,
    "batch_size": 4,
    "lr": 1e-4,
    "warmup_steps": 20,
    "betas": (0.5, 0.999),
}

VARIANTS: tuple[Variant, ...] = (
    Variant("ours", "the losses of 0.3.0, masks of every kind", "ours"),
    Variant(
        "predicted A", "A drawn by the network, as in the paper; no refit", "ours", {"form": "predicted"}
    ),
    Variant("direct alpha", "alpha drawn at 1/4 and upsampled, A = 0", "ours", {"form": "direct"}),
    Variant(
        "ours + Gabor",
        "with the Gabor loss, weighed to L1 as in the paper",
        "ours",
        {"losses": replace(_OURS, gabor=20.0)},
    ),
    Variant("paper's losses", "L1, local and Gabor (eq. 9), no discriminator", "ours", {"losses": _PAPER}),
    Variant("width 4", "four times as many channels", "ours", {"width": 4}),
    Variant("masks of 0.3.0", "no nearly right masks, no previous alpha", "ours", {"masks": "first"}),
    Variant(
        "paper's, no Gabor",
        "without the Gabor loss",
        "paper's losses",
        {"losses": replace(_PAPER, gabor=0.0)},
    ),
    Variant("paper's, longer", "more steps, from those weights", "paper's losses", _LONGER, "paper's losses"),
    Variant(
        "paper's, adversarial",
        "with the discriminator",
        "paper's, longer",
        {**_LONGER, "losses": LOSS_PRESETS["paper"], "adversarial": True},
        "paper's losses",
    ),
)


def folder_of(runs: Path, name: str, seed: int) -> Path:
    """The run folder of a variant and seed: `<runs>/paper-s-no-gabor-0`."""
    words = "".join(c if c.isalnum() else " " for c in name).split()
    return runs / "-".join([*words, str(seed)])


def config_of(
    variant: Variant, seed: int, data: Path, runs: Path, factor: float = 1.0, workers: int = 1
) -> TrainConfig:
    """The training of a variant; every step count times `factor`."""
    values: dict[str, Any] = {**COMMON, **variant.changes, "seed": seed, "workers": workers}
    for name in ("steps", "warmup_steps"):
        values[name] = max(1, round(values[name] * factor))
    if variant.starts_from:
        values["init"] = str(folder_of(runs, variant.starts_from, seed) / LAST_FILE)
    return preset_config("fast", data, folder_of(runs, variant.name, seed), **values)


def chosen(names: Sequence[str] | None, variants: Sequence[Variant] = VARIANTS) -> list[Variant]:
    """The variants of these names, all by default, and those they start from or are compared with, in order.

    Raises:
        IgfError: an unknown name; the choices are listed.
    """
    known = {variant.name: variant for variant in variants}
    wanted: set[str] = set()
    asked = list(names or known)
    while asked:
        name = asked.pop()
        if name not in known:
            raise IgfError(f"variant {name!r} is not one of {', '.join(known)}")
        if name not in wanted:
            wanted.add(name)
            asked += [other for other in (known[name].starts_from, known[name].against) if other]
    return [variant for variant in variants if variant.name in wanted]
