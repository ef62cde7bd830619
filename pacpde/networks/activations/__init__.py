"""Activations of dense networks and their derivatives: a file each, or a few."""

from pacpde.networks.activations.base import (
    HIGHEST,
    Activation,
    Slopes,
    activations,
    check_activation,
)

__all__ = ["HIGHEST", "Activation", "Slopes", "activations", "check_activation"]
