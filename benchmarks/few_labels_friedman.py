"""Friedman #1 from few labels, by defaults: the pairs of notebooks/regression_friedman.py.

Nothing is tuned. A seed has the source, the target's labels and the test points that it has in the
notebook. Errors are RMSE on noise-free test points; labels have noise of standard deviation 1.

    python benchmarks/few_labels_friedman.py [--seeds 10]
"""

import json
import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from common import ROOT, Benchmark, Record, Run, markdown
from scipy.stats import t as student

from pacpde.methods import fit_table, transfer_table

LABELS, SOURCE_ROWS, TEST_POINTS, DISTANCE = (10, 25, 50, 100, 200), 5000, 5000, 1.0
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "PAC": ("pac", {}),
    "PAC, sparsity 0.8": ("pac", {"sparsity": 0.8}),
    "warm start": ("warm_start", {}),
    "L2-SP": ("l2sp", {}),
}
# rows of the notebook, whose λ (PAC) and steps (warm start) are tuned
TUNED = {
    "PAC": "PAC, tuned",
    "warm start": "warm start, tuned",
    "GP on residual": "Gaussian process on the source's residual",
    "Gaussian process": "Gaussian process, no source",
}


def tuned() -> dict[str, list[str]]:
    """Mean RMSE with their intervals in the outputs of the executed notebook."""
    path = ROOT / "notebooks" / "regression_friedman.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "".join(
        "".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", [])
    )
    rows = {
        line[:20].strip(): re.findall(r"\d\.\d+ ± *\d\.\d+", line)
        for line in text.splitlines() if "±" in line
    }  # fmt: skip
    return {shown: rows[name] for name, shown in TUNED.items()}


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
    rows += [[shown, *means] for shown, means in tuned().items()]
    ratios = np.array([run["rmse"] / run["zero_shot"] for run in every if run["method"] == "PAC"])
    covered = np.mean([run["coverage"] for run in every if run["method"] == "PAC"])
    text = (
        "PAC by default is at most 1.1 times the error of the source in "
        f"{np.mean(ratios <= 1.1):.0%} of {len(ratios)} runs, {ratios.max():.2f} times at worst; "
        f"its 90 % intervals cover {covered:.0%} of new measurements."
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
