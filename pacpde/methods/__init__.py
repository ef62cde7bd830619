"""Ways to transfer: one file a method."""

from pacpde.methods.base import Method, methods
from pacpde.methods.many import fit_many, transfer_many
from pacpde.methods.recipe import Recipe
from pacpde.methods.regression import fit_table, transfer_table
from pacpde.methods.transfer import TransferResult, fit, transfer

__all__ = [
    "Method",
    "Recipe",
    "TransferResult",
    "fit",
    "fit_many",
    "fit_table",
    "methods",
    "transfer",
    "transfer_many",
    "transfer_table",
]
