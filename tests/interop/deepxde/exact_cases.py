"""Problems with conditions of each kind, their exact solutions, and their losses by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pacpde.physics import Axis, Dirichlet, Evolution, Neumann, PointValue, Problem, Robin
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import cos, exp, sin


class At:
    """A network's outputs, coordinates and derivatives at points, by autograd."""

    def __init__(self, net: Any, x: torch.Tensor, names: tuple[str, ...]) -> None:
        columns = [column.clone().requires_grad_() for column in x.unbind(1)]
        self._columns = dict(zip(names, columns, strict=True))
        self.outputs = net(torch.stack(columns, 1)).unbind(1)

    def __getattr__(self, name: str) -> Any:  # a coordinate
        return self._columns[name]

    def d(self, number: int, axes: str) -> Any:
        """A derivative of the output `number`."""
        values = self.outputs[number]
        for name in axes:
            (values,) = torch.autograd.grad(
                values.sum(), self._columns[name], create_graph=True, materialize_grads=True,
                allow_unused=True,
            )  # fmt: skip
        return values


Row = Callable[[At], Any]


@dataclass
class Case:
    """A problem, an exact solution of it, and its losses by hand.

    Attributes:
        inputs: DeepXDE's, in their order.
        rows: loss → its residual.
        places: loss → coordinates at which its points lie.
        exact: inputs [points, axes] → fields [points, fields].
    """

    problem: Problem
    inputs: tuple[str, ...]
    rows: dict[str, Row]
    exact: Callable[[torch.Tensor], torch.Tensor]
    places: dict[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)


def family(base: type[Problem], declared: list[Condition], **attributes: Any) -> Problem:
    """A problem with these conditions and attributes."""
    attributes["conditions"] = lambda self: declared
    return dataclass(frozen=True)(type("Own", (base,), {"__module__": __name__, **attributes}))()


def wave() -> Case:
    """u_tt = 4 u_xx with u = cos(x) cos(2t) + t."""
    problem = family(
        Evolution,
        [
            Dirichlet("x-", lambda t: cos(2 * t) + t),
            Neumann("x+", lambda t: -sin(2.0) * cos(2 * t)),
        ],
        name="wave_for_deepxde", axes=(Axis("t", 0.5, 1.5), Axis("x", 0.0, 2.0)), order=2,
        rhs=lambda self, u, d: 4 * d(u, "xx"),
        initial=lambda self, x: (cos(x) * cos(1.0) + 0.5, -2 * cos(x) * sin(1.0) + 1),
    )  # fmt: skip
    return Case(
        problem,
        ("x", "t"),
        {
            "row 1": lambda p: p.d(0, "tt") - 4 * p.d(0, "xx"),
            "u at t-": lambda p: p.outputs[0] - torch.cos(p.x) * np.cos(1.0) - 0.5,
            "u_n at t-": lambda p: -p.d(0, "t") - 2 * torch.cos(p.x) * np.sin(1.0) + 1,
            "u at x-": lambda p: p.outputs[0] - torch.cos(2 * p.t) - p.t,
            "u_n at x+": lambda p: p.d(0, "x") + np.sin(2.0) * torch.cos(2 * p.t),
        },
        lambda x: torch.cos(x[:, :1]) * torch.cos(2 * x[:, 1:]) + x[:, 1:],
        {
            "u at t-": {"t": (0.5,)}, "u_n at t-": {"t": (0.5,)},
            "u at x-": {"x": (0.0,)}, "u_n at x+": {"x": (2.0,)},
        },
    )  # fmt: skip


