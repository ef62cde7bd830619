"""A library: heads against exact solutions and scipy, estimates, what is kept, its folder."""

import copy
import json
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from pacpde import (
    Library,
    LibraryHead,
    LibraryPolish,
    Measurements,
    fit,
    identify_by_scipy,
    transfer,
)
from pacpde.errors import (
    DataFileError,
    InvalidValueError,
    PacpdeError,
    SolverError,
    TransferWarning,
)
from pacpde.methods.library.coordinates import CoefficientRange
from pacpde.methods.library.polish import best_of
from pacpde.networks.assessment import Assessment
from pacpde.networks.outcome import Outcome
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import Axis, Dirichlet, Problem, coefficient
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import exp
from pacpde.physics.numbers import relative_l2
from pacpde.problems import FisherKPP, Heat, HeatGaussian, LotkaVolterra, Poisson1D
from pacpde.residuals.factors import residuals
from pacpde.training.config import TrainingConfig
from tests.interrupted import calls_of

TINY = {"width": 12, "depth": 2, "points": 300, "steps": 30, "restarts": 0}
T, X = np.linspace(0, 1, 11)[:, None], np.linspace(0, 1, 31)
ALPHAS = np.random.default_rng(3).uniform(0.12, 0.78, 40)


@dataclass(frozen=True)
class HotRod(Heat):
    """Its start contradicts the conditions at its ends."""

    name = "hot_rod"

    def initial(self, *space: Any) -> Any:
        return 1.0 + 0 * space[0]


@dataclass(frozen=True)
class WarmEnds(HotRod):
    name = "warm_ends"

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", self.alpha)]


def sources(problems: list[Problem]) -> list[Surrogate]:
    """The first from random weights, the others by warm start."""
    solvers = [fit(problems[0], settings=TINY)]
    for problem in problems[1:]:
        config = TrainingConfig.after(solvers[-1], problem, points=300, steps=30)
        moved = transfer(solvers[-1], problem, method="warm_start", settings=config, reference=None)
        solvers.append(moved.surrogate)
    return solvers


@pytest.fixture(scope="module")
def of_heat() -> list[Surrogate]:
    return sources([Heat(alpha=alpha) for alpha in (0.8, 0.4, 0.2, 0.1)])


@pytest.fixture(scope="module")
def heat(of_heat: list[Surrogate]) -> Library:
    library = Library(of_heat)
    library.anchor()
    return library


def exact(problem: Problem, *axes: np.ndarray) -> np.ndarray:
    values = problem.exact(*np.broadcast_arrays(*axes))
    assert values is not None
    return np.asarray(values)


def test_targets_between_the_sources_are_right_and_their_errors_are_known(heat: Library) -> None:
    many = heat.solve_many(ALPHAS)
    values = many(T, X)
    assert values.shape == (40, 11, 31)
    for alpha, own, estimate in zip(ALPHAS, values, many.error_estimates, strict=True):
        error = relative_l2(own, exact(Heat(alpha=alpha), T, X)[0])
        assert error < 5e-5
        assert 0.5 * error <= estimate <= 10 * error
    assert set(many.outcomes) == {Outcome.CONVERGED}
    assert np.abs(many[7](T, X) - values[7]).max() < 1e-10
    assert many[7].error_estimate == many.error_estimates[7]


def test_a_head_is_the_minimum_that_scipy_finds() -> None:
    """Of a nonlinear equation, by the residuals of the network itself."""
    library = Library(sources([FisherKPP(r=r) for r in (1.0, 2.0)]))
    problem = FisherKPP(r=1.4)
    units = library.box.unit(problem)[None]
    start = library.anchors.start(units)
    found = library.equations.solve([problem], start)
    terms = library.equations.terms_of(problem)
    network = library.backbone.network

    def rows(flat: np.ndarray) -> np.ndarray:
        head = torch.from_numpy(flat).view_as(start[0])
        return residuals(network, library.backbone.solver(problem, head).weights, terms).numpy()

    by_scipy = least_squares(rows, start[0].numpy().ravel(), method="lm", xtol=1e-14, ftol=1e-14)
    norm = np.linalg.norm(rows(found.heads[0].numpy().ravel()))
    assert norm == pytest.approx(float(found.norms[0]), rel=1e-9)
    assert norm <= 1.001 * np.sqrt(2 * by_scipy.cost)


