"""A DeepXDE script moved to another coefficient: PAC, warm start and scratch by its own optimisers.

The network, points and config are those of DeepXDE's examples (Burgers: 3×20 tanh, 2540 + 80 + 160
points, 15,000 steps of Adam, then L-BFGS), in float64. Every run trains on the target by the same
config, graded with the clock stopped; PAC's allocate is counted beside it. Then the same source in
pacpde's engine. All in one process, one after the other.

    python benchmarks/deepxde_transfer.py burgers     # half an hour of an idle machine
    python benchmarks/deepxde_transfer.py --table     # of the records that are there
"""

import argparse
import json
import time
from dataclasses import dataclass
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, Curve, begun, markdown, on_target, predicting, reached, write_record

THRESHOLDS = (1e-2, 1e-3)


@dataclass(frozen=True)
class Case:
    """A source, a target, and DeepXDE's example of the family.

    Attributes:
        adam, lbfgs: iterations of its config.
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


def cases() -> dict[str, Case]:
    from pacpde.problems import Burgers, Heat, Lorenz

    sizes, start = [2, 20, 20, 20, 1], "Glorot normal"
    burgers = Case(Burgers(nu=0.01 / pi), Burgers(nu=0.02 / pi), sizes, start, 15_000)
    heat = Case(Heat(alpha=0.4), Heat(alpha=0.2), sizes, start, 20_000)
    sizes, start = [1, 40, 40, 40, 3], "Glorot uniform"
    lorenz = Case(Lorenz(rho=15), Lorenz(rho=18), sizes, start, 20_000, observed=25)
    return {"burgers": burgers, "heat": heat, "lorenz": lorenz}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", nargs="?", choices=["burgers", "heat", "lorenz"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=float, default=900, help="seconds a run may train")
    parser.add_argument("--quick", action="store_true", help="a few steps; not recorded")
    parser.add_argument("--table", action="store_true", help="of the records")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.table or not options.family:
        print(table())
        return
    record = begun(f"DeepXDE's {options.family} example, transferred", options.threads)
    work(options, record)


def work(options: argparse.Namespace, record: dict[str, Any]) -> None:
    import deepxde as dde
    import numpy as np
    import torch
    from deepxde_clock import Clock, adam_then_lbfgs

    from pacpde import transfer
    from pacpde.interop.deepxde import PAC, Model, to_surrogate, warm_start

    dde.config.set_default_float("float64")
    dde.config.set_random_seed(options.seed)
    case = cases()[options.family]
    adam, lbfgs = (100, 100) if options.quick else (case.adam, case.lbfgs)
    grades = {problem: predicting(problem) for problem in (case.source, case.target)}

    def trained(model: Any, problem: Any) -> Curve:
        clock = Clock(lambda m: grades[problem](m.predict), options.limit)
        adam_then_lbfgs(model, clock, adam, lbfgs)
        return clock.curve

    def network() -> Any:
        return dde.nn.FNN(case.sizes, "tanh", case.start)

    def note(name: str, curve: Curve, **others: Any) -> None:
        run = {
            "name": name,
            "curve": curve,
            "error": curve[-1][1],
            "seconds": curve[-1][0],
            "seconds_to": {f"{least:g}": reached(curve, least) for least in THRESHOLDS},
            **others,
        }
        record["runs"].append(run)
        if not options.quick:
            file = RESULTS / f"deepxde_transfer_{options.family}.json"
            write_record(record, options.output or file)
        print({key: value for key, value in run.items() if key != "curve"}, flush=True)

    source = dde.Model(data_of(case.source, case.observed), network())
    note("source", trained(source, case.source))
    zero_shot = grades[case.target](source.predict)
    record |= {"zero_shot": zero_shot, "source": case.source.coefficients, "adam": adam,
               "target": case.target.coefficients, "sparsity": case.sparsity}  # fmt: skip

    pac = PAC(source)
    pac.prune(case.sparsity)
    allocated = pac.allocate()
    allocation = trained(allocated, case.source)
    seen = allocated.predict(source.data.train_x)
    target = pac.calibrate(data_of(case.target))
    curve = trained(target, case.target)
    recalled = pac.recall()
    note(
        "DeepXDE, PAC", curve,
        allocate=allocation[-1][0], allocated_error=allocation[-1][1],
        recalled_error=grades[case.source](recalled.predict),
        recalled_bits=bool(np.array_equal(recalled.predict(source.data.train_x), seen)),
    )  # fmt: skip
    warm = warm_start(source, data_of(case.target))
    note("DeepXDE, warm start", trained(warm, case.target))
    scratch = Model(data_of(case.target), network())
    note("DeepXDE, scratch", trained(scratch, case.target))

    surrogate = to_surrogate(source, case.source)
    for method, more in (("warm_start", {}), ("pac", {"sparsity": case.sparsity})):
        clock = time.perf_counter()
        made = transfer(surrogate, case.target, method=method, seed=options.seed, **more)
        note(
            f"engine, {method}", on_target(made), final=made.target_error, outcome=made.outcome,
            allocate=made.method_result.seconds.get("allocate"),
            recalled_error=made.source_error["recalled"], in_all=time.perf_counter() - clock,
        )  # fmt: skip
    assert torch.get_default_dtype() == torch.float64


def data_of(problem: Any, observed: int = 0) -> Any:
    """DeepXDE's data, with observations of an ODE's fields if there are any."""
    import deepxde as dde
    import numpy as np

    from pacpde.interop.deepxde import data, solution

    made = data(problem, reference=False)
    if not observed:
        return made
    time = problem.domain.axis("t")
    t = np.linspace(time.lower, time.upper, observed)[:, None]
    values = solution(problem)(t)
    seen = [
        dde.icbc.PointSetBC(t, values[:, k : k + 1], component=k) for k in range(values.shape[1])
    ]
    return dde.data.PDE(
        made.geom, made.pde, [*made.bcs, *seen],
        num_domain=made.num_domain, num_boundary=made.num_boundary, anchors=t,
    )  # fmt: skip


def table() -> str:
    """Every record, a line a run."""
    rows = []
    for name in cases():
        file = RESULTS / f"deepxde_transfer_{name}.json"
        if not file.exists():
            continue
        record = json.loads(file.read_text())
        scratch = next((run for run in record["runs"] if run["name"].endswith("scratch")), None)
        for run in record["runs"]:
            theirs = to_theirs = None
            if scratch and run["name"] != "source":
                theirs = reached(scratch["curve"], run["error"])
                to_theirs = reached(run["curve"], scratch["error"])
            to = [_seconds(run["seconds_to"][f"{least:g}"]) for least in THRESHOLDS]
            kept = "" if run.get("recalled_error") is None else f"{run['recalled_error']:.1e}"
            kept += ", to the last bit" if run.get("recalled_bits") else ""
            rows.append(
                [name, run["name"], *to, f"{run['seconds']:.0f}", f"{run['error']:.1e}",
                 _seconds(theirs), _seconds(to_theirs), _seconds(run.get("allocate")), kept]
            )  # fmt: skip
    head = [
        "family",
        "run",
        "s to 1e-2",
        "s to 1e-3",
        "s in all",
        "error",
        "DeepXDE scratch: s to this error",
        "s to scratch's error",
        "s allocate",
        "recalled",
    ]
    return markdown(head, rows)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
