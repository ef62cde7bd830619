"""The task to solve a problem, to fit measurements of it, or both."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.random import Generator

from pacpde.errors import InvalidValueError
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.assessment import Assessment
from pacpde.networks.batch import Ansatz
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.domain import Domain
from pacpde.physics.problem import Problem
from pacpde.residuals.assess import assess
from pacpde.residuals.condition_terms import ConditionTerm
from pacpde.residuals.factors import residuals
from pacpde.residuals.jacobian import MEMORY, split
from pacpde.residuals.layers import with_layers
from pacpde.residuals.measurements import HELD_OUT_SHARE, Measurements
from pacpde.residuals.task import LabelRows, SamplingSpec, Task, residual_norm
from pacpde.residuals.terms import PhysicsTerm, Term
from pacpde.runtime import Runtime, generator

HELD_OUT_POINTS = 4096  # held-out collocation points
LEAST_IN_WINDOW = 1024  # of a time window by itself, which has its share of them
LEAST_ON_EDGES = 20  # points of the conditions at an end; more are a tenth of all points
LABELS_ONLY_NOTE = "fitted to measurements alone: the error elsewhere is not known"


@dataclass(frozen=True)
class PhysicsTask(Task):
    """Solve a problem: its residual, labels if there are any, or labels alone.

    Collocation points are drawn with a density proportional to 1 + |r| / mean|r| (Wu et al. 2023,
    doi:10.1016/j.cma.2022.115671, with k = c = 1).

    Attributes:
        labels: measurements; with `physics=False` they are all there is to fit.
        hard: meet the conditions exactly where that is possible, of conditions that contradict each
            other those that contradict no other; otherwise by residual terms of their own. Without
            effect where `like` is given.
        seed: of the held-out points.
        like: the ansatz, whose problem is replaced by this one; by default a new one.
        drawn_by: network and weights by whose residual points are drawn in place of those that are
            fitted; they give the same fields, in less time.
    """

    problem: Problem
    labels: Measurements | None = None
    physics: bool = True
    hard: bool = True
    seed: int = 0
    runtime: Runtime = Runtime()
    like: PhysicsAnsatz | None = None
    drawn_by: tuple[Network, torch.Tensor] | None = None

    def __post_init__(self) -> None:
        if not self.physics and (self.labels is None or len(self.labels.points) < 2):
            raise InvalidValueError(
                "without physics there must be at least 2 labels to fit (one is held out): "
                "ask for labels or leave physics on."
            )

    @property
    def solves_equation(self) -> bool:
        return self.physics

    @property
    def odd(self) -> bool:
        return self.like is not None and self.like.odd

    @property
    def physics_task(self) -> "PhysicsTask":
        return self

    def equation_at(self, problem: Problem) -> Self:
        return replace(self, problem=problem, labels=None)

    def in_time_windows(self, count: int, harmonics: int = 1) -> "PhysicsTask | None":
        time = self.problem.domain.time
        if time is None or not self.physics:
            return None
        ansatz = self.field_ansatz(SamplingSpec())
        unit = min(ansatz.time_unit, time.length / count)
        like = replace(ansatz, time_unit=unit, harmonics=max(ansatz.harmonics, harmonics))
        return replace(self, like=like)

    def sample_inputs(self, count: int, rng: Generator) -> np.ndarray:
        return self.problem.domain.sample(count, rng)

    def ansatz(self, sampling: SamplingSpec) -> Ansatz:
        return self.field_ansatz(sampling)

    def field_ansatz(self, sampling: SamplingSpec) -> PhysicsAnsatz:
        """The ansatz of the fields; `ansatz` may have more inputs."""
        like = self.like or self._new_ansatz
        return replace(like, problem=self.problem).with_odd(sampling.odd)

    @cached_property
    def _new_ansatz(self) -> PhysicsAnsatz:
        agree = not self.problem.contradictions
        return PhysicsAnsatz(
            self.problem,
            hard=self.hard and agree,
            agreeing=self.hard and not agree,
            time_unit=self.problem.time_unit,
            seams=len(self.problem.seam_kinks),
        )

    def terms(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> list[Term]:
        ansatz = self.ansatz(sampling)
        terms: list[Term] = []
        if self.physics:
            terms.append(self._collocation(network, weights, sampling, rng))
        terms += self.condition_terms(sampling, rng)
        if self.labels is not None:
            labels = self.labels if self.physics else self._split[0]
            here = self._in_window(labels.points, sampling)
            if here.any():
                labels = labels if here.all() else labels.subset(here)
                terms.append(labels.term(ansatz, self.runtime, physics=self.physics))
        return terms

    def label_rows(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> LabelRows | None:
        if self.physics or self.labels is None:
            return None
        others = self.condition_terms(sampling, rng)
        return self.labels.rows(self.ansatz(sampling), self.runtime, others)

    def held_out(self, network: Network, weights: torch.Tensor, sampling: SamplingSpec) -> float:
        key = sampling.odd, sampling.start, sampling.horizon
        if key not in self._held_out:
            self._held_out[key] = self._held_out_terms(sampling)
        return residual_norm(network, weights, self._held_out[key])

    def assess(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, estimate: bool = True
    ) -> Assessment:
        if not self.physics:
            residual = self.held_out(network, weights, sampling)
            return Assessment(residual, None, (LABELS_ONLY_NOTE,))
        solver = self.solver(network, weights, sampling)
        points = self._held_out_points(sampling, generator(self.seed, "held-out"))
        assessment = assess(solver, points, estimate, sampling.points)
        notes = [*assessment.notes, *self.misfits(solver, sampling)]
        left = [one.name for one in solver.field_ansatz.conditions if not one.exactly]
        if self.hard and left:
            notes.append(f"met by residuals, not exactly: {', '.join(left)}")
        return replace(assessment, notes=tuple(notes))

    def misfits(self, solver: Surrogate, sampling: SamplingSpec) -> tuple[str, ...]:
        if self.labels is None or not self.physics:
            return ()
        labels = self.labels.subset(self._in_window(self.labels.points, sampling))
        values = solver.at(self.runtime.tensor(labels.points)).cpu().numpy()
        note = labels.misfit(values, tuple(self.problem.fields))
        return () if note is None else (note,)

    @cached_property
    def _split(self) -> tuple[Measurements, Measurements]:
        assert self.labels is not None
        return self.labels.split(HELD_OUT_SHARE, self.seed)

    @cached_property
    def _held_out(self) -> dict[Hashable, list[Term]]:
        """By symmetry and horizon, made once."""
        return {}

    def _held_out_terms(self, sampling: SamplingSpec) -> list[Term]:
        ansatz, rng = self.ansatz(sampling), generator(self.seed, "held-out")
        if not self.physics:
            return [self._split[1].term(ansatz, self.runtime)]
        term = self._physics(ansatz, self._held_out_points(sampling, rng))
        if not term.batch.offset[term.batch.names.index("")].isfinite().all():
            raise InvalidValueError(
                f"{self.problem}: its start or its edges are not finite everywhere: look for what "
                "divides by zero or is nan in them."
            )
        return [term, *self.condition_terms(sampling, rng)]

    def _held_out_points(self, sampling: SamplingSpec, rng: Generator) -> torch.Tensor:
        share = 1.0 if sampling.start is None else sampling.horizon - sampling.start
        count = max(round(share * HELD_OUT_POINTS), LEAST_IN_WINDOW)
        return self.runtime.tensor(self._box(sampling).sample(count, rng))

    def _box(self, sampling: SamplingSpec) -> Domain:
        """Where points are drawn: half the box where the ansatz is odd, up to the horizon."""
        box = self.problem.domain
        time = box.time
        if sampling.horizon < 1 and time is not None:
            box = box.restricted("t", upper=time.lower + sampling.horizon * time.length)
        if sampling.start and time is not None:
            box = box.restricted("t", lower=time.lower + sampling.start * time.length)
        for name in self.problem.odd if self.field_ansatz(sampling).odd else ():
            box = box.restricted(name, lower=0.0)
        return box

    def _collocation(
        self,
        network: Network,
        weights: torch.Tensor,
        sampling: SamplingSpec,
        rng: Generator,
    ) -> Term:
        """The residual at points chosen from a pool by its size there."""
        box = self._box(sampling)
        candidates = box.sample(sampling.candidates * sampling.points, rng)
        if not sampling.start:  # contradictions are at the start, or decay soon after it
            candidates = with_layers(candidates, self.problem, box, rng)
        pool = self.runtime.tensor(candidates)
        term = self._physics(self.ansatz(sampling), pool)
        if len(pool) == sampling.points:
            return term
        density = 1 + residual_sizes(*(self.drawn_by or (network, weights)), term)
        points = drawn(density, sampling.points, rng).to(pool.device)
        return replace(term, batch=term.batch.subset(points))

    def _in_window(self, points: np.ndarray, sampling: SamplingSpec) -> np.ndarray:
        """Which points [points, axes] lie in the time window, if there is one by itself."""
        if sampling.start is None:
            return np.ones(len(points), dtype=bool)
        time, names = self._box(sampling).time, self.problem.domain.names
        assert time is not None
        t = points[:, names.index("t")]
        return (time.lower <= t) & (t <= time.upper)

    def _physics(self, ansatz: Ansatz, points: torch.Tensor) -> PhysicsTerm:
        return PhysicsTerm.at(self.problem, ansatz, points)

    def condition_terms(self, sampling: SamplingSpec, rng: Generator) -> list[Term]:
        """The conditions that the ansatz leaves to residuals, end by end, then points."""
        ansatz, box = self.ansatz(sampling), self._box(sampling)
        left = self.field_ansatz(sampling).by_residual
        count = max(sampling.points // 10, LEAST_ON_EDGES)
        names = self.problem.domain.names
        ends = {(names.index(one.axis), one.upper) for one in left.edges}
        terms: list[Term] = []
        for position, upper in sorted(ends):
            axis = self.problem.domain.axes[position]
            points = box.sample(count, rng)
            points[:, position] = axis.upper if upper else axis.lower
            if not self._in_window(points, sampling).all():
                continue
            own = [one for one in left.edges if (one.axis, one.upper) == (axis.name, upper)]
            terms.append(ConditionTerm.at_end(self.problem, ansatz, own, points, self.runtime))
        return terms + [
            ConditionTerm.at_point(self.problem, ansatz, one, self.runtime)
            for one in left.points
            if self._in_window(np.array([one.point]), sampling).all()
        ]


def residual_sizes(network: Network, weights: torch.Tensor, term: Term) -> np.ndarray:
    """The size of a term's residuals at each of its points, over their mean, [points]."""
    with torch.no_grad():
        few = split(network, [term], MEMORY)  # a pool may be larger than what is fitted
        parts = [residuals(network, weights, [b]).view(-1, b.batch.size) for b in few]
        r = torch.cat(parts, 1).norm(dim=0)
    sizes = np.nan_to_num(r.double().cpu().numpy(), nan=0.0, posinf=0.0)
    return np.asarray(sizes / max(sizes.mean(), np.finfo(float).tiny))


def drawn(density: np.ndarray, count: int, rng: Generator) -> torch.Tensor:
    """Numbers of `count` different points, drawn with a density [points], in order."""
    chosen = rng.choice(len(density), count, replace=False, p=density / density.sum())
    return torch.from_numpy(np.sort(chosen))
