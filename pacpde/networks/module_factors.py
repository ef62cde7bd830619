"""The Jacobian of residuals in the weights of a torch module."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.protocol import Columns, Factors
from pacpde.runtime import gradients

if TYPE_CHECKING:
    from pacpde.networks.module_evaluation import EvaluatedModule

PIECE = 2**26  # bytes of the Jacobian of one output that are computed at a time
POINTS = 3  # at which two ways are compared
CLOSE = 1e-9  # in shares of the largest number: sums in another order differ by 1e-13
STEPS = 1e-3, 1e-4, 1e-5, 1e-6  # of central differences
ALIKE = 1e-4  # in shares of the largest number, of a difference that is a derivative
Names = tuple[str, ...]


@dataclass(frozen=True)
class ModuleFactors(Factors):
    """What the rows are computed from: products by autograd, columns when they are asked for.

    Attributes:
        network, weights: of the module, [..., size].
        jet: of the inputs, [..., channels, images·points, inputs].
        slopes: of the residuals in the outputs, [..., n_components, channels, images·points,
            outputs].
        names, images: see `Network.linearise`.
    """

    stacked = ("weights", "jet", "slopes")

    network: "EvaluatedModule"
    weights: torch.Tensor
    jet: torch.Tensor
    slopes: torch.Tensor
    names: Names
    images: int

    @property
    def n_components(self) -> int:
        return self.slopes.shape[-4]

    @property
    def points(self) -> int:
        return self.slopes.shape[-2] // self.images

    def subset(self, points: slice) -> "ModuleFactors":
        def some(jet: torch.Tensor) -> torch.Tensor:
            return jet.unflatten(-2, (self.images, -1))[..., points, :].flatten(-3, -2)

        return replace(self, jet=some(self.jet), slopes=some(self.slopes))

    def each(self) -> "Iterator[tuple[tuple[int, ...], ModuleFactors]]":
        """The factors of every one of a stack, with its indices."""
        shape = self.weights.shape[:-1]
        jets = self.jet.expand(*shape, *self.jet.shape[-3:])
        slopes = self.slopes.expand(*shape, *self.slopes.shape[-4:])
        for at in torch.cartesian_prod(*(torch.arange(n) for n in shape)).reshape(-1, len(shape)):
            place = tuple(at.tolist())
            yield (
                place,
                replace(self, weights=self.weights[place], jet=jets[place], slopes=slopes[place]),
            )

    def write(self, columns: Columns, target: torch.Tensor) -> None:
        if self.weights.dim() > 1:
            for place, own in self.each():
                own.write(columns, target[place])
            return
        target = target.unflatten(-1, (self.n_components, self.points))
        step = max(1, PIECE // (self.weights.element_size() * self.weights.numel() * self.images))
        for start in range(0, self.points, step):
            chosen = slice(start, min(start + step, self.points))
            part = self.subset(chosen)
            for number, rows in enumerate(part.rows_of_weights(columns.indices)):
                target[:, number, chosen] = rows.mT

    def rows_of_weights(self, indices: torch.Tensor | None) -> Iterator[torch.Tensor]:
        """∂r/∂w of each component in turn, [points, size], or only some columns of it."""
        compute = _by_uses if self.network.ways.has_uses(self.names) else _by_separate_weights
        for rows in compute(self, indices):
            whole = rows.unflatten(0, (self.images, -1)).sum(0) if self.images > 1 else rows
            yield whole if indices is None else whole[:, indices]

    @gradients()
    def times(self, direction: torch.Tensor) -> torch.Tensor:
        if self.weights.dim() > 1:
            each = [own.times(direction[place]) for place, own in self.each()]
            return torch.stack(each).unflatten(0, self.weights.shape[:-1])
        # Jᵀy is linear in y, and its slope in y along a direction v is J v
        y = self.weights.new_zeros(self.n_components, self.points, requires_grad=True)
        leaf = self.weights.clone().requires_grad_()
        (pulled,) = torch.autograd.grad(self._total(leaf, y), leaf, create_graph=True)
        return torch.autograd.grad((pulled * direction).sum(), y)[0].flatten()

    @gradients()
    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        if self.weights.dim() > 1:
            for place, own in self.each():
                own.add_transposed(y[place], total[place])
            return
        leaf = self.weights.clone().requires_grad_()
        weighted = self._total(leaf, y.detach().unflatten(0, (self.n_components, self.points)))
        total += torch.autograd.grad(weighted, leaf)[0]

    def _total(self, weights: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Σ y r to first order, for y [n_components, points]."""
        outputs = self.network.forward(weights, self.jet, self.names)
        over = y.repeat(1, self.images)[:, None, :, None]
        return (outputs * (self.slopes * over).sum(0)).sum()


