"""Residuals and their Jacobian in the free parameters, from one reverse pass a residual kind.

A row of residuals depends on its own point only. So the gradient of their sum with respect to a
layer's pre-activations holds every point's δ at once, and ∂r/∂W is the sum over jet channels of
δ ⊗ layer input. No pass per point, no `vmap`. The Jacobian is kept in these factors: its products
with vectors need nothing else, and its normal matrices are added up from as many columns or rows
at a time as memory allows. Columns of frozen weights are never formed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch

from pacpde.networks.mlp import MLP, Layer, Trace
from pacpde.objective.blocks import Block

MEMORY = 2**30  # bytes of Jacobian held at a time
STRIPES = 6  # in which a symmetric product is formed, so that only its lower half is
GATHERED = 0.4  # share of free weights below which single columns are cheaper than whole layers


def residuals(network: MLP, weights: torch.Tensor, blocks: Sequence[Block]) -> torch.Tensor:
    """All residuals, flat [rows]; differentiable in `weights`."""
    parts = []
    for block in blocks:
        output = network.forward(weights, block.batch.inputs, block.batch.names)
        parts.append(block.residual(block.batch.fields(output)).T.reshape(-1))
    return torch.cat(parts)


def linearise(
    network: MLP,
    weights: torch.Tensor,
    blocks: Sequence[Block],
    free: torch.Tensor | None = None,
    memory: int = MEMORY,
) -> tuple[torch.Tensor, "Jacobian"]:
    """Residuals [rows] and their Jacobian [rows, free].

    Args:
        weights: the whole flat vector, [size].
        free: sorted indices of the free parameters; all of them by default.
        memory: bytes that may be taken at a time. Factors that need more are made anew, block by
            block, whenever they are asked for: see `split`.
    """
    streamed = Streamed(network, weights, blocks)
    if sum(factor_bytes(network, block) for block in blocks) > memory:
        return residuals(network, weights, blocks), Jacobian(network, streamed, free, memory)
    made = [streamed.linearised(number) for number in range(len(blocks))]
    parts = [part for _, part in made]
    return torch.cat([rows for rows, _ in made]), Jacobian(network, parts, free, memory)


def split(network: MLP, blocks: Sequence[Block], memory: int) -> list[Block]:
    """The same residuals in blocks whose factors need an eighth of the memory at most each."""
    parts: list[Block] = []
    for block in blocks:
        size = block.batch.size
        count = min(size, -(-8 * factor_bytes(network, block) // memory))
        ends = [size * k // count for k in range(count + 1)]
        parts += [block.only(slice(*pair)) for pair in pairwise(ends)] if count > 1 else [block]
    return parts


def factor_bytes(network: MLP, block: Block) -> int:
    """Bytes of a block's factors, kinds counted as fields."""
    widths = sum(layer.inputs + network.outputs * layer.outputs for layer in network.layers)
    inputs = block.batch.inputs
    return int(inputs.element_size() * inputs.shape[0] * inputs.shape[1] * widths)


@dataclass(frozen=True)
class Streamed(Sequence["Factors"]):
    """The factors of every block, made anew whenever they are asked for."""

    network: MLP
    weights: torch.Tensor
    blocks: Sequence[Block]

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: Any) -> Any:
        if number >= len(self.blocks):
            raise IndexError(number)
        return self.linearised(number)[1]

    def linearised(self, number: int) -> tuple[torch.Tensor, "Factors"]:
        """Residuals [rows] and factors of a block."""
        block, network, weights = self.blocks[number], self.network, self.weights
        trace: list[Trace] = []
        names, images = block.batch.names, block.batch.images
        output = network.forward(weights, block.batch.inputs, names, trace)
        leaf = output.detach().requires_grad_(True)
        with torch.enable_grad():
            residual = block.residual(block.batch.fields(leaf))
            kinds = residual.shape[1]
            slopes = torch.stack(
                [
                    torch.autograd.grad(residual[:, k].sum(), leaf, retain_graph=k + 1 < kinds)[0]
                    for k in range(kinds)
                ]
            )
        deltas = network.deltas(weights, trace, names, slopes)
        layers = [
            (_by_point(seen.inputs, images), _by_point(delta, images))
            for seen, delta in zip(trace, deltas, strict=True)
        ]
        return residual.detach().T.reshape(-1), Factors(layers, images)


