"""Networks whose weights are a function of others: adapters, masks, factors.

The flat vector has the weights of the dense network first, then those of the adapter, mask or
factors. A subclass gives the effective weights, and maps a Jacobian in them to one in the vector.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Columns, Factors, Layer, Network


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
class Reparametrised(MLP):
    """A dense network evaluated at `effective(v)` for a vector v = [weights, extra entries]."""

    @classmethod
    def of(cls, network: Network, **options: Any) -> Self:
        """Over a dense network.

        Raises:
            InvalidValueError: its neurons are those of a dense network that it is only a part of.
        """
        own = network.neurons.network
        dense = MLP(own.inputs, own.outputs, own.width, own.depth, own.activation)
        if dense != network:
            raise InvalidValueError(
                f"a network of the class {type(network).__name__} is more than the dense network "
                "of its neurons, and cannot be adapted: take a dense network, or another method."
            )
        return cls(
            dense.inputs, dense.outputs, dense.width, dense.depth, dense.activation, **options
        )

    @cached_property
    def inner(self) -> MLP:
        """The dense network."""
        return MLP(self.inputs, self.outputs, self.width, self.depth, self.activation)

    @property
    @abstractmethod
    def n_extra(self) -> int:
        """Number of entries of the vector after the weights."""

    @property
    def size(self) -> int:
        return self.inner.size + self.n_extra

    @abstractmethod
    def effective(self, v: torch.Tensor) -> torch.Tensor:
        """The dense network's weights [..., inner size]; differentiable in v [..., size]."""

    @abstractmethod
    def vjp_weights(self, jacobian: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """∂r/∂v [..., rows, size] from ∂r/∂(effective weights) [..., rows, inner size]."""

    def matrices(self, weights: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return self.inner.matrices(self.effective(weights))

    def merged(self, weights: torch.Tensor) -> tuple[MLP, torch.Tensor]:
        return self.inner, self.effective(weights)

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        outputs, inner = self.inner.linearise(self.effective(weights), jet, names, images)
        return outputs, lambda slopes: ReparametrisedFactors(self, weights, inner(slopes))

    def columns(
        self, indices: torch.Tensor | None, limit: int, device: torch.device
    ) -> list[Columns]:
        return [Columns(self.size if indices is None else len(indices), indices=indices)]


@dataclass(frozen=True)
class ReparametrisedFactors(Factors):
    """Factors in the effective weights of the dense network; `write` maps them to the vector."""

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
        for columns, layer in zip(
            network.columns(None, network.size, like.device), network.layers, strict=True
        ):
            self.inner.write(columns, jacobian[..., layer.parameters, :])
        return self.network.vjp_weights(jacobian.mT, self.weights)


@dataclass(frozen=True)
class LowRank(Reparametrised):
    """W + B A for every layer, with A [rank, inputs] and B [outputs, rank]; biases as they are.

    Hu et al. 2022 (arXiv 2106.09685), their α/r being 1.
    """

    rank: int = 4

    @cached_property
    def adapters(self) -> tuple[tuple[Layer, slice, slice], ...]:
        """(layer, where its A lies, where its B lies) in the vector."""
        parts, start = [], self.inner.size
        for layer in self.layers:
            middle = start + self.rank * layer.inputs
            end = middle + layer.outputs * self.rank
            parts.append((layer, slice(start, middle), slice(middle, end)))
            start = end
        return tuple(parts)

    @property
    def n_extra(self) -> int:
        return sum(self.rank * (layer.inputs + layer.outputs) for layer in self.layers)

    def effective(self, v: torch.Tensor) -> torch.Tensor:
        parts = []
        for layer, at_a, at_b in self.adapters:
            a = v[..., at_a].unflatten(-1, (self.rank, layer.inputs))
            b = v[..., at_b].unflatten(-1, (layer.outputs, self.rank))
            parts += [low_rank(v[..., layer.weights], b, a), v[..., layer.biases]]
        return torch.cat(parts, -1)

    def vjp_weights(self, jacobian: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        parts = [jacobian]
        slopes = self.inner.matrices(jacobian)
        for (layer, at_a, at_b), (slope, _) in zip(self.adapters, slopes, strict=True):
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
        return sum(layer.inputs * layer.outputs for layer in self.layers)

    def effective(self, v: torch.Tensor) -> torch.Tensor:
        parts = []
        for layer, score in zip(self.layers, self._scores(v), strict=True):
            parts += [
                step_masked(v[..., layer.weights], score, self.threshold),
                v[..., layer.biases],
            ]
        return torch.cat(parts, -1)

    def vjp_weights(self, jacobian: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        own, others = jacobian.clone(), []
        for layer, score in zip(self.layers, self._scores(v), strict=True):
            others.append(jacobian[..., layer.weights] * v[..., layer.weights].unsqueeze(-2))
            own[..., layer.weights] *= (score > self.threshold).to(v).unsqueeze(-2)
        return torch.cat([own, *others], -1)

    def _scores(self, v: torch.Tensor) -> list[torch.Tensor]:
        """Scores of each layer's weights, [..., weights]."""
        sizes = [layer.inputs * layer.outputs for layer in self.layers]
        return list(v[..., self.inner.size :].split(sizes, -1))


@dataclass(frozen=True)
class Scaled(Reparametrised):
    """Every hidden unit's output times a factor of its own: W ⊙ factors of its inputs."""

    @property
    def n_extra(self) -> int:
        return sum(self.widths)

    def factors(self, v: torch.Tensor) -> list[torch.Tensor]:
        """Factors of the neurons of each hidden layer, [..., width]."""
        return list(v[..., self.inner.size :].split(list(self.widths), -1))

    def effective(self, v: torch.Tensor) -> torch.Tensor:
        return v[..., : self.inner.size] * self.neurons.leaving(self.factors(v))

    def vjp_weights(self, jacobian: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        slope = jacobian * v[..., None, : self.inner.size]
        others = [weights.sum(-2) for weights, _ in self.inner.matrices(slope)[1:]]
        return torch.cat(
            [jacobian * self.neurons.leaving(self.factors(v)).unsqueeze(-2), *others], -1
        )
