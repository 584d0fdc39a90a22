"""What each layer's int8 costs the matte: one layer or block at a time, the rest float, ranked by SAD."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from igf_mobile import composites
from igf_mobile.calibration import Calibrated
from igf_mobile.composites import load_composites
from igf_mobile.evaluate import load_suite, unknown_band
from igf_mobile.metrics import sad
from igf_mobile.quantize.ranking import SCHEMA_VERSION, Row, Sensitivity
from igf_mobile.quantize.simulation import Simulation
from igf_mobile.recipes import FLOAT, STATIC

FloatArray = NDArray[np.float32]
PROOF = "proof"
"""The composites that the gates measure on; the default."""
UNITS = ("layer", "block")

Progress = Callable[[str, int], None]
"""(what is done, how many of it there will be); called once for each."""


@dataclass(frozen=True)
class Sample:
    """What a matte is made from and judged by; (H,W) and (H,W,3) in [0,1]."""

    name: str
    guidance: FloatArray
    weak_mask: FloatArray
    alpha: FloatArray


class Bench:
    """Samples and a simulation of one network on them."""

    def __init__(
        self,
        calibration: Calibrated,
        suite: str = PROOF,
        progress: Progress = lambda *_: None,
    ) -> None:
        """Prepare the samples.

        Args:
            calibration: of the network.
            suite: "proof", or a folder as `evaluate.load_suite` takes it.
            progress: see `Progress`.

        Raises:
            IgfError: no such suite.
        """
        self.samples = load_samples(suite)
        self._regions = [unknown_band(sample.weak_mask) for sample in self.samples]
        inputs = [(s.guidance.transpose(2, 0, 1)[None], s.weak_mask[None, None]) for s in self.samples]
        self.simulation = Simulation(calibration, inputs, lambda: progress("preparing", len(self.samples)))

    def sads(self, layers: Mapping[str, str]) -> list[float]:
        """The SAD of each sample's matte, in the unknown band."""
        alphas = self.simulation.run(layers)
        return [
            sad(np.clip(alpha[0, 0], 0.0, 1.0), sample.alpha, region)
            for alpha, sample, region in zip(alphas, self.samples, self._regions, strict=True)
        ]

    def mean_sad(self, layers: Mapping[str, str]) -> float:
        """The mean of `sads`."""
        return float(np.mean(self.sads(layers)))


def load_samples(suite: str) -> list[Sample]:
    """The proof composites, or the photographs of a folder."""
    if suite == PROOF:
        found = load_composites(composites.FOLDERS["proof"])
        return [Sample(s.name, s.guidance, s.weak_mask, s.alpha) for s in found]
    return [Sample(c.name, c.guidance, c.weak_mask, c.alpha) for c in load_suite(Path(suite))]


def groups(names: Sequence[str], unit: str) -> dict[str, tuple[str, ...]]:
    """Name of a layer or block -> its layers; a block is a part of the hourglass, `hourglass.decode_8`.

    Raises:
        ValueError: an unknown unit.
    """
    if unit not in UNITS:
        raise ValueError(f"unit {unit!r} is not one of {', '.join(UNITS)}")
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        key = name if unit == "layer" else ".".join(name.split(".")[:2])
        found[key] = (*found.get(key, ()), name)
    return found


def measure(
    bench: Bench,
    checkpoint_sha256: str,
    suite: str = PROOF,
    unit: str = "layer",
    precision: str = STATIC,
    progress: Progress = lambda *_: None,
) -> Sensitivity:
    """Quantize each layer or block alone, and all of them.

    Args:
        bench: of the checkpoint and the suite.
        checkpoint_sha256: for the record.
        suite: for the record.
        unit: "layer" or "block".
        precision: what to quantize to, `w8a8` or `w8`.
        progress: see `Progress`.

    Raises:
        ValueError: an unknown unit or precision.
    """
    if precision not in (STATIC, "w8"):
        raise ValueError(f"precision {precision!r} is not one of {STATIC}, w8")
    names = list(bench.simulation.macs)
    units = groups(names, unit)
    total = len(units) + 2
    plain = dict.fromkeys(names, FLOAT)
    base = np.array(bench.sads(plain))
    progress("float", total)
    everything = bench.mean_sad(dict.fromkeys(names, precision))
    progress("all layers", total)
    rows = []
    for name, layers in units.items():
        sads = np.array(bench.sads(plain | dict.fromkeys(layers, precision)))
        losses = sads / base - 1.0
        worst = int(np.argmax(losses))
        rows.append(
            Row(
                name=name,
                layers=layers,
                sad=float(sads.mean()),
                loss=float(sads.mean() / base.mean() - 1.0),
                worst=bench.samples[worst].name,
                worst_loss=float(losses[worst]),
                macs=sum(bench.simulation.macs[layer] for layer in layers),
                weights=sum(bench.simulation.weights[layer] for layer in layers),
            )
        )
        progress(name, total)
    rows.sort(key=lambda row: -row.loss)
    return Sensitivity(
        SCHEMA_VERSION,
        checkpoint_sha256,
        suite,
        len(bench.samples),
        unit,
        precision,
        float(base.mean()),
        everything,
        tuple(rows),
    )
