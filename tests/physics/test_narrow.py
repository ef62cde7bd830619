"""Features that points and grids miss: found, and neither fitted nor certified over."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import pytest

from pacpde import fit
from pacpde.errors import SolverError
from pacpde.physics import Axis, Dirichlet, Evolution, Problem
from pacpde.physics.description import description
from pacpde.physics.elementary import cos, exp, sin
from pacpde.physics.narrow import RIGHT_HAND_SIDE, START, NarrowFeature
from pacpde.problems import Burgers, BurgersPeriodic, Heat, Heat2D, HeatModes, Lorenz
from pacpde.reference import solve

CENTRE = {"t": 0.7331, "x": 0.2713, "y": 0.6137, "z": 0.5519}


def problem(
    source: Callable[..., Any] = lambda **at: 0.0,
    start: Callable[..., Any] = lambda x, *others: sin(pi * x),
    space: str = "x",
) -> Problem:
    @dataclass(frozen=True)
    class Made(Evolution):
        axes = (Axis("t", 0.0, 1.0), *(Axis(name, 0.0, 1.0) for name in space))

        def conditions(self) -> Any:
            return [Dirichlet("boundary", 0.0)]

        def rhs(self, u: Any, d: Any) -> Any:
            return 0.1 * sum(d(u, 2 * name) for name in space) + source(**d.coordinates)

        def initial(self, *at: Any) -> Any:
            return start(*at)

    Made.name = "made"
    return Made()


def spark(width: float, names: str, content: float = 0.3) -> Callable[..., Any]:
    """A Gaussian of some content around `CENTRE`, in some coordinates."""

    def source(**at: Any) -> Any:
        far = sum((at[name] - CENTRE[name]) ** 2 for name in names)
        return content / (pi**0.5 * width) ** len(names) * exp(-far / width**2)

    return source


def test_what_rounding_makes_is_no_feature() -> None:
    """4 (x − ½) u_x differs from a line by its last digit, most of all at places of no meaning."""

    @dataclass(frozen=True)
    class Made(Problem):
        name = "made"
        axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))

        def conditions(self) -> Any:
            return [Dirichlet("boundary", lambda x, y: 1.0 + x)]

        def residual(self, u: Any, d: Any) -> Any:
            x, y = d.coordinates["x"], d.coordinates["y"]
            drift = 4 * (x - 0.5) * d(u, "x") + 4 * (y - 0.5) * d(u, "y")
            return 0.05 * (d(u, "xx") + d(u, "yy")) - drift

    assert Made().narrow_features == ()


def test_a_sentence_keeps_the_names_of_axes() -> None:
    source = spark(1e-3, "tx")
    made = problem(lambda t, X: source(t=t, x=X), lambda X: sin(pi * X), space="X")
    (sentence,) = (one.sentence for one in description(made) if one.about == "narrow")
    assert sentence.startswith("Near t = 0.7331, X = 0.2713 the right-hand side")


@pytest.mark.parametrize(
    ("width", "names", "space"),
    [(1e-3, "tx", "x"), (1e-4, "tx", "x"), (1e-6, "t", "x"), (2e-3, "txy", "xy"),
     (4e-3, "xyz", "xyz")],
)  # fmt: skip
def test_a_spark_is_found_with_its_place_width_and_height(
    width: float, names: str, space: str
) -> None:
    (found,) = problem(spark(width, names), space=space).narrow_features
    assert (found.what, found.field) == (RIGHT_HAND_SIDE, 0)
    assert found.height == pytest.approx(0.3 / (pi**0.5 * width) ** len(names), rel=0.05)
    assert set(found.widths) == set(names)
    for name in names:
        assert found.place[name] == pytest.approx(CENTRE[name], abs=width / 10)
        # half of its height is at 0.83 widths; sizes are tried by factors of two
        assert 0.83 * width <= found.widths[name] <= 1.7 * width


def test_a_spike_of_the_start_is_found() -> None:
    (found,) = problem(
        start=lambda x: sin(pi * x) + 1e4 * exp(-(((x - 0.4137) / 1e-5) ** 2))
    ).narrow_features
    assert found.what == START and found.place["x"] == pytest.approx(0.4137, abs=1e-6)


@pytest.mark.parametrize(
    "smooth",
    [
        Heat(), HeatModes(), Burgers(), BurgersPeriodic(), Heat2D(), Lorenz(),
        problem(lambda t, x: exp(-(((x - 0.3) / 0.1) ** 2))),
        problem(lambda t, x: cos(30 * t) * x),
        problem(lambda t, x: x**4, lambda x: (1 - x) * sin(9 * x)),
        problem(lambda t, x, y: sin(20 * x * y), lambda x, y: sin(pi * x) * sin(pi * y), "xy"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_smooth_has_none(smooth: Problem) -> None:
    assert smooth.narrow_features == ()


SMALL = {"width": 8, "depth": 2, "points": 100, "steps": 10}
MISSED = {
    "spark": problem(spark(2e-4, "tx")),
    "flash": problem(spark(1e-6, "t")),
    "spot in three dimensions": problem(
        spark(5e-3, "xyz", 0.2),
        lambda x, y, z: sin(pi * x) * sin(pi * y) * sin(pi * z),
        "xyz",
    ),
    "spike of the start": problem(
        start=lambda x: sin(pi * x) + 1.7e5 * exp(-(((x - 0.4137) / 1e-6) ** 2))
    ),
}  # each of them changes the solution by a third or more


@pytest.mark.parametrize("name", MISSED)
@pytest.mark.filterwarnings("ignore::pacpde.errors.ContradictionWarning")
def test_a_fit_that_cannot_see_it_does_not_call_itself_right(name: str) -> None:
    made = fit(MISSED[name], **SMALL)
    assert made.outcome in ("not_converged", "drifted")
    assert made.assessment is not None
    if name == "spark":
        assert made.assessment.residual > 0.9
        assert "near t = 0.7331, x = 0.2713 the right-hand side" in made.assessment.notes[-1]


def test_a_spark_in_a_steady_problem_is_found_and_not_called_right() -> None:
    """In the second row, beside a first one without a source."""
    source = spark(2e-4, "xy")

    @dataclass(frozen=True)
    class Steady(Problem):
        axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        fields = ("u", "v")
        scales = (1.0, 1.0)

        def conditions(self) -> Any:
            return [Dirichlet("boundary", 0.0)]

        def residual(self, u: Any, d: Any) -> Any:
            first, second = u
            rows = [d(field, "xx") + d(field, "yy") for field in (first, second)]
            return rows[0] + first - 1, rows[1] + source(**d.coordinates)

    Steady.name = "steady"
    (found,) = Steady().narrow_features
    assert (found.what, found.field) == (RIGHT_HAND_SIDE, 1)
    assert found.place == pytest.approx({"x": 0.2713, "y": 0.6137}, abs=2e-5)
    made = fit(Steady(), **SMALL)
    assert made.outcome == "not_converged"
    assert made.assessment is not None and made.assessment.residual > 0.9


@pytest.mark.parametrize("name", ["spark", "flash", "spike of the start"])
def test_no_reference_is_certified_over_it(name: str) -> None:
    with pytest.raises(SolverError, match="nothing up to"):
        solve(MISSED[name], tolerance=1e-6, loosest=0.1)


@pytest.mark.parametrize(("names", "what"), [("tx", RIGHT_HAND_SIDE), ("x", START)])
def test_a_box_stands_for_its_share_of_the_domain(names: str, what: str) -> None:
    """Mean over the box times its share and the domain's volume: the integral, that is known."""

    @dataclass(frozen=True)
    class Long(Evolution):
        axes = (Axis("t", 0.0, 2.0), Axis("x", -1.0, 4.0), Axis("y", 0.0, 3.0))

        def rhs(self, u: Any, d: Any) -> Any:
            return d(u, "xx") + d(u, "yy")

        def initial(self, *at: Any) -> Any:
            return 0.0

        def conditions(self) -> Any:
            return [Dirichlet("boundary", 0.0)]

    Long.name = "long_box"
    place, widths = {"t": 0.7, "x": 0.9, "y": 1.0}, dict.fromkeys(names, 0.01)
    feature = NarrowFeature(what, 0, 1.0, place, widths, 1e-3)
    points, share = feature.box(Long(), 40_000)
    far = sum((points[:, "txy".index(name)] - place[name]) ** 2 for name in names)
    values = np.exp(-far / 0.01**2)
    volume = 5 * 3 * (2 if what == RIGHT_HAND_SIDE else 1)
    whole = (pi**0.5 * 0.01) ** len(names) * 3
    assert values.mean() * share * volume == pytest.approx(whole, rel=0.03)  # 40,000 at random
    assert what == RIGHT_HAND_SIDE or (points[:, 0] == 0).all()
    edge = NarrowFeature(what, 0, 1.0, place | {"x": 4.0}, widths, 1e-3)  # half of it is outside
    assert edge.box(Long(), 10)[1] == pytest.approx(share / 2, rel=1e-12)
