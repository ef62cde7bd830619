"""The frozen functions that all targets of a library are made of.

The neurons of the last two hidden layers of several sources, taken together, span nearly every
solution between them. So a target needs a linear combination alone: its head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.linalg import qr, solve_triangular

from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.mlp import MLP, dense_network
from pacpde.networks.network_sum import NetworkSum
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.domain import Domain
from pacpde.physics.problem import Problem
from pacpde.residuals.physics_task import drawn
from pacpde.runtime import generator

LAYERS = 2  # hidden layers whose neurons are taken, from the last one
TINY = 1e-13  # share of the largest diagonal entry that normal equations are shifted by
RANK = 1e-9  # of a neuron's share that no other neuron has, over the largest, that is kept
POINTS, CANDIDATES = 6000, 4  # at which functions are compared; drawn for each of them


@dataclass(frozen=True)
class Backbone:
    """u = g + s m Σₖ cₖ φₖ with φ = h T: hidden neurons h of the sources and a constant.

    The neurons are those that a QR factorisation with column pivoting (Businger & Golub 1965) finds
    independent; the others are left out. T makes m φ orthonormal at random points.

    Attributes:
        network: the sum of the sources' networks, narrowed to these neurons.
        trunks: its weights with heads of 0, [size].
        ansatz: of every source, whose problem is replaced by that of a target.
        basis: T, [neurons + 1, functions].
    """

    network: NetworkSum
    trunks: torch.Tensor
    ansatz: PhysicsAnsatz
    basis: torch.Tensor

    @classmethod
    def of(cls, sources: Sequence[Surrogate], rank: float = RANK) -> "Backbone":
        """The backbone of sources with dense networks, or sums of them, and one ansatz."""
        parts = [own for source in sources for own in _with_inner_layers(source)]
        whole = NetworkSum.of([network for network, _ in parts])
        weights = torch.cat([own for _, own in parts])
        ansatz = sources[0].field_ansatz
        batch = ansatz.batch(steep_points(sources))
        hidden = whole.hidden(weights, batch.inputs, batch.names)
        columns = _with_constant(hidden, batch.names)
        values = batch.multiplied(columns)[0].flatten(0, 1).double().cpu().numpy()
        upper, order = qr(values, mode="r", pivoting=True, check_finite=False)
        shares = np.abs(np.diag(upper))
        kept = np.zeros(values.shape[1], bool)
        kept[order[: int((shares > rank * shares[0]).sum())]] = True
        network, trunks = _narrowed(whole, weights, torch.from_numpy(kept[:-1]))
        kept[-1] = True  # the constant is there in any case; it may have no share
        (own,) = qr(values[:, kept], mode="r", check_finite=False)
        own = own[: kept.sum()]
        used = np.abs(np.diag(own)) > rank * shares[0]
        basis = np.zeros((len(own), int(used.sum())))
        inverse = solve_triangular(own[np.ix_(used, used)], np.eye(int(used.sum())))
        basis[used] = inverse * len(values) ** 0.5
        return cls(network, trunks, ansatz, torch.from_numpy(basis).to(weights))

    def extended(self, solver: Surrogate, rank: float = RANK) -> "Backbone":
        """This with the hidden neurons of one more solver; the functions that are there stay.

        T gets columns that make the part of the new neurons which no function has orthonormal.
        """
        parts = _with_inner_layers(solver)
        added = NetworkSum.of([network for network, _ in parts])
        weights = torch.cat([own for _, own in parts])
        batch = self.ansatz.with_problem(solver.problem).batch(steep_points([solver]))
        old, new = (
            batch.multiplied(own)[0].flatten(0, 1)
            for own in (self.at(batch.inputs, batch.names),
                        added.hidden(weights, batch.inputs, batch.names))
        )  # fmt: skip
        known = _fitted(old, new)
        rest = (new - old @ known).double().cpu().numpy()
        upper, order = qr(rest, mode="r", pivoting=True, check_finite=False)
        largest = float(new.norm(dim=0).max())
        count = int((np.abs(np.diag(upper)) > rank * largest).sum())
        if count == 0:
            return self
        kept = np.isin(np.arange(len(order)), order[:count])
        narrow, trunks = _narrowed(added, weights, torch.from_numpy(kept))
        (own,) = qr(rest[:, kept], mode="r", check_finite=False)
        inverse = solve_triangular(own[:count], np.eye(count)) * len(rest) ** 0.5
        columns = torch.from_numpy(inverse).to(self.basis)
        mixed = -self.basis @ known[:, torch.from_numpy(kept).to(known.device)] @ columns
        basis = self.basis.new_zeros(len(self.basis) + count, self.functions + count)
        basis[: len(self.basis) - 1, : self.functions] = self.basis[:-1]
        basis[: len(self.basis) - 1, self.functions :] = mixed[:-1]
        basis[len(self.basis) - 1 : -1, self.functions :] = columns
        basis[-1] = torch.cat([self.basis[-1], mixed[-1]])
        network = NetworkSum.of([self.network, narrow])
        return Backbone(network, torch.cat([self.trunks, trunks]), self.ansatz, basis)

    @property
    def functions(self) -> int:
        """Number of functions."""
        return self.basis.shape[1]

    def at(self, jet: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        """Jets of φ, [channels, images·points, functions], from those of a batch's inputs."""
        return self.at_neurons(jet, names) @ self.basis

    def at_neurons(self, jet: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        """Jets of h, [channels, images·points, neurons + 1]."""
        return _with_constant(self.network.hidden(self.trunks, jet, names), names)

    def rows(self, heads: torch.Tensor) -> torch.Tensor:
        """Weights from the neurons and the constant, [fields, neurons + 1], of a head."""
        return heads @ self.basis.mT

    def rows_in(self, weights: torch.Tensor) -> torch.Tensor:
        """The same of weights [size] of the network."""
        return torch.cat([weights[self._head_places], weights[self._bias_places][:, None]], -1)

    def weights(self, rows: torch.Tensor) -> torch.Tensor:
        """Weights [size] of the network with these rows."""
        weights = self.trunks.clone()
        weights[self._head_places] = rows[:, :-1]
        weights[self._bias_places] = rows[:, -1]
        return weights

    @cached_property
    def _head_places(self) -> torch.Tensor:
        """Positions of the heads' weights, int [fields, neurons]."""
        numbers = torch.arange(self.network.size, device=self.trunks.device)
        parts = zip(self.network.parts, self.network.part_slices, strict=True)
        return torch.cat([part.matrices(numbers[place])[-1][0] for part, place in parts], -1)

    @cached_property
    def _bias_places(self) -> torch.Tensor:
        """Positions of the first member's biases of the head, int [fields]."""
        numbers = torch.arange(self.network.size, device=self.trunks.device)
        part, place = self.network.parts[0], self.network.part_slices[0]
        return part.matrices(numbers[place])[-1][1]

    def head_of(self, solver: Surrogate) -> torch.Tensor:
        """The head [fields, functions] that is nearest to a solver with the same ansatz."""
        points = steep_points([solver])
        batch = self.ansatz.with_problem(solver.problem).batch(points)
        functions = batch.multiplied(self.at(batch.inputs, batch.names))[0]
        wanted = (solver.at(points) - batch.offset[0]) / batch.scale
        each = [
            _fitted(functions[:, k % functions.shape[1]], column[:, None])[:, 0]
            for k, column in enumerate(wanted.unbind(-1))
        ]
        return torch.stack(each)

    def projected(self, other: "Backbone", heads: torch.Tensor) -> torch.Tensor:
        """The heads nearest to those [targets, fields, functions] of another backbone."""
        points = steep_points([other.solver(other.ansatz.problem, heads[0])])
        batch = self.ansatz.batch(points)
        new, old = (batch.multiplied(one.at(batch.inputs, batch.names))[0] for one in (self, other))
        result = []
        for k, own in enumerate(heads.unbind(1)):
            wanted = old[:, k % old.shape[1]] @ own.mT
            result.append(_fitted(new[:, k % new.shape[1]], wanted).mT)
        return torch.stack(result, 1)

    def solver(self, problem: Problem, heads: torch.Tensor) -> Surrogate:
        """The surrogate of a problem with a head c [fields, functions]."""
        return self.with_rows(problem, self.rows(heads))

    def with_rows(self, problem: Problem, rows: torch.Tensor) -> Surrogate:
        """The surrogate of a problem with rows [fields, neurons + 1]."""
        ansatz = self.ansatz.with_problem(problem)
        return Surrogate(self.network, ansatz, self.weights(rows), stage="calibrated")


def box_of(ansatz: PhysicsAnsatz) -> Domain:
    """The domain of an ansatz; half of it in every axis in which the fields are odd."""
    box = ansatz.problem.domain
    for name in ansatz.problem.odd if ansatz.odd else ():
        box = box.restricted(name, lower=0.0)
    return box


def steep_points(sources: Sequence[Surrogate], count: int = POINTS) -> torch.Tensor:
    """Points [count, axes] of a density that grows where the fields of the sources are steep."""
    first = sources[0]
    ansatz, rng = first.field_ansatz, generator(0, "steep")
    box = box_of(ansatz)
    pool = first.runtime.tensor(box.sample(CANDIDATES * count, rng))
    lengths = pool.new_tensor([axis.length for axis in box.axes])
    density = pool.new_ones(len(pool))
    for source in sources:
        slopes = source.jet(pool, ("", *ansatz.coordinates))[1:] * lengths[:, None, None]
        steep = (slopes / slopes.new_tensor(source.problem.scales)).square().sum((0, 2)).sqrt()
        density += steep / steep.mean() / len(sources)
    return pool[drawn(density.double().cpu().numpy(), count, rng).to(pool.device)]


def _fitted(functions: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Least squares [functions, columns] of nearly orthonormal functions [points, functions].

    By normal equations: `lstsq` gives other bits from call to call.
    """
    matrix = functions.mT @ functions
    matrix.diagonal().add_(TINY * matrix.diagonal().max())
    factor = torch.linalg.cholesky(matrix)
    return torch.cholesky_solve(functions.mT @ wanted, factor)


def _with_inner_layers(source: Surrogate) -> list[tuple[MLP, torch.Tensor]]:
    """The dense networks of a source, each cut off after each of its last hidden layers.

    The neurons of the layer before the last are functions as good as those of the last one.
    """
    result = []
    whole = NetworkSum.of([source.network], "the network of a source")
    for part, place in zip(whole.parts, whole.part_slices, strict=True):
        for depth in range(part.depth, max(part.depth - LAYERS, 0), -1):
            widths = part.widths[:depth]
            shorter = dense_network(part.inputs, part.outputs, widths, part.activation)
            weights = source.weights.new_zeros(shorter.size)
            before = shorter.head.start
            weights[:before] = source.weights[place][:before]
            result.append((shorter, weights))
    return result


def _with_constant(hidden: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
    constant = torch.zeros_like(hidden[..., :1])
    constant[names.index("")] = 1.0
    return torch.cat([hidden, constant], -1)


def _narrowed(
    whole: NetworkSum, weights: torch.Tensor, kept: torch.Tensor
) -> tuple[NetworkSum, torch.Tensor]:
    """The sum with some of the last hidden neurons alone, and its weights with heads of 0."""
    members, parts, start = [], [], 0
    for part, place in zip(whole.parts, whole.part_slices, strict=True):
        *inner, last = part.widths
        own = kept[start : start + last]
        start += last
        if not own.any():
            continue
        chosen = [*(torch.ones(width, dtype=torch.bool) for width in inner), own]
        smaller, places = part.neurons.subnetwork(chosen)
        narrow = weights[place][places.to(weights.device)].clone()
        narrow[smaller.head] = 0.0
        members.append(((*inner, int(own.sum())), part.activation))
        parts.append(narrow)
    return replace(whole, members=tuple(members)), torch.cat(parts)