@pytest.mark.parametrize(
    ("made", "values", "between", "axes"),
    [
        (lambda v: LotkaVolterra(alpha=v, until=3.0), (0.9, 1.1), 1.02, None),
        (lambda v: HeatGaussian(w=v), (0.1, 0.13), 0.11, None),
        (lambda v: Poisson1D(w=v), (0.3, 0.4), 0.34, None),
    ],
    ids=["two fields", "a coefficient in the start", "no time"],
)
def test_every_kind_of_problem(
    made: Callable[[float], Problem], values: tuple[float, float], between: float, axes: None
) -> None:
    library = Library(sources([made(value) for value in values]), tolerance=1e-3)
    problem = made(between)
    solver = library.solve(problem)
    grid = [axis.grid(41) for axis in problem.domain.axes]
    mesh = np.meshgrid(*grid, indexing="ij")
    truth = problem.exact(*mesh)
    if truth is None:
        from pacpde.reference import solve

        truth = solve(problem)(*mesh)
    found = np.asarray(solver(*mesh)).reshape(np.shape(truth))
    error = max(relative_l2(own, true) for own, true in zip(found, truth, strict=True))
    assert error < 2e-2
    assert solver.error_estimate is not None
    assert solver.outcome == ("converged" if solver.error_estimate <= 1e-3 else "not_converged")
    assert 0.5 * error <= solver.error_estimate <= 10 * error


def test_solutions_have_gradients_in_the_coefficients(heat: Library) -> None:
    alpha = torch.tensor([0.3, 0.5], dtype=torch.float64, requires_grad=True)
    values = heat.values(alpha, T, X)
    assert values.shape == (2, 11, 31)
    for number, value in enumerate((0.3, 0.5)):
        (slope,) = torch.autograd.grad(values[number].sum(), alpha, retain_graph=True)
        # u = exp(−α π² t) sin πx
        exactly = (-(np.pi**2) * T * np.exp(-value * np.pi**2 * T) * np.sin(np.pi * X)).sum()
        assert float(slope[number]) == pytest.approx(exactly, rel=2e-4)
        assert float(slope[1 - number]) == 0.0
    assert np.abs(heat.values(0.3, T, X) - heat.solve(Heat(alpha=0.3))(T, X)).max() < 1e-12


def test_a_coefficient_is_identified_as_by_scipy(heat: Library) -> None:
    rng = np.random.default_rng(4)
    points = rng.uniform(0, 1, (25, 2))
    true = exact(Heat(alpha=0.318), *points.T)[0]
    measured = true + 0.01 * true.std() * rng.normal(size=25)
    ours = heat.identify(points, measured)
    assert heat.identify(data=Measurements(points, measured)).estimates == ours.estimates
    by_scipy = identify_by_scipy(Heat(alpha=0.4), points, measured, unknown=["alpha"])
    for own, other in zip(ours.estimates["alpha"], by_scipy.estimates["alpha"], strict=True):
        assert own == pytest.approx(other, rel=1e-3)
    assert ours.surrogate is not None and ours.surrogate.problem == ours.problem


def test_outside_the_range_nothing_is_good_that_is_not(heat: Library) -> None:
    far = heat.solve(Heat(alpha=5.0))
    error = relative_l2(far(T, X), exact(far.problem, T, X)[0])
    assert far.outcome == (Outcome.CONVERGED if error < heat.tolerance else Outcome.NOT_CONVERGED)
    assert far.error_estimate is not None  # by the linearised equation, of first order
    assert 0.3 * error < far.error_estimate < 3 * error


