"""Transfers of any torch module, trained by your own optimiser and your own loss.

- `PAC`: prune, allocate, calibrate, recall. Each stage gives a module that you train.
- `freeze`, `unfreeze`: weights that no optimiser, weight decay or `requires_grad_` can move.
- `warm_start`, `l2_sp`, `bss`, `last_layer`, `lora`, `piggyback`, `packnet`: other transfers.
- `tailor`: TransTailor, a smaller network.
"""

from pacpde.interop.modules.fine_tuning import bss, l2_sp, last_layer, lora, piggyback, warm_start
from pacpde.interop.modules.freezing import freeze, unfreeze
from pacpde.interop.modules.pac import PAC, packnet
from pacpde.interop.modules.penalties import Penalty
from pacpde.interop.modules.tailoring import Activation, Scale, Tailored, count_flops, tailor

__all__ = [
    "PAC",
    "Activation",
    "Penalty",
    "Scale",
    "Tailored",
    "bss",
    "count_flops",
    "freeze",
    "l2_sp",
    "last_layer",
    "lora",
    "packnet",
    "piggyback",
    "tailor",
    "unfreeze",
    "warm_start",
]
