"""What the residuals are: signs, scales and weights, against autograd and by hand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.random import Generator

from pacpde.errors import InvalidValueError
from pacpde.methods.base import train_from_scratch
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.batch import MeanBatch
from pacpde.networks.protocol import Network
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
from pacpde.physics import Problem
from pacpde.physics.derivatives import taylor_channels
from pacpde.problems import Burgers, Heat, Heat2D, Lorenz
from pacpde.residuals.factors import residuals
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.residuals.terms import LabelTerm, PhysicsTerm, Term
from pacpde.training.config import TrainingConfig


def analytic_jet(problem: Problem, term: Term) -> torch.Tensor:
    """The jet of u_k = (k+1) sin(t + 2x + 3y + k), [channels, points, fields]."""

    def fields(**x: torch.Tensor) -> torch.Tensor:
        phase = sum((n + 1) * value for n, value in enumerate(x.values()))
        return torch.stack([(k + 1) * torch.sin(phase + k) for k in range(len(problem.fields))], -1)

    names = [axis.name for axis in problem.axes]
    coordinates = dict(zip(names, term.batch.coordinates.unbind(-1), strict=True))
    return taylor_channels(fields, coordinates, term.batch.names)


def points_of(problem: Problem, size: int = 7) -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.tensor(problem.domain.from_unit(rng.uniform(size=(size, len(problem.axes)))))


def test_burgers_residual_by_hand() -> None:
    problem = Burgers(nu=0.3)
    term = PhysicsTerm.at(problem, PhysicsAnsatz(problem), points_of(problem), weight=5.0)
    t, x = term.batch.coordinates.unbind(-1)
    u, slope = torch.sin(t + 2 * x), torch.cos(t + 2 * x)
    expected = (slope + u * 2 * slope + 0.3 * 4 * u) * (5 / 7) ** 0.5
    made = term.residual(analytic_jet(problem, term))
    torch.testing.assert_close(made[:, 0], expected, rtol=1e-14, atol=1e-14)


def test_heat_in_two_dimensions_by_hand() -> None:
    problem = Heat2D(alpha=0.7)
    term = PhysicsTerm.at(problem, PhysicsAnsatz(problem), points_of(problem))
    t, x, y = term.batch.coordinates.unbind(-1)
    phase = t + 2 * x + 3 * y
    expected = (torch.cos(phase) + 0.7 * (4 + 9) * torch.sin(phase)) / 7**0.5
    made = term.residual(analytic_jet(problem, term))
    torch.testing.assert_close(made[:, 0], expected, rtol=1e-14, atol=1e-13)


def test_lorenz_residual_is_measured_in_the_scales() -> None:
    problem = Lorenz(sigma=2, rho=3, beta=5)
    term = PhysicsTerm.at(problem, PhysicsAnsatz(problem), points_of(problem))
    t = term.batch.coordinates[:, 0]
    x, y, z = (k * torch.sin(t + k - 1) for k in (1, 2, 3))
    dx, dy, dz = (k * torch.cos(t + k - 1) for k in (1, 2, 3))
    rows = [dx - 2 * (y - x), dy - (x * (3 - z) - y), dz - (x * y - 5 * z)]
    expected = torch.stack(rows, -1) / 20 / 7**0.5
    made = term.residual(analytic_jet(problem, term))
    torch.testing.assert_close(made, expected, rtol=1e-14, atol=1e-14)


def test_time_is_measured_in_the_span() -> None:
    """Of a family that declares no `time_scale`."""
    terms = []
    for problem in (Heat(), Heat(until=0.25)):
        points = points_of(Heat(until=0.25))
        term = PhysicsTerm.at(problem, PhysicsAnsatz(problem), points)
        terms.append(term.residual(analytic_jet(problem, term)))
    torch.testing.assert_close(terms[1], terms[0] / 4, rtol=1e-14, atol=1e-14)


def test_labels_are_measured_in_the_scales() -> None:
    problem = Lorenz()
    points = points_of(problem, 2)
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
    term = LabelTerm.at(PhysicsAnsatz(problem), points, values, weight=8.0)
    fields = torch.tensor([[[21.0, 2.0, 3.0], [4.0, 5.0, -34.0]]], dtype=torch.float64)
    # (21 − 1)/20 = 1 and (−34 − 6)/20 = −2, times √(8/2)
    assert term.residual(fields).tolist() == [[2.0, 0.0, 0.0], [0.0, 0.0, -4.0]]


@pytest.mark.parametrize("size", [5, 50])
def test_half_the_square_is_half_a_mean_square(size: int) -> None:
    """The loss of a term does not grow with its number of points."""
    problem = Heat()
    term = PhysicsTerm.at(problem, PhysicsAnsatz(problem), points_of(problem, size), weight=3.0)
    constant = torch.zeros(len(term.batch.names), size, 1, dtype=torch.float64)
    constant[term.batch.names.index("t")] = 2.0
    r = term.residual(constant)
    assert float((r**2).sum() / 2) == pytest.approx(3.0 * 2.0**2 / 2, rel=1e-14)


def test_terms_are_stacked_in_order_one_kind_after_the_other() -> None:
    problem = Lorenz()
    ansatz = PhysicsAnsatz(problem)
    network = network_for(ansatz, 6, 2, "tanh")
    weights = torch.tensor(network.init_weights(np.random.default_rng(0)))
    physics = PhysicsTerm.at(problem, ansatz, points_of(problem, 5))
    labels = LabelTerm.at(ansatz, points_of(problem, 2), torch.ones(2, 3, dtype=torch.float64))
    parts = []
    for term in (physics, labels):
        jet = network.forward(weights, term.batch.inputs, term.batch.names)
        parts += list(term.residual(term.batch.fields(jet)).unbind(-1))
    made = residuals(network, weights, [physics, labels])
    assert made.shape == (3 * 5 + 3 * 2,)
    assert torch.equal(made, torch.cat(parts))


@dataclass(frozen=True)
class FlatTerm(Term):
    """A penalty on ∂u/∂x, as a user may write it, with the defaults of a term."""

    n_components = 1

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        return self.weighted(fields[..., self.batch.names.index("x"), :, :1])


@dataclass(frozen=True)
class FlatTask(PhysicsTask):
    """An equation, and one more term."""

    def terms(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> list[Term]:
        points = self.runtime.tensor(self.problem.domain.restricted("x", upper=0.25).sample(9, rng))
        batch = self.ansatz(sampling).batch(points, ("", "x"))
        return [*super().terms(network, weights, sampling, rng), FlatTerm(batch, weight=2.0)]


def test_a_term_of_a_user_is_one_class() -> None:
    task, rng = FlatTask(Heat(alpha=0.3)), np.random.default_rng(0)
    network = network_for(task.ansatz(SamplingSpec()), 6, 2, "tanh")
    weights = torch.tensor(network.init_weights(rng))
    terms = task.terms(network, weights, SamplingSpec(20), rng)
    own = terms[-1]
    assert own.batch_key != replace(own).batch_key  # never stacked unless it says so
    parts = [own.subset(slice(0, 4)), own.subset(slice(4, 9))]
    whole = residuals(network, weights, [own])
    torch.testing.assert_close(residuals(network, weights, parts), whole, rtol=1e-14, atol=0)
    r, jacobian = linearise(network, weights, terms)
    expected = torch.func.jacrev(lambda w: residuals(network, w, terms))(weights)
    torch.testing.assert_close(jacobian.dense(), expected, rtol=1e-12, atol=1e-12)
    problem = LeastSquares(network, weights, torch.ones_like(weights, dtype=torch.bool), terms)
    made = LevenbergMarquardt().run(problem, problem.x0, 5)
    assert made.loss < 0.1 * problem.loss(problem.x0) and r.shape == (29,)


@dataclass(frozen=True)
class MassTask(PhysicsTask):
    """An equation, and the mean of u at t = 1 as one more residual."""

    mass: float = 0.0

    def terms(
        self, network: Network, weights: torch.Tensor, sampling: SamplingSpec, rng: Generator
    ) -> list[Term]:
        space = self.problem.domain.axes[1]
        x = space.lower + space.length * (np.arange(40) + 0.5) / 40  # midpoints
        points = self.runtime.tensor(np.stack([np.ones(40), x], -1))
        batch = MeanBatch.of(self.ansatz(sampling).batch(points))
        own = LabelTerm(batch, self.runtime.tensor([[self.mass]]), weight=1e4)
        return [*super().terms(network, weights, sampling, rng), own]


@pytest.mark.parametrize("memory_bytes", [2**30, 20_000], ids=["written out", "in factors"])
@pytest.mark.parametrize("odd", [False, True])
def test_a_mean_over_points_is_one_row(memory_bytes: int, odd: bool) -> None:
    """Also of a network that is made odd, which then has more evaluations a point."""
    task, rng = MassTask(Burgers(nu=0.3), mass=0.1), np.random.default_rng(0)
    network = network_for(task.ansatz(SamplingSpec()), 6, 2, "tanh")
    weights = torch.tensor(network.init_weights(rng))
    terms = task.terms(network, weights, SamplingSpec(20, odd=odd), rng)
    batch = terms[-1].batch
    assert isinstance(batch, MeanBatch) and batch.size == 1
    jet = network.forward(weights, batch.inner.inputs, ("",))
    mean = batch.inner.fields(jet).mean()
    r, jacobian = linearise(network, weights, terms, memory_bytes=memory_bytes)
    torch.testing.assert_close(r[-1], (mean - 0.1) * 100, rtol=1e-13, atol=1e-13)
    expected = torch.func.jacrev(lambda w: residuals(network, w, terms))(weights)
    torch.testing.assert_close(jacobian.dense(), expected, rtol=1e-12, atol=1e-11)
    stacked = MeanBatch.stack([batch, batch]).fields(torch.stack([jet, 2 * jet]))
    torch.testing.assert_close(stacked[0], batch.fields(jet), rtol=1e-14, atol=0)


def test_a_fit_meets_a_mean() -> None:
    """A heat equation that loses what it loses, against a mass that it does not have at t = 1."""
    task = MassTask(Heat(alpha=0.1), mass=0.5)  # the equation's is 2/π exp(−0.1 π²) = 0.237
    config = TrainingConfig(width=8, depth=1, points=100, steps=10)
    network = config.build_network(task.ansatz(SamplingSpec()))
    surrogate, _ = train_from_scratch(task, network, config, 0)
    x = (np.arange(40) + 0.5) / 40
    assert float(surrogate(1.0, x).mean()) == pytest.approx(0.5, abs=0.01)


@dataclass(frozen=True)
class MixingTerm(Term):
    """A user's mistake: every row reads all points."""

    n_components = 1

    def residual(self, fields: torch.Tensor) -> torch.Tensor:
        return self.weighted(fields[..., 0, :, :1] - fields[..., 0, :, :1].mean(-2, keepdim=True))


def test_rows_that_mix_points_are_refused() -> None:
    problem = Heat()
    ansatz = PhysicsAnsatz(problem)
    network = network_for(ansatz, 6, 2, "tanh")
    weights = torch.tensor(network.init_weights(np.random.default_rng(0)))
    term = MixingTerm(ansatz.batch(points_of(problem)))
    with pytest.raises(InvalidValueError, match=r"MixingTerm.residual depends on more than its"):
        linearise(network, weights, [term])
