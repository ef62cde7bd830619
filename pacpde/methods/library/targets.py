"""The equations of many targets at fixed points, with heads as their only unknowns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from pacpde.methods.library.backbone import CANDIDATES, Backbone, box_of
from pacpde.methods.library.heads import (
    Heads,
    HeadTerm,
    chunk_size,
    factors_of,
    solve_heads,
)
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.physics.stacked import stack, stackable
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.residuals.terms import PhysicsTerm, Term
from pacpde.runtime import Runtime, generator

PER_UNKNOWN = 6  # residuals an unknown
LEAST = 1000  # points


@dataclass(frozen=True)
class TargetEquations:
    """The residuals of targets on a backbone.

    Attributes:
        backbone: its functions.
        points: collocation points, [points, axes].
    """

    backbone: Backbone
    points: torch.Tensor

    @classmethod
    def sampled(
        cls, backbone: Backbone, sources: Sequence[Surrogate], seed: int, count: int | None = None
    ) -> "TargetEquations":
        """At points of a density that grows with the residuals.

        Those are of every source, taken as a solver of the next one's problem.

        Args:
            seed: of the points; fits and their held-out residuals have others.
            count: number of points; by default from the number of unknowns.
        """
        first, rng = sources[0], generator(seed, "library")
        box = box_of(backbone.ansatz)
        count = count or _default_count(backbone)
        pool = first.runtime.tensor(box.sample(CANDIDATES * count, rng))
        density = np.zeros(len(pool))
        for one, other in zip(sources, [*sources[1:], first], strict=True):
            term = PhysicsTerm.at(one.problem, other.field_ansatz.with_problem(one.problem), pool)
            with torch.no_grad():
                outputs = other.network.forward(other.weights, term.batch.inputs, term.batch.names)
                rows = term.residual(term.batch.fields(outputs))
            size = np.nan_to_num(rows.norm(dim=-1).double().cpu().numpy(), posinf=0.0)
            density += size / max(size.mean(), np.finfo(float).tiny)
        density = 1 + density / len(sources)
        chosen = rng.choice(len(pool), count, replace=False, p=density / density.sum())
        return cls(backbone, pool[torch.as_tensor(np.sort(chosen), device=pool.device)])

    def terms_of(self, problem: Problem) -> list[Term]:
        """The residual terms of one target."""
        ansatz = self.backbone.ansatz.with_problem(problem)
        runtime = Runtime(str(self.points.device))
        task = PhysicsTask(problem, runtime=runtime, like=ansatz)
        sampling = SamplingSpec(len(self.points), odd=ansatz.odd)
        conditions = task.condition_terms(sampling, generator(0, "library"))
        return [PhysicsTerm.at(problem, ansatz, self.points), *conditions]

    @cached_property
    def _first(self) -> list[HeadTerm]:
        """The terms of one target, whose functions others may share."""
        terms = self.terms_of(self.backbone.ansatz.problem)
        return [HeadTerm.of(term, self._functions(term)) for term in terms]

    def _functions(self, term: Term) -> torch.Tensor:
        """Jets of φ at the points of a term."""
        return self.backbone.at(term.batch.inputs, term.batch.names)

    @cached_property
    def _inputs(self) -> list[torch.Tensor]:
        """Jets of φ of every term: they depend on no coefficient."""
        return [self._functions(term) for term in self.terms_of(self.backbone.ansatz.problem)]

    @cached_property
    def alike(self) -> bool:
        """Whether targets differ in the coefficients of their equation alone.

        Their offsets, multipliers and scales are then computed once, and they are a stack.
        """
        problem = self.backbone.ansatz.problem
        if len(self._first) > 1 or not stackable(type(problem)):
            return False
        own = self._first[0].batch
        for name, about in problem.declared().items():
            for value in {about.lower, about.upper, getattr(problem, name)}:
                other = self._moved(problem, name, value)
                if other is None:
                    continue
                batch = PhysicsTerm.at(
                    other, self.backbone.ansatz.with_problem(other), self.points[:64]
                ).batch
                few = own.subset(slice(0, 64))
                same = [
                    torch.equal(getattr(batch, part), getattr(few, part))
                    for part in ("offset", "product", "scale")
                ]
                if not all(same) or batch.names != own.names:
                    return False
        return True

    def _moved(self, problem: Problem, name: str, value: float) -> Problem | None:
        try:
            return problem.with_coefficients(**{name: value})
        except Exception:  # a bound that the family refuses together with others
            return None

    def stacks(self, problems: Sequence[Problem]) -> list[tuple[slice, list[HeadTerm]]]:
        """The targets in stacks that are solved together, and the terms of each stack."""
        if not self.alike:
            return [(slice(k, k + 1), self._own(problem)) for k, problem in enumerate(problems)]
        first = self._first[0]
        assert isinstance(first.term, PhysicsTerm)
        size = chunk_size(self._first, self.backbone.functions * len(problems[0].fields))
        result = []
        for start in range(0, len(problems), size):
            some = slice(start, min(start + size, len(problems)))
            together = stack(problems[some], first.batch.coordinates)
            term = HeadTerm(first.term.with_problem(together), first.functions)
            result.append((some, [term]))
        return result

    def _own(self, problem: Problem) -> list[HeadTerm]:
        terms = self.terms_of(problem)
        inputs = self._inputs
        if len(terms) != len(inputs):  # its start contradicts its conditions, others' does not
            inputs = [self._functions(term) for term in terms]
        return [HeadTerm.of(term, own) for term, own in zip(terms, inputs, strict=True)]

    def solve(
        self,
        problems: Sequence[Problem],
        heads: torch.Tensor,
        factors: Callable[[slice], torch.Tensor] | None = None,
    ) -> Heads:
        """The heads of targets, from heads [targets, fields, functions] near them.

        Args:
            factors: gives matrices to begin with for some of the targets, see `solve_heads`.
        """
        each = [
            solve_heads(terms, heads[some], factors=factors and factors(some))
            for some, terms in self.stacks(problems)
        ]
        return Heads(
            torch.cat([one.heads for one in each]),
            torch.cat([one.norms for one in each]),
            max(one.steps for one in each),
        )

    def rows(self, problems: Sequence[Problem], heads: torch.Tensor) -> list[torch.Tensor]:
        """The residuals of heads, [targets, components, points] a term."""
        each = [
            [term.linearised(heads[some])[0] for term in terms]
            for some, terms in self.stacks(problems)
        ]
        return [torch.cat(own) for own in zip(*each, strict=True)]

    def factors(self, problems: Sequence[Problem], heads: torch.Tensor) -> torch.Tensor:
        """Cholesky factors at heads, [targets, unknowns, unknowns]; see `factors_of`."""
        return torch.cat([factors_of(own, heads[some]) for some, own in self.stacks(problems)])

    def shares(self, problems: Sequence[Problem], heads: torch.Tensor) -> np.ndarray:
        """Residuals of heads as shares of the equation's terms, [targets]."""
        each = [
            torch.stack([term.shares(heads[some]) for term in terms]).amax(0)
            for some, terms in self.stacks(problems)
        ]
        return torch.cat(each).double().cpu().numpy()


def _default_count(backbone: Backbone) -> int:
    """Points that make the equations many more than the unknowns."""
    problem = backbone.ansatz.problem
    unknowns = backbone.functions * len(problem.fields)
    return max(LEAST, PER_UNKNOWN * unknowns // problem.n_rows)
