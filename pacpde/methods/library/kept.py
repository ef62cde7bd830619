"""Targets that a library keeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pacpde.methods.library.coordinates import CoefficientRange
from pacpde.networks.assessment import Assessment
from pacpde.networks.outcome import Outcome
from pacpde.physics.problem import Problem


@dataclass(frozen=True)
class Kept:
    """A target that a library keeps: the last layers of its network, as they were found.

    Attributes:
        problem: what it solves.
        backbone: number of the library's backbone that it is of; later sources make others.
        rows: weights from the neurons and the constant to the fields, [fields, neurons + 1].
        outcome, assessment, seconds: of its solution.
    """

    problem: Problem
    backbone: int
    rows: torch.Tensor
    outcome: Outcome
    assessment: Assessment
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """All but the rows."""
        return {
            "coefficients": self.problem.coefficients,
            "backbone": self.backbone,
            "outcome": self.outcome,
            "assessment": self.assessment.as_json(),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(
        cls, about: Mapping[str, Any], box: CoefficientRange, rows: torch.Tensor
    ) -> "Kept":
        """The inverse of `as_json`."""
        return cls(
            box.problem.with_coefficients(**about["coefficients"]),
            about["backbone"],
            rows,
            Outcome(about["outcome"]),
            Assessment.from_json(about["assessment"]),
            about["seconds"],
        )
