"""How much faster a batch is: Burgers targets one at a time, and side by side.

    python benchmarks/batch.py [--targets 16] [--device cpu] [--quick]
    python benchmarks/batch.py --device cuda -o benchmarks/results/batch_gpu.json

From one source at ν = 0.01/π, targets spread geometrically over 0.011/π…0.02/π: `calibrate`, PAC's
calibration alone, from weights allocated beforehand; `transfer`, whole PAC transfers, whose pruning
and allocation a batch computes once. And steps of Levenberg–Marquardt at fixed points in networks
from small to the family's own. One at a time uses all threads for every fit.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from math import pi
from pathlib import Path
from typing import Any

from common import RESULTS, machine, markdown, write_record

SIZES = {  # width, depth, points
    "16x2, 100 points": (16, 2, 100),
    "16x3, 200 points": (16, 3, 200),
    "24x3, 500 points": (24, 3, 500),
    "30x4, 700 points": (30, 4, 700),
}
WORKLOADS = (*SIZES, "calibrate", "transfer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="of the last phase of every fit")
    parser.add_argument("--only", choices=WORKLOADS, action="append", help="may be repeated")
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
    for name in WORKLOADS:
        if name in (arguments.only or WORKLOADS):
            record["workloads"][name] = measured(name, arguments)
            print(name, record["workloads"][name], flush=True)
            write_record(record, arguments.output)


def measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds both ways, and how far the results differ."""
    import torch

    from pacpde.optim.scheduler import BatchScheduler
    from pacpde.optim.stepwise import run_alone
    from pacpde.problems import Burgers

    count = arguments.targets
    targets = [Burgers(nu=0.011 / pi * (20 / 11) ** (k / max(1, count - 1))) for k in range(count)]
    if name in SIZES:
        jobs, network = steps(targets, *SIZES[name], arguments)
    else:
        make = transfers if name == "transfer" else calibrations
        jobs, network = make(targets, arguments)
    run_alone(jobs[0]())  # everything is loaded
    workers = 1 if arguments.device != "cpu" else arguments.threads

    def timed(run: Any) -> tuple[float, list[Any]]:
        clock = time.perf_counter()
        results = run()
        if arguments.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - clock, results

    alone, one_by_one = timed(lambda: [run_alone(job()) for job in jobs])
    scheduler = BatchScheduler(workers, stacked=True)
    batch, side_by_side = timed(lambda: scheduler.run([job() for job in jobs]).each())

    pairs = list(zip(one_by_one, side_by_side, strict=True))
    return {
        "parameters": network.size,
        "one_at_a_time_s": alone,
        "batch_s": batch,
        "ratio": alone / batch,
        "largest_difference": max(float((a - b).norm() / a.norm()) for a, b in pairs),
    }


def table(record: Any) -> str:
    """Both ways, workload by workload."""
    rows = [
        [
            name,
            f"{found['parameters']:,}",
            f"{found['one_at_a_time_s']:.1f}",
            f"{found['batch_s']:.1f}",
            f"{found['ratio']:.1f}",
        ]
        for name, found in record["workloads"].items()
    ]
    head = ["16 Burgers targets", "parameters", "one at a time, s", "side by side, s", "ratio"]
    return markdown([head[0].replace("16", str(record["targets"])), *head[1:]], rows)


def steps(targets: Any, width: int, depth: int, points: int, arguments: Any) -> tuple[Any, Any]:
    """Levenberg–Marquardt from random weights on points that are drawn once."""
    import torch

    from pacpde import Runtime
    from pacpde.networks.ansatz import network_for
    from pacpde.optim.least_squares import LeastSquares
    from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
    from pacpde.optim.stepwise import StepRequest
    from pacpde.residuals.physics_task import PhysicsTask
    from pacpde.residuals.task import SamplingSpec
    from pacpde.runtime import generator

    runtime, optimiser = Runtime(arguments.device), LevenbergMarquardt()
    tasks = [PhysicsTask(target, runtime=runtime) for target in targets]
    network = network_for(tasks[0].ansatz(SamplingSpec()), width, depth, "tanh")
    weights = runtime.tensor(network.init_weights(generator(0, "weights")))
    free = torch.ones_like(weights, dtype=torch.bool)
    draw = SamplingSpec(points, odd=True)

    def problem(number: int) -> LeastSquares:
        rng = generator(number, "points")
        return LeastSquares(
            network, weights, free, tasks[number].terms(network, weights, draw, rng)
        )

    def job(problem: LeastSquares) -> Any:
        made = yield StepRequest(optimiser, problem, problem.x0, arguments.steps, None)
        return made.value.x

    return [partial(job, problem(number)) for number in range(len(targets))], network


def source_for(arguments: Any) -> tuple[Any, dict[str, Any]]:
    """The source, and the settings of its and all other fits."""
    from pacpde import Runtime, fit
    from pacpde.problems import Burgers

    settings = {"steps": arguments.steps}
    return fit(Burgers(nu=0.01 / pi), runtime=Runtime(arguments.device), **settings), settings


def calibrations(targets: Any, arguments: Any) -> tuple[Any, Any]:
    """PAC's last stage for every target, from weights allocated once."""
    from pacpde.methods import TrainingConfig
    from pacpde.optim.stepwise import steps_of
    from pacpde.pac import allocate, calibrate, prune
    from pacpde.residuals.physics_task import PhysicsTask

    source, settings = source_for(arguments)
    config = TrainingConfig.of(source.problem, **settings)
    own = PhysicsTask(source.problem, runtime=source.runtime)
    pruned = prune(source, 0.8)
    kept = allocate(pruned, own, config.phases.warm_start(own), tolerance=config.tolerance)
    start = replace(pruned, weights=kept.weights)

    def job(task: Any) -> Any:
        made = yield from steps_of(calibrate)(
            start,
            task,
            config.phases.warm_start(task),
            tolerance=config.tolerance,
            optimiser=config.optimiser_object,
        )
        return made.weights

    tasks = [PhysicsTask(target, runtime=source.runtime) for target in targets]
    return [partial(job, task) for task in tasks], source.network


def transfers(targets: Any, arguments: Any) -> tuple[Any, Any]:
    """Whole transfers by PAC."""
    from pacpde import transfer
    from pacpde.optim.stepwise import steps_of

    source, settings = source_for(arguments)

    def job(target: Any) -> Any:
        result = yield from steps_of(transfer)(source, target, method="pac", settings=settings)
        return result.surrogate.weights

    return [partial(job, target) for target in targets], source.network


if __name__ == "__main__":
    main()