Rows = Callable[[ModuleFactors, torch.Tensor | None], Iterator[torch.Tensor]]


def _by_uses(factors: ModuleFactors, indices: torch.Tensor | None) -> Iterator[torch.Tensor]:
    """[evaluations, size] of each component, from what goes in and comes out of every call."""
    size = factors.weights.numel()
    with gradients():
        leaf = factors.weights.clone().requires_grad_()
        outputs, uses = factors.network.recorded(leaf, factors.jet, factors.names)
        if indices is not None:
            wanted = torch.zeros(size, dtype=torch.bool, device=leaf.device)
            wanted[indices] = True
            uses = [own for own in uses if bool(wanted[own.places].any())]
        made = [own.made for own in uses]
    for slopes in factors.slopes:
        deltas = torch.autograd.grad(outputs, made, slopes, retain_graph=True, allow_unused=True)
        rows = slopes.new_zeros(slopes.shape[-2], size)
        with torch.no_grad():
            for use, delta in zip(uses, deltas, strict=True):
                if delta is None:
                    continue
                own = use.rows(delta).reshape(len(rows), -1)
                if isinstance(use.places, slice):
                    rows[:, use.places] += own
                else:
                    rows.index_add_(1, use.places, own)
        yield rows


def _by_separate_weights(
    factors: ModuleFactors, indices: torch.Tensor | None
) -> Iterator[torch.Tensor]:
    """The same with weights of its own for every evaluation, by torch.func."""
    network, names = factors.network, factors.names
    with gradients():
        each = factors.weights.expand(factors.jet.shape[-2], -1).clone().requires_grad_()
        outputs = torch.func.vmap(
            lambda own, jet: network.nested(own, jet[:, None], names)[:, 0],
            in_dims=(0, 1),
            out_dims=1,
        )(each, factors.jet)
    for slopes in factors.slopes:
        (rows,) = torch.autograd.grad(outputs, each, slopes, retain_graph=True)
        yield rows


