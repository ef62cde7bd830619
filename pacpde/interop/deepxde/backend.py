"""Import DeepXDE without changing torch's default device and dtype."""

import importlib
import os
import sys
from pathlib import Path

import torch

from pacpde.errors import InvalidValueError, MissingPackageError

BACKEND_VARIABLE = "DDE_BACKEND"  # environment variable that DeepXDE reads


def import_deepxde() -> None:
    """Import DeepXDE with its pytorch backend.

    - DeepXDE's import changes torch's default device to a GPU if there is one. This function then
      restores torch's default device and dtype.
    - If DeepXDE is already imported, nothing is restored.

    Raises:
        MissingPackageError: DeepXDE is not installed.
        InvalidValueError: DeepXDE is already imported with another backend.
    """
    if sys.modules.get("deepxde") is None:
        _import()
    name = sys.modules["deepxde"].backend.backend_name
    if name != "pytorch":
        raise InvalidValueError(
            f"DeepXDE runs on its backend {name!r} here, and pacpde moves torch networks: set the "
            f"environment variable {BACKEND_VARIABLE}=pytorch before DeepXDE is imported."
        )


def _import() -> None:
    device, dtype = torch.get_default_device(), torch.get_default_dtype()
    chosen = Path.home() / ".deepxde" / "config.json"
    ask = (
        BACKEND_VARIABLE not in os.environ
        and "DDEBACKEND" not in os.environ
        and not chosen.exists()
    )
    if ask:  # without it, DeepXDE chooses a backend and writes it to that file
        os.environ[BACKEND_VARIABLE] = "pytorch"
    try:
        importlib.import_module("deepxde")
    except ImportError as error:
        raise MissingPackageError(
            "DeepXDE is not installed: pip install 'pacpde[deepxde]'."
        ) from error
    finally:
        if ask:
            del os.environ[BACKEND_VARIABLE]
        torch.set_default_dtype(dtype)
        torch.set_default_device(None if device.type == "cpu" else device)
