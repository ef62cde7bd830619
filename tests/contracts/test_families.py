"""What every registered family must do: reference, residual and declarations agree."""

import dataclasses

import numpy as np
import pytest
import torch

from pacpde.datasets import reference_for
from pacpde.errors import InvalidValueError
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.physics import Problem, families
from pacpde.physics.derivatives import AutogradDerivative

FAMILIES = families.names()


@pytest.fixture(params=FAMILIES)
def problem(request: pytest.FixtureRequest) -> Problem:
    return families.get(request.param)()


def test_defaults_lie_within_the_bounds_and_bounds_are_enforced(problem: Problem) -> None:
    for name, about in problem.declared().items():
        assert about.lower <= about.default <= about.upper
        for bad in (about.lower - 1e-6, about.upper * 1.01, np.nan, np.inf, True, "1"):
            with pytest.raises(InvalidValueError, match=name):
                problem.with_coefficients(**{name: bad})


def test_the_docstring_opens_with_the_equation(problem: Problem) -> None:
    assert "=" in (type(problem).__doc__ or "").splitlines()[0]


def test_reference_starts_at_the_start_and_meets_the_edges(problem: Problem) -> None:
    reference = reference_for(problem)
    space = list(reference.axes.values())[1:]
    mesh = np.meshgrid(*space, indexing="ij")
    for value, field in zip(problem.initial_fields(*mesh), reference.fields.values(), strict=True):
        # the start is given, not solved for: only interpolation rounds it
        np.testing.assert_allclose(field[0], value + np.zeros_like(field[0]), atol=1e-9)
        for position, axis in enumerate(problem.domain.space, start=1):
            edge = problem.boundary.constant_edges(axis.name, 0)
            low, high = field.take(0, position), field.take(-1, position)
            if edge is not None:
                np.testing.assert_allclose(low[1:], edge[0], atol=1e-9)
                np.testing.assert_allclose(high[1:], edge[1], atol=1e-9)
            else:
                np.testing.assert_allclose(low, high, atol=1e-9)


def is_solved(problem: Problem) -> bool:
    """Whether its exact solution is known."""
    return problem.exact(*(np.array([axis.upper]) for axis in problem.domain.axes)) is not None


@pytest.mark.parametrize("problem", [p for p in (f() for f in families) if is_solved(p)], ids=str)
def test_reference_agrees_with_the_exact_solution(problem: Problem) -> None:
    reference = reference_for(problem)
    exact = problem.exact(*np.meshgrid(*reference.axes.values(), indexing="ij"))
    assert exact is not None
    solved = np.stack(list(reference.fields.values()))
    error = np.linalg.norm(solved - exact) / np.linalg.norm(exact)
    assert error <= reference.certified_error
    assert error <= 1e-8


@pytest.mark.parametrize(
    "problem", [family() for family in families if len(family.axes) == 1], ids=str
)
def test_reference_satisfies_the_equation(problem: Problem) -> None:
    """∂u/∂t of the stored solution, by a central difference, is `rhs` of it by autograd's twin.

    Space derivatives of references are tested with the method of lines.
    """
    reference = reference_for(problem)
    t = 0.37 * problem.domain.axis("t").upper
    step = 1e-4 * problem.domain.axis("t").length
    slope = (np.asarray(reference(t + step)) - np.asarray(reference(t - step))) / (2 * step)
    empty = AutogradDerivative([], {})
    rate = np.array(problem.rates(list(np.asarray(reference(t))), empty), float)
    # a second-order difference of step 3e-4 on oscillations of rate ~10: (10·3e-4)²/6 ≈ 2e-6
    np.testing.assert_allclose(slope.ravel(), rate.ravel(), rtol=1e-4)


def test_a_random_network_has_the_residual_that_autograd_finds(problem: Problem) -> None:
    from pacpde.networks.mlp import MLP
    from pacpde.residuals.factors import residuals
    from pacpde.residuals.terms import PhysicsTerm

    rng = np.random.default_rng(0)
    points = torch.tensor(problem.domain.sample(16, rng))
    ansatz = PhysicsAnsatz(problem).with_odd(True)
    network = MLP(ansatz.inputs, ansatz.outputs, 7, 2)
    weights = torch.tensor(network.init_weights(rng))
    term = PhysicsTerm.at(problem, ansatz, points)
    fast = residuals(network, weights, [term]).view(len(problem.fields), -1) * 16**0.5

    axes = [axis.name for axis in problem.axes]
    leaves = {n: points[:, i].clone().requires_grad_(True) for i, n in enumerate(axes)}

    def features(sign: float) -> torch.Tensor:
        flipped = {n: sign * v if n in problem.odd else v for n, v in leaves.items()}
        return ansatz._features(**flipped)

    def network_at(sign: float) -> torch.Tensor:
        return network.forward(weights, features(sign)[None], ("",))[0]

    inner = (network_at(1) - network_at(-1)) / 2 if problem.odd else network_at(1)
    scale = torch.tensor(problem.scales)
    fields = ansatz._offset(**leaves) + scale * ansatz._multiplier(**leaves) * inner
    d = AutogradDerivative(list(fields.unbind(-1)), leaves)
    rates = problem.rates(d.fields, d)
    slow = torch.stack(
        [(d.take(k, "t") - r) / problem.scales[k] for k, r in enumerate(rates)]
    ).detach()
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)


def test_problems_are_frozen(problem: Problem) -> None:
    name = next(iter(problem.coefficients))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(problem, name, 1.0)