@dataclass
class Ways:
    """How jets and Jacobians of a module are computed; found out once for every set of derivatives.

    Attributes:
        network: of the module.
        by_calls: derivatives → whether jets follow the calls of the module.
        by_uses: derivatives → whether the Jacobian comes from the uses of the parameters; None
            where it cannot be computed.
    """

    network: "EvaluatedModule"
    by_calls: dict[Names, bool] = field(default_factory=dict)
    by_uses: dict[Names, bool | None] = field(default_factory=dict)

    def follows_calls(self, names: Names) -> bool:
        """Whether jets may follow the module's calls.

        Raises:
            InvalidValueError: the module cannot be differentiated in its inputs.
        """
        if names not in self.by_calls:
            self.by_calls[names] = self._compare_jets(names)
        return self.by_calls[names]

    def has_uses(self, names: Names) -> bool:
        """Whether all that its parameters do to it is recorded."""
        return bool(self.by_uses.get(names))

    def check_rows(self, names: Names) -> None:
        """Find out how the Jacobian is computed.

        Raises:
            InvalidValueError: neither way gives what autograd gives, row by row.
        """
        if names not in self.by_uses:
            self.by_uses[names] = self._compare_rows(names)
        if self.by_uses[names] is None:
            raise InvalidValueError(
                f"the Jacobian of the module {self.network.module_name} cannot be computed, since "
                "its code chooses by values or does what torch.func.vmap does not follow: take an "
                'optimiser that needs gradients alone, as optimiser="adam:lr=1e-3" or "lbfgs".'
            )

    @gradients()
    def _compare_jets(self, names: Names) -> bool:
        weights, jet = self._trial(names)
        network = self.network
        try:
            expected = network.by_gradients(weights, jet, names)
            self._check_finite(expected)
            for follows, compute in ((True, network.traced), (False, network.nested)):
                try:
                    made = compute(weights, jet, names)
                except Exception:  # a call that is not followed
                    if not follows:
                        raise
                    continue
                if all(_close(own, other) for own, other in zip(made, expected, strict=True)):
                    self._check_differences(weights, max(map(len, names)))
                    return follows
        except InvalidValueError:
            raise
        except Exception as error:  # of the user's code
            raise InvalidValueError(
                f"the module {network.module_name} cannot be differentiated in its inputs "
                f"({type(error).__name__}: {error}): make it of functions that torch.func.jvp "
                "takes; tables need no such derivatives."
            ) from error
        raise InvalidValueError(
            f"the module {network.module_name} has other derivatives forward than backward: it "
            "cuts off gradients (detach, .data, no_grad), or torch's second forward derivatives of "
            "a layer are wrong, as those of InstanceNorm: leave these out, or fit a table."
        )

    def _check_finite(self, outputs: Iterable[torch.Tensor]) -> None:
        """Refuse outputs or derivatives that are NaN or infinite."""
        if not all(own.isfinite().all() for own in outputs):
            raise InvalidValueError(
                f"the module {self.network.module_name} gives NaN or infinite numbers, or its "
                "derivatives are, at random inputs from -1 to 1 with weights near its own: does it "
                "divide by its input, or take a root or a logarithm of it?"
            )

    def _check_differences(self, weights: torch.Tensor, order: int) -> None:
        """Compare derivatives along a line with central differences of those of one order less.

        What is cut off is cut off in every way of differentiation; the outputs do not know of it.

        Raises:
            InvalidValueError: they differ, whatever the step.
        """
        random = np.random.default_rng(1)
        start, direction = torch.from_numpy(random.uniform(-1, 1, (2, POINTS, self.network.inputs)))
        line = tuple("x" * k for k in range(order + 1))

        def jet(place: float) -> torch.Tensor:
            """Derivatives of the outputs at start + place·direction."""
            inputs = torch.zeros(len(line), *start.shape, dtype=start.dtype)
            inputs[0], inputs[1] = start + place * direction, direction
            return self.network.by_gradients(weights, inputs, line).detach()

        middle = jet(0.0)
        sides = [(step, jet(step), jet(-step)) for step in STEPS]
        for k in range(order):
            changes = [(above[k] - below[k]) / (2 * step) for step, above, below in sides]
            if not any(_close(change, middle[k + 1], ALIKE) for change in changes):
                raise InvalidValueError(
                    f"the module {self.network.module_name} has other derivatives than its outputs "
                    "change by: it cuts off gradients (detach, .data, no_grad), replaces them, or "
                    "jumps. Leave these out, or fit a table."
                )

    @gradients()
    def _compare_rows(self, names: Names) -> bool | None:
        weights, jet = self._trial(names)
        leaf = weights.clone().requires_grad_()
        outputs = self.network.forward(leaf, jet, names)
        slopes = torch.linspace(0.5, 1.5, outputs.numel(), dtype=jet.dtype, device="cpu")
        slopes = slopes.view_as(outputs)
        expected = torch.stack(
            [torch.autograd.grad(own.sum(), leaf, retain_graph=True)[0]
             for own in (outputs * slopes).unbind(1)]
        )  # fmt: skip
        factors = ModuleFactors(self.network, weights, jet, slopes[None], names, 1)
        ways: list[tuple[bool, Rows]] = [(False, _by_separate_weights)]
        if names == ("",) or self.follows_calls(names):
            ways.insert(0, (True, _by_uses))
        for uses, compute in ways:
            try:
                (rows,) = compute(factors, None)
            except Exception:  # of the user's code: the next way is tried
                continue
            if _close(rows, expected):
                return uses
        return None

    def _trial(self, names: Names) -> tuple[torch.Tensor, torch.Tensor]:
        """Random weights near those of a start, and a random jet."""
        random = np.random.default_rng(0)
        jet = random.uniform(-1, 1, (len(names), POINTS, self.network.inputs))
        weights = self.network.init_weights(random)
        weights = weights + 0.05 * random.standard_normal(len(weights))  # of which none is 0
        return torch.from_numpy(weights), torch.from_numpy(jet)


def _close(own: torch.Tensor, other: torch.Tensor, share: float = CLOSE) -> bool:
    size = other.abs().max()
    return bool(((own - other).abs() <= share * size).all())
