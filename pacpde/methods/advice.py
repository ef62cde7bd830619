"""What to try after a fit or a transfer that did not converge: by how it ended, and of what."""

from collections.abc import Iterator

from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.registry import is_own
from pacpde.residuals.jumps import SMOOTH, UNSEEN
from pacpde.residuals.open_solutions import OPEN_NOTE
from pacpde.training.config import TrainingConfig
from pacpde.training.restarts import network_of_time_windows, tries_time_windows

BY_OUTCOME = {
    Outcome.NOT_CONVERGED: "try more --steps and --points",
    Outcome.STALLED: "try another --seed or more --points",
    Outcome.DIVERGED: "a value was no finite number: look for what divides by 0 or grows without "
    "bound in the equation",
    Outcome.DRIFTED: "the equation makes a large error of a residual within the tolerance{}: try a "
    "smaller --tolerance, and more --steps and --points",
    Outcome.DEVICE_LOST: "the device failed or its memory was full: try --device cpu, a lower "
    "--memory or fewer --points",
    Outcome.PATH_LOST: "choose a nearer target, or go there in several hops, each from the "
    "surrogate of the one before; or try more --steps",
}
LONG_TIMES = ", as chaos and long times do"
OPEN = (
    "the conditions hardly tell the solution from others: see whether one is missing, or a "
    "coefficient is at a resonance"
)
FEWER_FREED = "try a lower --sparsity or a larger --set allocate_steps=..."
SCALES = "see that `scales` in the class suit"
FINER = "the solution meets the default tolerance: try more --refinements, or a larger --memory"
AGAIN = f"with --steps {TrainingConfig.steps} or more it begins again by itself in time windows"
EARLIER = "end t earlier by --until"
WINDOWS = "declare time_windows = 10 and time_scale in the class"
TOO_HARD = Outcome.NOT_CONVERGED, Outcome.STALLED, Outcome.DRIFTED  # maybe by a long time alone


def advice(surrogate: Surrogate, config: TrainingConfig) -> str:
    """What to try, as parts of a sentence with semicolons between them; "" where it converged.

    Args:
        surrogate: of a fit or a transfer.
        config: settings of its fits.

    Example:
        >>> few = {"steps": 1, "points": 20, "width": 2, "depth": 1}
        >>> advice(fit(Poisson(), **few), TrainingConfig.of(Poisson(), **few))
        'try more --steps and --points'
    """
    return "; ".join(_parts(surrogate, config))


def _parts(surrogate: Surrogate, config: TrainingConfig) -> Iterator[str]:
    problem, outcome = surrogate.problem, surrogate.outcome
    allocated = surrogate.outcomes.get("allocated", Outcome.CONVERGED)
    if outcome.stage or allocated != Outcome.CONVERGED:
        yield FEWER_FREED
    if outcome.stage or outcome not in BY_OUTCOME:
        return
    about = surrogate.assessment
    if outcome == Outcome.DRIFTED and about and OPEN_NOTE in about.notes:
        yield OPEN
        return
    if outcome in TOO_HARD and about and any(UNSEEN in note for note in about.notes):
        yield SMOOTH
        return
    if outcome == Outcome.NOT_CONVERGED and about and about.meets(TrainingConfig.tolerance):
        yield FINER
        return
    yield BY_OUTCOME[outcome].format(LONG_TIMES if problem.domain.time else "")
    if outcome in TOO_HARD and not is_own(problem):
        yield SCALES
    if outcome in TOO_HARD and problem.domain.time:
        yield from _for_long_times(surrogate, config)
    if outcome == Outcome.DIVERGED and problem.domain.time:
        yield EARLIER


def _for_long_times(surrogate: Surrogate, config: TrainingConfig) -> Iterator[str]:
    """Time windows, of the kinds that the equation allows and that were not tried."""
    problem, ways = surrogate.problem, [EARLIER]
    transferred = "source" in surrogate.outcomes
    if not is_own(problem):
        ways.insert(0, WINDOWS)
    if config.restarts and config.steps < TrainingConfig.steps and not transferred:
        yield AGAIN
    elif network := network_of_time_windows(problem, config.activation):
        tried = not transferred and tries_time_windows(problem, config)
        options = dict(network.options)
        count = max(surrogate.network.time_windows, options["count"] if tried else 1)
        options["count"] = max(options["count"], 2 * count)
        listed = ",".join(f"{name}={value}" for name, value in options.items())
        ways.insert(0, f"take {'a source of ' * transferred}--network {network.kind}:{listed}")
    yield f"where t is long, {' or '.join(ways)}"
