"""DeepXDE's settings are global: every test has its own."""

import sys
from collections.abc import Iterator

import pytest
import torch

import pacpde.interop.deepxde  # noqa: F401  (before the tests import DeepXDE: torch keeps its defaults)

dde = sys.modules["deepxde"]


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    options = [dde.optimizers.config.LBFGS_options, dde.optimizers.config.NNCG_options]
    kept = [dict(some) for some in options]
    precision, dtype = dde.config.default_float(), torch.get_default_dtype()
    dde.config.set_random_seed(0)
    yield
    for some, before in zip(options, kept, strict=True):
        some.update(before)
    dde.config.set_default_float(precision)
    torch.set_default_dtype(dtype)
