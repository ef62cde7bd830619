"""PAC as three stages that also work one at a time (Myung et al., ICML 2022, arXiv 2206.05703)."""

from pacpde.pac.allocate import allocate
from pacpde.pac.calibrate import calibrate
from pacpde.pac.mask import magnitude_mask, mask_from_tensors, mask_of
from pacpde.pac.prune import SOURCE, prune

__all__ = [
    "SOURCE",
    "allocate",
    "calibrate",
    "magnitude_mask",
    "mask_from_tensors",
    "mask_of",
    "prune",
]
