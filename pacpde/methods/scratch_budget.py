"""From random weights with the steps that training the source took besides."""

from dataclasses import dataclass

from pacpde.methods.base import Context, Transferred
from pacpde.methods.scratch import Scratch
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.task import Task


@dataclass(frozen=True)
class ScratchBudget(Scratch):
    """Scratch, its last phase longer by all the steps of the source's training.

    What a user has who never trains a source: it answers whether transfer pays once the source is
    counted. Patience still ends a fit that no longer gets better.
    """

    name = "scratch_budget"
    summary = "scratch with the source's steps on top of its own: transfer with nothing for free"

    def run(self, source: Surrogate, target: Task, context: Context) -> Transferred:
        spent = source.history[-1]["step"] if source.history else 0
        return Scratch(self.recipe(context).steps + spent).run(source, target, context)
