"""Masks and the three stages one at a time."""

import numpy as np
import pytest
import torch

from pacpde import pac
from pacpde.errors import PacpdeError
from pacpde.methods import TrainingConfig, fit
from pacpde.networks.mlp import MLP
from pacpde.networks.network_sum import NetworkSum
from pacpde.optim.base import optimisers
from pacpde.pac import allocate, calibrate, magnitude_mask, prune, score_mask
from pacpde.pac.mask import filter_mask
from pacpde.problems import Heat
from pacpde.residuals.physics_task import PhysicsTask

NETWORK = MLP(2, 1, 5, 2)


def weights() -> torch.Tensor:
    flat = torch.linspace(0.01, 1.0, NETWORK.size, dtype=torch.float64)
    return flat * torch.tensor([(-1.0) ** k for k in range(NETWORK.size)])


def test_a_global_mask_keeps_the_largest() -> None:
    mask = magnitude_mask(NETWORK, weights(), 0.8)
    kept = round(0.2 * NETWORK.size)
    assert int(mask.sum()) == kept
    assert mask[-kept:].all()  # magnitudes rise with the index


def test_a_layer_mask_prunes_every_layer_alike() -> None:
    mask = magnitude_mask(NETWORK, weights(), 0.6, scope="layer")
    for layer in NETWORK.layers:
        share = mask[layer.weights.start : layer.biases.stop]
        assert int(share.sum()) == round(0.4 * len(share))


def test_a_mask_keeps_some_weights_and_frees_some() -> None:
    size = NETWORK.size
    with pytest.raises(PacpdeError, match=rf"keeps none of the network's {size} .* smaller one"):
        magnitude_mask(NETWORK, weights(), 0.999)
    with pytest.raises(PacpdeError, match=rf"frees none of the network's {size} .* larger one"):
        magnitude_mask(NETWORK, weights(), 0.001)


def test_each_part_of_a_network_keeps_its_share_of_neurons() -> None:
    two = NetworkSum(2, 1, members=(((6, 4), "tanh"), ((5,), "sin")))
    scores = torch.rand(two.size, generator=torch.Generator().manual_seed(0))
    mask = score_mask(two, scores, 0.6, scope="neuron")
    for part, place in zip(two.parts, two.part_slices, strict=True):
        assert torch.equal(mask[place], score_mask(part, scores[place], 0.6, scope="neuron"))


@pytest.mark.parametrize(("biases", "kept"), [("prune", None), ("keep", True), ("free", False)])
def test_a_filter_mask_keeps_rows_of_layers_and_weights_of_the_head(
    biases: str, kept: bool | None
) -> None:
    """Scores rise with the index: of 5 rows the last two are kept, with their biases."""
    mask = filter_mask(NETWORK.layout, weights().abs(), 0.6, biases)
    for layer in NETWORK.layers[:-1]:
        rows = torch.tensor([False, False, False, True, True])
        assert torch.equal(mask[layer.weights].view(5, -1), rows[:, None].expand(5, layer.inputs))
        assert torch.equal(mask[layer.biases], rows if kept is None else torch.full((5,), kept))
    head = NETWORK.layers[-1]
    assert mask[head.weights].tolist() == [False, False, False, True, True]
    assert mask[head.biases].tolist() == [kept is not False]
    one = filter_mask(NETWORK.layout, weights().abs(), 0.95)  # a row is left of each layer
    assert one[NETWORK.layers[0].weights].sum() == NETWORK.layers[0].inputs


def test_the_old_name_of_score_mask_works_for_a_release() -> None:
    with pytest.warns(FutureWarning, match="score_mask"):
        assert pac.mask_of is pac.score_mask


