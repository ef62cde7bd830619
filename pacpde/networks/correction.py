"""Refined networks: a solver plus a correction by random neurons on its last hidden layer.

The hidden neurons of a trained network are coordinates that follow the solution: its fronts and
layers are smooth in them. A further layer of random neurons on them, of which the head alone is
fitted, spans what the solver lacks. The fit is nearly linear and reaches what steps in all weights
do not. Random layers with a fitted head: Huang et al. (2006), doi:10.1016/j.neucom.2005.12.126; for
equations: Dong & Li (2021), arXiv 2012.02895, on random inputs in place of trained ones; several
networks in stages: Wang & Lai (2024), arXiv 2307.08934.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.mlp import MLP
from pacpde.networks.network_sum import RefinedNetwork, corrected
from pacpde.networks.protocol import Network
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


def without_correction(network: Network) -> Network:
    """The network that a refined one refines; any other one as it is."""
    found = base_places(network)
    return network if found is None else found[0]


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
    larger, whole, places = _without_head(network, weights, neurons)
    correction = _correction(larger)
    layer, head = correction.layers[-2:]
    heads = torch.zeros_like(whole, dtype=torch.bool)
    count = network.time_windows
    # neuron by neuron, so that more of them begin with the same
    drawn = SPREAD * rng.normal(0, 1, (neurons, count, layer.inputs + 1))
    for number in range(count):
        after = larger.window(number).stop - correction.size
        incoming, biases = drawn[:, number, :-1] / np.sqrt(layer.inputs), drawn[:, number, -1]
        whole[_after(layer.weights, after)] = torch.from_numpy(incoming.ravel()).to(whole)
        whole[_after(layer.biases, after)] = torch.from_numpy(biases.copy()).to(whole)
        heads[_after(head.parameters, after)] = True
    made = Refinement(larger, whole, places, heads)
    if smaller is not None:
        _take_heads(made, *smaller)
    return made


def _without_head(
    network: Network, weights: torch.Tensor, neurons: int
) -> tuple[Network, torch.Tensor, torch.Tensor]:
    """A refined network whose correction has the solver's hidden layers, and else weights of 0.

    Returns:
        Network, weights, and where the solver's weights lie in them, as in `Refinement`.
    """
    inner = network.inner if isinstance(network, TimeWindows) else network
    assert isinstance(inner, MLP)
    larger: Network = corrected(inner, neurons)
    if isinstance(network, TimeWindows):
        larger = replace(network, random_neurons=neurons)
    whole = weights.new_zeros(larger.size)
    hidden = _correction(larger).layers[inner.depth].start
    places = []
    for number in range(network.time_windows):
        start, own = larger.window(number).start, weights[network.window(number)]
        after = start + inner.size
        whole[start:after] = own
        whole[after : after + hidden] = own[:hidden]
        places.append(torch.arange(start, after, device=weights.device))
    return larger, whole, torch.cat(places)


@dataclass(frozen=True)
class Correction:
    """The correction of a solver that is kept in the weights of another one.

    Of the correction's layers these are the random neurons and their head. Its other hidden layers
    are those of the solver.

    Attributes:
        neurons: number of random neurons, in every time window.
        weights: of these and of their head, window after window, [n].

    Example:
        >>> base = MLP(2, 1, width=5, depth=1)
        >>> refined = corrected(base, 40)
        >>> weights = torch.ones(refined.size)
        >>> network, whole = Correction.of(refined, weights).on(base, weights[: base.size])
        >>> network == refined, torch.equal(whole, weights)
        (True, True)
    """

    neurons: int
    weights: torch.Tensor

    @classmethod
    def of(cls, network: Network, weights: torch.Tensor) -> "Correction | None":
        """The correction in the weights of a refined network; None where it is no such."""
        if base_places(network) is None:
            return None
        neurons = _correction(network).layers[-1].inputs
        return cls(neurons, weights[_random_places(network).to(weights.device)])

    def on(self, network: Network, weights: torch.Tensor) -> tuple[Network, torch.Tensor]:
        """The refined network of a solver with this correction, and its weights."""
        larger, whole, _ = _without_head(network, weights, self.neurons)
        whole[_random_places(larger).to(whole.device)] = self.weights
        return larger, whole


def _random_places(network: Network) -> torch.Tensor:
    """Where the random neurons of a refined network and their heads lie in its weights."""
    correction = _correction(network)
    own = torch.arange(correction.layers[-2].start - correction.size, 0, device="cpu")
    ends = [network.window(number).stop for number in range(network.time_windows)]
    return torch.cat([end + own for end in ends])


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
