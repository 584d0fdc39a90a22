"""Any recipe's matte in seconds: the network with int8's rounding (`fake_quant`), layer by layer.

The ranges are the table that all exports share. What is in front of the network is computed once for each sample.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from igf_mobile.calibration import Calibrated
from igf_mobile.graph import fold_batch_norms
from igf_mobile.model import apply_coefficients
from igf_mobile.primitives import unit_clamp
from igf_mobile.pt2e import layer_name
from igf_mobile.quantize.fake_quant import FakeQuantHourglass, fake_quantized
from igf_mobile.sites import network_input
from igf_mobile.start import Start

FloatArray = NDArray[np.float32]
Pair = tuple[FloatArray, FloatArray]
"""guidance (1,3,H,W) and weak_mask (1,1,H,W)."""

_PREFIX = "hourglass."


class Simulation:
    """A generator whose layers can be quantized one by one.

    Attributes:
        macs: layer -> its multiplications for one sample.
        weights: layer -> how many it has.
    """

    def __init__(
        self,
        calibration: Calibrated,
        samples: Sequence[Pair],
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Compute what no layer changes for each sample, once.

        Args:
            calibration: of the network.
            samples: the pairs that `run` will be asked for, all of one size.
            progress: called for each sample.
        """
        self._calibration = calibration
        self._model = fake_quantized(calibration.model, calibration.ranges)
        network = self._model.hourglass
        assert isinstance(network, FakeQuantHourglass)
        self._network = network
        self._starts: list[tuple[Tensor, Start]] = []
        with torch.no_grad():
            for pair in samples:
                guidance, weak_mask = (torch.from_numpy(np.ascontiguousarray(x)) for x in pair)
                self._starts.append((guidance, network_input(guidance, weak_mask)))
                progress()
        traced = next(node for node in network.network.graph.nodes if node.op == "placeholder").meta["val"]
        larger = self._starts[0][1].quarter[0, 0].numel() // traced[0, 0].numel()
        self.weights, self.macs = {}, {}
        for node in network.convolutions:
            weight, result = node.args[1].meta["val"].shape, node.meta["val"].shape  # type: ignore[union-attr]
            name = _PREFIX + layer_name(node)
            self.weights[name] = int(np.prod(weight))
            self.macs[name] = int(np.prod(weight[1:]) * np.prod(result)) * larger

    @torch.no_grad()
    def run(self, layers: Mapping[str, str]) -> list[FloatArray]:
        """The mattes (1,1,H,W) of the samples, with each layer of `layers` in its precision.

        Args:
            layers: all layers, with one of `recipes.PRECISIONS` each.
        """
        chosen = fold_batch_norms(self._calibration.network("", layers))
        weights = dict(chosen.hourglass.named_parameters())
        for name, parameter in self._network.network.named_parameters():
            parameter.copy_(weights[name])
        self._network.choose({name.removeprefix(_PREFIX): precision for name, precision in layers.items()})
        mattes = []
        for guidance, start in self._starts:
            coefficients = self._model.correction(start, self._network(start))
            mattes.append(unit_clamp(apply_coefficients(coefficients, guidance)).numpy())
        return mattes
