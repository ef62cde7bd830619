"""DeepXDE itself, imported so that nothing of torch is changed by it."""

import importlib
import os
import sys
from pathlib import Path

import torch

from pacpde.errors import InvalidValueError, MissingPackageError

CHOICE = "DDE_BACKEND"


def import_deepxde() -> None:
    """Import DeepXDE on its pytorch backend.

    Its import moves torch's default device to a GPU where there is one; this one puts device and
    dtype back. A script that has imported DeepXDE before keeps what that has set.
    """
    if sys.modules.get("deepxde") is None:
        _import()
    name = sys.modules["deepxde"].backend.backend_name
    if name != "pytorch":
        raise InvalidValueError(
            f"DeepXDE runs on its backend {name!r} here, and pacpde moves torch networks: set the "
            f"environment variable {CHOICE}=pytorch before DeepXDE is imported."
        )


def _import() -> None:
    device, dtype = torch.get_default_device(), torch.get_default_dtype()
    chosen = Path.home() / ".deepxde" / "config.json"
    ask = CHOICE not in os.environ and "DDEBACKEND" not in os.environ and not chosen.exists()
    if ask:  # otherwise DeepXDE would choose for itself, and write its choice to that file
        os.environ[CHOICE] = "pytorch"
    try:
        importlib.import_module("deepxde")
    except ImportError as error:
        raise MissingPackageError(
            "DeepXDE is not installed: pip install 'pacpde[deepxde]'."
        ) from error
    finally:
        if ask:
            del os.environ[CHOICE]
        torch.set_default_dtype(dtype)
        torch.set_default_device(None if device.type == "cpu" else device)
