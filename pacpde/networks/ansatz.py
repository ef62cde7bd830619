"""Ansätze: what stands between the coordinates, the network and the fields.

`u = g + s m N(φ)` with an input map φ, an offset g that meets the start and edges of the problem,
field scales s, and a multiplier m that vanishes there, so that every network meets them exactly
(Lagaris et al. 1998, doi:10.1109/72.712178). Everything that does not depend on weights is a jet
computed once for a set of points (a `Batch`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from math import pi
from typing import Any

import torch

from pacpde.networks.batch import Ansatz, Batch
from pacpde.networks.edge_functions import AxisFunctions, axis_functions, within_images
from pacpde.networks.jets import check_channels
from pacpde.networks.leibniz import leibniz
from pacpde.networks.met_condition import MetCondition, met_conditions
from pacpde.networks.mlp import MLP, dense_network
from pacpde.networks.offset import offset
from pacpde.physics.boundary import Boundary, EdgeCondition
from pacpde.physics.derivatives import taylor_channels
from pacpde.physics.problem import Problem


@dataclass(frozen=True)
class PhysicsAnsatz(Ansatz):
    """The ansatz a problem declares.

    Attributes:
        problem: start, edges, symmetries and scales come from it.
        hard: meet the conditions exactly where that is possible; otherwise they are left to
            residual terms.
        odd: make N odd in each axis in which the problem declares odd fields. Pays late in a fit,
            hurts early.
        agreeing: without `hard`, meet those exactly that take no part in a contradiction; see
            `Problem.contradictions`.
        time_unit: in which a fit leaves the start: the multiplier is 1 − exp(−(t − t₀)/unit)
            there.
        harmonics: number of waves cos k θ, sin k θ that the network sees of a periodic axis, whose
            angle is θ.
        seams: number of inputs for kinks of the start where a periodic axis closes, see
            `pacpde.physics.seams`; 0 for a problem that has fewer.
    """

    problem: Problem
    hard: bool = True
    odd: bool = False
    time_unit: float = field(default=1.0, kw_only=True)
    agreeing: bool = field(default=False, kw_only=True)
    harmonics: int = field(default=1, kw_only=True)
    seams: int = field(default=0, kw_only=True)

    @property
    def exactly(self) -> Boundary:
        """The conditions that hold for every network, the start among them."""
        return Boundary(edges=self._parted[0])

    @property
    def by_residual(self) -> Boundary:
        """The conditions that are left to residual terms."""
        return Boundary(edges=self._parted[1], points=self.problem.boundary.points)

    @property
    def conditions(self) -> tuple[MetCondition, ...]:
        """Every condition of the problem, and whether it is met exactly or by a residual."""
        return tuple(met_conditions(self.problem, self.exactly, self.by_residual))

    @property
    def _parted(self) -> tuple[tuple[EdgeCondition, ...], tuple[EdgeCondition, ...]]:
        """The conditions at ends that are met exactly, and the others."""
        edges = self.problem.edge_conditions
        wanted = edges if self.hard else ()
        if self.agreeing:
            broken = {part for one in self.problem.contradictions for part in one.parts}
            wanted = tuple(one for one in edges if one.key not in broken)
        exactly = within_images(wanted)
        return exactly, tuple(one for one in edges if one not in exactly)

    @property
    def inputs(self) -> int:
        periodic = len(self.problem.boundary.periodic)
        return len(self.problem.axes) + (2 * self.harmonics - 1) * periodic + self.seams

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
        places = self._places
        images = [
            taylor_channels(partial(self._image, mirrored, place), coordinates, names)
            for mirrored in self._mirrors
            for place in places
        ]
        inputs = torch.cat(images, dim=1) if len(images) > 1 else images[0]
        offset = taylor_channels(self._offset, coordinates, names)
        multiplier = taylor_channels(self._multiplier, coordinates, names)
        if multiplier.shape[-1] == 1:
            product = leibniz(multiplier[..., 0], names)
        else:
            product = leibniz(multiplier, names)
            product = product.unflatten(-1, (len(places), -1)).transpose(-3, -2)
        scale = torch.as_tensor(self.problem.scales, dtype=points.dtype, device=points.device)
        return Batch(
            points, names, inputs, offset, product, scale, len(images),
            by_field=multiplier.shape[-1] > 1,
        )  # fmt: skip

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

    @property
    def _axes(self) -> list[list[AxisFunctions]]:
        """The functions of every axis with conditions that are met exactly, for each field."""
        problem, edges = self.problem, self.exactly.edges
        return [
            [
                axis_functions(axis, [one for one in own if one.field == k], self.time_unit)
                for k in range(len(problem.fields))
            ]
            for axis in problem.domain.axes
            if (own := [one for one in edges if one.axis == axis.name])
        ]

    @property
    def _places(self) -> list[dict[str, bool]]:
        """The ends to which each image of the network is moved, the point itself first."""
        places: list[dict[str, bool]] = [{}]
        for functions in self._axes:
            ends = sorted({upper for own in functions for upper in own.mixed})
            name = functions[0].axis.name
            places = [place | own for place in places for own in ({}, *({name: u} for u in ends))]
        return places

    def _image(
        self, mirrored: tuple[str, ...], place: dict[str, bool], **x: torch.Tensor
    ) -> torch.Tensor:
        """φ at an end of some axes, mirrored in others."""
        for name, upper in place.items():
            axis = self.problem.domain.axis(name)
            x[name] = (axis.upper if upper else axis.lower) * torch.ones_like(x[name])
        return self._features(
            **{name: -value if name in mirrored else value for name, value in x.items()}
        )

    def _features(self, **x: torch.Tensor) -> torch.Tensor:
        """Every axis mapped to [−1, 1]; a periodic one to its circle."""
        columns = []
        for axis in self.problem.domain.axes:
            if axis.name in self.problem.boundary.periodic:
                angle = 2 * pi * (x[axis.name] - axis.lower) / axis.length
                for k in range(1, self.harmonics + 1):
                    columns += [torch.cos(k * angle), torch.sin(k * angle)]
            else:
                columns.append(2 * (x[axis.name] - axis.lower) / axis.length - 1)
        if self.seams:
            kinks = [one.smoothed(x) for one in self.problem.seam_kinks[: self.seams]]
            columns += kinks + [0 * columns[0]] * (self.seams - len(kinks))
        return torch.stack(columns, -1)

    def _offset(self, **x: torch.Tensor) -> torch.Tensor:
        return torch.stack(offset(self._axes, x, len(self.problem.fields)), -1)

    def _multiplier(self, **x: torch.Tensor) -> torch.Tensor:
        """m, one column; where fields or images differ, one a field and image, images outside."""
        axes, places = self._axes, self._places
        one = torch.ones_like(next(iter(x.values())))
        columns = []
        for place in places:
            for number in range(len(self.problem.fields)):
                factor = one
                for functions in axes:
                    own, name = functions[number], functions[number].axis.name
                    factor = own.vanishing(factor, x[name])
                    if any(other.mixed for other in functions):
                        share = own.shares_of_images(x[name]).get(place.get(name), 0 * one)
                        factor = factor * share
                columns.append(factor)
        alike = all(own.same_as(functions[0]) for functions in axes for own in functions)
        return torch.stack(columns[:1] if alike and len(places) == 1 else columns, -1)


def network_for(ansatz: Ansatz, width: int, depth: int, activation: str) -> MLP:
    """A dense network with the ends that an ansatz needs."""
    return dense_network(ansatz.inputs, ansatz.outputs, (width,) * depth, activation)
