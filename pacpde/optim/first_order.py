"""Adam and SOAP: steps along rescaled gradients."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch

from pacpde.checks import check_count
from pacpde.errors import InvalidValueError, MissingPackageError, short
from pacpde.networks.protocol import Network
from pacpde.optim.base import Progress, State, check_option, optimisers
from pacpde.optim.least_squares import LeastSquares


class Rule(ABC):
    """An update rule: computes the next iterate from a gradient, and has a state of its own."""

    @abstractmethod
    def step(self, iterate: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """The next iterate [n_trainable]."""

    @abstractmethod
    def state(self) -> State:
        """The state that `load` needs to continue exactly."""

    @abstractmethod
    def load(self, state: State) -> None:
        """Continue from a state that `state` returned."""


@dataclass(frozen=True)
class FirstOrder(ABC):
    """Runs a rule. It does not descend at every step, so the result is the best iterate while the
    state keeps the last one: given the `x` it returned, a run goes on from the last iterate, as if
    it had never stopped; given any other `x`, from there. A loss or gradient that is not finite
    ends the run as stalled, with an empty state.
    """

    @abstractmethod
    def rule(self, problem: LeastSquares, x: torch.Tensor) -> Rule:
        """The rule at its start."""

    def run(
        self, problem: LeastSquares, x: torch.Tensor, steps: int, state: State | None = None
    ) -> Progress:
        iterate, rule = x.detach().clone(), self.rule(problem, x)
        if steps == 0:
            return Progress(x, problem.loss(x), state or {}, 0, 1)
        if state:
            rule.load(state)
            if torch.equal(x, state["returned"]):
                iterate = state["iterate"].clone()
        best, lowest, evaluations = x, problem.loss(x), 1
        for taken in range(steps):
            value, gradient = problem.loss_and_gradient(iterate)
            evaluations += 1
            if not (math.isfinite(value) and bool(gradient.isfinite().all())):
                return Progress(best, lowest, {}, taken, evaluations, stalled=True)
            if value < lowest:
                best, lowest = iterate.clone(), value
            iterate = rule.step(iterate, gradient)
        value = problem.loss(iterate)
        if value < lowest:
            best, lowest = iterate.clone(), value
        last = {"iterate": iterate, "returned": best.clone(), **rule.state()}
        return Progress(best, lowest, last, steps, evaluations + 1)


def _check_betas(optimiser: object, betas: Any) -> None:
    """Refuse decays of moments that are no two numbers from 0 to below 1.

    Raises:
        InvalidValueError: they are none.
    """
    pair = betas if isinstance(betas, (tuple, list)) else ()
    if len(pair) != 2 or not all(isinstance(b, Real) and 0 <= float(b) < 1 for b in pair):
        name = type(optimiser).__name__
        raise InvalidValueError(
            f"betas of {name} is {short(betas)}, expected two numbers from 0 to below 1: "
            f"write an object, {name}(betas=(0.9, 0.999))."
        )


@optimisers.registering("adam")
@dataclass(frozen=True)
class Adam(FirstOrder):
    """x ← x − lr m̂ / (√v̂ + eps), with bias-corrected moments m̂ and v̂ of the gradient.

    Kingma & Ba (2015), arXiv 1412.6980, algorithm 1, as in torch; see `FirstOrder`.

    Attributes:
        lr: size of a step; constant.
        betas: decay of the two moments.
        eps: keeps the denominator above zero.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_option(self, "lr")
        _check_betas(self, self.betas)
        check_option(self, "eps")

    def rule(self, problem: LeastSquares, x: torch.Tensor) -> Rule:
        iterate = x.detach().clone()
        own = torch.optim.Adam([iterate], lr=self.lr, betas=self.betas, eps=self.eps)
        return _AdamRule(own, iterate)


