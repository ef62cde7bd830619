"""Settings of a fit: network, optimiser, points and steps, from what the problem declares."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import ceil, inf
from typing import Any

from pacpde.checks import check_count, check_flag, check_number, check_unused
from pacpde.errors import InvalidValueError, unknown
from pacpde.networks.ansatz import network_for
from pacpde.networks.batch import Ansatz
from pacpde.networks.choice import Choice, build_network, describe_choice, network_from
from pacpde.networks.mlp import DEEPEST, WIDEST, dense_network
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.base import Optimiser, describe_optimiser, make_optimiser, optimiser_from
from pacpde.physics import declaration
from pacpde.physics.problem import Problem
from pacpde.training.schedule import Schedule, StandardSchedule

MIN_MEMORY, MAX_MEMORY = 0.01, 2.0**20  # GiB; less cuts a step into pieces that take minutes
MOST_POINTS = 1_000_000_000  # beyond them the number is a slip of the pen
POINTS_IN_TIME = 300  # of an equation in time alone, which a line of points covers densely
MOST_REFINEMENTS = 8  # 64,000 neurons
TINY, HIGHEST = 1e-300, 1e6  # the highest frequency is far beyond what a network resolves
OLD_NAMES = {"memory": "memory_gib"}  # as records and older calls have them
DENSE = ("width", "depth", "activation")  # of the dense network of a fit that is given none


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a fit.

    Attributes:
        width, depth, activation: of the dense network of a fit that is given no other.
        frequency: of its first layer at the start, see `Network.init_weights`.
        points: collocation points of one refresh; 300 by default where there is time alone, and in
            a transfer at least as many as the source was fitted with.
        steps: maximal number of steps of the last phase of a fit. New points are drawn every 20
            steps. The phase ends early if four draws in a row reduce the held-out residual by less
            than 5 %; that takes 100 steps, so that a fit of the default length never ends early.
        optimiser: an object such as `Adam(lr=1e-3)`, its name ("adam"), its name with options
            ("adam:lr=1e-3"), or these as a mapping ({"name": "adam", "lr": 1e-3}); both of these
            become an object.
        hard: meet start and edges exactly where that is possible; those that contradict each other,
            or all of them with False, by residuals.
        tolerance: a fit counts as converged below it: by its held-out residual (root mean square,
            as a share of the equation's terms), or by twice its estimated error. At most 1.
        memory_gib: GiB (2³⁰ bytes) that a step may take, at least 0.01, half for the Jacobian and
            half for its normal matrix with factor; a fit that needs more forms no matrix. Refused
            beside an optimiser that is an object with a memory of its own.
        restarts: how often a fit from random weights begins again where it did not converge, in
            shorter time windows each time, and once where its estimated error is above 1e-3; the
            best try counts. A network of default size is then
            replaced by a larger one, with more points, or by one of time windows. Fits of fewer
            steps than the default, with a schedule of their own, or without a time are not
            restarted.
        refinements: how often a fit or transfer that meets the default tolerance, and not the
            smaller one that is asked for, is refined: by a correction of 500 random neurons (50 in
            time alone) on its last hidden layer, and twice as many each time, see
            `pacpde.training.refinement`. Fits of PDEs of first order in time from random weights
            have as many tries in random windows, see `pacpde.training.random_windows`.
        schedule: phases of your own, beside which `points` and `steps` are refused; by default
            `StandardSchedule`.
        network: in place of the dense one: a network such as `MLP(2, 1, width=30)`; or what makes
            one of the numbers of inputs and outputs, a function as `lambda inputs, outputs:
            MLP(inputs, outputs, width=30)` or a class as `MLP`; or its name ("mlp"), with options
            ("mlp:width=30"), or these as a mapping ({"name": "mlp", "width": 30}). Width, depth and
            activation are then its own: those of the family do not apply, others are refused.

    Example:
        >>> TrainingConfig.of(Heat(alpha=0.4), points=500, optimiser="adam:lr=1e-2").points
        500
    """

    width: int = 24
    depth: int = 3
    activation: str = "tanh"
    frequency: float | None = None
    points: int = 1000
    steps: int = 60
    optimiser: str | Optimiser = "levenberg_marquardt"
    hard: bool = True
    tolerance: float = 1e-2
    memory_gib: float = 2.0
    schedule: Schedule | None = None
    restarts: int = 3
    refinements: int = 3
    network: Choice | str | Mapping[str, Any] | None = None

    @classmethod
    def of(cls, problem: Problem | None, **settings: Any) -> "TrainingConfig":
        """The settings that a problem declares, with some of them changed.

        Raises:
            UnknownNameError: there is no such setting.
            InvalidValueError: a setting is wrong, is given twice, or has no effect beside others.
        """
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in (*known, *OLD_NAMES):
                raise unknown("setting of a fit", name, known)
        changed = new_names(settings)
        declared = _declared(problem)
        unused = unused_beside({**declared, **changed})
        check_unused(changed, unused)
        declared = {name: value for name, value in declared.items() if name not in unused}
        config = cls(**{**declared, **changed})
        if problem is not None:
            config.check_tolerance()
        return config

    @classmethod
    def after(cls, source: Surrogate, problem: Problem, **settings: Any) -> "TrainingConfig":
        """The settings of fits that start from the weights and the ansatz of a surrogate.

        Their default of points is at least the number that its own fit took.
        """
        config = cls.of(problem, **{"hard": source.field_ansatz.hard, **settings})
        if "points" not in settings and config.schedule is None:
            config = replace(config, points=max(config.points, source.points))
        if config.hard != source.field_ansatz.hard:
            met = "exactly" if source.field_ansatz.hard else "by residuals"
            raise InvalidValueError(
                f"hard is {config.hard}, and the source meets its start and edges {met}: leave "
                "hard out, or train a source with it."
            )
        return config

    def __post_init__(self) -> None:
        object.__setattr__(self, "optimiser", optimiser_from(self.optimiser))
        object.__setattr__(self, "network", network_from(self.network))
        for name, most in (
            ("width", WIDEST),
            ("depth", DEEPEST),
            ("points", MOST_POINTS),
            ("steps", inf),
        ):
            check_count(name, getattr(self, name), 1, most)
        check_count("restarts", self.restarts, 0, inf)
        check_count("refinements", self.refinements, 0, MOST_REFINEMENTS)
        check_number("tolerance", self.tolerance, TINY, inf, expected="a number above 0")
        check_number(
            "memory", self.memory_gib, MIN_MEMORY, MAX_MEMORY, expected=f"GiB from {MIN_MEMORY:g}"
        )
        if self.frequency is not None:
            check_number("frequency", self.frequency, TINY, HIGHEST, expected="a number above 0")
        check_flag("hard", self.hard)
        unused = unused_beside(vars(self))
        check_unused(
            [name for name in unused if getattr(self, name) != getattr(type(self), name)], unused
        )

    def check_tolerance(self) -> None:
        """Refuse a tolerance above 1: a residual of 1 is as large as the terms of the equation.

        Fits to tables, and some of the package's own, have a larger one, so that all converge.
        """
        check_number("tolerance", self.tolerance, TINY, 1.0, expected="a number above 0, at most 1")

    def with_steps(self, steps: int) -> "TrainingConfig":
        """The same with another number of steps; a schedule has its own."""
        return self if self.schedule is not None else replace(self, steps=steps)

    @property
    def step_memory_gib(self) -> float:
        """GiB that a step may take: the optimiser's own where it has one, else `memory_gib`."""
        return float(getattr(self.optimiser, "memory_gib", self.memory_gib))

    @property
    def optimiser_object(self) -> Optimiser:
        """The optimiser; where it says nothing of memory, with that of these settings."""
        if not isinstance(self.optimiser, str):
            return self.optimiser
        return make_optimiser(self.optimiser, memory_gib=self.memory_gib)

    @property
    def phases(self) -> Schedule:
        """The schedule of every fit with these settings."""
        return self.schedule or self.standard_schedule(None, self.tolerance)

    def standard_schedule(self, time_windows: int | None, tolerance: float) -> StandardSchedule:
        """The default schedule with these points and steps; see `StandardSchedule`."""
        return StandardSchedule(self.points, self.steps, tolerance, time_windows)

    @property
    def has_default_network(self) -> bool:
        """Whether the network is the dense one of default size, which nobody chose."""
        own = type(self)
        return self.network is None and (self.width, self.depth) == (own.width, own.depth)

    def build_network(self, ansatz: Ansatz) -> Network:
        """The network of a fit in an ansatz: a dense one of this size, or the one that was given.

        Raises:
            InvalidValueError: the given one does not suit the ansatz.
        """
        choice = network_from(self.network)
        if choice is None:
            return network_for(ansatz, self.width, self.depth, self.activation)
        network = build_network(choice, ansatz)
        declared = _declared(ansatz.problem_or_none).get("frequency")
        if self.frequency not in (None, declared) and not network.uses_frequency:
            why = f"the random weights of a {type(network).__name__} do not depend on it"
            check_unused(["frequency"], {"frequency": why})
        return network

    @property
    def network_classes(self) -> tuple[type, ...]:
        """The classes whose code gives the outputs of the network, once it is built."""
        network = network_from(self.network) or dense_network(1, 1, (1,), self.activation)
        return network.classes if isinstance(network, Network) else ()

    def with_built_network(self, ansatz: Ansatz) -> "TrainingConfig":
        """The same, where a network was given with that network for an ansatz."""
        if self.network is None:
            return self
        return replace(self, network=self.build_network(ansatz))

    def as_json(self) -> dict[str, Any]:
        """The settings as a JSON object, as in records."""
        settings: dict[str, Any] = {own.name: getattr(self, own.name) for own in fields(self)}
        network = network_from(settings.pop("network"))
        if network is not None:
            settings = {name: settings[name] for name in settings if name not in DENSE}
            settings["network"] = describe_choice(network)
        settings["optimiser"] = describe_optimiser(self.optimiser)
        settings["memory"] = settings.pop("memory_gib")
        if settings.pop("schedule") is not None:
            settings["schedule"] = repr(self.schedule)
        return settings


