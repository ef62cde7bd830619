"""The source that is nearest by its residual on the target."""

import pytest

from pacpde import fit, nearest
from pacpde.errors import InvalidValueError
from pacpde.methods.nearest import zero_shot_residual
from pacpde.problems import Burgers, Heat

SETTINGS = {"width": 8, "depth": 2, "points": 100, "steps": 10}


def test_it_is_the_one_with_the_smallest_residual() -> None:
    sources = [fit(Heat(alpha=alpha), seed=0, **SETTINGS) for alpha in (0.1, 0.3, 0.8)]
    assert nearest(sources, Heat(alpha=0.28)) is sources[1]
    assert nearest(sources, Heat(alpha=0.09)) is sources[0]
    assert nearest(sources, Heat(alpha=0.9)) is sources[2]
    # on its own problem a source has the residual that it was trained to
    own = zero_shot_residual(sources[1], sources[1].problem)
    assert own == pytest.approx(sources[1].history[-1]["held_out"], rel=1e-6)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="no sources"):
        nearest([], Heat())
    with pytest.raises(InvalidValueError, match="one family"):
        nearest([fit(Heat(), seed=0, **{**SETTINGS, "steps": 1})], Burgers())
