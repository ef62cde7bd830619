"""PAC: prune, allocate, calibrate."""

import math
import time
from dataclasses import dataclass, replace

import torch

from pacpde.errors import InvalidValueError
from pacpde.methods.approach import Approach
from pacpde.methods.base import Context, Method, Transferred, finish
from pacpde.networks.mlp import MLP
from pacpde.networks.surrogate import Surrogate
from pacpde.objective.task import Task
from pacpde.pac import SOURCE, allocate, prune
from pacpde.pac.mask import SCOPES, TREATMENTS, check_choice, check_sparsity, magnitude_mask


@dataclass(frozen=True)
class PAC(Method):
    """w_U ← argmin L_S(w ⊙ m); then min over w_P of L_T(w_U + w_P) + λ‖w_P‖².

    Myung et al., ICML 2022 (arXiv 2206.05703). Masks, tolerances and the continuation are our
    choices where the paper is silent; no number of theirs is claimed.

    Attributes:
        sparsity: share of the weights taken from the source and freed for the target.
        strength: λ.
        scope, biases, head: see `pacpde.pac.magnitude_mask`.
        allocate_steps: at most so many steps of allocate; None takes the recipe's.
        continuation: walk the coefficients where a direct calibration fails.
    """

    name = "pac"
    summary = "prune, allocate on the source, then min L_T(w_U + w_P) + λ‖w_P‖² over the freed w_P"

    sparsity: float = 0.8
    strength: float = 1e-9
    scope: str = "global"
    biases: str = "prune"
    head: str = "prune"
    allocate_steps: int | None = None
    continuation: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sparsity(self.sparsity)
        check_choice("scope", self.scope, SCOPES)
        check_choice("treatment of biases", self.biases, TREATMENTS)
        check_choice("treatment of the head", self.head, TREATMENTS)
        if not 0 <= self.strength < math.inf:
            raise InvalidValueError(
                f"strength (λ) is {self.strength}, expected a finite number of at least 0."
            )

    def check(self, network: MLP) -> None:
        alike = torch.ones(network.size)  # how many are kept does not depend on the weights
        kept = int(magnitude_mask(network, alike, self.sparsity, **self._treatment).sum())
        if 0 < kept < network.size:
            return
        way, other = ("frees", "larger") if kept else ("keeps", "smaller")
        raise InvalidValueError(
            f"sparsity is {self.sparsity:g}, which {way} none of the {network.size} weights of "
            f"this network: choose a {other} one."
        )

    @property
    def _treatment(self) -> dict[str, str]:
        return {"scope": self.scope, "biases": self.biases, "head": self.head}

    def run(self, source: Surrogate, target: Task, context: Context) -> Transferred:
        recipe = self.recipe(context)
        clock = time.perf_counter()
        start = replace(source, history=(), seconds=0.0)
        pruned = prune(start, self.sparsity, **self._treatment)
        pruning = time.perf_counter() - clock
        own = replace(recipe, steps=self.allocate_steps or context.recipe.steps)
        phases = own.restored(context.source_task)
        kept = allocate(
            pruned,
            context.source_task,
            phases,
            seed=context.seed,
            tolerance=recipe.tolerance,
            optimiser=recipe.make_optimiser(),
            monitor=replace(context.monitor, watch=None),
        )
        allocated = finish(pruned, context.source_task, phases, [kept], "allocated")
        memory = replace(allocated.memories[SOURCE], ansatz=allocated.ansatz)
        allocated = replace(allocated, memories={SOURCE: memory})
        approach = Approach(recipe, context.seed, context.monitor, self.continuation, self.strength)
        fits = approach.run(allocated, target, ~memory.mask)
        surrogate = finish(allocated, target, recipe.again(target), fits, "calibrated")
        if kept.outcome != "converged" and surrogate.outcome == "converged":
            surrogate = replace(surrogate, outcome=f"allocate_{kept.outcome}")
        return Transferred(
            surrogate,
            int((~memory.mask).sum()),
            kept.steps + sum(made.steps for made in fits),
            kept.evaluations + sum(made.evaluations for made in fits),
            {
                "prune": pruning,
                "allocate": kept.seconds,
                "calibrate": sum(made.seconds for made in fits),
            },
            {"trained": source, "pruned": pruned, "allocated": allocated},
        )
