"""What sets the ways to transfer apart: which weights move, and where they are held."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Surrogate, fit, transfer
from pacpde.errors import InvalidValueError, UnknownNameError
from pacpde.methods import base, methods
from pacpde.methods.coefficient_input import AtShare, fold
from pacpde.methods.fine_tuning import FineTuning
from pacpde.methods.pac import PAC
from pacpde.networks import checkpoint
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.problems import Heat

SETTINGS = {"points": 100, "steps": 6}
FEW = {"points": 100}  # beside steps of a method's own
TARGET = Heat(alpha=0.3)


@pytest.fixture(scope="module")
def source() -> Surrogate:
    return fit(Heat(alpha=0.4), seed=0, width=8, depth=2, points=100, steps=8)


def moved(source: Surrogate, method: str, **options: Any) -> torch.Tensor:
    made = transfer(source, TARGET, method=method, seed=0, settings=SETTINGS, **options)
    return made.surrogate.weights - source.weights


def test_the_last_layer_alone_moves(source: Surrogate) -> None:
    change = moved(source, "last_layer")
    head = source.network.layers[-1].start
    assert not change[:head].any() and change[head:].all()


def test_the_head_of_a_linear_equation_is_solved_in_closed_form(source: Surrogate) -> None:
    """Heat is linear: more steps on the same points find no lower loss."""
    few = transfer(source, TARGET, method="last_layer", settings=FEW, steps=20)
    many = transfer(source, TARGET, method="last_layer", settings=FEW, steps=60)
    assert many.history[-1]["held_out"] == pytest.approx(few.history[-1]["held_out"], rel=0.2)


def test_biases_alone_move(source: Surrogate) -> None:
    change = moved(source, "bias_only")
    for layer in source.network.layers:
        assert not change[layer.weights].any() and change[layer.biases].all()


def test_a_change_of_low_rank(source: Surrogate) -> None:
    change = moved(source, "lora", rank=2)
    for layer in source.network.layers:
        weight = change[layer.weights].reshape(layer.outputs, layer.inputs)
        assert 0 < int(torch.linalg.matrix_rank(weight)) <= 2
    assert not any(
        moved(source, "lora", tune_biases=False)[layer.biases].any()
        for layer in source.network.layers
    )
    with pytest.raises(InvalidValueError, match="rank is 9"):
        transfer(source, TARGET, method="lora", rank=9)


def test_l2_sp_holds_the_body_at_the_source_and_the_head_at_zero(source: Surrogate) -> None:
    head = source.network.layers[-1].start
    loose, tight = (moved(source, "l2sp", alpha=alpha) for alpha in (0.0, 10.0))
    assert tight[:head].norm() < 1e-2 * loose[:head].norm()
    strong = moved(source, "l2sp", beta=1e6) + source.weights
    assert strong[head:].norm() < 1e-2 * source.weights[head:].norm()


def test_ewc_holds_what_the_source_is_sensitive_to(source: Surrogate) -> None:
    free, held = (
        transfer(source, TARGET, method="ewc", hold=hold, settings=SETTINGS) for hold in (0.0, 1e3)
    )
    assert held.source_error["unmasked"] < 0.2 * free.source_error["unmasked"]
    assert held.target_error > free.target_error


def test_piggyback_leaves_out_what_does_harm_and_changes_nothing_else() -> None:
    solved = fit(TARGET, seed=0, width=8, depth=2, points=100, steps=20)
    weights = solved.weights.clone()
    head = solved.network.layers[-1].weights
    worst = head.start + int(weights[head].abs().argmin())
    weights[worst] = 1.0
    spoilt = replace(solved.with_problem(Heat(alpha=0.4)), weights=weights)
    made = transfer(spoilt, TARGET, method="piggyback", steps=300, settings=FEW)
    found = made.surrogate.weights
    assert bool(((found == weights) | (found == 0)).all()) and found[worst] == 0
    assert made.target_error < 0.5 * made.zero_shot_error


@pytest.mark.parametrize("method", ["two_checkpoints", "piggyback"])
def test_a_second_set_of_weights_is_kept_and_counted(
    method: str, source: Surrogate, tmp_path: Any
) -> None:
    made = transfer(source, TARGET, method=method, steps=4, settings=FEW)
    checkpoint.save(made.surrogate, tmp_path / "kept")
    kept = checkpoint.load(tmp_path / "kept").recall("source")
    assert torch.equal(kept.weights, source.weights) and kept.problem == source.problem
    assert made.source_error["recalled"] == made.source_error["trained"]
    assert made.record()["total_parameters"] == 2 * source.parameters


def test_scratch_with_the_sources_budget_takes_its_steps(source: Surrogate) -> None:
    """The same phases, the last one longer by what the source took: not one step less."""
    plain = transfer(source, TARGET, method="scratch", settings=SETTINGS)
    assert source.steps == source.history[-1]["step"] > 0
    bare = replace(source, history=())  # as the sources of a study come
    longer = transfer(bare, TARGET, method="scratch_budget", settings=SETTINGS)
    assert longer.method_result.steps == plain.method_result.steps + source.steps
    with pytest.raises(InvalidValueError, match="does not say how many steps"):
        foreign = replace(bare, steps=0)  # as of DeepXDE's networks
        transfer(foreign, TARGET, method="scratch_budget", settings=SETTINGS)


def test_a_surrogate_counts_the_steps_of_its_own_fits(source: Surrogate) -> None:
    made = transfer(source, TARGET, method="scratch_budget", settings=SETTINGS)
    onward = transfer(made.surrogate, Heat(alpha=0.2), method="lora", settings=SETTINGS)
    assert made.surrogate.steps == made.method_result.steps
    assert onward.surrogate.steps == onward.method_result.steps


def test_packnet_prunes_every_layer_and_keeps_its_biases(source: Surrogate) -> None:
    made = transfer(source, TARGET, method="packnet", settings=SETTINGS)
    mask = made.surrogate.retained["source"].mask
    for layer in source.network.layers:
        assert bool(mask[layer.biases].all())
        kept = int(mask[layer.weights].sum())
        assert kept == round(0.25 * layer.inputs * layer.outputs) or layer.outputs == 1


@pytest.mark.parametrize("mask", ["sensitivity", "random", "inverted"])
def test_masks_of_pac(mask: str, source: Surrogate) -> None:
    found = [
        transfer(source, TARGET, method="pac_net", sparsity=0.5, mask=kind, settings=SETTINGS)
        for kind in ("magnitude", mask)
    ]
    first, second = (made.surrogate.retained["source"].mask for made in found)
    assert int(first.sum()) == int(second.sum()) and not torch.equal(first, second)
    for made in found:
        assert made.source_error["recalled"] == made.source_error["allocated"]
    if mask == "inverted":
        assert not bool((first & second).any())
        assert found[1].source_error["pruned"] > found[0].source_error["pruned"]


def test_pac_refuses_what_is_no_start() -> None:
    for option, value in (
        ("reinit_scale", 1e308),
        ("reinit_scale", -1),
        ("reinit_mode", 3),
        ("tune_penalty", "yes"),
        ("extra_neurons", 257),
    ):
        with pytest.raises((InvalidValueError, UnknownNameError), match=option):
            PAC(**{option: value})


def test_old_names_of_options_are_taken_for_a_release() -> None:
    wanted = PAC(max_source_loss_ratio=2.0, rounds=2, reinit_mode="copy", continuation="fixed")
    old: dict[str, Any] = {"lose": 2.0, "rounds": 2, "wake_from": "kept", "approach": "steps"}
    with pytest.warns(FutureWarning) as warnings:
        assert PAC(**old) == wanted
    said = " ".join(str(warning.message) for warning in warnings)
    for new in ("max_source_loss_ratio", "reinit_mode=copy", "continuation=fixed"):
        assert f"write {new}" in said
    with pytest.warns(FutureWarning), pytest.raises(InvalidValueError, match="lose and max_source"):
        PAC(lose=2.0, max_source_loss_ratio=2.0, rounds=2)
    with pytest.raises(UnknownNameError, match="option of pac 'sparsty': did you mean sparsity"):
        PAC(sparsty=0.5)


def test_a_method_of_an_older_version_goes_on_working(source: Surrogate) -> None:
    with methods.scope():
        with pytest.warns(FutureWarning, match=r"LastOnly\.free was renamed: write trainable_mask"):

            @dataclass(frozen=True)
            class LastOnly(FineTuning):
                name = "last_only"
                summary = "the last layer"

                def free(self, source: Surrogate) -> torch.Tensor:
                    mask = torch.zeros_like(source.weights, dtype=torch.bool)
                    mask[source.network.head] = True
                    return mask

        one, other = (
            transfer(source, TARGET, method=method, settings=SETTINGS)
            for method in ("last_only", "last_layer")
        )
    assert torch.equal(one.surrogate.weights, other.surrogate.weights)
    with pytest.warns(FutureWarning, match="Transferred was renamed: write MethodResult"):
        assert base.Transferred is base.MethodResult
    with pytest.warns(FutureWarning, match="made was renamed: write method_result"):
        assert one.made is one.method_result


def test_an_option_without_effect_is_refused() -> None:
    for options, words in (
        ({"stations": 5}, "stations is 5, which continuation=adaptive does not use"),
        ({"tune_penalty": True, "strength": 1e-3}, "tune_penalty tries other values"),
        ({"reinit_scale": 0.0, "reinit_mode": "random"}, "where reinit_scale is 0"),
    ):
        with pytest.raises(InvalidValueError, match=words):
            PAC(**options)


def test_pruning_in_rounds_frees_more_and_more(source: Surrogate) -> None:
    made = transfer(source, TARGET, sparsity=0.64, rounds=2, settings=SETTINGS)
    mask = made.surrogate.retained["source"].mask
    assert int(mask.sum()) == round(0.36 * source.parameters)
    stages = list(dict.fromkeys(entry["stage"] for entry in made.history))
    assert stages[:2] == ["allocate.1", "allocate"]
    assert not made.recall("source").weights[~mask].any()


def test_rounds_end_before_the_source_is_lost(source: Surrogate) -> None:
    own = {"sparsity": 0.97, "rounds": 6, "continuation": "direct", "settings": SETTINGS}
    made = transfer(source, TARGET, max_source_loss_ratio=3.0, **own)
    kept = int(made.surrogate.retained["source"].mask.sum())
    assert kept > round(0.03 * source.parameters)
    assert made.source_error["recalled"] == made.source_error["allocated"]
    everything = transfer(source, TARGET, **own)
    assert made.source_error["recalled"] < everything.source_error["recalled"]
    with pytest.raises(InvalidValueError, match="rounds above 1"):
        transfer(source, TARGET, max_source_loss_ratio=3.0)


def test_a_second_head_goes_on_answering_for_the_source(source: Surrogate) -> None:
    loose, tight = (
        transfer(source, TARGET, method="lwf", distil=distil, settings=SETTINGS)
        for distil in (0.0, 1.0)
    )
    assert tight.source_error["recalled"] < 0.2 * loose.source_error["recalled"]
    for made in (loose, tight):  # both heads share every hidden layer
        head = source.network.layers[-1].start
        body = made.recall("source").weights[:head]
        assert torch.equal(body, made.surrogate.weights[:head])
        assert made.target_error < 0.1 * made.zero_shot_error


def features(surrogate: Surrogate, points: torch.Tensor) -> torch.Tensor:
    """Hidden units of the last layer, [points, units]."""
    network, jet = surrogate.network, surrogate.ansatz.batch(points).inputs
    for weight, bias in network.matrices(surrogate.weights)[:-1]:
        jet = torch.tanh(jet @ weight.T + bias)
    return jet[0, : len(points)]


POINTS = torch.tensor(TARGET.domain.sample(200, np.random.default_rng(0)))


def test_delta_holds_features_at_the_sources(source: Surrogate) -> None:
    expected = features(source, POINTS)
    loose, tight = (
        transfer(source, TARGET, method="delta", alpha=alpha, settings=SETTINGS).surrogate
        for alpha in (0.0, 1.0)
    )
    moved = [float((features(made, POINTS) - expected).norm()) for made in (loose, tight)]
    assert moved[1] < 0.1 * moved[0]


def test_bss_shrinks_the_direction_that_features_use_least(source: Surrogate) -> None:
    loose, tight = (
        transfer(source, TARGET, method="bss", shrink=shrink, settings=SETTINGS).surrogate
        for shrink in (0.0, 1.0)
    )
    least = [float(torch.linalg.svdvals(features(made, POINTS))[-1]) for made in (loose, tight)]
    assert least[1] < 0.2 * least[0]
    with pytest.raises(InvalidValueError, match="smallest is 9"):
        transfer(source, TARGET, method="bss", smallest=9)


def test_continuation_in_equal_steps(source: Surrogate) -> None:
    made = transfer(source, TARGET, method="continuation", stations=3, settings=SETTINGS)
    stages = list(dict.fromkeys(entry["stage"] for entry in made.history))
    assert stages == ["calibrate.walk.1", "calibrate.walk.2", "calibrate"]
    straight = transfer(source, TARGET, method="continuation", stations=1, settings=SETTINGS)
    assert {entry["stage"] for entry in straight.history} == {"calibrate"}


def test_the_place_on_the_way_is_an_input_that_is_folded_away(source: Surrogate) -> None:
    network = replace(source.network, inputs=source.network.inputs + 1)
    weights = torch.tensor(network.init_weights(np.random.default_rng(0)))
    base = PhysicsAnsatz(TARGET)
    inner = Surrogate(source.network, base, fold(source.network, weights, 0.7))
    batch = AtShare(base, 0.7).batch(POINTS)
    expected = batch.fields(network.forward(weights, batch.inputs, batch.names))[0]
    torch.testing.assert_close(inner.at(POINTS), expected)
    made = transfer(source, TARGET, method="coefficient_input", settings=SETTINGS)
    assert made.surrogate.network == source.network
    assert made.target_error < 0.05


def test_random_features_solve_a_linear_equation_without_a_source(source: Surrogate) -> None:
    settings = {"points": 800, "steps": 6}
    found = [
        transfer(source, TARGET, method="random_features", features=count, settings=settings)
        for count in (20, 200)
    ]
    assert found[1].target_error < 1e-4 < found[0].target_error
    assert found[1].n_trainable == 201


def test_neurons_for_the_target_leave_the_source_as_it_was(source: Surrogate) -> None:
    own = {"sparsity": 0.5, "reinit_scale": 0, "continuation": "direct", "settings": SETTINGS}
    plain, made = (transfer(source, TARGET, extra_neurons=extra, **own) for extra in (0, 4))
    assert made.surrogate.network.widths == (12, 12)
    assert made.source_error["recalled"] == made.source_error["allocated"]
    small, large = plain.snapshots["allocated"], made.snapshots["allocated"]
    torch.testing.assert_close(large.at(POINTS), small.at(POINTS))  # nothing leaves them yet
    torch.testing.assert_close(made.recall("source").at(POINTS), small.at(POINTS))
    assert made.n_trainable == made.surrogate.parameters - int(
        plain.surrogate.retained["source"].mask.sum()
    )
    before, after = (network.layers[1] for network in (small.network, large.network))
    incoming = large.weights[after.weights].reshape(12, 12)
    assert incoming[8:].all() and not incoming[:8, 8:].any()
    assert before.inputs == 8