@dataclass
class _AdamRule(Rule):
    """torch's Adam on the flat vector."""

    own: torch.optim.Optimizer
    iterate: torch.Tensor

    def step(self, iterate: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        self.iterate.copy_(iterate)
        self.iterate.grad = gradient
        self.own.step()
        return self.iterate.clone()

    def state(self) -> State:
        return dict(self.own.state[self.iterate])

    def load(self, state: State) -> None:
        moments = {name: state[name].clone() for name in ("step", "exp_avg", "exp_avg_sq")}
        # Adam counts its steps on the CPU whatever the device of the parameters
        self.own.state[self.iterate] = moments | {"step": moments["step"].cpu()}


@optimisers.registering("soap")
@dataclass(frozen=True)
class SOAP(FirstOrder):
    """Adam in the eigenbases of L = E[G Gᵀ] and R = E[Gᵀ G] of every layer's gradient G.

    Vyas et al. (2025), arXiv 2409.11321, algorithm 3, as in the package pytorch-optimizer (the
    extra `soap`), without weight decay. G is a layer's gradient [outputs, inputs + 1], biases the
    last column, zero where a weight is frozen; frozen weights are not moved. Its first step only
    looks around. See `FirstOrder`.

    Attributes:
        lr: size of a step; constant.
        betas: decay of the two moments, and of L and R the second.
        frequency: steps between two updates of the eigenbases.
    """

    lr: float = 3e-3
    betas: tuple[float, float] = (0.95, 0.95)
    frequency: int = 10

    def __post_init__(self) -> None:
        check_option(self, "lr")
        _check_betas(self, self.betas)
        check_count("frequency of SOAP", self.frequency, 1, expected="a whole number above 0")

    def rule(self, problem: LeastSquares, x: torch.Tensor) -> Rule:
        try:
            import pytorch_optimizer
        except ImportError as error:
            raise MissingPackageError(
                "the optimiser 'soap' needs the package pytorch-optimizer: "
                "pip install 'pacpde[soap]'."
            ) from error
        matrices = _to_layers(problem.network, problem.insert(x.detach()))
        own = pytorch_optimizer.SOAP(
            matrices,
            lr=self.lr,
            betas=self.betas,
            weight_decay=0.0,
            precondition_frequency=self.frequency,
        )
        return _SOAPRule(problem, own, matrices)


@dataclass
class _SOAPRule(Rule):
    """pytorch-optimizer's SOAP on one matrix a layer."""

    problem: LeastSquares
    own: Any
    matrices: list[torch.Tensor]

    def step(self, iterate: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        network, problem = self.problem.network, self.problem
        slopes = torch.zeros_like(problem.weights)
        slopes[problem.trainable_mask] = gradient
        now = _to_layers(network, problem.insert(iterate))
        for matrix, value, slope in zip(
            self.matrices, now, _to_layers(network, slopes), strict=True
        ):
            matrix.copy_(value)
            matrix.grad = slope
        self.own.step()
        for matrix in self.matrices:  # as a file would give them back, so that bits are the same
            own = self.own.state[matrix]
            for name in ("GG", "Q"):
                own[name] = [part.contiguous() for part in own[name]]
            own["exp_avg_sq"] = own["exp_avg_sq"].contiguous()
        return _to_vector(network, self.matrices)[problem.trainable_mask]

    def state(self) -> State:
        state = {"taken": torch.tensor(self.own.param_groups[0]["step"], device="cpu")}
        for number, matrix in enumerate(self.matrices):
            own = self.own.state[matrix]
            state |= {f"{number}/{name}": own[name] for name in ("exp_avg", "exp_avg_sq")}
            for name in ("GG", "Q"):
                state |= {f"{number}/{name}{side}": own[name][side] for side in (0, 1)}
        return state

    def load(self, state: State) -> None:
        group = self.own.param_groups[0]
        group["step"] = int(state["taken"])
        for number, matrix in enumerate(self.matrices):
            restored: dict[str, Any] = {
                name: [state[f"{number}/{name}{side}"].clone() for side in (0, 1)]
                for name in ("GG", "Q")
            }
            restored |= {
                name: state[f"{number}/{name}"].clone() for name in ("exp_avg", "exp_avg_sq")
            }
            self.own.state[matrix] = restored | {
                "precondition_frequency": group["precondition_frequency"],
                "shampoo_beta": group["betas"][1],
            }


def _blocks(network: Network) -> list[tuple[slice, int, slice | None]]:
    """(entries of a matrix, its rows, entries of its biases) for every layer of the flat vector.

    Biases of no matrix, and entries that are no layer's, are matrices of one column.
    """
    blocks: list[tuple[slice, int, slice | None]] = []
    start, before = 0, None
    for group in network.layout.groups:
        place = slice(start, start + group.size)
        start = place.stop
        rows = group.shape[0] if group.shape else 1
        if group.is_bias and before == group.layer and blocks[-1][1:] == (rows, None):
            blocks[-1] = (blocks[-1][0], rows, place)
        else:
            blocks.append((place, rows, None))
        before = None if group.is_bias else group.layer
    if start < network.size:
        blocks.append((slice(start, network.size), network.size - start, None))
    return blocks


def _to_layers(network: Network, weights: torch.Tensor) -> list[torch.Tensor]:
    """One matrix [outputs, inputs + 1] a layer, biases last."""
    matrices = []
    for place, rows, biases in _blocks(network):
        matrix = weights[place].view(rows, -1)
        columns = [] if biases is None else [weights[biases][:, None]]
        matrices.append(torch.cat([matrix, *columns], 1))
    return matrices


def _to_vector(network: Network, matrices: list[torch.Tensor]) -> torch.Tensor:
    """The flat vector of such matrices."""
    parts = []
    for (_, _, biases), matrix in zip(_blocks(network), matrices, strict=True):
        inner = matrix if biases is None else matrix[:, :-1]
        parts += [inner.reshape(-1), *([] if biases is None else [matrix[:, -1]])]
    return torch.cat(parts)
