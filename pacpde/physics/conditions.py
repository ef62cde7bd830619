"""What a problem says about its edges."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dirichlet:
    """u = `lower` on the lower edge of an axis and u = `upper` on its upper edge, at all times."""

    lower: float = 0.0
    upper: float = 0.0


@dataclass(frozen=True)
class Periodic:
    """u and all its derivatives agree on both edges of an axis."""


Condition = Dirichlet | Periodic
