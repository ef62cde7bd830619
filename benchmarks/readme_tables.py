"""The tables of README.md, each from records."""

import statistics

import published_targets
from common import RESULTS, Record, Run, markdown, read_record
from few_labels_friedman import tuned
from identification import apart, right
from methods_table import stored_groups
from times import shown


def demo_table(record: Record) -> str:
    """The demo's methods side by side."""
    head = (
        "method", "target error", "zero-shot", "source before", "source after",
        "free of all weights", "seconds on the target", "on the source again", "outcome",
    )  # fmt: skip
    runs = record["records"]
    source = f"\nThe source took {runs[0]['seconds']['source']:.0f} s.\n"
    return markdown(head, map(_demo_row, runs)) + source


def _demo_row(run: Run) -> list[str]:
    errors, seconds = run["source_error"], run["seconds"]
    after = errors["recalled"] if errors["recalled"] is not None else errors["unmasked"]
    memory = "recalled" if errors["recalled"] is not None else "forgotten"
    again = (seconds["prune"] or 0) + (seconds["allocate"] or 0)
    return [
        run["method"],
        f"{run['target_error']:.1e}",
        f"{run['zero_shot_error']:.1e}",
        "–" if errors["trained"] is None else f"{errors['trained']:.1e}",
        f"{after:.1e} ({memory})",
        f"{run['free_parameters']} of {run['total_parameters']}",
        f"{seconds['calibrate']:.0f}",
        f"{again:.0f}" if again else "–",
        run["outcome"],
    ]


def headline(record: Record) -> str:
    """What a transfer brings, beside the published number."""
    error, seconds = record["published"]["error"], record["published"]["seconds"]
    warm, heads, deepxde = (
        published_targets.times_to(record, error, method)
        for method in ("warm_start", "library_head", "deepxde")
    )
    tuned = published_targets.times_to(record, min(published_targets.THRESHOLDS), "scipy")
    found = [run["error"] for run in record["runs"] if run["method"] == "library_head"]
    source, *targets = read_record("ten_targets")["runs"]
    worst = max(run["error"] for run in targets)
    return (
        f"- **{len(heads)} new coefficients of Burgers' equation, "
        f"{1e3 * statistics.median(heads):.0f} ms each** (median, one core) by a library of "
        f"{record['library']['sources']} solved ones, with errors of at most {plain(max(found))} "
        f"and an estimate of each. Once, it took {record['library']['seconds']:.0f} s beyond its "
        f"first {len(record['sources'])} sources. scipy, tuned among 108 set-ups, takes "
        f"{1e3 * statistics.median(tuned):.0f} ms to {plain(min(published_targets.THRESHOLDS))}.\n"
        f"- **The same ten, {shown(statistics.median(warm))} s each** from the nearest of "
        f"{len(record['sources'])} stored networks, to an error of {plain(error)}. The benchmark's "
        f"authors (TL-PINNs) report {seconds:g} s; their way in DeepXDE takes "
        f"{shown(statistics.median(deepxde))} s here.\n"
        f"- **{len(targets)} coefficients in one network**, with errors of at most {plain(worst)}, "
        f"beside its source ({plain(source['error'])}). Each solver is recalled bit for bit.\n"
        "- **Frozen means frozen.** Weights of the source are not in the vector that an optimiser "
        "sees.\n"
    )


def ways_table() -> str:
    """What to take in which case, and what the records say for and against it."""
    rows = [
        ["one new coefficient, accuracy first", "`transfer(..., method=\"warm_start\")`",
         _warm_start()],
        ["the new and the old one, nothing forgotten", "`transfer(..., method=\"pac\")`", _pac()],
        ["a hard coefficient, far from an easy one", "`transfer(..., ladder=\"auto\")`", _ladder()],
        ["many in one network, nothing forgotten", "`transfer_in_turn(...)`", _in_turn()],
        ["few noisy labels, no equation", "`transfer_table(...)`, "
         "[notebook](notebooks/regression_friedman.ipynb)", _labels()],
        ["the coefficient itself, from measurements", "`pacpde identify`, "
         "[notebook](notebooks/coefficient_from_csv.ipynb)", _identification()],
        ["a DeepXDE script", "[seven lines](docs/deepxde.md)", _deepxde()],
        ["one coefficient, no source yet", "`fit(problem)`", _scratch()],
        ["one solution on a grid", "`pacpde solve`: scipy is enough", _scipy()],
    ]  # fmt: skip
    return markdown(["you want", "take", "what was measured"], rows)


def _warm_start() -> str:
    runs = read_record("published_targets")["runs"]
    ends = {
        method: [run["error"] for run in runs if run["method"] == method]
        for method in ("warm_start", "pac")
    }
    return (
        f"the {len(ends['warm_start'])} coefficients above end at an error of "
        f"{plain(statistics.median(ends['warm_start']))} (median), with PAC at "
        f"{plain(statistics.median(ends['pac']))}. The old solver is lost"
    )


