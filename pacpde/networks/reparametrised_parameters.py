"""Parameters of torch modules that are functions of others: low-rank changes, masks.

The formulas are those of `pacpde.networks.reparametrised`, for any tensor of two or more dimensions
as a matrix [outputs, all others].
"""

import torch

from pacpde.networks.frozen import ParameterFunction
from pacpde.networks.reparametrised import low_rank, step_masked


class LowRankParameter(ParameterFunction):
    """W + B A, where B and A are trained in the place of W; B begins at 0.

    Args:
        values: W.
        rank: of B A.
    """

    def __init__(self, values: torch.Tensor, rank: int) -> None:
        super().__init__()
        self.register_buffer("values", values.detach().clone())
        self.rank = rank

    def forward(self, b: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        """B [outputs, rank], A [rank, inputs] → the parameter."""
        return low_rank(self.values.flatten(), b, a).view_as(self.values)

    def right_inverse(self, parameter: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """B and A of no change."""
        matrix = parameter.flatten(1)
        shapes = (len(matrix), self.rank), (self.rank, matrix.shape[1])
        return matrix.new_zeros(shapes[0]), matrix.new_zeros(shapes[1])


class MaskedParameter(ParameterFunction):
    """W ⊙ 1[s > threshold], where the scores s are trained in the place of W.

    Args:
        values: W.
        threshold: of the scores.
        initial_score: of every weight.
    """

    def __init__(self, values: torch.Tensor, threshold: float, initial_score: float) -> None:
        super().__init__()
        self.register_buffer("values", values.detach().clone())
        self.threshold, self.initial_score = threshold, initial_score

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores, shaped like the parameter → the parameter."""
        return step_masked(self.values, scores, self.threshold)

    def right_inverse(self, parameter: torch.Tensor) -> torch.Tensor:
        """The scores at the beginning."""
        return torch.full_like(parameter, self.initial_score)
