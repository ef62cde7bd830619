"""Evaluate `rhs` and `initial` of a problem at points, as numpy arrays."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pacpde.physics.derivatives import ChannelDerivative

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

Channels = Mapping[str, Sequence[np.ndarray]]  # derivative → one array a field; "" the fields


def rates_at(
    problem: "Problem", channels: Channels, coordinates: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """`rhs` for some fields and derivatives, one array a field, each of the shape of the fields.

    Values that are not finite are given as they are, without a warning.
    """
    d = ChannelDerivative(channels, problem.domain.names, coordinates)
    with np.errstate(all="ignore"):
        rates = problem.rates(d.fields, d)
    return _arrays(rates, np.shape(channels[""][0]))


def initial_at(
    problem: "Problem", space: Sequence[np.ndarray], shape: tuple[int, ...]
) -> list[np.ndarray]:
    """`initial` at space coordinates that broadcast to `shape`, one array a field."""
    with np.errstate(all="ignore"):
        fields = problem.initial_fields(*space)
    return _arrays(fields, shape)


def _arrays(values: Sequence[object], shape: tuple[int, ...]) -> list[np.ndarray]:
    return [np.broadcast_to(np.asarray(value, float), shape) for value in values]
