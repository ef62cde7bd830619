"""Cross-entropy against autograd, and its optimum against scikit-learn's logistic regression."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pacpde.networks.class_ansatz import ClassAnsatz
from pacpde.networks.mlp import MLP
from pacpde.optim import LBFGS, Adam, LevenbergMarquardt
from pacpde.optim.least_squares import LeastSquares
from pacpde.residuals.class_labels import ClassLabels
from pacpde.residuals.class_terms import CrossEntropyTerm
from pacpde.residuals.factors import residuals
from pacpde.residuals.jacobian import linearise
from pacpde.residuals.terms import Anchor
from pacpde.runtime import Runtime

COLUMNS = 3


def labelled(classes: int, rows: int = 60, seed: int = 0, penalty: float = 0.0) -> ClassLabels:
    """Overlapping classes: points around one centre a class."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, classes, rows)
    centres = rng.normal(size=(classes, COLUMNS))
    return ClassLabels(
        centres[numbers] + rng.normal(size=(rows, COLUMNS)), numbers, classes, penalty
    )


def problem(rows: ClassLabels, seed: int = 0, first_output: int = 0) -> LeastSquares:
    network = MLP(COLUMNS, rows.n_classes + first_output, width=5, depth=1)
    ansatz = ClassAnsatz.of_classes(rows.points, range(rows.n_classes))
    weights = torch.tensor(network.init_weights(np.random.default_rng(seed)))
    term = rows.term(replace(ansatz, first_output=first_output), Runtime())
    return LeastSquares(network, weights, torch.ones(network.size, dtype=torch.bool), [term])


def logits(problem: LeastSquares, x: torch.Tensor) -> torch.Tensor:
    batch = problem.terms[0].batch
    return batch.fields(problem.network.forward(x, batch.inputs, batch.names))[0]