def test_the_same_sources_give_the_same_bits(of_heat: list[Surrogate]) -> None:
    targets = [Heat(alpha=alpha) for alpha in (0.25, 0.33, 0.7)]
    found = []
    for _ in range(3):
        library = Library(of_heat[:3])
        library.anchor(library.box.candidates(5))
        found.append(library.solve_many(targets)(T, X))
        _ = [torch.zeros(size) for size in (3, 5, 7)]  # what is beside them in memory
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_what_is_added_changes_nothing_to_the_last_bit(
    of_heat: list[Surrogate], tmp_path: Path
) -> None:
    library = Library(of_heat[:3])
    library.anchor(library.box.candidates(5))
    first = [Heat(alpha=alpha) for alpha in (0.25, 0.33, 0.7)]
    before = [library.add(problem)(T, X) for problem in first]
    for alpha in np.linspace(0.21, 0.79, 20):
        library.add(Heat(alpha=float(alpha)))
    library.add(of_heat[3])
    library.anchor(library.box.candidates(5))
    library.add(Heat(alpha=0.5))
    library.save(tmp_path / "library")
    stored = Library.load(tmp_path / "library")
    assert len(stored.kept) == len(library.kept) == 24
    for one in (library, stored):
        for problem, values in zip(first, before, strict=True):
            assert np.array_equal(one.recall(problem)(T, X), values)
        for source in of_heat:
            assert torch.equal(one.recall(source.problem).weights, source.weights)
    target = Heat(alpha=0.6)
    assert np.array_equal(stored.solve(target)(T, X), library.solve(target)(T, X))
    with pytest.raises(InvalidValueError, match=r"keeps no Heat\(.*alpha=0.61\)"):
        library.recall(Heat(alpha=0.61))


def test_it_is_built_until_the_tolerance_holds() -> None:
    told: list[str] = []
    library = Library.build(
        Heat, {"alpha": (0.1, 1.0)}, tolerance=3e-4, candidates=9, settings=TINY, log=told.append
    )
    estimated = [sentence for sentence in told if "estimated errors" in sentence]
    assert len(estimated) == len(library.sources) > 1
    assert [sentence for sentence in told if sentence.startswith("solving 9 candidates")]
    many = library.solve_many(library.box.random(25, 5))
    for problem, values in zip(many.problems, many(T, X), strict=True):
        assert relative_l2(values, exact(problem, T, X)[0]) < 3e-4
    with pytest.warns(TransferWarning, match="1 sources reach an estimated error of"):
        Library.build(Heat, {"alpha": (0.1, 1.0)}, most=1, candidates=3, settings=TINY)


def test_it_is_built_where_start_and_edges_contradict_each_other() -> None:
    """The first source then meets them by residuals, and so do those that follow."""
    settings = {**TINY, "steps": 5}
    with pytest.warns():
        library = Library.build(
            HotRod, {"alpha": (0.2, 0.4)}, most=2, candidates=3, settings=settings,
            sources=[fit(HotRod(alpha=0.3), settings=settings)],
        )  # fmt: skip
    assert [source.field_ansatz.hard for source in library.sources] == [False, False]


def test_the_first_candidates_fill_the_range_too(heat: Library) -> None:
    candidates = heat.box.candidates(65)
    evenly = heat.box.candidates(33)
    assert {one.alpha for one in candidates[:33]} == {one.alpha for one in evenly}
    assert [heat.box.unit(one)[0] for one in candidates[:5]] == pytest.approx(
        [0, 1, 0.5, 0.25, 0.75]
    )


def test_a_build_that_is_cut_off_keeps_what_it_has(
    of_heat: list[Surrogate], monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"tolerance": 1e-7, "candidates": 9, "settings": TINY, "most": 3}
    with pytest.raises(SolverError, match="ended not_converged after 1e-06 seconds: give more sec"):
        Library.build(Heat, {"alpha": (0.1, 0.8)}, seconds=1e-6, **options)
    monkeypatch.setattr("pacpde.methods.library.targets.chunk_size", lambda terms, unknowns: 1)
    with pytest.warns(TransferWarning, match=r"the worst of 3 of 9 candidates.*seconds are over"):
        cut = Library.build(
            Heat, {"alpha": (0.1, 0.8)}, seconds=1e-6, sources=of_heat[:2], **options
        )
    assert not cut.complete and [source.problem.alpha for source in cut.sources] == [0.8, 0.4]
    assert sorted(cut.anchors.units[:, 0]) == pytest.approx([0, 0.5, 1])
    for alpha, estimate in zip((0.1, 0.45, 0.8), cut.estimates()[[0, 2, 1]], strict=True):
        error = relative_l2(cut.solve(Heat(alpha=alpha))(T, X), exact(Heat(alpha=alpha), T, X)[0])
        assert 0.5 * error <= estimate <= 10 * error
    monkeypatch.undo()
    with pytest.warns(TransferWarning, match="the worst of 9 of 9 candidates.*allow more sources"):
        whole = Library.build(Heat, {"alpha": (0.1, 0.8)}, sources=cut.sources, **options)
    assert whole.complete and len(whole.sources) == 3 and whole.sources[:2] == cut.sources
    assert np.nanmax(whole.estimates()) < np.nanmax(cut.estimates())


