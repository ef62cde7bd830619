"""A surrogate: a network, the ansatz around it, its weights, and the solvers retained in them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from pacpde.errors import InvalidValueError, UnknownNameError, short, unknown
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.assessment import Assessment
from pacpde.networks.batch import Ansatz, Label
from pacpde.networks.coordinates import as_points, clipped
from pacpde.networks.correction import Correction, base_places
from pacpde.networks.field_values import field_values
from pacpde.networks.jets import HIGHEST
from pacpde.networks.met_condition import MetCondition
from pacpde.networks.outcome import Outcome
from pacpde.networks.protocol import Network
from pacpde.physics.derivatives import channel_names
from pacpde.physics.problem import Problem
from pacpde.renamed import renamed_attribute
from pacpde.runtime import Runtime, gradients

CHUNK = 20_000  # points evaluated at once


@dataclass(frozen=True)
class RetainedSolver:
    """A solver inside the weights of a surrogate: its ansatz, and which weights belong to it.

    Attributes:
        mask: True where a weight belongs to it, bool [size]; all others count as 0.
        weights: a second set of weights, [size], for a solver that shares none.
        outcome: how its last fit ended; None before one, and in older files.
        assessment: of its last fit; None where it has none, see `Surrogate`.
        correction: what refines it, beside the weights; None where it is not refined.
    """

    ansatz: Ansatz
    mask: torch.Tensor
    weights: torch.Tensor | None = None
    outcome: str | None = None
    assessment: Assessment | None = None
    correction: Correction | None = None

    @classmethod
    def separate(cls, solver: "Surrogate") -> "RetainedSolver":
        """A solver with weights of its own."""
        mask = torch.ones_like(solver.weights, dtype=torch.bool)
        return cls(solver.ansatz, mask, solver.weights, solver.outcome, solver.assessment)


@dataclass(frozen=True)
class Surrogate:
    """Fields as a function of the coordinates, from weights and an ansatz.

    Attributes:
        network, ansatz, weights: what is evaluated; weights is flat, [size].
        retained: name → solver whose weights are frozen in these, to the last bit.
        stage: of its making: "trained", "pruned", "allocated", "calibrated".
        outcome: how its last fit ended, or an earlier stage where that one fell short.
        history: one entry a progress point of every fit so far.
        seconds: time its fits took, with the search of their starts and with tries that were given
            up; without assessments, errors against a reference and callbacks.
        steps: optimiser steps its fits took.
        held_out: root mean square held-out residual of its weights, by their last fit; not a number
            where none was measured.
        provenance: all that it depends on, see `pacpde.methods.provenance`; empty where it is not
            known, as in folders of older versions.
        outcomes: stage → how its fit ended, "source" for the surrogate that the first one began
            from; an outcome of the last one may hide that an earlier one fell short.
        points: collocation points of its last fit; 0 before one, and in older files.
        assessment: of the result of its last fit; None before one, where it diverged or its
            device was lost, for another problem (`with_problem`), and in older files. Look at
            `outcome` first, or write `surrogate.assessment and surrogate.assessment.residual`.
    """

    network: Network
    ansatz: Ansatz
    weights: torch.Tensor
    retained: Mapping[str, RetainedSolver] = field(default_factory=dict)
    stage: str = "start"
    outcome: Outcome = Outcome.NOT_CONVERGED
    history: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0
    steps: int = 0
    held_out: float = math.nan
    provenance: Mapping[str, Any] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    assessment: Assessment | None = None
    points: int = 0

    memories = renamed_attribute("memories", "retained")

    def __post_init__(self) -> None:
        if not isinstance(self.outcome, Outcome):  # text, as in files
            object.__setattr__(self, "outcome", Outcome(self.outcome))

    @property
    def problem(self) -> Problem:
        """The problem it solves; only surrogates of a problem have one."""
        return self.field_ansatz.problem

    @property
    def field_ansatz(self) -> PhysicsAnsatz:
        """The ansatz of fits that start from this surrogate, at any coefficients."""
        return self.ansatz.field_ansatz

    @property
    def conditions(self) -> tuple[MetCondition, ...]:
        """Every condition of its problem, and whether it is met exactly or by a residual.

        Example:
            >>> print(*fit(HeatDriven(), steps=1).conditions, sep="\\n")
            value of u at t-, exact
            value of u at x-, exact
            value of u at x+, exact
        """
        return self.field_ansatz.conditions

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.network.size

    @property
    def n_stored(self) -> int:
        """Number of stored weights; retained solvers may have weights of their own."""
        separate = [own.weights for own in self.retained.values() if own.weights is not None]
        separate += [own.correction.weights for own in self.retained.values() if own.correction]
        return self.parameters + sum(len(weights) for weights in separate)

    @property
    def error_estimate(self) -> float | None:
        """The estimated relative L2 error of the worst field; None where there is none."""
        return None if self.assessment is None else self.assessment.error_estimate

    @property
    def runtime(self) -> Runtime:
        """Device and dtype of the weights."""
        return Runtime(str(self.weights.device), str(self.weights.dtype).removeprefix("torch."))

    def __call__(self, *coordinates: Any) -> Any:
        """The fields at t, x, ... (numbers, arrays of any kind or tensors that broadcast).

        Returns what it was given, numpy or torch: shape [...] for one field, [fields, ...] for
        several. Tensors that require gradients get them, to any order.

        Warns:
            ExtrapolationWarning: where points lie outside the domain.
        """
        return self._evaluated("", coordinates)

    def probabilities(self, *coordinates: Any) -> Any:
        """Probabilities of its classes, [classes, ...], in the order of `class_labels`.

        Args:
            coordinates: columns of a table, as of a call, whose fields are the logits.

        Raises:
            InvalidValueError: it gives values, and no classes.

        Example:
            >>> fit_classes(inputs, classes).probabilities(*inputs.T).T  # [rows, classes]
        """
        logits = self(*coordinates)
        found = self.ansatz.probabilities(torch.as_tensor(logits))
        return found if isinstance(logits, torch.Tensor) else found.numpy()

    @property
    def class_labels(self) -> tuple[Label, ...]:
        """The classes that it tells apart; empty where it gives values."""
        return self.ansatz.class_labels

    def derivative(self, axes: str) -> Callable[..., Any]:
        """A derivative of the fields, carried through the network by its forward jet.

        Args:
            axes: one to four names of axes, as "x", "xx" or "txx".

        Returns:
            A function of the coordinates, with the shapes, kinds and warnings of a call.

        Example:
            >>> surrogate.derivative("xx")(0.5, x)
        """
        names = self.problem.domain.names
        if not isinstance(axes, str):
            raise InvalidValueError(
                f"derivative({short(axes)}) names no axes, expected one to {HIGHEST}, as in "
                '"x" or "xx".'
            )
        for name in axes:
            if name not in names:
                raise unknown("axis", name, names)
        if not 1 <= len(axes) <= HIGHEST:
            raise InvalidValueError(
                f"derivative({axes!r}) names {len(axes)} axes, expected 1 to {HIGHEST}, as in "
                '"x" or "xx": differentiate one of these by torch.autograd for higher ones.'
            )
        channel = "".join(sorted(axes, key=names.index))

        def at(*coordinates: Any) -> Any:
            return self._evaluated(channel, coordinates)

        return at

    def _evaluated(self, channel: str, coordinates: Sequence[Any]) -> Any:
        """The values at a user's coordinates, in their shape, as numpy or torch."""
        problem = self.ansatz.problem_or_none
        whose = str(problem) if problem else "a surrogate of a table"
        points, shape = as_points(coordinates, self.ansatz.coordinates, whose, self.runtime)
        if problem is not None:
            points = clipped(points, problem.domain)
        values = self.jet(points, channel_names({channel}))[-1]
        shaped = values.T.reshape(values.shape[-1], *shape)
        result = shaped[0] if len(shaped) == 1 else shaped
        if any(isinstance(value, torch.Tensor) for value in coordinates):
            return result
        return result.detach().cpu().numpy()

    def to_xarray(
        self,
        axes: Mapping[str, Any] | None = None,
        *,
        derivatives: Sequence[str] = (),
        units: Mapping[str, str] | None = None,
    ) -> Any:
        """The fields on a grid, as an xarray Dataset with what is known of the surrogate.

        Args:
            axes: axis → number of equidistant points over the domain, or the points; 101 points by
                default, 41 where there are three axes or more.
            derivatives: also these, as "x" or "xx"; they are called u_x, u_xx.
            units: axis or field → its unit, which becomes its attribute `units`.

        Returns:
            Axes are coordinates, fields are variables. Attributes: family, equation, coefficients,
            outcome, residual and error estimate, see `pacpde.networks.field_values`.

        Raises:
            MissingPackageError: xarray is not installed.
            InvalidValueError: a surrogate of a table, which has no domain.

        Example:
            >>> data = surrogate.to_xarray({"t": 11, "x": 201}, derivatives=["x"])
            >>> data.u.sel(t=0.5, method="nearest").plot()
        """
        return field_values(self, axes, derivatives, units).to_xarray()

    def at(self, points: torch.Tensor) -> torch.Tensor:
        """The fields [points, fields] at points [points, axes]."""
        return self.jet(points, ("",))[0]

    def jet(self, points: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        """The fields and derivatives [channels, points, fields] at points [points, axes].

        Args:
            names: derivative channels, with the lower ones that each of them needs.
        """
        followed = points.requires_grad and torch.is_grad_enabled()
        points = points if followed else points.detach()
        weights = self.weights.detach()
        parts = []
        for chunk in points.split(CHUNK):
            with gradients():
                batch = self.ansatz.batch(chunk, names)
            with torch.set_grad_enabled(followed):
                output = self.network.forward(weights, batch.inputs, batch.names)
                parts.append(batch.fields(output))
        if not parts:
            return points.new_zeros(len(names), 0, self.ansatz.outputs)
        return torch.cat(parts, 1)

    def recall(self, name: str = "source") -> "Surrogate":
        """The solver kept under `name`, from its own weights and zeros elsewhere.

        Of one that is refined the network has its correction too.

        Raises UnknownNameError where there is none of that name.
        """
        if name not in self.retained:
            if isinstance(name, str) and name.startswith("rung ") and self.retained:
                raise UnknownNameError(
                    f"{name} is not retained, only {', '.join(self.retained)}: of a ladder "
                    "warm_start keeps the last rung alone, pac every one."
                )
            raise unknown("retained solver", name, self.retained or ["(none)"])
        solver = self.retained[name]
        weights = self.weights if solver.weights is None else solver.weights
        network, weights = self.network, torch.where(solver.mask, weights, 0)
        if solver.correction is not None:
            base, places = base_places(network) or (network, slice(None))
            network, weights = solver.correction.on(base, weights[places])
            solver = replace(
                solver, mask=torch.ones_like(weights, dtype=torch.bool), weights=None,
                correction=None,
            )  # fmt: skip
        return replace(
            self,
            network=network,
            ansatz=solver.ansatz,
            weights=weights,
            retained={name: solver},
            stage="recalled",
            outcome=Outcome(solver.outcome or self.outcome),
            held_out=math.nan,
            provenance={"call": "recall", "name": name, "of": dict(self.provenance)}
            if self.provenance
            else {},
            outcomes={},
            assessment=solver.assessment,
        )

    def reset(self, **changes: Any) -> "Surrogate":
        """The same, with changes, for other fits to start from: nothing retained, no history."""
        blank: dict[str, Any] = {
            "retained": {}, "history": (), "seconds": 0.0, "steps": 0, "held_out": math.nan,
            "provenance": {}, "outcomes": {"source": self.outcome},
        }  # fmt: skip
        return replace(self, **{**blank, **changes})

    def with_problem(self, problem: Problem) -> "Surrogate":
        """The same weights taken as a solver of another problem of the family."""
        ansatz = self.ansatz.with_problem(problem)
        return replace(self, ansatz=ansatz, held_out=math.nan, provenance={}, assessment=None)

    def with_notes(self, notes: Sequence[str]) -> "Surrogate":
        """The same with more notes in its assessment; as it is where it has none."""
        if self.assessment is None:
            return self
        every = tuple(dict.fromkeys([*self.assessment.notes, *notes]))
        return replace(self, assessment=replace(self.assessment, notes=every))

    def to(self, runtime: Runtime) -> "Surrogate":
        """The same surrogate on another device or in another precision."""
        if not isinstance(runtime, Runtime):
            raise InvalidValueError(
                f'the runtime is {short(runtime)}, expected a Runtime: write Runtime("cpu"), from '
                "pacpde."
            )
        return replace(
            self,
            weights=runtime.tensor(self.weights),
            retained={
                name: replace(
                    solver,
                    mask=solver.mask.to(runtime.torch_device),
                    weights=None if solver.weights is None else runtime.tensor(solver.weights),
                    correction=solver.correction
                    and replace(
                        solver.correction, weights=runtime.tensor(solver.correction.weights)
                    ),
                )
                for name, solver in self.retained.items()
            },
        )
