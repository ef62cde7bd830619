"""The layer-wise Jacobian against central differences and against `torch.func.jacrev`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.networks.batch import Ansatz
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Factors
from pacpde.networks.row_sums import RowSums
from pacpde.networks.table_ansatz import TableAnsatz
from pacpde.physics import Axis, Dirichlet, Problem
from pacpde.physics.elementary import sin
from pacpde.problems import Burgers, BurgersPeriodic, Heat2D, Lorenz
from pacpde.residuals.factors import Streamed, residuals
from pacpde.residuals.jacobian import Jacobian, linearise, split
from pacpde.residuals.terms import LabelTerm, PhysicsTerm, Term
from tests import equations


@dataclass(frozen=True)
class Saddle(Heat2D):
    """Odd in x and in y; without a name of its own it stays out of the registry."""

    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0))
    odd = ("x", "y")


@dataclass(frozen=True)
class Dispersive(Problem):
    """u_t = u_txx − u u_x − u u_xxx − u_xxxx/10 between walls, odd in x."""

    name = "dispersive_of_the_tests"
    odd = ("x",)
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))
    edges = {"x": Dirichlet(0.0, 0.0)}

    def rhs(self, u: Any, d: Any) -> Any:
        return d(u, "txx") - u * (d(u, "x") + d(u, "xxx")) - d(u, "xxxx") / 10

    def initial(self, x: Any) -> Any:
        return sin(np.pi * x)


@dataclass(frozen=True)
class Plate(Heat2D):
    """u_t = −Δ²u + u u_xxy."""

    name = "plate_of_the_tests"

    def rhs(self, u: Any, d: Any) -> Any:
        return -d(u, "xxxx") - 2 * d(u, "xxyy") - d(u, "yyyy") + u * d(u, "xxy")


@dataclass(frozen=True)
class OddInsulated(equations.Insulated):
    """u_t = 0.1 u_xx, odd between insulated ends."""

    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))
    odd = ("x",)

    def initial(self, *space: Any) -> Any:
        return sin(np.pi / 2 * space[0])


Case = tuple[MLP, torch.Tensor, Sequence[Term]]


def random_weights(network: MLP) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(2).normal(0, 0.6, network.size))


def case(problem: Problem, *, labels: bool = False, odd: bool = False, kind: str = "tanh") -> Case:
    """Physics at 6 points, and labels at 4 others, of a small random network."""
    ansatz = PhysicsAnsatz(problem, odd=odd)
    network = network_for(ansatz, 5, 2, kind)
    rng = np.random.default_rng(1)
    unit = rng.uniform(size=(10, len(problem.axes)))
    points = torch.tensor(problem.domain.from_unit(unit))
    terms: list[Term] = [PhysicsTerm.at(problem, ansatz, points[:6], weight=2.0)]
    if labels:
        values = torch.tensor(rng.normal(size=(4, len(problem.fields))))
        terms.append(LabelTerm.at(ansatz, points[6:], values, weight=3.0))
    return network, random_weights(network), terms


def table() -> Case:
    """Labels alone, of a table with three inputs and two outputs."""
    rng = np.random.default_rng(1)
    inputs, outputs = rng.normal(size=(8, 3)), rng.normal(5, 2, size=(8, 2))
    ansatz: Ansatz = TableAnsatz.of(inputs, outputs)
    network = network_for(ansatz, 4, 1, "sin")
    term = LabelTerm.at(ansatz, torch.tensor(inputs), torch.tensor(outputs))
    return network, random_weights(network), [term]


CASES: dict[str, Any] = {
    "one field": lambda: case(Burgers(nu=0.1)),
    "sin": lambda: case(Burgers(nu=0.1), kind="sin"),
    "three fields": lambda: case(Lorenz()),
    "three axes": lambda: case(Heat2D()),
    "odd images": lambda: case(Burgers(nu=0.1), odd=True),
    "odd and periodic": lambda: case(BurgersPeriodic(nu=0.1), odd=True),
    "odd in two axes": lambda: case(Saddle(), odd=True),
    "physics and labels": lambda: case(Lorenz(), labels=True),
    "odd physics and labels": lambda: case(Burgers(nu=0.1), labels=True, odd=True),
    "fourth order": lambda: case(Dispersive()),
    "fourth order, odd": lambda: case(Dispersive(), odd=True),
    "fourth order in two axes": lambda: case(Plate()),
    "insulated ends": lambda: case(equations.Insulated(), labels=True),
    "two fields with conditions of their own": lambda: case(equations.TwoKinds()),
    "odd between insulated ends": lambda: case(OddInsulated(), odd=True),
    "table": table,
}


@pytest.fixture(params=CASES)
def made(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def test_residuals_are_those_of_the_plain_forward_pass(made: Case) -> None:
    network, weights, terms = made
    r, _ = linearise(network, weights, terms)
    assert torch.equal(r, residuals(network, weights, terms))


def test_equals_jacrev(made: Case) -> None:
    network, weights, terms = made
    jacobian = linearise(network, weights, terms)[1].dense()
    expected = torch.func.jacrev(lambda w: residuals(network, w, terms))(weights)
    # every weight matters, so every column is tested; only an odd ansatz cancels the output bias
    without_effect = (expected.abs().amax(0) == 0).nonzero()[:, 0].tolist()
    odd = terms[0].batch.images > terms[0].batch.places
    assert without_effect == ([network.size - 1] if odd else [])
    # the same sums in another order
    torch.testing.assert_close(jacobian, expected, rtol=1e-12, atol=1e-12)


def test_equals_central_differences(made: Case) -> None:
    network, weights, terms = made
    jacobian = linearise(network, weights, terms)[1].dense()
    step = 1e-5
    columns = []
    for j in range(network.size):
        shift = torch.zeros_like(weights)
        shift[j] = step
        up = residuals(network, weights + shift, terms)
        down = residuals(network, weights - shift, terms)
        columns.append((up - down) / (2 * step))
    # error: step²·r''' / 6 ~ 1e-10 times third derivatives of up to 10³, and 1e-16 r / step
    error = (jacobian - torch.stack(columns, -1)).abs().max()
    assert error < 1e-7 * jacobian.abs().max()


@pytest.mark.parametrize("share", [0.2, 0.8], ids=["few", "most"])
def test_free_columns_are_those_of_the_whole(made: Case, share: float) -> None:
    network, weights, terms = made
    whole = linearise(network, weights, terms)[1].dense()
    free = torch.arange(network.size)[np.random.default_rng(3).random(network.size) < share]
    r, part = linearise(network, weights, terms, free)
    assert 0 < len(free) < network.size and part.shape == (len(r), len(free))
    # the few are formed one by one: the same sums in another order
    torch.testing.assert_close(part.dense(), whole[:, free], rtol=1e-13, atol=1e-13)
    assert torch.equal(r, residuals(network, weights, terms))


@pytest.mark.parametrize("share", [0.3, 1.0], ids=["some free", "all free"])
@pytest.mark.parametrize("memory", [2**30, 3000, 1])
def test_products_are_those_of_the_matrix(made: Case, share: float, memory: int) -> None:
    """In as many pieces as memory asks for: one, some, and a row or column each."""
    network, weights, terms = made
    rng = np.random.default_rng(5)
    free = torch.arange(network.size)[rng.random(network.size) <= share]
    r, jacobian = linearise(network, weights, terms, free if share < 1 else None, memory)
    matrix = jacobian.dense()
    v, y = torch.tensor(rng.normal(size=len(free))), torch.tensor(rng.normal(size=len(r)))
    close = {"rtol": 1e-11, "atol": 1e-11}  # sums of some hundred products of size up to 10
    torch.testing.assert_close(jacobian.times(v), matrix @ v, **close)
    torch.testing.assert_close(jacobian.transposed_times(y), matrix.T @ y, **close)
    torch.testing.assert_close(jacobian.gram().tril(), (matrix @ matrix.T).tril(), **close)
    torch.testing.assert_close(jacobian.normal().tril(), (matrix.T @ matrix).tril(), **close)


def test_split_terms_are_the_same_residuals(made: Case) -> None:
    """In another order of rows, of which the normal matrix knows nothing."""
    network, weights, terms = made
    r, jacobian = linearise(network, weights, terms)
    assert jacobian.matrix is not None
    memory = 3 * max(network.factor_bytes(term.batch.inputs) for term in terms)
    pieces = split(network, terms, memory)
    assert len(pieces) > len(terms)
    assert all(8 * network.factor_bytes(piece.batch.inputs) <= 2 * memory for piece in pieces)
    split_r, whole = linearise(network, weights, pieces)
    torch.testing.assert_close(split_r @ split_r, r @ r, rtol=1e-13, atol=0)
    expected, found = jacobian.dense(), whole.dense()
    torch.testing.assert_close(found.T @ found, expected.T @ expected, rtol=1e-11, atol=1e-11)


def test_factors_made_anew_are_the_same(made: Case) -> None:
    network, weights, terms = made
    r, jacobian = linearise(network, weights, terms)
    streamed_r, streamed = linearise(network, weights, terms, memory_bytes=1)
    assert streamed.matrix is None and isinstance(streamed.parts, Streamed)
    assert torch.equal(streamed_r, r) and streamed.shape == jacobian.shape
    matrix = jacobian.dense()
    y = torch.tensor(np.random.default_rng(4).normal(size=len(r)))
    v = torch.tensor(np.random.default_rng(6).normal(size=network.size))
    close = {"rtol": 1e-11, "atol": 1e-11}
    kept = replace(streamed, parts=list(streamed.parts))
    for found in (streamed, kept):
        torch.testing.assert_close(found.transposed_times(y), matrix.T @ y, **close)
        torch.testing.assert_close(found.times(v), matrix @ v, **close)
        torch.testing.assert_close(found.gram().tril(), (matrix @ matrix.T).tril(), **close)
        torch.testing.assert_close(found.normal().tril(), (matrix.T @ matrix).tril(), **close)


def test_factors_of_the_first_terms_are_retained(made: Case) -> None:
    """As many as memory has room for, beside what the others are computed from."""
    network, weights, terms = made
    pieces = [*terms] * 60
    sizes = [network.factor_bytes(piece.batch.inputs) for piece in pieces]
    rows = sum(piece.n_components * piece.batch.size for piece in pieces)
    memory = min(7 * sum(sizes) // 10, 8 * rows * network.size - 1)  # no dense matrix fits
    r, jacobian = linearise(network, weights, pieces, memory_bytes=memory)
    assert isinstance(jacobian.parts, Streamed)
    retained = jacobian.parts.retained
    assert 0 < len(retained) < len(pieces)
    assert jacobian.taken_bytes == sum(sizes[: len(retained)]) + 4 * max(sizes) <= 1.3 * memory
    expected_r, expected = linearise(network, weights, pieces)
    matrix = expected.dense()
    v = torch.tensor(np.random.default_rng(6).normal(size=network.size))
    close = {"rtol": 1e-11, "atol": 1e-11}
    torch.testing.assert_close(r, expected_r, **close)
    torch.testing.assert_close(jacobian.times(v), matrix @ v, **close)
    torch.testing.assert_close(jacobian.normal_times(v), matrix.T @ (matrix @ v), **close)
    torch.testing.assert_close(expected.normal_times(v), matrix.T @ (matrix @ v), **close)


@pytest.mark.parametrize("share", [0.3, 1.0], ids=["some free", "all free"])
def test_a_sketch_is_of_signed_sums_of_rows(made: Case, share: float) -> None:
    """Of the dense matrix, of the factors that form them, and by rows written out."""
    network, weights, terms = made
    free = torch.arange(network.size)[np.random.default_rng(5).random(network.size) <= share]
    _, jacobian = linearise(network, weights, terms, free if share < 1 else None)
    _, factors = linearise(network, weights, terms, free if share < 1 else None, memory_bytes=1)
    matrix = jacobian.dense()
    found = factors.sketch(4)
    assert torch.equal(found, factors.sketch(4)) and found.shape == (4, len(free))
    random = torch.Generator().manual_seed(0)
    expected, row, first = torch.zeros(4, len(free), dtype=torch.float64), 0, 0
    for part in factors.parts:
        places = (first + torch.arange(min(4, part.points))) % 4
        first += len(places)
        sums = RowSums.random(part.n_components, part.points, places, random).to(matrix)
        place, sign = sums.by_row(part.points)
        for k, own in enumerate(matrix[row : row + part.rows]):
            expected[place.flatten()[k]] += sign.flatten()[k] * own
        row += part.rows
    close = {"rtol": 1e-12, "atol": 1e-11}  # sums of rows of size up to 100
    torch.testing.assert_close(found, expected, **close)
    written = replace(factors, parts=[Plain(part) for part in factors.parts])
    torch.testing.assert_close(written.sketch(4), found, **close)


@dataclass(frozen=True)
class Plain(Factors):
    """Factors that only know how to write rows."""

    inner: Factors

    n_components = property(lambda self: self.inner.n_components)  # type: ignore[assignment]
    points = property(lambda self: self.inner.points)  # type: ignore[assignment]

    def subset(self, points: slice) -> "Plain":
        return Plain(self.inner.subset(points))

    def write(self, columns: Any, target: torch.Tensor) -> None:
        self.inner.write(columns, target)

    def times(self, direction: torch.Tensor) -> torch.Tensor:
        return self.inner.times(direction)

    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        self.inner.add_transposed(y, total)


def test_every_row_is_in_one_sum_of_equally_many() -> None:
    """So the mean of AᵀA over signs is JᵀJ: SᵀS has 1 on its diagonal, and signs off it."""
    random = torch.Generator().manual_seed(1)
    sums = RowSums.random(2, 23, torch.arange(5), random)
    place, sign = sums.by_row(23)
    assert sign.abs().eq(1).all() and 5 < int((sign == 1).sum()) < 41
    for own in place:
        assert sorted(own.bincount(minlength=5).tolist()) == [4, 4, 5, 5, 5]
    assert not torch.equal(place[0], place[1])
    eye = torch.eye(400, dtype=torch.float64)
    network = MLP(1, 1, 133, 1)  # of 400 weights; the matrix is any
    whole = Jacobian(network, eye[0, :0], 400, (), matrix=eye)
    s = whole.sketch(50)
    assert torch.equal((s != 0).sum(0), torch.ones(400, dtype=torch.long))
    assert torch.equal((s != 0).sum(1), torch.full((50,), 8))


def test_a_stack_of_factors_made_anew_is_chosen_from_without_making_them() -> None:
    cases = [case(Burgers(nu=0.1)), case(Burgers(nu=0.3))]
    network, weights = cases[0][0], torch.stack([cases[0][1], 2 * cases[1][1]])
    terms = [PhysicsTerm.stack([one[2][0] for one in cases])]  # type: ignore[list-item]
    _, whole = linearise(network, weights, terms, memory_bytes=1)
    some = whole.select(torch.tensor([1]))
    assert isinstance(some.parts, Streamed)
    _, alone = linearise(network, weights[1], cases[1][2])
    torch.testing.assert_close(some.dense()[0], alone.dense(), rtol=1e-12, atol=1e-12)
    # a sum a row: the sketch is the matrix but for order and signs
    sketch = whole.sketch(6)
    gram = sketch.mT @ sketch
    torch.testing.assert_close(gram, whole.dense().mT @ whole.dense(), rtol=1e-11, atol=1e-11)


def test_nothing_is_left_attached_to_the_graph(made: Case) -> None:
    network, weights, terms = made
    r, jacobian = linearise(network, weights, terms)
    assert not r.requires_grad and not jacobian.dense().requires_grad and not weights.requires_grad
