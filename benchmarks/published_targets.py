"""Ten viscosities of Burgers from a published benchmark, each from the nearest of five sources.

The targets and the published seconds are those of TL-PINNs (github.com/mariusmerkle/TL-PINNs),
which moves networks of 8×20 by L-BFGS: a median of 6.7 s for each target, to an error of about
2.5e-4, on a machine of its authors. Here the sources are trained at 0.01/π times 1, 2, 3, 5 and 8,
the nearest in log ν is moved, and errors are measured against the exact solution of Cole and Hopf.

Seconds are those that this process computed, by one thread, so that other work on the machine does
not count.

    python benchmarks/published_targets.py
"""

import math
import statistics
import time
from argparse import Namespace
from collections.abc import Iterator
from math import pi
from unittest.mock import patch

from common import Benchmark, Record, Run, markdown
from times import median_seconds, never_is_longest, on_target, seconds_to, shown

from pacpde import fit, transfer
from pacpde.datasets import reference_for
from pacpde.physics.domain import mesh
from pacpde.physics.numbers import relative_l2
from pacpde.problems import Burgers

TARGETS = (0.0037, 0.0059, 0.006, 0.0127, 0.0144, 0.0149, 0.0187, 0.0255, 0.0258, 0.0259)
SOURCES = tuple(k * 0.01 / pi for k in (1, 2, 3, 5, 8))
PUBLISHED = {"seconds": 6.7, "error": 2.5e-4, "network": "8x20", "method": "warm start, L-BFGS"}
THRESHOLDS = (PUBLISHED["error"], 1e-5)
METHODS = ("warm_start", "pac")


def main() -> None:
    parser = Benchmark(__doc__, "published_targets", quick={"points": 50, "steps": 1})
    parser.set_defaults(threads=1)
    parser.carry_out("TL-PINNs' ten viscosities of Burgers", runs, table, published=PUBLISHED)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Every source, then every target by every method."""
    with patch("time.perf_counter", time.process_time):
        sources = [fit(Burgers(nu=nu), settings=options.source_settings) for nu in SOURCES]
        record["sources"] = [{"nu": s.problem.nu, "seconds": s.seconds} for s in sources]
        for nu in TARGETS:
            source = min(sources, key=lambda source: abs(math.log(source.problem.nu / nu)))
            for method in METHODS:
                result = transfer(
                    source, Burgers(nu=nu), method=method, seed=0, settings=options.settings
                )
                spent, curve = result.record()["seconds"], on_target(result)
                yield {
                    "method": method,
                    "nu": nu,
                    "source": source.problem.nu,
                    "seconds_to": seconds_to(curve, THRESHOLDS),
                    "calibrate": spent["calibrate"],
                    "allocate": spent["allocate"],
                    "error": exact_error(result.surrogate),
                    "recalled": result.source_error["recalled"],
                    "outcome": result.outcome,
                    "curve": curve,
                }


def exact_error(surrogate) -> float:
    """Relative L2 against the solution of Cole and Hopf."""
    points = mesh(list(reference_for(surrogate.problem).axes.values()))
    t, x = points[..., 0], points[..., 1]
    return relative_l2(surrogate(t, x), surrogate.problem.exact(t, x))


def table(record: Record) -> str:
    """A line a target."""
    rows = []
    for nu in dict.fromkeys(run["nu"] for run in record["runs"]):
        cells = [f"{nu:g}"]
        for run in record["runs"]:
            if run["nu"] == nu:
                cells += [*map(shown, run["seconds_to"].values()), f"{run['error']:.0e}"]
        rows.append(cells)
    columns = [*(f"s to {threshold:g}" for threshold in THRESHOLDS), "error at the end"]
    head = [f"{name}: {column}" for name in ("warm start", "PAC") for column in columns]
    return markdown(["ν", *head], rows) + "\n" + summary(record) + "\n"


def summary(record: Record) -> str:
    """The published number beside ours."""
    theirs = record["published"]
    level = f"{theirs['error']:g}"
    own = ", ".join(
        f"{name} {shown(median_seconds(times))} s (at most {shown(max(times))} s)"
        for name, times in zip(("warm start", "PAC"), times_to(record, level).values(), strict=True)
    )
    sources = [source["seconds"] for source in record["sources"]]
    return (
        f"Median to an error of {level}: {own}; published {theirs['seconds']:g} s. "
        f"The {len(sources)} sources took {statistics.median(sources):.0f} s each (median)."
    )


def times_to(record: Record, level: str) -> dict[str, list[float]]:
    """method → seconds to an error, of every target."""
    return {
        method: never_is_longest(
            run["seconds_to"][level] for run in record["runs"] if run["method"] == method
        )
        for method in METHODS
    }


if __name__ == "__main__":
    main()
