"""A DeepXDE script moved to another coefficient: PAC, warm start and scratch by its own optimisers.

The network, points and recipe are those of DeepXDE's examples (Burgers: 3×20 tanh, 2540 + 80 + 160
points, 15,000 steps of Adam, then L-BFGS), in float64. Every run trains on the target by the same
recipe, graded with the clock stopped; PAC's allocate is counted beside it. Then the same source in
pacpde's engine. All in one process, one after the other.

    python benchmarks/deepxde_transfer.py burgers     # half an hour of an idle machine
    python benchmarks/deepxde_transfer.py --table     # of the records that are there
"""

import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from common import RESULTS, Benchmark, Record, Run, markdown, read_record
from times import Curve, error_on_grid, on_target, reached, seconds_to, shown

from pacpde import transfer
from pacpde.problems import Burgers, Heat, Lorenz

THRESHOLDS = (1e-2, 1e-3)
HEAD = (
    "family", "run", "s to 1e-2", "s to 1e-3", "s in all", "error",
    "DeepXDE scratch: s to this error", "s to scratch's error", "s allocate", "recalled",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A source, a target, and DeepXDE's example of the family.

    Attributes:
        adam, lbfgs: iterations of its recipe.
        observed: observations of the source that its data has, as DeepXDE's Lorenz example.
    """

    source: Any
    target: Any
    sizes: list[int]
    start: str
    adam: int
    lbfgs: int = 15_000
    sparsity: float = 0.5
    observed: int = 0


BURGERS, LORENZ = ([2, 20, 20, 20, 1], "Glorot normal"), ([1, 40, 40, 40, 3], "Glorot uniform")
CASES = {
    "burgers": Case(Burgers(nu=0.01 / pi), Burgers(nu=0.02 / pi), *BURGERS, 15_000),
    "heat": Case(Heat(alpha=0.4), Heat(alpha=0.2), *BURGERS, 20_000),
    "lorenz": Case(Lorenz(rho=15), Lorenz(rho=18), *LORENZ, 20_000, observed=25),
}


def main() -> None:
    parser = Benchmark(__doc__, "deepxde_transfer_FAMILY", quick={"steps": 2, "points": 50})
    parser.add_argument("family", nargs="?", choices=CASES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=900, help="seconds a run may train")
    parser.add_argument("--table", action="store_true", help="of the records")
    options = parser.parse_args()
    if options.table or not options.family:
        print(table())
        return
    parser.file = RESULTS / f"deepxde_transfer_{options.family}.json"
    what = f"DeepXDE's {options.family} example, transferred"
    parser.carry_out(what, runs, lambda record: markdown(HEAD, rows(options.family, record)))


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """The source, then every way to the target by DeepXDE's optimisers and by the engine."""
    import deepxde as dde
    from deepxde_clock import Clock, adam_then_lbfgs, predicted

    from pacpde.interop.deepxde import PAC, Model, to_surrogate, warm_start

    dde.config.set_default_float("float64")
    dde.config.set_random_seed(options.seed)
    case = CASES[options.family]
    adam, lbfgs = (100, 100) if options.quick else (case.adam, case.lbfgs)
    grades = {problem: error_on_grid(problem) for problem in (case.source, case.target)}

    def train(model: Any, problem: Any) -> Curve:
        clock = Clock(lambda trained: grades[problem](predicted(trained)), options.limit)
        adam_then_lbfgs(model, clock, adam, lbfgs)
        return clock.curve

    def network() -> Any:
        return dde.nn.FNN(case.sizes, "tanh", case.start)

    def run(name: str, curve: Curve, **others: Any) -> Run:
        seconds, error = curve[-1]
        to = seconds_to(curve, THRESHOLDS)
        end = {"name": name, "curve": curve, "error": error, "seconds": seconds, "seconds_to": to}
        return end | others

    source = dde.Model(data_of(case.source, case.observed), network())
    curve = train(source, case.source)
    record |= {"zero_shot": grades[case.target](predicted(source)), "adam": adam,
               "source": case.source.coefficients, "target": case.target.coefficients,
               "sparsity": case.sparsity}  # fmt: skip
    yield run("source", curve)

    pac = PAC(source)
    pac.prune(case.sparsity)
    allocated = pac.allocate()
    allocation = train(allocated, case.source)
    before = allocated.predict(source.data.train_x)
    target = pac.calibrate(data_of(case.target))
    curve = train(target, case.target)
    recalled = pac.recall()
    yield run(
        "DeepXDE, PAC", curve,
        allocate=allocation[-1][0], allocated_error=allocation[-1][1],
        recalled_error=grades[case.source](predicted(recalled)),
        recalled_bits=bool(np.array_equal(recalled.predict(source.data.train_x), before)),
    )  # fmt: skip
    warm = warm_start(source, data_of(case.target))
    yield run("DeepXDE, warm start", train(warm, case.target))
    scratch = Model(data_of(case.target), network())
    yield run("DeepXDE, scratch", train(scratch, case.target))

    surrogate = to_surrogate(source, case.source)
    for method, more in (("warm_start", {}), ("pac", {"sparsity": case.sparsity})):
        clock = time.perf_counter()
        result = transfer(
            surrogate, case.target, method=method, seed=options.seed, settings=options.settings,
            **more,
        )  # fmt: skip
        yield run(
            f"engine, {method}", on_target(result), final=result.target_error,
            outcome=result.outcome, allocate=result.record()["seconds"]["allocate"],
            recalled_error=result.source_error["recalled"], in_all=time.perf_counter() - clock,
        )  # fmt: skip


def data_of(problem: Any, observed: int = 0) -> Any:
    """DeepXDE's data, with observations of an ODE's fields if there are any."""
    import deepxde as dde

    from pacpde.interop.deepxde import data, solution

    plain = data(problem, reference=False)
    if not observed:
        return plain
    time = problem.domain.axis("t")
    t = np.linspace(time.lower, time.upper, observed)[:, None]
    values = solution(problem)(t)
    points = [
        dde.icbc.PointSetBC(t, values[:, k : k + 1], component=k) for k in range(values.shape[1])
    ]
    return dde.data.PDE(
        plain.geom, plain.pde, [*plain.bcs, *points],
        num_domain=plain.num_domain, num_boundary=plain.num_boundary, anchors=t,
    )  # fmt: skip


def table() -> str:
    """Every record, a line a run."""
    there = [name for name in CASES if (RESULTS / f"deepxde_transfer_{name}.json").exists()]
    lines = [line for name in there for line in rows(name, read_record(f"deepxde_transfer_{name}"))]
    return markdown(HEAD, lines)


def rows(name: str, record: Record) -> list[list[str]]:
    """The lines of a family."""
    lines = []
    scratch = next((run for run in record["runs"] if run["name"].endswith("scratch")), None)
    for run in record["runs"]:
        theirs = to_theirs = None
        if scratch and run["name"] != "source":
            theirs = reached(scratch["curve"], run["error"])
            to_theirs = reached(run["curve"], scratch["error"])
        recalled = "" if run.get("recalled_error") is None else f"{run['recalled_error']:.1e}"
        recalled += ", to the last bit" if run.get("recalled_bits") else ""
        to = [shown(run["seconds_to"][f"{least:g}"], "–") for least in THRESHOLDS]
        others = [shown(seconds, "–") for seconds in (theirs, to_theirs, run.get("allocate"))]
        lines.append(
            [name, run["name"], *to, f"{run['seconds']:.0f}", f"{run['error']:.1e}", *others,
             recalled]
        )  # fmt: skip
    return lines


if __name__ == "__main__":
    main()
