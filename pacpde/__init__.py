"""pacpde: moves a trained solver of an ODE or PDE to changed coefficients."""

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
