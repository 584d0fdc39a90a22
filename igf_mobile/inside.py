"""The look inside a build's artifacts that `igf verify` takes: layers, int8 ranges, room in float16."""

from collections.abc import Sequence
from pathlib import Path

from igf_mobile import gates
from igf_mobile.calibration import Calibrated, shipped_pairs
from igf_mobile.checkpoint import weights_sha256
from igf_mobile.composites import CompositeSample
from igf_mobile.contents import halves
from igf_mobile.contents.expected import Expected, expected_layers
from igf_mobile.contents.findings import write_findings
from igf_mobile.contents.stress import stress_pairs
from igf_mobile.graph import fold_batch_norms
from igf_mobile.manifest import ArtifactRecord, Manifest
from igf_mobile.model import Generator


class Inside:
    """The float model over calibration, proof and stress inputs, and what the artifacts hold of it."""

    def __init__(
        self,
        model: Generator,
        calibration: Calibrated | None,
        manifest: Manifest,
        proof: Sequence[CompositeSample],
    ) -> None:
        """Runs the model; the artifacts are of the size of the calibration set.

        Args:
            model: in float.
            calibration: what its int8 artifacts were made from; None where there are none.
            manifest: the build's.
            proof: whose mattes are to show room in float16.
        """
        self._model, self._calibration = model, calibration
        self._pairs, _ = shipped_pairs()
        self._coefficients_only = manifest.coefficients_only
        self._expected: dict[tuple[object, ...], list[Expected]] = {}
        pairs = [*self._pairs, *(s.tensors() for s in proof), *stress_pairs(manifest.size).values()]
        self.ranges = halves.measure(fold_batch_norms(model), pairs)
        self._matched: dict[str, gates.Matched] = {}

    def check(self, record: ArtifactRecord, folder: Path) -> list[str]:
        """A sentence per convolution of an artifact that is not what the checkpoint and the calibration set make it."""
        sentences, matched = gates.check_layers(record, folder, self._expected_in(record))
        self._matched[record.name] = matched
        return sentences

    def _expected_in(self, record: ArtifactRecord) -> list[Expected]:
        layout, layers = record.outputs[-1].layout, record.recipe.wanted if record.recipe else None
        network = self._calibration.network(record.scheme, layers) if self._calibration else self._model
        key = (layout, weights_sha256(network))
        if key not in self._expected:
            self._expected[key] = expected_layers(network, layout, self._pairs, self._coefficients_only)
        return self._expected[key]

    def write(self, folder: Path) -> None:
        """Keep what was found in the build, for the report."""
        write_findings(folder, self.ranges, self._matched)
