"""Problems, their domains and conditions, and the one way to write a derivative."""

from pacpde.physics.coefficients import coefficient
from pacpde.physics.conditions import Dirichlet, Neumann, Periodic, PointValue, Robin
from pacpde.physics.derivatives import Derivative
from pacpde.physics.domain import Axis, Domain
from pacpde.physics.evolution import Evolution
from pacpde.physics.problem import Problem, families

__all__ = [
    "Axis",
    "Derivative",
    "Dirichlet",
    "Domain",
    "Evolution",
    "Neumann",
    "Periodic",
    "PointValue",
    "Problem",
    "Robin",
    "coefficient",
    "families",
]
