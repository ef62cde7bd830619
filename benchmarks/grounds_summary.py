"""Tables and sentences on the four grounds: errors, ratios to PAC's, and who wins where."""

from collections.abc import Iterator, Sequence
from functools import cache
from statistics import median

import numpy as np
from common import Record, Run, markdown

NAMES = {
    "pac": "PAC",
    "allocated": "the source as PAC has allocated it",
    "pac_net": "PAC-Net",
    "packnet": "PackNet",
    "warm_start": "warm start",
    "l2sp": "L2-SP",
    "bss": "BSS",
    "lwf": "LwF",
    "lora": "LoRA",
    "last_layer": "last layer",
    "transtailor": "TransTailor",
    "scratch": "scratch",
    "zero_shot": "zero-shot",
    "gaussian_process": "Gaussian process",
    "process_on_residual": "Gaussian process on the residual",
    "ridge_on_features": "ridge on the source's features",
    "logistic_on_features": "logistic regression on the source's features",
}
RESAMPLES, LEAST_SEEDS = 4000, 5
BESIDE = 1.1  # times the error of the source, which is asked for in most runs
TINY = 1e-300  # of an error, so that it has a logarithm
Column = tuple[int, float]  # labels, noise
Interval = tuple[float, float, float]  # of a ratio: geometric mean, lower and upper end


def summary(record: Record, grounds: Sequence[str] = ()) -> str:
    """A table a case, and after those of a ground a paragraph on who wins where.

    Args:
        grounds: of which; all of the record's without it.
    """
    text = []
    for ground in grounds or list(dict.fromkeys(run["ground"] for run in record["runs"])):
        own = [run for run in record["runs"] if run["ground"] == ground]
        if not own:
            text.append(f"Not measured yet: {ground}.\n")
            continue
        names = dict.fromkeys(run["case"] for run in own)
        cases = {name: [run for run in own if run["case"] == name] for name in names}
        text += [table_of(case, of_case) for case, of_case in cases.items()]
        text.append(paragraph(cases))
    return "\n".join(text)


def table_of(case: str, runs: Sequence[Run]) -> str:
    """A line a method, a column a number of labels: median error, and its ratio to PAC's."""
    columns = columns_of(runs)
    noises = {noise for _, noise in columns}
    error = next((run["error"] for run in runs if "error" in run), "error")
    head = [f"{case}: {error}; over PAC's [95 %]", *(label(column, noises) for column in columns)]
    lines = []
    for name in names_of(runs):
        cells = [cell(name, at(runs, column)) for column in columns]
        lines.append([NAMES.get(name, name), *cells])
    lines.append(["seeds", *(str(len(finished(at(runs, column)))) for column in columns)])
    return markdown(head, lines)


def label(column: Column, noises: set[float]) -> str:
    """Of a column; the noise is said where it is not the same in all."""
    labels, noise = column
    return f"{labels} labels" + (f", {noise:.0%} noise" if len(noises) > 1 else "")


def cell(name: str, runs: Sequence[Run]) -> str:
    """Median error, accuracy of classes, ratio to PAC's error, and failures."""
    own = [run for run in finished(runs) if name in run["results"]]
    failed = sum(name in run.get("failures", {}) for run in runs)
    if not own:
        return f"{failed} failed" if failed else "–"
    text = f"{median(run['results'][name][0] for run in own):.3g}"
    accuracies = [run["accuracy"][name] for run in own if name in run.get("accuracy", {})]
    if accuracies:
        text += f" ({np.mean(accuracies):.0%})"
    found = ratio(name, own)
    if found:
        text += f"; {found[0]:.2g} [{found[1]:.2g}, {found[2]:.2g}]"
    return text + (f"; {failed} failed" if failed else "")


def ratio(name: str, runs: Sequence[Run]) -> Interval | None:
    """Error over PAC's, by the same seeds; None of too few, and of PAC."""
    both = [run["results"] for run in finished(runs) if {name, "pac"} <= run["results"].keys()]
    if name == "pac" or len(both) < LEAST_SEEDS:
        return None
    own, pac = (np.array([results[key][0] for results in both]) for key in (name, "pac"))
    logs = np.log(np.maximum(own, TINY)) - np.log(np.maximum(pac, TINY))
    low, high = np.percentile(logs[resampled(len(logs))].mean(1), [2.5, 97.5])
    return float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high))


