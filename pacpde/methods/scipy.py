"""scipy on the target: no network at all."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from pacpde.errors import InvalidValueError
from pacpde.methods.base import Method, MethodResult, TransferContext, told_once
from pacpde.networks.ansatz import network_for
from pacpde.networks.outcome import Outcome
from pacpde.networks.reference_ansatz import ReferenceAnsatz
from pacpde.networks.surrogate import Surrogate
from pacpde.reference.certificate import check_tolerance
from pacpde.residuals.task import Task
from pacpde.training.config import TrainingConfig


@dataclass(frozen=True)
class Scipy(Method):
    """`solve_ivp` by the method of lines, refined until two solutions agree; no source, no network.

    Virtanen et al. 2020, doi:10.1038/s41592-019-0686-2. What every surrogate of a small problem has
    to be measured against. Its seconds count every refinement; `total_parameters` is that of the
    network in whose place it stands, which has no say.

    Attributes:
        accuracy: relative L2 to which the solution is certified; where that cannot be had, it is
            the best that can, and ends `not_converged`.
    """

    name = "scipy"
    summary = "solve_ivp on the target to a certified tolerance: no source and no network"
    labels_suffice = False

    accuracy: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None:
            raise InvalidValueError("scipy takes no steps of a fit: leave steps out.")
        check_tolerance(self.accuracy, "accuracy")

    @property
    def unused_settings(self) -> Mapping[str, str]:
        names = [setting.name for setting in fields(TrainingConfig)]
        return dict.fromkeys(names, "scipy fits no network")

    def run(self, source: Surrogate, target: Task, context: TransferContext) -> MethodResult:
        if not target.solves_equation:
            raise InvalidValueError("scipy solves an equation, and here there is none to solve.")
        clock = time.perf_counter()
        ansatz = ReferenceAnsatz(target.problem, source.field_ansatz.hard, tolerance=self.accuracy)
        reference = ansatz.reference
        seconds = time.perf_counter() - clock
        outcome = (
            Outcome.CONVERGED
            if reference.certified_error <= self.accuracy
            else Outcome.NOT_CONVERGED
        )
        network = network_for(ansatz, 1, 1, "tanh")
        weights = target.runtime.tensor([0.0] * network.size)
        solved = Surrogate(network, ansatz, weights, {}, "solved", outcome, (), seconds)
        solved = replace(solved, held_out=reference.certified_error)
        solved = told_once(solved, "solve", context)
        return MethodResult(solved, 0, 0, 0, {"calibrate": seconds})