@dataclass(frozen=True)
class Factors:
    """The Jacobian rows of one block: (inputs [S, N, in], δ [kinds, S, N, out]) of every layer.

    S runs over channels and images, the images of the value first.
    """

    layers: Sequence[tuple[torch.Tensor, torch.Tensor]]
    images: int

    @property
    def kinds(self) -> int:
        return self.layers[0][1].shape[0]

    @property
    def points(self) -> int:
        return self.layers[0][1].shape[2]

    @property
    def rows(self) -> int:
        return self.kinds * self.points

    def only(self, points: slice) -> "Factors":
        """The rows of some points."""
        return Factors([(a[:, points], d[:, :, points]) for a, d in self.layers], self.images)

    def columns(self, number: int, at: "Columns") -> torch.Tensor:
        """Columns of one layer, [rows, columns]."""
        inputs, delta = self.layers[number]
        bias = delta[:, : self.images].sum(1)
        if at.outputs is None:
            stacked = delta.permute(0, 2, 3, 1).flatten(0, 1)  # [rows, out, S]
            own = inputs.transpose(0, 1).repeat(self.kinds, 1, 1)  # [rows, S, in]
            whole = torch.bmm(stacked, own).flatten(1)
            whole = torch.cat([whole, bias.flatten(0, 1)], 1)
            return whole if at.chosen is None else whole[:, at.chosen]
        single = delta.new_zeros(self.kinds, self.points, len(at.outputs))
        for s in range(len(inputs)):
            single.addcmul_(delta[:, s][..., at.outputs], inputs[s][:, at.inputs])
        return torch.cat([single, bias[..., at.biases]], -1).flatten(0, 1)


