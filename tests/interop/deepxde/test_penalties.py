"""Penalties belong to the model: whatever becomes of its data, losses are those of the data."""

from typing import Any

import deepxde as dde
import numpy as np
import pytest
import torch

from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.interop.deepxde import PAC, data, l2_sp, warm_start
from pacpde.problems import Heat

SIZES = {"num_domain": 20, "num_boundary": 8, "num_initial": 8}


def of(alpha: float) -> Any:
    return data(Heat(alpha=alpha), reference=False, train_distribution="pseudo", **SIZES)


@pytest.fixture
def source() -> Any:
    dde.config.set_default_float("float64")
    model = dde.Model(of(0.4), dde.nn.FNN([2, 6, 6, 1], "tanh", "Glorot normal"))
    model.compile("adam", lr=1e-2, verbose=0)
    model.train(iterations=3, verbose=0)
    return model


def by_l2_sp(source: Any, given: Any) -> Any:
    return l2_sp(source, given, alpha=0.5)


def by_pac(source: Any, given: Any) -> Any:
    pac = PAC(source)
    pac.prune(0.5)
    allocated = pac.allocate()
    allocated.compile("adam", lr=1e-2, verbose=0)
    allocated.train(iterations=1, verbose=0)
    return pac.calibrate(given, strength=0.25)


WAYS = pytest.mark.parametrize("way", [by_l2_sp, by_pac])


def expected(model: Any, given: Any) -> list[float]:
    """Residual, start and walls of the heat equation by hand, at the points of the data now."""
    x = torch.as_tensor(given.train_x).requires_grad_()
    u = model.net(x)
    (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first[:, 0].sum(), x)
    started, walls = given.num_bcs
    inside = slice(started + walls, None)
    residual = (first[:, 1] - 0.3 * second[:, 0])[inside]
    start = (u[:started, 0] - torch.sin(np.pi * x[:started, 0]))[:started]
    wall = u[started : started + walls, 0]
    return [(error**2).mean().item() for error in (residual, start, wall)]


@WAYS
def test_points_drawn_anew_have_their_own_start_and_walls(way: Any, source: Any) -> None:
    given = of(0.3)
    model = way(source, given)
    assert model.data is given
    model.compile("adam", lr=1e-2, verbose=0)
    again = dde.callbacks.PDEPointResampler(period=1, bc_points=True)
    model.train(iterations=4, callbacks=[again], display_every=1, verbose=0)
    *own, penalty = model._outputs_losses(True, *given.train_next_batch())[1]
    assert own == pytest.approx(expected(model, given), rel=1e-9)
    assert penalty > 0


@pytest.mark.parametrize("way", [by_l2_sp, lambda source, given: warm_start(source, given)])
def test_no_condition_keeps_the_values_of_points_that_are_gone(way: Any, source: Any) -> None:
    """DeepXDE's own conditions know points by their address alone, which others have after them."""
    box = dde.geometry.GeometryXTime(dde.geometry.Interval(0, 1), dde.geometry.TimeDomain(0, 1))
    start = dde.icbc.IC(box, lambda x: np.sin(np.pi * x[:, :1]), lambda _, on: on)
    given = dde.data.TimePDE(
        box, source.data.pde, [start], num_domain=9, num_initial=9, train_distribution="pseudo"
    )
    model = way(source, given)
    model.compile("adam", lr=1e-2, verbose=0)
    for _ in range(20):
        given.resample_train_points()
        model.train(iterations=1, verbose=0)
        x = torch.as_tensor(given.train_x[:9])
        error = model.net(x)[:, 0] - torch.sin(np.pi * x[:, 0])
        assert model.train_state.loss_train[1] == pytest.approx((error**2).mean().item())


@WAYS
def test_points_that_are_added_are_trained_on(way: Any, source: Any) -> None:
    """As residual-based refinement does, by the user's own data."""
    given = of(0.3)
    model = way(source, given)
    model.compile("adam", lr=1e-2, verbose=0)
    given.add_anchors(np.array([[0.5, 0.9], [0.25, 0.1]]))
    model.train(iterations=1, verbose=0)
    assert len(model.train_state.X_train) == len(given.train_x)
    *own, _ = model._outputs_losses(True, *given.train_next_batch())[1]
    assert own == pytest.approx(expected(model, given), rel=1e-9)


class Weighing(dde.callbacks.Callback):
    """Weights of the losses that follow them, of the data's own or of all."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        self.own = own

    def on_epoch_end(self) -> None:
        losses = self.model.train_state.loss_train[: 3 if self.own else 4]
        self.model.loss_weights = [1.0 + float(loss) for loss in losses]


@WAYS
@pytest.mark.parametrize("own", [True, False])
def test_weights_of_losses_may_change_in_training(way: Any, own: bool, source: Any) -> None:
    given = of(0.3)
    model = way(source, given)
    model.compile("adam", lr=1e-2, loss_weights=[1.0, 1.0, 1.0], verbose=0)
    model.train(iterations=3, callbacks=[Weighing(own)], display_every=1, verbose=0)
    weights, model.loss_weights = model.loss_weights, None
    plain = model._outputs_losses(True, *given.train_next_batch())[1]
    model.loss_weights = weights
    weighed = model._outputs_losses(True, *given.train_next_batch())[1]
    factors = [*weights, 1.0][:4]
    assert weighed == pytest.approx(plain * factors, rel=1e-12)
    model.loss_weights = [1.0, 2.0]
    with pytest.raises(InvalidValueError, match="2 numbers, expected 3"):
        model.train(iterations=1, verbose=0)


@WAYS
def test_weights_of_losses_are_read_from_the_source(way: Any, source: Any) -> None:
    plain = way(source, of(0.3))
    plain.compile("adam", lr=1e-2, loss_weights="source", verbose=0)
    assert plain.loss_weights is None  # as the source
    weights = [1.0, 10.0, 100.0]
    source.compile("adam", lr=1e-2, loss_weights=weights, verbose=0)
    model = warm_start(way(source, of(0.3)), of(0.2))  # of what is not compiled
    model.compile("adam", lr=1e-2, loss_weights="source", verbose=0)
    assert model.loss_weights == weights
    again = warm_start(model, of(0.2))  # and of what is made from it
    again.compile("adam", lr=1e-2, loss_weights="source", verbose=0)
    assert again.loss_weights == weights
    with pytest.raises(UnknownNameError, match="sourc'"):
        model.compile("adam", lr=1e-2, loss_weights="sourc", verbose=0)


@pytest.mark.parametrize("optimiser", ["adam", "L-BFGS", "NNCG"])
def test_the_penalty_is_trained_on_by_every_optimiser(optimiser: str, source: Any) -> None:
    dde.optimizers.set_LBFGS_options(maxiter=3)
    dde.optimizers.config.LBFGS_options |= {"iter_per_step": 2, "fun_per_step": 4}
    dde.optimizers.config.NNCG_options |= {"cgmaxiter": 3, "rank": 3, "mu": 1e-1}
    before = [own.detach().clone() for own in source.net.parameters()]
    moved = []
    for alpha in (0.0, 1e6):
        model = l2_sp(source, of(0.3), alpha=alpha)
        lr = 1e-4 if optimiser == "adam" else None
        model.compile(optimiser, lr=lr, verbose=0)
        model.train(iterations=30, verbose=0)
        pairs = zip(model.net.parameters(), before, strict=True)
        moved.append(max(float((now - was).abs().max()) for now, was in pairs))
    assert moved[1] < 0.3 * moved[0]
