"""The step that a time window would take with other random neurons, before any is taken."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from numpy.random import Generator

from pacpde.networks.linear_head import LinearHead
from pacpde.networks.time_windows import TimeWindows
from pacpde.optim.gauss_newton import GaussNewton, OrthogonalFactor
from pacpde.optim.least_squares import LeastSquares
from pacpde.residuals.task import SamplingSpec, Task
from pacpde.residuals.terms import Term

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
        network: one of as many windows, with the neurons that are tried.
        number: of the window.
        fitted, others: rows at two sets of points.
    """

    network: TimeWindows
    number: int
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
            neurons: how many are tried.
            kept: neurons of another solver, which come first and stay.
        """
        head = torch.zeros_like(weights, dtype=torch.bool)
        mark_head(head, network, number, kept)
        start, end = number / network.count, (number + 1) / network.count
        rows = []
        for points in (POINTS_A_NEURON * neurons, POINTS_A_NEURON * neurons // 2):
            sampling = SamplingSpec(max(points, 1), start=start, horizon=end, candidates=1)
            terms = task.terms(network, weights, sampling, rng)
            rows.append(LinearisedRows.at(network, weights, head, terms))
        return cls(replace(network, width=neurons), number, *rows)

    @cached_property
    def _weights(self) -> torch.Tensor:
        """Of the network, [size]: 0 but for what the last trial had in the window."""
        return self.fitted.wanted.new_zeros(self.network.size)

    @cached_property
    def _head(self) -> torch.Tensor:
        """Positions of the window's head, [head]."""
        marked = torch.zeros_like(self._weights, dtype=torch.bool)
        mark_head(marked, self.network, self.number)
        return marked.nonzero()[:, 0]

    def left(self, incoming: torch.Tensor, biases: torch.Tensor) -> float:
        """The root mean square residual that the step leaves at the other points.

        Args:
            incoming, biases: of the hidden layer, [neurons, inputs] and [neurons].
        """
        network, weights = self.network, self._weights
        (into, bias), _ = network.inner.matrices(weights[network.window(self.number)])
        into[:], bias[:] = incoming, biases
        fitted, others = (
            rows.system(network, weights, self._head) for rows in (self.fitted, self.others)
        )
        step = OrthogonalFactor.empty(fitted[0, :-1]).joined([fitted]).step(GaussNewton.damping)
        return float((others[:, :-1] @ step - others[:, -1]).norm())


def mark_head(marked: torch.Tensor, network: TimeWindows, number: int, kept: int = 0) -> None:
    """Mark where the head of a window is in its weights, bool [size].

    Args:
        kept: neurons of another solver, which come first; their part of the head is not marked, and
            the constants are theirs.
    """
    matrix, constants = network.inner.head_matrix(marked[network.window(number)])
    matrix[:, kept:] = True
    constants[:] = not kept