declaration.settings.append(lambda settings: TrainingConfig.of(None, **settings))


def new_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under the names that they have today.

    Raises:
        InvalidValueError: a setting is given under both names.
    """
    for old, new in OLD_NAMES.items():
        if old in settings and new in settings:
            raise InvalidValueError(f"{old} and {new} are the same: give {new} alone.")
    return {OLD_NAMES.get(name, name): value for name, value in settings.items()}


def with_effect(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that have an effect beside the others; a record holds all of them."""
    renamed = new_names(settings)
    unused = unused_beside(renamed)
    return {name: value for name, value in renamed.items() if name not in unused}


def unused_in_fits(config: TrainingConfig) -> dict[str, str]:
    """Settings without effect in fits from random weights → why."""
    takes_memory = hasattr(config.optimiser_object, "memory_gib")
    return {} if takes_memory else {"memory_gib": "the optimiser forms no matrix"}


def unused_beside(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings that have no effect beside the others → why.

    Example:
        >>> unused_beside({"schedule": StandardSchedule(40, 2, 1e-2), "steps": 3})
        {'points': 'the schedule has its own', 'steps': 'the schedule has its own', 'restarts': ...}
    """
    unused: dict[str, str] = {}
    if settings.get("schedule") is not None:
        unused |= dict.fromkeys(("points", "steps", "restarts"), "the schedule has its own")
    if settings.get("network") is not None:
        unused |= dict.fromkeys(DENSE, "the network that is given has its own")
    optimiser = optimiser_from(settings.get("optimiser", TrainingConfig.optimiser))
    if hasattr(optimiser, "memory_gib"):
        unused["memory_gib"] = "the optimiser is an object with its own"
    return unused


def _declared(problem: Problem | None) -> dict[str, Any]:
    """What a problem declares; of several time windows, more of it for a longer time span."""
    if problem is None:
        return {}
    declared = dict(problem.recipe)
    if not problem.domain.space and problem.domain.time is not None:
        declared.setdefault("points", POINTS_IN_TIME)
    if problem.time_windows > 1 and problem.span_ratio > 1:
        points = declared.get("points", TrainingConfig.points)
        declared["points"] = ceil(points * problem.span_ratio)
        if declared.get("frequency"):
            declared["frequency"] *= problem.span_ratio
    return declared
