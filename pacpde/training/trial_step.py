"""The step that a time window would take with other random neurons, before any is taken."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from numpy.random import Generator

from pacpde.networks.linear_head import LinearHead
from pacpde.networks.time_windows import TimeWindows
from pacpde.optim.gauss_newton import OrthogonalFactor
from pacpde.optim.least_squares import LeastSquares
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Term

DAMPING = 1e-13  # of the step, as a share of the length of columns
POINTS_A_NEURON = 2  # that a trial is fitted at; half as many tell what it leaves


@dataclass(frozen=True)
class LinearisedRows:
    """Residuals at the solution of a window, to first order in a head that takes the place of its
    own.

    Attributes:
        terms: whose fields without any head are those of the solution.
        wanted: what the slopes in the window's own head make of it, less the residuals, [rows].
    """

    terms: Sequence[Term]
    wanted: torch.Tensor

    @classmethod
    def at(
        cls,
        network: TimeWindows,
        weights: torch.Tensor,
        head: torch.Tensor,
        terms: Sequence[Term],
    ) -> "LinearisedRows":
        """Those of some terms.

        Args:
            weights: of the solution, [size].
            head: where those are that others may replace, bool [size].
        """
        problem = LeastSquares(network, weights, head, terms)
        r, jacobian = problem.linearise(problem.x0)
        at = []
        for term in terms:
            batch = term.batch
            with torch.no_grad():
                outputs = network.forward(weights, batch.inputs, batch.names)
            at.append(replace(term, batch=replace(batch, offset=batch.fields(outputs))))
        return cls(at, jacobian.dense() @ problem.x0 - r)

    def system(
        self, network: TimeWindows, weights: torch.Tensor, head: torch.Tensor
    ) -> torch.Tensor:
        """The rows [slopes in the whole head of other neurons, wanted], [rows, head + 1].

        Args:
            network, weights: that have these neurons.
            head: where it is in their weights, positions [head].
        """
        terms = []
        for term in self.terms:
            batch = term.batch
            with torch.no_grad():
                split = network.split_head(weights, batch.inputs, batch.names, head)
            assert split is not None  # a whole head of a dense network
            terms.append(replace(term, batch=replace(batch, inputs=split[1])))
        linear = LinearHead(terms[0].batch.inputs.shape[-1], network.outputs)
        none = weights.new_zeros(linear.size)
        whole = torch.ones_like(none, dtype=torch.bool)
        _, jacobian = LeastSquares(linear, none, whole, terms).linearise(none)
        return torch.cat([jacobian.dense(), self.wanted[:, None]], 1)


@dataclass(frozen=True)
class TrialStep:
    """One Gauss–Newton step of a window with other neurons, all of them anew, from its solution.

    A residual sees the derivatives of what neurons leave; their values alone do not.

    Attributes:
        neurons: how many are tried.
        fitted, others: rows at two sets of points.
    """

    network: TimeWindows
    number: int
    neurons: int
    fitted: LinearisedRows
    others: LinearisedRows

    @classmethod
    def of(
        cls,
        task: Task,
        network: TimeWindows,
        weights: torch.Tensor,
        number: int,
        neurons: int,
        rng: Generator,
        kept: int = 0,
    ) -> "TrialStep":
        """That of one window.

        Args:
            weights: its solution, [size].
            kept: neurons of another solver, which come first and stay.
        """
        head = torch.zeros_like(weights, dtype=torch.bool)
        matrix, bias = network.inner.head_matrix(head[network.window(number)])
        matrix[:, kept:] = True
        bias[:] = not kept
        rows = []
        for points in (POINTS_A_NEURON * neurons, POINTS_A_NEURON * neurons // 2):
            ends = number / network.count, (number + 1) / network.count
            sampling = SamplingSpec(max(points, 1), start=ends[0], horizon=ends[1], candidates=1)
            terms = task.terms(network, weights, sampling, rng)
            rows.append(LinearisedRows.at(network, weights, head, terms))
        few = replace(network, width=neurons)
        return cls(few, number, neurons, *rows)

    def left(self, incoming: torch.Tensor, biases: torch.Tensor) -> float:
        """The root mean square residual that the step leaves at the other points.

        Args:
            incoming, biases: of the hidden layer, [neurons, inputs] and [neurons].
        """
        weights = biases.new_zeros(self.network.size)
        window = self.network.window(self.number)
        (into, bias), _ = self.network.inner.matrices(weights[window])
        into[:], bias[:] = incoming, biases
        head = torch.zeros_like(weights, dtype=torch.bool)
        for part in self.network.inner.head_matrix(head[window]):
            part[:] = True
        places = head.nonzero()[:, 0]
        fitted = self.fitted.system(self.network, weights, places)
        step = OrthogonalFactor.empty(fitted[0, :-1]).joined([fitted]).step(DAMPING)
        others = self.others.system(self.network, weights, places)
        return float((others[:, :-1] @ step - others[:, -1]).norm())
