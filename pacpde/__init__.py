"""pacpde: moves a trained solver of an ODE or PDE to changed coefficients.

    from pacpde import fit, transfer, PAC
    from pacpde.problems import Heat

    source = fit(Heat(alpha=0.4))
    result = transfer(source, Heat(alpha=0.3), method=PAC(sparsity=0.8))

Names are imported on their first use, so that the command line answers an interruption also
while torch is loading.
"""

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pacpde.errors import (
        ChangedFamilyWarning,
        ContradictionWarning,
        DataFileError,
        ExtrapolationWarning,
        InvalidValueError,
        KinkWarning,
        MissingConditionWarning,
        MissingPackageError,
        OutputError,
        PacpdeError,
        RenamedWarning,
        SolverError,
        TransferWarning,
        UnknownNameError,
        UnreadableError,
        UntrustedCodeError,
    )
    from pacpde.methods.base import Method
    from pacpde.methods.bias_only import BiasOnly
    from pacpde.methods.bss import BSS
    from pacpde.methods.class_measures import ClassMeasures
    from pacpde.methods.classification import (
        ClassTransferResult,
        fit_classes,
        measure_classes,
        transfer_classes,
    )
    from pacpde.methods.coefficient_input import CoefficientInput
    from pacpde.methods.continuation import Continuation
    from pacpde.methods.delta import DELTA
    from pacpde.methods.ewc import EWC
    from pacpde.methods.identification import IdentificationResult, identify, identify_by_scipy
    from pacpde.methods.ipinn import IncrementalPINN
    from pacpde.methods.l2_sp import L2SP
    from pacpde.methods.last_layer import LastLayer
    from pacpde.methods.library import Library, LibrarySolutions
    from pacpde.methods.library_head import LibraryHead
    from pacpde.methods.library_polish import LibraryPolish
    from pacpde.methods.lora import LoRA
    from pacpde.methods.lwf import LwF
    from pacpde.methods.many import fit_many, transfer_many
    from pacpde.methods.nearest import nearest
    from pacpde.methods.nearest_source import NearestSource
    from pacpde.methods.pac import PAC
    from pacpde.methods.pac_net import PACNet
    from pacpde.methods.packnet import PackNet
    from pacpde.methods.piggyback import Piggyback
    from pacpde.methods.random_features import RandomFeatures
    from pacpde.methods.regression import fit_table, transfer_table
    from pacpde.methods.result import TransferResult
    from pacpde.methods.scipy import Scipy
    from pacpde.methods.scratch import Scratch
    from pacpde.methods.scratch_budget import ScratchBudget
    from pacpde.methods.sequential import Backbone, FrozenSolver, transfer_in_turn
    from pacpde.methods.transfer import fit, transfer
    from pacpde.methods.transtailor import TransTailor
    from pacpde.methods.two_checkpoints import TwoCheckpoints
    from pacpde.methods.warm_start import WarmStart
    from pacpde.networks.checkpoint import load, save
    from pacpde.networks.mlp import MLP
    from pacpde.networks.module import ModuleNetwork, TorchModule
    from pacpde.networks.outcome import Outcome
    from pacpde.networks.protocol import Network
    from pacpde.networks.surrogate import Surrogate
    from pacpde.optim.scheduler import BatchError
    from pacpde.physics import Problem
    from pacpde.reference import Reference
    from pacpde.residuals.measurements import Measurements
    from pacpde.runtime import Runtime
    from pacpde.studies.comparison import Comparison, compare
    from pacpde.training.callbacks import Callback
    from pacpde.training.config import TrainingConfig
    from pacpde.training.resume import ResumeState

__version__ = "0.1.0"

# module → what a user imports from pacpde itself
_NAMES = {
    "errors": "ChangedFamilyWarning ContradictionWarning DataFileError ExtrapolationWarning "
    "InvalidValueError KinkWarning MissingConditionWarning MissingPackageError OutputError "
    "PacpdeError RenamedWarning SolverError TransferWarning UnknownNameError UnreadableError "
    "UntrustedCodeError",
    "methods.base": "Method",
    "methods.bias_only": "BiasOnly",
    "methods.bss": "BSS",
    "methods.class_measures": "ClassMeasures",
    "methods.classification": "ClassTransferResult fit_classes measure_classes transfer_classes",
    "methods.coefficient_input": "CoefficientInput",
    "methods.continuation": "Continuation",
    "methods.delta": "DELTA",
    "methods.ewc": "EWC",
    "methods.identification": "IdentificationResult identify identify_by_scipy",
    "methods.ipinn": "IncrementalPINN",
    "methods.l2_sp": "L2SP",
    "methods.last_layer": "LastLayer",
    "methods.library": "Library LibrarySolutions",
    "methods.library_head": "LibraryHead",
    "methods.library_polish": "LibraryPolish",
    "methods.lora": "LoRA",
    "methods.lwf": "LwF",
    "methods.many": "fit_many transfer_many",
    "methods.nearest": "nearest",
    "methods.nearest_source": "NearestSource",
    "methods.pac": "PAC",
    "methods.pac_net": "PACNet",
    "methods.packnet": "PackNet",
    "methods.piggyback": "Piggyback",
    "methods.random_features": "RandomFeatures",
    "methods.regression": "fit_table transfer_table",
    "methods.result": "TransferResult",
    "methods.scipy": "Scipy",
    "methods.scratch": "Scratch",
    "methods.scratch_budget": "ScratchBudget",
    "methods.sequential": "Backbone FrozenSolver transfer_in_turn",
    "methods.transfer": "fit transfer",
    "methods.transtailor": "TransTailor",
    "methods.two_checkpoints": "TwoCheckpoints",
    "methods.warm_start": "WarmStart",
    "networks.checkpoint": "load save",
    "networks.mlp": "MLP",
    "networks.module": "ModuleNetwork TorchModule",
    "networks.outcome": "Outcome",
    "networks.protocol": "Network",
    "networks.surrogate": "Surrogate",
    "optim.scheduler": "BatchError",
    "physics": "Problem",
    "reference": "Reference",
    "residuals.measurements": "Measurements",
    "runtime": "Runtime",
    "studies.comparison": "Comparison compare",
    "training.callbacks": "Callback",
    "training.config": "TrainingConfig",
    "training.resume": "ResumeState",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> "Any":
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(f"pacpde.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"pacpde.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"pacpde.{name}":
                raise
    raise AttributeError(f"module 'pacpde' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
