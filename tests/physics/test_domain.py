"""Boxes, their grids and their samples; seeds."""

import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError
from pacpde.physics import Axis, Domain
from pacpde.physics.domain import mesh
from pacpde.runtime import Runtime, check_seed, generator

BOX = Domain((Axis("t", 0.0, 2.0), Axis("x", -1.0, 3.0)))


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_bad_axes_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(InvalidValueError, match="ends must be finite"):
        Axis("x", *ends)


@pytest.mark.parametrize("size", [1, 2, 100, 256])
def test_samples_fill_the_box_and_are_as_many_as_asked(size: int) -> None:
    points = BOX.sample(size, generator(0, "points"))
    assert points.shape == (size, 2) and BOX.contains(points).all()
    assert len(np.unique(points, axis=0)) == size


def test_samples_integrate_better_than_random_ones() -> None:
    points = BOX.sample(1024, generator(0))
    mean = np.mean(points[:, 0] ** 2 * points[:, 1] ** 2)
    # exact: 4/3 · 7/3; random points err by some 0.1, scrambled Sobol by N^(-3/2) of it
    assert mean == pytest.approx(28 / 9, abs=5e-3)


def test_contains_counts_the_edge_in() -> None:
    points = np.array([[0.0, -1.0], [2.0, 3.0], [2.1, 0.0], [1.0, -1.1]])
    assert BOX.contains(points).tolist() == [True, True, False, False]


def test_points_that_rounding_put_outside_count_in_and_are_moved_to_the_edge() -> None:
    box = Domain((Axis("t", 0.0, 0.1), Axis("x", -np.pi, np.pi)))
    in_float32 = np.array([[0.1, np.pi], [0.0, -np.pi]], dtype=np.float32).astype(float)
    printed = np.array([[0.1 * (1 + 2e-16), 3.141593], [-1e-17, -3.141593]])
    for points in (in_float32, printed):
        assert ((points < [0, -np.pi]) | (points > [0.1, np.pi])).any()  # they do miss the box
        assert box.contains(points).all()
        moved = box.clipped(points)
        assert (moved >= [0, -np.pi]).all() and (moved <= [0.1, np.pi]).all()
        np.testing.assert_allclose(moved, points, atol=4e-7)
    far = np.array([[0.100001, 0.0], [0.05, 3.15]])
    assert not box.contains(far).any()
    assert np.array_equal(box.clipped(far), far)


def test_restricting_cuts_one_axis() -> None:
    cut = BOX.restricted("t", upper=0.5)
    assert cut.axis("t") == Axis("t", 0.0, 0.5) and cut.axis("x") == BOX.axis("x")
    assert BOX.restricted("x", lower=0.0).axis("x") == Axis("x", 0.0, 3.0)


def test_a_mesh_runs_over_its_axes_in_order() -> None:
    points = mesh([np.array([0.0, 1.0]), np.array([5.0, 6.0, 7.0])])
    assert points.shape == (2, 3, 2) and points[1, 2].tolist() == [1.0, 7.0]


def test_seeds_and_purposes_give_streams_of_their_own() -> None:
    draws = [
        tuple(generator(*key).random(4))
        for key in [(0, "weights"), (0, "points"), (1, "weights"), (0,), (0, "weights", "points")]
    ]
    assert len(set(draws)) == len(draws)
    assert draws[0] == tuple(generator(0, "weights").random(4))


@pytest.mark.parametrize("seed", [-1, 1.0, True, "0", None])
def test_bad_seeds_are_refused(seed: object) -> None:
    with pytest.raises(InvalidValueError, match="seed is"):
        check_seed(seed)


def test_bad_devices_and_dtypes_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="dtype is 'float16', expected one of"):
        Runtime(dtype="float16")
    for device in ("cuda:99", "toaster"):
        with pytest.raises(InvalidValueError, match="cannot be used here: choose from cpu"):
            Runtime(device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("built", "words"), [(False, "built without CUDA"), (True, "nvidia-smi")])
def test_without_a_gpu_it_is_said_why(
    built: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    with pytest.raises(InvalidValueError, match=f"'cuda' cannot be used here: .*{words}"):
        Runtime("cuda")
    with pytest.raises(InvalidValueError, match=r"choose from cpu\.$"):
        Runtime("toaster")
