"""The user's families of `user_families.py`, registered only while a test runs."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacpde.physics import Problem, families
from pacpde.registry import load_plugin


@pytest.fixture
def user_families() -> Iterator[dict[str, type[Problem]]]:
    """Class name → family."""
    before, modules = set(families.names()), set(sys.modules)
    load_plugin(Path(__file__).with_name("user_families.py"))
    added = set(families.names()) - before
    yield {families.get(name).__name__: families.get(name) for name in added}
    for name in added:
        del families._items[name]
    for module in set(sys.modules) - modules:
        if module.startswith("pacpde_plugin_user_families"):
            del sys.modules[module]
