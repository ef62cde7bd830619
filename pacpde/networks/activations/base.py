"""What an activation is, and the registry of all of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import torch

from pacpde.errors import InvalidValueError
from pacpde.registry import Registry, check_defined, is_own
from pacpde.runtime import gradients

Slopes = list[torch.Tensor]  # an activation and its derivatives, one after the other

HIGHEST = 5  # fourth derivatives of the fields, and one more for the Jacobian
CLOSE = 1e-8  # of the largest derivative of an order: rounding of five nested derivatives is 1e-12


class Activation(ABC):
    """f, applied to every number of a tensor; smooth where derivatives of the fields are needed.

    A class with a `name` of its own is known by it, as `settings={"activation": "my_name"}`; in a
    file of your own, `--plugin my_activation.py`. Its derivatives come from automatic
    differentiation of `value`, which is slow. Give them in `derivatives` where you know them.

    Example:
        >>> class Gaussian(Activation):
        ...     name = "gaussian"
        ...
        ...     def value(self, z):
        ...         return torch.exp(-(z**2))
    """

    name: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            activations.register(cls.name, cls)

    @abstractmethod
    def value(self, z: torch.Tensor) -> torch.Tensor:
        """f(z), shaped like z; differentiable by torch."""

    def derivatives(self, z: torch.Tensor, order: int) -> Slopes:
        """[f(z), f'(z), ...] up to f⁽ᵒʳᵈᵉʳ⁾, each shaped like z; differentiable by torch.

        Args:
            order: from 1 to 5.
        """
        return list(nested_derivatives(self.value, order)(z))


Derivatives = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]


def nested_derivatives(value: Callable[[torch.Tensor], torch.Tensor], order: int) -> Derivatives:
    """z → (f, f', ...) by forward differentiation, each order around the one before."""
    if order == 0:
        return lambda z: (value(z),)
    inner = nested_derivatives(value, order - 1)

    def outer(z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values, slopes = torch.func.jvp(inner, (z,), (torch.ones_like(z),))[:2]
        return (*values, slopes[-1])

    return outer


@cache
def check_activation(activation: type[Activation]) -> None:
    """Refuse an activation that is incomplete or whose derivatives are not those of its value.

    Those of pacpde are checked by its tests, which saves a second in every process.

    Raises:
        InvalidValueError: it cannot be evaluated, or differs from automatic differentiation.
    """
    if is_own(activation):
        return
    check_defined("activation", activation)
    what = f"activation {activation.name!r}"
    z = torch.tensor([[-1.7, -0.6, 0.3], [0.8, 1.1, 2.4]], dtype=torch.float64, device="cpu")
    try:
        with gradients():
            found = activation().derivatives(z, HIGHEST)
            expected = nested_derivatives(activation().value, HIGHEST)(z)
            shapes = [tuple(own.shape) for own in found]
            alone = activation().value(z[:1, :1])
    except Exception as error:
        raise InvalidValueError(
            f"{what} cannot be evaluated with its derivatives ({type(error).__name__}: {error}): "
            "give its value by functions of torch, one number for each."
        ) from error
    if shapes != [tuple(z.shape)] * (HIGHEST + 1):
        raise InvalidValueError(
            f"{what} gives derivatives of the shapes {shapes} at an input of shape "
            f"{tuple(z.shape)} up to order {HIGHEST}: give f, f', ..., {HIGHEST + 1} in all, each "
            "of the shape of the input."
        )
    if not abs(float(alone) - float(found[0][0, 0])) <= CLOSE * max(1.0, abs(float(alone))):
        raise InvalidValueError(
            f"{what} is {float(alone):g} at {float(z[0, 0]):g} alone and {float(found[0][0, 0]):g} "
            "there among other numbers: give each number a value of its own."
        )
    for order, (own, other) in enumerate(zip(found, expected, strict=True)):
        place = int((own - other).abs().argmax())
        if not (own - other).abs().max() <= CLOSE * other.abs().max().clamp(min=1):
            raise InvalidValueError(
                f"{what}: its derivative of order {order} is {float(own.flatten()[place]):g} at "
                f"{float(z.flatten()[place]):g}, and that of its value is "
                f"{float(other.flatten()[place]):g}: correct `derivatives`, or leave it out."
            )


activations: Registry[type[Activation]] = Registry(
    "activation", "pacpde.networks.activations", check_activation
)
