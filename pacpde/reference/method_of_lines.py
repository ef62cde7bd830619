"""A problem on the nodes of a tensor grid: rates, and their Jacobian derived by themselves."""

from collections.abc import Mapping
from functools import cached_property, reduce

import numpy as np
import torch

from pacpde.errors import InvalidValueError, named_numbers
from pacpde.physics import Problem
from pacpde.physics.derivatives import ChannelDerivative, MatrixDerivative
from pacpde.reference.grid import SpaceAxis
from pacpde.runtime import gradients


class MethodOfLines:
    """∂u/∂t = rhs on the nodes of `space`; without space, the ODE itself.

    The state y [n] holds the unknown nodes of every field, field by field; nodes on held edges
    are no unknowns and keep their values.
    """

    def __init__(self, problem: Problem, space: tuple[SpaceAxis, ...]) -> None:
        self.problem = problem
        self.space = space
        time = problem.domain.axes[0]
        self.span = (time.lower, time.upper)
        self.shape = tuple(axis.size for axis in space)
        self.inside = (slice(None), *(axis.inside for axis in space))
        self.names = [name for name in problem.channels if "t" not in name]
        self.matrices = {
            axis.axis.name: axis.matrices(max(name.count(axis.axis.name) for name in self.names))
            for axis in space
        }
        grids = np.meshgrid(*(axis.nodes for axis in space), indexing="ij", sparse=True)
        self.coordinates = {axis.axis.name: x for axis, x in zip(space, grids, strict=True)}
        self.template = self._hold_edges(
            self._shaped(problem.evolution.initial_fields(*grids), "initial")
        )
        self.start = self.template[self.inside].ravel()
        scales = np.asarray(problem.scales, float).reshape(-1, *[1] * len(space))
        self.scale = np.broadcast_to(scales, self.template.shape)[self.inside].ravel()

    def rates(self, t: float, y: np.ndarray) -> np.ndarray:
        """dy/dt [n]."""
        fields = list(self.unpack(y))
        d = MatrixDerivative(fields, self.matrices, {"t": np.asarray(t), **self.coordinates})
        return self._shaped(self.problem.evolution.rates(fields, d), "rhs")[self.inside].ravel()

    def jacobian(self, t: float, y: np.ndarray) -> np.ndarray:
        """∂(dy/dt)/∂y [n, n] = Σ over channels c of diag(∂rhs/∂c) · (matrix of c).

        The pointwise ∂rhs/∂c come from autograd over the channels, taken as leaves.
        """
        count = len(self.problem.fields)
        slopes = self._slopes(t, y)
        size = len(y) // count
        result = np.zeros((count, size, count, size))
        for name, matrix in self._matrices_inside.items():
            for row in range(count):
                for column in range(count):
                    pointwise = slopes[name][row][column]
                    if pointwise is None:
                        continue
                    slope = pointwise.numpy()[self.inside[1:]].ravel()
                    if matrix is None:
                        result[row, np.arange(size), column, np.arange(size)] += slope
                    else:
                        result[row, :, column, :] += slope[:, None] * matrix
        return result.reshape(len(y), len(y))

    def unpack(self, y: np.ndarray) -> np.ndarray:
        """The fields with their edges, shape [fields, nodes...]."""
        full = self.template.copy()
        full[self.inside] = y.reshape(full[self.inside].shape)
        return full

    @cached_property
    def _matrices_inside(self) -> dict[str, np.ndarray | None]:
        """Channel → its matrix between unknown nodes; None for the field itself."""
        matrices: dict[str, np.ndarray | None] = {"": None}
        for name in self.names:
            if name:
                matrices[name] = reduce(np.kron, [self._factor(axis, name) for axis in self.space])
        return matrices

    def _factor(self, axis: SpaceAxis, name: str) -> np.ndarray:
        order = name.count(axis.axis.name)
        matrix = self.matrices[axis.axis.name][order] if order else np.eye(axis.size)
        return np.ascontiguousarray(matrix[axis.inside, axis.inside])

    def check(self) -> None:
        """Refuse a start, or rates at the start, that are not finite."""
        nodes = {axis.axis.name: axis.nodes for axis in self.space}
        time = {"t": np.array(self.span[0])}
        check_finite(self.problem, "initial", self.template, nodes)
        check_finite(self.problem, "rhs", self._rates_at_start(), nodes, time)

    def _rates_at_start(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            rates = self.rates(self.span[0], self.start)
        result = np.zeros_like(self.template)
        result[self.inside] = rates.reshape(result[self.inside].shape)
        return result

    @gradients()
    def _slopes(self, t: float, y: np.ndarray) -> dict[str, list[list[torch.Tensor | None]]]:
        """∂(rate of field i)/∂(channel of field j) as slopes[channel][i][j], None where 0.

        The caller may have switched torch's gradients off.
        """
        fields = list(self.unpack(y))
        d = MatrixDerivative(fields, self.matrices)
        leaves = {
            name: [
                torch.tensor(d.take(j, name) if name else fields[j], device="cpu").requires_grad_()
                for j in range(len(fields))
            ]
            for name in self.names
        }
        coordinates = {
            name: torch.as_tensor(x, device="cpu") for name, x in self.coordinates.items()
        }
        coordinates["t"] = torch.tensor(t, dtype=torch.float64, device="cpu")
        rates = self.problem.evolution.rates(
            leaves[""], ChannelDerivative(leaves, tuple(self.coordinates), coordinates)
        )
        flat = [leaf for name in self.names for leaf in leaves[name]]
        rows = [_pointwise(rate, flat) for rate in rates]
        count = len(fields)
        return {
            name: [row[k * count : (k + 1) * count] for row in rows]
            for k, name in enumerate(self.names)
        }

    def _shaped(self, parts: tuple[object, ...], where: str) -> np.ndarray:
        """One array over the nodes from what `rhs` or `initial` gave for each field."""
        arrays = []
        for part, field in zip(parts, self.problem.fields, strict=True):
            try:
                arrays.append(np.broadcast_to(np.asarray(part, float), self.shape))
            except (TypeError, ValueError) as error:
                raise InvalidValueError(
                    f"{self.problem.name}.{where} gave {_words(part)} for the field {field!r}, "
                    f"expected a number or an array of the shape {self.shape} of the coordinates: "
                    "write it with plain arithmetic of the fields and coordinates."
                ) from error
        return np.stack(arrays)

    def _hold_edges(self, fields: np.ndarray) -> np.ndarray:
        result = fields.astype(float)
        for position, axis in enumerate(self.space, start=1):
            if axis.edges is not None:
                for index, value in zip((0, -1), axis.edges, strict=True):
                    result[(slice(None),) * position + (index,)] = value
        return result


def check_finite(
    problem: Problem,
    where: str,
    values: np.ndarray,
    grid: Mapping[str, np.ndarray],
    besides: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Refuse values [fields, grid...] of `initial` or `rhs` that are not finite, with the place."""
    if np.isfinite(values).all():
        return
    field, *node = np.argwhere(~np.isfinite(values))[0]
    place = {**(besides or {}), **{n: x[k] for (n, x), k in zip(grid.items(), node, strict=True)}}
    at = named_numbers(place, " = ")
    raise InvalidValueError(
        f"{problem}: {where} gives {values[(field, *node)]} for the field "
        f"{problem.fields[field]!r}{f' at {at}' if at else ''}: it must be finite in the whole "
        "domain."
    )


def _pointwise(rate: object, leaves: list[torch.Tensor]) -> list[torch.Tensor | None]:
    if not isinstance(rate, torch.Tensor) or not rate.requires_grad:
        return [None] * len(leaves)
    return list(torch.autograd.grad(rate.sum(), leaves, allow_unused=True, retain_graph=True))


def _words(part: object) -> str:
    shape = getattr(part, "shape", None)
    return f"a {type(part).__name__}" + ("" if shape is None else f" of the shape {tuple(shape)}")
