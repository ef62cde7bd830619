"""Whether the fields at the start have the sizes and rates of change that a family declares."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from pacpde.physics.derivatives import taylor_channels
from pacpde.physics.evaluation import rates_at, start_at
from pacpde.physics.findings import Finding, Verdict
from pacpde.physics.problem import Problem

POINTS = 4096
SIZE_RATIO = 30  # of a field and its scale: a fit notes as much at its end
RATE_RATIO = 100  # of the unit of time and the time in which fields change


def start_sizes(problem: Problem) -> Iterator[Finding]:
    """Sizes of the start against `scales`, and its rate of change against the unit of time."""
    if not problem.order:
        return
    points = problem.domain.random(POINTS, np.random.default_rng(0))
    at = dict(zip(problem.domain.names, points.T, strict=True))
    start = [_size(values) for values in start_at(problem, at).values()]
    for field, scale, size in zip(problem.fields, problem.scales, start, strict=False):
        if size > SIZE_RATIO * scale or 0 < size < scale / SIZE_RATIO:
            yield Finding(
                "units",
                f"{field} has the size {size:.1e} at the start, and its scale is {scale:g}: if it "
                f"stays so, declare scales = (...) in the class, {size:.0e} for {field}.",
                Verdict.DOUBTFUL,
                {"field": field, "size": size, "scale": scale},
            )
    pairs = zip(problem.scales, start, strict=False)
    yield from _rates(problem, at, [max(scale, size) for scale, size in pairs])


def _rates(
    problem: Problem, at: dict[str, np.ndarray], units: Sequence[float]
) -> Iterator[Finding]:
    """Whether the fields change much faster than in the unit of time, as seconds in a day do.

    Args:
        units: of the fields: their sizes at the start, or their scales where these are larger.
    """
    at = {**at, "t": np.full(POINTS, problem.domain.axes[0].lower)}
    names = tuple(name for name in problem.channels if "t" not in name)
    columns = {
        axis.name: torch.from_numpy(at[axis.name].copy()) for axis in problem.domain.axes
    }  # t among them: an ODE starts at numbers

    def start(**here: torch.Tensor) -> torch.Tensor:
        space = [here[axis.name] for axis in problem.domain.space]
        one = torch.ones_like(here["t"])
        return torch.stack([one * part for part in problem.evolution.initial_fields(*space)], -1)

    jet = taylor_channels(start, columns, names).numpy()
    channels = {name: list(own.T) for name, own in zip(names, jet, strict=True)}
    # ∂u/∂t, which an equation of order 2 may read, is left at 0
    channels |= {
        name: [np.zeros(POINTS) for _ in problem.fields]
        for name in problem.channels
        if name not in channels
    }
    sizes = [_size(rate) for rate in rates_at(problem.evolution, channels, at)]
    rates = [size / unit for size, unit in zip(sizes, units, strict=True)]
    fastest = max(rates)
    if not 0 < fastest < np.inf:
        return
    time = fastest ** (-1.0 / problem.order)
    numbers = {"time": time, "unit": problem.time_unit}
    if problem.time_unit > RATE_RATIO * time:
        yield Finding(
            "units",
            f"At the start the fields change within a time of {time:.1e}, and a fit measures time "
            f"in {problem.time_unit:g}: if they do so throughout, declare time_scale = {time:.0e} "
            "and time_windows = 10 in the class, or end t earlier.",
            Verdict.DOUBTFUL,
            numbers,
        )
    else:
        yield Finding(
            "units",
            f"At the start the fields change within a time of {time:.1e}; t has the length "
            f"{problem.domain.axes[0].length:g}.",
            numbers=numbers,
        )


def _size(values: np.ndarray) -> float:
    """Root mean square of the finite ones."""
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
