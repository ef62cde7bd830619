"""The equations of many targets at fixed points, with heads as their only unknowns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property

import numpy as np
import torch

from pacpde.methods.library.backbone import CANDIDATES, Backbone, box_of
from pacpde.methods.library.heads import (
    Heads,
    HeadTerm,
    chunk_size,
    factors_of,
    gradients_of,
    solve_heads,
    solved,
    target_bytes,
)
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.dependence import FAULTS
from pacpde.physics.problem import Problem
from pacpde.physics.stacked import stack, stackable
from pacpde.residuals.physics_task import PhysicsTask, drawn, residual_sizes
from pacpde.residuals.task import SamplingSpec
from pacpde.residuals.terms import PhysicsTerm, Term
from pacpde.runtime import Runtime, generator
from pacpde.training.callbacks import UNLIMITED, TimeLimit

PER_UNKNOWN = 6  # residuals an unknown
LEAST = 1000  # points
HELD_OUT = 1000  # points at which residuals are measured
TRIED = 256  # points at which problems are compared
FEWEST = 3  # targets that are solved whatever the time
PLACES = (0.0093, 0.137, 0.382, 0.618, 0.871)  # of coefficients, in shares of their bounds


@dataclass(frozen=True)
class TargetEquations:
    """The residuals of targets on a backbone.

    Attributes:
        backbone: its functions.
        points: collocation points, [points, axes].
        seed: of the points at which conditions hold that are left to residuals.
        names: coefficients in which targets differ; all by default.
    """

    backbone: Backbone
    points: torch.Tensor
    seed: int = 0
    names: tuple[str, ...] | None = None

    @classmethod
    def sampled(
        cls,
        backbone: Backbone,
        sources: Sequence[Surrogate],
        seed: int,
        count: int | None = None,
        names: tuple[str, ...] | None = None,
    ) -> "TargetEquations":
        """At points of a density that grows with the residuals.

        Those are of every source, taken as a solver of the next one's problem.

        Args:
            seed: of the points; fits and their held-out residuals have others.
            count: number of points; by default from the number of unknowns.
            names: see the class.
        """
        first, rng = sources[0], generator(seed, "library")
        box = box_of(backbone.ansatz)
        count = count or _default_count(backbone)
        pool = first.runtime.tensor(box.sample(CANDIDATES * count, rng))
        density = np.zeros(len(pool))
        for one, other in zip(sources, [*sources[1:], first], strict=True):
            term = PhysicsTerm.at(one.problem, other.field_ansatz.with_problem(one.problem), pool)
            density += residual_sizes(other.network, other.weights, term)
        density = 1 + density / len(sources)
        return cls(backbone, pool[drawn(density, count, rng).to(pool.device)], seed, names)

    def terms_of(self, problem: Problem) -> list[Term]:
        """The residual terms of one target."""
        ansatz = self.backbone.ansatz.with_problem(problem)
        runtime = Runtime(str(self.points.device))
        task = PhysicsTask(problem, runtime=runtime, like=ansatz)
        sampling = SamplingSpec(len(self.points), odd=ansatz.odd)
        conditions = task.condition_terms(sampling, generator(self.seed, "library"))
        return [PhysicsTerm.at(problem, ansatz, self.points), *conditions]

    @cached_property
    def _first(self) -> list[HeadTerm]:
        """The terms of one target, whose functions others may share."""
        return [HeadTerm.of(term, own) for term, own in zip(self._terms, self._inputs, strict=True)]

    @cached_property
    def _terms(self) -> list[Term]:
        return self.terms_of(self.backbone.ansatz.problem)

    def _functions(self, term: Term) -> torch.Tensor:
        """Jets of φ at the points of a term."""
        return self.backbone.at(term.batch.inputs, term.batch.names)

    @cached_property
    def _inputs(self) -> list[torch.Tensor]:
        """Jets of φ of every term: they depend on no coefficient."""
        return [self._functions(term) for term in self._terms]

    @cached_property
    def alike(self) -> bool:
        """Whether targets differ in the coefficients of their equation alone.

        Their offsets, multipliers and scales are then computed once, and they are a stack.
        """
        problem = self.backbone.ansatz.problem
        if not stackable(type(problem)):
            return False
        few = replace(self, points=self.points[:TRIED])
        first = few._terms
        for other in _moved(problem, self.names):
            terms = few.terms_of(other)
            like = [one.with_problem(problem) for one in terms]
            if len(like) != len(first) or not all(map(_same, like, first)):
                return False
        return True

    def stacks(self, problems: Sequence[Problem]) -> Iterator[tuple[slice, list[HeadTerm]]]:
        """The targets in stacks that are solved together, and the terms of each stack.

        One after the other: the functions of a target that shares them with no other one take
        `chunk_size` of it, and those of hundreds more memory than there is.
        """
        if not self.alike:
            for k, problem in enumerate(problems):
                yield slice(k, k + 1), self._own(problem)
            return
        size = chunk_size(self._first, self._unknowns)
        for start in range(0, len(problems), size):
            some = slice(start, min(start + size, len(problems)))
            together = stack(problems[some], self.points)
            yield some, [replace(one, term=one.term.with_problem(together)) for one in self._first]

    @property
    def step_bytes(self) -> int:
        """Memory that a step of one target takes, with the functions at its points."""
        functions = sum(one.functions.numel() for one in self._first)
        return 8 * functions + target_bytes(self._first, self._unknowns)

    @property
    def _unknowns(self) -> int:
        return self.backbone.functions * len(self.backbone.ansatz.problem.fields)

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
        limit: TimeLimit = UNLIMITED,
    ) -> Heads:
        """The heads of targets, from heads [targets, fields, functions] near them.

        Args:
            factors: gives matrices to begin with for some of the targets, see `solve_heads`.
            limit: after which no more targets are solved than the first ones: those of a stack.
        """
        each = []
        for some, terms in self.stacks(problems):
            each.append(solve_heads(terms, heads[some], factors=factors and factors(some)))
            if limit.is_over and some.stop >= FEWEST:
                break
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

    def differences(
        self, problems: Sequence[Problem], heads: torch.Tensor, others: torch.Tensor
    ) -> np.ndarray:
        """Relative L2 differences of the worst field between two heads of each target, [targets].

        At the points, which lie more densely where residuals are large.
        """
        each = []
        for some, terms in self.stacks(problems):
            values = terms[0].fields(heads[some])[:, 0], terms[0].fields(others[some])[:, 0]
            each.append(((values[0] - values[1]).norm(dim=1) / values[1].norm(dim=1)).amax(-1))
        return torch.cat(each).double().cpu().numpy()

    def steps(self, problems: Sequence[Problem], heads: torch.Tensor) -> torch.Tensor:
        """The Gauss–Newton step of each target at these points, as heads, with its own matrix."""
        each = []
        for some, terms in self.stacks(problems):
            rows = [term.linearised(heads[some])[0] for term in terms]
            gradient = gradients_of(terms, heads[some], rows)
            step = -solved(factors_of(terms, heads[some]), gradient)
            each.append(step.view_as(heads[some]))
        return torch.cat(each)


def _same(one: object, other: object) -> bool:
    """Whether two terms, or parts of them, are equal in all that they hold."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if is_dataclass(one) and type(one) is type(other):
        return all(_same(getattr(one, own.name), getattr(other, own.name)) for own in fields(one))
    return one == other


def _moved(problem: Problem, names: Sequence[str] | None) -> Iterator[Problem]:
    """Problems with each of some coefficients at its bounds and at some places between."""
    for name, about in problem.declared().items():
        if names is not None and name not in names:
            continue
        for share in (0.0, *PLACES, 1.0):
            try:
                yield problem.with_coefficients(
                    **{name: about.lower + share * (about.upper - about.lower)}
                )
            except FAULTS:  # the family refuses it together with the other coefficients
                continue


def _default_count(backbone: Backbone) -> int:
    """Points that make the equations many more than the unknowns."""
    problem = backbone.ansatz.problem
    unknowns = backbone.functions * len(problem.fields)
    return max(LEAST, PER_UNKNOWN * unknowns // problem.n_rows)
