"""Continuation in equal steps of the coefficients, whatever the residuals are."""

from dataclasses import dataclass

from pacpde.methods.warm_start import WarmStart


@dataclass(frozen=True)
class Continuation(WarmStart):
    """min over w of L_k(w), from the weights of the problem before, k = 1 ... stations.

    Equal steps, geometric in positive coefficients, each with a short fit and the last with a full
    one: what the follower of `warm_start` and `pac`, which chooses its steps by residuals, has to
    beat.
    """

    name = "continuation"
    summary = "warm start along equal steps in the coefficients from source to target"

    continuation: str = "fixed"
