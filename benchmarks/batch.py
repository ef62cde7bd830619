"""How much faster a batch is: 16 Burgers targets one at a time, and side by side.

    python benchmarks/batch.py [--targets 16] [--device cpu] [--quick]

Three workloads from one source at ν = 0.01/π, targets spread geometrically over 0.011/π…0.02/π:
`calibrate`, PAC's calibration alone, from weights allocated beforehand, in the family's network;
`small`, the same in a network of 3×16 on 300 points; `transfer`, whole PAC transfers, whose
pruning and allocation a batch computes once. One at a time uses all threads for every fit.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, machine, write_record

SMALL = {"width": 16, "depth": 3, "points": 300}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="of the last phase of every fit")
    parser.add_argument("--only", choices=("calibrate", "small", "transfer"))
    parser.add_argument("--quick", action="store_true", help="two targets, few steps: a trial")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "batch.json")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.targets, arguments.steps = 2, 2
    import torch

    torch.set_num_threads(arguments.threads)
    from pacpde.runtime import versions

    record: dict[str, Any] = {
        "what": "Burgers targets one at a time and side by side",
        "targets": arguments.targets,
        "steps": arguments.steps,
        "device": arguments.device,
        "machine": machine(arguments.threads),
        "versions": versions(),
        "workloads": {},
    }
    for name in ("calibrate", "small", "transfer"):
        if arguments.only in (None, name):
            record["workloads"][name] = measured(name, arguments)
            print(name, record["workloads"][name], flush=True)
            write_record(record, arguments.output)


def measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds both ways, and how far the results differ."""
    import torch

    from pacpde import Runtime, Surrogate, fit
    from pacpde.optim.fit import FitResult
    from pacpde.optim.together import Together
    from pacpde.problems import Burgers

    settings = {"steps": arguments.steps, **(SMALL if name == "small" else {})}
    runtime = Runtime(arguments.device)
    source = fit(Burgers(nu=0.01 / pi), seed=0, runtime=runtime, **settings)
    count = arguments.targets
    targets = [Burgers(nu=0.011 / pi * (20 / 11) ** (k / max(1, count - 1))) for k in range(count)]
    make = transfers if name == "transfer" else calibrations
    jobs = make(source, targets, settings)
    jobs[0](None)  # everything is loaded
    workers = 1 if arguments.device != "cpu" else arguments.threads

    def timed(run: Any) -> tuple[float, list[Any]]:
        clock = time.perf_counter()
        results = run()
        if arguments.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - clock, results

    alone, one_by_one = timed(lambda: [job(None) for job in jobs])
    together = Together(workers)
    batch, side_by_side = timed(lambda: together.each([partial(job, together) for job in jobs]))

    def weights(result: Any) -> torch.Tensor:
        assert isinstance(result, FitResult | Surrogate)
        return result.weights

    pairs = [(weights(a), weights(b)) for a, b in zip(one_by_one, side_by_side, strict=True)]
    return {
        "parameters": source.parameters,
        "points": settings.get("points", Burgers.recipe["points"]),
        "one_at_a_time_s": alone,
        "batch_s": batch,
        "ratio": alone / batch,
        "largest_difference": max(float((a - b).norm() / a.norm()) for a, b in pairs),
    }


def calibrations(source: Any, targets: Any, settings: Any) -> list[Any]:
    """PAC's last stage for every target, from weights allocated once."""
    from pacpde.methods import Recipe
    from pacpde.objective.task import PhysicsTask
    from pacpde.optim.fit import Monitor
    from pacpde.pac import allocate, calibrate, prune

    recipe = Recipe.of(source.problem, **settings)
    own = PhysicsTask(source.problem, runtime=source.runtime)
    pruned = prune(source, 0.8)
    kept = allocate(pruned, own, recipe.again(own), tolerance=recipe.tolerance)
    start = replace(pruned, weights=kept.weights)

    def job(task: Any, together: Any) -> Any:
        return calibrate(
            start,
            task,
            recipe.again(task),
            tolerance=recipe.tolerance,
            optimiser=recipe.make_optimiser(),
            monitor=Monitor(together=together),
        )

    return [partial(job, PhysicsTask(target, runtime=source.runtime)) for target in targets]


def transfers(source: Any, targets: Any, settings: Any) -> list[Any]:
    """Whole transfers by PAC."""
    from pacpde import transfer

    def job(target: Any, together: Any) -> Any:
        result = transfer(source, target, method="pac", together=together, settings=settings)
        return result.surrogate

    return [partial(job, target) for target in targets]


if __name__ == "__main__":
    main()
