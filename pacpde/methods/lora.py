"""LoRA: a low-rank change of every layer."""

from dataclasses import dataclass

import torch

from pacpde.checks import check_count
from pacpde.errors import InvalidValueError
from pacpde.methods.base import TransferContext
from pacpde.methods.continuation_strategy import ContinuationMethod
from pacpde.methods.fine_tuning import TuningStart, WeightTuning
from pacpde.networks.protocol import Network
from pacpde.networks.reparametrised import LowRank
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.task import Task
from pacpde.runtime import generator


@dataclass(frozen=True)
class LoRA(WeightTuning, ContinuationMethod):
    """min over A, B of L_T(W_S + B A) in every layer; W_S is frozen.

    - Start: B = 0, and A normal with standard deviation 1/√inputs.
    - End: B A is added to W_S, so that the result is a network of the usual form.

    Hu et al., ICLR 2022 (arXiv 2106.09685), with α/r = 1; for PINNs Wang et al. 2025
    (arXiv 2502.00782).

    Attributes:
        rank: of B A, at most the width; None for an eighth of the width.
        tune_biases: whether the biases are trainable too. This default is ours: without biases, a
            low-rank change can hardly move a front.
    """

    name = "lora"
    summary = "min L_T(W_S + B A) over low-rank A, B in every layer; the weights themselves stay"

    rank: int | None = None
    tune_biases: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank is not None:
            check_count("rank", self.rank, 1)

    def check_network(self, network: Network) -> None:
        if len(network.in_parts) > 1:
            _ = network.neurons  # which it has not
        most = network.widest
        if self._rank(network) > most:
            raise InvalidValueError(
                f"rank is {self.rank}, expected a whole number from 1 to {most}, the "
                "width of this network."
            )

    def _rank(self, network: Network) -> int:
        return max(1, network.widest // 8) if self.rank is None else self.rank

    def tuning_start(
        self, source: Surrogate, target: Task, context: TransferContext
    ) -> TuningStart:
        network = LowRank.of(source.network, rank=self._rank(source.network))
        rng = generator(context.seed, "adapters")
        weights = torch.cat([source.weights, source.weights.new_zeros(network.n_extra)])
        trainable = torch.zeros_like(weights, dtype=torch.bool)
        trainable[source.network.size :] = True
        for layer, at_a, _ in network.adapters:
            drawn = rng.normal(0, layer.inputs**-0.5, network.rank * layer.inputs)
            weights[at_a] = source.runtime.tensor(drawn)
        biases = source.network.layout.where(lambda group: group.is_bias)
        trainable[: source.network.size] = biases & self.tune_biases
        return TuningStart(source.reset(network=network, weights=weights), trainable)
