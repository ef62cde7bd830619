"""From the source's weights, all of them trainable."""

from dataclasses import dataclass

from pacpde.methods.fine_tuning import FineTuning
from pacpde.methods.ladder import LadderMethod


@dataclass(frozen=True)
class WarmStart(FineTuning, LadderMethod):
    """min over w of L_T(w), from w_S; the solver of the source is lost.

    With a `ladder`, rung after rung; only the solver of the last one is left.
    """

    name = "warm_start"
    random_windows_way = "forget"
    summary = "min L_T(w) from the source's weights, all trainable; the source is forgotten"
