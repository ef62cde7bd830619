"""The user's families of `user_families.py`, registered only while a test runs."""

from pathlib import Path

import pytest

from pacpde.physics import Problem, families
from pacpde.plugins import load_plugin


@pytest.fixture
def user_families() -> dict[str, type[Problem]]:
    """Class name → family."""
    before = set(families.names())
    load_plugin(Path(__file__).with_name("user_families.py"))
    added = set(families.names()) - before
    return {families.get(name).__name__: families.get(name) for name in added}
