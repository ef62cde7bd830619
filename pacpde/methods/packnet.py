"""PackNet: PAC's stages as they were before it, layer by layer and without a penalty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pacpde.methods.pac import PAC


@dataclass(frozen=True)
class PackNet(PAC):
    """Zero the lowest share of every layer, retrain the kept, then min over the freed of L_T.

    Mallya & Lazebnik, CVPR 2018 (arXiv 1711.05769): one threshold a layer, biases kept with the
    first task, no penalty, half to three quarters pruned. What is kept is retrained on the source,
    as by PAC. Incremental PINNs (Dekhovich et al. 2023, arXiv 2304.04854) share weights between
    subnetworks in the same way.
    """

    name = "packnet"
    summary = "zero the lowest share of each layer, retrain the rest on the source, min L_T(freed)"

    class_options: ClassVar[Mapping[str, Any]] = {}  # as published
    class_sparsities: ClassVar[Sequence[float]] = ()
    value_sparsities: ClassVar[Sequence[float]] = ()

    sparsity: float = 0.75
    strength: float = 0.0
    scope: str = "layer"
    biases: str = "keep"
    mask: str = "magnitude"
    reinit_scale: float = 0.0
