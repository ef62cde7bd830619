"""The task of a solver whose coefficients are not all known: they are fitted with its weights."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pacpde.networks.constraints import Ansatz
from pacpde.networks.mlp import MLP
from pacpde.networks.outputs import Extended
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.blocks import Block, LabelBlock, PhysicsBlock
from pacpde.objective.factors import residuals
from pacpde.objective.jacobian import linearise
from pacpde.objective.task import Draw, Labels, PhysicsTask
from pacpde.physics.problem import Problem
from pacpde.physics.stacked import with_columns


def logarithmic(problem: Problem, name: str) -> bool:
    """Whether a coefficient is positive by its bounds, and so fitted by its logarithm."""
    return problem.declared()[name].lower > 0


def to_constant(problem: Problem, name: str) -> float:
    """The number that is fitted in place of a coefficient."""
    value = problem.coefficients[name]
    return float(np.log(value)) if logarithmic(problem, name) else value


def to_coefficient(problem: Problem, name: str, constant: torch.Tensor) -> torch.Tensor:
    """A coefficient from the number that is fitted in its place."""
    return constant.exp() if logarithmic(problem, name) else constant


def with_constants(problem: Problem, names: Sequence[str], constants: torch.Tensor) -> Problem:
    """A problem with the coefficients that stand for some constants, within their bounds."""
    found = {}
    for name, constant in zip(names, constants, strict=True):
        about = problem.declared()[name]
        value = float(to_coefficient(problem, name, constant))
        found[name] = min(max(value, about.lower), about.upper)
    return problem.with_coefficients(**found)


@dataclass(frozen=True)
class UnknownBlock(PhysicsBlock):
    """The residual of an equation some of whose coefficients stand beside the fields.

    Attributes:
        unknown: their names, in the order in which they follow the fields.
    """

    unknown: tuple[str, ...] = ()

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        known = len(self.problem.fields)
        constants = fields[..., 0, :, known:].unbind(-1)
        columns = {
            name: to_coefficient(self.problem, name, constant)
            for name, constant in zip(self.unknown, constants, strict=True)
        }
        there = PhysicsBlock(with_columns(self.problem, columns), self.batch, self.weight)
        return there.residual(fields[..., :known])

    @property
    def kind(self) -> Hashable:
        return *super().kind, self.unknown  # type: ignore[misc]


@dataclass(frozen=True)
class IdentificationTask(PhysicsTask):
    """Equation and labels, with unknown coefficients.

    The held-out measure counts the labels as well: any coefficient has a solution, so that the
    equation alone would not tell.

    Attributes:
        unknown: names of the coefficients; `problem` has where they start.
        weight: of the labels' mean square beside the equation's.
    """

    unknown: tuple[str, ...] = ()
    weight: float = 1.0

    def ansatz(self, draw: Draw) -> Extended:  # type: ignore[override]
        return Extended(super().ansatz(draw), len(self.unknown))

    def solver(self, network: MLP, weights: torch.Tensor, draw: Draw) -> Surrogate:
        """Of the problem with the coefficients among the weights."""
        known = replace(network, outputs=len(self.problem.fields))
        found = replace(self, problem=self.fitted(weights[-len(self.unknown) :]))
        own = torch.as_tensor(known.places(network), device=weights.device)
        return Surrogate(known, super(IdentificationTask, found).ansatz(draw), weights[own])

    def held_out(self, network: MLP, weights: torch.Tensor, draw: Draw) -> float:
        equation = super().held_out(network, weights, draw)
        assert self.labels is not None
        block = self._labelled(self.ansatz(draw), self.labels)
        with torch.no_grad():
            return float(np.hypot(equation, float(residuals(network, weights, [block]).norm())))

    def fitted(self, constants: torch.Tensor) -> Problem:
        """The problem with the coefficients that were found."""
        return with_constants(self.problem, self.unknown, constants)

    def _physics(self, ansatz: Ansatz, points: torch.Tensor) -> PhysicsBlock:
        batch = ansatz.batch(points, self.problem.channels)
        return UnknownBlock(self.problem, batch, unknown=self.unknown)

    def _labelled(self, ansatz: Ansatz, labels: Labels) -> LabelBlock:
        return replace(super()._labelled(ansatz, labels), weight=self.weight)

    def sensitivity(
        self, network: MLP, weights: torch.Tensor, free: torch.Tensor, draw: Draw, points: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """How the labelled values follow the constants along solutions of the equation.

        dw/dθ = −(J_wᵀJ_w + εI)⁻¹ J_wᵀ J_θ with the equation's J, and du/dθ = (∂u/∂w) dw/dθ.

        Args:
            free: indices of the weights, then of the constants.

        Returns:
            Label residuals (u − y) / scale, [rows], and their slopes, [rows, constants].
        """
        rng = np.random.default_rng(self.seed)
        pool = self.runtime.tensor(self._box(draw).sample(points, rng))
        blocks: Sequence[Block] = [self._physics(self.ansatz(draw), pool)]
        count = len(self.unknown)
        _, equation = linearise(network, weights, blocks, free)
        jacobian = equation.dense()
        own, other = jacobian[:, :-count], jacobian[:, -count:]
        normal = own.mT @ own
        normal.diagonal().add_(1e-12 * normal.diagonal().mean())
        moved, failed = torch.linalg.solve_ex(normal, own.mT @ other)
        moved = torch.where(failed > 0, torch.nan, -moved)  # of weights that ran away
        assert self.labels is not None
        labels = replace(super()._labelled(self.ansatz(draw), self.labels), weight=1.0)
        r, slopes = linearise(network, weights, [labels], free[:-count])
        size = labels.batch.size**0.5
        return r * size, slopes.dense() @ moved * size
