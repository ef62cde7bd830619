"""L2-SP: fine-tuning that is pulled back to where it started."""

from dataclasses import dataclass

import torch

from pacpde.checks import check_nonnegative
from pacpde.methods.base import TransferContext
from pacpde.methods.fine_tuning import FineTuning
from pacpde.networks.surrogate import Surrogate
from pacpde.residuals.terms import Anchor


@dataclass(frozen=True)
class L2SP(FineTuning):
    """min over w of L_T(w) + (α/2)‖w_body − w_S‖² + (β/2)‖w_head‖², from w_S.

    Li, Grandvalet & Davoine, ICML 2018 (arXiv 1802.01483). Their head is new for the target; ours
    starts as the source's, and is still pulled to 0. Their 0.1 and 0.01 weigh against
    classification losses; ours are mean squared residuals that end near 1e-7, and the defaults are
    our choice.

    With labels alone the labels choose one factor of α and β, unless one of them is given, and the
    head is pulled to the source's too (`pacpde.training.cross_validation`).

    Attributes:
        alpha, beta: α and β.
    """

    name = "l2sp"
    summary = "min L_T(w) + (α/2)‖w_body − w_S‖² + (β/2)‖w_head‖², from the source's weights"

    fixes_penalty = ("steps", "continuation", "alpha", "beta")

    alpha: float = 1e-8
    beta: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nonnegative("alpha (α)", self.alpha)
        check_nonnegative("beta (β)", self.beta)

    def anchor(self, source: Surrogate, context: TransferContext) -> Anchor | None:
        head = source.network.head
        strength = torch.full_like(source.weights, self.alpha / 2)
        strength[head] = self.beta / 2
        centre = source.weights.clone()
        centre[head] = 0
        return Anchor(strength, centre)