@cache
def resampled(count: int) -> np.ndarray:
    """Numbers of seeds, drawn with replacement, [resamples, count]."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


def paragraph(cases: dict[str, list[Run]]) -> str:
    """Where PAC wins, ties and loses, by the intervals, and what has the smallest errors."""
    verdicts = list(verdicts_of(cases))
    if not verdicts:
        return f"Fewer than {LEAST_SEEDS} seeds: no intervals.\n"
    counts = {word: sum(own == word for *_, own in verdicts) for word in ("wins", "loses", "ties")}
    text = (
        f"Of {len(verdicts)} comparisons PAC wins {counts['wins']} and loses {counts['loses']}; "
        f"{counts['ties']} are not told apart by their interval."
        f"{beside_source(cases)}"
    )
    for case in cases:
        own = [verdict for verdict in verdicts if verdict[0] == case]
        if own:
            text += f"\n- **{case}.** {'; '.join(sentences(own))}. {leaders(cases[case])}"
    return text + "\n"


def beside_source(cases: dict[str, list[Run]]) -> str:
    """PAC's error over that of the source untouched, in all runs; "" where it has none."""
    both = [run["results"] for runs in cases.values() for run in finished(runs)
            if {"pac", "zero_shot"} <= run["results"].keys()]  # fmt: skip
    if not both:
        return ""
    ratios = np.array([results["pac"][0] / results["zero_shot"][0] for results in both])
    return (
        f" PAC is at {median(ratios):.2g} times the error of zero-shot in the median of "
        f"{len(ratios)} runs, and at most at {BESIDE} times in {np.mean(ratios <= BESIDE):.1%}."
    )


def verdicts_of(cases: dict[str, list[Run]]) -> Iterator[tuple[str, str, str, str]]:
    """(case, rival, column, "wins", "loses" or "ties" of PAC)."""
    for case, runs in cases.items():
        columns = columns_of(runs)
        noises = {noise for _, noise in columns}
        for name in names_of(runs):
            for column in columns:
                found = ratio(name, at(runs, column))
                if found:
                    word = "wins" if found[1] > 1 else "loses" if found[2] < 1 else "ties"
                    where = f"{column[0]}" + (f" at {column[1]:.0%}" if len(noises) > 1 else "")
                    yield case, NAMES.get(name, name), where, word


def sentences(verdicts: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    """PAC wins against these rivals, at these numbers of labels where not at all of them."""
    for word, start in (
        ("wins", "PAC wins against"), ("loses", "loses to"), ("ties", "is not told apart from"),
    ):  # fmt: skip
        parts = []
        for rival in dict.fromkeys(own[1] for own in verdicts):
            of_rival = [own for own in verdicts if own[1] == rival]
            where = [own[2] for own in of_rival if own[3] == word]
            if where:
                all_of_it = len(where) == len(of_rival)
                parts.append(rival if all_of_it else f"{rival} ({', '.join(where)})")
        if parts:
            yield f"{start} {', '.join(parts)}"


def leaders(runs: Sequence[Run]) -> str:
    """What has the smallest median error at each number of labels."""
    columns = columns_of(runs)
    noises = {noise for _, noise in columns}
    first: dict[str, list[str]] = {}
    for column in columns:
        own = finished(at(runs, column))
        errors: dict[str, list[float]] = {}
        for run in own:
            for name, (error, _) in run["results"].items():
                errors.setdefault(name, []).append(error)
        if errors:
            medians = {name: median(errors[name]) for name in names_of(own) if name in errors}
            best = NAMES.get(name := min(medians, key=medians.__getitem__), name)
            where = f"{column[0]}" + (f" at {column[1]:.0%}" if len(noises) > 1 else "")
            first.setdefault(best, []).append(where)
    listed = "; ".join(f"{name} ({', '.join(where)})" for name, where in first.items())
    return f"Smallest median error: {listed}."


def finished(runs: Sequence[Run]) -> list[Run]:
    """Those that were not ended early."""
    return [run for run in runs if "results" in run]


def at(runs: Sequence[Run], column: Column) -> list[Run]:
    return [run for run in runs if (run["labels"], run["noise"]) == column]


def columns_of(runs: Sequence[Run]) -> list[Column]:
    return sorted({(run["labels"], run["noise"]) for run in runs})


def names_of(runs: Sequence[Run]) -> list[str]:
    """Methods and rivals that some run holds, in the order of `NAMES`."""
    held = {name for run in runs for part in ("results", "failures") for name in run.get(part, {})}
    return [*(name for name in NAMES if name in held), *sorted(held - NAMES.keys())]
