"""Surrogates that are refined: the solver below the correction, and what is retained beside it.

See `pacpde.networks.correction`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from pacpde.networks.correction import Refinement, base_places
from pacpde.networks.surrogate import RetainedSolver, Surrogate


def unrefined(surrogate: Surrogate) -> Surrogate:
    """The solver that a refined surrogate refines, bit for bit; any other one as it is.

    Fits go on from it: the random neurons of one problem are not those of another.
    """
    found = base_places(surrogate.network)
    if found is None:
        return surrogate
    network, places = found
    places = places.to(surrogate.weights.device)
    return replace(
        surrogate,
        network=network,
        weights=surrogate.weights[places],
        retained=_moved(surrogate.retained, lambda values: values[places]),
        assessment=None,
        held_out=float("nan"),
    )


def enlarged_retained(surrogate: Surrogate, made: Refinement) -> dict[str, RetainedSolver]:
    """The solvers retained in a surrogate, in the places of its weights in a refinement."""

    def placed(values: torch.Tensor) -> torch.Tensor:
        whole = values.new_zeros(made.network.size)
        whole[made.places] = values
        return whole

    return _moved(surrogate.retained, placed)


def _moved(
    retained: Mapping[str, RetainedSolver], move: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, RetainedSolver]:
    """Retained solvers with masks and weights in other places."""
    return {
        name: replace(
            own, mask=move(own.mask), weights=None if own.weights is None else move(own.weights)
        )
        for name, own in retained.items()
    }
