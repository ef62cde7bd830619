"""Batches: sets of points in the form that a network takes. Ansätze: they compute batches."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.stacking import Stackable
from pacpde.physics.problem import Problem
from pacpde.renamed import renamed_attribute

if TYPE_CHECKING:
    from pacpde.networks.ansatz import PhysicsAnsatz

Label = bool | int | str  # of a class


@dataclass(frozen=True)
class Batch(Stackable):
    """All that u = g + s m N(φ) needs at a set of points, besides the network N.

    A jet has one channel for each derivative: "" for the value, "x", "xx", ... Leading dimensions
    [...] are a stack of sets, one for each network of a stack.

    Attributes:
        coordinates: [..., points, axes].
        names: derivatives of the channels, as ("", "x", "xx").
        inputs: jet of the input map φ, [..., channels, images·points, features].
        offset: jet of g, [..., channels, points, fields].
        product: matrix that maps the jet of N to the jet of m N (Leibniz' rule),
            [..., channels, channels, points]; with `by_field`
            [..., channels, channels, places, points, fields].
        scale: s, typical size of each field, [fields].
        images: evaluations of N for a point: 2ᵏ at each place, where N is made odd in k axes, each
            by (N(x) − N(−x))/2.
        by_field: whether every field has a multiplier of its own, one for N at each of several
            places: the point itself, and ends of axes. m N is then the sum over the places.
        first_output: index of the first of the network's outputs that give the fields.
    """

    stacked: ClassVar[tuple[str, ...]] = ("coordinates", "inputs", "offset", "product")

    coordinates: torch.Tensor
    names: tuple[str, ...]
    inputs: torch.Tensor
    offset: torch.Tensor
    product: torch.Tensor
    scale: torch.Tensor
    images: int = 1
    first_output: int = 0
    by_field: bool = False

    @classmethod
    def without_derivatives(
        cls, points: torch.Tensor, inputs: torch.Tensor, scale: torch.Tensor, first_output: int = 0
    ) -> "Batch":
        """The batch of u = s N(φ), with the values as its only channel.

        Args:
            points: coordinates, [points, axes].
            inputs: φ, [1, points, features].
            scale: s, [fields].
            first_output: see the class.
        """
        offset = points.new_zeros(1, len(points), len(scale))
        product = points.new_ones(1, 1, len(points))
        return cls(points, ("",), inputs, offset, product, scale, first_output=first_output)

    @property
    def size(self) -> int:
        """Number of points."""
        return self.coordinates.shape[-2]

    @property
    def places(self) -> int:
        """Number of places at which N is evaluated for a point; 1 where it is the point alone."""
        return self.product.shape[-3] if self.by_field else 1

    def subset(self, points: slice | torch.Tensor) -> "Batch":
        """The batch of some of the points.

        Args:
            points: slice or indices, [chosen points].
        """
        inputs = self.inputs.unflatten(-2, (self.images, self.size))
        if self.by_field:
            product = self.product[..., points, :]
        else:
            product = self.product[..., points]
        return replace(
            self,
            coordinates=self.coordinates[..., points, :],
            inputs=inputs[..., points, :].flatten(-3, -2),
            offset=self.offset[..., points, :],
            product=product,
        )

    @property
    def batch_key(self) -> Hashable:
        """Batches with equal keys can be stacked."""
        scale = tuple(self.scale.tolist())
        sizes = self.inputs.shape, self.product.shape
        return self.names, self.images, self.first_output, sizes, scale

    def fields(self, output: torch.Tensor) -> torch.Tensor:
        """Jet of the fields, [..., channels, points, fields].

        Args:
            output: jet of N, [..., channels, images·points, outputs].
        """
        count = len(self.scale)
        if output.shape[-1] != count:
            output = output[..., self.first_output : self.first_output + count]
        output = self._made_odd(output)
        if self.by_field:
            output = output.unflatten(-2, (self.places, self.size))
            product = torch.einsum("...cdpnk,...dpnk->...cnk", self.product, output)
        else:
            product = torch.einsum("...cdn,...dnk->...cnk", self.product, output)
        return self.offset + self.scale * product

    def multiplied(self, functions: torch.Tensor) -> torch.Tensor:
        """Jets of m f for each of several functions f of the network's inputs.

        Args:
            functions: jets of f, [channels, images·points, functions].

        Returns:
            [channels, points, fields, functions]; one field for all where they have one multiplier.
        """
        functions = self._made_odd(functions)
        if self.by_field:
            functions = functions.unflatten(-2, (self.places, self.size))
            return torch.einsum("cdpnk,dpnf->cnkf", self.product, functions)
        return torch.einsum("cdn,dnf->cnf", self.product, functions).unsqueeze(-2)

    def _made_odd(self, output: torch.Tensor) -> torch.Tensor:
        """(N(x) − N(−x))/2 in each axis with images, [..., places·points, outputs]."""
        while output.shape[-2] > self.places * self.size:  # axis after axis, the last first
            here, mirrored = output.chunk(2, dim=-2)
            output = (here - mirrored) / 2
        return output


@dataclass(frozen=True)
class MeanBatch(Batch):
    """One row for many points: the mean of the fields over them, for penalties on integrals.

    Attributes:
        inner: the batch of the points.

    Example:
        The mean at t = 1 is held at 0.1, with `points` at equal distances there::

            batch = MeanBatch.of(ansatz.batch(points))
            term = LabelTerm(batch, runtime.tensor([[0.1]]), weight=5.0)
    """

    stacked = (*Batch.stacked, "inner")

    inner: Batch = field(kw_only=True)

    @classmethod
    def of(cls, inner: Batch) -> "MeanBatch":
        """The mean over the points of a batch."""
        parts = {own.name: getattr(inner, own.name) for own in fields(Batch)}
        parts["coordinates"] = inner.coordinates.mean(-2, keepdim=True)
        return cls(**{**parts, "images": inner.inputs.shape[-2]}, inner=inner)

    def subset(self, points: slice | torch.Tensor) -> "MeanBatch":
        """The whole batch: it has one row."""
        return self

    @property
    def batch_key(self) -> Hashable:
        return "mean", self.inner.batch_key

    def fields(self, output: torch.Tensor) -> torch.Tensor:
        return self.inner.fields(output).mean(-2, keepdim=True)


class Ansatz(ABC):
    """A map from coordinates and a network N to fields, u = g + s m N(φ); see `Batch`."""

    equation = renamed_attribute("equation", "problem_or_none")

    @abstractmethod
    def batch(self, points: torch.Tensor, names: Sequence[str] = ("",)) -> Batch:
        """Compute the batch of some points.

        Args:
            points: coordinates, [points, axes].
            names: derivatives of the channels, as ("", "x", "xx").
        """

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Number of the network's inputs: the features of φ."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of the network's outputs."""

    @property
    def problem_or_none(self) -> Problem | None:
        """The problem whose fields it computes; None for the ansatz of a table."""
        return None

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates, in order."""
        return ("column",) * self.inputs

    @property
    def class_labels(self) -> tuple[Label, ...]:
        """The classes whose logits the fields are; empty where they are values."""
        return ()

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities of the classes, [classes, ...], from the fields, [classes, ...].

        Raises:
            InvalidValueError: the fields are values.
        """
        raise InvalidValueError(
            "this surrogate gives values, and no classes: make one of classes with fit_classes."
        )

    @property
    def uses_network(self) -> bool:
        """Whether the fields depend on the network's weights."""
        return True

    @property
    def odd(self) -> bool:
        """Whether N is made odd; see `PhysicsAnsatz`."""
        return False

    @property
    def settings(self) -> dict[str, Any]:
        """All attributes but the problem, as a JSON object; it rebuilds the ansatz."""
        raise InvalidValueError(f"a surrogate in a {type(self).__name__} cannot be saved.")

    @property
    def field_ansatz(self) -> "PhysicsAnsatz":
        """The ansatz of the problem's fields, for fits that start from this surrogate's weights.

        Raises:
            InvalidValueError: for a table, which has no problem.
        """
        raise InvalidValueError("this surrogate was fitted to a table: it has no problem.")

    def with_problem(self, problem: Problem) -> "Ansatz":
        """The same ansatz for another problem of the family."""
        return self.field_ansatz.with_problem(problem)


@dataclass(frozen=True)
class DerivedAnsatz(Ansatz):
    """Base class: an ansatz that changes part of another one.

    Attributes:
        ansatz: the other one.
    """

    ansatz: Ansatz

    @property
    def inputs(self) -> int:
        return self.ansatz.inputs

    @property
    def outputs(self) -> int:
        return self.ansatz.outputs
