"""What a training run is (`TrainConfig`) and where it stands (`TrainingState`), and both on disk.

The state file is safetensors with JSON in its metadata: nothing in it can execute, it is written
atomically, and a run killed at any moment continues with the same bits from the last one written.
"""

import copy
import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from igf_mobile.checkpoint import check_tensors, load_checkpoint, read_safetensors
from igf_mobile.data.weak_mask import MIXES
from igf_mobile.discriminator import Discriminator
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import atomic_path
from igf_mobile.losses import LOSS_PRESETS, LossWeights
from igf_mobile.model import FORMS, STRIDE, Generator

_METADATA_KEY = "igf_mobile_training"

_FREE_FIELDS = frozenset(
    {
        "run_dir",
        "threads",
        "workers",
        "checkpoint_every_seconds",
        "validate_every",
        "validation_samples",
        "log_every",
        "tensorboard",
        "device",
    }
)
"""Fields that may change between a run and its continuation: they do not change what is learned
(`threads` changes the order of sums, so only the last bits)."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run. Continuing one needs the same, but for a few fields."""

    data_root: str
    """Folder of the composites."""
    run_dir: str
    """Folder of this run: log.jsonl, state.safetensors, last.safetensors, best.safetensors."""
    preset: str = "fast"
    """Where the values came from; see `preset_config`."""
    losses: LossWeights = field(default_factory=lambda: LOSS_PRESETS["fast"])
    steps: int = 60_000
    batch_size: int = 16
    crop: int = 256
    """Side of the training crops in pixels, a multiple of 32."""
    pool: int = 0
    """Draw from the first `pool` composites only; 0 for all there are when the run starts."""
    lr: float = 1e-3
    min_lr: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    """Of Adam."""
    warmup_steps: int = 500
    clip_norm: float = 1.0
    """Limit of the gradient's norm; 0 for none."""
    ema_decay: float = 0.999
    """Of the averaged weights, which are those validated and kept."""
    width: int = 1
    form: str = "coefficients"
    """`coefficients`, or for ablation `predicted` or `direct` (`model.FORMS`)."""
    masks: str = "full"
    """Which weak masks are drawn (`weak_mask.MIXES`)."""
    seed: int = 0
    adversarial: bool = False
    gradient_penalty: float = 10.0
    """lambda_gp of eq. 8."""
    channels_last: bool = True
    init: str = ""
    """Checkpoint to start from instead of fresh weights."""
    teacher: str = ""
    """Artifact whose mattes are learned (`teacher.py`); none: the true alpha."""
    teacher_share: float = 1.0
    """Share of the teacher's matte in the target; the rest is the true alpha."""
    device: str = "cpu"
    """As PyTorch names it: cpu, cuda, cuda:1, mps."""
    threads: int = 1
    workers: int = 1
    checkpoint_every_seconds: float = 180.0
    validate_every: int = 1000
    """Steps; 0 for never."""
    validation_samples: int = 64
    log_every: int = 50
    tensorboard: bool = False
    name: str = "igf-512"
    version: str = "0.1.0"
    licence: str = "see the model card"

    def __post_init__(self) -> None:
        """Refuse values no run can use, naming the field."""
        least = {"steps": 1, "batch_size": 1, "width": 1, "threads": 1, "workers": 0, "log_every": 1}
        least |= {"pool": 0, "warmup_steps": 0, "validate_every": 0, "validation_samples": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise IgfError(f"{name}={getattr(self, name)} is below {low}")
        if self.crop < STRIDE or self.crop % STRIDE:
            raise IgfError(f"crop={self.crop} is not a positive multiple of {STRIDE}")
        if not (0.0 <= self.min_lr <= self.lr and 0.0 < self.lr < math.inf):
            raise IgfError(f"lr={self.lr}, min_lr={self.min_lr}: need 0 <= min_lr <= lr and 0 < lr")
        for name, value in (
            ("beta1", self.betas[0]),
            ("beta2", self.betas[1]),
            ("ema_decay", self.ema_decay),
        ):
            if not 0.0 <= value < 1.0:
                raise IgfError(f"{name}={value} is not in [0, 1)")
        for name, choices in (("form", FORMS), ("masks", MIXES)):
            if getattr(self, name) not in choices:
                raise IgfError(f"{name} {getattr(self, name)!r} is not one of {', '.join(choices)}")
        if not 0.0 <= self.teacher_share <= 1.0:
            raise IgfError(f"teacher_share={self.teacher_share} is not in [0, 1]")
        if self.adversarial != (self.losses.adversarial > 0.0):
            raise IgfError(f"adversarial={self.adversarial} with loss weight {self.losses.adversarial}")


_DEFAULTS = {each.name: each.default for each in fields(TrainConfig)}

_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "losses": LOSS_PRESETS["paper"],
        "adversarial": True,
        "lr": 1e-4,
        "min_lr": 0.0,
        "betas": (0.5, 0.999),
        "clip_norm": 0.0,
        "crop": 512,
    },
    # What the shipped checkpoint was trained with.
    "fast": {"steps": 10_000, "lr": 1.5e-3, "warmup_steps": 300, "ema_decay": 0.998},
}


