"""Any torch module as a network: its parameters are the weight vector."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from pacpde.checks import check_flag
from pacpde.errors import InvalidValueError, short
from pacpde.files import short_hash
from pacpde.networks.frozen import copied
from pacpde.networks.layout import WeightLayout
from pacpde.networks.module_chain import chain_break, chain_layers, resized_chain
from pacpde.networks.module_checks import (
    check_module,
    check_outputs,
    input_shape_of,
    last_layer,
    reseeded,
)
from pacpde.networks.module_evaluation import EvaluatedModule
from pacpde.networks.module_settings import LAYERS, described, made_again
from pacpde.networks.neurons import Neurons
from pacpde.networks.protocol import Layer, Network
from pacpde.runtime import gradients

POINTS = 16  # of a digest
SHOWN = 4  # names in a sentence


class ModuleNetwork(EvaluatedModule):
    """Base class: a network whose outputs a torch module computes.

    A dataclass that extends it is a kind of network of its own, which files, records and the
    command line can name: its fields are its settings.

    Attributes:
        input_shape: of one point, as the module takes it; [points, inputs] become
            [points, *input_shape].

    Example:
        >>> @dataclass(frozen=True)
        ... class Wide(ModuleNetwork):
        ...     name = "wide"
        ...     inputs: int
        ...     outputs: int
        ...     width: int = 50
        ...
        ...     def build_module(self):
        ...         layers = nn.Linear(self.inputs, self.width), nn.Tanh()
        ...         return nn.Sequential(*layers, nn.Linear(self.width, self.outputs))
        >>> Wide(2, 1).size
        201
    """

    @abstractmethod
    def build_module(self) -> nn.Module:
        """A new module with random weights; its random numbers are drawn from the fit's seed."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.inputs,)

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload]

    @property
    def classes(self) -> tuple[type, ...]:
        kinds = dict.fromkeys(type(own) for own in self._module.modules())
        return (type(self), *(own for own in kinds if not own.__module__.startswith("torch.")))

    @cached_property
    def _module(self) -> nn.Module:
        """The module as it is evaluated: a copy of its own, in evaluation mode.

        Raises:
            InvalidValueError: it cannot be a network, see `check_module`.
        """
        module = copied(reseeded(self.build_module, 0)).eval()
        check_module(module)
        outputs = check_outputs(module, self.input_shape)
        if getattr(self, "outputs", outputs) != outputs:
            raise InvalidValueError(
                f"the module {type(module).__name__} gives {outputs} outputs, and its network "
                f"says {self.outputs}: let both be the same."
            )
        return module

    @cached_property
    def layout(self) -> WeightLayout:
        """Layout of the weight vector: the module's parameters that require gradients.

        The head is the layer that is evaluated last.
        """
        shapes = {name: tuple(own.shape) for name, own in _trainable(self._module)}
        head = last_layer(self._module, self.input_shape)
        return WeightLayout.of(shapes).with_head(head)

    @property
    def head(self) -> slice:
        own = [self.places[group.name] for group in self.layout.groups if group.is_head]
        return slice(own[0].start, own[-1].stop)

    @cached_property
    def _chain(self) -> tuple[Layer, ...] | None:
        return chain_layers(self._module, self.layout)

    @property
    def has_neurons(self) -> bool:
        return self._chain is not None

    @property
    def lacks_neurons(self) -> str:
        own = chain_break(self._module)
        return own and (
            f"Neurons are known of a chain of dense layers and convolutions, and the module {own}."
        )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The dense layers and convolutions of a chain, see `chain_layers`."""
        return self._chain or super().layers

    @property
    def neurons(self) -> Neurons:
        """The hidden neurons and filters of a chain."""
        return Neurons(self) if self.has_neurons else super().neurons

    def resized(self, widths: Sequence[int]) -> "TorchModule":
        layers = self.layers
        if len(widths) != len(layers) - 1:
            raise self._lacks(f"way to have {len(widths)} hidden layers in place of its own")
        smaller = reseeded(lambda: resized_chain(self._module, layers, widths), 0)
        return TorchModule(smaller, self.input_shape)

    @property
    def n_features(self) -> int:
        return self._head[1].in_features

    def head_matrix(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        name, parts = self._head[0], self.layout.split(weights)
        return parts[f"{name}.weight".removeprefix(".")], parts[f"{name}.bias".removeprefix(".")]

    @cached_property
    def _head(self) -> tuple[str, nn.Linear]:
        """The dense layer whose outputs are those of the module, and its name.

        Raises:
            InvalidValueError: the module has none, or it has no biases.
        """
        made: dict[str, torch.Tensor] = {}
        module = copied(self._module).double().cpu()
        dense = {name: own for name, own in module.named_modules() if type(own) is nn.Linear}
        for name, own in dense.items():
            own.register_forward_hook(lambda _, __, out, name=name: made.update({name: out}))
        with torch.no_grad():
            outputs = module(torch.ones(1, *self.input_shape, dtype=torch.float64, device="cpu"))
        last = [
            name for name, own in made.items() if own is outputs and dense[name].bias is not None
        ]
        if not last or f"{last[0]}.weight".removeprefix(".") not in self.places:
            raise InvalidValueError(
                f"the module {self.module_name} does not end in a dense layer with biases, of "
                "whose features more outputs could be made: take another method, or end it with "
                "torch.nn.Linear."
            )
        return last[0], dense[last[0]]

    def enlarged(
        self, extra_neurons: int = 0, extra_outputs: int = 0, extra_inputs: int = 0
    ) -> "tuple[Network, torch.Tensor]":
        """A network with more outputs of the last layer's features."""
        if extra_neurons or extra_inputs:
            raise self._lacks("neurons or inputs that can be added")
        name, own = self._head
        outputs = self.outputs + extra_outputs
        layer = reseeded(lambda: nn.Linear(own.in_features, outputs), 0).to(own.weight)
        module = copied(self._module)
        if name:
            module.set_submodule(name, layer)
        else:
            module = layer
        larger = TorchModule(module, self.input_shape)
        parts = larger.layout.split(torch.arange(larger.size, device="cpu"))
        rows = {group.name: group.shape for group in self.layout.groups}
        return larger, torch.cat(
            [parts[key][: shape[0]].flatten() if shape else parts[key].flatten()
             for key, shape in rows.items()]
        )  # fmt: skip

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        """The weights of a module that is built anew, with random numbers of the generator."""
        module = reseeded(self.build_module, int(rng.integers(2**63)))
        return self._flat(module)

    def _flat(self, module: nn.Module) -> np.ndarray:
        parameters = {name: own.detach() for name, own in module.named_parameters()}
        return np.asarray(self.layout.join(parameters).double().cpu().numpy())


