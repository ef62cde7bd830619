"""What the four grounds of PAC-Net share: cases, and pairs of a source and a target."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pacpde import Surrogate

Found = dict[str, np.ndarray]  # name → values at the test points
Attempt = Callable[[], Found]
Unit = tuple[int, float]  # number of labels; their noise, in standard deviations of a field

METHODS = ("pac", "pac_net", "packnet", "warm_start", "l2sp", "lora", "last_layer", "scratch")
SLOW = ("bss", "lwf", "transtailor")
DISTILLED = 200  # rows of the source's table that the slow methods are given


class Pair(ABC):
    """A source and a target of one seed."""

    @abstractmethod
    def attempts(self, unit: Unit, methods: Sequence[str]) -> Iterator[tuple[str, Attempt]]:
        """Names of rivals and methods, with what computes their values at the test points."""

    @abstractmethod
    def measures(self, values: np.ndarray) -> dict[str, float]:
        """The error of values at the test points; of classes their accuracy too."""


@dataclass(frozen=True)
class Case(ABC):
    """What is moved where.

    Attributes:
        name: of the case in its ground.
        units: numbers of labels, with their noise.
        methods: those that are tried.
        slow, slow_at: methods that take long, and the units at which they are tried too.
    """

    name: str
    units: tuple[Unit, ...]
    methods: tuple[str, ...] = METHODS
    slow: tuple[str, ...] = SLOW
    slow_at: tuple[Unit, ...] = ()

    error: ClassVar[str]  # the name of what is measured

    @abstractmethod
    def pair(self, seed: int, settings: Mapping[str, int]) -> Pair:
        """The source and the target of a seed.

        Args:
            settings: of all fits, beside those of the case.
        """

    def methods_at(self, unit: Unit) -> tuple[str, ...]:
        return (*self.methods, *self.slow) if unit in self.slow_at else self.methods


def values_of(
    moved: Any, name: str, values: Callable[[Surrogate], np.ndarray], allocated: bool = True
) -> Found:
    """Values of the target's surrogate, and of PAC those of the allocated source too."""
    found = {name: values(moved.surrogate)}
    if name == "pac" and allocated and "allocated" in moved.snapshots:
        found["allocated"] = values(moved.snapshots["allocated"])
    return found
