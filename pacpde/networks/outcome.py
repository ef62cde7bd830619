"""How fits and transfers end."""

from enum import StrEnum


class Outcome(StrEnum):
    """How a fit, a transfer or an identification ended; the value is the text in records.

    A transfer ends as its last fit did. Where that converged and only an earlier stage fell short,
    the outcome names the stage first: `ALLOCATE_STALLED` is `STALLED` in the stage "allocate".

    Attributes:
        CONVERGED: the residual is below the tolerance, the estimated error below its limit.
        NOT_CONVERGED: the steps were used up.
        STALLED: the optimiser found no way down.
        DIVERGED: a loss, a residual or a weight was no finite number.
        DRIFTED: the residual is below the tolerance, the estimated error is not below its limit.
        DEVICE_LOST: the GPU failed or ran out of memory; the weights are the best so far.
        PATH_LOST: no steps in the coefficients led from the source to the target.
        MISFIT: measurements do not fit the equation (of an identification).

    Example:
        >>> Outcome("allocate_stalled").stage, Outcome("allocate_stalled").of_fit
        ('allocate', <Outcome.STALLED: 'stalled'>)
        >>> Outcome.CONVERGED == "converged"
        True
    """

    CONVERGED = "converged"
    NOT_CONVERGED = "not_converged"
    STALLED = "stalled"
    DIVERGED = "diverged"
    DRIFTED = "drifted"
    DEVICE_LOST = "device_lost"
    PATH_LOST = "path_lost"
    MISFIT = "misfit"
    ALLOCATE_NOT_CONVERGED = "allocate_not_converged"
    ALLOCATE_STALLED = "allocate_stalled"
    ALLOCATE_DIVERGED = "allocate_diverged"
    ALLOCATE_DRIFTED = "allocate_drifted"
    ALLOCATE_DEVICE_LOST = "allocate_device_lost"
    ALLOCATE_PATH_LOST = "allocate_path_lost"

    @classmethod
    def of_error(cls, error: float, tolerance: float) -> "Outcome":
        """`CONVERGED` where an error is at most the tolerance, else `NOT_CONVERGED`; so of nan."""
        return cls.CONVERGED if error <= tolerance else cls.NOT_CONVERGED

    @property
    def stage(self) -> str:
        """The earlier stage that fell short: "allocate", or "" for the last fit."""
        return "allocate" if self.name.startswith("ALLOCATE_") else ""

    @property
    def of_fit(self) -> "Outcome":
        """How the fit ended that the outcome is of, without its stage."""
        return Outcome(self.removeprefix("allocate_"))

    def in_stage(self, stage: str) -> "Outcome":
        """The same ending, of an earlier stage."""
        return Outcome(f"{stage}_{self}")
