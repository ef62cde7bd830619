"""A surrogate: a network, the ansatz around it, its weights, and the solvers they remember."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from pacpde.errors import InvalidValueError, unknown
from pacpde.networks.constraints import Ansatz, PhysicsAnsatz
from pacpde.networks.mlp import MLP
from pacpde.physics.problem import Problem
from pacpde.runtime import Runtime

CHUNK = 20_000  # points evaluated at once


@dataclass(frozen=True)
class Memory:
    """A solver that lives inside the weights: its ansatz, and the weights that are its own.

    Attributes:
        mask: True where a weight belongs to it, bool [size]; all others count as 0.
        weights: a second set of weights, [size], for a solver that shares none.
        outcome: how its last fit ended; None before one, and in older files.
    """

    ansatz: Ansatz
    mask: torch.Tensor
    weights: torch.Tensor | None = None
    outcome: str | None = None

    @classmethod
    def apart(cls, solver: "Surrogate") -> "Memory":
        """A solver beside the weights."""
        mask = torch.ones_like(solver.weights, dtype=torch.bool)
        return cls(solver.ansatz, mask, solver.weights, solver.outcome)


@dataclass(frozen=True)
class Surrogate:
    """Fields as a function of the coordinates, from weights and an ansatz.

    Attributes:
        network, ansatz, weights: what is evaluated; weights is flat, [size].
        memories: name → solver kept inside the weights to the last bit.
        stage: how far it came: "trained", "pruned", "allocated", "calibrated".
        outcome: how its last fit ended: "converged", "not_converged", "stalled", "diverged",
            "drifted", "device_lost" or "path_lost" (no steps in the coefficients led there);
            after a stage's name, as in "allocate_not_converged", where only that stage fell short.
        history: one entry a progress point of every fit so far.
        seconds: time its fits took.
    """

    network: MLP
    ansatz: Ansatz
    weights: torch.Tensor
    memories: Mapping[str, Memory] = field(default_factory=dict)
    stage: str = "start"
    outcome: str = "not_converged"
    history: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0

    @property
    def problem(self) -> Problem:
        """The problem it solves; only surrogates of a problem have one."""
        if not isinstance(self.ansatz, PhysicsAnsatz):
            raise InvalidValueError("this surrogate was fitted to a table: it has no problem.")
        return self.ansatz.problem

    @property
    def basis(self) -> PhysicsAnsatz:
        """The ansatz that fits go on in, whatever coefficients they are for."""
        assert isinstance(self.ansatz, PhysicsAnsatz)
        return self.ansatz.basis

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.network.size

    @property
    def stored(self) -> int:
        """Numbers that are kept: the weights, and those of solvers beside them."""
        beside = [m.weights for m in self.memories.values() if m.weights is not None]
        return self.parameters + sum(len(weights) for weights in beside)

    @property
    def runtime(self) -> Runtime:
        """Device and dtype of the weights."""
        return Runtime(str(self.weights.device), str(self.weights.dtype).removeprefix("torch."))

    def __call__(self, *coordinates: Any) -> Any:
        """The fields at t, x, ... (numbers, numpy arrays or tensors that broadcast).

        Returns what it was given, numpy or torch: shape [...] for one field, [fields, ...] for
        several.
        """
        as_torch = any(isinstance(value, torch.Tensor) for value in coordinates)
        try:
            given = [self.runtime.tensor(value) for value in coordinates]
            tensors = torch.broadcast_tensors(*given)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InvalidValueError(
                f"{self.problem} was given coordinates that are no numbers, or whose shapes do not "
                f"broadcast ({error}): expected {', '.join(self.problem.domain.names)}."
            ) from error
        expected = len(getattr(getattr(self.ansatz, "problem", None), "axes", coordinates))
        if len(tensors) != expected:
            raise InvalidValueError(
                f"{self.problem} was given {len(tensors)} coordinates, expected {expected}: "
                f"{', '.join(self.problem.domain.names)}."
            )
        fields = self.at(torch.stack([value.reshape(-1) for value in tensors], -1))
        shaped = fields.T.reshape(fields.shape[-1], *tensors[0].shape)
        result = shaped[0] if len(shaped) == 1 else shaped
        return result if as_torch else result.cpu().numpy()

    def at(self, points: torch.Tensor) -> torch.Tensor:
        """The fields [points, fields] at points [points, axes]."""
        parts = []
        for chunk in points.split(CHUNK):
            batch = self.ansatz.batch(chunk)
            with torch.no_grad():
                output = self.network.forward(self.weights, batch.inputs, batch.names)
                parts.append(batch.fields(output)[0])
        return torch.cat(parts) if parts else points.new_zeros(0, self.ansatz.outputs)

    def recall(self, name: str = "source") -> "Surrogate":
        """The solver kept under `name`, from its own weights and zeros elsewhere."""
        if name not in self.memories:
            raise unknown("memory", name, self.memories or ["(none kept)"])
        memory = self.memories[name]
        kept = self.weights if memory.weights is None else memory.weights
        return replace(
            self,
            ansatz=memory.ansatz,
            weights=torch.where(memory.mask, kept, torch.zeros_like(kept)),
            memories={name: memory},
            stage="recalled",
            outcome=memory.outcome or self.outcome,
        )

    def fresh(self, **changes: Any) -> "Surrogate":
        """The same, with changes, as a start for other fits: no memories, history and seconds."""
        return replace(self, **{"memories": {}, "history": (), "seconds": 0.0, **changes})

    def solving(self, problem: Problem) -> "Surrogate":
        """The same weights taken as a solver of another problem of the family."""
        assert isinstance(self.ansatz, PhysicsAnsatz)
        return replace(self, ansatz=replace(self.ansatz, problem=problem))

    def to(self, runtime: Runtime) -> "Surrogate":
        """The same surrogate on another device or in another precision."""
        return replace(
            self,
            weights=runtime.tensor(self.weights),
            memories={
                name: replace(
                    memory,
                    mask=memory.mask.to(runtime.torch_device),
                    weights=None if memory.weights is None else runtime.tensor(memory.weights),
                )
                for name, memory in self.memories.items()
            },
        )


def relative_l2(predicted: Any, expected: Any) -> float:
    """‖predicted − expected‖ / ‖expected‖ over all entries."""
    expected = np.asarray(expected)
    return float(np.linalg.norm(np.asarray(predicted) - expected) / np.linalg.norm(expected))
