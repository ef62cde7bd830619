"""Elastic weight consolidation: a penalty on weights to which the source is sensitive."""

from dataclasses import dataclass

from pacpde.checks import check_nonnegative
from pacpde.methods.base import TransferContext
from pacpde.methods.fine_tuning import FineTuning
from pacpde.networks.surrogate import Surrogate
from pacpde.pac.scores import curvature
from pacpde.residuals.terms import Anchor


@dataclass(frozen=True)
class EWC(FineTuning):
    """min over w of L_T(w) + (λ/2) Σ F_i (w_i − w_S,i)², from w_S.

    Kirkpatrick et al. 2017 (arXiv 1612.00796). F is the diagonal of the Fisher information of the
    source task. For regression with errors of unit size that is the diagonal of the Gauss–Newton
    matrix: here JᵀJ of the source's own residuals.

    Attributes:
        hold: λ, which "must be tuned"; with labels alone the labels choose it, unless it is given.
    """

    name = "ewc"
    summary = "min L_T(w) + (λ/2) Σ F_i (w_i − w_S,i)², F the curvature of the source's loss"

    fixes_penalty = ("steps", "continuation", "hold")

    hold: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nonnegative("hold (λ)", self.hold)

    def anchor(self, source: Surrogate, context: TransferContext) -> Anchor | None:
        fisher = curvature(source, context.source_task, context.seed)
        return Anchor(self.hold / 2 * fisher, source.weights)
