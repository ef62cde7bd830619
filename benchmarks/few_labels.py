"""Labels alone, 1 % noise: PAC, warm start and L2-SP by default, beside the source untouched.

Nothing is tuned: every method has its defaults, and chooses its penalty by the labels. A seed has
labels of its own. Sources are trained once, and allocated once. Errors are relative L2
against the certified reference. Coverage is the share of new points, with new noise, in the 90 %
predictive interval; that of the field itself is beside it. The exit status is 1 if PAC has an error
above 1.1 times that of the source in more than one run of twenty, is not better than it in the
median from 25 labels on, or covers less than 80 or more than 97 %.

    python benchmarks/few_labels.py [--seeds 10] [--cases burgers heat] [--methods pac warm_start]
"""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import pi
from typing import Any, ClassVar

import numpy as np
from common import Benchmark, Record, Run, markdown, without_faults

from pacpde import L2SP, PAC, Measurements, Surrogate, WarmStart, fit, transfer
from pacpde.datasets import draw_labels
from pacpde.datasets.grading import References, transfer_references
from pacpde.methods.base import Method, TransferContext
from pacpde.methods.pac import SourceStage
from pacpde.optim.stepwise import Steps, steps_of, stepwise
from pacpde.physics import Problem
from pacpde.problems import Burgers, Heat, Lorenz
from pacpde.reference import Reference

LABELS, NOISE = (10, 25, 100), 0.01
POINTS = 1000  # new ones, at which coverage is counted
SHOWN = {"pac": "PAC", "warm_start": "warm start", "l2sp": "L2-SP"}
WORST, SHARE = 1.1, 0.95  # of the zero-shot error, and of the runs
COVERED = 0.8, 0.97
SOURCES: dict[str, tuple[Problem, dict[str, int]]] = {
    "burgers": (Burgers(nu=0.0318), {"width": 14, "depth": 3, "points": 500}),
    "burgers steep": (Burgers(nu=0.01 / pi), {"width": 18, "depth": 3, "points": 1000}),
    "heat": (Heat(alpha=0.4), {"width": 16, "depth": 2, "points": 300}),
    "lorenz": (Lorenz(rho=15.0), {"width": 20, "depth": 2}),
}
CASES: dict[str, tuple[str, Problem, str]] = {
    "burgers": ("burgers", Burgers(nu=0.0286), "Burgers, ν 0.0318 → 0.0286"),
    "burgers far": ("burgers steep", Burgers(nu=0.02 / pi), "Burgers, ν 0.01/π → 0.02/π"),
    "heat": ("heat", Heat(alpha=0.3), "heat, α 0.4 → 0.3"),
    "lorenz": ("lorenz", Lorenz(rho=16.5), "Lorenz, ρ 15 → 16.5"),
}


@dataclass(frozen=True)
class AllocatedOnce(PAC):
    """PAC, which allocates once for all labels: with one seed the bits are the same."""

    stages: ClassVar[dict[Any, SourceStage]] = {}

    @stepwise
    def allocate(self, source: Surrogate, context: TransferContext) -> Steps[SourceStage]:
        key = source.problem, context.seed, self.sparsity
        if key not in self.stages:
            self.stages[key] = yield from steps_of(super().allocate)(source, context)
        return self.stages[key]


METHODS: dict[str, Method] = {"pac": AllocatedOnce(), "warm_start": WarmStart(), "l2sp": L2SP()}


@cache
def source_of(name: str) -> Surrogate:
    problem, settings = SOURCES[name]
    return fit(problem, settings=settings, seed=0)


@cache
def references_of(case: str) -> References:
    source, target, _ = CASES[case]
    return transfer_references(SOURCES[source][0], target, "auto", None)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    for seed, case in product(range(options.first, options.seeds), options.cases):
        source, references = source_of(CASES[case][0]), references_of(case)
        assert references.target is not None
        for labels, method in product(LABELS, options.methods):
            drawn = draw_labels(references.target, labels, seed=seed, noise=NOISE)
            result = transfer(
                source, CASES[case][1], method=METHODS[method], physics=False,
                data=Measurements(drawn.points, drawn.values), reference=references,
            )  # fmt: skip
            about = result.record()
            kept = (
                "zero_shot_error", "target_error", "cv_error", "zero_shot_cv", "strength", "prior",
                "source_returned",
            )  # fmt: skip
            yield {
                "case": case, "labels": labels, "seed": seed, "method": method,
                **{key: about[key] for key in kept},
                "seconds": about["seconds"]["calibrate"],
                **coverage(result, references.target, seed),
            }  # fmt: skip


