"""How a problem is fitted: network, points and phases, from what the problem declares."""

from dataclasses import dataclass, fields
from math import ceil, inf
from typing import Any

from pacpde.errors import InvalidValueError, check_count, check_number, short, unknown
from pacpde.networks.mlp import DEEPEST, WIDEST
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import Optimiser, optimisers
from pacpde.physics import declaration
from pacpde.physics.problem import Problem
from pacpde.residuals.task import PhysicsTask, SamplingSpec, Task
from pacpde.training.trainer import Phase

# A fit starts on few points and ends on many: a step costs their square, and far from the solution
# the few, drawn anew more often, show the way as well.
GROWING = ((0.35, 5), (0.6, 10))  # share of the points, steps before they are drawn anew
# Of the last phase. Its first draw always gains, so that it ends early after 1 + PATIENCE draws at
# the soonest: above the default of steps, whose fits patience leaves alone.
REFRESH, PATIENCE = 20, 4
LEAST, MOST = 0.01, 2.0**20  # GiB: a smaller budget cuts a step into pieces that take minutes
TINY, HIGHEST = 1e-300, 1e6  # the highest frequency is far beyond what a network resolves


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a fit.

    Attributes:
        width, depth, activation: of the dense network.
        frequency: of its first layer at the start, see `MLP.start`.
        points: collocation points of one refresh.
        steps: at most so many steps of the last phase of a fit. Its points are drawn anew every 20
            steps, and it ends before where four draws in a row gain less than 5 %; that takes 100
            steps, so that it shortens fits of more steps alone, never one of the default.
        optimiser: its name.
        hard: meet start and edges exactly where they agree with each other; where they contradict
            each other, or with False, by residuals.
        tolerance: a fit counts as converged below it: by its held-out residual (root mean square,
            as a share of the equation's terms), or by twice its estimated error.
        memory: GiB (2³⁰ bytes) that a step may take, at least 0.01, half for the Jacobian and half
            for its normal matrix with factor; a fit that needs more forms no matrix.
    """

    width: int = 24
    depth: int = 3
    activation: str = "tanh"
    frequency: float | None = None
    points: int = 1000
    steps: int = 60
    optimiser: str = "levenberg_marquardt"
    hard: bool = True
    tolerance: float = 1e-2
    memory: float = 2.0

    @classmethod
    def of(cls, problem: Problem | None, **settings: Any) -> "TrainingConfig":
        """What a problem declares that suits it, with some settings changed."""
        known = {field.name: field.type for field in fields(cls)}
        for name in settings:
            if name not in known:
                raise unknown("setting of a fit", name, known)
        return cls(**{**(_declared(problem) if problem else {}), **settings})

    @classmethod
    def after(cls, source: Surrogate, problem: Problem, **settings: Any) -> "TrainingConfig":
        """Of fits that go on from a surrogate, in its ansatz."""
        recipe = cls.of(problem, **{"hard": source.field_ansatz.hard, **settings})
        if recipe.hard != source.field_ansatz.hard:
            met = "exactly" if source.field_ansatz.hard else "by residuals"
            raise InvalidValueError(
                f"hard is {recipe.hard}, and the source meets its start and edges {met}: leave "
                "hard out, or train a source with it."
            )
        return recipe

    def __post_init__(self) -> None:
        optimisers.get(self.optimiser)  # refuses an unknown name
        for name, most in (("width", WIDEST), ("depth", DEEPEST), ("points", inf), ("steps", inf)):
            check_count(name, getattr(self, name), 1, most)
        check_number("tolerance", self.tolerance, TINY, inf, expected="a number above 0")
        check_number("memory", self.memory, LEAST, MOST, expected=f"GiB from {LEAST:g}")
        if self.frequency is not None:
            check_number("frequency", self.frequency, TINY, HIGHEST, expected="a number above 0")
        if not isinstance(self.hard, bool):
            raise InvalidValueError(f"hard is {short(self.hard)}, expected true or false.")

    def make_optimiser(self) -> Optimiser:
        kind = optimisers.get(self.optimiser)
        known = [option.name for option in fields(kind)]  # type: ignore[arg-type]
        return kind(memory=self.memory) if "memory" in known else kind()  # type: ignore[call-arg]

    def first(self, task: Task) -> tuple[Phase, ...]:
        """Phases of a fit from random weights.

        Few points come first, and symmetry late: from a random start an odd ansatz often ends in
        a false front.
        A problem that asks for it grows its time span piece by piece.
        """
        if not isinstance(task, PhysicsTask) or not task.physics:
            return self.again(task)
        if task.problem.time_windows > 1:
            pieces = ceil(task.problem.time_windows * task.problem.span_ratio)
            half = _share(self.points, 0.5)
            longer = [
                Phase(self.steps, 5, SamplingSpec(half, horizon=k / pieces), enough=self.tolerance)
                for k in range(1, pieces)
            ]
            return (*longer, *self.again(task))
        few = SamplingSpec(_share(self.points, 0.25))
        return (Phase(4 * self.steps, 3, few, enough=4e-2), *self.again(task))

    def restored(self, task: Task) -> tuple[Phase, ...]:
        """Phases of a fit from weights that solved the task before most of them were pruned."""
        grows = isinstance(task, PhysicsTask) and task.physics and task.problem.time_windows > 1
        return self.first(task) if grows else self.again(task)

    def again(self, task: Task) -> tuple[Phase, ...]:
        """Phases of a fit from weights that already solve something near."""
        if not isinstance(task, PhysicsTask) or not task.physics:
            return (Phase(self.steps, 2, SamplingSpec(), patience=5),)
        odd = bool(task.problem.odd)
        growing = [
            Phase(
                max(1, self.steps // 2), refresh, SamplingSpec(_share(self.points, share), odd=odd)
            )
            for share, refresh in GROWING
        ]
        draw = SamplingSpec(self.points, odd=odd)
        return (*growing, Phase(self.steps, REFRESH, draw, 1e-5, patience=PATIENCE))

    def correction(self, task: PhysicsTask, share: float, enough: float) -> Phase:
        """A short fit on a share of the points, from weights that are nearly there."""
        draw = SamplingSpec(_share(self.points, share), odd=bool(task.problem.odd))
        return Phase(10, 5, draw, enough)


declaration.settings.append(lambda recipe: TrainingConfig.of(None, **recipe))


def _declared(problem: Problem) -> dict[str, Any]:
    """What a problem declares; where it grows its time span, more of it for a longer one."""
    declared = dict(problem.recipe)
    if problem.time_windows > 1 and problem.span_ratio > 1:
        points = declared.get("points", TrainingConfig.points)
        declared["points"] = ceil(points * problem.span_ratio)
        if declared.get("frequency"):
            declared["frequency"] *= problem.span_ratio
    return declared


def _share(points: int, share: float) -> int:
    return max(1, round(share * points))
