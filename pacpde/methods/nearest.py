"""Which of several sources to start from."""

from collections.abc import Sequence

from pacpde.errors import InvalidValueError, short
from pacpde.keywords import checked_call
from pacpde.methods.checks import check_transfer
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import gradients


@checked_call
@gradients()
def nearest(sources: Sequence[Surrogate], target: Problem, *, seed: int = 0) -> Surrogate:
    """The source that, untouched, has the smallest held-out residual on the target.

    No reference is asked: the distance in the coefficient says little where solutions saturate.
    """
    if isinstance(sources, Surrogate) or not isinstance(sources, Sequence):
        raise InvalidValueError(
            f"the sources are {short(sources)}, expected a list of surrogates: write [source]."
        )
    if not sources:
        raise InvalidValueError("there are no sources: give at least one surrogate.")
    for source in sources:
        check_transfer(source, target, 0, 0.0, True)
    return min(sources, key=lambda source: zero_shot_residual(source, target, seed))


def zero_shot_residual(source: Surrogate, target: Problem, seed: int = 0) -> float:
    """Root mean square residual of a source taken as a solver of the target."""
    basis = source.field_ansatz
    task = PhysicsTask(target, seed=seed, runtime=source.runtime, like=basis)
    return task.held_out(source.network, source.weights, SamplingSpec(odd=basis.odd))
