"""What calibration samples give a float network: int8 weights and activation ranges, the same for all runtimes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from igf_mobile import composites, schemes
from igf_mobile.checkpoint import weights_sha256
from igf_mobile.composites import load_composites
from igf_mobile.files import sha256_of
from igf_mobile.model import Generator
from igf_mobile.observers import DEFAULT_OBSERVER, FloatArray, observe, ranges_for
from igf_mobile.ranges import Ranges, parse
from igf_mobile.rounding import Rounded, applied, compensated


@dataclass(frozen=True)
class Calibrated:
    """A float network, and what its int8 artifacts are made of."""

    model: Generator
    """In float."""
    ranges: Ranges
    rounded: Rounded | None
    """None after QAT, whose weights learned to be rounded to the nearest."""

    def network(self, scheme: str, layers: Mapping[str, str] | None = None) -> Generator:
        """The network that an artifact holds.

        Args:
            scheme: its scheme's name; of no meaning with `layers`.
            layers: layer -> precision of a recipe.
        """
        if self.rounded is None or not schemes.has_int8(scheme, layers):
            return self.model
        return applied(self.model, self.rounded, layers)

    def ranges_of(self, network: Generator) -> Ranges:
        """The ranges, for a network of `network`: exporters refuse those of other weights."""
        return replace(self.ranges, weights_sha256=weights_sha256(network))


def shipped_pairs() -> tuple[list[tuple[FloatArray, FloatArray]], str]:
    """The calibration samples that ship with the package, (guidance (1,3,H,W), weak_mask (1,1,H,W)) each, and the hash
    of their folder."""
    folder = composites.FOLDERS["calibration"]
    return [sample.tensors() for sample in load_composites(folder)], sha256_of(folder)


def calibrate(
    model: Generator, learned: str = "", source: str = "", observer: str = DEFAULT_OBSERVER
) -> Calibrated:
    """Int8 weights by the shipped samples, and ranges of what the network computes with them.

    Args:
        model: in float.
        learned: the checkpoint's own ranges (`CheckpointInfo.ranges`); where there are any, nothing is observed.
        source: what to call the checkpoint in an error.
        observer: of the ranges, one of `observers.OBSERVERS`.

    Raises:
        DamagedFile: the checkpoint's ranges cannot be read.
        IgfError: they are of other weights.
    """
    if learned:
        return Calibrated(model, ranges_for(model, parse(learned, source)), None)
    pairs, digest = shipped_pairs()
    rounded = compensated(model, pairs, digest)
    (table,) = observe(applied(model, rounded), pairs, digest, [observer])
    return Calibrated(model, replace(table, weights_sha256=rounded.weights_sha256), rounded)