def system() -> Case:
    """u_t = u_xx + v_x + u and v likewise, u = sin(x + t) = v; conditions field by field."""
    problem = family(
        Evolution,
        [
            Dirichlet("x", lambda t, x: sin(x + t), field="u"),
            Neumann("x-", lambda t: -cos(t), field="v"),
            Robin("x+", a=2.0, b=-4.0, value=lambda t: 2 * sin(1 + t) - 4 * cos(1 + t), field="v"),
        ],
        name="system_for_deepxde", axes=(Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0)),
        fields=("u", "v"), scales=(1.0, 1.0),
        rhs=lambda self, u, d: (
            d(u[0], "xx") + d(u[1], "x") + u[0], d(u[1], "xx") + d(u[0], "x") + u[1]
        ),
        initial=lambda self, x: (sin(x), sin(x)),
    )  # fmt: skip
    there = {"x": (0.0, 1.0)}

    def slope(p: At) -> Any:  # ∂v/∂n − g at the lower end, (2v − 4 ∂v/∂n − g)/−4 at the upper one
        lower = -p.d(1, "x") + torch.cos(p.t)
        g = 2 * torch.sin(1 + p.t) - 4 * torch.cos(1 + p.t)
        upper = (2 * p.outputs[1] - 4 * p.d(1, "x") - g) / -4
        return torch.where(p.x < 0.5, lower, upper)

    return Case(
        problem,
        ("x", "t"),
        {
            "row 1": lambda p: p.d(0, "t") - p.d(0, "xx") - p.d(1, "x") - p.outputs[0],
            "row 2": lambda p: p.d(1, "t") - p.d(1, "xx") - p.d(0, "x") - p.outputs[1],
            "u at t-": lambda p: p.outputs[0] - torch.sin(p.x),
            "v at t-": lambda p: p.outputs[1] - torch.sin(p.x),
            "u at x": lambda p: p.outputs[0] - torch.sin(p.x + p.t),
            "v_n at x": slope,
        },
        lambda x: torch.sin(x.sum(1, keepdim=True)).expand(-1, 2),
        {"u at x": there, "v_n at x": there},
    )


def robin() -> Case:
    """−u'' = −u with u = exp(x) on an interval: −3u + 2 ∂u/∂n at one end, u' alone at the other."""
    problem = family(
        Problem,
        [Robin("x-", a=-3.0, b=2.0, value=-5.0), Robin("x+", a=0.0, b=2.0, value=2 * np.e)],
        name="robin_for_deepxde", axes=(Axis("x", 0.0, 1.0),),
        residual=lambda self, u, d: d(u, "xx") - u,
    )  # fmt: skip
    return Case(
        problem,
        ("x",),
        {
            "row 1": lambda p: p.d(0, "xx") - p.outputs[0],
            "u_n at x": lambda p: torch.where(
                p.x < 0.5, (-3 * p.outputs[0] - 2 * p.d(0, "x") + 5) / 2, p.d(0, "x") - np.e
            ),
        },
        torch.exp,
        {"u_n at x": {"x": (0.0, 1.0)}},
    )


def insulated() -> Case:
    """u'' = 2 with u = x², Neumann at both ends and the value at a point: one row, 1-D, steady."""
    problem = family(
        Problem, [Neumann("x", (lambda x: 2 * abs(x))), PointValue({"x": 0.25}, 0.0625)],
        name="insulated_for_deepxde", axes=(Axis("x", -1.0, 3.0),),
        residual=lambda self, u, d: d(u, "xx") - 2,
    )  # fmt: skip
    return Case(
        problem,
        ("x",),
        {
            "row 1": lambda p: p.d(0, "xx") - 2,
            "u_n at x": lambda p: torch.where(p.x < 0, -p.d(0, "x") - 2, p.d(0, "x") - 6),
            "u at x = 0.25": lambda p: p.outputs[0] - 0.0625,
        },
        torch.square,
        {"u_n at x": {"x": (-1.0, 3.0)}, "u at x = 0.25": {"x": (0.25,)}},
    )


