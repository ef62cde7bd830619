"""Friedman #1 from few labels, by defaults: the pairs of notebooks/regression_friedman.py.

Nothing is tuned. A seed has the source, the target's labels and the test points that it has in the
notebook. Errors are RMSE on noise-free test points; labels have noise of standard deviation 1.

    python benchmarks/few_labels_friedman.py [--seeds 10]
"""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from common import Benchmark, Record, Run, markdown
from scipy.stats import t as student

from pacpde.methods import fit_table, transfer_table

LABELS, SOURCE_ROWS, TEST_POINTS, DISTANCE = (10, 25, 50, 100, 200), 5000, 5000, 1.0
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "PAC": ("pac", {}),
    "PAC, sparsity 0.8": ("pac", {"sparsity": 0.8}),
    "warm start": ("warm_start", {}),
    "L2-SP": ("l2sp", {}),
}
# means that the notebook prints, whose λ (PAC) and steps (warm start) are tuned
TUNED = {
    "PAC, tuned": (2.04, 1.64, 1.35, 1.06, 0.96),
    "warm start, tuned": (2.27, 2.04, 1.62, 1.81, 1.54),
    "Gaussian process on the source's residual": (2.22, 1.81, 1.13, 0.86, 0.62),
    "Gaussian process, no source": (4.66, 3.27, 1.72, 0.84, 0.50),
}


def values(inputs: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The function without its noise."""
    z = b * inputs[:, :5] + c
    waves = a[0] * 10 * np.sin(np.pi * z[:, 0] * z[:, 1])
    return waves + a[1] * 20 * (z[:, 2] - 0.5) ** 2 + a[2] * 10 * z[:, 3] + a[3] * 5 * z[:, 4]


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    target = np.ones(4), np.ones(5), np.zeros(5)
    for seed in range(options.seeds):
        rng = np.random.default_rng(seed)
        wide, narrow = 0.1 * DISTANCE, 0.05 * DISTANCE
        source = rng.normal(1, wide, 4), rng.normal(1, wide, 5), rng.normal(0, narrow, 5)

        def table(rows: int, function: Any, rng: Any = rng) -> tuple[np.ndarray, np.ndarray]:
            inputs = rng.uniform(size=(rows, 10))
            return inputs, values(inputs, *function) + rng.normal(size=rows)

        before = table(SOURCE_ROWS, source)
        inputs, outputs = table(max(LABELS), target)
        test = rng.uniform(size=(TEST_POINTS, 10))
        expected = values(test, *target)
        network = fit_table(*before, seed=seed, width=24, steps=60)

        def error(surrogate: Any, test: Any = test, expected: Any = expected) -> float:
            return float(np.sqrt(np.mean((surrogate(*test.T) - expected) ** 2)))

        for labels in LABELS:
            for shown, (method, chosen) in METHODS.items():
                result = transfer_table(
                    network, inputs[:labels], outputs[:labels], source_table=before,
                    method=method, seed=seed, **chosen,
                )  # fmt: skip
                about = result.record()
                found = result.predictive(*test.T)
                noisy = expected + np.random.default_rng(1000 + seed).normal(size=TEST_POINTS)
                yield {
                    "seed": seed, "labels": labels, "method": shown,
                    "zero_shot": error(network), "rmse": error(result.surrogate),
                    "cv_error": about["cv_error"], "zero_shot_cv": about["zero_shot_cv"],
                    "prior": about["prior"], "source_returned": about["source_returned"],
                    "coverage": float(np.mean((found.lower <= noisy) & (noisy <= found.upper))),
                }  # fmt: skip


def table(record: Record) -> str:
    """Mean RMSE with 95 % intervals over seeds, a row a method."""
    every = record["runs"]
    rows = [["zero-shot", *(cell(every, labels, None, "zero_shot") for labels in LABELS)]]
    rows += [
        [shown, *(cell(every, labels, shown, "rmse") for labels in LABELS)] for shown in METHODS
    ]
    rows += [[shown, *(f"{mean:.2f}" for mean in means)] for shown, means in TUNED.items()]
    ratios = [run["rmse"] / run["zero_shot"] for run in every if run["method"] == "PAC"]
    covered = np.mean([run["coverage"] for run in every if run["method"] == "PAC"])
    text = (
        f"PAC by default has at most {max(ratios):.2f} times the error of the source; its 90 % "
        f"intervals cover {covered:.0%} of new measurements."
    )
    head = ["RMSE", *(f"{labels} labels" for labels in LABELS)]
    return f"{markdown(head, rows)}\n{text}\n"


def cell(every: Sequence[Run], labels: int, shown: str | None, key: str) -> str:
    own = [
        run[key]
        for run in every
        if run["labels"] == labels and run["method"] == (shown or next(iter(METHODS)))
    ]
    if len(own) < 2:
        return f"{np.mean(own):.2f}"
    half = student.ppf(0.975, len(own) - 1) * np.std(own, ddof=1) / len(own) ** 0.5
    return f"{np.mean(own):.2f} ± {half:.2f}"


def main() -> None:
    parser = Benchmark(__doc__ or "", "few_labels_friedman", seeds=10)
    parser.carry_out("Friedman #1 from few labels, by defaults", runs, table)


if __name__ == "__main__":
    main()
