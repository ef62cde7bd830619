"""How far a solution can be trusted, without a reference."""

import math
from dataclasses import dataclass, field
from typing import Any

from pacpde.networks.outcome import Outcome

# Half of 1e-2: estimates are of first order, and may be half of the error.
ERROR_LIMIT = 5e-3
MARGIN = 0.5  # of a tolerance, for the same reason
RESIDUAL_LIMIT = 0.1  # share of the equation's terms above which first order is not enough
# Errors of 60 times the residual were measured (KdV with solitons, 0.88 at 1.5e-2). Where no
# error can be estimated, the residual has to be so small that such a one is below 1e-2.
UNESTIMATED_LIMIT = 1e-4


@dataclass(frozen=True)
class Assessment:
    """How far a solution can be trusted.

    Attributes:
        residual: root mean square residual at held-out points, of the worst equation, as a share
            of the size of that equation's own terms.
        error_estimate: relative L2 error of the worst field, to first order, by the linearised
            equation; None where it cannot be estimated.
        notes: sentences about what was noticed, for the user.
        unestimated: whether the error was to be estimated, and cannot be.
    """

    residual: float
    error_estimate: float | None = None
    notes: tuple[str, ...] = ()
    unestimated: bool = field(default=False, compare=False)

    def meets(self, tolerance: float) -> bool:
        """Whether the equation is met: by its residual, or by the estimated error.

        A residual may be larger where it does little, as along kinks and in thin layers. It has to
        be smaller where nothing is known of the error that it causes.
        """
        if self.residual <= (min(tolerance, UNESTIMATED_LIMIT) if self.unestimated else tolerance):
            return True
        error = self.error_estimate
        return error is not None and error <= MARGIN * tolerance and self.residual <= RESIDUAL_LIMIT

    @property
    def drifted(self) -> bool:
        """Whether even a small residual grows into an error that is not."""
        return self.error_estimate is not None and not self.error_estimate <= ERROR_LIMIT

    def outcome(self, tolerance: float) -> Outcome:
        """How a fit to a tolerance has ended that ends in what is assessed."""
        if not self.meets(tolerance):
            return Outcome.NOT_CONVERGED
        return Outcome.DRIFTED if self.drifted else Outcome.CONVERGED

    @property
    def rank(self) -> tuple[float, float]:
        """Smaller for what is less wrong: the larger one of residual and estimated error.

        An estimate above 1, as chaos gives, says nothing of an error: there the residual counts.
        """
        return min(max(self.residual, self.error_estimate or 0.0), 1.0), self.residual

    def as_json(self) -> dict[str, Any]:
        """The JSON object in `surrogate.json` and in records; infinite numbers and nan are null."""
        numbers = {"residual": self.residual, "error_estimate": self.error_estimate}
        known = {
            key: value if value is not None and math.isfinite(value) else None
            for key, value in numbers.items()
        }
        return {**known, "notes": list(self.notes)}

    @classmethod
    def from_json(cls, about: dict[str, Any]) -> "Assessment":
        """The inverse of `as_json`."""
        residual = about["residual"]
        return cls(
            math.inf if residual is None else residual,
            about["error_estimate"],
            tuple(about["notes"]),
        )