@pytest.mark.filterwarnings("ignore::pacpde.errors.TransferWarning")
def test_an_interrupted_build_ends_with_the_same_bits(
    of_heat: list[Surrogate], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"tolerance": 1e-7, "candidates": 9, "settings": TINY, "most": 3}
    ranges, stored = {"alpha": (0.1, 0.8)}, []

    def keep(library: Library) -> None:
        library.save(tmp_path / str(len(stored)))
        stored.append(tmp_path / str(len(stored)))

    whole = Library.build(Heat, ranges, sources=of_heat[:1], callback=keep, **options)
    assert len(stored) == 5  # the first source, after each of three, and with all anchors
    for number in (2, 4):
        again = Library.build(Heat, ranges, library=Library.load(stored[number]), **options)
        for one, other in zip(again.sources, whole.sources, strict=True):
            assert torch.equal(one.weights, other.weights)
        assert torch.equal(again.anchors.heads, whole.anchors.heads)
        for name in ("units", "shares", "factors"):
            assert np.array_equal(
                getattr(again.anchors, name), getattr(whole.anchors, name), equal_nan=True
            )
    with pytest.raises(InvalidValueError, match="give what it was built with"):
        Library.build(Heat, {"alpha": (0.1, 0.7)}, library=whole, **options)


def test_a_source_joins_whole_or_not_at_all() -> None:
    """One that has joined by half would be refused when it is added again."""
    one, other = (
        fit(Heat(alpha=alpha), width=6, depth=1, points=40, steps=4) for alpha in (0.4, 0.6)
    )
    own = Library([one], ranges={"alpha": (0.1, 0.8)})
    own.anchor([Heat(alpha=0.2), Heat(alpha=0.8)])
    before, whole = own.solve(Heat(alpha=0.5)).weights, copy.deepcopy(own)
    calls = calls_of(partial(whole.add, other))
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(KeyboardInterrupt):
            calls_of(partial(own.add, other), int(share * calls))
        assert len(own.sources) == len(own.backbones) == 1
        assert torch.equal(own.solve(Heat(alpha=0.5)).weights, before)
    own.add(other)
    assert len(own.sources) == 2
    for library in (own, whole):
        library.anchor([Heat(alpha=0.2), Heat(alpha=0.8)])
    found, expected = (library.solve(Heat(alpha=0.5)).weights for library in (own, whole))
    assert torch.equal(found, expected)


