"""A library's solution made better: by a fit for the target alone, and its functions together."""

from dataclasses import dataclass, replace

from pacpde.checks import check_choice
from pacpde.methods.base import Method, MethodResult, TransferContext, methods
from pacpde.methods.library.polish import best_of, joined
from pacpde.methods.library_head import head_of, library_of
from pacpde.methods.unfitted import timed, told_once
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.residuals.task import SamplingSpec, Task

WAYS = ("warm_start", "pac")


@dataclass(frozen=True)
class LibraryPolish(Method):
    """Move the nearest source to the target, then min over a head of all functions together.

    The functions are those of the library and the hidden neurons of the moved network. Of the
    library's own head, the moved network and this, the one of the least estimated error is taken.
    What the library holds stays there, and the result retains no solver: what `by` retains is the
    nearest source, which need not be the one that the transfer starts from. Measurements have an
    effect on the moved network alone. The seconds of building the library, and of loading it, are
    not among the record's.

    Attributes:
        library: folder of `pacpde library build`; without it the source alone is the library.
        by: the method that moves the nearest source: "warm_start", or "pac", which keeps it inside
            the moved network while that is fitted.
    """

    name = "library_polish"
    summary = "the nearest source of a library moved to the target, and a head on all functions"
    labels_suffice = False

    library: str = ""
    by: str = "warm_start"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("by", self.by, WAYS)

    @stepwise
    def run(self, source: Surrogate, target: Task, context: TransferContext) -> Steps[MethodResult]:
        library = library_of(self.library, source, target.problem)
        nearest = library.nearest(target.problem)
        head = head_of(library, target.problem, context)
        own = replace(context, source_task=context.source_task.equation_at(nearest.problem))
        method = methods.get(self.by)(steps=self.steps)
        moved = yield from steps_of(method.run)(nearest, target, own)
        alone = replace(moved.surrogate, retained={})
        both = timed(lambda: joined(library, alone, context.config.tolerance))
        later = ({**entry, "seconds": head.seconds + entry["seconds"]} for entry in alone.history)
        best = replace(
            best_of([head, alone, both]),
            history=(*head.history, *later),
            steps=moved.steps,
            seconds=head.seconds + alone.seconds + both.seconds,
        )
        missed = target.misfits(best, SamplingSpec())
        calibrated = head.seconds + moved.seconds["calibrate"] + both.seconds
        return replace(
            moved,
            surrogate=told_once(best.with_notes(missed), "polish", context),
            seconds={**moved.seconds, "calibrate": calibrated},
            snapshots={"trained": source},
        )
