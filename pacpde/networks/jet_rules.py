"""What calls of torch give for jets.

Linear functions act on every channel alike, functions of each number by Faà di Bruno's formula,
products by Leibniz' rule. So a module costs about what a dense network of pacpde does. Where a
parameter enters linearly (dense layers, convolutions, factors, shifts) what goes in and comes out
is recorded: one reverse pass gives the Jacobian from it, see `pacpde.networks.parameter_use`.
"""

from collections.abc import Callable, Sequence
from math import pi, prod
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from pacpde.networks.activations.base import nested_derivatives
from pacpde.networks.jet_tensor import (
    RULES,
    JetTensor,
    Pass,
    Rule,
    UnsupportedCallError,
    value_of,
)
from pacpde.networks.jets import activate, order, product_rule
from pacpde.networks.jets import slopes as known_slopes
from pacpde.networks.nested_jets import standardised
from pacpde.networks.parameter_use import Affine, Convolution, Factor, Shift, Use


def evaluate_jet(
    function: Callable[[Any], Any],
    jet: torch.Tensor,
    names: Sequence[str],
    weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, list[Use]]:
    """The jet of a function's outputs, and the uses of parameters in it.

    Args:
        function: of the inputs, [points, ...].
        jet: of the inputs, [channels, points, ...].
        weights: see `Pass`.

    Raises:
        UnsupportedCallError: it changes a tensor in its place.
    """
    run = Pass(tuple(names), weights)
    outputs = function(run.jet(jet))
    if isinstance(outputs, JetTensor):
        return outputs.channels, run.uses
    return torch.cat([outputs[None], outputs.new_zeros(len(names) - 1, *outputs.shape)]), run.uses


