"""Ways to transfer: one file a method."""

from pacpde.methods.base import Method, methods
from pacpde.methods.recipe import Recipe
from pacpde.methods.transfer import TransferResult, fit, transfer

__all__ = ["Method", "Recipe", "TransferResult", "fit", "methods", "transfer"]
