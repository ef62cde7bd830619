"""Libraries: errors, estimates and seconds at random coefficients, beside scipy at equal error.

For each family a library is built over a range, up to the largest of `--counts` sources or until
`--tolerance` is met. At each of these numbers `--targets` random coefficients are solved in one
batch. Errors are those of the worst field, at random points, by the exact solution, or by
references for the first `--references` targets where the family gives none. A library pays after
so many targets as the family's own solver takes its building time for, to the same error.

For Burgers scipy's set-ups on half of the domain (Chebyshev nodes with BDF, Radau or LSODA) are
tried at several numbers of nodes and tolerances. The quickest one whose errors are at most the
library's median is compared, in the same run; where other work shares the machine its seconds
mean little.

The exit status is 1 if a solution calls itself converged with an error above twice the tolerance.

    python benchmarks/library.py --families burgers --targets 1000
    python benchmarks/library.py --families heat wave kovasznay
"""

import math
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    Benchmark,
    Record,
    Run,
    earlier_runs,
    load_average,
    markdown,
    number,
    without_faults,
)
from limited import Tell, streamed
from scipy.integrate import solve_ivp
from scipy.interpolate import BarycentricInterpolator

import pacpde
from pacpde import Library, Runtime, identify_by_scipy
from pacpde.errors import PacpdeError, SolverError
from pacpde.physics import Problem, families
from pacpde.physics.numbers import relative_l2
from pacpde.problems.burgers import cole_hopf
from pacpde.reference import field_errors, solve
from pacpde.reference.certificate import LOOSEST