@dataclass(frozen=True)
class Columns:
    """Which columns of a layer are wanted, in their order.

    Attributes:
        count: of them.
        chosen: positions among the layer's weights and biases; None for all.
        outputs, inputs, biases: the same as index pairs and bias positions, to form just these;
            None where forming the whole layer is cheaper.
    """

    count: int
    chosen: torch.Tensor | None = None
    outputs: torch.Tensor | None = None
    inputs: torch.Tensor | None = None
    biases: torch.Tensor | None = None

    @classmethod
    def of(cls, layer: Layer, chosen: torch.Tensor, gathered: bool) -> "Columns":
        weights = layer.inputs * layer.outputs
        if not gathered:
            whole = len(chosen) == weights + layer.outputs
            return cls(len(chosen), None if whole else chosen)
        pairs, biases = chosen[chosen < weights], chosen[chosen >= weights] - weights
        return cls(len(chosen), chosen, pairs // layer.inputs, pairs % layer.inputs, biases)


@dataclass(frozen=True)
class Jacobian:
    """∂r/∂(free parameters), [rows, free], in factors.

    Attributes:
        free: sorted indices of the free parameters; None for all.
        memory: bytes of it that may be written out at a time.
    """

    network: MLP
    parts: Sequence[Factors]
    free: torch.Tensor | None = None
    memory: int = MEMORY

    @cached_property
    def shape(self) -> tuple[int, int]:
        rows = sum(part.rows for part in self.parts)
        return rows, self.network.size if self.free is None else len(self.free)

    def times(self, v: torch.Tensor) -> torch.Tensor:
        """J v, [rows], for v [free]."""
        matrices = self.network.matrices(self._whole(v))
        found = []
        for part in self.parts:
            total = v.new_zeros(part.kinds, part.points)
            for (inputs, delta), (weight, bias) in zip(part.layers, matrices, strict=True):
                moved = inputs @ weight.T
                moved[: part.images] += bias
                total += torch.einsum("ksno,sno->kn", delta, moved)
            found.append(total.flatten())
        return torch.cat(found)

    def transposed_times(self, y: torch.Tensor) -> torch.Tensor:
        """Jᵀ y, [free], for y [rows]."""
        whole = y.new_zeros(self.network.size)
        matrices = self.network.matrices(whole)
        start = 0
        for part in self.parts:
            own = y[start : start + part.rows].view(part.kinds, 1, part.points, 1)
            start += part.rows
            for (inputs, delta), (weight, bias) in zip(part.layers, matrices, strict=True):
                pulled = (delta * own).sum(0)  # [S, N, out]
                weight += pulled.flatten(0, 1).T @ inputs.flatten(0, 1)
                bias += pulled[: part.images].sum((0, 1))
        return whole if self.free is None else whole[self.free]

    def dense(self) -> torch.Tensor:
        """All of it, [rows, free]."""
        pieces = [self._piece(number, at) for number, at in self._pieces(self.shape[1])]
        return torch.cat(pieces, 1)

    def gram(self) -> torch.Tensor:
        """J Jᵀ, [rows, rows]; only its lower half is right."""
        rows, _ = self.shape
        found = self._like.new_zeros(rows, rows)
        waiting: list[torch.Tensor] = []
        limit = max(1, self.memory // (8 * rows))
        for number, at in self._pieces(limit):
            if waiting and sum(piece.shape[1] for piece in waiting) + at.count > limit:
                add_lower(found, torch.cat(waiting, 1))
                waiting = []
            waiting.append(self._piece(number, at))
        add_lower(found, torch.cat(waiting, 1))
        return found

    def normal(self) -> torch.Tensor:
        """Jᵀ J, [free, free]; only its lower half is right."""
        _, free = self.shape
        found = self._like.new_zeros(free, free)
        for part in self.parts:
            step = max(1, self.memory // (8 * free * part.kinds))
            for start in range(0, part.points, step):
                some = part.only(slice(start, start + step))
                pieces = [some.columns(number, at) for number, at in self._pieces(free)]
                add_lower(found, torch.cat(pieces, 1).T)
        return found

    @cached_property
    def _like(self) -> torch.Tensor:
        return self.parts[0].layers[0][1].new_zeros(0)

    def _whole(self, v: torch.Tensor) -> torch.Tensor:
        """A vector of free entries in a whole one, zero elsewhere."""
        if self.free is None:
            return v
        return v.new_zeros(self.network.size).index_copy(0, self.free, v)

    def _piece(self, number: int, at: Columns) -> torch.Tensor:
        return torch.cat([part.columns(number, at) for part in self.parts])

    def _pieces(self, limit: int) -> Iterator[tuple[int, Columns]]:
        """Layers with their free columns, at most `limit` at a time."""
        for number, (layer, chosen) in enumerate(
            zip(self.network.layers, self._chosen, strict=True)
        ):
            few = len(chosen) < GATHERED * (layer.biases.stop - layer.start)
            split = len(chosen) > limit
            for part in chosen.split(limit) if split else (chosen,):
                if len(part):
                    yield number, Columns.of(layer, part, few or split)

    @cached_property
    def _chosen(self) -> list[torch.Tensor]:
        """Free positions inside each layer."""
        device = self._like.device
        if self.free is None:
            return [
                torch.arange(layer.biases.stop - layer.start, device=device)
                for layer in self.network.layers
            ]
        return [
            self.free[(self.free >= layer.start) & (self.free < layer.biases.stop)] - layer.start
            for layer in self.network.layers
        ]


def add_lower(matrix: torch.Tensor, a: torch.Tensor) -> None:
    """matrix += a aᵀ, in stripes that end at the diagonal."""
    size = len(a)
    ends = [size * k // STRIPES for k in range(STRIPES + 1)]
    for start, end in pairwise(ends):
        if end > start:
            matrix[start:end, :end].addmm_(a[start:end], a[:end].T)


def _by_point(jet: torch.Tensor, images: int) -> torch.Tensor:
    """[..., channels, images·points, width] → [..., channels·images, points, width]."""
    return jet.unflatten(-2, (images, -1)).flatten(-4, -3)
