"""Errors of fields of different sizes, and where they are shown."""

from dataclasses import dataclass
from math import cos, sin
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit, transfer
from pacpde.cli.output import record_table, worst_field
from pacpde.methods.grading import error_of, errors_of
from pacpde.networks.ansatz import PhysicsAnsatz, network_for
from pacpde.physics import Axis, Evolution, coefficient
from pacpde.problems import Heat
from pacpde.reference import field_errors, solve
from pacpde.studies import records


@dataclass(frozen=True)
class Beside(Evolution):
    """A decay of size 1 beside an oscillator of size 1e-6; without a name it is not registered."""

    axes = (Axis("t", 0.0, 1.0),)
    fields = ("x", "p", "q")
    scales = (1.0, 1.0, 1.0)

    w: float = coefficient(3.0, lower=0.5, upper=20.0, meaning="frequency ω")

    def rhs(self, u: Any, d: Any) -> Any:
        x, p, q = u
        return -x, self.w * q, -self.w * p

    def initial(self, *space: Any) -> Any:
        return 1.0, 1e-6, 0.0


Beside.name = "beside_without_a_name"


def test_a_small_field_that_is_wrong_is_the_worst() -> None:
    problem = Beside()
    ansatz = PhysicsAnsatz(problem)
    network = network_for(ansatz, 3, 1, "tanh")
    weights = torch.zeros(network.size, dtype=torch.float64)  # the fields stay at their start
    errors = errors_of(Surrogate(network, ansatz, weights), solve(problem, tolerance=1e-8))
    assert errors is not None
    t = np.linspace(0, 1, 2001)
    apart = {
        "x": np.linalg.norm(1 - np.exp(-t)) / np.linalg.norm(np.exp(-t)),
        "p": np.linalg.norm([1 - cos(3 * s) for s in t]) / np.linalg.norm(np.cos(3 * t)),
        "q": np.linalg.norm([sin(3 * s) for s in t]) / np.linalg.norm(np.sin(3 * t)),
    }
    # the norms are sums over other points of a smooth function
    assert errors.by_field == pytest.approx(apart, rel=1e-2)
    assert errors.worst == max(errors.by_field.values()) > 1.5
    assert errors.total == pytest.approx(errors.by_field["x"], rel=1e-6)


def test_a_field_that_is_zero_is_measured_in_its_scale() -> None:
    exact = np.array([[3.0, 4.0], [0.0, 0.0]])
    values = exact + np.array([[0.0, 0.5], [3e-6, 4e-6]])
    assert field_errors(values, exact) == pytest.approx([0.1, 5e-6])
    assert field_errors(values, exact, [1.0, 1e-4]) == pytest.approx([0.1, 5e-2 / 2**0.5])


def test_without_a_reference_there_is_none() -> None:
    assert errors_of(None, None) is None and error_of(None, None) is None  # type: ignore[arg-type]


def test_a_transfer_shows_its_worst_field() -> None:
    source = fit(Beside(), width=5, depth=1, points=20, steps=2)
    result = transfer(source, Beside(w=4.0), method="warm_start", settings={"steps": 2})
    record = result.record()
    assert record["worst_field_error"] == max(record["target_error_by_field"].values())
    assert list(record["target_error_by_field"]) == ["x", "p", "q"]
    assert result.worst_field_error is not None and result.target_error is not None
    assert result.worst_field_error > 10 * result.target_error  # p and q are hardly seen
    assert records.check(record) is record
    columns = [str(column.header) for column in record_table("", [record]).columns]
    assert "worst field" in columns
    worst = max(record["target_error_by_field"], key=record["target_error_by_field"].get)
    assert worst_field([record["target_error_by_field"], None]) == [
        f"{record['worst_field_error']:.2e} ({worst})",
        "ungraded",
    ]


def test_one_field_needs_no_column() -> None:
    assert worst_field([{"u": 1e-3}, None]) == []
    source = fit(Heat(alpha=0.4), width=5, depth=1, points=20, steps=1)
    result = transfer(source, Heat(alpha=0.3), method="warm_start", settings={"steps": 1})
    assert result.target_error_by_field == {"u": result.target_error}
    columns = [str(column.header) for column in record_table("", [result.record()]).columns]
    assert "worst field" not in columns
