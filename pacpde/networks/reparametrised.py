"""Networks whose weights are a function of others: adapters, masks, factors.

The flat vector has the weights of the network first, then those of the adapter, mask or
factors. A subclass gives the effective weights, and maps a Jacobian in them to one in the vector.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from pacpde.networks.layout import WeightLayout
from pacpde.networks.protocol import Columns, Factors, Layer, Network

if TYPE_CHECKING:
    from pacpde.networks.neurons import Neurons


def low_rank(weights: torch.Tensor, b: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """W + B A, for W as a vector [..., outputs · inputs], B [outputs, rank] and A [rank, inputs].

    Hu et al. 2022 (arXiv 2106.09685), their α/r being 1.
    """
    return weights + (b @ a).flatten(-2)


def step_masked(weights: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """W ⊙ 1[s > threshold]; the slope in s is W, as if the step were the identity.

    Mallya, Davis & Lazebnik 2018 (arXiv 1801.06519).
    """
    hard = (scores > threshold).to(scores)
    return weights * (hard + (scores - scores.detach()))


@dataclass(frozen=True)
class Reparametrised(Network):
    """A network evaluated at `effective(v)` for a vector v = [weights, extra entries].

    Attributes:
        inner: the network.
    """

    inner: Network

    @classmethod
    def of(cls, network: Network, **options: Any) -> Self:
        """Over a network that is one whole.

        Raises:
            InvalidValueError: it is made of several networks, as of time windows.
        """
        if len(network.in_parts) > 1:
            _ = network.neurons  # which it has not
        return cls(network, **options)

    @property
    def inputs(self) -> int:  # type: ignore[override]
        return self.inner.inputs

    @property
    def outputs(self) -> int:  # type: ignore[override]
        return self.inner.outputs

    @property
    @abstractmethod
    def n_extra(self) -> int:
        """Number of entries of the vector after the weights."""

    @property
    def size(self) -> int:
        return self.inner.size + self.n_extra

    @abstractmethod
    def effective(self, v: torch.Tensor) -> torch.Tensor:
        """The network's weights [..., inner size]; differentiable in v [..., size]."""

    @abstractmethod
    def vjp_weights(self, jacobian: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """∂r/∂v [..., rows, size] from ∂r/∂(effective weights) [..., rows, inner size]."""

    @property
    def layout(self) -> WeightLayout:
        """Layout of the weights, without the extra entries."""
        return self.inner.layout

    @property
    def settings(self) -> dict[str, Any]:
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**own, "inner": self.inner.settings}

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.inner.layers

    @property
    def has_neurons(self) -> bool:
        return self.inner.has_neurons

    @property
    def neurons(self) -> "Neurons":
        return self.inner.neurons

    @property
    def flops(self) -> int:
        return self.inner.flops

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        return np.concatenate([self.inner.init_weights(rng, frequency), np.zeros(self.n_extra)])

    def matrices(self, weights: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return self.inner.matrices(self.effective(weights))

    def merged(self, weights: torch.Tensor) -> tuple[Network, torch.Tensor]:
        return self.inner, self.effective(weights)

    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        return self.inner.forward(self.effective(weights), jet, names)

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        outputs, inner = self.inner.linearise(self.effective(weights), jet, names, images)
        return outputs, lambda slopes: ReparametrisedFactors(self, weights, inner(slopes))

    def columns(
        self, indices: torch.Tensor | None, limit: int, device: torch.device
    ) -> list[Columns]:
        return [Columns(self.size if indices is None else len(indices), indices=indices)]

    def factor_bytes(self, jet: torch.Tensor) -> int:
        return self.inner.factor_bytes(jet)

    @cached_property
    def tensors(self) -> tuple[tuple[Layer | None, slice], ...]:
        """The tensors of the layout, in order: (the matrix that it is, or None, its slice).

        A tensor of more than two dimensions, as of a convolution, is a matrix [outputs, others].
        """
        tensors, start = [], 0
        for group in self.layout.groups:
            place = slice(start, start + group.size)
            layer = None
            if not group.is_bias:
                layer = Layer(group.size // group.shape[0], group.shape[0], start)
            tensors.append((layer, place))
            start = place.stop
        return tuple(tensors)

    @property
    def matrix_layers(self) -> tuple[Layer, ...]:
        """The places of all matrices."""
        return tuple(layer for layer, _ in self.tensors if layer is not None)


@dataclass(frozen=True)
class ReparametrisedFactors(Factors):
    """Factors in the effective weights of the network; `write` maps them to the vector."""

    stacked = ("weights", "inner")

    network: Reparametrised
    weights: torch.Tensor
    inner: Factors

    @property
    def n_components(self) -> int:
        return self.inner.n_components

    @property
    def points(self) -> int:
        return self.inner.points

    def subset(self, points: slice) -> "ReparametrisedFactors":
        return replace(self, inner=self.inner.subset(points))

    def write(self, columns: Columns, target: torch.Tensor) -> None:
        jacobian = self._dense()
        target.copy_((jacobian if columns.indices is None else jacobian[..., columns.indices]).mT)

    def times(self, direction: torch.Tensor) -> torch.Tensor:
        return (self._dense() @ direction.unsqueeze(-1)).squeeze(-1)

    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        total += (y.unsqueeze(-2) @ self._dense()).squeeze(-2)

    def _dense(self) -> torch.Tensor:
        """∂r/∂v, [..., rows, size]."""
        network = self.network.inner
        like = self.weights
        jacobian = like.new_empty(*like.shape[:-1], network.size, self.rows)
        start = 0
        for columns in network.columns(None, network.size, like.device):
            self.inner.write(columns, jacobian[..., start : start + columns.count, :])
            start += columns.count
        return self.network.vjp_weights(jacobian.mT, self.weights)


@dataclass(frozen=True)
class LowRank(Reparametrised):
    """W + B A for every matrix, with A [rank, inputs] and B [outputs, rank]; biases as they are.

    Hu et al. 2022 (arXiv 2106.09685), their α/r being 1.
    """

    rank: int = 4

    @cached_property
    def adapters(self) -> tuple[tuple[Layer, slice, slice], ...]:
        """(layer, where its A lies, where its B lies) in the vector."""
        parts, start = [], self.inner.size
        for layer in self.matrix_layers:
            middle = start + self.rank * layer.inputs
            end = middle + layer.outputs * self.rank
            parts.append((layer, slice(start, middle), slice(middle, end)))
            start = end
        return tuple(parts)

    @property
    def n_extra(self) -> int:
        return sum(self.rank * (layer.inputs + layer.outputs) for layer in self.matrix_layers)

    def effective(self, v: torch.Tensor) -> torch.Tensor:
        parts, adapters = [], iter(self.adapters)
        for layer, place in self.tensors:
            if layer is None:
                parts.append(v[..., place])
                continue
            _, at_a, at_b = next(adapters)
            a = v[..., at_a].unflatten(-1, (self.rank, layer.inputs))
            b = v[..., at_b].unflatten(-1, (layer.outputs, self.rank))
            parts.append(low_rank(v[..., place], b, a))
        return torch.cat(parts, -1)

    def vjp_weights(self, jacobian: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        parts = [jacobian]
        for layer, at_a, at_b in self.adapters:
            slope = jacobian[..., layer.weights].unflatten(-1, (layer.outputs, layer.inputs))
            a = v[..., at_a].unflatten(-1, (self.rank, layer.inputs)).unsqueeze(-3)
            b = v[..., at_b].unflatten(-1, (layer.outputs, self.rank)).unsqueeze(-3)
            parts += [(b.mT @ slope).flatten(-2), (slope @ a.mT).flatten(-2)]
        return torch.cat(parts, -1)


@dataclass(frozen=True)
class Masked(Reparametrised):
    """W ⊙ 1[s > threshold] with a score s a weight; biases as they are.

    The slope in s is that of the masked weight times W, as if the step were the identity (Mallya,
    Davis & Lazebnik 2018, arXiv 1801.06519).
    """

    threshold: float = 5e-3

    @property
    def n_extra(self) -> int:
        return sum(layer.inputs * layer.outputs for layer in self.matrix_layers)

    def effective(self, v: torch.Tensor) -> torch.Tensor:
        scores = iter(self._scores(v))
        parts = [
            v[..., place]
            if layer is None
            else step_masked(v[..., place], next(scores), self.threshold)
            for layer, place in self.tensors
        ]
        return torch.cat(parts, -1)

    def vjp_weights(self, jacobian: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        own, others = jacobian.clone(), []
        for layer, score in zip(self.matrix_layers, self._scores(v), strict=True):
            others.append(jacobian[..., layer.weights] * v[..., layer.weights].unsqueeze(-2))
            own[..., layer.weights] *= (score > self.threshold).to(v).unsqueeze(-2)
        return torch.cat([own, *others], -1)

    def _scores(self, v: torch.Tensor) -> list[torch.Tensor]:
        """Scores of each layer's weights, [..., weights]."""
        sizes = [layer.inputs * layer.outputs for layer in self.matrix_layers]
        return list(v[..., self.inner.size :].split(sizes, -1))


@dataclass(frozen=True)
class Scaled(Reparametrised):
    """Every hidden unit's output times a factor of its own: W ⊙ factors of its inputs."""

    @property
    def n_extra(self) -> int:
        return sum(self.neurons.widths)

    def factors(self, v: torch.Tensor) -> list[torch.Tensor]:
        """Factors of the neurons of each hidden layer, [..., width]."""
        return list(v[..., self.inner.size :].split(list(self.neurons.widths), -1))

    def effective(self, v: torch.Tensor) -> torch.Tensor:
        return v[..., : self.inner.size] * self.neurons.leaving(self.factors(v))

    def vjp_weights(self, jacobian: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        slope = jacobian * v[..., None, : self.inner.size]
        pairs = zip(self.layers[1:], self.inner.matrices(slope)[1:], strict=True)
        others = [
            weights.sum(-2).unflatten(-1, (-1, layer.entries)).sum(-1)
            for layer, (weights, _) in pairs
        ]
        return torch.cat(
            [jacobian * self.neurons.leaving(self.factors(v)).unsqueeze(-2), *others], -1
        )
