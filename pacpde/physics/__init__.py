"""Problems, their domains and edges, and the one way to write a derivative."""

from pacpde.physics.conditions import Dirichlet, Periodic
from pacpde.physics.derivatives import Derivative
from pacpde.physics.domain import Axis, Domain
from pacpde.physics.problem import Problem, coefficient, families

__all__ = [
    "Axis",
    "Derivative",
    "Dirichlet",
    "Domain",
    "Periodic",
    "Problem",
    "coefficient",
    "families",
]
