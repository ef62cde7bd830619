"""Self-scaled Broyden on the flat vector of trainable weights, with a strong-Wolfe line search."""

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import line_search

from pacpde.optim.base import Progress, State, optimisers
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

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        seen = _Seen(problem, x)
        loss, gradient = seen.at(x)
        inverse: torch.Tensor | None = state["inverse"].clone() if state else None
        best, lowest, taken, stalled = x, problem.loss(x), 0, not math.isfinite(loss)
        while taken < steps and not stalled:
            fresh = inverse is None
            if inverse is None:
                inverse = torch.eye(len(x), dtype=x.dtype, device=x.device)
            direction = -(inverse @ gradient)
            length = self._length(seen, x, direction, loss, gradient, fresh)
            if length is None:
                stalled, inverse = fresh, None
                continue
            moved = x + length * direction
            new_loss, new_gradient = seen.at(moved)
            step, turn = moved - x, new_gradient - gradient
            if float(step @ turn) > 0:  # else rounding has eaten the curvature
                inverse = updated(inverse, step, turn, length * gradient, fresh)
            x, loss, gradient = moved, new_loss, new_gradient
            taken += 1
            stalled = not loss < lowest
            if not stalled:
                best, lowest = x, loss
        kept = {} if inverse is None else {"inverse": inverse}
        return Progress(best, lowest, kept, taken, seen.evaluations + 1, stalled)

    def _length(
        self,
        seen: "_Seen",
        x: torch.Tensor,
        direction: torch.Tensor,
        loss: float,
        gradient: torch.Tensor,
        fresh: bool,
    ) -> float | None:
        """α along a direction; None where none is found."""
        before = loss + float(gradient.norm()) / 2 if fresh else None  # a short first trial
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is told by None
            length, *_ = line_search(
                seen.value, seen.slope, _numpy(x), _numpy(direction), _numpy(gradient), loss,
                before, c1=self.decrease, c2=self.slope,
            )  # fmt: skip
        return None if length is None else float(length)


def updated(
    inverse: torch.Tensor,
    step: torch.Tensor,
    turn: torch.Tensor,
    pulled: torch.Tensor,
    first: bool = False,
) -> torch.Tensor:
    """H₊ = (H − Hy(Hy)ᵀ/yᵀHy + φ yᵀHy vvᵀ)/τ + ssᵀ/sᵀy, with v = s/sᵀy − Hy/yᵀHy.

    Args:
        inverse: H, [n, n]; overwritten.
        step, turn: s = x₊ − x and y = g₊ − g, with sᵀy > 0.
        pulled: α g, so that H⁻¹s = −αg.
        first: H is the identity, whose scale means nothing: τ takes it over from y.
    """
    rho = 1 / float(step @ turn)
    bent = inverse @ turn
    size = float(turn @ bent)
    h, b = size * rho, -float(step @ pulled) * rho
    a = max(h * b - 1, 1e-14)  # Cauchy and Schwarz: never below 0 but by rounding
    least = min(1.0, h * (1 - math.sqrt(a / (1 + a))))
    theta = max((least - 1) / a, min(1 / least, (1 - b) / b))
    sigma = 1 + theta * a
    power = abs(sigma) ** (1 / (1 - len(step))) if len(step) > 1 else 1.0
    if first:
        tau = h / sigma
    elif theta <= 0:
        tau = min(min(1.0, 1 / b) * power, sigma)
    else:
        tau = min(1.0, 1 / b) * min(power, 1 / theta)
    v = rho * step - bent / size
    inverse.addr_(bent, bent, alpha=-1 / size)
    inverse.addr_(v, v, alpha=size * (1 - theta) / sigma)
    inverse /= tau
    return inverse.addr_(step, step, alpha=rho)


@dataclass
class _Seen:
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
