"""What every registered family must do: reference, residual and declarations agree."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.datasets import reference_for
from pacpde.errors import InvalidValueError
from pacpde.methods.check_family import FamilyCheck
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.physics import Problem, families
from pacpde.physics.derivatives import AutogradDerivative
from pacpde.physics.findings import Verdict
from pacpde.reference import Reference, solve, worst_field_error
from pacpde.reference.certificate import LOOSEST

FAMILIES = families.names()
# Of these the reference is computed in seconds, to the default tolerance. Those of the others are
# tests of minutes.
QUICK = (
    "burgers", "burgers_periodic", "heat", "heat2d", "heat_gaussian", "heat_medium", "heat_modes",
    "heat_source", "lorenz", "lotka_volterra",
)  # fmt: skip


def marked(names: Sequence[str]) -> list[Any]:
    """Names of families, the slow ones marked."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


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


def test_a_check_finds_nothing_wrong(problem: Problem) -> None:
    """All coefficients are read and may take their bounds; `exact` solves the equation."""
    for finding in FamilyCheck(problem, fits=False).findings():
        assert finding.verdict != Verdict.WRONG, finding.sentence


@pytest.fixture(scope="module", params=marked(FAMILIES))
def reference(request: pytest.FixtureRequest) -> Reference:
    """To the default tolerance; of what takes long or jumps the best that can be certified."""
    problem = families.get(request.param)()
    if request.param in QUICK:
        return reference_for(problem)
    try:
        return solve(problem, tolerance=1e-7, loosest=LOOSEST)
    except InvalidValueError as refusal:
        pytest.skip(str(refusal))


def test_reference_starts_at_the_start_and_meets_the_edges(reference: Reference) -> None:
    problem = reference.problem
    mesh = np.meshgrid(*reference.axes.values(), indexing="ij")
    at = dict(zip(reference.axes, mesh, strict=True))
    # the start is given, not solved for: only interpolation rounds it
    room = max(1e-9, 10 * reference.certified_error)
    if "t" in reference.axes:
        starts = problem.start_values({name: x[0] for name, x in at.items()})[: len(problem.fields)]
        for value, field in zip(starts, reference.fields.values(), strict=False):  # no pressure
            # a start may have a kink where its axis closes: by the mean square, as is certified
            assert np.sqrt(np.mean((field[0] - value) ** 2)) <= room
    fields = list(reference.fields.values())
    for position, axis in enumerate(problem.domain.axes):
        for edge in problem.boundary.edges:
            if edge.axis == axis.name and not edge.b:
                gap = edge.a * fields[edge.field] - edge.value_at(at)
                end = np.take(gap, -1 if edge.upper else 0, position)
                np.testing.assert_allclose(end[1:] if position else end, 0, atol=room)
        if axis.name in problem.boundary.periodic:
            for field in fields:
                low, high = field.take(0, position), field.take(-1, position)
                np.testing.assert_allclose(low, high, atol=room)


def test_reference_agrees_with_the_exact_solution(reference: Reference) -> None:
    problem = reference.problem
    exact = problem.exact(*np.meshgrid(*reference.axes.values(), indexing="ij"))
    if exact is None:
        pytest.skip("no exact solution is known: compared with other solvers in tests/problems")
    error = worst_field_error(reference.values, exact)
    assert error <= reference.certified_error
    assert error <= 1e-8 or problem.name not in QUICK


@pytest.mark.parametrize(
    "problem", [family() for family in families if len(family.axes) == 1], ids=str
)
def test_reference_satisfies_the_equation(problem: Problem) -> None:
    """∂u/∂t of the stored solution, by a central difference, is `rhs` of it by autograd's twin.

    Space derivatives of references are tested with the method of lines.
    """
    if problem.order != 1:
        pytest.skip("no equation of first order in time")
    tolerance = None if problem.name in QUICK else 1e-7
    reference = reference_for(problem, tolerance=tolerance)
    t = 0.37 * problem.domain.axis("t").upper
    step = 1e-4 * problem.domain.axis("t").length
    slope = (np.asarray(reference(t + step)) - np.asarray(reference(t - step))) / (2 * step)
    empty = AutogradDerivative([], {})
    rate = np.array(problem.evolution.rates(list(np.asarray(reference(t))), empty), float)
    # a second-order difference of step 3e-4 on oscillations of rate ~10: (10·3e-4)²/6 ≈ 2e-6;
    # where terms cancel, a share of the largest
    size = np.abs(rate).max()
    np.testing.assert_allclose(slope.ravel(), rate.ravel(), rtol=1e-4, atol=1e-5 * size)


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
    fast = residuals(network, weights, [term]).view(problem.n_rows, -1) * 16**0.5

    axes = [axis.name for axis in problem.axes]
    leaves = {n: points[:, i].clone().requires_grad_(True) for i, n in enumerate(axes)}
    weights = weights.clone().requires_grad_(True)  # so that fields are followed by autograd
    with torch.enable_grad():
        batch = ansatz.batch(torch.stack(list(leaves.values()), -1))
        fields = batch.fields(network.forward(weights, batch.inputs, ("",)))[0]
        d = AutogradDerivative(list(fields.unbind(-1)), leaves)
        slow = torch.stack(list(problem.in_units(problem.rows(d.fields, d)))).detach()
    torch.testing.assert_close(fast, slow, rtol=1e-8, atol=1e-8 * float(slow.abs().max()))


def test_problems_are_frozen(problem: Problem) -> None:
    name = next(iter(problem.coefficients))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(problem, name, 1.0)