def preset_config(preset: str, data_root: str | Path, run_dir: str | Path, **changes: Any) -> TrainConfig:
    """The configuration of a preset (`paper`: section 3.4; `fast`: two cores, no discriminator), changed.

    Args:
        preset: `paper` or `fast`.
        data_root: folder of the composites.
        run_dir: folder of the run.
        changes: fields of `TrainConfig` by name.
    """
    if preset not in _PRESETS:
        raise IgfError(f"preset {preset!r} is not one of {', '.join(_PRESETS)}")
    values = _PRESETS[preset] | changes
    return TrainConfig(data_root=str(data_root), run_dir=str(run_dir), preset=preset, **values)


def config_values(config: TrainConfig) -> dict[str, Any]:
    """The configuration as JSON can hold it (tuples become lists)."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return values


def recipe_of(config: TrainConfig) -> str:
    """What of the configuration decides the weights, for their metadata; without the machine's paths."""
    hidden = _FREE_FIELDS | {"data_root"}
    values = {name: value for name, value in config_values(config).items() if name not in hidden}
    values |= {"init": Path(config.init).name, "teacher": Path(config.teacher).name}
    return json.dumps(values, sort_keys=True)


@dataclass
class TrainingState:
    """All that the next step depends on, besides the data, which are a function of (seed, step)."""

    generator: Generator
    averaged: Generator
    """Exponential moving average of the generator's weights and batch-norm statistics."""
    generator_adam: torch.optim.Adam
    discriminator: Discriminator | None
    discriminator_adam: torch.optim.Adam | None
    step: int = 0
    """Steps done."""
    pool: int = 0
    """Composites drawn from, fixed at the start: more may be built while a run goes on. 0: not yet fixed."""
    best_sad: float = math.inf
    best_step: int = -1


def new_state(config: TrainConfig) -> TrainingState:
    """Fresh weights from the seed, or those of `config.init`."""
    torch.manual_seed(config.seed)
    generator = Generator(config.width, config.form)
    if config.init:
        loaded, info = load_checkpoint(Path(config.init))
        if info.width != config.width:
            raise IgfError(f"{config.init} has width {info.width}, the run has width={config.width}")
        generator.load_state_dict(loaded.state_dict())
    discriminator = Discriminator() if config.adversarial else None
    averaged = copy.deepcopy(generator).eval().requires_grad_(False)
    for module in (generator, averaged, discriminator):
        if module is not None:
            module.to(config.device)
    if config.channels_last:
        _to_channels_last(generator)
        _to_channels_last(averaged)
        if discriminator is not None:
            _to_channels_last(discriminator)
    return TrainingState(
        generator=generator.train(),
        averaged=averaged,
        generator_adam=_adam(generator, config),
        discriminator=discriminator,
        discriminator_adam=_adam(discriminator, config) if discriminator is not None else None,
    )


