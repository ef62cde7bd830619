"""Networks, the ansätze around them, and surrogates."""

from pacpde.networks.activations import Activation
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.batch import Ansatz, Batch, MeanBatch
from pacpde.networks.class_ansatz import ClassAnsatz
from pacpde.networks.mlp import MLP
from pacpde.networks.module import ModuleNetwork, TorchModule
from pacpde.networks.protocol import Columns, Factors, Network
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.networks.table_ansatz import TableAnsatz
from pacpde.networks.time_windows import TimeWindows

__all__ = [
    "MLP",
    "Activation",
    "Ansatz",
    "Batch",
    "ClassAnsatz",
    "Columns",
    "Factors",
    "MeanBatch",
    "ModuleNetwork",
    "Network",
    "PhysicsAnsatz",
    "RetainedSolver",
    "Surrogate",
    "TableAnsatz",
    "TimeWindows",
    "TorchModule",
    "network_for",
]
