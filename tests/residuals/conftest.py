"""What holds for every module of these tests."""

from collections.abc import Iterator

import pytest

from pacpde.physics.problem import families


@pytest.fixture(autouse=True, scope="module")
def no_family_stays() -> Iterator[None]:
    known = set(families.names())
    yield
    assert set(families.names()) == known
