"""PAC for DeepXDE models, and pacpde's problems and engine beside them.

Imported only when it is asked for; on DeepXDE's pytorch backend.
"""

# ruff: noqa: E402
from pacpde.interop.deepxde.backend import prepare

prepare()  # before any of the modules below imports DeepXDE

from pacpde.interop.deepxde.conversion import DeepXDEAnsatz, to_network, to_surrogate
from pacpde.interop.deepxde.data import data, pde, solution
from pacpde.interop.deepxde.fine_tuning import l2_sp, warm_start
from pacpde.interop.deepxde.model import Model
from pacpde.interop.deepxde.pac import PAC
from pacpde.interop.deepxde.tailoring import transtailor

__all__ = [
    "PAC",
    "DeepXDEAnsatz",
    "Model",
    "data",
    "l2_sp",
    "pde",
    "solution",
    "to_network",
    "to_surrogate",
    "transtailor",
    "warm_start",
]
