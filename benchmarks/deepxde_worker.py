"""One fit of DeepXDE by the recipe of its examples: Adam of 1e-3, then L-BFGS; run by `peers.py`.

Burgers, Helmholtz and Allen–Cahn are its examples `Burgers.py`, `Helmholtz_Dirichlet_2d.py` and
`Allen_Cahn.py` of `examples/pinn_forward`, in float64 and with these coefficients. Its wave example
is one of two modes at c = 10; this one meets start and edges as its Allen–Cahn does.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import deepxde as dde
import numpy as np
import torch
from deepxde_clock import Clock, lbfgs_alone

PI = math.pi
ADAM = 0.25  # of the time; the examples' 5,000 to 40,000 steps would take all of it
Net = tuple[list[int], str, str]  # layers, activation, initialiser
TANH: Net = ([2, 20, 20, 20, 1], "tanh", "Glorot normal")
SINE: Net = ([2, 150, 150, 150, 1], "sin", "Glorot uniform")


def hard(constraint: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """As DeepXDE takes it, from a function of both coordinates and the network."""
    return lambda x, n: constraint(x[:, 0:1], x[:, 1:2], n)


def second(y: Any, x: Any, axis: int) -> Any:
    return dde.grad.hessian(y, x, i=axis, j=axis)


def first(y: Any, x: Any, axis: int) -> Any:
    return dde.grad.jacobian(y, x, i=0, j=axis)


def burgers(x: Any, y: Any) -> Any:
    return first(y, x, 1) + y * first(y, x, 0) - 0.01 / PI * second(y, x, 0)


def wave(x: Any, y: Any) -> Any:
    return second(y, x, 1) - second(y, x, 0)


def allen_cahn(x: Any, y: Any) -> Any:
    return first(y, x, 1) - 1e-4 * second(y, x, 0) - 5 * (y - y**3)


def helmholtz(x: Any, y: Any) -> Any:
    waves = torch.sin(PI * x[:, 0:1]) * torch.sin(4 * PI * x[:, 1:2])
    return second(y, x, 0) + second(y, x, 1) + y - (1 - 17 * PI**2) * waves


def built(name: str) -> tuple[Any, Net, Callable[[Any, Any], Any] | None]:
    """(data, network, constraint) of a problem."""
    if name == "helmholtz":
        square = dde.geometry.Rectangle([-1, -1], [1, 1])
        # ten points a wave of the shorter ones, along both axes
        data = dde.data.PDE(square, helmholtz, [], num_domain=40**2, num_boundary=4 * 40)
        return data, SINE, hard(lambda x, y, n: (1 - x**2) * (1 - y**2) * n)
    left = 0 if name == "wave" else -1
    box = dde.geometry.GeometryXTime(
        dde.geometry.Interval(left, 1), dde.geometry.TimeDomain(0, 1)
    )  # fmt: skip
    if name == "burgers":
        edges = dde.icbc.DirichletBC(box, lambda x: 0, lambda _, on_boundary: on_boundary)
        start = dde.icbc.IC(
            box, lambda x: -np.sin(PI * x[:, 0:1]), lambda _, on_initial: on_initial
        )  # fmt: skip
        points = {"num_domain": 2540, "num_boundary": 80, "num_initial": 160}
        return dde.data.TimePDE(box, burgers, [edges, start], **points), TANH, None
    if name == "wave":
        constraint = hard(lambda x, t, n: torch.sin(PI * x) + t**2 * x * (1 - x) * n)
        return dde.data.TimePDE(box, wave, [], num_domain=2000), TANH, constraint
    constraint = hard(lambda x, t, n: x**2 * torch.cos(PI * x) + t * (1 - x**2) * n)
    points = {"num_domain": 8000, "num_boundary": 400, "num_initial": 800}
    return dde.data.TimePDE(box, allen_cahn, [], **points), TANH, constraint


def main() -> None:
    options = json.loads(sys.argv[1])
    dde.config.set_default_float("float64")
    dde.config.set_random_seed(options["seed"])
    data, network, constraint = built(options["problem"])
    net = dde.nn.FNN(*network)
    if constraint is not None:
        net.apply_output_transform(constraint)
    grid = np.load(options["grid"])
    points, expected = grid["points"], grid["values"]
    if options["problem"] != "helmholtz":
        points = points[:, ::-1].copy()  # DeepXDE has time last

    def grade(model: Any) -> float:
        predicted = model.predict(points).ravel()
        return float(np.linalg.norm(predicted - expected) / np.linalg.norm(expected))

    model = dde.Model(data, net)
    limit = options["seconds"]
    clock = Clock(grade, ADAM * limit, time.process_time)
    model.compile("adam", lr=1e-3, verbose=0)
    model.train(iterations=10**6, callbacks=[clock], verbose=0)
    clock.limit = limit
    lbfgs_alone(model, clock, 10**6)
    print(json.dumps({
        "curve": clock.curve,
        "seconds": clock.spent,
        "steps": int(model.train_state.step),
        "parameters": sum(own.numel() for own in net.parameters()),
        "outcome": "limit" if clock.spent > limit else "L-BFGS ended",
        "versions": {"deepxde": dde.__version__, "torch": torch.__version__},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
