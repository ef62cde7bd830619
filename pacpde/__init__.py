"""pacpde: moves a trained solver of an ODE or PDE to changed coefficients.

Names are imported on their first use, so that the command line answers an interruption also
while torch is loading.
"""

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pacpde.methods import (
        TransferResult,
        fit,
        fit_many,
        identify,
        identify_by_scipy,
        nearest,
        transfer,
        transfer_in_turn,
        transfer_many,
    )
    from pacpde.networks.checkpoint import load, save
    from pacpde.networks.surrogate import Surrogate
    from pacpde.physics import Problem
    from pacpde.runtime import Runtime

__version__ = "0.1.0"

__all__ = [
    "Problem",
    "Runtime",
    "Surrogate",
    "TransferResult",
    "fit",
    "fit_many",
    "identify",
    "identify_by_scipy",
    "load",
    "nearest",
    "save",
    "transfer",
    "transfer_in_turn",
    "transfer_many",
]

_ELSEWHERE = {
    "load": "networks.checkpoint",
    "save": "networks.checkpoint",
    "Surrogate": "networks.surrogate",
    "Problem": "physics",
    "Runtime": "runtime",
}


def __getattr__(name: str) -> "Any":
    if name in __all__:
        module = importlib.import_module(f"pacpde.{_ELSEWHERE.get(name, 'methods')}")
        found = globals()[name] = getattr(module, name)
        return found
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"pacpde.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"pacpde.{name}":
                raise
    raise AttributeError(f"module 'pacpde' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
