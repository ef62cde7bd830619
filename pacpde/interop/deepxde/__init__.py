"""DeepXDE: PAC and other transfers of its models, problems as its data, its networks as surrogates.

It works on DeepXDE's pytorch backend. `import pacpde` does not import it.
"""

# ruff: noqa: E402
from pacpde.interop.deepxde.backend import import_deepxde

import_deepxde()  # before any of the modules below imports DeepXDE

from pacpde.interop.deepxde.ansatz import DeepXDEAnsatz
from pacpde.interop.deepxde.conversion import to_network, to_surrogate
from pacpde.interop.deepxde.data import data, loss_names, pde, solution
from pacpde.interop.deepxde.fine_tuning import l2_sp, warm_start
from pacpde.interop.deepxde.model import Model
from pacpde.interop.deepxde.pac import PAC
from pacpde.interop.deepxde.tailoring import transtailor
from pacpde.interop.modules import Tailored, freeze, unfreeze

__all__ = [
    "PAC",
    "DeepXDEAnsatz",
    "Model",
    "Tailored",
    "data",
    "freeze",
    "l2_sp",
    "loss_names",
    "pde",
    "solution",
    "to_network",
    "to_surrogate",
    "transtailor",
    "unfreeze",
    "warm_start",
]
