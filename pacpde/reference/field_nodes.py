"""One field on the nodes of a tensor grid, from its unknowns and the conditions at the edges."""

from collections.abc import Callable, Mapping
from functools import cached_property, reduce

import numpy as np
import torch

from pacpde.physics.elementary import Array
from pacpde.reference.edge_rows import AxisUnknowns
from pacpde.runtime import gradients


class FieldNodes:
    """u(nodes) = E·y + V·(values of the conditions at the time t), axis by axis.

    Attributes:
        shape: unknowns along each axis.
        size: number of unknowns.
    """

    def __init__(self, unknowns: tuple[AxisUnknowns, ...]) -> None:
        self.unknowns = unknowns
        self.shape = tuple(one.size for one in unknowns)
        self.size = int(np.prod(self.shape))
        self._constants: dict[int, np.ndarray] = {}

    def at_nodes(self, t: float, y: np.ndarray, derivative: bool = False) -> np.ndarray:
        """The field at the nodes [nodes...] from its unknowns y [size].

        Args:
            derivative: y is ∂u/∂t, and so is the result.
        """
        if self._fixed and not derivative:
            result = self._template.copy()
            result[self.inside] = y.reshape(self.shape)
            return result
        result = y.reshape(self.shape)
        for position, own in enumerate(self.unknowns):
            if own.rows:
                result = own.at_nodes(result, self._edges(position, t, derivative), position)
        return result

    def taken(self, values: np.ndarray) -> np.ndarray:
        """The unknowns [size * k] of values at the nodes, [nodes..., k] or without k."""
        for position, own in enumerate(self.unknowns):
            values = own.taken(values, position)
        return values.ravel()

    @property
    def at_some_nodes(self) -> bool:
        """Whether the unknowns are values at nodes."""
        return all(own.inside is not None for own in self.unknowns)

    def same_as(self, other: "FieldNodes") -> bool:
        """Whether the nodes depend on the unknowns in the same way."""
        return all(a.same_as(b) for a, b in zip(self.unknowns, other.unknowns, strict=True))

    def matrix(
        self,
        rows: "FieldNodes | None",
        matrices: Mapping[str, Mapping[int, np.ndarray]],
        name: str,
    ) -> np.ndarray:
        """A derivative of this field at the unknowns of `rows`, [rows.size, size].

        At all nodes without `rows`.
        """
        factors = []
        for position, own in enumerate(self.unknowns):
            order = name.count(own.axis.axis.name)
            matrix = own.to_nodes
            if order:
                matrix = matrices[own.axis.axis.name][order] @ matrix
            if rows is not None:
                matrix = rows.unknowns[position].taken(matrix, 0)
            factors.append(np.ascontiguousarray(matrix))
        return reduce(np.kron, factors, np.eye(1))

    @cached_property
    def _fixed(self) -> bool:
        return all(own.fixed for own in self.unknowns)

    @cached_property
    def inside(self) -> tuple[slice | None, ...]:
        """The nodes that are unknowns, along each axis."""
        return tuple(own.inside for own in self.unknowns)

    @cached_property
    def _template(self) -> np.ndarray:
        result = np.zeros(self.shape)
        for position, own in enumerate(self.unknowns):
            if own.rows:
                result = own.at_nodes(result, self._edges(position, 0.0, False), position)
        return result

    def _edges(self, position: int, t: float, derivative: bool) -> np.ndarray:
        """Values of the conditions in an axis, which lie along it; or their ∂/∂t.

        In the axes before it they lie at all nodes, in those behind it at the unknowns.
        """
        own = self.unknowns[position]
        if all(row.constant is not None for row in own.rows):
            if derivative:
                return np.zeros(self._edge_shape(position, len(own.rows)))
            if position not in self._constants:
                self._constants[position] = self._evaluated(position, t, _value)
            return self._constants[position]
        return self._evaluated(position, t, _time_derivative if derivative else _value)

    def _evaluated(self, position: int, t: float, evaluate: "Evaluation") -> np.ndarray:
        own = self.unknowns[position]
        shape = self._edge_shape(position, 1)
        values = []
        for row in own.rows:
            end = own.axis.axis.upper if row.upper else own.axis.lower
            places = {"t": np.asarray(float(t)), own.axis.axis.name: np.asarray(end)}
            for other, one in enumerate(self.unknowns):
                if other != position:
                    x = one.axis.nodes if other < position else one.points
                    places[one.axis.axis.name] = x.reshape(
                        [-1 if k == other else 1 for k in range(len(shape))]
                    )
            values.append(evaluate(row.value_at, places, shape))
        return np.concatenate(values, position)

    def _edge_shape(self, position: int, count: int) -> tuple[int, ...]:
        nodes = [one.axis.size for one in self.unknowns]
        return (*nodes[:position], count, *self.shape[position + 1 :])


Places = dict[str, np.ndarray]
Evaluation = Callable[[Callable[[Mapping[str, Array]], Array], Places, tuple[int, ...]], np.ndarray]


def _value(
    value_at: Callable[[Mapping[str, Array]], Array], places: Places, shape: tuple[int, ...]
) -> np.ndarray:
    return np.broadcast_to(np.asarray(value_at(places), float), shape)


@gradients()
def _time_derivative(
    value_at: Callable[[Mapping[str, Array]], Array], places: Places, shape: tuple[int, ...]
) -> np.ndarray:
    tensors = {name: torch.as_tensor(x, device="cpu") for name, x in places.items()}
    time = tensors["t"].expand(shape).clone().requires_grad_()
    value = value_at({**tensors, "t": time})
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        return np.zeros(shape)
    (slope,) = torch.autograd.grad(value.sum(), time)
    return np.asarray(slope.numpy())