@pytest.mark.parametrize(("treatment", "kept"), [("keep", True), ("free", False)])
def test_biases_and_head_are_treated_as_asked(treatment: str, kept: bool) -> None:
    mask = magnitude_mask(NETWORK, weights(), 0.5, biases=treatment)
    for layer in NETWORK.layers:
        assert bool((mask[layer.biases] == kept).all())
    last = NETWORK.layers[-1]
    mask = magnitude_mask(NETWORK, weights(), 0.5, head=treatment)
    assert bool((mask[last.weights.start : last.biases.stop] == kept).all())


@pytest.mark.parametrize("sparsity", [0, 1, -1, 2, float("nan"), "0.5", True])
def test_a_senseless_sparsity_is_refused(sparsity: object) -> None:
    with pytest.raises(PacpdeError, match="sparsity"):
        magnitude_mask(NETWORK, weights(), sparsity)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", optimisers.names())
def test_the_stages_keep_what_they_must_under_every_optimiser(name: str) -> None:
    optimiser = optimisers.get(name)()
    source, target = PhysicsTask(Heat(alpha=0.4)), PhysicsTask(Heat(alpha=0.3))
    trained = fit(source.problem, width=8, depth=2, points=100, steps=6)
    phases = TrainingConfig(points=100, steps=20).phases.warm_start(source)

    pruned = prune(trained, 0.6)
    mask = pruned.retained["source"].mask
    assert bool((pruned.weights[~mask] == 0).all())
    assert torch.equal(pruned.weights[mask], trained.weights[mask])

    kept = allocate(pruned, source, phases, config=TrainingConfig(optimiser=optimiser))
    assert bool((kept.weights[~mask] == 0).all())
    assert not torch.equal(kept.weights[mask], pruned.weights[mask])
    assert kept.held_out < source.held_out(trained.network, pruned.weights, phases[0].sampling)

    allocated = pruned.__class__(
        pruned.network, pruned.ansatz, kept.weights, pruned.retained, "allocated"
    )
    before = target.held_out(trained.network, kept.weights, phases[0].sampling)
    made = calibrate(allocated, target, phases, config=TrainingConfig(optimiser=optimiser))
    assert torch.equal(made.weights[mask], kept.weights[mask])
    assert made.held_out < before


def test_a_stronger_pull_leaves_smaller_freed_weights() -> None:
    target = PhysicsTask(Heat(alpha=0.3))
    trained = fit(Heat(alpha=0.4), width=8, depth=2, points=100, steps=6)
    pruned = prune(trained, 0.6)
    mask = pruned.retained["source"].mask
    phases = TrainingConfig(points=100, steps=20).phases.warm_start(target)
    norms = [
        float(calibrate(pruned, target, phases, strength=strength).weights[~mask].norm())
        for strength in (1e-8, 1e-3, 1e1)
    ]
    assert norms[0] > norms[1] > norms[2]
    assert norms[2] < 0.2 * norms[0]


def test_calibrate_minimises_what_it_says() -> None:
    """At the end, the gradient of L_T + λ‖w_P‖² vanishes to what the steps can reach."""
    from pacpde.optim.least_squares import LeastSquares
    from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
    from pacpde.residuals.task import SamplingSpec
    from pacpde.residuals.terms import Anchor

    task = PhysicsTask(Heat(alpha=0.3))
    trained = fit(Heat(alpha=0.4), width=6, depth=1, points=100, steps=5)
    pruned = prune(trained, 0.5)
    free = ~pruned.retained["source"].mask
    terms = task.terms(
        pruned.network, pruned.weights, SamplingSpec(points=100), np.random.default_rng(0)
    )
    count = int(free.sum())
    anchor = Anchor(torch.full((count,), 1e-2).double(), torch.zeros(count).double())
    problem = LeastSquares(pruned.network, pruned.weights, free, terms, anchor)
    end = LevenbergMarquardt().run(problem, problem.x0, 200).x
    _, first = problem.loss_and_gradient(problem.x0)
    _, last = problem.loss_and_gradient(end)
    assert float(last.norm()) < 1e-5 * float(first.norm())
