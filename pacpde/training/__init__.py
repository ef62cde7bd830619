"""Fits: a trainer with optimiser, schedule and callbacks, and the way from problem to problem."""

from pacpde.training.callbacks import (
    Callback,
    ErrorHistory,
    FitState,
    ProgressReport,
    TimeLimit,
    Update,
)
from pacpde.training.config import TrainingConfig
from pacpde.training.resume import ResumeState
from pacpde.training.schedule import Phase, Schedule, StandardSchedule
from pacpde.training.trainer import FitResult, Trainer

__all__ = [
    "Callback",
    "ErrorHistory",
    "FitResult",
    "FitState",
    "Phase",
    "ProgressReport",
    "ResumeState",
    "Schedule",
    "StandardSchedule",
    "TimeLimit",
    "Trainer",
    "TrainingConfig",
    "Update",
]