def coverage(result: Any, reference: Reference, seed: int) -> dict[str, float]:
    """Share of new measurements, and of values of the field, in the 90 % interval."""
    rng = np.random.default_rng(1000 + seed)
    at = reference.problem.domain.sample(POINTS, rng)
    true = reference(*at.T)
    spread = reference.values.reshape(len(true), -1).std(1)[:, None]
    measured = true + NOISE * spread * rng.standard_normal(true.shape)
    shares = {}
    for name, values, noise in (("coverage", measured, True), ("field_coverage", true, False)):
        found = result.predictive(*at.T, level=0.9, noise=noise)
        lower, upper = np.atleast_2d(found.lower), np.atleast_2d(found.upper)
        shares[name] = float(np.mean((lower <= values) & (values <= upper)))
    return shares


def checked_table(record: Record) -> str:
    """The table; what is missed ends with exit status 1."""
    return without_faults(table(record), faults(record))


def table(record: Record) -> str:
    """A row a case and number of labels, a sentence on all of them, and what is missed."""
    rows, chosen = [], record["runs"]
    methods = [name for name in SHOWN if any(run["method"] == name for run in chosen)]
    for case, (_, _, title) in CASES.items():
        for labels in LABELS:
            own = [run for run in chosen if (run["case"], run["labels"]) == (case, labels)]
            if not own:
                continue
            by_method = {name: [run for run in own if run["method"] == name] for name in methods}
            first = by_method[methods[0]]
            row = [title, str(labels), f"{first[0]['zero_shot_error']:.1e}"]
            for name in methods:
                row.append(interval(ratios(by_method[name])))
            if {"pac", "warm_start"} <= set(methods):
                pac, warm = (errors(by_method[name]) for name in ("pac", "warm_start"))
                row.append(interval(pac / warm))
            row.append(f"{np.mean([run['coverage'] for run in first]):.0%}")
            row.append(str(sum(run["source_returned"] for run in first)))
            rows.append(row)
    shown = [f"{SHOWN[name]} ÷ zero-shot" for name in methods]
    against = ["PAC ÷ warm start"] if {"pac", "warm_start"} <= set(methods) else []
    name = SHOWN[methods[0]]
    head = ["target", "labels", "zero-shot", *shown, *against, f"covered by {name}", "returned"]
    missed = [f"- **Missed**: {fault}." for fault in faults(record)]
    return markdown(head, rows) + "\n" + "\n".join([*summary(record), *missed]) + "\n"


def errors(some: Sequence[Run]) -> np.ndarray:
    return np.array([run["target_error"] for run in sorted(some, key=lambda run: run["seed"])])


def ratios(some: Sequence[Run]) -> np.ndarray:
    return errors(some) / some[0]["zero_shot_error"]


def interval(values: np.ndarray) -> str:
    """Geometric mean with its 95 % interval by a bootstrap over seeds."""
    logs = np.log(values)
    means = np.random.default_rng(0).choice(logs, (10_000, len(logs))).mean(1)
    low, high = np.exp(np.percentile(means, [2.5, 97.5]))
    return f"{np.exp(logs.mean()):.2g} [{low:.2g}, {high:.2g}]"


def summary(record: Record) -> list[str]:
    """What must be shown, method by method."""
    found = []
    for name, shown in SHOWN.items():
        own = [run for run in record["runs"] if run["method"] == name]
        if not own:
            continue
        worst = np.array([run["target_error"] / run["zero_shot_error"] for run in own])
        new, field = (np.mean([run[key] for run in own]) for key in ("coverage", "field_coverage"))
        found.append(
            f"- {shown}: at most {WORST} times the zero-shot error in {np.mean(worst <= WORST):.1%}"
            f" of {len(own)} runs, {worst.max():.2f} times at worst; the source is returned in "
            f"{sum(run['source_returned'] for run in own)}. In the 90 % interval lie {new:.0%} of "
            f"new measurements, and {field:.0%} of the values of the field."
        )
    return found


def faults(record: Record) -> list[str]:
    """What PAC has to show and does not."""
    own = [run for run in record["runs"] if run["method"] == "pac"]
    if not own:
        return []
    found = []
    share = np.mean([run["target_error"] <= WORST * run["zero_shot_error"] for run in own])
    if share < SHARE:
        found.append(f"PAC is at most {WORST} times the zero-shot error in {share:.0%} of the runs")
    for case in CASES:
        for labels in LABELS[1:]:
            some = [run for run in own if (run["case"], run["labels"]) == (case, labels)]
            if some and not np.median(ratios(some)) < 1:
                title, returned = CASES[case][2], sum(run["source_returned"] for run in some)
                found.append(
                    f"{title}, {labels} labels: PAC is not better in the median; the source is "
                    f"returned in {returned} of {len(some)} runs"
                )
    covered = float(np.mean([run["coverage"] for run in own]))
    if not COVERED[0] <= covered <= COVERED[1]:
        found.append(f"PAC's intervals cover {covered:.0%}")
    return found


def main() -> None:
    parser = Benchmark(__doc__ or "", "few_labels", seeds=10)
    parser.add_argument("--first", type=int, default=0, help="first seed, to go on with others")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.carry_out("transfers by labels alone, by defaults", runs, checked_table, noise=NOISE)


if __name__ == "__main__":
    main()
