"""One fit of PINA on the problems of its zoo; run in PINA's own environment by `peers.py`.

Its trainer and its solver of physics-informed networks, in float64: Adam of 1e-3, then L-BFGS. But
for Burgers, start and edges are met by the network, as in its tutorial 3. All points are in every
batch.
"""

import json
import logging
import math
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation.zoo import AcousticWaveEquation
from pina.model import FeedForward
from pina.optim import TorchOptimizer
from pina.problem import SpatialProblem, TimeDependentProblem
from pina.problem.zoo import AllenCahnProblem, BurgersProblem, HelmholtzProblem
from pina.solver import PhysicsInformedSingleModelSolver

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
torch.set_default_dtype(torch.float64)
ADAM = 0.25  # of the time
LBFGS = {
    "lr": 1.0, "max_iter": 20, "history_size": 50, "line_search_fn": "strong_wolfe",
    "tolerance_grad": 0.0, "tolerance_change": 0.0,
}  # fmt: skip


class WaveProblem(TimeDependentProblem, SpatialProblem):
    """u_tt = u_xx; its network meets start and edges."""

    output_variables = ["u"]
    spatial_domain = CartesianDomain({"x": [0, 1]})
    temporal_domain = CartesianDomain({"t": [0, 1]})
    domains = {"D": spatial_domain.update(temporal_domain)}
    conditions = {"D": Condition(domain="D", equation=AcousticWaveEquation(c=1.0))}


class Hard(torch.nn.Module):
    """A network inside a function of x and it."""

    def __init__(self, network, constraint):
        super().__init__()
        self.network, self.constraint = network, constraint

    def forward(self, x):
        return self.constraint(x, self.network(x))


def wave(x, n):
    at, t = x.extract(["x"]), x.extract(["t"])
    return torch.sin(math.pi * at) + t**2 * at * (1 - at) * n


def helmholtz(x, n):
    return (1 - x.extract(["x"]) ** 2) * (1 - x.extract(["y"]) ** 2) * n


def allen_cahn(x, n):
    at, t = x.extract(["x"]), x.extract(["t"])
    return at**2 * torch.cos(math.pi * at) + t * (1 - at**2) * n


def built(options):
    """(problem, network, names of the coordinates of the grid)."""
    name, layers = options["problem"], [options["width"]] * options["depth"]
    plain = FeedForward(input_dimensions=2, output_dimensions=1, layers=layers)
    if name == "burgers":
        return BurgersProblem(nu=0.01 / math.pi), plain, ["t", "x"]
    if name == "wave":
        return WaveProblem(), Hard(plain, wave), ["t", "x"]
    if name == "helmholtz":
        return HelmholtzProblem(k=1.0, alpha_x=1, alpha_y=4), Hard(plain, helmholtz), ["x", "y"]
    return AllenCahnProblem(alpha=1e-4, beta=5), Hard(plain, allen_cahn), ["t", "x"]


class Clock(Callback):
    """CPU seconds of the training, graded with the clock stopped; ends it at its limit."""

    def __init__(self, grade):
        self.grade, self.curve, self.spent, self.steps = grade, [], 0.0, 0

    def begin(self, every, limit):
        self.every, self.limit, self.since = every, limit, time.process_time()

    def on_train_epoch_end(self, trainer, solver):
        now = time.process_time()
        self.spent, self.since = self.spent + now - self.since, now
        self.steps += 1
        if self.steps % self.every == 0 or self.spent > self.limit:
            self.curve.append((self.spent, self.grade(solver)))
            self.since = time.process_time()
        finite = not self.curve or math.isfinite(self.curve[-1][1])
        trainer.should_stop = self.spent > self.limit or not finite


def main() -> None:
    options = json.loads(sys.argv[1])
    torch.manual_seed(options["seed"])
    torch.set_num_threads(1)
    problem, network, names = built(options)
    for domain in problem.domains:
        number = options["points"] if domain == "D" else options["points"] // 10
        problem.discretise_domain(number, "random", domains=[domain])
    grid = np.load(options["grid"])
    expected = torch.as_tensor(grid["values"])
    columns = [torch.as_tensor(grid["points"][:, names.index(own)]) for own in
               problem.input_variables]  # fmt: skip
    points = LabelTensor(torch.stack(columns, 1), list(problem.input_variables))

    @torch.no_grad()
    def grade(solver):
        predicted = torch.as_tensor(solver(points).tensor).ravel()
        return float(torch.linalg.norm(predicted - expected) / torch.linalg.norm(expected))

    clock = Clock(grade)
    limit = options["seconds"]
    for optimiser, every, until in (
        (TorchOptimizer(torch.optim.Adam, lr=1e-3), 50, ADAM * limit),
        (TorchOptimizer(torch.optim.LBFGS, **LBFGS), 2, limit),
    ):
        solver = PhysicsInformedSingleModelSolver(problem, network, optimizer=optimiser)
        trainer = Trainer(
            solver, max_epochs=10**6, accelerator="cpu", callbacks=[clock], logger=False,
            enable_model_summary=False, enable_progress_bar=False, enable_checkpointing=False,
        )  # fmt: skip
        clock.begin(every, until)
        trainer.train()
    print(json.dumps({
        "curve": clock.curve,
        "seconds": clock.spent,
        "steps": clock.steps,
        "parameters": sum(own.numel() for own in network.parameters()),
        "outcome": "limit" if clock.spent > limit else "not finite",
        "versions": {"pina": version("pina-mathlab"), "torch": torch.__version__},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
