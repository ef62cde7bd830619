"""Continuation in equal steps: the coefficients walked without looking."""

from dataclasses import dataclass

from pacpde.errors import InvalidValueError
from pacpde.methods.warm_start import WarmStart


@dataclass(frozen=True)
class Continuation(WarmStart):
    """min over w of L_k(w), from the weights of the problem before, k = 1 ... stations.

    Equal steps, geometric in positive coefficients, each with a short fit and the last with a full
    one: what the follower of `warm_start` and `pac`, which chooses its steps by residuals, has to
    beat.

    Attributes:
        stations: steps; 1 is a straight warm start.
    """

    name = "continuation"
    summary = "warm start along equal steps in the coefficients from source to target"

    stations: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stations < 1:
            raise InvalidValueError(f"stations is {self.stations}, expected at least 1.")

    @property
    def fixed(self) -> int | None:
        return self.stations
