"""PAC as three stages that also work one at a time (Myung et al., ICML 2022, arXiv 2206.05703).

Masks are bool vectors over the weights of a network, True where the source keeps a weight. They are
made for any network that says what its weights are, see `pacpde.networks.layout`.
"""

from pacpde.pac.allocate import allocate
from pacpde.pac.calibrate import calibrate
from pacpde.pac.mask import magnitude_mask, mask_from_tensors, score_mask
from pacpde.pac.prune import SOURCE, prune
from pacpde.pac.reinit import reinit_dead_neurons, widen
from pacpde.pac.scores import SCORES, curvature
from pacpde.renamed import renamed_names

__all__ = [
    "SCORES",
    "SOURCE",
    "allocate",
    "calibrate",
    "curvature",
    "magnitude_mask",
    "mask_from_tensors",
    "prune",
    "reinit_dead_neurons",
    "score_mask",
    "widen",
]

__getattr__ = renamed_names(__name__, mask_of="score_mask")
