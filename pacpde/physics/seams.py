"""Kinks of a start where a periodic axis closes, and how diffusion smooths them.

A start whose slope jumps at the seam is smooth on the axis and not on its circle, which is what a
network sees. With y = (ℓ/π) sin(θ/2) for the angle θ of an axis of the length ℓ, |y| has the same
kink, and under u_t = ε u_xx it becomes

    K(y, t) = √(4εt/π) exp(−y²/4εt) + y erf(y/√(4εt)),

the convolution of |y| with the heat kernel (Carslaw & Jaeger 1959, Conduction of Heat in Solids,
section 2.2). Without diffusion K = |y|. What is left of the solution is smooth in K and the circle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch

from pacpde.physics.contradictions import SLOPES, StartOnLines
from pacpde.physics.derivatives import ChannelDerivative, taylor_channels
from pacpde.physics.domain import Axis

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

SOONEST = 1e-14  # share of the time span below which a kink is that of the start
CARRIED = 1e-2  # share of the axis that a kink may move over in the time span


@dataclass(frozen=True)
class SeamKink:
    """A kink where a periodic axis closes.

    Attributes:
        axis: that closes.
        time: the axis of the time.
        diffusivity: ε there, at the start; 0 where nothing smooths the kink.
    """

    axis: Axis
    time: Axis
    diffusivity: float

    def smoothed(self, x: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """K at coordinates, over ℓ/π: from 0 at the seam to 1 opposite to it."""
        angle = 2 * pi * (x[self.axis.name] - self.axis.lower) / self.axis.length
        y = torch.sin(angle / 2)
        if not self.diffusivity:
            return y
        since = (x[self.time.name] - self.time.lower).clamp_min(0) + SOONEST * self.time.length
        width = 2 * sqrt(self.diffusivity) * pi / self.axis.length * since.sqrt()
        share = y / width
        return width / sqrt(pi) * torch.exp(-(share**2)) + y * torch.erf(share)


def seam_kinks(problem: "Problem") -> tuple[SeamKink, ...]:
    """The kinks of a start at the seams of its periodic axes, of which the local form is known.

    That is so in equations of first order in time, where what is carried along the axis stays at
    the seam, and where no derivative above the second one smooths it in another way.
    """
    if problem.order != 1 or len(problem.domain.space) != 1:
        return ()
    (axis,) = problem.domain.space
    if axis.name not in problem.boundary.periodic or not any(
        one.slope and not one.narrow for one in problem.contradictions
    ):
        return ()
    starts = StartOnLines(problem)
    ends = np.array([axis.lower, axis.upper])
    values, slopes = (part[0] for part in starts.line(axis, ends))
    jumps = np.abs(slopes[1] - slopes[0]) > SLOPES * starts.size / axis.length
    if np.abs(values[1] - values[0]).max() > 1e-12 * starts.size.max() or not jumps.any():
        return ()
    time = problem.domain.axis("t")
    found = []
    for field in np.flatnonzero(jumps):
        of = _slopes_at_the_seam(problem, axis, int(field))
        if of is None:
            return ()
        carried, diffusivity = of
        if abs(carried) * time.length > CARRIED * axis.length or diffusivity < 0:
            return ()
        found.append(SeamKink(axis, time, diffusivity))
    return tuple(dict.fromkeys(found))


def _slopes_at_the_seam(problem: "Problem", axis: Axis, field: int) -> tuple[float, float] | None:
    """How fast a field is carried along an axis, and its diffusivity, at the seam of the start.

    None where higher derivatives are read, or mixed ones.
    """
    name, names = axis.name, problem.channels
    if any(channel not in ("", "t", name, 2 * name) for channel in names):
        return None

    def start(**at: torch.Tensor) -> torch.Tensor:
        one = torch.ones_like(at[name])
        return torch.stack([one * part for part in problem.evolution.initial_fields(at[name])], -1)

    own = ["", *(channel for channel in names if channel and "t" not in channel)]
    place = torch.tensor([axis.lower], dtype=torch.float64)
    jet = dict(zip(own, taylor_channels(start, {name: place}, own), strict=True))
    time = torch.full_like(place, problem.domain.axis("t").lower)
    channels = {
        channel: tuple(
            part.clone().requires_grad_(True)
            for part in jet.get(channel, torch.zeros_like(jet[""])).unbind(-1)
        )
        for channel in names
    }
    d = ChannelDerivative(channels, ["t", name], {"t": time, name: place})
    with torch.enable_grad():
        row = problem.rows(channels[""], d)[field]
    result = []
    for channel in (name, 2 * name):
        slope = None
        if channel in channels and isinstance(row, torch.Tensor) and row.requires_grad:
            leaf = channels[channel][field]
            (slope,) = torch.autograd.grad(row.sum(), leaf, retain_graph=True, allow_unused=True)
        result.append(0.0 if slope is None else -float(slope))
    return result[0], result[1]