def _to_channels_last(module: nn.Module) -> None:
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _adam(module: nn.Module, config: TrainConfig) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=config.lr, betas=config.betas, fused=True)


def save_state(path: Path, state: TrainingState, config: TrainConfig) -> None:
    """Write the state and the configuration, atomically."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in _tensors(state).items()}
    tensors["rng"] = torch.get_rng_state()
    record = {
        "config": config_values(config),
        "step": state.step,
        "pool": state.pool,
        "best_sad": state.best_sad if math.isfinite(state.best_sad) else None,
        "best_step": state.best_step,
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, {_METADATA_KEY: json.dumps(record, sort_keys=True)}))


def load_state(path: Path, config: TrainConfig, extend: bool = False) -> TrainingState:
    """Read a state back, exactly.

    Args:
        path: a file of `save_state`.
        config: of the continuation; fields that change what is learned must be the same.
        extend: allow another `steps`. The cosine of the learning rate is then another one from here on.

    Raises:
        IgfError: the configuration differs.
        DamagedFile: the file isn't a whole state.
    """
    tensors, metadata = read_safetensors(path)
    try:
        record = json.loads(metadata[_METADATA_KEY])
        saved, step, best_step = record["config"], int(record["step"]), int(record["best_step"])
        pool = int(record["pool"])
        best_sad = math.inf if record["best_sad"] is None else float(record["best_sad"])
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedFile(f"{path} has no readable training record: {error}") from error
    _require_same(path, saved, config_values(config), extend)
    # The weights are replaced below, so the checkpoint the run began with need not exist any more.
    state = new_state(replace(config, init=""))
    rng = tensors.pop("rng", None)
    if rng is None:
        raise DamagedFile(f"{path} lacks tensor rng")
    wanted = _tensors(state)
    check_tensors(path, tensors, wanted)
    for name, tensor in wanted.items():
        # Into the tensors that are there: they keep their memory layout, and sums their order.
        tensor.copy_(tensors[name])
    try:
        torch.set_rng_state(rng)
    except (RuntimeError, TypeError) as error:
        raise DamagedFile(f"{path}: tensor rng is no generator state") from error
    state.step, state.pool, state.best_sad, state.best_step = step, pool, best_sad, best_step
    return state


def _require_same(path: Path, saved: dict[str, Any], wanted: dict[str, Any], extend: bool) -> None:
    for name, value in wanted.items():
        before = saved.get(name, _DEFAULTS.get(name))  # a run may be older than a field
        if name in _FREE_FIELDS or (extend and name == "steps") or before == value:
            continue
        hint = " (to train longer, extend the run)" if name == "steps" else ""
        raise IgfError(f"{path} was trained with {name}={before!r}, not {value!r}{hint}")


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """All tensors of the state by name, sharing memory with it."""
    tensors: dict[str, Tensor] = {}
    modules = {"generator": state.generator, "averaged": state.averaged}
    optimizers = {"generator_adam": (state.generator_adam, state.generator)}
    if state.discriminator is not None and state.discriminator_adam is not None:
        tensors |= {f"discriminator.{name}": t for name, t in state.discriminator.state_dict().items()}
        tensors |= _adam_tensors("discriminator_adam", state.discriminator_adam, state.discriminator)
    for prefix, module in modules.items():
        tensors |= {f"{prefix}.{name}": t for name, t in module.state_dict().items()}
    for prefix, (optimizer, owner) in optimizers.items():
        tensors |= _adam_tensors(prefix, optimizer, owner)
    return tensors


def _adam_tensors(prefix: str, adam: torch.optim.Adam, module: nn.Module) -> dict[str, Tensor]:
    """Moments and step counts by parameter name; made, as Adam would at its first step, if not there."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        entry = adam.state[parameter]
        if not entry:
            entry["step"] = torch.zeros((), dtype=torch.float32)
            entry["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            entry["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        tensors |= {f"{prefix}.{name}.{key}": entry[key] for key in ("step", "exp_avg", "exp_avg_sq")}
    return tensors
