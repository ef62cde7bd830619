"""How much faster a batch is: Burgers targets one at a time, and side by side.

    python benchmarks/batch.py [--targets 16] [--device cpu] [--quick]
    python benchmarks/batch.py --device cuda -o benchmarks/results/batch_gpu.json

From one source at ν = 0.01/π, targets spread geometrically over 0.011/π…0.02/π: `calibrate`, PAC's
calibration alone, from weights allocated beforehand; `transfer`, whole PAC transfers, whose pruning
and allocation a batch computes once. And steps of Levenberg–Marquardt at fixed points in networks
from small to the family's own. One at a time uses all threads for every fit.
"""

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import pi
from typing import Any

import torch
from common import Benchmark, Record, Run, markdown

from pacpde import Runtime, TrainingConfig, fit, transfer
from pacpde.networks.ansatz import network_for
from pacpde.optim.least_squares import LeastSquares
from pacpde.optim.levenberg_marquardt import LevenbergMarquardt
from pacpde.optim.scheduler import BatchScheduler
from pacpde.optim.stepwise import StepRequest, run_alone, steps_of
from pacpde.pac import allocate, calibrate, prune
from pacpde.problems import Burgers
from pacpde.residuals.physics_task import PhysicsTask
from pacpde.residuals.task import SamplingSpec
from pacpde.runtime import generator

SIZES = {  # width, depth, points
    "16x2, 100 points": (16, 2, 100),
    "16x3, 200 points": (16, 3, 200),
    "24x3, 500 points": (24, 3, 500),
    "30x4, 700 points": (30, 4, 700),
}
WORKLOADS = (*SIZES, "calibrate", "transfer")
Job = Callable[[], Any]  # → the generator of a fit, which ends in weights


def main() -> None:
    parser = Benchmark(__doc__, "batch", quick={"steps": 2})
    parser.add_argument("--targets", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20, help="of the last phase of every fit")
    parser.add_argument("--only", choices=WORKLOADS, action="append", help="may be repeated")
    parser.carry_out("Burgers targets one at a time and side by side", runs, table, key="")


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every workload."""
    settings = {"steps": options.steps, **options.settings}
    count = 2 if options.quick else options.targets
    record |= {"targets": count, "steps": settings["steps"], "device": options.device}
    record["workloads"] = {}
    targets = [Burgers(nu=0.011 / pi * (20 / 11) ** (k / max(1, count - 1))) for k in range(count)]
    runtime = Runtime(options.device)
    for name in options.only or WORKLOADS:
        if name in SIZES:
            jobs, network = steps(targets, runtime, settings["steps"], *SIZES[name])
        else:
            source = fit(Burgers(nu=0.01 / pi), runtime=runtime, settings=settings)
            jobs = (transfers if name == "transfer" else calibrations)(source, targets, settings)
            network = source.network
        record["workloads"][name] = {"parameters": network.size, **timed(jobs, options)}
        yield {"workload": name, **record["workloads"][name]}


def timed(jobs: Sequence[Job], options: Namespace) -> Run:
    """Seconds both ways, and how far the results differ."""
    run_alone(jobs[0]())  # everything is loaded
    scheduler = BatchScheduler(1 if options.device != "cpu" else options.threads, stacked=True)
    seconds, results = [], []
    for way in (
        lambda: [run_alone(job()) for job in jobs],
        lambda: scheduler.run([job() for job in jobs]).each(),
    ):
        clock = time.perf_counter()
        results.append(way())
        if options.device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - clock)
    pairs = zip(*results, strict=True)
    return {
        "one_at_a_time_s": seconds[0],
        "batch_s": seconds[1],
        "ratio": seconds[0] / seconds[1],
        "largest_difference": max(float((a - b).norm() / a.norm()) for a, b in pairs),
    }


def steps(
    targets: Sequence[Burgers], runtime: Runtime, count: int, width: int, depth: int, points: int
) -> tuple[list[Job], Any]:
    """Levenberg–Marquardt from random weights on points that are drawn once."""
    tasks = [PhysicsTask(target, runtime=runtime) for target in targets]
    network = network_for(tasks[0].ansatz(SamplingSpec()), width, depth, "tanh")
    weights = runtime.tensor(network.init_weights(generator(0, "weights")))
    every, draw = torch.ones_like(weights, dtype=torch.bool), SamplingSpec(points, odd=True)

    def job(problem: LeastSquares) -> Any:
        answer = yield StepRequest(LevenbergMarquardt(), problem, problem.x0, count, None)
        return answer.value.x

    jobs = []
    for number, task in enumerate(tasks):
        blocks = task.terms(network, weights, draw, generator(number, "points"))
        jobs.append(partial(job, LeastSquares(network, weights, every, blocks)))
    return jobs, network


def calibrations(source: Any, targets: Sequence[Burgers], settings: Run) -> list[Job]:
    """PAC's last stage for every target, from weights allocated once."""
    config = TrainingConfig.of(source.problem, **settings)
    own = PhysicsTask(source.problem, runtime=source.runtime)
    pruned = prune(source, 0.8)
    allocated = allocate(pruned, own, config.phases.warm_start(own), config=config)
    start = replace(pruned, weights=allocated.weights)

    def job(task: PhysicsTask) -> Any:
        phases = config.phases.warm_start(task)
        fitted = yield from steps_of(calibrate)(start, task, phases, config=config)
        return fitted.weights

    return [partial(job, PhysicsTask(target, runtime=source.runtime)) for target in targets]


def transfers(source: Any, targets: Sequence[Burgers], settings: Run) -> list[Job]:
    """Whole transfers by PAC."""

    def job(target: Burgers) -> Any:
        result = yield from steps_of(transfer)(source, target, method="pac", settings=settings)
        return result.surrogate.weights

    return [partial(job, target) for target in targets]


def table(record: Record) -> str:
    """Both ways, workload by workload."""
    rows = [
        [
            name,
            f"{workload['parameters']:,}",
            f"{workload['one_at_a_time_s']:.1f}",
            f"{workload['batch_s']:.1f}",
            f"{workload['ratio']:.1f}",
        ]
        for name, workload in record["workloads"].items()
    ]
    head = ["parameters", "one at a time, s", "side by side, s", "ratio"]
    return markdown([f"{record['targets']} Burgers targets", *head], rows)


if __name__ == "__main__":
    main()
