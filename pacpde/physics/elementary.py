"""Elementary functions that take a numpy array, a torch tensor or a number, and return its kind.

A problem written with these runs unchanged in scipy and under automatic differentiation. The number
`pi` is here too.
"""

from math import pi
from typing import Any

import numpy as np
import torch

__all__ = [
    "arctan", "cos", "cosh", "exp", "log", "pi", "sin", "sinh", "sqrt", "stacked", "tanh",
]  # fmt: skip

Array = Any  # numpy array, torch tensor or number: physics is written for all three


def _dispatch(name: str, value: Array) -> Array:
    return getattr(torch if isinstance(value, torch.Tensor) else np, name)(value)


def sin(value: Array) -> Array:
    return _dispatch("sin", value)


def cos(value: Array) -> Array:
    return _dispatch("cos", value)


def exp(value: Array) -> Array:
    return _dispatch("exp", value)


def log(value: Array) -> Array:
    return _dispatch("log", value)


def sqrt(value: Array) -> Array:
    return _dispatch("sqrt", value)


def tanh(value: Array) -> Array:
    return _dispatch("tanh", value)


def sinh(value: Array) -> Array:
    return _dispatch("sinh", value)


def cosh(value: Array) -> Array:
    return _dispatch("cosh", value)


def arctan(value: Array) -> Array:
    return _dispatch("arctan", value)


def stacked(*fields: Array) -> Array:
    """Fields that broadcast against each other as one array, [fields, ...]."""
    if any(isinstance(field, torch.Tensor) for field in fields):
        tensors = [torch.as_tensor(field, dtype=torch.float64) for field in fields]
        return torch.stack(torch.broadcast_tensors(*tensors))
    return np.stack(np.broadcast_arrays(*fields))