@dataclass(frozen=True, eq=False, repr=False)
class TorchModule(ModuleNetwork):
    """A torch module as a network: its parameters in order are the flat weight vector.

    The module stays as it is: its network has a copy, in evaluation mode (no dropout, running
    statistics of batch normalisation as they are now). Parameters that require no gradient, and
    buffers, are constants.

    - A fit draws new weights: every part of the module that has a `reset_parameters` gets those of
      it, from the fit's seed; parameters of other parts start as in the module. With
      `given_weights` all start as in the module.
    - A chain (`nn.Sequential`) of torch's own layers can be stored and comes back from a file by
      itself. For any other module give `load(folder, network=TorchModule(...))`, or make a kind of
      network of it, see `ModuleNetwork`.

    Attributes:
        module: takes [points, inputs], gives [points, outputs], each point by itself.
        input_shape: of one point, where it is not one row of numbers: (1, 8, 8) for images, whose
            rows in a table have 64 columns. By default the inputs of the first dense layer that the
            module can be evaluated with.
        given_weights: see above.

    Raises:
        InvalidValueError: points depend on each other, outputs on random numbers, or the like.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 1))
        >>> network = TorchModule(net)
        >>> network.inputs, network.outputs, network.size
        (2, 1, 81)
    """

    name = "module"

    module: nn.Module
    input_shape: tuple[int, ...] = None  # type: ignore[assignment]
    given_weights: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.module, nn.Module):
            raise InvalidValueError(
                f"the module is {short(self.module)}, expected a torch.nn.Module such as "
                "nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 1))."
            )
        check_flag("given_weights", self.given_weights)
        check_module(self.module)
        shape = input_shape_of(self.module, self.input_shape)
        object.__setattr__(self, "module", copied(self.module).eval())
        object.__setattr__(self, "input_shape", shape)
        object.__setattr__(self, "inputs", prod(shape))
        object.__setattr__(self, "outputs", check_outputs(self.module, shape))

    def __repr__(self) -> str:
        kind = type(self.module).__name__
        ends = f"inputs={self.inputs}, outputs={self.outputs}, size={self.size}"
        return f"TorchModule({kind}, {ends}, digest={self.digest!r})"

    def build_module(self) -> nn.Module:
        return self.module

    @cached_property
    def _module(self) -> nn.Module:
        return self.module

    @cached_property
    def settings(self) -> dict[str, Any]:
        about = described(self.module)
        return {
            "input_shape": list(self.input_shape),
            **about,
            **({} if LAYERS in about else {"digest": self.digest}),
            **({"given_weights": True} if self.given_weights else {}),
        }

    @cached_property
    def digest(self) -> str:
        """A hash of the module's text and of outputs at fixed weights and points."""
        points = torch.linspace(-1, 1, POINTS * self.inputs, dtype=torch.float64, device="cpu")
        weights = torch.sin(torch.arange(self.size, dtype=torch.float64, device="cpu"))
        with torch.no_grad():
            values = self._call(weights * self.size**-0.25, points.view(POINTS, -1)).flatten()
        if self.given_weights:
            values = torch.cat([values, torch.from_numpy(self._flat(self.module))])
        text = " ".join([str(self.module), *(f"{value:.7e}" for value in values.tolist())])
        return short_hash(text.encode())

    @property
    def not_stored(self) -> str:
        names = [name for name, own in self._module.named_buffers() if own.numel()]
        names += [name for name, own in self._module.named_parameters() if not own.requires_grad]
        if not names or LAYERS in self.settings:
            return ""
        more = ", ..." * (len(names) > SHOWN)
        return (
            f" Its constants ({', '.join(names[:SHOWN])}{more}) are not stored: give the module "
            "those that it had, by load_state_dict with a state_dict that you saved."
        )

    @property
    def is_made_by_settings(self) -> bool:
        return LAYERS in self.settings and not self.given_weights

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        return "input_shape", LAYERS, "class", "digest", "given_weights"

    @classmethod
    def check_described(cls, settings: Mapping[str, Any]) -> None:
        made_again(settings)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "TorchModule":
        return cls(made_again(settings), tuple(settings["input_shape"]))

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        if self.given_weights:
            return self._flat(self.module)

        def reset() -> nn.Module:
            module = deepcopy(self.module)
            for part in reversed(list(module.modules())):  # what contains others has the last word
                if callable(getattr(part, "reset_parameters", None)):
                    part.reset_parameters()  # type: ignore[operator]
            return module

        return self._flat(reseeded(reset, int(rng.integers(2**63))))

    def __eq__(self, other: object) -> bool:
        """The same layers, or the same class with the same outputs."""
        if not isinstance(other, TorchModule) or type(other) is not type(self):
            return False
        return self is other or self.settings == other.settings

    def __hash__(self) -> int:
        return hash((type(self.module).__name__, self.input_shape, self.size))


@dataclass(frozen=True)
class ModuleChoice:
    """What makes a network of a module that is given as the network of a fit.

    Attributes:
        module: of any inputs and outputs.
    """

    module: nn.Module

    def __call__(self, inputs: int, outputs: int) -> TorchModule:
        with gradients():
            return TorchModule(self.module, (inputs,))


def _trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, own) for name, own in module.named_parameters() if own.requires_grad]
