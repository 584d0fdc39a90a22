"""int8 weights chosen by what a layer makes of them, not each to its nearest step.

Rounded one by one, weights change a layer's output by the sum of their errors times inputs that go together. Here each
weight's error is made good by those of its output channel that are not rounded yet, so that the output over the
calibration samples varies least from the float one's: optimal brain quantization (Frantar and Alistarh 2022) in a fixed
order, by the Cholesky factor of the inverse covariance (GPTQ, Frantar et al. 2023, algorithm 1). The mean that is left
goes into the bias (bias correction, Nagel et al. 2019, section 4.2); where there is none, second moments stand for the
covariance, and the weights keep the mean as well.

A rounded network is an ordinary float network whose weights lie on the grid that every exporter finds by itself: one
symmetric scale per output channel, its largest weight at 127. So all runtimes have the same int8 weights.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from igf_mobile.checkpoint import read_safetensors, weights_sha256
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import atomic_path
from igf_mobile.graph import fold_batch_norms
from igf_mobile.hourglass import JoinedConv
from igf_mobile.model import Generator
from igf_mobile.ranges import HIGHEST
from igf_mobile.recipes import FLOAT
from igf_mobile.sites import network_input

FloatArray = NDArray[np.float32]

_DAMPING = 0.01
"""Share of the mean variance that is added to each input's (GPTQ's own): directions that the samples lack."""
_PREFIX = "hourglass."
_METADATA_KEY = "igf_mobile"
_VERSION = 1

FARTHEST = 0.05
"""Of a layer's rounded weights from the checkpoint's, relative; another layer's are 1.4 away. Checkpoint 0.5.0 has
0.016 at most."""


@dataclass(frozen=True)
class Rounded:
    """Weights on their int8 grid, for each convolution of the network without batch norms."""

    weights_sha256: str
    """`checkpoint.weights_sha256` of the float network."""
    calibration_sha256: str
    """Of the folder of samples they were chosen on."""
    weights: dict[str, Tensor]
    """Layer, as `layers.layer_names` has it -> (O,I/groups,kh,kw) float32."""
    shifts: dict[str, Tensor]
    """Layer -> (O) what its bias makes good: the mean that rounding takes from its output; zeros where it has none."""


@torch.no_grad()
def compensated(
    model: Generator, pairs: Sequence[tuple[FloatArray, FloatArray]], calibration_sha256: str = ""
) -> Rounded:
    """Choose int8 weights on calibration samples.

    Args:
        model: the float network, in eval mode.
        pairs: (guidance (1,3,H,W), weak_mask (1,1,H,W)).
        calibration_sha256: of the folder the pairs come from.

    Raises:
        IgfError: there are no pairs.
    """
    if not pairs:
        raise IgfError("choosing int8 weights needs calibration samples, got none")
    network = fold_batch_norms(model).hourglass
    modules = dict(network.named_modules())
    convolutions = {m: name for name, m in modules.items() if isinstance(m, nn.Conv2d)}
    seen = {m: _Moments() for m in convolutions}
    hooks = [m.register_forward_pre_hook(lambda m, inputs: seen[m].add(m, *inputs)) for m in convolutions]
    for guidance, mask in pairs:
        network(network_input(*(torch.from_numpy(np.ascontiguousarray(x)) for x in (guidance, mask))))
    for hook in hooks:
        hook.remove()
    weights, shifts = {}, {}
    for convolution, name in convolutions.items():
        mean, moments = seen[convolution].result()
        has_bias = _bias_of(name, modules) is not None
        if has_bias:
            moments = moments - mean[:, :, None] * mean[:, None, :]
        rows = convolution.weight.double().reshape(convolution.groups, -1, mean.shape[1])
        rounded = torch.stack([round_rows(*group) for group in zip(rows, moments, strict=True)])
        weights[_PREFIX + name] = rounded.reshape(convolution.weight.shape).float()
        left = mean if has_bias else torch.zeros_like(mean)
        shifts[_PREFIX + name] = torch.einsum("grk,gk->gr", rows - rounded, left).flatten().float()
    return Rounded(weights_sha256(model), calibration_sha256, weights, shifts)


class _Moments:
    """Mean (groups,k) and second moments (groups,k,k) of the inputs that a convolution multiplies with its weights."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: Tensor | float = 0.0
        self._products: Tensor | float = 0.0

    def add(self, convolution: nn.Module, inputs: Tensor) -> None:
        """All windows of inputs (1,C,h,w)."""
        assert isinstance(convolution, nn.Conv2d)
        kernel, stride, padding = convolution.kernel_size, convolution.stride, convolution.padding
        windows = nn.functional.unfold(inputs, kernel, padding=padding, stride=stride)  # type: ignore[arg-type]
        windows = windows.double().reshape(convolution.groups, -1, windows.shape[-1])
        self._count += windows.shape[-1]
        self._sum = self._sum + windows.sum(2)
        self._products = self._products + windows @ windows.transpose(1, 2)

    def result(self) -> tuple[Tensor, Tensor]:
        """Both of what was added."""
        assert isinstance(self._sum, Tensor) and isinstance(self._products, Tensor)
        return self._sum / self._count, self._products / self._count


