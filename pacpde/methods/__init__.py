"""Ways to transfer: one file a method."""

from pacpde.methods.base import Method, methods
from pacpde.methods.classification import fit_classes, measure_classes, transfer_classes
from pacpde.methods.identification import IdentificationResult, identify, identify_by_scipy
from pacpde.methods.many import fit_many, transfer_many
from pacpde.methods.nearest import nearest
from pacpde.methods.regression import fit_table, transfer_table
from pacpde.methods.sequential import Backbone, transfer_in_turn
from pacpde.methods.transfer import TransferResult, fit, transfer
from pacpde.renamed import renamed_names
from pacpde.training.config import TrainingConfig

__getattr__ = renamed_names(__name__, Identified="IdentificationResult")

__all__ = [
    "Backbone",
    "IdentificationResult",
    "Method",
    "TrainingConfig",
    "TransferResult",
    "fit",
    "fit_classes",
    "fit_many",
    "fit_table",
    "identify",
    "identify_by_scipy",
    "measure_classes",
    "methods",
    "nearest",
    "transfer",
    "transfer_classes",
    "transfer_in_turn",
    "transfer_many",
    "transfer_table",
]