def _channelwise(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that is linear in its first argument."""
    first = args[0] if args else None
    if not isinstance(first, JetTensor):
        return None
    others, kwargs = tree_map(value_of, (args[1:], kwargs))
    each = [func(own, *others, **kwargs) for own in first.channels.unbind(0)]
    if isinstance(each[0], torch.Tensor):
        return first.run.jet(torch.stack(each))
    return type(each[0])(first.run.jet(torch.stack(own)) for own in zip(*each, strict=True))


def _pad(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Padding, which is linear unless it is by another number than 0."""
    filled = kwargs.get("value") or (args[3] if len(args) > 3 else None)
    return None if filled else _channelwise(func, args, kwargs)


def _joined(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """cat and stack."""
    if not args:
        return None
    run = next(own.run for own in tree_leaves(args) if isinstance(own, JetTensor))
    parts = [_channels(run, own) for own in args[0]]
    each = [func(list(own), *args[1:], **kwargs) for own in zip(*parts, strict=True)]
    return run.jet(torch.stack(each))


def _channels(run: Pass, thing: torch.Tensor) -> Sequence[torch.Tensor]:
    if isinstance(thing, JetTensor):
        return thing.channels.unbind(0)
    return [thing, *[torch.zeros_like(thing)] * (len(run.names) - 1)]


def _of_each_number(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An activation: what it gives for a number depends on that number alone."""
    first, *others = args
    if not isinstance(first, JetTensor) or any(isinstance(o, torch.Tensor) for o in others):
        return None
    default = ("inplace", False), ("inplace", True), ("approximate", "none")
    options = {name: value for name, value in kwargs.items() if (name, value) not in default}
    z, highest = first.channels.flatten(1).unsqueeze(-1), order(first.run.names)
    name = KNOWN.get(func.__name__)
    if len(first.channels) == 1:
        return first.run.jet(func(first.channels, *others, **options))
    if name is not None and not others and not options:
        own = known_slopes(name, z[0], highest)
    elif func.__name__ in CLOSED and not others and not options:
        own = CLOSED[func.__name__](z[0], highest)
    else:
        own = list(nested_derivatives(lambda at: func(at, *others, **options), highest)(z[0]))
    return first.run.jet(activate(own, z, first.run.names).view_as(first.channels))


def _aligned(channels: torch.Tensor, dimensions: int) -> torch.Tensor:
    """[channels, *shape] with dimensions of 1 in front of the shape, for broadcasting."""
    missing = dimensions - (channels.dim() - 1)
    return channels.reshape(len(channels), *[1] * missing, *channels.shape[1:])


def _dimensions(thing: Any) -> int:
    return thing.dim() if isinstance(thing, torch.Tensor) else 0


def _sum(sign: float, reverse: bool) -> Rule:
    """a + sign·b; of b + sign·a where it is reversed."""

    def rule(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs or len(args) != 2:
            return None
        a, b = args[::-1] if reverse else args
        run = (a if isinstance(a, JetTensor) else b).run
        most = max(_dimensions(a), _dimensions(b))
        if isinstance(a, JetTensor) and isinstance(b, JetTensor):
            return run.jet(_aligned(a.channels, most) + sign * _aligned(b.channels, most))
        jet, other = (a, b) if isinstance(a, JetTensor) else (b, a)
        own, more = (1.0, sign) if jet is a else (sign, 1.0)
        return run.jet(_shifted(run, _aligned(own * jet.channels, most), other, more))

    return rule


def _shifted(
    run: Pass, channels: torch.Tensor, shift: Any, sign: float = 1.0, parameter: Any = None
) -> torch.Tensor:
    """A jet plus a constant, which may be a parameter, or one seen in another shape."""
    value = channels[:1] + sign * shift
    others = channels[1:].expand(-1, *value.shape[1:])
    made = torch.cat([value, others]) if len(others) else value
    own = shift if parameter is None else parameter
    run.record(Shift, own, made, getattr(shift, "shape", ()), sign)
    return made


def _product(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs or len(args) != 2:
        return None
    a, b = args
    most = max(_dimensions(a), _dimensions(b))
    if not (isinstance(a, JetTensor) and isinstance(b, JetTensor)):
        jet, other = (a, b) if isinstance(a, JetTensor) else (b, a)
        return jet.run.jet(_scaled(jet.run, _aligned(jet.channels, most), other))
    names = a.run.names
    pairs = [dict(zip(names, _aligned(own.channels, most), strict=True)) for own in (a, b)]
    channels = [
        torch.stack(
            [count * pairs[0][one] * pairs[1][two] for count, one, two in product_rule(name)]
        )
        for name in names
    ]
    return a.run.jet(torch.stack([terms.sum(0) for terms in channels]))


def _scaled(run: Pass, channels: torch.Tensor, factor: Any, parameter: Any = None) -> torch.Tensor:
    """A jet times a constant, which may be a parameter, or one seen in another shape."""
    made = channels * factor
    own = factor if parameter is None else parameter
    run.record(Factor, own, made, channels, getattr(factor, "shape", ()))
    return made


def _quotient(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b, *_ = (*args, None)
    if kwargs or not isinstance(a, JetTensor) or isinstance(b, JetTensor):
        return None
    return a.run.jet(_aligned(a.channels, max(a.dim(), _dimensions(b))) / b)


def _matrix_product(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = args
    jet, other = (a, b) if isinstance(a, JetTensor) else (b, a)
    if isinstance(other, JetTensor) or not 2 <= other.dim() <= jet.dim():
        return None
    made = jet.channels @ other if jet is a else other @ jet.channels
    if jet is a and other.dim() == 2:
        jet.run.record(Affine, other, made, jet.channels, transposed=True)
    return jet.run.jet(made)


def _linear(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def bound(x: Any, weight: Any, bias: Any = None) -> Any:
        if not isinstance(x, JetTensor) or isinstance(weight, JetTensor) or x.dim() < 2:
            return None
        made = func(x.channels, weight)
        if bias is not None:
            made = _shifted(x.run, made, bias)
        x.run.record(Affine, weight, made, x.channels)
        return x.run.jet(made)

    return bound(*args, **kwargs)


def _convolution(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def bound(
        x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Any:  # fmt: skip
        if not isinstance(x, JetTensor) or isinstance(weight, JetTensor):
            return None
        if x.dim() != weight.dim():
            return None  # one sample without a dimension of its own
        each = x.channels.flatten(0, 1)
        made = func(each, weight, None, stride, padding, dilation, groups)
        made = made.unflatten(0, x.channels.shape[:2])
        if bias is not None:
            shaped = bias.reshape(-1, *[1] * (x.dim() - 2))
            made = _shifted(x.run, made, shaped, parameter=bias)
        if groups == 1:
            kernel = tuple(weight.shape[2:])
            x.run.record(Convolution, weight, made, x.channels, kernel, stride, padding, dilation)
        return x.run.jet(made)

    return bound(*args, **kwargs)


def _affine_of(normal: Any, weight: Any, bias: Any, shape: Sequence[int]) -> Any:
    """A normalised jet times a weight plus a bias, each seen in this shape."""
    run, channels = normal.run, normal.channels
    if weight is not None:
        channels = _scaled(run, channels, weight.reshape(shape), weight)
    if bias is not None:
        channels = _shifted(run, channels, bias.reshape(shape), parameter=bias)
    return run.jet(channels)


def _layer_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def bound(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        return _affine_of(standardised(x, len(shape), eps), weight, bias, list(shape))

    return bound(*args, **kwargs)


def _rms_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def bound(x: Any, shape: Any, weight: Any = None, eps: float | None = None) -> Any:
        least = torch.finfo(x.dtype).eps if eps is None else eps
        size = (x * x).mean(tuple(range(-len(shape), 0)), keepdim=True)
        return _affine_of(x * torch.rsqrt(size + least), weight, None, list(shape))

    return bound(*args, **kwargs)


def _group_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def bound(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        apart = standardised(x.unflatten(1, (groups, -1)), x.dim() - 1, eps)
        return _affine_of(apart.flatten(1, 2), weight, bias, [-1, *[1] * (x.dim() - 2)])

    return bound(*args, **kwargs)


def _batch_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def bound(
        x: Any, mean: Any, variance: Any, weight: Any = None, bias: Any = None,
        training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
    ) -> Any:  # fmt: skip
        if training or mean is None:
            raise UnsupportedCallError("batch_norm in training")
        shape = [-1, *[1] * (x.dim() - 2)]
        moved = _shifted(x.run, x.channels, mean.reshape(shape), -1.0)
        normal = x.run.jet(moved / torch.sqrt(variance + eps).reshape(shape))
        return _affine_of(normal, weight, bias, shape)

    return bound(*args, **kwargs)


CHANNELWISE = (
    "reshape view flatten permute transpose swapaxes swapdims movedim moveaxis squeeze unsqueeze "
    "expand expand_as view_as reshape_as contiguous clone unflatten narrow select __getitem__ "
    "index_select chunk split tensor_split unbind sum mean neg __neg__ negative avg_pool1d "
    "avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "flip roll repeat repeat_interleave cumsum T mT t to double float type_as"
)
OF_EACH_NUMBER = (
    "tanh sin cos exp sigmoid silu gelu softplus relu relu6 elu selu celu leaky_relu mish hardtanh "
    "hardswish hardsigmoid softsign tanhshrink logsigmoid log_sigmoid log log1p expm1 sqrt rsqrt "
    "abs erf atan arctan asinh sinh cosh reciprocal square pow __pow__ sinc"
)


def _power(exponent: float) -> Callable[[torch.Tensor, int], list[torch.Tensor]]:
    """The derivatives of zᵖ: p (p − 1) ... (p − k + 1) zᵖ⁻ᵏ."""

    def derivatives(z: torch.Tensor, order: int) -> list[torch.Tensor]:
        shares = [prod(exponent - j for j in range(k)) for k in range(order + 1)]
        return [share * z ** (exponent - k) for k, share in enumerate(shares)]

    return derivatives


CLOSED: dict[str, Callable[[torch.Tensor, int], list[torch.Tensor]]] = {
    "exp": lambda z, order: [torch.exp(z)] * (order + 1),
    "cos": lambda z, order: [torch.cos(z + k * pi / 2) for k in range(order + 1)],
    "sqrt": _power(0.5),
    "rsqrt": _power(-0.5),
    "reciprocal": _power(-1.0),
    "relu": lambda z, order: [z.clamp(min=0), (z > 0).to(z), *[torch.zeros_like(z)] * (order - 1)],
}
KNOWN = {"tanh": "tanh", "sin": "sin", "sigmoid": "sigmoid", "gelu": "gelu", "silu": "swish"}
RULES |= {
    **dict.fromkeys(CHANNELWISE.split(), _channelwise),
    **dict.fromkeys(OF_EACH_NUMBER.split(), _of_each_number),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), _joined),
    **dict.fromkeys(("add", "__add__", "__radd__"), _sum(1.0, False)),
    **dict.fromkeys(("sub", "__sub__", "subtract"), _sum(-1.0, False)),
    **dict.fromkeys(("__rsub__", "rsub"), _sum(-1.0, True)),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "multiply"), _product),
    **dict.fromkeys(("div", "__truediv__", "divide", "true_divide"), _quotient),
    **dict.fromkeys(("matmul", "__matmul__", "mm"), _matrix_product),
    "linear": _linear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    "pad": _pad,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "batch_norm": _batch_norm,
}
