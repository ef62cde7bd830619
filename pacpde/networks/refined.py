"""Refined networks: a solver plus a correction by random neurons on its last hidden layer.

The hidden neurons of a trained network are coordinates that follow the solution: its fronts and
layers are smooth in them. A further layer of random neurons on them, of which the head alone is
fitted, spans what the solver lacks. The fit is nearly linear and reaches what steps in all weights
do not. Random layers with a fitted head: Huang et al. (2006), doi:10.1016/j.neucom.2005.12.126; for
equations: Dong & Li (2021), arXiv 2012.02895, on random inputs in place of trained ones; several
networks in stages: Wang & Lai (2024), arXiv 2307.08934.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.mlp import MLP
from pacpde.networks.network_sum import RefinedNetwork, corrected
from pacpde.networks.protocol import Network
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.networks.time_windows import TimeWindows

SPREAD = 0.5  # of the random neurons' arguments


@dataclass(frozen=True)
class Refinement:
    """A refined network, not fitted yet.

    Attributes:
        network, weights: of the sum; the head of the correction is 0, so that it gives what the
            solver gives.
        places: where the solver's weights lie in it, [solver's size].
        heads: the head of the correction, in every time window, bool [size].
    """

    network: Network
    weights: torch.Tensor
    places: torch.Tensor
    heads: torch.Tensor


def can_be_refined(network: Network) -> bool:
    """Whether it is a dense network, or one of time windows, that is not refined yet."""
    return type(network) is MLP or (type(network) is TimeWindows and not network.random_neurons)


def refinement(
    network: Network,
    weights: torch.Tensor,
    neurons: int,
    rng: np.random.Generator,
    smaller: "tuple[Refinement, torch.Tensor] | None" = None,
) -> Refinement:
    """A network with a correction by so many random neurons.

    Args:
        rng: the neurons of a smaller refinement come first again where it begins as that did.
        smaller: such a one with its fitted weights, whose heads are taken over.

    Raises:
        InvalidValueError: the network is of another kind, or refined already.
    """
    if not can_be_refined(network):
        raise InvalidValueError(
            f"a network of the class {type(network).__name__} cannot be refined: only dense ones "
            "can, and time windows of them, once."
        )
    inner = network.inner if isinstance(network, TimeWindows) else network
    assert isinstance(inner, MLP)
    both = corrected(inner, neurons)
    correction = both.parts[1]
    layer = correction.layers[inner.depth]
    larger: Network = both
    if isinstance(network, TimeWindows):
        larger = replace(network, random_neurons=neurons)
    whole = weights.new_zeros(larger.size)
    places, heads = [], torch.zeros_like(whole, dtype=torch.bool)
    count = network.time_windows
    # neuron by neuron, so that more of them begin with the same
    drawn = SPREAD * rng.normal(0, 1, (neurons, count, layer.inputs + 1))
    for number in range(count):
        start, own = larger.window(number).start, weights[network.window(number)]
        whole[start : start + inner.size] = own
        places.append(torch.arange(start, start + inner.size, device=weights.device))
        after = start + inner.size
        whole[after : after + layer.start] = own[: layer.start]
        incoming, biases = drawn[:, number, :-1] / np.sqrt(layer.inputs), drawn[:, number, -1]
        whole[_after(layer.weights, after)] = torch.from_numpy(incoming.ravel()).to(whole)
        whole[_after(layer.biases, after)] = torch.from_numpy(biases.copy()).to(whole)
        heads[_after(correction.layers[-1].parameters, after)] = True
    made = Refinement(larger, whole, torch.cat(places), heads)
    if smaller is not None:
        _take_heads(made, *smaller)
    return made


def _after(place: slice, start: int) -> slice:
    return slice(place.start + start, place.stop + start)


def _take_heads(made: Refinement, smaller: Refinement, fitted: torch.Tensor) -> None:
    """Give the first neurons of the corrections the heads of a smaller refinement."""
    for number in range(made.network.time_windows):
        new = made.weights[made.network.window(number)]  # views
        old = fitted[smaller.network.window(number)]
        few, many = _correction(smaller.network), _correction(made.network)
        weights, biases = few.head_matrix(old[-few.size :])
        to, to_biases = many.head_matrix(new[-many.size :])
        to[:, : weights.shape[1]] = weights
        to_biases[:] = biases


def _correction(network: Network) -> MLP:
    """The correction of a refined network, or of one of its windows."""
    inner = network.inner if isinstance(network, TimeWindows) else network
    assert isinstance(inner, RefinedNetwork)
    return inner.parts[1]


def base_places(network: Network) -> tuple[Network, torch.Tensor] | None:
    """The solver that a network refines, and where its weights lie; None where it is no such."""
    if isinstance(network, RefinedNetwork):
        base = network.parts[0]
        return base, torch.arange(base.size, device="cpu")
    if isinstance(network, TimeWindows) and network.random_neurons:
        plain = replace(network, random_neurons=0)
        starts = [network.window(number).start for number in range(network.count)]
        own = torch.arange(plain.inner.size, device="cpu")
        return plain, torch.cat([start + own for start in starts])
    return None


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
