"""Shared by the tests: one thread, a network that looks trained, small photographs, a backend in one file."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from igf_mobile import backends, composites
from igf_mobile.backends.base import FloatArray
from igf_mobile.checkpoint import CheckpointInfo, save_checkpoint
from igf_mobile.composites import load_composites
from igf_mobile.images import resize, write_alpha, write_image
from igf_mobile.model import Generator
from igf_mobile.pipeline import measure
from igf_mobile.pipeline.export import export_build
from igf_mobile.pipeline.jobs import wanted_jobs
from igf_mobile.samples import Sample, load_samples

torch.set_num_threads(1)

Pairs = list[tuple[FloatArray, FloatArray]]


@cache
def _photographs(size: tuple[int, int]) -> Pairs:
    def resized(image: FloatArray) -> Tensor:
        planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        tensor = torch.from_numpy(np.ascontiguousarray(planes[None], np.float32))
        return nn.functional.interpolate(tensor, size=size, mode="area")

    return [
        (resized(sample.guidance).numpy(), resized(sample.weak_mask).round().numpy())
        for sample in load_samples()
    ]


@pytest.fixture(scope="session")
def photographs() -> Callable[[tuple[int, int]], Pairs]:
    """(H, W) -> the shipped samples at that size: pairs (guidance (1,3,H,W), weak_mask (1,1,H,W))."""
    return _photographs


def make_trained_like() -> Generator:
    """Untrained, but with batch-norm statistics of photographs and corrections of the size training gives."""
    torch.manual_seed(0)
    network = Generator().train()
    with torch.no_grad():
        for part in (*network.hourglass.head.parts, network.hourglass.draw.add):
            part.weight.normal_(0.0, 0.05)
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = None  # the running statistics become the mean over all passes
                norm.weight.uniform_(0.7, 1.3)
                norm.bias.normal_(0.0, 0.1)
        for size in ((64, 64), (96, 96)):
            guidance, mask = (np.concatenate(side) for side in zip(*_photographs(size), strict=True))
            network(torch.from_numpy(guidance), torch.from_numpy(mask))
    return network.eval()


@pytest.fixture(scope="session")
def trained_like() -> Generator:
    """See `make_trained_like`; shared, so nobody may change it."""
    return make_trained_like().requires_grad_(False)


FAKE_BACKEND = '''
"""A backend in one file: stores the weights, evaluates them in torch, adds the noise of its scheme."""

import json

import numpy as np
import torch
from igf_mobile.backends.base import Artifact, Backend, BackendUnavailable, tensor_specs
from igf_mobile.checkpoint import read_safetensors
from igf_mobile.files import atomic_path
from igf_mobile.graph import fold_batch_norms
from igf_mobile.layers import layer_names
from igf_mobile.model import Generator
from safetensors.torch import save

NOISE = {"fp32": 1e-6, "fp16": 2e-4, "w8": 1e-3, "w8a8": 3e-3}

exported = []  # what was exported since the test cleared it
mutants = {}  # scheme -> what is wrong with it, when it is exported or when it runs
unavailable = None  # why it cannot run here


def export(model, scheme, calibration, path, metadata, size=(512, 512), layers=None, coefficients_only=False):
    mutant = mutants.get(scheme)
    if mutant == "killed":
        raise KeyboardInterrupt
    exported.append(scheme)
    metadata = dict(metadata)
    if mutant == "stale calibration":
        metadata["calibration_sha256"] = "0" * 64
    if mutant == "other checkpoint":
        metadata["checkpoint_sha256"] = "0" * 64
    assert (scheme in ("fp32", "fp16")) == ("calibration_sha256" not in metadata)
    assert (scheme == "w8a8" or layers is not None) == ("ranges_sha256" in metadata)
    with atomic_path(path) as temporary:
        # One key: safetensors writes several in any order, and the bytes would vary.
        temporary.write_bytes(save(fold_batch_norms(model).state_dict(), {"all": json.dumps(metadata)}))
    fallback = {"RESIZE_BILINEAR": 2, "MEAN": 1} if mutant == "fallback" else {}
    int8 = {"CONV_2D": 16 if mutant == "left float" else 17, "DEPTHWISE_CONV_2D": 3, "ADD": 3}
    inputs, outputs = tensor_specs(size, "NCHW", coefficients_only)
    quantized = int8 if scheme == "w8a8" else {}
    found = dict(layers or {})
    if layers is not None:
        if mutant == "one layer left float":
            found[next(name for name in found if found[name] == "w8a8")] = "float32"
        if mutant == "two layers swapped":
            names = layer_names(model)
            found[names[0]], found[names[-1]] = found[names[-1]], found[names[0]]
        quantized = {"CONV_2D": list(found.values()).count("w8a8")}
    return Artifact(
        path, "fake", scheme, inputs, outputs, {"CONV_2D": 22}, fallback, quantized, (), found
    )


class Runner:
    def __init__(self, path):
        tensors, metadata = read_safetensors(path)
        self.scheme, self.model = json.loads(metadata["all"])["scheme"], fold_batch_norms(Generator().eval())
        self.model.load_state_dict(tensors)
        self.description = "fake runtime, 1 thread"

    def __call__(self, guidance, weak_mask):
        mutant = mutants.get(self.scheme)
        if mutant == "shifted guidance":
            guidance = np.roll(guidance, 1, axis=3)
        if mutant == "red and blue swapped":
            guidance = guidance[:, ::-1]
        if mutant == "dropped mask":
            weak_mask = np.ones_like(weak_mask)
        if mutant == "inputs swapped":
            guidance, weak_mask = weak_mask.repeat(3, axis=1), guidance.mean(axis=1, keepdims=True)
        with torch.inference_mode():
            alpha, coefficients = self.model(*(torch.from_numpy(x.copy()) for x in (guidance, weak_mask)))
        noise = NOISE.get("fp32" if mutant == "not quantized" else self.scheme, 2e-3)
        random = np.random.default_rng(0)
        alpha, coefficients = (
            (x.numpy() + noise * random.standard_normal(x.shape)).astype(np.float32) for x in (alpha, coefficients)
        )
        alpha = alpha.clip(0.0, 1.0)
        if mutant == "shifted alpha":
            alpha = np.roll(alpha, 1, axis=2)
        if mutant == "NaN":
            alpha[0, 0, 5, 7] = np.nan
        if mutant == "NaN coefficient":
            coefficients[0, 3, 0, 0] = np.nan
        if mutant == "constant":
            alpha = np.full_like(alpha, 0.5)
        if mutant == "saturated":
            alpha = np.round(alpha)
        if mutant == "NaN on flat pictures" and np.ptp(guidance) == 0.0:
            alpha[:] = np.nan
        if mutant == "half size":
            alpha = alpha[:, :, ::2, ::2].copy()
        return alpha, coefficients


def load(path, threads=1):
    if unavailable:
        raise BackendUnavailable(unavailable)
    return Runner(path)


BACKEND = Backend(
    name="fake",
    suffix=".fake",
    schemes=("fp32", "fp16", "w8", "w8a8"),
    packages=("safetensors", "no-such-distribution"),
    export=export,
    load=load,
    runs_here=lambda: unavailable,
    read_metadata=lambda path: json.loads(read_safetensors(path)[1]["all"]),
    layer_precisions=("float32", "w8a8"),
)
'''

SMALL = (96, 96)


def _write_composites(source: Path, folder: Path) -> None:
    """The first two composites of `source`, at the size `SMALL`."""
    samples = load_composites(source)[:2]
    for sample in samples:
        write_image(folder / f"{sample.name}.jpg", resize(sample.guidance, SMALL))
        write_alpha(folder / f"{sample.name}-mask.png", resize(sample.weak_mask, SMALL).round())
        write_alpha(folder / f"{sample.name}-alpha.png", resize(sample.alpha, SMALL))
    (folder / "index.json").write_text(json.dumps([{"name": sample.name} for sample in samples]))


@dataclass
class FakeBackend:
    """A fourth backend, and everything else a pipeline takes, small enough to run in a second."""

    module: ModuleType
    checkpoint: Path
    file: Path
    """The one file that makes the backend."""


@pytest.fixture(scope="module")
def fake_backend(tmp_path_factory: pytest.TempPathFactory, trained_like: Generator) -> Iterator[FakeBackend]:
    """Registers `fake` by one file, and two small composites of each kind in place of the shipped ones."""
    root = tmp_path_factory.mktemp("fake")
    file = root / "backends" / "fake.py"
    file.parent.mkdir()
    file.write_text(FAKE_BACKEND)
    sample = load_samples()[0]
    small = Sample("small", resize(sample.guidance, SMALL), resize(sample.weak_mask, SMALL).round(), "", "")
    checkpoint = root / "checkpoint.safetensors"
    save_checkpoint(checkpoint, trained_like, CheckpointInfo("igf-test", "1.2", "Apache-2.0"))
    folders = {}
    for kind, source in composites.FOLDERS.items():
        folders[kind] = root / kind
        folders[kind].mkdir()
        _write_composites(source, folders[kind])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "__path__", [*backends.__path__, str(file.parent)])
        patch.setattr(composites, "FOLDERS", folders)
        patch.setattr(measure, "load_samples", lambda: [small])
        patch.setattr(measure, "_WARM_UP", 1)
        patch.setattr(measure, "_ITERATIONS", 3)
        module = importlib.import_module("igf_mobile.backends.fake")
        yield FakeBackend(module, checkpoint, file)
    del sys.modules["igf_mobile.backends.fake"]
    del backends.fake  # type: ignore[attr-defined]


@pytest.fixture
def fake(fake_backend: FakeBackend) -> Iterator[FakeBackend]:
    """`fake_backend`, healthy before and after the test."""

    def heal() -> None:
        fake_backend.module.exported.clear()
        fake_backend.module.mutants.clear()
        fake_backend.module.unavailable = None  # type: ignore[attr-defined]

    heal()
    yield fake_backend
    heal()


@pytest.fixture(scope="module")
def healthy_build(fake_backend: FakeBackend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of `fake` in all its schemes; copy it before changing it."""
    folder = tmp_path_factory.mktemp("healthy") / "build"
    wanted = wanted_jobs(["fake"])
    export_build(fake_backend.checkpoint, folder, wanted, SMALL, progress=lambda text: None)
    return folder
