"""scipy on the target: no network at all."""

from dataclasses import dataclass

from pacpde.methods.base import MethodResult, TransferContext
from pacpde.methods.unfitted import UnfittedMethod, timed, told_once
from pacpde.networks.ansatz import network_for
from pacpde.networks.outcome import Outcome
from pacpde.networks.reference_ansatz import ReferenceAnsatz
from pacpde.networks.surrogate import Surrogate
from pacpde.reference.certificate import check_tolerance
from pacpde.residuals.task import Task


@dataclass(frozen=True)
class Scipy(UnfittedMethod):
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
    unused_because = "scipy fits no network"

    accuracy: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_tolerance(self.accuracy, "accuracy")

    def solve(self, source: Surrogate, target: Task, context: TransferContext) -> MethodResult:
        solved = timed(lambda: self._solved(source, target))
        return self.result_of(told_once(solved, "solve", context))

    def _solved(self, source: Surrogate, target: Task) -> Surrogate:
        ansatz = ReferenceAnsatz(target.problem, source.field_ansatz.hard, tolerance=self.accuracy)
        error = ansatz.reference.certified_error
        network = network_for(ansatz, 1, 1, "tanh")
        weights = target.runtime.tensor([0.0] * network.size)
        outcome = Outcome.of_error(error, self.accuracy)
        return Surrogate(network, ansatz, weights, stage="solved", outcome=outcome, held_out=error)
