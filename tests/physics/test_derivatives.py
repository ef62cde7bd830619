"""d(u, "xx") is one thing, whether it comes from matrices, channels or autograd."""

import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.physics import Problem, derivatives, families
from pacpde.physics.derivatives import (
    AutogradDerivative,
    ChannelDerivative,
    Derivative,
    channel_names,
    taylor_channels,
)
from pacpde.physics.elementary import cos, cosh, exp, log, sin, sinh, sqrt, tanh
from pacpde.reference.grid import NodalDerivative, SpaceAxis


def wavy(number: int, **coordinates: torch.Tensor) -> torch.Tensor:
    """Smooth fields that differ, [N, number], of all coordinates."""
    phase = sum((0.3 + 0.7 * i) * c for i, c in enumerate(coordinates.values()))
    return torch.stack([torch.sin(phase + k) * torch.exp(0.2 * phase) for k in range(number)], -1)


@pytest.mark.parametrize("family", list(families), ids=lambda family: family.name)
def test_equations_agree_between_channels_autograd_and_matrices(family: type[Problem]) -> None:
    problem = family()
    number, space = len(problem.fields), problem.domain.space
    nodes = [SpaceAxis(axis, 20 if len(space) > 1 else 30) for axis in space]
    grids = np.meshgrid(*(axis.nodes for axis in nodes), indexing="ij")
    shape = grids[0].shape if grids else (1,)
    flat = [torch.as_tensor(grid.ravel()) for grid in grids]
    if problem.domain.time:
        flat = [torch.full((int(np.prod(shape)),), 0.4, dtype=torch.float64), *flat]
    coordinates = dict(zip(problem.domain.names, flat, strict=True))

    leaves = {name: c.clone().requires_grad_(True) for name, c in coordinates.items()}
    by_autograd = AutogradDerivative(list(wavy(number, **leaves).unbind(-1)), leaves)
    expected = [
        row.detach().numpy() for row in problem.equation_values(by_autograd.fields, by_autograd)
    ]

    names = channel_names(problem.derivatives_read)
    values = taylor_channels(lambda **c: wavy(number, **c), coordinates, names)
    channels = {name: list(value.unbind(-1)) for name, value in zip(names, values, strict=True)}
    by_channel = ChannelDerivative(channels, problem.domain.names, coordinates)
    rows = problem.equation_values(by_channel.fields, by_channel)
    for row, other in zip(rows, expected, strict=True):
        assert np.abs(row.numpy() - other).max() < 1e-12 * np.abs(other).max()

    if any("t" in name for name in names):
        return  # no matrix differentiates in time
    fields = list(values[0].numpy().T.reshape(number, *shape))
    highest = max((len(name) for name in names), default=1)
    at = {name: column.numpy().reshape(shape) for name, column in coordinates.items()}
    by_matrix = NodalDerivative(fields, nodes, at)
    # roundoff of matrices of order k: size^2k · 1e-16, 1e-10 for k = 2, and a little room
    room = 1e-9 if highest <= 2 else 1e-9 * 30.0 ** (2 * highest - 4)
    for row, other in zip(problem.equation_values(fields, by_matrix), expected, strict=True):
        assert np.abs(np.ravel(row) - other).max() < room * np.abs(other).max()


def test_a_mixed_derivative_is_taken_in_any_order() -> None:
    x = torch.linspace(0, 1, 5, dtype=torch.float64, requires_grad=True)
    y = torch.linspace(1, 2, 5, dtype=torch.float64, requires_grad=True)
    u = x**2 * y**3
    d = AutogradDerivative([u], {"x": x, "y": y})
    assert torch.allclose(d(u, "xy"), 6 * x * y**2) and torch.equal(d(u, "xy"), d(u, "yx"))
    assert torch.equal(d(u, "yyxx"), d(u, "xxyy"))