# family → coefficient → its range
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "burgers": {"nu": (0.003, 0.1)},
    "heat": {"alpha": (0.1, 1.0)},
    "fisher_kpp": {"r": (0.5, 2.0)},
    "wave": {"c": (0.5, 2.0)},
    "lorenz": {"rho": (14.0, 20.0)},
    "kovasznay": {"reynolds": (20.0, 100.0)},
    "helmholtz": {"k": (0.8, 1.6)},
    "heat_source": {"alpha": (0.1, 0.5), "q": (1.0, 4.0)},
    "poisson": {"a": (0.5, 2.0)},
    "lotka_volterra": {"alpha": (0.8, 1.4), "beta": (0.3, 0.5)},
}
AROUND = 1.3  # times the default, or the default over it, where a range ends
POINTS = 4096  # at which a solution is graded
BAND = 0.5, 10.0  # of estimated over true error
NODES, RTOLS = (24, 32, 48, 64, 96, 128), (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
INTEGRATORS = ("BDF", "Radau", "LSODA")
GRADES = 1e-9  # certified error of references that grade, where it can be had
FINEST = 1e-10  # error that a family's own solver is asked for at least
OF_ODES = 100  # targets at most of an ODE, whose errors are estimated one by one
TUNED = 5  # coefficients at which scipy's set-ups are tried


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Rows of each family; families that the record holds already are not made again."""
    record["limit"] = options.limit
    record["runs"] = earlier_runs(options.output, record)
    known = {row["family"] for row in record["runs"]}
    for name in options.families or [*RANGES, *(n for n in families.names() if n not in RANGES)]:
        if name not in known:
            yield from rows_of(name, options)


def range_of(problem: Problem) -> dict[str, tuple[float, float]]:
    """The range of a family: of those not named, the first coefficient around its default."""
    name, about = next(iter(problem.declared().items()))
    ends = sorted((about.default / AROUND, about.default * AROUND))
    around = (
        float(f"{max(ends[0], about.lower):.2g}"),
        float(f"{min(ends[1], about.upper):.2g}"),
    )
    return RANGES.get(problem.name, {name: around})


def rows_of(name: str, options: Namespace) -> Iterator[Run]:
    """One family, in a process of its own; a row says why there are no more of it."""
    ended = yield from streamed(work, name, options, limit=options.limit)
    if ended:
        yield {"family": name, "ended": ended, "limit": options.limit}


def work(name: str, options: Namespace, tell: Tell) -> None:
    """Tells a row at several numbers of sources of one build."""
    problem = families.get(name)()
    ranges = range_of(problem)
    spent, began = time.process_time(), time.perf_counter()
    measured_at: set[int] = set()

    def measure(library: Library) -> None:
        """A row, unless there is one; its seconds are not of the build."""
        nonlocal spent, began
        count = len(library.sources)
        if count in measured_at:
            return
        measured_at.add(count)
        clock, wall = time.process_time(), time.perf_counter()
        whole = Library(library.sources, tolerance=options.judged, ranges=ranges)
        build = {"family": name, "device": options.device, "build_cpu_seconds": clock - spent,
                 "build_seconds": wall - began}  # fmt: skip
        tell({**build, **measured(whole, options)})
        spent += time.process_time() - clock
        began += time.perf_counter() - wall

    try:
        library = Library.build(
            problem, ranges, tolerance=options.tolerance, most=max(options.counts),
            seconds=math.inf, runtime=Runtime(options.device),
            log=lambda sentence: print(name, sentence, flush=True),
            callback=lambda library: len(library.sources) in options.counts and measure(library),
        )  # fmt: skip
    except PacpdeError as refusal:
        tell({"family": name, "sentence": str(refusal)})
        return
    measure(library)


def measured(library: Library, options: Namespace) -> Run:
    """Errors, estimates and seconds of a library at random targets."""
    name, ranges = library.box.problem.name, library.box.ranges
    few = options.targets if library.box.problem.domain.space else min(options.targets, OF_ODES)
    targets = library.box.random(few, 1)
    clock = time.process_time()
    library.solve_many(targets[:2])  # what is computed once
    ready = time.process_time() - clock
    cpu = time.process_time()
    many = library.solve_many(targets)
    cpu = time.process_time() - cpu
    errors = errors_of(many, options.references)
    ratios = many.error_estimates[: len(errors)] / errors
    converged = [o == "converged" for o in many.outcomes]
    row = {
        "ranges": {key: list(pair) for key, pair in ranges.items()},
        "tolerance": library.tolerance,
        "sources": len(library.sources),
        "functions": library.backbone.functions,
        "ready_cpu_seconds": ready,
        "bytes": stored_bytes(library),
        "targets": len(targets),
        "graded": len(errors),
        "errors": quantiles(errors),
        "estimates_over_errors": quantiles(ratios),
        "in_band": float(((ratios >= BAND[0]) & (ratios <= BAND[1])).mean()),
        "below_tolerance": float((errors <= library.tolerance).mean()),
        "converged": float(np.mean(converged)),
        "worst_converged": float(np.max(errors[converged[: len(errors)]], initial=0.0)),
        "seconds_a_target": many.seconds / len(targets),
        "cpu_seconds_a_target": cpu / len(targets),
        "load": load_average(),
    }
    tolerance = float(np.clip(row["errors"]["median"], FINEST, LOOSEST))
    row["reference"] = reference_seconds(targets, tolerance)
    if name == "burgers":
        row["scipy"] = quickest_scipy(targets, row["errors"]["median"])
        row["kept"] = additions(library, targets)
        row["identified"] = identified(library)
    return row


def additions(library: Library, targets: Sequence[Problem]) -> dict[str, Any]:
    """What is kept of many targets: bits before and after, and bytes beside checkpoints."""
    points = targets[0].domain.sample(POINTS, np.random.default_rng(1)).T
    before = [np.asarray(source(*points)) for source in library.sources]
    first = np.asarray(library.add(targets[0])(*points))
    empty = stored_bytes(library)
    clock = time.process_time()
    for problem in targets[1:]:
        library.add(problem)
    seconds = time.process_time() - clock
    last = np.asarray(library.recall(targets[-1])(*points))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "library"
        library.save(folder)
        clock = time.process_time()
        again = Library.load(folder, library.sources[0].runtime)
        loading = time.process_time() - clock
        pacpde.save(library.nearest(targets[0]), Path(place) / "one")
        sizes = [sum(f.stat().st_size for f in (Path(place) / part).iterdir())
                 for part in ("library", "one")]  # fmt: skip
    same = [
        np.array_equal(before[k], again.recall(source.problem)(*points))
        for k, source in enumerate(library.sources)
    ]
    same += [
        np.array_equal(values, again.recall(problem)(*points))
        for problem, values in ((targets[0], first), (targets[-1], last))
    ]
    return {
        "additions": len(library.kept), "same_bits": all(same), "bytes": sizes[0],
        "bytes_of_one_target": (sizes[0] - empty) / (len(targets) - 1),
        "bytes_of_a_checkpoint": sizes[1], "cpu_seconds_to_load": loading,
        "cpu_seconds_an_addition": seconds / (len(targets) - 1),
    }  # fmt: skip


def identified(library: Library) -> dict[str, Any]:
    """ν = 0.0318 from 25 values with 1 % noise, by the library and by scipy's least squares."""
    rng = np.random.default_rng(0)
    truth = library.box.problem.with_coefficients(nu=0.0318)
    points = truth.domain.sample(25, rng)
    values = np.ravel(truth.exact(*points.T))
    values += 0.01 * values.std() * rng.normal(size=len(values))
    clock = time.process_time()
    ours = library.identify(points, values)
    middle = time.process_time()
    theirs = identify_by_scipy(library.box.problem, points, values, unknown=["nu"])
    end = time.process_time()
    return {
        "library": {"nu": ours.estimates["nu"], "cpu_seconds": middle - clock},
        "scipy": {"nu": theirs.estimates["nu"], "cpu_seconds": end - middle},
    }


def reference_seconds(targets: Sequence[Problem], tolerance: float) -> dict[str, Any]:
    """CPU seconds of the family's own solver, to the library's median error."""
    seconds = []
    for problem in targets[:TUNED]:
        clock = time.process_time()
        reference = solve(problem, tolerance=tolerance, loosest=LOOSEST)
        seconds.append(time.process_time() - clock)
    return {
        "solver": reference.solver,
        "tolerance": tolerance,
        "cpu_seconds_a_target": float(np.mean(seconds)),
    }


def errors_of(many: Any, references: int) -> np.ndarray:
    """True errors of the worst field, of all targets or of the first ones.

    Raises:
        SolverError: a reference is not ten times better than what it grades.
    """
    first = many.problems[0]
    points = first.domain.sample(POINTS, np.random.default_rng(0)).T
    found = np.asarray(many(*points))
    errors = []
    for problem, own in zip(many.problems, found, strict=True):
        truth, known = problem.exact(*points), 0.0
        if truth is None:
            if len(errors) == references:
                break
            reference = solve(problem, tolerance=GRADES, loosest=LOOSEST)
            truth, known = reference(*points), reference.certified_error
        truth = np.asarray(truth).reshape(-1, POINTS)
        errors.append(max(field_errors(own.reshape(truth.shape), truth, problem.scales)))
        if known > max(errors[-1] / 10, GRADES):
            raise SolverError(
                f"{problem} has a reference certified to {known:.1e}, which cannot grade an error "
                f"of {errors[-1]:.1e}."
            )
    return np.array(errors)


def stored_bytes(library: Library) -> int:
    """Of its folder."""
    with tempfile.TemporaryDirectory() as place:
        library.save(Path(place) / "library")
        return sum(file.stat().st_size for file in (Path(place) / "library").iterdir())


def quantiles(values: np.ndarray) -> dict[str, float]:
    shares = {"least": 0.0, "2.5%": 0.025, "median": 0.5, "97.5%": 0.975, "largest": 1.0}
    return {name: float(np.quantile(values, share)) for name, share in shares.items()}


def half_domain(nu: float, nodes: int, integrator: str, rtol: float) -> Any:
    """u(t, x) by Chebyshev collocation on x ∈ [0, 1], where u is odd; (solution, nodes)."""
    x, derivative = chebyshev(nodes)
    first = derivative[1:-1]
    second = (derivative @ derivative)[1:-1, 1:-1]

    def whole(u: np.ndarray) -> np.ndarray:
        return np.concatenate([[0.0], u, [0.0]])

    def rates(_: float, u: np.ndarray) -> np.ndarray:
        return -u * (first @ whole(u)) + nu * (second @ u)

    def jacobian(_: float, u: np.ndarray) -> np.ndarray:
        return -np.diag(first @ whole(u)) - u[:, None] * first[:, 1:-1] + nu * second

    solution = solve_ivp(
        rates, (0.0, 1.0), -np.sin(np.pi * x[1:-1]), integrator, jac=jacobian, rtol=rtol,
        atol=rtol, dense_output=True,
    )  # fmt: skip
    return solution, x


def chebyshev(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev points on [0, 1] and their differentiation matrix (Trefethen 2000, chapter 6)."""
    theta = np.pi * np.arange(nodes + 1) / nodes
    x = np.cos(theta)
    c = np.concatenate([[2.0], np.ones(nodes - 1), [2.0]]) * (-1.0) ** np.arange(nodes + 1)
    gaps = x[:, None] - x + np.eye(nodes + 1)
    matrix = np.outer(c, 1 / c) / gaps
    matrix -= np.diag(matrix.sum(1))
    return (x + 1) / 2, 2 * matrix


def scipy_error(nu: float, nodes: int, integrator: str, rtol: float) -> tuple[float, float]:
    """Relative L2 error on a grid, and seconds of the solution alone."""
    clock = time.perf_counter()
    solution, x = half_domain(nu, nodes, integrator, rtol)
    seconds = time.perf_counter() - clock
    t, y = np.linspace(0, 1, 41), np.linspace(0, 1, 201)
    inside = solution.sol(t)
    edge = np.zeros((1, len(t)))
    values = BarycentricInterpolator(x, np.concatenate([edge, inside, edge]))(y)
    return relative_l2(values, cole_hopf(nu, t[None], y[:, None])), seconds


def quickest_scipy(targets: Sequence[Problem], error: float) -> dict[str, Any]:
    """The quickest set-up whose errors are at most `error` at some of the targets."""
    viscosities = [problem.nu for problem in targets[:TUNED]]
    best: dict[str, Any] = {}
    for integrator in INTEGRATORS:
        for nodes in NODES:
            for rtol in RTOLS:
                tried = [scipy_error(nu, nodes, integrator, rtol) for nu in viscosities]
                reached, seconds = (
                    float(f(own))
                    for f, own in zip((np.median, np.mean), zip(*tried, strict=True), strict=True)
                )
                if reached <= error and seconds < best.get("seconds_a_target", np.inf):
                    best = {
                        "integrator": integrator, "nodes": nodes, "rtol": rtol,
                        "error": reached, "seconds_a_target": seconds,
                    }  # fmt: skip
    return best


def faults(record: Record) -> list[str]:
    """What calls itself right and is not."""
    return [
        f"{row['family']}: converged with an error of {row['worst_converged']:.1e}"
        for row in made(record)
        if row["worst_converged"] > 2 * row["tolerance"]
    ] + [
        f"{row['family']}: a solver that was kept has other bits"
        for row in made(record)
        if not row.get("kept", {"same_bits": True})["same_bits"]
    ]


def made(record: Record) -> list[Run]:
    """The rows of libraries that there are."""
    return [row for row in record["runs"] if "errors" in row]


def table(record: Record) -> str:
    """A line a family and number of sources."""
    head = [
        "family", "over", "sources", "functions", "build CPU s", "error: median", "largest",
        "≤ 1e-4", "estimate/error: 2.5 %, median, 97.5 %", "in band", "CPU ms a target",
        "its own solver to the median error, CPU ms", "pays after", "on",
    ]  # fmt: skip
    lines = []
    for row in made(record):
        ranges = ", ".join(f"{n} {a:g}–{b:g}" for n, (a, b) in row["ranges"].items())
        ratios, solver = row["estimates_over_errors"], row["reference"]["cpu_seconds_a_target"]
        lines.append(
            [
                row["family"], ranges, str(row["sources"]), str(row["functions"]),
                f"{row['build_cpu_seconds']:.0f}", number(row["errors"]["median"]),
                number(row["errors"]["largest"]), f"{row['below_tolerance']:.1%}",
                ", ".join(f"{ratios[name]:.1f}" for name in ("2.5%", "median", "97.5%")),
                f"{row['in_band']:.1%}", f"{1e3 * row['cpu_seconds_a_target']:.1f}",
                f"{1e3 * solver:.0f}", break_even(row, solver), place(row, record),
            ]
        )  # fmt: skip
    text = markdown(head, lines)
    for row in record["runs"]:
        if "errors" not in row:
            limit = row.get("limit", record["limit"])
            why = row.get("sentence") or f"no more rows after {limit:g} CPU seconds"
            text += f"\n- {row['family']}: {why}"
    text += "\n"
    for row in made(record):
        best = row.get("scipy")
        if best:
            own, theirs = row["seconds_a_target"], best["seconds_a_target"]
            text += (
                f"\n{row['family']} with {row['sources']} sources: scipy's quickest set-up to "
                f"{row['errors']['median']:.1e} is {best['integrator']} with {best['nodes']} nodes "
                f"and rtol {best['rtol']:g}, {1e3 * theirs:.1f} ms a target; the library takes "
                f"{1e3 * own:.2f} ms, {theirs / own:.0f} times less, and pays after "
                f"{break_even(row, theirs)}.\n"
            )
        if "identified" in row:
            each = [
                f"{who} {own['nu'][0]:.5g} ± {own['nu'][1]:.3g} in {own['cpu_seconds']:.2f} CPU s"
                for who, own in row["identified"].items()
            ]
            text += (
                f"\nν = 0.0318 from 25 values with 1 % noise ({row['sources']} sources): "
                f"{', '.join(each)}.\n"
            )
        kept = row.get("kept")
        if kept:
            text += (
                f"\nAfter {kept['additions']:,} additions it takes {kept['bytes'] / 1e6:.1f} MB "
                f"and loads in {kept['cpu_seconds_to_load']:.1f} s; as many surrogate folders have "
                f"{kept['additions'] * kept['bytes_of_a_checkpoint'] / 1e6:.0f} MB. Sources, the "
                "first addition and the last one are recalled from it "
                f"{'to the last bit' if kept['same_bits'] else 'WITH OTHER BITS'}.\n"
            )
    return without_faults(text, faults(record))


def place(row: Run, record: Record) -> str:
    """The processor or the GPU that a row was made on."""
    machine = row.get("machine", record["machine"])
    return str(machine["gpu" if row.get("device", "cpu") != "cpu" else "cpu"])


def break_even(row: Run, solver: float) -> str:
    """Number of targets after which the library has cost less than a solver of each."""
    gained = solver - row["cpu_seconds_a_target"]
    if gained <= 0:
        return "never"
    return f"{(row['build_cpu_seconds'] + row['ready_cpu_seconds']) / gained:,.0f} targets"


def main() -> None:
    parser = Benchmark(__doc__, "library")
    parser.add_argument("--families", nargs="+", choices=families.names(), metavar="NAME")
    parser.add_argument("--tolerance", type=float, default=1e-7, help="at which a build ends")
    parser.add_argument("--judged", type=float, default=1e-4, help="tolerance of what is solved")
    parser.add_argument("--counts", type=int, nargs="+", default=[4, 8, 12], help="of sources")
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--limit", type=float, default=900.0, help="CPU seconds between two rows")
    parser.add_argument("--references", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    parser.carry_out("libraries at random coefficients", runs, table, key="runs")


if __name__ == "__main__":
    main()