def test_no_source_joins_whose_steps_need_more_memory_than_there_may_be(
    of_heat: list[Surrogate], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(of_heat[:1], ranges={"alpha": (0.1, 0.8)})
    functions, points = library.backbone.functions, len(library.equations.points)
    channels = 4  # u, t, x, xx
    least = 8 * functions * points * (channels + 1)  # and the Jacobian
    assert least < library.equations.step_bytes < 2 * least
    monkeypatch.setattr(TrainingConfig, "step_memory_gib", library.equations.step_bytes / 2**29)
    with pytest.warns(
        TransferWarning, match="on one more source may take .* GiB, above the memory"
    ):
        library = Library.build(
            Heat, {"alpha": (0.1, 0.8)}, tolerance=1e-9, candidates=3, settings=TINY,
            sources=of_heat[:1],
        )  # fmt: skip
    assert len(library.sources) == 1 and not library.complete


def test_functions_of_targets_of_their_own_are_made_one_after_the_other() -> None:
    library = Library(sources([HeatGaussian(w=w) for w in (0.1, 0.13)]))
    problems = library.box.random(4, 0)
    made = []
    for some, (term, *_) in library.equations.stacks(problems):
        assert all(one() is None for one in made[:-1])  # but for the one before
        made.append(weakref.ref(term.functions))
        assert some.stop == len(made)
    assert len(made) == 4


def test_anchors_that_help_no_target_are_not_put_between_others(
    of_heat: list[Surrogate], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(of_heat[:2])
    library.anchor(library.box.candidates(5))
    monkeypatch.setattr(
        "pacpde.methods.library.head_solver.HeadSolver._ready",
        lambda self, found, anchors: np.zeros(len(found.units), bool),
    )
    monkeypatch.setattr("pacpde.methods.library.head_solver.APART", np.inf)
    library.refine()
    assert len(library.anchors.units) == 9  # once twice as many


@pytest.mark.filterwarnings("ignore::pacpde.errors.ContradictionWarning")
def test_conditions_that_no_coefficient_changes_make_targets_a_stack() -> None:
    """Met by residuals, they are the same for all targets, solved together or one by one."""
    settings = {**TINY, "steps": 5}
    made = [fit(HotRod(alpha=alpha), settings=settings) for alpha in (0.2, 0.4)]
    assert made[0].field_ansatz.by_residual.edges
    library, alone = Library(made), Library(made)
    assert library.equations.alike
    alone.equations.__dict__["alike"] = False  # where a cached property keeps its value
    problems = [HotRod(alpha=alpha) for alpha in (0.25, 0.3, 0.35)]
    start = library.anchors.start(library.solver.units(problems))
    together, each = (one.equations.solve(problems, start) for one in (library, alone))
    assert torch.allclose(together.norms, each.norms, rtol=1e-6, atol=0)
    warmer = [fit(WarmEnds(alpha=alpha), settings=settings) for alpha in (0.2, 0.4)]
    assert not Library(warmer).equations.alike


def test_a_folder_that_is_damaged_is_refused(heat: Library, tmp_path: Path) -> None:
    place = tmp_path / "library"
    heat.save(place)
    about = json.loads((place / "library.json").read_text())
    about["tolerance"] = 1.0
    (place / "library.json").write_text(json.dumps(about))
    with pytest.raises(DataFileError, match="is damaged: library"):
        Library.load(place)
    with pytest.raises(DataFileError, match="it lacks library"):
        Library.load(tmp_path)


def test_what_makes_no_library_is_refused(heat: Library, of_heat: list[Surrogate]) -> None:
    for wrong, said in (
        (lambda: Library([]), "expected a list of surrogates"),
        (lambda: Library(of_heat[0]), "expected a list of surrogates"),  # type: ignore[arg-type]
        (lambda: Library([of_heat[0]]), "all sources have the same coefficients"),
        (lambda: Library(of_heat, ranges={"a": (0, 1)}), "unknown coefficient of heat 'a'"),
        (lambda: Library(of_heat, ranges={"alpha": (1, 0.1)}), "the smaller one first"),
        (lambda: Library(of_heat, ranges={"alpha": 1}), "expected two numbers"),  # type: ignore
        (lambda: Library(of_heat, tolerance=float("nan")), "tolerance is nan"),
        (lambda: Library.build(Heat, {"alpha": (0.1, 1.0)}, tolerance=0.0), "tolerance is 0.0"),
        (lambda: Library.build(Heat, {"alpha": (0.1, 1.0)}, most=0), "most is 0"),
        (lambda: Library.build(Heat, {"alpha": (0.1, 1.0)}, candidates=1), "candidates is 1"),
        (lambda: Library.build(Heat, {"alpha": (0.1, 1.0)}, seconds=0.0), "seconds is 0.0"),
        (lambda: heat.values([[0.2, 0.3]], 0.1, 0.2), "have the shape (1, 2)"),
        (lambda: heat.solve(FisherKPP()), "solves 'heat' and the target is 'fisher_kpp'"),
        (lambda: heat.solve(Heat(alpha=0.3, until=2.0)), "only alpha may differ"),
        (lambda: heat.solve_many([]), "give at least one"),
        (lambda: heat.solve_many("x"), "alpha is 'x', expected a number"),
        (lambda: heat.solve_many([0.3, None]), "alpha is None, expected a number"),
        (lambda: heat.solve_many([[0.3]]), "alpha is [0.3], expected a number"),
        (lambda: heat.solve_many({"alpha": "x"}), "alpha is 'x', expected a number"),
        (lambda: heat.solve(Heat), "expected a number: give alpha as numbers, or problems such"),
        (lambda: heat.solve([0.3, 0.4]), "stands for 2 targets, expected one: solve_many takes"),
        (lambda: heat.add("x"), "alpha is 'x', expected a number"),
        (lambda: heat.recall(None), "alpha is None, expected a number"),
        (lambda: heat.values("x", 0.1, 0.2), "the coefficients are no real numbers"),
        (
            lambda: Library.build(
                Heat, dict(heat.box.ranges), tolerance=heat.tolerance, library=heat, sources=of_heat
            ),
            "sources and a library are given",
        ),
        (lambda: Library.build("heat", {"alpha": (0.1, 1.0)}), "expected a class of problems"),  # type: ignore[arg-type]
        (lambda: heat.solve_many({"beta": [1.0]}), "unknown coefficient of the library 'beta'"),
    ):
        with pytest.raises(PacpdeError) as refused:
            wrong()
        assert said in str(refused.value)


def test_targets_are_given_as_problems_numbers_or_by_name(heat: Library) -> None:
    for given in (0.3, [0.3], np.array(0.3), torch.tensor([0.3]), Heat(alpha=0.3), {"alpha": 0.3}):
        (target,) = heat.solve_many(given).problems
        assert target.alpha == pytest.approx(0.3, abs=1e-7)
    pairs = CoefficientRange(LotkaVolterra(), {"alpha": (0.8, 1.4), "beta": (0.3, 0.5)})
    both = pairs.problems({"alpha": [1.0, 1.2], "beta": 0.4})
    assert [(one.alpha, one.beta) for one in both] == [(1.0, 0.4), (1.2, 0.4)]
    for wrong, said in (
        ({"alpha": [1.0, 1.2], "beta": [0.3, 0.4, 0.5]}, "2 of alpha, 3 of beta: give as many"),
        ([1.0, 1.2], "there are 2 coefficients"),
    ):
        with pytest.raises(InvalidValueError, match=said):
            pairs.problems(wrong)


@pytest.mark.parametrize("count", [5, 9])
def test_interpolated_heads_are_as_good_as_their_estimates(
    of_heat: list[Surrogate], count: int
) -> None:
    library = Library(of_heat)
    library.anchor(library.box.candidates(count))
    library.refine()
    ends = np.linspace(0, 0.1, 20)  # of the range, where a spline is worst
    places = np.concatenate([ends, np.linspace(0.1, 0.9, 40), 1 - ends])
    alphas = 0.1 * 8**places
    many = library.solve_many(alphas)
    for alpha, own, estimate in zip(alphas, many(T, X), many.error_estimates, strict=True):
        error = relative_l2(own, exact(Heat(alpha=alpha), T, X)[0])
        assert 0.8 * error <= estimate <= 10 * error


@dataclass(frozen=True)
class Resonance(Problem):
    """u_xx + k² u = f, whose solution x (1 − x) no k changes; at k = π any sin πx may be added."""

    name = "resonance"
    axes = (Axis("x", 0.0, 1.0),)

    k: float = coefficient(2.0, lower=0.1, upper=20.0, meaning="wave number")
    s: float = coefficient(1.0, lower=-9.0, upper=9.0, meaning="slope")

    def residual(self, u: Any, d: Any) -> Any:
        x, s = d.coordinates["x"], self.s
        w = x * (1 - x)
        curved = -2 + 2 * s * (1 - 2 * x) + s**2 * w
        return d(u, "xx") + self.k**2 * u - exp(s * x) * (curved + self.k**2 * w)

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", 0.0)]


def test_a_resonance_between_anchors_is_seen() -> None:
    library = Library.build(
        Resonance, {"k": (2.0, 8.0), "s": (-2.0, 2.0)}, tolerance=1e-3, candidates=30, most=2,
        settings={**TINY, "points": 200},
    )  # fmt: skip
    x = np.linspace(0, 1, 201)
    exact = x * (1 - x) * np.exp(1.3 * x)
    for k, near in ((3.1, False), (3.141, True), (3.1416, True), (3.142, True), (5.0, False)):
        solver = library.solve(Resonance(k=k, s=1.3))
        error = relative_l2(solver(x), exact)
        assert solver.error_estimate is not None and solver.error_estimate >= 0.3 * error
        assert (solver.outcome == Outcome.CONVERGED) == (solver.error_estimate <= 1e-3)
        assert not near or error > 1e-3 > library.solve(Resonance(k=5.0, s=1.3)).error_estimate


@dataclass(frozen=True)
class HeatOfSize(Heat):
    """Heat that starts as a sin πx, which is nothing where a is 0."""

    name = "heat_of_size"

    a: float = coefficient(1.0, lower=-5.0, upper=5.0, meaning="size of the start")

    def initial(self, *space: Any) -> Any:
        return self.a * super().initial(*space)


def test_the_first_source_stands_where_the_solution_is_not_zero() -> None:
    said: list[str] = []
    library = Library.build(
        HeatOfSize, {"a": (-1.0, 1.0)}, tolerance=1e-3, candidates=5, log=said.append,
        settings={**TINY, "steps": 20, "points": 200},
    )  # fmt: skip
    assert "the solution of heat_of_size(alpha=0.4, a=0) is zero" in said[0]
    assert [source.problem.a for source in library.sources] == pytest.approx([0.24])
    for a in (-0.9, 0.07, 0.8):
        error = relative_l2(library.solve(a)(T, X), a * exact(Heat(alpha=0.4), T, X)[0])
        assert error <= 1e-3 and 0.5 * error <= library.solve(a).error_estimate


def test_a_build_that_goes_on_keeps_what_was_added(
    of_heat: list[Surrogate], tmp_path: Path
) -> None:
    library = Library(of_heat[:2], ranges={"alpha": (0.1, 0.8)}, tolerance=1e-9)
    library.anchor(library.box.candidates(5))
    before = library.add(0.5)(T, X)
    with pytest.warns(TransferWarning, match="allow more sources"):
        after = Library.build(
            Heat, {"alpha": (0.1, 0.8)}, library=library, tolerance=1e-9, candidates=5, most=3,
            settings=TINY,
        )  # fmt: skip
    assert len(after.sources) == 3
    after.add(0.6)
    after.save(tmp_path / "library")
    for one in (after, Library.load(tmp_path / "library")):
        assert np.array_equal(one.recall(0.5)(T, X), before)
        assert set(one.kept) == {Heat(alpha=0.5), Heat(alpha=0.6)}


def saved(sources: list[Surrogate], folder: Path) -> Library:
    library = Library(sources)
    library.anchor(library.box.candidates(5))
    library.save(folder)
    return library


@pytest.mark.parametrize("by", ["warm_start", "pac"])
def test_a_head_and_its_polish_are_methods(
    by: str, of_heat: list[Surrogate], tmp_path: Path
) -> None:
    library = saved(of_heat[::2], tmp_path / "library")  # at 0.8 and 0.2
    target, folder, source = Heat(alpha=0.37), str(tmp_path / "library"), of_heat[0]
    head = transfer(source, target, method=LibraryHead(library=folder))
    polished = transfer(
        source, target, method=LibraryPolish(library=folder, by=by),
        settings={"points": 300, "steps": 10},
    )  # fmt: skip
    moved = transfer(
        library.nearest(target), target, method=by, settings={"points": 300, "steps": 10}
    )
    errors = [
        relative_l2(one.surrogate(T, X), exact(target, T, X)[0]) for one in (head, moved, polished)
    ]
    assert np.array_equal(head.surrogate(T, X), library.solve(target)(T, X))
    assert errors[0] < 1e-3 and errors[2] < min(errors[:2]) / 2
    assert errors[2] / 2 < polished.surrogate.error_estimate < 10 * errors[2]
    stages = [entry["stage"] for entry in polished.history]
    assert stages[0] == "head" and stages[-1] == "polish"


def test_a_polish_retains_no_source_that_the_transfer_did_not_start_from(
    of_heat: list[Surrogate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PAC retains the nearest source in the moved network, which may be the best of all."""
    saved(of_heat[:2], tmp_path / "library")  # at 0.8 and 0.4
    monkeypatch.setattr("pacpde.methods.library_polish.best_of", lambda solvers: solvers[1])
    made = transfer(
        of_heat[0], Heat(alpha=0.37),
        method=LibraryPolish(library=str(tmp_path / "library"), by="pac", steps=2),
        settings={"points": 100},
    )  # fmt: skip
    assert made.source_error["recalled"] is None and not made.surrogate.retained


@pytest.mark.parametrize("method", [LibraryHead, LibraryPolish])
def test_they_say_where_measurements_are_missed(
    method: type[LibraryHead | LibraryPolish], of_heat: list[Surrogate], tmp_path: Path
) -> None:
    saved(of_heat[::2], tmp_path / "library")
    settings = {} if method is LibraryHead else {"points": 100, "steps": 2}
    for alpha, count in ((0.6, 1), (0.37, 0)):
        at = np.random.default_rng(0).random((40, 2))
        data = Measurements(at, exact(Heat(alpha=alpha), *at.T)[0], 0.01)
        solver = transfer(
            of_heat[0], Heat(alpha=0.37), method=method(library=str(tmp_path / "library")),
            data=data, settings=settings,
        ).surrogate  # fmt: skip
        assert solver.assessment is not None
        said = [note for note in solver.assessment.notes if "misses the measurements" in note]
        assert len(said) == count


def test_the_best_of_a_polish_is_that_of_the_least_error(of_heat: list[Surrogate]) -> None:
    """By residuals where one has no estimate: as shares of terms, in which `held_out` is not."""
    one, other, lost = (
        replace(solver, held_out=held_out, assessment=assessment)
        for solver, held_out, assessment in zip(
            of_heat,
            (1e-3, 1e-5, 0.0),
            (Assessment(1e-6, 1e-3), Assessment(1e-4, 1e-5), None),
            strict=False,
        )
    )
    assert best_of([one, other, lost]) is other
    assert best_of([one, replace(other, assessment=Assessment(1e-4))]) is one
    assert best_of([lost, replace(one, assessment=Assessment(1e-6, math.nan)), other]) is other


def test_functions_of_a_backbone_stay_where_it_is_extended(of_heat: list[Surrogate]) -> None:
    backbone = Library(of_heat[:2]).backbone
    larger = backbone.extended(of_heat[2])
    points = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    batch = backbone.ansatz.batch(points)
    before, after = (one.at(batch.inputs, batch.names) for one in (backbone, larger))
    assert (after[..., : backbone.functions] - before).abs().max() < 1e-8 * before.abs().max()
    own = larger.solver(of_heat[2].problem, larger.head_of(of_heat[2]))
    assert (own.at(points) - of_heat[2].at(points)).abs().max() < 1e-9
    functions = batch.multiplied(after)[0].flatten(0, 1)
    assert torch.linalg.matrix_rank(functions) == min(functions.shape)


def test_a_tolerance_that_no_source_meets_ends_a_build() -> None:
    with pytest.warns(TransferWarning, match="3 sources reach an estimated error of"):
        library = Library.build(
            Heat, {"alpha": (0.2, 0.8)}, tolerance=1e-13, candidates=3, settings=TINY
        )
    assert sorted(source.problem.alpha for source in library.sources) == [0.2, 0.4, 0.8]


def test_a_coefficient_that_no_condition_reads_makes_targets_a_stack() -> None:
    """`HeatGaussian` has the width of its start as another coefficient, which stays as it is."""
    library = Library(sources([HeatGaussian(alpha=alpha) for alpha in (0.04, 0.06)]))
    assert library.equations.alike
    many = library.solve_many([0.045, 0.05])
    for problem, own in zip(many.problems, many(T, X), strict=True):
        error = relative_l2(own, exact(problem, T, X)[0])
        assert error < 1e-2 and np.abs(library.solve(problem)(T, X) - own).max() < 1e-9
    assert not Library(sources([HeatGaussian(w=w) for w in (0.1, 0.13)])).equations.alike


@pytest.mark.parametrize(("alpha", "spread", "ended"), [(0.86, 0.1, 0.8), (0.085, 1e-3, 0.1)])
def test_a_coefficient_outside_the_range_is_not_called_found(
    heat: Library, alpha: float, spread: float, ended: float
) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0.1, 0.9, (40, 2))
    true = exact(Heat(alpha=alpha), *points.T).ravel()
    found = heat.identify(points, true + spread * rng.normal(size=40), noise=spread)
    assert found.estimates["alpha"][0] == pytest.approx(ended, rel=1e-3)
    assert found.outcome in ("not_converged", "misfit")
    assert "alpha ended at the end of the range" in found.doubts()[-1]


def test_a_number_is_kept_as_its_problem_and_no_source_joins_twice(
    of_heat: list[Surrogate], tmp_path: Path
) -> None:
    own = Library(of_heat)
    own.add(0.47)
    kept = own.recall(Heat(alpha=0.47))
    assert kept.problem == Heat(alpha=0.47)
    with pytest.raises(InvalidValueError, match="has a source of heat"):
        own.add(own.sources[0])
    own.save(tmp_path / "library")
    again = Library.load(tmp_path / "library").recall(Heat(alpha=0.47))
    assert torch.equal(again.weights, kept.weights)
