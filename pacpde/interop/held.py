"""Networks that older versions stored by `torch.save` name this module: see `networks.frozen`."""

from pacpde.networks.frozen import _rebuilt

__all__ = ["_rebuilt"]
