"""The protocol of networks: a small required part, and an optional one.

Every network is a function of one flat weight vector. A fit needs its outputs with derivatives
(`forward`), and the Jacobian of residuals in the weights (`linearise`); masks need to know what the
entries of the vector are (`layout`). Methods that change neurons or dense layers ask for `neurons`
or `layers`; a network that has no such thing refuses in one sentence.

A class with a `name` of its own is a kind of network: `networks` finds it by that name, and
surrogates with such networks can be stored, see `pacpde.networks.kinds`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from pacpde.errors import InvalidValueError, unknown
from pacpde.networks.layout import WeightLayout
from pacpde.networks.row_sums import RowSums
from pacpde.networks.stacking import Stackable
from pacpde.registry import Registry, check_defined

if TYPE_CHECKING:
    from pacpde.networks.neurons import Neurons


WRITTEN = 2**26  # bytes of rows written out at a time where sums of them are formed

networks: Registry[type["Network"]] = Registry(
    "network", "pacpde.networks", partial(check_defined, "network")
)


@dataclass(frozen=True)
class Layer:
    """The place of a layer in the flat vector: weights [outputs, columns], then biases [outputs].

    Attributes:
        inputs, outputs: numbers of neurons; those of a convolution are its filters.
        start: of the weights in the flat vector.
        entries: number of weights from one neuron to another, as of a kernel.
    """

    inputs: int
    outputs: int
    start: int
    entries: int = 1

    @property
    def columns(self) -> int:
        """Weights into one output."""
        return self.inputs * self.entries

    @property
    def weights(self) -> slice:
        return slice(self.start, self.start + self.columns * self.outputs)

    @property
    def biases(self) -> slice:
        return slice(self.weights.stop, self.weights.stop + self.outputs)

    @property
    def parameters(self) -> slice:
        """Weights and biases."""
        return slice(self.start, self.biases.stop)


@dataclass(frozen=True)
class Columns:
    """Columns of a Jacobian that are written together, see `Network.columns`.

    Attributes:
        count: number of columns.
        group: number of the part of the weights that they belong to, as a layer.
        indices: their positions in that part; None for all of it.
        outputs, inputs, biases: the same as pairs of a layer's (output, input) and bias positions,
            to compute just these; None where computing the whole layer is cheaper.
    """

    count: int
    group: int = 0
    indices: torch.Tensor | None = None
    outputs: torch.Tensor | None = None
    inputs: torch.Tensor | None = None
    biases: torch.Tensor | None = None


class Factors(Stackable, ABC):
    """The Jacobian of residuals in the weights of a network, in the form the network keeps it.

    There are `n_components` residuals a point. Rows run over components, then over points.
    """

    @property
    @abstractmethod
    def n_components(self) -> int:
        """Residuals a point."""

    @property
    @abstractmethod
    def points(self) -> int:
        """Number of points."""

    @property
    def rows(self) -> int:
        """Number of residuals."""
        return self.n_components * self.points

    @abstractmethod
    def subset(self, points: slice) -> "Factors":
        """The rows of some points."""

    @abstractmethod
    def write(self, columns: Columns, target: torch.Tensor) -> None:
        """Write some columns into `target`, [..., columns, rows]."""

    @abstractmethod
    def times(self, direction: torch.Tensor) -> torch.Tensor:
        """J v, [..., rows], for a direction v in all weights, [..., size]."""

    @abstractmethod
    def add_transposed(self, y: torch.Tensor, total: torch.Tensor) -> None:
        """total += Jᵀ y, [..., size], for y [..., rows]."""

    def add_sums(self, columns: Columns, sums: RowSums, target: torch.Tensor) -> None:
        """Add signed sums of rows, in some columns, to `target`, [..., all sums, columns].

        By `write` in pieces; factors that form the sums at once are much quicker.
        """
        place, sign = sums.by_row(self.points)
        each = target[..., 0, 0].numel() * columns.count * target.element_size() * len(place)
        step = max(1, WRITTEN // each)
        for start in range(0, self.points, step):
            part = self.subset(slice(start, start + step))
            rows = target.new_empty(*target.shape[:-2], columns.count, part.rows)
            part.write(columns, rows)
            chosen = slice(start, start + part.points)
            rows *= sign[:, chosen].flatten()
            target.index_add_(-2, place[:, chosen].flatten(), rows.mT)


class Network(ABC):
    """Outputs, and their derivatives in the inputs, from one flat weight vector.

    Leading dimensions [...] of weights and inputs are a stack of networks. A jet is a tensor
    [..., channels, points, width] with one channel a derivative, see `pacpde.networks.jets`.

    Attributes:
        name: of this kind of network, as in files; a class without one of its own cannot be stored.
        uses_frequency: whether `init_weights` depends on its frequency.
        inputs, outputs: numbers of input features and of outputs.
    """

    name: ClassVar[str]
    uses_frequency: ClassVar[bool] = False

    inputs: int
    outputs: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            networks.register(cls.name, cls)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of weights, biases among them."""

    @abstractmethod
    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        """Random weights, [size], for a fit to start from.

        Args:
            frequency: larger for solutions that oscillate more; None for the usual spread.
        """

    @abstractmethod
    def forward(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str]
    ) -> torch.Tensor:
        """The jet of the outputs, [..., channels, points, outputs]; differentiable by torch.

        Args:
            weights: [..., size], of any precision and device, which jet and outputs share.
            jet: of the inputs, [..., channels, points, inputs].
            names: the derivative of each channel, as "", "x", "xx".
        """

    @abstractmethod
    def linearise(
        self, weights: torch.Tensor, jet: torch.Tensor, names: Sequence[str], images: int
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], Factors]]:
        """The outputs, as by `forward`, and what gives the Jacobian of residuals of them.

        Args:
            images: evaluations that each residual depends on: of N points, residual n reads the
                evaluations n, n + N, n + 2N, ...

        Returns:
            The jet of the outputs, and a function: slopes of the residuals in that jet,
            [n_components, ..., channels, images·points, outputs] → factors of the Jacobian.
        """

    def split_head(
        self,
        weights: torch.Tensor,
        jet: torch.Tensor,
        names: Sequence[str],
        indices: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """What the outputs are apart from one head, and the jets that the head multiplies.

        Args:
            indices: sorted positions of the weights that move, [trainable].

        Returns:
            The jet of the outputs without the head, [channels, points, outputs], and those of
            its features, that of the biases last, [channels, points, features + 1]; see
            `pacpde.networks.linear_head`. None where these weights are no whole head.
        """
        return None

    @abstractmethod
    def columns(
        self, indices: torch.Tensor | None, limit: int, device: torch.device
    ) -> list[Columns]:
        """The columns of a Jacobian, in order and in groups of at most `limit` where possible.

        Args:
            indices: sorted positions of the columns that are wanted; None for all.
        """

    @abstractmethod
    def factor_bytes(self, jet: torch.Tensor) -> int:
        """Bytes of the factors at these inputs, with as many components as outputs."""

    @property
    @abstractmethod
    def layout(self) -> WeightLayout:
        """Layout of the weight vector: named tensors, biases, the last layer."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, as a JSON object."""

    @property
    def classes(self) -> tuple[type, ...]:
        """The classes whose code gives its outputs: files say where a user's own have changed."""
        return (type(self),)

    @property
    def is_made_by_settings(self) -> bool:
        """Whether `settings` make it again; else a file is read with a network that is given."""
        return True

    @classmethod
    def check_described(cls, settings: Mapping[str, Any]) -> None:
        """Refuse settings that do not make a network of this kind again.

        Raises:
            UnknownNameError: it has no such option.
            DataFileError: they only say what it was.
        """
        for name in settings:
            if name not in ("name", *cls.option_names()):
                raise unknown(f"option of the network {cls.name}", name, cls.option_names())

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(signature(cls).parameters)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The inverse of `settings`, also after JSON, in which a tuple is a list."""
        return cls(**{name: _as_tuples(value) for name, value in settings.items()})

    def merged(self, weights: torch.Tensor) -> "tuple[Network, torch.Tensor]":
        """The network that is stored in place of this one, and its weights [size].

        An adapter, say, is added into the weights that it adapts.
        """
        return self, weights

    @property
    def head(self) -> slice:
        """The last layer's slice of the flat vector."""
        size = self.layout.size
        return slice(size - sum(own.size for own in self.layout.groups if own.is_head), size)

    @property
    def widest(self) -> int:
        """The largest number of neurons or filters of a hidden layer; of features without any."""
        rows = [group.shape for group in self.layout.groups if not group.is_bias]
        hidden = [group.shape[0] for group in self.layout.groups
                  if not (group.is_bias or group.is_head)]  # fmt: skip
        return max(hidden or [shape[-1] for shape in rows])

    @property
    def time_windows(self) -> int:
        """Number of time windows, each with weights of its own; 1 where it is not divided."""
        return 1

    def window(self, number: int) -> slice:
        """The slice of the flat vector that belongs to a time window."""
        return slice(0, self.size)

    @property
    def in_parts(self) -> "tuple[tuple[Network, slice], ...]":
        """The networks it is made of, as of time windows, and their slices of the flat vector."""
        return ((self, slice(0, self.size)),)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Each dense layer's place in the flat vector, from the inputs to the outputs."""
        raise self._lacks("dense layers")

    @property
    def has_neurons(self) -> bool:
        """Whether it, or each of the networks it is made of, has `neurons`."""
        parts = self.in_parts
        return len(parts) > 1 and all(part.has_neurons for part, _ in parts)

    @property
    def not_stored(self) -> str:
        """What of it no file of a surrogate holds, as a sentence after others; "" for nothing."""
        return ""

    @property
    def lacks_neurons(self) -> str:
        """Why it has no `neurons`, as a sentence; "" where nothing is to be said."""
        return ""

    @property
    def neurons(self) -> "Neurons":
        """The hidden neurons, and which weights belong to them."""
        raise self._lacks("hidden neurons")

    def resized(self, widths: Sequence[int]) -> "Network":
        """The network with these numbers of neurons in its hidden layers."""
        raise self._lacks("dense layers that can be resized")

    @property
    def flops(self) -> int:
        """Multiplications and additions of one evaluation at one point, activations left out."""
        raise self._lacks("a known number of operations")

    def matrices(self, weights: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(W [..., outputs, columns], b [..., outputs]) of every layer, as views of the vector."""
        return [
            (
                weights[..., layer.weights].unflatten(-1, (layer.outputs, layer.columns)),
                weights[..., layer.biases],
            )
            for layer in self.layers
        ]

    @property
    def n_features(self) -> int:
        """The number of inputs of the last layer."""
        return self.neurons.widths[-1]

    def head_matrix(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(W [..., outputs, features], b [..., outputs]) of the last layer, as views."""
        return self.matrices(weights)[-1]

    def enlarged(
        self, extra_neurons: int = 0, extra_outputs: int = 0, extra_inputs: int = 0
    ) -> "tuple[Network, torch.Tensor]":
        """A network with more of these, and where each of this one's weights lies in it, [size]."""
        raise self._lacks("dense layers that can be enlarged")

    def _lacks(self, what: str) -> InvalidValueError:
        return InvalidValueError(
            f"a network of the class {type(self).__name__} has no {what}, which is needed here: "
            f"take a dense network, or another method.{_after(self.lacks_neurons)}"
        )


def _after(sentence: str) -> str:
    return f" {sentence}" if sentence else ""


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
