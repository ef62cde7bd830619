"""What a check notices in the equation, its fields, coefficients and conditions."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from pacpde import Measurements, MissingConditionWarning, SolverError, fit
from pacpde.physics import (
    Axis,
    Dirichlet,
    Evolution,
    Neumann,
    PointValue,
    Problem,
    coefficient,
    families,
)
from pacpde.physics.dependence import (
    dependence,
    read_coefficients,
    warn_of_missing_conditions,
)
from pacpde.physics.findings import Verdict
from pacpde.reference import solve
from tests.equations import Level


def _rows(u: Any, d: Any, k: float) -> Any:
    """Stokes flow: two momentum equations and a constraint."""
    v, w, p = u
    return (
        d(v, "xx") + d(v, "yy") - d(p, "x") + k,
        d(w, "xx") + d(w, "yy") - d(p, "y"),
        d(v, "x") + d(w, "y"),
    )


@dataclass(frozen=True)
class Stokes(Problem):
    axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    fields = ("v", "w", "p")
    name = "test_stokes"
    rows_given: ClassVar[Callable[..., Any]] = staticmethod(_rows)
    given: ClassVar[tuple[Any, ...]] = (
        Dirichlet("boundary", 0.0, field=("v", "w")),
        PointValue({"x": 0.0, "y": 0.0}, 0.0, field="p"),
    )

    k: float = coefficient(1.0, lower=0.1, upper=2.0, meaning="force")

    def residual(self, u: Any, d: Any) -> Any:
        return self.rows_given(u, d, self.k)

    def conditions(self) -> Any:
        return self.given


def varied(**changes: Any) -> Problem:
    return dataclass(frozen=True)(type("Varied", (Stokes,), changes))()


def wrong(problem: Problem, verdict: Verdict = Verdict.WRONG) -> list[str]:
    return [one.sentence for one in dependence(problem) if one.verdict == verdict]


def test_a_sound_system_has_nothing_wrong() -> None:
    assert list(dependence(Stokes())) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (lambda u, d, k: _rows(u, d, k)[:2], ["gives 2 rows for the 3 fields v, w, p"]),
        (lambda u, d, k: (*_rows(u, d, k), 2 * k), ["Row 4 of the residual"]),
        (
            lambda u, d, k: _rows((u[0], u[1], u[0]), d, k),
            ["No row of the residual", "the field p, so"],
        ),
        (
            lambda u, d, k: (*_rows(u, d, k)[:2], d(u[0], "x") + d(u[1], "y") + cut(u[2])),
            ["Torch cannot differentiate all of row 3"],
        ),
        (lambda u, d, k: _rows(u, d, 1.0), ["Nothing reads the coefficient k (force)"]),
        (
            lambda u, d, k: _rows(u, d, 1 / (k - 0.1)),
            ["At k = 0.1, within its bounds, there is no", "ZeroDivisionError: float division"],
        ),
        (
            lambda u, d, k: _rows(u, d, np.log(np.float64(2 - k))),
            ["At k = 2, within its bounds, row 1 is not finite"],
        ),
    ],
    ids=["too few rows", "constant", "unread field", "cut", "unread coefficient", "1/0", "log 0"],
)
def test_what_is_wrong_in_the_equation_is_said(rows: Any, words: list[str]) -> None:
    sentences = wrong(varied(rows_given=staticmethod(rows)))
    assert len(sentences) == 1
    assert all(word in sentences[0] for word in words)


def test_a_large_constant_hides_no_derivative() -> None:
    """Differences of numbers of size 1e8 are known to 1e-3 alone."""
    large = staticmethod(lambda u, d, k: tuple(row + 1e8 for row in _rows(u, d, k)))
    assert wrong(varied(rows_given=large)) == []


@dataclass(frozen=True)
class Rooted(Evolution):
    """A start that is no number for x < 1/2, whatever the coefficient."""

    name = "test_rooted"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    k: float = coefficient(1.0, lower=0.1, upper=2.0, meaning="diffusivity")

    def rhs(self, u: Any, d: Any) -> Any:
        return self.k * d(u, "xx")

    def initial(self, x: Any) -> Any:
        return (x - 0.5) ** 0.5

    def conditions(self) -> Any:
        return [Dirichlet("x", 0.0)]


def test_a_start_that_is_no_number_is_said_once() -> None:
    (sentence,) = wrong(Rooted())
    assert sentence.startswith("Initial u is not finite at ") and "root" in sentence
    assert 0.4 < float(sentence.split(" at ")[1].split("%")[0]) / 100 < 0.6


def cut(values: Any) -> Any:
    """What torch does not follow."""
    return values.detach() ** 2 if isinstance(values, torch.Tensor) else values**2


def test_a_pressure_that_is_known_but_for_a_constant_is_to_be_pinned() -> None:
    (sentence,) = wrong(varied(given=Stokes.given[:1]))
    assert "p and p + 1 are both solutions" in sentence
    assert 'PointValue({"x": 0, "y": 0}, 0.0, field="p")' in sentence


def test_missing_conditions_of_a_steady_problem_are_doubtful() -> None:
    held = (Dirichlet("x", 0.0, field=("v", "w")), Dirichlet("y-", 0.0, field=("v", "w")))
    sentences = wrong(varied(given=(*held, Stokes.given[1])), Verdict.DOUBTFUL)
    assert len(sentences) == 2
    assert sentences[0].startswith("v has derivatives of order 2 in y and no condition at y+:")


@dataclass(frozen=True)
class Beam(Problem):
    """u'' = w, w'' = f: clamped, it has two conditions of u at each end and none of w."""

    given: ClassVar[list[Any]] = []

    name = "test_beam"
    axes = (Axis("x", 0.0, 1.0),)
    fields = ("u", "w")

    def residual(self, w: Any, d: Any) -> Any:
        return d(w[0], "xx") - w[1], d(w[1], "xx") - 1.0

    def conditions(self) -> Any:
        return list(self.given)


def test_conditions_of_one_field_may_stand_for_those_of_another() -> None:
    held, clamped = Dirichlet("x", 0.0, field="u"), Neumann("x", 0.0, field="u")

    class Clamped(Beam):
        given: ClassVar[list[Any]] = [held, clamped]

    class Held(Beam):
        given: ClassVar[list[Any]] = [held]

    assert wrong(Clamped(), Verdict.DOUBTFUL) == []
    (sentence,) = wrong(Held(), Verdict.DOUBTFUL)
    assert sentence.startswith("w has derivatives of order 2 in x and no condition at x- and x+:")


@dataclass(frozen=True)
class Rod(Problem):
    """u_ttxx = 0: two conditions at the start and one at each end make it one."""

    given: ClassVar[list[Any]] = []

    name = "test_rod"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    def residual(self, u: Any, d: Any) -> Any:
        return d(u, "ttxx") - u

    def conditions(self) -> Any:
        return list(self.given)


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        ([Dirichlet("t-", 1.0), Neumann("t-", 0.0), Dirichlet("x", 1.0)], []),
        ([Dirichlet("t-", 1.0), Dirichlet("x", 1.0)],
         ["order 2 in t and only 1 of 2 conditions at t-"]),
        ([Dirichlet("t-", 1.0), Neumann("t-", 0.0)],
         ["order 2 in x and no condition at x- and x+"]),
        ([Dirichlet("x", 1.0)], ["order 2 in t and no condition at t-"]),
    ],
)  # fmt: skip
def test_fits_and_references_warn_of_missing_conditions(
    monkeypatch: pytest.MonkeyPatch, given: list[Any], sentences: list[str]
) -> None:
    monkeypatch.setattr(Rod, "given", given)
    problem = Rod()
    for run in (
        lambda: fit(problem, width=3, depth=1, points=10, steps=1),
        lambda: solve(problem),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with suppress(SolverError):
                run()
        said = [str(one.message) for one in caught if one.category is MissingConditionWarning]
        assert len(said) == len(sentences)
        assert all(part in text for text, part in zip(said, sentences, strict=True))


def constants_said(problem: Problem, **given: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(problem, width=3, depth=1, points=10, steps=1, **given)
    return [str(one.message) for one in caught if one.category is MissingConditionWarning]


def test_a_fit_warns_of_a_constant_that_may_be_added() -> None:
    (sentence,) = constants_said(Level())
    assert "u and u + 1 are both solutions. Pin it by PointValue({" in sentence
    measured = Measurements(np.array([[0.5]]), np.array([[0.0]]))
    assert constants_said(Level(), data=measured) == []  # they tell the constant


def test_no_family_of_ours_is_warned_of() -> None:
    assert len(families.names()) > 40
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in families.names():
            warn_of_missing_conditions(families.get(name)(), stacklevel=1)


@dataclass(frozen=True)
class Insulated(Evolution):
    name = "test_insulated"
    axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

    a: float = coefficient(1.0, lower=0.5, upper=2.0, meaning="diffusivity")
    b: float = coefficient(1.0, lower=0.5, upper=2.0, meaning="size of the start")
    q: float = coefficient(1.0, lower=0.5, upper=2.0, meaning="flux")

    def rhs(self, u: Any, d: Any) -> Any:
        return self.a * d(u, "xx")

    def initial(self, x: Any) -> Any:
        return self.b * x**2

    def conditions(self) -> Any:
        return [Neumann("x-"), Neumann("x+", self.q)]


def test_coefficients_are_read_in_equation_start_or_conditions() -> None:
    assert read_coefficients(Insulated()) == ["a", "b", "q"]
    assert list(dependence(Insulated())) == []  # the start gives the value of u


def test_a_start_without_condition_is_doubtful_where_there_is_no_evolution() -> None:
    @dataclass(frozen=True)
    class Unstarted(Problem):
        name = "test_unstarted"
        axes = (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))

        def residual(self, u: Any, d: Any) -> Any:
            return d(u, "t") - d(u, "xx") + u

        def conditions(self) -> Any:
            return [Dirichlet("x", 0.0)]

    (sentence,) = wrong(Unstarted(), Verdict.DOUBTFUL)
    assert "u has derivatives of order 1 in t and no condition at t-" in sentence


def test_random_fields_are_of_the_declared_sizes() -> None:
    """Roots of fields are numbers: they are tried at positive values."""

    def rows(u: Any, d: Any, k: float) -> Any:
        first, *others = _rows(u, d, k)
        return first + u[0] ** 0.5, *others

    with np.errstate(all="raise"):
        assert wrong(varied(rows_given=staticmethod(rows))) == []


def test_a_condition_that_takes_no_tensors_fails_in_the_check() -> None:
    numbers = Dirichlet("x-", lambda y: np.asarray(y) ** 2, field=("v", "w"))
    with pytest.raises(RuntimeError, match="requires grad"):
        wrong(varied(given=(numbers, Dirichlet("x+", field=("v", "w")), *Stokes.given[1:])))


def test_a_row_of_coordinates_alone_is_said_where_it_is_not_always_a_number() -> None:
    def rows_of(u: Any, d: Any, k: float) -> Any:
        return (*_rows(u, d, k), (d.coordinates["x"] - 0.5) ** 0.5)

    with np.errstate(invalid="ignore"):
        sentences = wrong(varied(rows_given=staticmethod(rows_of)))
    assert any("Row 4 of the residual" in own and "does not depend" in own for own in sentences)