def round_rows(rows: Tensor, covariance: Tensor) -> Tensor:
    """The rows on their grids, each weight's error made good by those after it.

    Where inputs do not go together, each weight goes to its nearest step.

    Args:
        rows: (O,k) weights, float64; a row is an output channel.
        covariance: (k,k) of the inputs, the same for all rows; or their second moments.

    Returns:
        (O,k) multiples of each row's scale, its largest weight unchanged.
    """
    largest = rows.abs().amax(dim=1)
    scales = torch.where(largest > 0.0, largest / HIGHEST, 1.0)
    variances = covariance.diagonal()
    order = variances.argsort(descending=True, stable=True)
    damped = covariance + torch.diag(_DAMPING * variances.mean() + torch.full_like(variances, 1e-12))
    spread = torch.linalg.cholesky(torch.linalg.inv(damped[order][:, order]), upper=True)
    # The largest stays where it is, for the exporters find the scale by it.
    kept = rows.abs().argmax(dim=1)
    rest, rounded = rows[:, order].clone(), torch.empty_like(rows)
    for place, column in enumerate(order):
        codes = (rest[:, place] / scales).round().clamp(-HIGHEST, HIGHEST)
        rounded[:, column] = torch.where(kept == column, rows[:, column], codes * scales)
        error = (rest[:, place] - rounded[:, column]) / spread[place, place]
        rest[:, place + 1 :] -= error[:, None] * spread[place, place + 1 :]
    return rounded


@torch.no_grad()
def applied(model: Generator, rounded: Rounded, layers: Mapping[str, str] | None = None) -> Generator:
    """The network with int8's weights, without batch norms; `model` stays as it is.

    Args:
        model: the float network.
        rounded: of its weights.
        layers: layer -> precision; those in float keep their weights. None: no layer is in float.

    Raises:
        IgfError: `rounded` is of another network.
    """
    if (found := weights_sha256(model)) != rounded.weights_sha256:
        raise IgfError(f"the int8 weights are of {rounded.weights_sha256[:12]}, the network has {found[:12]}")
    result = fold_batch_norms(model)
    modules = dict(result.named_modules())
    for name, weights in rounded.weights.items():
        if layers is None or layers[name] != FLOAT:
            convolution = modules[name]
            assert isinstance(convolution, nn.Conv2d)
            convolution.weight.copy_(weights)
            bias = _bias_of(name, modules)
            if bias is not None:
                bias.add_(rounded.shifts[name])
    return result


def _bias_of(name: str, modules: Mapping[str, nn.Module]) -> Tensor | None:
    """What is added to a layer's output, if anything; the parts of a joined convolution have one among them."""
    owner = modules[name.rsplit(".parts.", 1)[0]]
    convolution = owner.parts[0] if isinstance(owner, JoinedConv) else owner
    assert isinstance(convolution, nn.Conv2d)
    return convolution.bias


def far_off(model: Generator, rounded: Rounded) -> list[str]:
    """A sentence for each layer whose rounded weights are not near the float network's."""
    modules = dict(fold_batch_norms(model).named_modules())
    sentences = []
    for name, weights in rounded.weights.items():
        convolution = modules.get(name)
        if not isinstance(convolution, nn.Conv2d) or convolution.weight.shape != weights.shape:
            sentences.append(f"the int8 weights of {name} are of no layer of the checkpoint")
            continue
        weight = convolution.weight.detach()
        size = float(weight.norm()) or 1.0
        if not (distance := float((weight - weights).norm()) / size) <= FARTHEST:
            sentences.append(
                f"the int8 weights of {name} are {distance:.1%} off the checkpoint's, {FARTHEST:.0%} are allowed"
            )
    return sentences


def save_rounded(path: Path, rounded: Rounded) -> None:
    """Write a safetensors file, atomically; the same weights give the same bytes."""
    tensors = {f"{name}.weight": t.contiguous() for name, t in rounded.weights.items()}
    tensors |= {f"{name}.shift": t.contiguous() for name, t in rounded.shifts.items()}
    record = {
        "version": _VERSION,
        "weights_sha256": rounded.weights_sha256,
        "calibration_sha256": rounded.calibration_sha256,
    }
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(save(tensors, {_METADATA_KEY: json.dumps(record, sort_keys=True)}))


def load_rounded(path: Path) -> Rounded:
    """Read what `save_rounded` wrote.

    Raises:
        IgfError: there is no such file.
        DamagedFile: it is something else.
    """
    tensors, metadata = read_safetensors(path)
    try:
        record = json.loads(metadata[_METADATA_KEY])
        if record["version"] != _VERSION:
            raise ValueError(f"version {record['version']!r}, this program reads {_VERSION}")
        weights = {n.removesuffix(".weight"): t for n, t in tensors.items() if n.endswith(".weight")}
        shifts = {name: tensors[f"{name}.shift"] for name in weights}
        return Rounded(record["weights_sha256"], record["calibration_sha256"], weights, shifts)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise DamagedFile(f"{path} holds no int8 weights: {reason}") from error
