"""Networks, the ansätze around them, and surrogates."""

from pacpde.networks.ansatz import PhysicsAnsatz, PlainAnsatz, network_for
from pacpde.networks.batch import Ansatz, Batch
from pacpde.networks.protocol import Columns, Factors, Network
from pacpde.networks.surrogate import RetainedSolver, Surrogate

__all__ = [
    "Ansatz",
    "Batch",
    "Columns",
    "Factors",
    "Network",
    "PhysicsAnsatz",
    "PlainAnsatz",
    "RetainedSolver",
    "Surrogate",
    "network_for",
]
