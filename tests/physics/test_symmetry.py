"""A symmetry that a problem declares is one that its start, its edges and its equation have."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest

from pacpde.errors import InvalidValueError
from pacpde.physics import Axis, Dirichlet, Evolution, Periodic, Problem, coefficient, families
from pacpde.physics.elementary import cos, exp, sin
from pacpde.physics.stacked import stackable
from pacpde.problems import Burgers

PLANE = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0), Axis("y", -2.0, 2.0))


@dataclass(frozen=True)
class Reaction(Evolution):
    """u_t = 0.1 u_xx + b u², odd for b = 0 alone; without a name it stays out of the registry."""

    axes = PLANE[:2]
    odd = ("x",)

    b: float = coefficient(0.0, lower=-10.0, upper=10.0, meaning="reaction b")

    def conditions(self):
        return [Dirichlet("x", 0.0)]

    def rhs(self, u: Any, d: Any) -> Any:
        return 0.1 * d(u, "xx") + self.b * u * u

    def initial(self, *space: Any) -> Any:
        return -sin(pi * space[0])


Reaction.name = "reaction_without_a_name"


def like(**changes: Any) -> type[Problem]:
    """`Reaction` with other declarations or functions."""
    return dataclass(frozen=True)(type("Like", (Reaction,), changes))


def test_the_equation_is_tried_with_its_own_coefficients() -> None:
    assert Reaction(b=0.0).with_coefficients(b=0.0).b == 0
    for b in (2.0, -1e-6):
        with pytest.raises(InvalidValueError, match=r"odd in 'x', and it is not: the rhs of u at"):
            Reaction(b=b)


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an even start": ({"initial": lambda self, x: cos(pi * x / 2)}, "the initial u at x="),
    "a start of half the axis": ({"initial": lambda self, x: x**1.5}, "the initial u at x="),
    "a constant start": ({"initial": lambda self, x: 1.0}, "change initial"),
    "an even source": (
        {"rhs": lambda self, u, d: d(u, "xx") + exp(-(d.coordinates["x"] ** 2))},
        "change rhs",
    ),
    "a drift": ({"rhs": lambda self, u, d: d(u, "xx") - d(u, "x")}, "change rhs"),
    "one field of two": (
        {
            "fields": ("u", "v"),
            "scales": (1.0, 1e-6),
            "rhs": lambda self, w, d: (d(w[0], "xx"), d(w[1], "xx") + 1e6 * w[1] ** 2),
            "initial": lambda self, x: (sin(pi * x), 1e-6 * sin(pi * x)),
        },
        "the rhs of v",
    ),
    "seen only where the start is": (
        {"scales": (1e-6,), "rhs": lambda self, u, d: d(u, "xx") + 1e-4 * u**2},
        "the rhs of u",
    ),
    "one axis of two": (
        {
            "axes": PLANE,
            "conditions": lambda self: [Dirichlet("x", 0.0), Periodic("y")],
            "odd": ("x", "y"),
            "initial": lambda self, x, y: sin(pi * x) * cos(pi * y),
            "rhs": lambda self, u, d: d(u, "xx") + d(u, "yy"),
        },
        "odd in 'y', and it is not: the initial u",
    ),
    "both axes together": (
        {
            "axes": PLANE,
            "conditions": lambda self: [Periodic("x"), Periodic("y")],
            "odd": ("x", "y"),
            "initial": lambda self, x, y: sin(pi * x) * sin(pi * y),
            "rhs": lambda self, u, d: d(u, "xx") + d(u, "xy"),
        },
        "the rhs of u",
    ),
    "edges of another axis": (
        {"axes": PLANE, "conditions": lambda self: [Dirichlet("x", 0.0), Dirichlet("y", 1.0)]},
        "edges in 'y' have the values 1 and 1",
    ),
    "no such axis": ({"odd": ("z",)}, r"odd in 'z', expected one of its space axes \(x\)"),
    "time": ({"axes": (Axis("t", -1.0, 1.0), PLANE[1]), "odd": ("t",)}, "odd in 't', expected"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused(name: str) -> None:
    changes, words = CONTRADICTIONS[name]
    with pytest.raises(InvalidValueError, match=words):
        like(**changes)()


AGREEING: dict[str, dict[str, Any]] = {
    "sin u and cubes": {"rhs": lambda self, u, d: d(u, "xx") + sin(u) - u**3 + u * d(u, "x")},
    "an odd source": {"rhs": lambda self, u, d: d(u, "xx") + d.coordinates["x"] * u**2},
    "two axes": {
        "axes": PLANE,
        "conditions": lambda self: [Dirichlet("x", 0.0), Periodic("y")],
        "odd": ("x", "y"),
        "initial": lambda self, x, y: sin(pi * x) * sin(pi * y),
        "rhs": lambda self, u, d: d(u, "xx") + d.coordinates["x"] * d.coordinates["y"] * d(u, "xy"),
    },
    "at rest": {"initial": lambda self, x: 0.0},
    "odd edges": {
        "conditions": lambda self: [Dirichlet("x-", 1.0), Dirichlet("x+", -1.0)],
        "initial": lambda self, x: -x,
    },
}


@pytest.mark.parametrize("name", AGREEING)
def test_symmetric_problems_are_taken(name: str) -> None:
    assert like(**AGREEING[name])().odd


def test_the_bounds_of_every_family_are_symmetric() -> None:
    symmetric = [family for family in families if family.odd]
    assert Burgers in symmetric
    for family in symmetric:
        for name, about in family.declared().items():
            for value in (about.lower, about.upper):
                assert family.from_coefficients({name: value}).odd


def test_a_family_that_is_odd_for_some_coefficients_alone_fits_in_batches() -> None:
    assert stackable(Reaction)
    default = dataclass(frozen=True)(
        type(
            "Default",
            (Reaction,),
            {
                "__annotations__": {"b": float},
                "b": coefficient(1.0, lower=0.0, upper=2.0, meaning="reaction b"),
            },
        )
    )
    assert stackable(default) and default(b=0.0).odd
    with pytest.raises(InvalidValueError, match="the rhs of u"):
        default()


def test_a_fault_of_the_right_hand_side_is_said_where_it_is_used() -> None:
    def rhs(self: Problem, u: Any, d: Any) -> Any:
        return u * self.nothing  # type: ignore[attr-defined]

    made = like(rhs=rhs)()
    with pytest.raises(AttributeError, match="nothing"):
        _ = made.channels


def test_no_random_state_is_moved() -> None:
    np.random.seed(3)  # noqa: NPY002
    before = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    Burgers()
    assert np.random.random() == before  # noqa: NPY002