def loss(rows: ClassLabels, z: torch.Tensor) -> torch.Tensor:
    numbers = torch.tensor(rows.numbers)
    penalty = rows.logit_penalty / 2 * (z**2).sum(-1).mean()
    return torch.nn.functional.cross_entropy(z, numbers) + penalty


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("penalty", [0.0, 1e-2])
@pytest.mark.parametrize("first_output", [0, 3])
def test_loss_gradient_and_gauss_newton_matrix_are_those_of_autograd(
    classes: int, penalty: float, first_output: int
) -> None:
    rows = labelled(classes, penalty=penalty)
    own = problem(rows, first_output=first_output)
    x = own.x0
    assert own.loss(x) == pytest.approx(float(loss(rows, logits(own, x))), rel=1e-12)
    expected = torch.func.grad(lambda w: loss(rows, logits(own, w)))(x)
    r, jacobian = own.linearise(x)
    matrix = jacobian.dense()
    # float64 sums of 60 rows: ten digits are left whatever the order
    torch.testing.assert_close(matrix.T @ r, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(own.loss_and_gradient(x)[1], expected, rtol=1e-10, atol=1e-12)
    slopes = torch.func.jacrev(lambda w: logits(own, w))(x)  # [rows, classes, size]
    p = torch.softmax(logits(own, x), -1)
    hessian = torch.diag_embed(p + penalty) - p[:, :, None] * p[:, None, :]
    ggn = torch.einsum("nki,nkl,nlj->ij", slopes, hessian, slopes) / len(p)
    torch.testing.assert_close(matrix.T @ matrix, ggn, rtol=1e-10, atol=1e-12)


def test_frozen_weights_are_in_no_column_and_blocks_of_rows_add_up() -> None:
    own = problem(labelled(4, penalty=1e-3))
    indices = torch.arange(0, own.network.size, 3)
    r, whole = own.linearise(own.x0)
    _, some = linearise(own.network, own.weights, own.terms, indices)
    torch.testing.assert_close(some.dense(), whole.dense()[:, indices])
    parts = [own.terms[0].subset(slice(0, 25)), own.terms[0].subset(slice(25, 60))]
    r_parts, blocks = linearise(own.network, own.weights, parts)
    torch.testing.assert_close(blocks.normal().tril(), whole.normal().tril())
    torch.testing.assert_close(blocks.transposed_times(r_parts), whole.transposed_times(r))
    # the same without the memory to hold the Jacobian, or its factors
    for memory in (1, 5_000):
        r_streamed, streamed = linearise(own.network, own.weights, own.terms, None, memory)
        torch.testing.assert_close(streamed.transposed_times(r_streamed), whole.transposed_times(r))


def test_probabilities_of_0_and_1_leave_loss_and_gradient_right() -> None:
    rows = labelled(3, rows=4)
    z = torch.tensor([[900.0, 0, 0], [0, 900, 0], [-900, 0, 900], [1e-9, 0, 0]])
    z = z.double()
    term = problem(rows).terms[0]
    assert isinstance(term, CrossEntropyTerm)
    leaf = z.clone().requires_grad_(True)
    expected = torch.autograd.grad(loss(rows, leaf), leaf)[0]
    b = term.gauss_newton(leaf[None])
    slopes = torch.stack([torch.autograd.grad(b[:, k].sum(), leaf, retain_graph=True)[0]
                          for k in range(3)], 1)  # fmt: skip
    gradient = torch.einsum("nkj,nk->nj", slopes, b.detach())
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)
    r = term.residual(leaf[None])
    (by_residual,) = torch.autograd.grad((r**2).sum() / 2, leaf)
    torch.testing.assert_close(by_residual, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("classes", [2, 10])
def test_levenberg_marquardt_finds_the_optimum_of_logistic_regression(classes: int) -> None:
    """The hidden layer is frozen: what is left is logistic regression on its features."""
    rows, c = labelled(classes, rows=200), 0.7
    own = problem(rows)
    network = own.network
    layer = network.layers[-1]
    mask = torch.zeros(network.size, dtype=torch.bool)
    mask[layer.parameters] = True
    strength = torch.zeros(int(mask.sum()), dtype=torch.float64)
    # mean loss + ½|w|²/(C n); two logits ±w/2 have half the square of one logit w
    strength[: layer.outputs * layer.inputs] = (1 if classes == 2 else 0.5) / (c * 200)
    own = replace(own, trainable_mask=mask, anchor=Anchor(strength, torch.zeros_like(strength)))
    found = LevenbergMarquardt().run(own, own.x0, 60)
    x = own.insert(found.x)
    batch = own.terms[0].batch
    features = network.hidden(own.weights, batch.inputs, batch.names)[0].numpy()
    model = LogisticRegression(C=c, tol=1e-12, max_iter=1000, solver="newton-cg")
    model.fit(features, rows.numbers)
    p = torch.softmax(logits(own, x), -1).numpy()
    np.testing.assert_allclose(p, model.predict_proba(features), atol=1e-6)
    weight, bias = network.matrices(x)[-1]
    if classes == 2:
        np.testing.assert_allclose(weight[1] - weight[0], model.coef_[0], atol=1e-6)
        np.testing.assert_allclose(bias[1] - bias[0], model.intercept_[0], atol=1e-6)
    else:
        np.testing.assert_allclose(weight, model.coef_, atol=1e-6)
    assert torch.equal(x[~mask], own.weights[~mask])
    assert found.steps < 20  # Newton's steps, not hundreds of a gradient's


def test_every_optimiser_lowers_it_and_a_stack_is_what_each_is_alone() -> None:
    problems = [problem(labelled(3, seed=seed, penalty=1e-3), seed) for seed in (0, 1)]
    alone = [LevenbergMarquardt().run(own, own.x0, 10) for own in problems]
    both = LevenbergMarquardt().run_together(problems, [own.x0 for own in problems], 10, [None] * 2)
    for one, stacked, own in zip(alone, both, problems, strict=True):
        torch.testing.assert_close(stacked.loss, one.loss, rtol=1e-9, atol=0)
        assert one.loss < 0.5 * own.loss(own.x0)
    for optimiser in (Adam(lr=1e-2), LBFGS()):
        own = problems[0]
        found = optimiser.run(own, own.x0, 30)
        assert alone[0].loss - 1e-6 < found.loss < own.loss(own.x0)


def test_the_residuals_are_the_loss_of_each_row() -> None:
    own = problem(labelled(3))
    r = residuals(own.network, own.weights, own.terms)
    z = logits(own, own.x0)
    each = torch.nn.functional.cross_entropy(z, torch.tensor(labelled(3).numbers), reduction="none")
    torch.testing.assert_close(r**2 / 2 * len(z), each)
