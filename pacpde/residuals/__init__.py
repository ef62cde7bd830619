"""Residual terms, the tasks that draw them, and their Jacobian; how far a solution is trusted."""

from pacpde.residuals.augmented_task import AugmentedTask
from pacpde.residuals.class_terms import CrossEntropyTerm
from pacpde.residuals.measurements import Measurements
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.table_task import TableTask
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Anchor, LabelTerm, PhysicsTerm, Term

__all__ = [
    "Anchor",
    "AugmentedTask",
    "CrossEntropyTerm",
    "LabelTerm",
    "Measurements",
    "PhysicsTask",
    "PhysicsTerm",
    "SamplingSpec",
    "TableTask",
    "Task",
    "Term",
]
