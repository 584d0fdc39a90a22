"""What a run of quantization-aware training is (`QatConfig`) and where it stands (`QatState`), and both on disk.

As `training_state`: safetensors with JSON in the metadata, written atomically; a killed run goes on
with the same bits. The run's first ranges are in the file, so nothing is observed twice.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from igf_mobile import ranges as ranges_module
from igf_mobile.calibration import shipped_pairs
from igf_mobile.checkpoint import check_tensors, load_checkpoint, read_safetensors, weights_sha256
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import atomic_path
from igf_mobile.model import Generator
from igf_mobile.observers import DEFAULT_OBSERVER, observe
from igf_mobile.quantize.fake_quant import FakeQuantHourglass, fake_quantized
from igf_mobile.ranges import Ranges
from igf_mobile.training_state import TrainConfig, _adam_tensors, config_values

_METADATA_KEY = "igf_mobile_qat"

_FREE_FIELDS = frozenset(
    {"run_dir", "data_root", "threads", "workers", "checkpoint_every_seconds", "log_every"}
)


@dataclass(frozen=True)
class QatConfig:
    """Everything that decides a run."""

    train: TrainConfig
    """Data, losses, steps, learning rate; `init` is the float checkpoint, whose network is also the teacher."""
    observer: str = DEFAULT_OBSERVER
    """Of the ranges that the run starts from."""
    distil: float = 1.0
    """Share of the float network's own matte in the target; the rest is the true alpha."""
    range_lr: float = 1e-4
    """Peak learning rate of the logarithms of the activations' scales."""

    def __post_init__(self) -> None:
        """Refuse values no run can use."""
        if not 0.0 <= self.distil <= 1.0:
            raise IgfError(f"distil={self.distil} is not in [0, 1]")
        if not 0.0 <= self.range_lr < math.inf:
            raise IgfError(f"range_lr={self.range_lr} is not a finite number >= 0")
        if not self.train.init:
            raise IgfError("quantization-aware training starts from a float checkpoint; give one as init")
        if self.train.adversarial:
            raise IgfError("quantization-aware training has no discriminator; choose a preset without one")


@dataclass
class QatState:
    """All that the next step depends on, besides the data."""

    teacher: Generator
    student: Generator
    averaged: Generator
    """Exponential moving average of the student: what is kept."""
    adam: torch.optim.Adam
    first: Ranges
    """Those the run started from."""
    step: int = 0
    pool: int = 0

    @property
    def networks(self) -> tuple[FakeQuantHourglass, FakeQuantHourglass]:
        """The student's and the averaged one's."""
        student, averaged = self.student.hourglass, self.averaged.hourglass
        assert isinstance(student, FakeQuantHourglass) and isinstance(averaged, FakeQuantHourglass)
        return student, averaged


def new_state(config: QatConfig, first: Ranges | None = None) -> QatState:
    """The float checkpoint with rounding; its ranges by `config.observer` unless they are given.

    Raises:
        IgfError: there is no such checkpoint, it is of another width, or not the one `first` is of.
    """
    teacher, info = load_checkpoint(Path(config.train.init))
    if info.width != config.train.width:
        raise IgfError(f"{config.train.init} has width {info.width}, the run has width={config.train.width}")
    if first is None:
        pairs, digest = shipped_pairs()
        (first,) = observe(teacher, pairs, digest, [config.observer])
    elif first.weights_sha256 != weights_sha256(teacher):
        raise IgfError(f"{config.train.init} is not the checkpoint that the run began with")
    student, averaged = fake_quantized(teacher, first), fake_quantized(teacher, first)
    network = student.hourglass
    assert isinstance(network, FakeQuantHourglass)
    averaged.requires_grad_(False)
    for parameter in network.network.parameters():
        parameter.requires_grad_(True)
    groups = [{"params": list(network.network.parameters())}, {"params": [network.log_scales]}]
    adam = torch.optim.Adam(groups, lr=config.train.lr, betas=config.train.betas)
    return QatState(teacher.requires_grad_(False), student, averaged, adam, first)


def qat_values(config: QatConfig) -> dict[str, Any]:
    """The configuration as JSON can hold it, without what may change between a run and its continuation."""
    own = {name: value for name, value in asdict(config).items() if name != "train"}
    train = {name: v for name, v in config_values(config.train).items() if name not in _FREE_FIELDS}
    return own | train | {"init": Path(config.train.init).name}


def save_state(path: Path, state: QatState, config: QatConfig) -> None:
    """Write the state and the configuration, atomically."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in _tensors(state).items()}
    record = {
        "config": qat_values(config),
        "step": state.step,
        "pool": state.pool,
        "ranges": state.first.to_json(),
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, {_METADATA_KEY: json.dumps(record, sort_keys=True)}))


def load_state(path: Path, config: QatConfig) -> QatState:
    """Read a state back, exactly.

    Raises:
        IgfError: the configuration differs, or the float checkpoint is another one.
        DamagedFile: the file isn't a whole state.
    """
    tensors, metadata = read_safetensors(path)
    try:
        record = json.loads(metadata[_METADATA_KEY])
        saved, step, pool = record["config"], int(record["step"]), int(record["pool"])
        first = ranges_module.parse(record["ranges"], str(path))
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedFile(f"{path} has no readable record of the run: {error}") from error
    for name, value in qat_values(config).items():
        if saved.get(name) != value:
            raise IgfError(f"{path} was trained with {name}={saved.get(name)!r}, not {value!r}")
    state = new_state(config, first)
    wanted = _tensors(state)
    check_tensors(path, tensors, wanted)
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(tensors[name])
    return replace(state, step=step, pool=pool)


def _tensors(state: QatState) -> dict[str, Tensor]:
    """All tensors of the state by name, sharing memory with it."""
    student, averaged = state.networks
    tensors = {f"student.{name}": t for name, t in student.state_dict().items()}
    tensors |= {f"averaged.{name}": t for name, t in averaged.state_dict().items()}
    return tensors | _adam_tensors("adam", state.adam, student)