def stokes() -> Case:
    """A steady system: u = y², v = 0, p = 2x + 1, with a constraint and a fourth row."""

    def residual(self: Any, u: Any, d: Any) -> Any:
        a, b, p = u
        return (
            d(p, "x") - d(a, "xx") - d(a, "yy"), d(p, "y") - d(b, "xx") - d(b, "yy"),
            d(a, "x") + d(b, "y"), d(a, "xy") + b * d.coordinates["y"],
        )  # fmt: skip

    problem = family(
        Problem,
        [
            Dirichlet("boundary", lambda y: (y**2, 0.0), field=("u", "v")),
            PointValue({"x": 1.0, "y": 0.5}, 3.0, field="p"),
        ],
        name="stokes_for_deepxde", axes=(Axis("x", 0.0, 2.0), Axis("y", 0.0, 1.0)),
        fields=("u", "v", "p"), scales=(1.0, 1.0, 1.0), residual=residual,
    )  # fmt: skip
    x, y = {"x": (0.0, 2.0)}, {"y": (0.0, 1.0)}
    return Case(
        problem,
        ("x", "y"),
        {
            "row 1": lambda p: p.d(2, "x") - p.d(0, "xx") - p.d(0, "yy"),
            "row 2": lambda p: p.d(2, "y") - p.d(1, "xx") - p.d(1, "yy"),
            "row 3": lambda p: p.d(0, "x") + p.d(1, "y"),
            "row 4": lambda p: p.d(0, "xy") + p.outputs[1] * p.y,
            "u at x": lambda p: p.outputs[0] - p.y**2,
            "v at x": lambda p: p.outputs[1],
            "u at y": lambda p: p.outputs[0] - p.y**2,
            "v at y": lambda p: p.outputs[1],
            "p at x = 1, y = 0.5": lambda p: p.outputs[2] - 3,
        },
        lambda x: torch.stack([x[:, 1] ** 2, 0 * x[:, 0] * x[:, 1], 2 * x[:, 0] + 1], 1),
        {
            "u at x": x, "v at x": x, "u at y": y, "v at y": y,
            "p at x = 1, y = 0.5": {"x": (1.0,), "y": (0.5,)},
        },
    )  # fmt: skip


def plate() -> Case:
    """∇⁴u = 4u with u = sin x sin y, by value and normal derivative at every end."""
    problem = family(
        Problem,
        [
            Dirichlet("boundary", lambda x, y: sin(x) * sin(y)),
            Neumann("x", lambda x, y: (2 * (x > 1) - 1) * cos(x) * sin(y)),
            Neumann("y-", lambda x: -sin(x)),
        ],
        name="plate_for_deepxde", axes=(Axis("x", 0.0, 2.0), Axis("y", 0.0, 1.0)),
        residual=lambda self, u, d: d(u, "xxxx") + 2 * d(u, "xxyy") + d(u, "yyyy") - 4 * u,
    )  # fmt: skip
    x, y = {"x": (0.0, 2.0)}, {"y": (0.0, 1.0)}

    def value(p: At) -> Any:
        return p.outputs[0] - torch.sin(p.x) * torch.sin(p.y)

    return Case(
        problem,
        ("x", "y"),
        {
            "row 1": lambda p: (
                p.d(0, "xxxx") + 2 * p.d(0, "xxyy") + p.d(0, "yyyy") - 4 * p.outputs[0]
            ),
            "u at x": value,
            "u_n at x": lambda p: (
                (2 * (p.x > 1) - 1) * (p.d(0, "x") - torch.cos(p.x) * torch.sin(p.y))
            ),
            "u at y": value,
            "u_n at y-": lambda p: -p.d(0, "y") + torch.sin(p.x),
        },
        lambda x: torch.sin(x[:, :1]) * torch.sin(x[:, 1:]),
        {"u at x": x, "u_n at x": x, "u at y": y, "u_n at y-": {"y": (0.0,)}},
    )