def test_channels_to_fourth_order_are_exact_to_rounding() -> None:
    """A ramp, walls and a narrow peak as ansätze have them, at the ends of the axes too."""
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    names = channel_names({"tttt", "ttxx", "txxx", "xxxx"})

    def field(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        ramp, walls = 1 - exp(-10 * t), (x + 1) * (1 - x)
        return torch.stack([ramp * walls, exp(-50 * x**2), x**2 * cos(3 * x + t)], -1)

    found = dict(zip(names, taylor_channels(field, {"t": t, "x": x}, names), strict=True))

    def ramp(order: int) -> torch.Tensor:
        return -((-10.0) ** order) * exp(-10 * t) + (order == 0)

    def walls(order: int) -> torch.Tensor:
        return [1 - x**2, -2 * x, -2 + 0 * x, 0 * x, 0 * x][order]

    def peak(order: int) -> torch.Tensor:  # (−√50)ⁿ H_n(y) exp(−y²) with y = √50 x
        y = 50**0.5 * x
        polynomial = [1 + 0 * y, 2 * y, 4 * y**2 - 2, 8 * y**3 - 12 * y, 16 * y**4 - 48 * y**2 + 12]
        return (-(50**0.5)) ** order * polynomial[order] * exp(-50 * x**2)

    def wave(order: int, time: int) -> torch.Tensor:  # Leibniz, with x² and cos(3x + t)
        def turned(n: int) -> torch.Tensor:
            return 3.0**n * cos(3 * x + t + (n + time) * np.pi / 2)

        total = x**2 * turned(order)
        if order > 0:
            total = total + 2 * order * x * turned(order - 1)
        if order > 1:
            total = total + order * (order - 1) * turned(order - 2)
        return total

    for name, values in found.items():
        time, order = name.count("t"), name.count("x")
        expected = [ramp(time) * walls(order), peak(order) * (time == 0), wave(order, time)]
        for own, other in zip(values.unbind(-1), expected, strict=True):
            # sums of some ten terms, each rounded
            assert (own - other).abs().max() <= 1e-14 * max(1.0, float(other.abs().max())), name


def test_a_derivative_goes_on_from_the_lower_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass of autograd each: without, six derivatives to fourth order would take 12."""
    calls = []

    def counted(*args: torch.Tensor) -> torch.Tensor:
        calls.append(args)
        return gradient(*args)

    gradient = derivatives.gradient
    monkeypatch.setattr(derivatives, "gradient", counted)
    x, t = torch.rand(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    names = channel_names({"xxxx", "tx"})
    taylor_channels(lambda t, x: torch.sin(t * x)[:, None], {"t": t, "x": x}, names)
    assert len(calls) == len(names) - 1 == 6


def test_what_does_not_depend_on_a_coordinate_has_the_derivative_0() -> None:
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    y = torch.ones(3, dtype=torch.float64, requires_grad=True)
    for u in (2 * x, torch.ones(3, dtype=torch.float64)):
        assert torch.equal(AutogradDerivative([u], {"x": x, "y": y})(u, "y"), torch.zeros(3))


@pytest.fixture
def d() -> Derivative:
    u = np.ones(3)
    return ChannelDerivative({"": [u], "x": [2 * u]}, ("t", "x"), {"x": np.arange(3.0)})


def test_unknown_axes_and_derivatives_are_named(d: Derivative) -> None:
    u = d.fields[0]
    assert d(u, "x")[0] == 2
    with pytest.raises(UnknownNameError, match="unknown axis 'z': choose from t, x"):
        d(u, "xz")
    with pytest.raises(UnknownNameError, match="unknown derivative 'xx'"):
        d(u, "xx")
    with pytest.raises(InvalidValueError, match="names no axis"):
        d(u, "")


def test_an_expression_is_no_field(d: Derivative) -> None:
    u = d.fields[0]
    for expression in (u * u, u.copy(), 1.0):
        with pytest.raises(InvalidValueError, match="expand the derivative by hand"):
            d(expression, "x")


def test_channel_names_are_closed_and_sorted() -> None:
    assert channel_names({"xx", "t"}) == ("", "t", "x", "xx")
    assert channel_names({"xxy"}) == ("", "x", "y", "xx", "xy", "xxy")


@pytest.mark.parametrize("function", [sin, cos, exp, log, sqrt, tanh, sinh, cosh])
def test_elementary_functions_keep_the_kind(function) -> None:
    number, array = 0.7, np.array([0.7, 1.3])
    tensor = torch.tensor(array, requires_grad=True)
    assert isinstance(function(array), np.ndarray) and isinstance(function(tensor), torch.Tensor)
    # two libraries, two roundings of the last bit
    assert function(number) == pytest.approx(function(array)[0], rel=1e-15)
    assert function(tensor).detach().numpy() == pytest.approx(function(array), rel=4e-16)
    assert function(tensor).requires_grad
