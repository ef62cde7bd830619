"""Ansätze: what stands between the coordinates, the network and the fields.

`u = g + s m N(φ)` with an input map φ, an offset g that meets the start and edges of the problem,
field scales s, and a multiplier m that vanishes there, so that every network meets them exactly
(Lagaris et al. 1998, doi:10.1109/72.712178). Everything that does not depend on weights is a jet
computed once for a set of points (a `Batch`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property, partial
from math import pi
from typing import Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.batch import Ansatz, Batch
from pacpde.networks.jets import check_channels
from pacpde.networks.mlp import MLP, dense_network
from pacpde.physics.boundary import Boundary
from pacpde.physics.derivatives import taylor_channels
from pacpde.physics.elementary import exp
from pacpde.physics.problem import Problem

# (axis, lower value, upper value, (lower end, upper end)) of a Dirichlet axis
Edge = tuple[str, float, float, tuple[float, float]]


@dataclass(frozen=True)
class PhysicsAnsatz(Ansatz):
    """The ansatz a problem declares.

    Attributes:
        problem: start, edges, symmetries and scales come from it.
        hard: meet the conditions exactly where that is possible; otherwise they are left to
            residual terms.
        odd: make N odd in each axis in which the problem declares odd fields. Pays late in a fit,
            hurts early.
        time_unit: in which a fit leaves the start: the multiplier is 1 − exp(−(t − t₀)/unit)
            there.
    """

    problem: Problem
    hard: bool = True
    odd: bool = False
    time_unit: float = field(default=1.0, kw_only=True)

    @cached_property
    def exactly(self) -> Boundary:
        """The conditions that hold for every network, the start among them."""
        problem = self.problem
        suited = problem.boundary.classical(problem.edge_axes, len(problem.fields))
        if not (self.hard and problem.order == 1 and suited):
            return Boundary()
        return Boundary(edges=problem.edge_conditions)

    @cached_property
    def by_residual(self) -> Boundary:
        """The conditions that are left to residual terms."""
        exactly = self.exactly.edges
        edges = () if exactly else self.problem.edge_conditions
        return Boundary(edges=edges, points=self.problem.boundary.points)

    @property
    def inputs(self) -> int:
        return len(self.problem.axes) + len(self.problem.boundary.periodic)

    @property
    def outputs(self) -> int:
        return len(self.problem.fields)

    @property
    def problem_or_none(self) -> Problem:
        return self.problem

    @property
    def coordinates(self) -> tuple[str, ...]:
        return self.problem.domain.names

    @property
    def settings(self) -> dict[str, Any]:
        return {own.name: getattr(self, own.name) for own in fields(self) if own.name != "problem"}

    @property
    def field_ansatz(self) -> "PhysicsAnsatz":
        return self

    def with_problem(self, problem: Problem) -> "PhysicsAnsatz":
        return replace(self, problem=problem)

    @property
    def maps_inputs(self) -> bool:
        """Whether φ is the map to [−1, 1] and circles, not a function of a user."""
        return True

    @property
    def scales_outputs(self) -> bool:
        """Whether u = g + s m N as declared, not by a function of a user."""
        return True

    def with_odd(self, odd: bool) -> "PhysicsAnsatz":
        return replace(self, odd=odd and bool(self.problem.odd))

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        names = tuple(names)
        check_channels(names)
        coordinates = dict(zip(self.coordinates, points.unbind(-1), strict=True))
        images = [taylor_channels(self._features, coordinates, names)]
        for mirrored in self._mirrors[1:]:
            features = partial(self._mirrored_features, mirrored)
            images.append(taylor_channels(features, coordinates, names))
        inputs = torch.cat(images, dim=1) if len(images) > 1 else images[0]
        offset = taylor_channels(self._offset, coordinates, names)
        multiplier = taylor_channels(self._multiplier, coordinates, names)[..., 0]
        scale = torch.as_tensor(self.problem.scales, dtype=points.dtype, device=points.device)
        return Batch(points, names, inputs, offset, leibniz(multiplier, names), scale, len(images))

    @property
    def _mirrors(self) -> list[tuple[str, ...]]:
        """Which axes each image of the network is mirrored in.

        Every axis by itself: oddness in x and in y is more than u(−x, −y) = −u(x, y), which an
        even function meets as well.
        """
        images: list[tuple[str, ...]] = [()]
        for name in self.problem.odd if self.odd else ():
            images += [(*mirrored, name) for mirrored in images]
        return images

    def _features(self, **x: torch.Tensor) -> torch.Tensor:
        """Every axis mapped to [−1, 1]; a periodic one to its circle."""
        columns = []
        for axis in self.problem.domain.axes:
            if axis.name in self.problem.boundary.periodic:
                angle = 2 * pi * (x[axis.name] - axis.lower) / axis.length
                columns += [torch.cos(angle), torch.sin(angle)]
            else:
                columns.append(2 * (x[axis.name] - axis.lower) / axis.length - 1)
        return torch.stack(columns, -1)

    def _mirrored_features(self, axes: tuple[str, ...], **x: torch.Tensor) -> torch.Tensor:
        return self._features(
            **{name: -value if name in axes else value for name, value in x.items()}
        )

    def _offset(self, **x: torch.Tensor) -> torch.Tensor:
        one = torch.ones_like(next(iter(x.values())))
        if not self.exactly.edges:
            return torch.stack([0 * one for _ in self.problem.fields], -1)
        return torch.stack(self._start_with_edges(_constant_edges(self.problem), x), -1)

    def _start_with_edges(
        self, edges: list[Edge], x: dict[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        """The start, bent linearly in one axis after the other until it meets these edges."""
        one = torch.ones_like(next(iter(x.values())))
        if not edges:
            space = [x[axis.name] for axis in self.problem.domain.space]
            return [part * one for part in self.problem.evolution.initial_fields(*space)]
        *others, (name, low, high, (lower, upper)) = edges
        here, at_lower, at_upper = (
            self._start_with_edges(others, x | {name: place})
            for place in (x[name], lower * one, upper * one)
        )
        share = (x[name] - lower) / (upper - lower)
        return [
            value + (1 - share) * (low - first) + share * (high - last)
            for value, first, last in zip(here, at_lower, at_upper, strict=True)
        ]

    def _multiplier(self, **x: torch.Tensor) -> torch.Tensor:
        one = torch.ones_like(next(iter(x.values())))
        if not self.exactly.edges:
            return one[:, None]
        time = self.problem.domain.axis("t")
        result = one - exp(-(x["t"] - time.lower) / self.time_unit)
        for name, _, _, (lower, upper) in _constant_edges(self.problem):
            half = (upper - lower) / 2
            result = result * (x[name] - lower) * (upper - x[name]) / half**2
        return result[:, None]


@dataclass(frozen=True)
class TableAnsatz(Ansatz):
    """A network on standardised columns, for regression on a table.

    Attributes:
        centre, spread: mean and standard deviation of each input column.
        shift, scale: mean and standard deviation of each output. Constant columns count as 1 wide.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, inputs: np.ndarray, outputs: np.ndarray) -> "TableAnsatz":
        """Standardised by these data: inputs [points, columns], outputs [points, targets]."""

        def columns(values: np.ndarray) -> tuple[float, ...]:
            return tuple(float(value) for value in values)

        def widths(values: np.ndarray) -> tuple[float, ...]:
            constant = np.ptp(values, axis=0) == 0  # the deviation of equal numbers may round up
            return columns(np.where(constant, 1.0, values.std(0)))

        return cls(
            columns(inputs.mean(0)), widths(inputs), columns(outputs.mean(0)), widths(outputs)
        )

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def inputs(self) -> int:
        return len(self.centre)

    @property
    def outputs(self) -> int:
        return len(self.shift)

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        if tuple(names) != ("",):
            raise InvalidValueError(f"a table has no derivatives, got the channels {names}.")
        inputs = (points - points.new_tensor(self.centre)) / points.new_tensor(self.spread)
        batch = Batch.without_derivatives(points, inputs[None], points.new_tensor(self.scale))
        offset = points.new_tensor(self.shift).expand(len(points), -1)
        return replace(batch, offset=offset[None])


def leibniz(multiplier: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
    """The map N ↦ m·N on jets, [channels, channels, points], of the jet m [channels, points]."""
    at = {name: index for index, name in enumerate(names)}
    product = multiplier.new_zeros(len(names), len(names), multiplier.shape[1])
    for row, name in enumerate(names):
        for mask in range(1 << len(name)):
            first = "".join(a for i, a in enumerate(name) if mask >> i & 1)
            second = "".join(a for i, a in enumerate(name) if not mask >> i & 1)
            product[row, at[second]] += multiplier[at[first]]
    return product


def _constant_edges(problem: Problem) -> list[Edge]:
    return [
        (axis.name, *values, (axis.lower, axis.upper))
        for axis in problem.domain.space
        if (values := problem.boundary.constant_edges(axis.name, 0)) is not None
    ]


def network_for(ansatz: Ansatz, width: int, depth: int, activation: str) -> MLP:
    """A dense network with the ends that an ansatz needs."""
    return dense_network(ansatz.inputs, ansatz.outputs, (width,) * depth, activation)
