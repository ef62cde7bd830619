"""One thread for every test, and registries that forget what a test or its file registers.

The fits are tiny, and threads that wait for a busy core cost more.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from pacpde import methods  # noqa: F401  (every registry is there before the first scope)
from pacpde.plugins import scope

torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    """Families that a test file defines are known to that file alone."""
    with scope():
        return (yield)


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What a test registers or loads is forgotten at its end."""
    with scope():
        yield
