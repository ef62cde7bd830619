"""The transforms of a DeepXDE network around it, as an ansatz of the second-order engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from pacpde.errors import InvalidValueError
from pacpde.interop.deepxde.conditions import input_names
from pacpde.interop.deepxde.model import Transform
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.batch import Batch
from pacpde.networks.edge_functions import AxisFunctions
from pacpde.networks.probe import OutputCheck
from pacpde.physics.boundary import Boundary, EdgeCondition, PointCondition
from pacpde.physics.derivatives import taylor_channels
from pacpde.physics.domain import Axis
from pacpde.runtime import generator

PROBES = 64  # points at which a transform is tried
TOLERANCE = 1e-9  # relative, in float64


@dataclass(frozen=True)
class DeepXDEAnsatz(PhysicsAnsatz):
    """u = T(x, N(F(x))) with the transforms of a DeepXDE network; never made odd.

    T is affine, u = g(x) + m(x) N, with a factor m for each field. Conditions that it meets, so
    that g alone meets them and m vanishes there, hold exactly; the others are residual terms.

    Attributes:
        features: F, inputs [points, axes] → [points, features]; None where the map to [−1, 1] is
            in the network.
        width: number of features.
        output_transform: T, (inputs, outputs [points, fields]) → fields; None for none.
        output_check: of the network that it was made from, before every use: the transforms follow
            values that they read and that are changed.
    """

    features: Transform | None = None
    width: int = 0
    output_transform: Transform | None = None
    output_check: OutputCheck | None = field(default=None, compare=False, repr=False)

    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        if self.output_check is not None:
            self.output_check.check()
        return super().batch(points, names)

    @property
    def exactly(self) -> Boundary:
        return self._conditions[0]

    @property
    def by_residual(self) -> Boundary:
        return self._conditions[1]

    @property
    def _axes(self) -> list[list[AxisFunctions]]:
        """None: what is met exactly is met by the output transform."""
        return []

    @cached_property
    def _conditions(self) -> tuple[Boundary, Boundary]:
        """The conditions that the output transform meets whatever the network, and the others."""
        edges = [(one, self._meets(one)) for one in self.problem.edge_conditions]
        points = [(one, self._meets_point(one)) for one in self.problem.boundary.points]

        def those(met: bool) -> Boundary:
            return Boundary(
                edges=tuple(one for one, own in edges if own == met),
                points=tuple(one for one, own in points if own == met),
            )

        return those(True), those(False)

    def _meets(self, one: EdgeCondition) -> bool:
        """Whether a g + b ∂g/∂n is the value, and m and, for b ≠ 0, ∂m/∂n are 0."""
        axis, unit = self.problem.domain.axis(one.axis), self.problem.unit(one.axis)
        end = axis.upper if one.upper else axis.lower
        x = self._probes | {one.axis: torch.full_like(self._probes[one.axis], end)}
        offset, multiplier = self._jets(x, one.field, ("", one.axis))
        outwards = 1.0 if one.upper else -1.0
        missed = one.a * offset[0] + one.b * outwards * offset[1] - one.value_at(x)
        size = self.problem.scales[one.field] * one.size(unit)
        free = multiplier[0].abs() + (one.b != 0) * unit * multiplier[1].abs()
        return self._vanishes(missed / size, free)

    def _meets_point(self, one: PointCondition) -> bool:
        names = self.problem.domain.names
        x = {name: torch.tensor([own]).double() for name, own in zip(names, one.point, strict=True)}
        offset, multiplier = self._jets(x, one.field, ("",))
        return self._vanishes((offset - one.value) / self.problem.scales[one.field], multiplier)

    def _jets(
        self, x: dict[str, torch.Tensor], number: int, names: tuple[str, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Jets of g and m of one field, [channels, points] each."""
        offset = taylor_channels(self._offset, x, names)[..., number]
        multiplier = taylor_channels(self._multiplier, x, names)
        return offset, multiplier[..., min(number, multiplier.shape[-1] - 1)]

    def _vanishes(self, missed: torch.Tensor, multiplier: torch.Tensor) -> bool:
        """Whether both are 0, but for rounding, the latter beside its size in the domain."""
        small = multiplier.abs() <= TOLERANCE * self._largest
        return bool((missed.abs() <= TOLERANCE).all() and small.all())

    @cached_property
    def _largest(self) -> torch.Tensor:
        """The largest |m| in the domain."""
        return self._multiplier(**self._probes).abs().max()

    @cached_property
    def _probes(self) -> dict[str, torch.Tensor]:
        """Points at which transforms are tried, coordinate by name."""
        box = self.problem.domain
        points = torch.as_tensor(box.sample(PROBES, generator(0, "transforms")))
        return dict(zip(box.names, points.unbind(-1), strict=True))

    @property
    def inputs(self) -> int:
        return super().inputs if self.features is None else self.width

    @property
    def maps_inputs(self) -> bool:
        return self.features is None

    @property
    def scales_outputs(self) -> bool:
        return self.output_transform is None

    def with_odd(self, odd: bool) -> "DeepXDEAnsatz":
        return self

    def _features(self, **x: torch.Tensor) -> torch.Tensor:
        return super()._features(**x) if self.features is None else self.features(self._columns(x))

    def _offset(self, **x: torch.Tensor) -> torch.Tensor:
        if self.output_transform is None:
            return super()._offset(**x)
        return self._transformed(x, 0.0)

    def _multiplier(self, **x: torch.Tensor) -> torch.Tensor:
        if self.output_transform is None:
            return super()._multiplier(**x)
        factors = self._factors(x)
        return factors[:, :1] if self._alike else factors

    def _factors(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        """m of every field, [points, fields]."""
        return self._transformed(x, 1.0) - self._transformed(x, 0.0)

    @cached_property
    def _alike(self) -> bool:
        """Whether m is the same for all fields."""
        factors = self._factors(self._probes)
        return _are_close(factors, factors[:, :1].expand_as(factors))

    def _transformed(self, x: dict[str, torch.Tensor], value: float) -> torch.Tensor:
        inputs = self._columns(x)
        outputs = torch.full_like(inputs[:, :1], value).expand(-1, self.outputs)
        assert self.output_transform is not None
        return self.output_transform(inputs, outputs)

    def _columns(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        """Coordinates in DeepXDE's order, [points, axes]."""
        return torch.stack([x[name] for name in input_names(self.problem)], -1)

    @property
    def settings(self) -> dict[str, Any]:
        if self.features is not None or self.output_transform is not None:
            raise InvalidValueError(
                "a surrogate with transforms of a DeepXDE network cannot be saved, since they are "
                "functions: give it back by to_network, and save that."
            )
        return {"hard": self.hard, "odd": self.odd}

    def check(self) -> None:
        """Refuse transforms that the engine cannot carry derivatives through."""
        x = self._probes
        try:
            self._features(**x), self._offset(**x)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise InvalidValueError(
                f"the network's transforms cannot be evaluated in float64 on the CPU ({error}), "
                "where the engine computes: make the tensors that they use there."
            ) from error
        if self.output_transform is not None:
            inputs = self._columns(x)
            drawn = generator(0, "outputs").normal(size=(PROBES, self.outputs))
            outputs = torch.as_tensor(drawn)
            fields = self.output_transform(inputs, outputs)
            affine = self._offset(**x) + self._multiplier(**x) * outputs
            if fields.shape != affine.shape or not _are_close(fields, affine):
                raise InvalidValueError(
                    "the network's output transform is not u = g(x) + m(x)·N, each field by its "
                    "own output, which the engine needs: train it by DeepXDE, or change the "
                    "transform."
                )
        for axis in self.problem.domain.axes:
            periodic = axis.name in self.problem.boundary.periodic
            if periodic and not self._is_closed(axis, x):
                raise InvalidValueError(
                    f"{self.problem.name} is periodic in {axis.name}, and the network is not: the "
                    "engine needs an input transform that is, such as sin and cos of "
                    f"2π{axis.name}/{axis.length:g}."
                )

    def _is_closed(self, axis: Axis, x: dict[str, torch.Tensor]) -> bool:
        """Whether the transforms give the same at both ends of an axis."""
        if self.features is None:
            return False
        ends = [torch.full_like(x[axis.name], end) for end in (axis.lower, axis.upper)]
        return all(
            _are_close(*(transform(**x | {axis.name: end}) for end in ends))
            for transform in (self._features, self._offset, self._multiplier)
        )


def _are_close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, TOLERANCE, TOLERANCE)