def _ladder() -> str:
    runs = [run for run in read_record("ladders")["runs"] if run["problem"] == "burgers"]
    ends = {
        method: statistics.median(run["target"]["error"] for run in runs if run["method"] == method)
        for method in ("warm_start", "pac", "scratch")
    }
    took = statistics.median(run["seconds"] for run in runs if run["method"] == "warm_start")
    return (
        f"errors on Burgers from ν = 0.1 to 5e-4: warm start {plain(ends['warm_start'])} after "
        f"{took:.0f} s, PAC {plain(ends['pac'])}; from random weights in the same time "
        f"{plain(ends['scratch'])}"
    )


def _pac() -> str:
    runs = {run["method"]: run for run in read_record("demo")["records"]}
    pac, warm = runs["pac"], runs["warm_start"]
    return (
        f"errors in the demo: target {plain(pac['target_error'])}, source still "
        f"{plain(pac['source_error']['recalled'])}; warm start {plain(warm['target_error'])} and "
        f"{plain(warm['source_error']['unmasked'])}. PAC first needs "
        f"{pac['seconds']['allocate'] + pac['seconds']['prune']:.0f} s on the source"
    )


def _in_turn() -> str:
    source, *targets = read_record("ten_targets")["runs"]
    return (
        f"errors of {len(targets)} targets: {plain(min(run['error'] for run in targets))} to "
        f"{plain(max(run['error'] for run in targets))}, of the source {plain(source['error'])}; "
        f"{statistics.median(run['seconds'] for run in targets):.0f} s each. With a file for each "
        "coefficient, warm start is quicker"
    )


def _labels() -> str:
    """Of Friedman #1, by defaults."""
    runs = read_record("few_labels_friedman")["runs"]
    few, many = (choose(run["labels"] for run in runs) for choose in (min, max))

    def both(method: str) -> str:
        means = [
            statistics.mean(
                run["rmse"] for run in runs if (run["method"], run["labels"]) == (method, labels)
            )
            for labels in (few, many)
        ]
        return " and ".join(f"{mean:.2f}" for mean in means)

    process = [row.partition(" ")[0] for row in tuned()["Gaussian process, no source"]]
    return (
        f"RMSE with {few} and {many} labels, nothing tuned: PAC {both('PAC')}, warm start "
        f"{both('warm start')}, Gaussian process {process[0]} and {process[-1]}"
    )


def _identification() -> str:
    runs = [run for run in read_record("identification")["runs"] if not run["spoiled"]]
    good = sum(right(run) and apart(run) <= 0.01 for run in runs)
    return (
        f"25 measured values: {good} of {len(runs)} right and within 1 % of scipy's least squares, "
        "which takes about as long"
    )


def _deepxde() -> str:
    runs = {run["name"]: run for run in read_record("deepxde_transfer_burgers")["runs"]}
    engine, pac, warm = (
        shown(runs[name]["seconds_to"]["0.01"])
        for name in ("engine, pac", "DeepXDE, PAC", "DeepXDE, warm start")
    )
    return (
        f"seconds to 1e-2 on Burgers, by DeepXDE's optimisers: PAC {pac}, warm start {warm}; its "
        f"network in this engine: PAC {engine}"
    )


def _scratch() -> str:
    runs = read_record("seeds_burgers")["runs"]
    errors, seconds = zip(*[(run["error"], run["seconds"]) for run in runs], strict=True)
    return (
        f"Burgers at ν = 0.01/π: errors of {len(runs)} seeds {plain(min(errors))} to "
        f"{plain(max(errors))} after {statistics.median(seconds):.0f} s (median). For a single "
        "target, a source and a transfer cost more"
    )


def _scipy() -> str:
    transfers = stored_groups(RESULTS / "methods")
    ahead, seconds = 0, []
    for group in transfers:
        ends = {
            variant: statistics.median(row["target_error"] for row in rows.values())
            for variant, rows in group.rows.items()
        }
        ahead += min(ends, key=lambda variant: ends[variant]).startswith("scipy")
        seconds += [row["seconds"]["total"] for row in group.rows["scipy"].values()]
    return (
        f"the smallest error of {len(ends)} methods and variants on {ahead} of {len(transfers)} "
        f"targets, in {statistics.median(seconds):.1f} s. It gives no function to differentiate"
    )


def plain(error: float) -> str:
    """Two digits at most: 2.5e-4, 3e-6."""
    digits, exponent = f"{error:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


TABLES = (
    ("demo", lambda: demo_table(read_record("demo"))),
    ("headline", lambda: headline(read_record("published_targets"))),
    ("ways", ways_table),
)
