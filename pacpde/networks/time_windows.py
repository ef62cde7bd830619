"""A network of time windows, one dense network each, in one flat weight vector.

One dense network of affordable size does not hold a long time span. In windows each holds a piece,
and is fitted after the one before, whose weights are frozen then.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pacpde.checks import check_count
from pacpde.networks.joined import JoinedNetworks
from pacpde.networks.leibniz import leibniz
from pacpde.networks.mlp import MLP, WIDEST
from pacpde.networks.network_sum import NetworkSum, corrected
from pacpde.networks.protocol import Columns, Factors

MOST = 10_000  # windows; beyond them the number is a slip of the pen


@dataclass(frozen=True)
class TimeWindows(JoinedNetworks):
    """N = (1 − r) N_{k−1}(1, rest) + r N_k(s, rest) at a time τ in the window k, with

        s = the time of the window, from −1 to 1,    r = (s + 1)/2, and r = 1 in the first window.

    The first input τ is the time, mapped to [−1, 1], which `count` windows divide evenly. Every
    window starts at what the one before ends with: N is continuous, and no window depends on later
    ones. The slope in time has jumps, so that equations of second order in time are refused.

    Attributes:
        inputs, outputs: widths of the ends.
        count: number of windows, at least 2.
        width, depth, activation: of the dense network of every window, see `MLP`.
        random_neurons: of a correction in every window, see `pacpde.networks.correction`.

    Example:
        >>> TimeWindows(2, 1, count=3, width=5, depth=1).size  # 3 · (2·5 + 5 + 5 + 1)
        63
    """

    name = "time_windows"
    part_name = "windows"
    uses_frequency = True

    inputs: int
    outputs: int
    count: int = 20
    width: int | tuple[int, ...] = 24
    depth: int = 3
    activation: str = "tanh"
    random_neurons: int = 0

    def __post_init__(self) -> None:
        check_count("count of time windows", self.count, 2, MOST)
        check_count("neurons of a correction", self.random_neurons, 0, WIDEST)
        object.__setattr__(self, "width", self._dense.width)

    @property
    def _dense(self) -> MLP:
        return MLP(self.inputs, self.outputs, self.width, self.depth, self.activation)

    @cached_property
    def inner(self) -> "MLP | NetworkSum":
        """The network of a window: a dense one, or the sum of it and its correction."""
        dense = self._dense
        return corrected(dense, self.random_neurons) if self.random_neurons else dense

    @property
    def time_windows(self) -> int:
        return self.count

    @property
    def settings(self) -> dict[str, Any]:
        settings = asdict(self)
        if not self.random_neurons:
            del settings["random_neurons"]
        return settings

    @property
    def parts(self) -> "tuple[MLP | NetworkSum, ...]":
        return (self.inner,) * self.count

    @property
    def flops(self) -> int:
        return 2 * self.inner.flops

    def window(self, number: int) -> slice:
        return self.part_slices[number]

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        """Random weights [size]: those of every window, see `MLP.init_weights`.

        Args:
            frequency: over the whole span; a window sees its share of it, and 1 at least.
        """
        own = None if frequency is None else max(1.0, frequency / self.count)
        return np.concatenate([self.inner.init_weights(rng, own) for _ in range(self.count)])

    def enlarged(
        self, extra_neurons: int = 0, extra_outputs: int = 0, extra_inputs: int = 0
    ) -> "tuple[TimeWindows, torch.Tensor]":
        if self.random_neurons:
            raise self._lacks("dense layers that can be enlarged")
        inner, places = self._dense.enlarged(extra_neurons, extra_outputs, extra_inputs)
        larger = replace(self, inputs=inner.inputs, outputs=inner.outputs, width=inner.width)
        starts = [larger.window(number).start for number in range(self.count)]
        return larger, torch.cat([start + places for start in starts])

    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        total = jet.new_zeros(*jet.shape[:-1], self.outputs)
        for part in self.pieces(jet, names):
            own = self.inner.forward(weights[..., self.window(part.number)], part.inputs, names)
            total = total.index_add(-2, part.points, part.weighted(own))
        return total

    def split_head(
        self,
        weights: torch.Tensor,
        jet: torch.Tensor,
        names: Sequence[str],
        indices: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        number, own = self.part_with(indices)
        if own is None:
            return None
        base, features = jet.new_zeros(*jet.shape[:-1], self.outputs), None
        for part in self.pieces(jet, names):
            inner, values = weights[..., self.window(part.number)], part.inputs
            if part.number == number:
                split = self.inner.split_head(inner, values, names, own)
                if split is None:
                    return None
                output, some = split
                some = part.weighted(some)
                features = some.new_zeros(*jet.shape[:-1], some.shape[-1])
                features.index_copy_(-2, part.points, some)
            else:
                output = self.inner.forward(inner, values, names)
            base = base.index_add(-2, part.points, part.weighted(output))
        return None if features is None else (base, features)

    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        def factors(slopes: torch.Tensor) -> WindowFactors:
            return WindowFactors(self, weights, jet, slopes.movedim(0, -1), names, images)

        return self.forward(weights, jet, names), factors

    def factor_bytes(self, jet: torch.Tensor) -> int:
        return 2 * self.inner.factor_bytes(jet)  # every point is in two windows

    def pieces(
        self, jet: torch.Tensor, names: Sequence[str], images: int = 1
    ) -> "Iterator[WindowPart]":
        """The windows that the outputs at some points depend on, in order.

        Args:
            jet: of the inputs, [..., channels, images·points, inputs].
        """
        time = jet[..., 0, :, 0]
        windows = ((time + 1) * (self.count / 2)).floor().clamp(0, self.count - 1)
        first, last = (int(end) for end in windows.aminmax())
        for number in range(max(first - 1, 0), last + 1):
            wanted = (windows == number) | (windows == number + 1)
            points = wanted.unflatten(-1, (images, -1)).flatten(0, -2).any(0).nonzero()[:, 0]
            if len(points):
                yield self._part(number, _at(jet, points, images), names, points)

    def _part(
        self, number: int, jet: torch.Tensor, names: Sequence[str], points: torch.Tensor
    ) -> "WindowPart":
        time = jet[..., 0]  # with its derivatives
        window = ((time[..., 0, :] + 1) * (self.count / 2)).floor().clamp(0, self.count - 1)
        inside, after = window == number, window == number + 1
        end = 2 * (number + 1) / self.count - 1
        since = (time - _value(time, end)) * self.count  # 0 at the end of the window
        s = torch.where(inside.unsqueeze(-2), since + _value(time, 1), _value(time, 1))
        r = (s + _value(time, 1)) / 2 if number else _value(time, 1)
        hat = torch.where(inside.unsqueeze(-2), r, _value(time, 1) - since / 2)
        hat = torch.where((inside | after).unsqueeze(-2), hat, torch.zeros_like(hat))
        inputs = torch.cat([s.unsqueeze(-1), jet[..., 1:]], -1)
        return WindowPart(number, points, inputs, leibniz(hat.movedim(-2, 0), names))


@dataclass(frozen=True)
class WindowPart:
    """What a window takes part in: h N_k, with h = r in it, 1 − r in the next one, 0 elsewhere.

    Attributes:
        number: k.
        points: positions of the points in these two windows, [chosen points].
        inputs: jet of (s, rest) at them, with s = 1 after the window,
            [..., channels, images·chosen points, inputs].
        product: matrix that maps the jet of N_k to that of h N_k,
            [channels, channels, ..., images·chosen points].
    """

    number: int
    points: torch.Tensor
    inputs: torch.Tensor
    product: torch.Tensor

    def weighted(self, output: torch.Tensor) -> torch.Tensor:
        """The jet of h N_k, from that of N_k [..., channels, images·chosen points, outputs]."""
        return torch.einsum("cd...n,...dnk->...cnk", self.product, output)

    def pulled_back(self, slopes: torch.Tensor) -> torch.Tensor:
        """Slopes in N_k [n_components, ..., channels, points, outputs], from those in h N_k."""
        return torch.einsum("cd...n,j...cnk->j...dnk", self.product, slopes)


@dataclass(frozen=True)
class WindowFactors(Factors):
    """The factors of every window, computed where they are asked for: most are frozen in a fit.

    Attributes:
        jet: of the inputs, [..., channels, images·points, inputs].
        slopes: of the residuals in the outputs,
            [..., channels, images·points, outputs, n_components].
    """

    stacked = ("weights", "jet", "slopes")

    network: TimeWindows
    weights: torch.Tensor
    jet: torch.Tensor
    slopes: torch.Tensor
    names: Sequence[str]
    images: int

    @property
    def n_components(self) -> int:
        return self.slopes.shape[-1]

    @property
    def points(self) -> int:
        return self.jet.shape[-2] // self.images

    @cached_property
    def _pieces(self) -> dict[int, WindowPart]:
        parts = self.network.pieces(self.jet, self.names, self.images)
        return {part.number: part for part in parts}

    @cached_property
    def _factors(self) -> dict[int, Factors]:
        return {}

    def _of(self, number: int) -> Factors:
        """The factors of a window at its points."""
        if number not in self._factors:
            network, part = self.network, self._pieces[number]
            own = self.weights[..., network.window(number)]
            _, factors = network.inner.linearise(own, part.inputs, self.names, self.images)
            slopes = _at(self.slopes.movedim(-1, 0), part.points, self.images)
            self._factors[number] = factors(part.pulled_back(slopes))
        return self._factors[number]

    def subset(self, points: slice) -> "WindowFactors":
        chosen = torch.arange(self.points, device=self.jet.device)[points]
        slopes = _at(self.slopes.movedim(-1, 0), chosen, self.images).movedim(0, -1)
        return replace(self, jet=_at(self.jet, chosen, self.images), slopes=slopes)

    def write(self, columns: Columns, target: torch.Tensor) -> None:
        number, own = self.network.part_of(columns)
        part = self._pieces.get(number)
        if part is None:
            target.zero_()
            return
        factors = self._of(number)
        if len(part.points) == self.points:
            factors.write(own, target)
            return
        some = target.new_empty(*target.shape[:-1], factors.rows)
        factors.write(own, some)
        rows = target.zero_().unflatten(-1, (self.n_components, self.points))
        rows.index_copy_(-1, part.points, some.unflatten(-1, (self.n_components, -1)))

    def times(self, direction: torch.Tensor) -> torch.Tensor:
        shape = *direction.shape[:-1], self.n_components, self.points
        total = direction.new_zeros(shape)
        for number, part in self._pieces.items():
            own = self._of(number).times(direction[..., self.network.window(number)])
            total.index_add_(-1, part.points, own.unflatten(-1, (self.n_components, -1)))
        return total.flatten(-2)

    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        y = y.unflatten(-1, (self.n_components, self.points))
        for number, part in self._pieces.items():
            own = total[..., self.network.window(number)]
            self._of(number).add_transposed(y[..., part.points].flatten(-2), own)


def _at(jet: torch.Tensor, points: torch.Tensor, images: int) -> torch.Tensor:
    """The jet [..., images·points, width] at some points."""
    if len(points) * images == jet.shape[-2]:
        return jet
    return jet.unflatten(-2, (images, -1))[..., points, :].flatten(-3, -2)


def _value(jet: torch.Tensor, constant: float) -> torch.Tensor:
    """The jet [..., channels, points] of a constant."""
    value = torch.zeros_like(jet)
    value[..., 0, :] = constant
    return value
