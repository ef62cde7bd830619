"""The equations pacpde ships: one file a family, imported as `pacpde.problems`.

The families of every file here are found by their class names: `from pacpde.problems import
Burgers` needs no list.
"""

import importlib
import pkgutil
from typing import Any

from pacpde.physics import Problem


def _families() -> dict[str, type[Problem]]:
    """Class name → family, of every module of this package."""
    found = {}
    for info in pkgutil.iter_modules(__path__, f"{__name__}."):
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, type) and issubclass(value, Problem) and hasattr(value, "name"):
                found[name] = value
    return found


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(_families())
    if not name.startswith("_"):
        family = _families().get(name)
        if family is not None:
            return family
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_families()})
