"""Coefficients as coordinates of a library: ranges, scaling, points in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from pacpde.errors import InvalidValueError, short, unknown
from pacpde.physics.numbers import as_plain
from pacpde.physics.problem import Problem
from pacpde.runtime import generator

DECADES = 3.0  # ratio of the ends of a range from which on its coefficient is measured by its log
SLACK = 1e-9  # of a range, by which rounding may put a coefficient outside of it


@dataclass(frozen=True)
class CoefficientRange:
    """A box of coefficients around one problem; the others stay as they are in it.

    Attributes:
        problem: has the coefficients that do not change, and the time span.
        ranges: coefficient → (lower, upper).

    Example:
        >>> box = CoefficientRange(Burgers(nu=0.01), {"nu": (0.003, 0.03)})
        >>> box.unit(Burgers(nu=0.003))
        array([0.])
    """

    problem: Problem
    ranges: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        if not isinstance(self.ranges, Mapping) or not self.ranges:
            raise InvalidValueError(
                f"the ranges are {short(self.ranges)}, expected a mapping of coefficients to "
                'pairs: write {"nu": (0.003, 0.03)}.'
            )
        declared = self.problem.declared()
        for name, pair in self.ranges.items():
            if name not in declared:
                raise unknown(f"coefficient of {self.problem.name}", name, declared)
            about = declared[name]
            ends = [as_plain(end) for end in pair] if _is_pair(pair) else []
            numbers = [end for end in ends if end is not None]
            if len(numbers) < 2 or not about.lower <= numbers[0] < numbers[1] <= about.upper:
                raise InvalidValueError(
                    f"the range of {name} is {short(pair)}, expected two numbers, the smaller one "
                    f"first, from {about.lower:g} to {about.upper:g}."
                )
        plain = {name: (float(pair[0]), float(pair[1])) for name, pair in self.ranges.items()}
        object.__setattr__(self, "ranges", plain)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.ranges)

    def is_same(self, other: "CoefficientRange") -> bool:
        """Whether another box holds the same problems."""
        middle = [0.5] * len(self.ranges)
        return self.ranges == other.ranges and self.at(middle) == other.at(middle)

    def unit(self, problem: Problem) -> np.ndarray:
        """The coefficients of a problem mapped to [0, 1] each, [coefficients]."""
        values = []
        for name, (lower, upper) in self.ranges.items():
            value = getattr(problem, name)
            if self.by_log(name):
                tiny = lower * 1e-3
                value, lower, upper = np.log([max(value, tiny), lower, upper])
            values.append((value - lower) / (upper - lower))
        return np.array(values)

    def at(self, unit: Sequence[float]) -> Problem:
        """The problem at coordinates in [0, 1]; the inverse of `unit`."""
        values = {}
        for share, (name, (lower, upper)) in zip(unit, self.ranges.items(), strict=True):
            if self.by_log(name):
                value = lower * (upper / lower) ** share
            else:
                value = lower + (upper - lower) * share
            values[name] = float(np.clip(value, lower, upper))
        return self.problem.with_coefficients(**values)

    def holds(self, problem: Problem) -> bool:
        """Whether a problem lies in the box."""
        unit = self.unit(problem)
        return bool(((unit >= -SLACK) & (unit <= 1 + SLACK)).all())

    def candidates(self, count: int) -> list[Problem]:
        """Problems that fill the box, its corners first, then what lies between, halved again.

        Those of several coefficients are Sobol points.
        """
        if len(self.ranges) == 1:
            shares = np.linspace(0, 1, count)
            return [self.at([share]) for share in shares[spread(shares[:, None], count)]]
        from scipy.stats import qmc  # it takes most of a second to import

        corners = list(product((0.0, 1.0), repeat=len(self.ranges)))
        engine = qmc.Sobol(len(self.ranges), scramble=True, rng=generator(0, "candidates"))
        more = max(count - len(corners), 1)
        inside = engine.random_base2((more - 1).bit_length())[:more]
        return [self.at(unit) for unit in [*corners, *inside]]

    def random(self, count: int, seed: int) -> list[Problem]:
        """Random problems in the box."""
        rng = generator(seed, "targets")
        return [self.at(unit) for unit in rng.random((count, len(self.ranges)))]

    def problems(self, coefficients: Any) -> list[Problem]:
        """Problems as they are, or from values of the coefficients.

        Args:
            coefficients: a problem or several; or name → number, or numbers of one length; or, with
                one coefficient alone, a number or numbers.

        Raises:
            InvalidValueError: it is none of these.
        """
        if isinstance(coefficients, Mapping):
            for name in coefficients:
                if name not in self.ranges:
                    raise unknown("coefficient of the library", name, self.names)
            return self._from_columns(
                {name: self._numbers(name, own) for name, own in coefficients.items()}
            )
        values = _listed(coefficients)
        if all(isinstance(value, Problem) for value in values):
            return values
        if len(self.ranges) > 1:
            raise InvalidValueError(
                f"there are {len(self.ranges)} coefficients, {', '.join(self.names)}: give a "
                "mapping of each to its values, or problems."
            )
        (name,) = self.names
        return self._from_columns({name: self._numbers(name, values)})

    def problem_of(self, coefficients: Any) -> Problem:
        """The one problem of what `problems` takes."""
        problems = self.problems(coefficients)
        if len(problems) != 1:
            raise InvalidValueError(
                f"{short(coefficients)} stands for {len(problems)} targets, expected one: "
                "solve_many takes several."
            )
        return problems[0]

    def _numbers(self, name: str, values: Any) -> list[float]:
        numbers = []
        for value in _listed(values):
            number = as_plain(value)
            if number is None:
                raise InvalidValueError(
                    f"{name} is {short(value)}, expected a number: give {name} as numbers, or "
                    f"problems such as {self.at([0.5] * len(self.ranges))}."
                )
            numbers.append(number)
        return numbers

    def _from_columns(self, columns: Mapping[str, list[float]]) -> list[Problem]:
        """A problem a row; a column of one number stands for any length."""
        lengths = {len(column) for column in columns.values()} - {1}
        if len(lengths) > 1:
            counts = ", ".join(f"{len(column)} of {name}" for name, column in columns.items())
            raise InvalidValueError(f"there are {counts}: give as many of each, or one for all.")
        count = lengths.pop() if lengths else min(len(columns), 1)
        return [
            self.problem.with_coefficients(
                **{name: float(own[k % len(own)]) for name, own in columns.items()}
            )
            for k in range(count)
        ]

    def by_log(self, name: str) -> bool:
        """Whether a coefficient is measured by its logarithm."""
        lower, upper = self.ranges[name]
        return lower > 0 and upper / lower > DECADES


def spread(units: np.ndarray, count: int) -> np.ndarray:
    """The numbers of some of many points [points, coefficients], which fill the range early.

    Each is the farthest from those before it, beginning with the first point, int [count].
    """
    numbers = [0]
    distances = np.abs(units - units[0]).max(1)
    while len(numbers) < min(count, len(units)):
        numbers.append(int(distances.argmax()))
        distances = np.minimum(distances, np.abs(units - units[numbers[-1]]).max(1))
    return np.array(numbers)


def _listed(values: Any) -> list[Any]:
    """Several values as a list; one, of which a string is, as a list of it."""
    if isinstance(values, str):
        return [values]
    try:
        return list(values)
    except TypeError:
        return [values]


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) and len(value) == 2
    )