def both_ends_of_time() -> Case:
    """u_t + u_x = 0 with u = sin(x − t) as a `Problem`: conditions at both ends of t."""
    problem = family(
        Problem,
        [
            Dirichlet("t-", lambda x: sin(x)),
            Neumann("t-", lambda x: cos(x)),
            Dirichlet("t+", lambda x: sin(x - 2)),
            Robin("t+", a=1.0, b=0.5, value=lambda x: sin(x - 2) - 0.5 * cos(x - 2)),
            Dirichlet("x-", lambda t: -sin(t)),
        ],
        name="both_ends_for_deepxde", axes=(Axis("t", 0.0, 2.0), Axis("x", 0.0, 1.0)),
        residual=lambda self, u, d: d(u, "t") + d(u, "x"),
    )  # fmt: skip
    return Case(
        problem,
        ("x", "t"),
        {
            "row 1": lambda p: p.d(0, "t") + p.d(0, "x"),
            "u at t-": lambda p: p.outputs[0] - torch.sin(p.x),
            "u_n at t-": lambda p: -p.d(0, "t") - torch.cos(p.x),
            "u at t+": lambda p: p.outputs[0] - torch.sin(p.x - 2),
            "u_n at t+": lambda p: (
                p.d(0, "t") + 2 * p.outputs[0] - 2 * torch.sin(p.x - 2) + torch.cos(p.x - 2)
            ),
            "u at x-": lambda p: p.outputs[0] + torch.sin(p.t),
        },
        lambda x: torch.sin(x[:, :1] - x[:, 1:]),
        {
            "u at t-": {"t": (0.0,)}, "u_n at t-": {"t": (0.0,)}, "u at t+": {"t": (2.0,)},
            "u_n at t+": {"t": (2.0,)}, "u at x-": {"x": (0.0,)},
        },
    )  # fmt: skip


def oscillator() -> Case:
    """u_tt = −4u with u = sin 2t / 2 + cos 2t: both conditions at the one point of the start."""
    problem = family(
        Evolution, [], name="oscillator_for_deepxde", axes=(Axis("t", 0.0, 2.0),), order=2,
        rhs=lambda self, u, d: -4 * u, initial=lambda self: (1.0, 1.0),
    )  # fmt: skip
    return Case(
        problem,
        ("t",),
        {
            "row 1": lambda p: p.d(0, "tt") + 4 * p.outputs[0],
            "u at t-": lambda p: p.outputs[0] - 1,
            "u_n at t-": lambda p: -p.d(0, "t") + 1,
        },
        lambda t: torch.sin(2 * t) / 2 + torch.cos(2 * t),
        {"u at t-": {"t": (0.0,)}, "u_n at t-": {"t": (0.0,)}},
    )


def box() -> Case:
    """u_t = ∇²u on a square in space, driven in x and insulated in y."""
    problem = family(
        Evolution,
        [
            Dirichlet("x", lambda t, y: exp(-t) * cos(y)),
            Neumann("y", lambda t, y: -exp(-t) * sin(y)),
        ],
        name="box_for_deepxde",
        axes=(Axis("t", 0.0, 1.0), Axis("x", 0.0, 1.0), Axis("y", 0.0, 2.0)),
        rhs=lambda self, u, d: d(u, "xx") + d(u, "yy"), initial=lambda self, x, y: cos(y),
    )  # fmt: skip
    return Case(
        problem,
        ("x", "y", "t"),
        {
            "row 1": lambda p: p.d(0, "t") - p.d(0, "xx") - p.d(0, "yy"),
            "u at t-": lambda p: p.outputs[0] - torch.cos(p.y),
            "u at x": lambda p: p.outputs[0] - torch.exp(-p.t) * torch.cos(p.y),
            "u_n at y": lambda p: (
                (2 * (p.y > 1) - 1) * p.d(0, "y") + torch.exp(-p.t) * torch.sin(p.y)
            ),
        },
        lambda x: torch.exp(-x[:, 2:]) * torch.cos(x[:, 1:2]) + 0 * x[:, :1] ** 2,
        {"u at t-": {"t": (0.0,)}, "u at x": {"x": (0.0, 1.0)}, "u_n at y": {"y": (0.0, 2.0)}},
    )


CASES = [
    wave, system, robin, insulated, stokes, plate, both_ends_of_time, oscillator, box,
]  # fmt: skip
