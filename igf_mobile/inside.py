"""The look inside a build's artifacts that `igf verify` takes: layers, int8 ranges, room in float16."""

from collections.abc import Sequence
from pathlib import Path

from igf_mobile import composites, gates
from igf_mobile.composites import CompositeSample, load_composites
from igf_mobile.contents import halves
from igf_mobile.contents.expected import expected_layers
from igf_mobile.contents.findings import write_findings
from igf_mobile.contents.stress import stress_pairs
from igf_mobile.graph import fold_batch_norms
from igf_mobile.manifest import ArtifactRecord, Manifest
from igf_mobile.model import Generator


class Inside:
    """The float model over calibration, proof and stress inputs, and what the artifacts hold of it."""

    def __init__(self, model: Generator, manifest: Manifest, proof: Sequence[CompositeSample]) -> None:
        """Runs the model; the artifacts are of the size of the calibration set."""
        calibration = [sample.tensors() for sample in load_composites(composites.FOLDERS["calibration"])]
        layouts = {record.inputs[0].layout for record in manifest.artifacts}
        self._expected = {
            layout: expected_layers(model, layout, calibration, manifest.coefficients_only)
            for layout in layouts
        }
        pairs = [*calibration, *(s.tensors() for s in proof), *stress_pairs(manifest.size).values()]
        self.ranges = halves.measure(fold_batch_norms(model), pairs)
        self._matched: dict[str, gates.Matched] = {}

    def check(self, record: ArtifactRecord, folder: Path) -> list[str]:
        """A sentence per convolution of an artifact that is not what the checkpoint and the calibration set make it."""
        sentences, matched = gates.check_layers(record, folder, self._expected[record.inputs[0].layout])
        self._matched[f"{record.backend}-{record.scheme}"] = matched
        return sentences

    def write(self, folder: Path) -> None:
        """Keep what was found in the build, for the report."""
        write_findings(folder, self.ranges, self._matched)
