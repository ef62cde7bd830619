"""The families of the files beside this one, registered only while a test runs."""

from pathlib import Path

import pytest

from pacpde.physics import Problem, families
from pacpde.plugins import load_plugin


@pytest.fixture
def user_families() -> dict[str, type[Problem]]:
    """Class name → family."""
    return loaded("user_families.py")


@pytest.fixture
def steady_families() -> dict[str, type[Problem]]:
    """Class name → family."""
    return loaded("steady_families.py")


def loaded(file: str) -> dict[str, type[Problem]]:
    """The families of a file beside this one, by the name of their class."""
    before = set(families.names())
    load_plugin(Path(__file__).with_name(file))
    added = set(families.names()) - before
    return {families.get(name).__name__: families.get(name) for name in added}
