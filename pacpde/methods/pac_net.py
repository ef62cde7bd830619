"""PAC-Net: PAC as it was published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pacpde.methods.pac import PAC


@dataclass(frozen=True)
class PACNet(PAC):
    """PAC by magnitude: m_i = 1 where |w_i| is among the largest, and w_P starts at 0.

    Myung et al., ICML 2022 (arXiv 2206.05703). One threshold for all weights, biases and head
    among them, is how we read it; 0.8 is a ratio of theirs; λ is ours, since their 0.01 is for
    losses of another size.
    """

    name = "pac_net"
    summary = "PAC as published: the largest |w| are kept, and the freed weights start at 0"

    class_options: ClassVar[Mapping[str, Any]] = {}  # as published
    class_sparsities: ClassVar[Sequence[float]] = ()
    value_sparsities: ClassVar[Sequence[float]] = ()

    sparsity: float = 0.8
    strength: float = 1e-9
    scope: str = "global"
    mask: str = "magnitude"
    reinit_scale: float = 0.0
