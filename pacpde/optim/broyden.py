"""Self-scaled Broyden on the flat vector of trainable weights, with a strong-Wolfe line search."""

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import line_search

from pacpde.optim.base import Progress, State, check_option, optimisers
from pacpde.optim.least_squares import LeastSquares


@optimisers.registering("ssbroyden")
@dataclass(frozen=True)
class SSBroyden:
    """x ← x − α H g, with H updated by the self-scaled member of Broyden's family.

    Al-Baali & Khalfan (2012), for physics-informed networks Urbán, Stefanou & Pons (2025,
    arXiv 2405.04230, there SSBroyden2): see `updated`. α meets the strong Wolfe conditions, by
    scipy's `line_search` in float64 on the CPU; H stays dense on the problem's device and takes
    8 bytes times the square of the number of trainable weights. Where no α is found, H starts
    anew; where that does not help, the run ends as stalled.

    Attributes:
        decrease, slope: the two constants of Wolfe's conditions.
    """

    decrease: float = 1e-4
    slope: float = 0.9

    def __post_init__(self) -> None:
        check_option(self, "decrease", below=1)
        check_option(self, "slope", below=1)

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        evaluated = _Evaluations(problem, x)
        loss, gradient = evaluated.at(x)
        inverse: torch.Tensor | None = state["inverse"].clone() if state else None
        best, lowest, taken, stalled = x, problem.loss(x), 0, not math.isfinite(loss)
        while taken < steps and not stalled:
            is_identity = inverse is None
            if inverse is None:
                inverse = torch.eye(len(x), dtype=x.dtype, device=x.device)
            direction = -(inverse @ gradient)
            length = self._length(evaluated, x, direction, loss, gradient, is_identity)
            if length is None:
                stalled, inverse = is_identity, None
                continue
            moved = x + length * direction
            new_loss, new_gradient = evaluated.at(moved)
            step, gradient_change = moved - x, new_gradient - gradient
            if float(step @ gradient_change) > 0:  # else rounding has eaten the curvature
                inverse = updated(inverse, step, gradient_change, length * gradient, is_identity)
            x, loss, gradient = moved, new_loss, new_gradient
            taken += 1
            stalled = not loss < lowest
            if not stalled:
                best, lowest = x, loss
        state = {} if inverse is None else {"inverse": inverse}
        return Progress(best, lowest, state, taken, evaluated.evaluations + 1, stalled)

    def _length(
        self,
        evaluated: "_Evaluations",
        x: torch.Tensor,
        direction: torch.Tensor,
        loss: float,
        gradient: torch.Tensor,
        is_identity: bool,
    ) -> float | None:
        """α along a direction; None where none is found."""
        before = loss + float(gradient.norm()) / 2 if is_identity else None  # a short first trial
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is told by None
            length, *_ = line_search(
                evaluated.value, evaluated.slope, _numpy(x), _numpy(direction), _numpy(gradient),
                loss, before, c1=self.decrease, c2=self.slope,
            )  # fmt: skip
        return None if length is None else float(length)


def updated(
    inverse: torch.Tensor,
    step: torch.Tensor,
    gradient_change: torch.Tensor,
    scaled_gradient: torch.Tensor,
    inverse_is_identity: bool = False,
) -> torch.Tensor:
    """H₊ = (H − Hy(Hy)ᵀ/yᵀHy + φ yᵀHy vvᵀ)/τ + ssᵀ/sᵀy, with v = s/sᵀy − Hy/yᵀHy.

    Args:
        inverse: H, [n, n]; overwritten.
        step, gradient_change: s = x₊ − x and y = g₊ − g, with sᵀy > 0.
        scaled_gradient: α g, so that H⁻¹s = −αg.
        inverse_is_identity: H is the identity, whose scale means nothing: τ takes it over from y.
    """
    rho = 1 / float(step @ gradient_change)
    h_y = inverse @ gradient_change
    size = float(gradient_change @ h_y)
    h, b = size * rho, -float(step @ scaled_gradient) * rho
    a = max(h * b - 1, 1e-14)  # Cauchy and Schwarz: never below 0 but by rounding
    least = min(1.0, h * (1 - math.sqrt(a / (1 + a))))
    theta = max((least - 1) / a, min(1 / least, (1 - b) / b))
    sigma = 1 + theta * a
    power = abs(sigma) ** (1 / (1 - len(step))) if len(step) > 1 else 1.0
    if inverse_is_identity:
        tau = h / sigma
    elif theta <= 0:
        tau = min(min(1.0, 1 / b) * power, sigma)
    else:
        tau = min(1.0, 1 / b) * min(power, 1 / theta)
    v = rho * step - h_y / size
    inverse.addr_(h_y, h_y, alpha=-1 / size)
    inverse.addr_(v, v, alpha=size * (1 - theta) / sigma)
    inverse /= tau
    return inverse.addr_(step, step, alpha=rho)


@dataclass
class _Evaluations:
    """Loss and gradient, each point evaluated once; a point without numbers is a wall."""

    problem: LeastSquares
    like: torch.Tensor
    evaluations: int = 0
    last: tuple[bytes, float, torch.Tensor] | None = field(default=None)
    highest: float = 0.0

    def at(self, x: torch.Tensor) -> tuple[float, torch.Tensor]:
        key = _numpy(x).tobytes()
        if self.last is None or self.last[0] != key:
            loss, gradient = self.problem.loss_and_gradient(x)
            self.evaluations += 1
            if self.evaluations == 1:
                self.highest = 10 * abs(loss)
            elif not (math.isfinite(loss) and bool(gradient.isfinite().all())):
                loss, gradient = self.highest, torch.zeros_like(gradient)
            self.last = (key, loss, gradient)
        return self.last[1], self.last[2]

    def value(self, values: np.ndarray) -> float:
        return self.at(self._tensor(values))[0]

    def slope(self, values: np.ndarray) -> np.ndarray:
        return _numpy(self.at(self._tensor(values))[1])

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=self.like.dtype, device=self.like.device)


def _numpy(x: torch.Tensor) -> np.ndarray:
    return np.asarray(x.double().cpu().numpy())
