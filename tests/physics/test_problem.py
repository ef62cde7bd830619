"""Coefficients and declarations are checked once, with a sentence that helps."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pacpde.errors import DataFileError, InvalidValueError, UnknownNameError
from pacpde.physics import Axis, Dirichlet, Evolution, Periodic, Problem, families
from pacpde.plugins import load_plugin
from pacpde.problems import Burgers, BurgersPeriodic, Heat, Heat2D, HeatModes, Lorenz
from pacpde.registry import Registry


@pytest.mark.parametrize(
    "value", [0.0, -0.1, 2.0, math.nan, math.inf, -math.inf, True, "0.1", None, [0.1]]
)
def test_a_coefficient_outside_its_bounds_is_refused(value: object) -> None:
    with pytest.raises(InvalidValueError, match=r"burgers: nu is .* expected a number from 0.0005"):
        Burgers(nu=value)


def test_bounds_themselves_are_allowed_and_become_floats() -> None:
    for family in families:
        for name, about in family.declared().items():
            assert about.lower <= about.default <= about.upper and about.meaning
            for end in (about.lower, about.upper):
                assert getattr(family(**{name: end}), name) == end
    assert type(Burgers(nu=1).nu) is float and type(Burgers(nu=np.float32(0.5)).nu) is float


@pytest.mark.parametrize("until", [0.0, -1.0, math.nan, math.inf, True, "1"])
def test_a_bad_time_span_is_refused(until: object) -> None:
    with pytest.raises(InvalidValueError, match="burgers: until is"):
        Burgers(until=until)


def test_until_moves_the_end_of_time_only() -> None:
    assert Burgers(until=2).domain.axes == (Axis("t", 0.0, 2.0), Axis("x", -1.0, 1.0))
    assert Burgers().domain.axes == Burgers.axes


def test_unknown_coefficients_list_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"coefficient of lorenz 'roh': did you mean rho"):
        Lorenz.from_coefficients({"roh": 28.0})
    with pytest.raises(UnknownNameError, match="'rho'"):
        Burgers().with_coefficients(rho=1.0)


def test_problems_are_values() -> None:
    assert Burgers(nu=0.02) == Burgers().with_coefficients(nu=0.02) != Burgers()
    assert Lorenz.from_coefficients({"rho": 28}) == Lorenz(rho=28.0)
    assert Lorenz(rho=28).coefficients == {"sigma": 10.0, "rho": 28.0, "beta": 8 / 3}
    assert len({Burgers(), Burgers(), BurgersPeriodic()}) == 2
    with pytest.raises(AttributeError):
        Burgers().nu = 0.5  # type: ignore[misc]


def test_channels_are_what_the_residual_needs() -> None:
    assert Burgers().channels == ("", "t", "x", "xx")
    assert set(Heat2D().channels) == {"", "t", "x", "y", "xx", "yy"}
    assert Lorenz().channels == ("", "t")


def declare(**attributes: object) -> type[Problem]:
    body = {
        "name": "test_declared",
        "axes": (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0)),
        "conditions": lambda self: [Dirichlet("x", 0.0)],
        "rhs": lambda self, u, d: d(u, "xx"),
        "initial": lambda self, x: 0 * x,
        **attributes,
    }
    return type("Declared", (Evolution,), body)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"axes": (Axis("x", -1.0, 1.0),)}, "'t' comes first"),
        ({"axes": (Axis("t", 0.0, 1.0), Axis("t", 0.0, 1.0))}, "differ"),
        ({"conditions": lambda self: []}, "one condition for each axis"),
        ({"conditions": lambda self: [Periodic("x"), Periodic("y")]}, "unknown axis 'y'"),
        ({"fields": ("u", "v"), "scales": (1.0,)}, "one typical size a field"),
        ({"scales": (1.0, 2.0)}, "one typical size a field"),
        ({"odd": ("x",), "conditions": lambda self: [Dirichlet("x", 1.0)]}, "cannot be odd"),
        ({"odd": ("x",), "axes": (Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0))}, "cannot be odd"),
    ],
)
def test_contradicting_declarations_are_refused(
    attributes: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        dataclass(frozen=True)(declare(**attributes))()


def test_fields_have_scales_of_1_where_none_are_written() -> None:
    two = declare(fields=("u", "v"))
    assert two.scales == (1.0, 1.0) and Problem.scales == (1.0,)
    three = type("Declared", (two,), {"name": "test_three", "fields": ["a", "b", "c"]})
    assert three.scales == (1.0, 1.0, 1.0)
    written = declare(name="test_written", fields=("u", "v"), scales=(2.0, 3.0))
    with pytest.raises(InvalidValueError, match=r"scales \(2.0, 3.0\) for the fields a, b, c"):
        type("Declared", (written,), {"name": "test_four", "fields": ("a", "b", "c")})


def test_a_name_that_differs_only_by_case_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"'Heat' differs from 'heat' .*only by case"):
        declare(name="Heat")
    with pytest.raises(InvalidValueError, match="'burgers-periodic' differs from"):
        declare(name="burgers-periodic")
    declare()
    assert declare(name="Test_declared").name == "Test_declared"  # the same class, named anew


def test_a_rhs_with_too_few_rates_is_named() -> None:
    family = declare(fields=("u", "v"), scales=(1.0, 1.0), rhs=lambda self, u, d: (d(u[0], "x"),))
    with pytest.raises(InvalidValueError, match="rhs returned 1 values for the fields u, v"):
        _ = family().channels


def test_a_name_registered_from_two_modules_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="'burgers' is registered twice"):
        declare(name="burgers")
    assert families.get("burgers") is Burgers
    registry: Registry[type] = Registry("thing", "pacpde.problems")
    registry.register("a", Burgers)
    assert registry.register("a", Burgers) is Burgers  # importing a module again is no fault


def test_unknown_families_list_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown family 'burger': did you mean burgers"):
        families.get("burger")
    assert {"burgers", "burgers_periodic", "heat", "heat_modes", "heat2d", "lorenz"} <= set(
        families.names()
    )


def test_problems_need_no_list() -> None:
    import pacpde.problems

    found = {
        name for name in dir(pacpde.problems) if isinstance(getattr(pacpde.problems, name), type)
    }
    own = {f.__name__ for f in families if f.__module__.startswith("pacpde.problems")}
    assert len(own) >= 6 and own <= found  # other tests may have left plug-ins
    with pytest.raises(ImportError):
        from pacpde.problems import Nothing  # noqa: F401
    everything: dict[str, object] = {}
    exec("from pacpde.problems import *", everything)
    assert everything["HeatModes"] is HeatModes and everything["Heat"] is Heat


def test_plugins(tmp_path: Path) -> None:
    good = tmp_path / "mine.py"
    good.write_text(
        "from pacpde.problems import Heat\n\n\nclass Mine(Heat):\n    name = 'test_mine'\n"
    )
    load_plugin(good)
    load_plugin(str(good))  # twice is once
    assert families.get("test_mine")(alpha=0.2).coefficients == {"alpha": 0.2}
    (tmp_path / "bad.py").write_text("1 / 0\n")
    (tmp_path / "text.txt").write_text("")
    for name, message in (
        ("none.py", "is not a file"),
        ("bad.py", "failed on import with ZeroDivisionError"),
        ("text.txt", "must end in .py"),
    ):
        with pytest.raises(DataFileError, match=message):
            load_plugin(tmp_path / name)


HEAD = "from pacpde.problems import Heat\n\n"
ONE = "class {}(Heat):\n    name = {!r}\n    modes = {{1: {}}}\n    def more(self): pass\n\n"


def test_two_classes_of_one_name_in_a_file_are_refused(tmp_path: Path) -> None:
    for second in ("Other", "Mine"):  # the second of one class name would hide the first
        file = tmp_path / f"{second}.py"
        file.write_text(
            HEAD + ONE.format("Mine", "test_two", 1) + ONE.format(second, "test_two", 2)
        )
        with pytest.raises(InvalidValueError, match=r"line 8: .*'test_two' is registered twice"):
            load_plugin(file)
        assert "test_two" not in families.names()


def test_a_definition_that_is_run_again_replaces_the_one_before(tmp_path: Path) -> None:
    """As a cell of a notebook does, or a plugin that was edited."""
    first = declare(name="test_again")
    again = declare(name="test_again")
    assert families.get("test_again") is again is not first
    file = tmp_path / "edited.py"
    for value in (1.0, 2.0):
        file.write_text(HEAD + ONE.format("Mine", "test_edited", value))
        load_plugin(file)
        assert families.get("test_edited").modes == {1: value}


def test_a_plugin_that_imports_its_neighbour_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("X = 1\n")
    (tmp_path / "mine.py").write_text("import math\nfrom base import X\n")
    with pytest.raises(DataFileError, match=r"line 2: imports 'base' from the file base.py"):
        load_plugin(tmp_path / "mine.py")


@pytest.mark.parametrize("name", [5, "", "my family", "a/b", "1d"])
def test_a_name_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(InvalidValueError, match="the name of a family is"):
        declare(name=name)


@pytest.mark.parametrize(
    "family",
    [family for family in families if issubclass(family, Evolution)],
    ids=lambda family: family.name,
)
def test_starts_meet_edges_symmetries_and_exact_solutions(family: type[Evolution]) -> None:
    problem = family()
    box, room = problem.domain, 1e-14
    grids = np.meshgrid(*(axis.grid(9) for axis in box.space), indexing="ij")
    starts = [part + 0 * sum(grids, np.zeros(1)) for part in problem.initial_fields(*grids)]
    at = {"t": box.axes[0].lower, **dict(zip(box.names[1:], grids, strict=True))}
    for index, axis in enumerate(box.space):
        for field, start in enumerate(starts):
            if axis.name in problem.boundary.periodic:
                assert np.abs(np.take(start, 0, index) - np.take(start, -1, index)).max() < room
            if axis.name in problem.odd:
                assert np.abs(start + np.flip(start, index)).max() < room
            for edge in problem.boundary.edges:
                if (edge.axis, edge.field, edge.b) == (axis.name, field, 0):
                    value = edge.a * start - edge.value_at(at)
                    # sin of a multiple of the rounded π: 1e-15
                    assert np.abs(np.take(value, -1 if edge.upper else 0, index)).max() < room
    exact = problem.exact(np.full(1, box.axes[0].lower), *grids) if grids else None
    if exact is not None:
        assert np.abs(exact - np.stack(starts)).max() < room


@pytest.mark.parametrize("family", [Burgers, Heat, HeatModes, Heat2D])
def test_exact_solutions_satisfy_their_equation(family: type[Problem]) -> None:
    """Central differences of the exact solution against rhs, step 1e-3."""
    from pacpde.physics.derivatives import ChannelDerivative

    problem, h = family.from_coefficients({next(iter(family.declared())): 0.1}), 1e-3
    names = problem.domain.names
    points = problem.domain.from_unit(0.1 + 0.8 * np.random.default_rng(0).random((50, len(names))))

    def at(**shift: float) -> np.ndarray:
        return problem.exact(*(c + shift.get(n, 0.0) for n, c in zip(names, points.T, strict=True)))

    channels = {"": list(at())}
    for name in names:
        above, below = at(**{name: h}), at(**{name: -h})
        channels[name] = list((above - below) / (2 * h))
        channels[2 * name] = list((above - 2 * at() + below) / h**2)
    d = ChannelDerivative(channels, names)
    (rate,) = problem.rates(d.fields, d)
    # second order: h²/12 times fourth derivatives, at most (4π)⁴/4 here
    assert np.abs(rate - channels["t"][0]).max() < h**2 / 12 * (4 * math.pi) ** 4 / 4
