"""Forward jets: a network carries u and its derivatives through its layers together.

A jet is a tensor [channels, points, width] whose channels are named by derivative: "" the value,
"x" and "t" first, "xx" and "xt" second derivatives, up to fourth ones. A linear layer acts on every
channel alike. An activation f acts by Faà di Bruno's formula, a sum over the partitions of the axes
of a derivative (Hardy 2006, arXiv math/0601149, proposition 1):

    ∂_α f(z) = Σ_π f⁽ᵏ⁾(z) Π_{β∈π} ∂_β z,    k blocks β in the partition π of α

For the reverse pass: D[f(z)]·w = f'(z) w, so that ∂(∂_α f(z))/∂(∂_β z) is a coefficient of the
product rule for f'(z) w.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

import torch

from pacpde.errors import InvalidValueError
from pacpde.networks.activations import Slopes, activations

HIGHEST = 4  # order of the derivatives that a jet carries


def check_channels(names: Sequence[str]) -> None:
    """Refuse derivatives that the jet does not carry."""
    for name in names:
        if len(name) > HIGHEST:
            raise InvalidValueError(
                f"the equation needs the derivative {name!r}: networks carry derivatives up to "
                "fourth order; write it as a system of lower order with one more field."
            )


def slopes(activation: str, z: torch.Tensor, order: int) -> Slopes:
    """activation(z) and its derivatives up to `order`, at least 1."""
    return activations.get(activation)().derivatives(z, order)


def order(names: Sequence[str]) -> int:
    """The highest derivative among the channels, at least 1."""
    return max(1, *map(len, names))


@cache
def chain_rule(name: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The derivative `name` of f(z): Σ count · f⁽ᵏ⁾(z) · Π (derivatives `blocks` of z), k blocks.

    Returns:
        (count, blocks) of every term, those of few blocks first.

    Example:
        >>> chain_rule("xxx")
        ((1, ('xxx',)), (3, ('x', 'xx')), (1, ('x', 'x', 'x')))
    """

    def place(block: str) -> tuple[int, list[int]]:
        return len(block), [name.index(axis) for axis in block]

    counts = Counter(tuple(sorted(blocks, key=place)) for blocks in _partitions(name))
    terms = sorted(counts.items(), key=lambda item: len(item[0]))
    return tuple((count, blocks) for blocks, count in terms)


@cache
def product_rule(name: str) -> tuple[tuple[int, str, str], ...]:
    """The derivative `name` of f·g: Σ count · (derivative of f) · (derivative of g).

    Returns:
        (count, derivative of f, derivative of g) of every term.

    Example:
        >>> product_rule("xx")
        ((1, '', 'xx'), (2, 'x', 'x'), (1, 'xx', ''))
    """
    terms: Counter[tuple[str, str]] = Counter()
    for mask in range(1 << len(name)):
        first = "".join(axis for k, axis in enumerate(name) if mask >> k & 1)
        second = "".join(axis for k, axis in enumerate(name) if not mask >> k & 1)
        terms[first, second] += 1
    return tuple((count, first, second) for (first, second), count in terms.items())


def activate(s: Slopes, z: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
    """The jet of activation(z), from the jet z [..., channels, points, width].

    Args:
        s: slopes at z's value up to the order of `names`.
    """
    parts = dict(zip(names, z.unbind(-3), strict=True))
    channels = [s[0]]
    for name in names[1:]:
        channel = s[1] * parts[name]
        for count, blocks in chain_rule(name)[1:]:
            term = s[len(blocks)]
            for block in blocks:
                term = term * parts[block]
            channel = torch.add(channel, term, alpha=count)
        channels.append(channel)
    return torch.stack(channels, -3)


def vjp(s: Slopes, z: torch.Tensor, names: Sequence[str], gradient: torch.Tensor) -> torch.Tensor:
    """The gradient in z, from the gradient in `activate(s, z, names)`.

    Args:
        s: slopes at z's value up to one more than the order of `names`.
        gradient: [n_components, ..., channels, points, width].
    """
    result = gradient * s[1].unsqueeze(-3)
    inner = dict(zip(names, result.unbind(-3), strict=True))
    outer = dict(zip(names, gradient.unbind(-3), strict=True))
    if order(names) <= 2:
        _add_second_order(s, dict(zip(names, z.unbind(-3), strict=True)), inner, outer)
        return result
    slope_jet = activate(s[1:], z, names)  # of f'(z)
    slope = dict(zip(names, slope_jet.unbind(-3), strict=True))
    for name in names[1:]:
        for count, first, second in product_rule(name):
            if first:
                inner[second].addcmul_(outer[name], slope[first], value=count)
    return result


Channels = dict[str, torch.Tensor]


def _add_second_order(s: Slopes, z: Channels, inner: Channels, outer: Channels) -> None:
    """The same written out, which for few channels takes less than the jet of f'(z)."""
    for name in list(z)[1:]:
        curved = s[2] * outer[name]
        inner[""].addcmul_(curved, z[name])
        if len(name) == 2:
            inner[name[0]].addcmul_(curved, z[name[1]])
            inner[name[1]].addcmul_(curved, z[name[0]])
            inner[""].addcmul_(s[3] * outer[name], z[name[0]] * z[name[1]])


def _partitions(name: str) -> Iterator[tuple[str, ...]]:
    """Every partition of the places of a name into blocks."""
    if not name:
        yield ()
        return
    for blocks in _partitions(name[1:]):
        yield (name[0], *blocks)
        for k, block in enumerate(blocks):
            yield (*blocks[:k], name[0] + block, *blocks[k + 1 :])
