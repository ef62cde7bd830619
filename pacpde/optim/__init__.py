"""Optimisers of ½‖r‖² over the trainable weights, and what computes the steps of many fits."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pacpde.optim.broyden import SSBroyden
    from pacpde.optim.first_order import SOAP, Adam
    from pacpde.optim.gauss_newton import GaussNewton
    from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
    from pacpde.optim.quasi_newton import LBFGS

__all__ = ["LBFGS", "SOAP", "Adam", "GaussNewton", "LevenbergMarquardt", "SSBroyden"]

_MODULES = {
    "Adam": "first_order",
    "GaussNewton": "gauss_newton",
    "LBFGS": "quasi_newton",
    "LevenbergMarquardt": "levenberg_marquardt",
    "SOAP": "first_order",
    "SSBroyden": "broyden",
}


def __getattr__(name: str) -> Any:
    """Import an optimiser on its first use: some need packages that take long to import."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
