"""Problems that nobody tuned for: is anything that calls itself converged wrong?

Families are made at random, as plug-ins: ODEs and 1-D PDEs with one or two fields, random
coefficients, starts that do and do not meet their edges, kinks, time spans from 1e-6 to 1e5,
sizes from 1e-6 to 1e6 declared, declared wrongly or not declared, symmetric and not. Each is
fitted with few points and steps, some are moved to other coefficients, and pacpde's own reference
is asked for. All are graded by a solver that stands in this file: scipy's Radau for ODEs, finite
differences of second order on two grids for PDEs, whose difference, and that of two tolerances in
time, is the error of the truth.

A fit that ends `converged` with a true error of any field above 1e-2 is a fault; so is a
certificate below the true error of the reference. The exit status is 1 if there is any.

    python benchmarks/random_problems.py --count 200 --workers 2

The record is written after every problem, and problems that it holds are not run again.
"""

import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, make_dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from common import Benchmark, Record, Run, earlier_record, markdown, without_faults
from scipy.integrate import solve_ivp
from scipy.sparse import diags_array, kron

from pacpde import fit, transfer
from pacpde.errors import ContradictionWarning, PacpdeError
from pacpde.physics import Axis, Dirichlet, Evolution, Periodic, coefficient
from pacpde.physics.elementary import cos, exp, sin
from pacpde.reference import solve

LIMIT = 1e-2  # true error of a field above which "converged" is wrong
GRIDS = (300, 600)  # cells of the two grids of the truth
RTOL = 1e-7  # of the truth of PDEs in time; ten times as much tells its error
TIMES = 41
SETTINGS = {"width": 16, "depth": 2, "points": 250, "steps": 25}
# (t, x, fields, slopes, curvatures) → rates, all in units of the time span, the axis and the size
Rates = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class RandomProblem:
    """A random problem in its own units: t, x in [0, 1], fields of the order of 1.

    Attributes:
        rates: with a coefficient as the last argument.
        start: of x; numbers for an ODE.
        edges: None for an ODE, "periodic", or the values at both ends.
        other: the coefficient that it is moved to.
    """

    what: str
    rates: Rates
    start: Callable[..., tuple[Any, ...]]
    edges: str | tuple[float, float] | None
    coefficient: float
    other: float
    fields: int = 1
    span: float = 1.0
    length: float = 1.0
    sizes: tuple[float, ...] = (1.0,)
    scales: tuple[float, ...] = (1.0,)
    odd: bool = False
    time_windows: int = 1
    about: dict[str, Any] = field(default_factory=dict)


def problem(number: int, seed: int) -> RandomProblem:
    rng = np.random.default_rng([seed, number])
    return (_ode if rng.uniform() < 0.4 else _pde)(rng)


def _dressed(rng: np.random.Generator, case: RandomProblem) -> RandomProblem:
    """The same in other units, which its family declares, declares wrongly or does not declare."""
    sizes = tuple(float(10 ** rng.uniform(-6, 6)) for _ in range(case.fields))
    if rng.uniform() < 0.4:
        sizes = (1.0,) * case.fields
    declared = rng.choice(["right", "right", "right", "none", "wrong"])
    scales = {"right": sizes, "none": (1.0,) * case.fields}.get(
        declared, tuple(size * float(10 ** rng.uniform(-3, 3)) for size in sizes)
    )
    span = float(10 ** rng.uniform(-6, 5)) if rng.uniform() < 0.6 else 1.0
    length = float(10 ** rng.uniform(-3, 3)) if rng.uniform() < 0.4 else 1.0
    time_windows = int(rng.choice([1, 1, 1, 6]))
    about = {"span": span, "length": length, "sizes": sizes, "scales": scales}
    return replace(
        case,
        sizes=sizes,
        scales=scales,
        span=span,
        length=length,
        time_windows=time_windows,
        about=about,
    )


def _ode(rng: np.random.Generator) -> RandomProblem:
    c = float(10 ** rng.uniform(-0.5, 1.3))
    other = c * float(rng.uniform(0.6, 1.6))
    a, b = (float(value) for value in rng.uniform(0.3, 1.5, 2))
    kinds: dict[str, tuple[Rates, tuple[float, ...]]] = {
        "decay": (lambda t, u, k: (-k * u[0],), (a,)),
        "growth from a seed": (lambda t, u, k: (k * u[0] * (1 - u[0]),), (10 ** -(4 * a),)),
        "forced": (lambda t, u, k: (-k * (u[0] - sin(5 * t)),), (a,)),
        "spike": (lambda t, u, k: (k * exp(-(((t - 0.4) / 0.03) ** 2)) - u[0],), (0.0,)),
        "oscillator": (lambda t, u, k: (k * u[1], -k * u[0]), (a, b)),
        "predators": (
            lambda t, u, k: (k * u[0] * (1 - u[1]), k * u[1] * (u[0] - 1)),
            (0.5 + a, 0.5 + b),
        ),
        "van der Pol": (
            lambda t, u, k: (8 * u[1], 8 * (k * (1 - u[0] ** 2) * u[1] - u[0])),
            (a, b),
        ),
        "epidemic": (
            lambda t, u, k: (-3 * k * u[0] * u[1], 3 * k * u[0] * u[1] - 2 * u[1]),
            (1.0, 10 ** -(3 * a)),
        ),
        "stiff pair": (lambda t, u, k: (-100 * k * (u[0] - u[1]), u[0] - 2 * u[1]), (a, b)),
        "pendulum": (lambda t, u, k: (6 * u[1], -k * 6 * sin(u[0])), (a, b)),
        "saddle": (lambda t, u, k: (k * u[0] - u[1], -k * u[1]), (a * 1e-3, b)),
    }
    name = str(rng.choice(list(kinds)))
    rates, start = kinds[name]
    case = RandomProblem(name, rates, lambda: start, None, c, other, len(start))
    return _dressed(rng, case)


def _pde(rng: np.random.Generator) -> RandomProblem:
    c = float(10 ** rng.uniform(-2.5, 0))
    other = c * float(rng.uniform(0.6, 1.6))
    v, r = float(rng.uniform(-2, 2)), float(rng.uniform(0, 8))
    one: dict[str, Rates] = {
        "diffusion": lambda t, x, u, s, w, k: (k * w[0],),
        "convection": lambda t, x, u, s, w, k: (k * w[0] - v * s[0],),
        "burgers": lambda t, x, u, s, w, k: (k * w[0] - 2 * u[0] * s[0],),
        "fisher": lambda t, x, u, s, w, k: (k * w[0] + r * u[0] * (1 - u[0]),),
        "allen-cahn": lambda t, x, u, s, w, k: (k * w[0] + r * (u[0] - u[0] ** 3),),
        "heated": lambda t, x, u, s, w, k: (k * w[0] + r * exp(-(((x - 0.3) / 0.1) ** 2)),),
        "uneven": lambda t, x, u, s, w, k: (
            k * ((1 + 0.6 * sin(2 * np.pi * x)) * w[0] + 1.2 * np.pi * cos(2 * np.pi * x) * s[0]),
        ),
    }
    two: dict[str, Rates] = {
        "reactants": lambda t, x, u, s, w, k: (
            k * w[0] - r * u[0] * u[1], 0.5 * k * w[1] + r * u[0] * u[1] - u[1],
        ),
        "coupled": lambda t, x, u, s, w, k: (k * w[0] + r * u[1], k * w[1] - r * u[0]),
    }  # fmt: skip
    several = rng.uniform() < 0.25
    name = str(rng.choice(list(two if several else one)))
    edges: Any = "periodic" if rng.uniform() < 0.5 else (0.0, 0.0)
    starts: dict[str, Callable[..., Any]] = {
        "sine": lambda x: sin(2 * np.pi * x),
        "modes": lambda x: sin(2 * np.pi * x) - 0.4 * sin(6 * np.pi * x),
        "bell": lambda x: exp(-(((x - 0.5) / 0.1) ** 2)),
        "wide bell": lambda x: exp(-(((x - 0.5) / 0.4) ** 2)),
        "one": lambda x: 1 + 0 * x,
        "square": lambda x: (2 * x - 1) ** 2,
        "published": lambda x: (2 * x - 1) ** 2 * cos(np.pi * (2 * x - 1)),
        "triangle": lambda x: 1 - 2 * abs(x - 0.5),
        "ramp": lambda x: x,
        "bump": lambda x: x * (1 - x) * 4,
    }
    begin = str(rng.choice(list(starts)))
    start = starts[begin]
    fields = 2 if several else 1
    case = RandomProblem(
        f"{name} from {begin}, {edges}", (two if several else one)[name],
        lambda x: tuple(start(x) * (0.6 if number else 1.0) for number in range(fields)),
        edges, c, other, fields,
    )  # fmt: skip
    return _dressed(rng, case)


def family(case: RandomProblem, number: int) -> Any:
    """A family of pacpde in its own units, as a user would write it."""
    names = ("u", "v")[: case.fields]

    def rhs(self: Any, u: Any, d: Any) -> Any:
        parts = u if case.fields > 1 else (u,)
        own = [part / size for part, size in zip(parts, case.sizes, strict=True)]
        t = d.coordinates["t"] / case.span
        if case.edges is None:
            rates = case.rates(t, own, self.k)
        else:
            slopes, bends = (
                [d(p, axes) * case.length ** len(axes) / size
                 for p, size in zip(parts, case.sizes, strict=True)]
                for axes in ("x", "xx")
            )  # fmt: skip
            x = d.coordinates["x"] / case.length
            rates = case.rates(t, x, own, slopes, bends, self.k)
        rates = tuple(rate * size / case.span for rate, size in zip(rates, case.sizes, strict=True))
        return rates if case.fields > 1 else rates[0]

    def initial(self: Any, *space: Any) -> Any:
        parts = case.start(*(x / case.length for x in space))
        parts = tuple(part * size for part, size in zip(parts, case.sizes, strict=True))
        return parts if case.fields > 1 else parts[0]

    axes = [Axis("t", 0.0, case.span)]
    conditions: list[Any] = []
    if case.edges == "periodic":
        conditions = [Periodic("x")]
    elif case.edges is not None:
        conditions = [Dirichlet("x-", case.edges[0]), Dirichlet("x+", case.edges[1])]
    if case.edges is not None:
        axes.append(Axis("x", 0.0, case.length))
    body = {
        "name": f"random_{number}", "axes": tuple(axes), "fields": names, "scales": case.scales,
        "time_windows": case.time_windows, "rhs": rhs, "initial": initial,
        "conditions": lambda self: conditions,
    }  # fmt: skip
    k = coefficient(case.coefficient, lower=1e-9, upper=1e9, meaning="k")
    return make_dataclass(
        f"Random{number}", [("k", float, k)], bases=(Evolution,), namespace=body, frozen=True
    )


@dataclass(frozen=True)
class Truth:
    """The solution in a problem's own units: values [fields, times, points]."""

    t: np.ndarray
    x: np.ndarray | None
    values: np.ndarray
    error: float

    @classmethod
    def of(cls, case: RandomProblem, k: float) -> "Truth":
        t = np.linspace(0, 1, TIMES)
        try:
            return cls._found(case, k, t)
        except ValueError:  # scipy's, of solutions that grow without bound
            return cls.unknown(case, t)

    @classmethod
    def unknown(cls, case: RandomProblem, t: np.ndarray) -> "Truth":
        x = None if case.edges is None else np.linspace(0, 1, 2)
        return cls(t, x, np.full((case.fields, len(t), 1 if x is None else 2), np.nan), np.inf)

    @classmethod
    def _found(cls, case: RandomProblem, k: float, t: np.ndarray) -> "Truth":
        if case.edges is None:
            start = np.array(case.start(), float)
            fine = solve_ivp(
                lambda s, u: np.array(case.rates(s, u, k)), (0, 1), start, "Radau", t,
                rtol=1e-11, atol=1e-13 * np.abs(start).max(), max_step=0.01,
            )  # fmt: skip
            return cls(t, None, fine.y[:, :, None], 1e-8) if fine.success else cls.unknown(case, t)
        coarse, fine = (_lines(case, k, t, cells) for cells in GRIDS)
        ratio = GRIDS[1] // GRIDS[0]
        x = np.linspace(0, 1, GRIDS[0] + 1)[: coarse.shape[2]]
        # Richardson: second order in space
        shared = fine[:, :, ::ratio]
        values = shared + (shared - coarse) / (ratio**2 - 1)
        in_time = _worst(_lines(case, k, t, GRIDS[0], 10 * RTOL), coarse)
        return cls(t, x, values, _worst(shared, values) + in_time)


def _lines(
    case: RandomProblem, k: float, t: np.ndarray, cells: int, rtol: float = RTOL
) -> np.ndarray:
    """Fields [fields, times, points] by central differences on an even grid."""
    h = 1 / cells
    periodic = case.edges == "periodic"
    x = np.linspace(0, 1, cells + 1)
    x = x[:-1] if periodic else x
    inside = slice(None) if periodic else slice(1, -1)
    start = np.stack([np.broadcast_to(part, x.shape) for part in case.start(x)]).astype(float)
    if not periodic:
        start[:, 0], start[:, -1] = case.edges  # type: ignore[assignment]

    def rates(s: float, flat: np.ndarray) -> np.ndarray:
        u = start.copy()
        u[:, inside] = flat.reshape(case.fields, -1)
        left, right = np.roll(u, 1, 1), np.roll(u, -1, 1)
        slopes, bends = (right - left) / (2 * h), (right - 2 * u + left) / h**2
        found = case.rates(s, x, list(u), list(slopes), list(bends), k)
        return np.stack([np.broadcast_to(part, x.shape) for part in found])[:, inside].ravel()

    size = start[:, inside].shape[1]
    pattern = diags_array([np.ones(size)] * 3, offsets=[-1, 0, 1], shape=(size, size)).tolil()
    pattern[0, -1] = pattern[-1, 0] = 1
    sparsity = kron(np.ones((case.fields, case.fields)), pattern.tocsr())
    ran = solve_ivp(
        rates, (0, 1), start[:, inside].ravel(), "BDF", t, rtol=rtol, atol=rtol / 100,
        jac_sparsity=sparsity, max_step=0.02,
    )  # fmt: skip
    found = np.repeat(start[:, None], len(t), 1)
    if not ran.success:
        return np.full_like(found, np.nan)
    found[:, :, inside] = ran.y.reshape(case.fields, size, -1).transpose(0, 2, 1)
    return found


def _worst(found: np.ndarray, truth: np.ndarray) -> float:
    """Relative L2 of the worst field."""
    rows = (len(truth), -1)
    wrong = np.linalg.norm((found - truth).reshape(rows), axis=1)
    return float((wrong / np.linalg.norm(truth.reshape(rows), axis=1)).max())


def error(case: RandomProblem, truth: Truth, function: Callable[..., np.ndarray]) -> float:
    """True error of the worst field of a function of the coordinates."""
    space = [] if truth.x is None else [truth.x * case.length]
    mesh = np.meshgrid(truth.t * case.span, *space, indexing="ij")
    found = np.asarray(function(*mesh)).reshape(case.fields, TIMES, -1)
    return _worst(found / np.array(case.sizes)[:, None, None], truth.values)


def run(case: RandomProblem, number: int) -> dict[str, Any]:
    """Fit, move and certify one problem."""
    clock = time.perf_counter()
    kind = family(case, number)
    source_problem = kind()
    row: dict[str, Any] = {"number": number, "what": case.what, "k": case.coefficient, **case.about}
    truth = Truth.of(case, case.coefficient)
    row["truth_error"] = truth.error
    try:
        source = fit(source_problem, seed=number, settings=SETTINGS)
    except PacpdeError as fault:
        return {**row, "outcome": "refused", "sentence": str(fault)}
    row["fits"] = [_fit_row("fit", case, truth, source)]
    if number % 3 == 0:
        moved = Truth.of(case, case.other)
        for method in ("warm_start", "pac"):
            ended = transfer(
                source, kind(k=case.other), method=method, seed=number, reference=None,
                settings={"points": SETTINGS["points"], "steps": SETTINGS["steps"]},
            )  # fmt: skip
            row["fits"].append(_fit_row(method, case, moved, ended.surrogate))
    try:
        reference = solve(source_problem, tolerance=1e-6, loosest=1e-3)
        row["certificate"] = reference.certified_error
        row["certified_truth"] = error(case, truth, reference)
    except PacpdeError as fault:
        row["no_certificate"] = str(fault)
    row["seconds"] = time.perf_counter() - clock
    return row


def _fit_row(what: str, case: RandomProblem, truth: Truth, surrogate: Any) -> dict[str, Any]:
    assessment = surrogate.assessment
    return {
        "what": what,
        "outcome": surrogate.outcome,
        "error": error(case, truth, surrogate),
        "residual": assessment and assessment.residual,
        "estimate": assessment and assessment.error_estimate,
    }


def faults(row: dict[str, Any]) -> list[str]:
    """What is wrong with a row, beyond what the truth is certain of."""
    found = []
    sure = row["truth_error"]
    if not sure < LIMIT / 3:
        return []
    for end in row.get("fits", []):
        if end["outcome"] == "converged" and not end["error"] <= LIMIT + sure:
            found.append(f"{end['what']} converged at {end['error']:.1e}")
    certificate = row.get("certificate")
    if certificate is not None and not row["certified_truth"] <= certificate + 3 * sure:
        found.append(f"certified to {certificate:.1e}, wrong by {row['certified_truth']:.1e}")
    return found


def row_of(number: int, seed: int) -> Run:
    """One problem, in a process of its own."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ContradictionWarning)
        return run(problem(number, seed), number)


def main() -> None:
    parser = Benchmark(__doc__, "random_problems")
    parser.set_defaults(threads=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.carry_out("problems that nobody tuned for", runs, checked_table, "rows")


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """Problems that the record does not hold yet."""
    record |= {"settings": SETTINGS, "seed": options.seed}
    earlier = earlier_record(options.output) or record
    record["rows"] = earlier["rows"] if earlier["seed"] == options.seed else []
    missing = set(range(options.count)) - {row["number"] for row in record["rows"]}
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(row_of, number, options.seed) for number in sorted(missing)]
        for job in as_completed(jobs):
            yield job.result()


def checked_table(record: Record) -> str:
    """The table; a fault ends with exit status 1."""
    wrong = [
        f"{row['number']}: {row['what']}: {fault}"
        for row in record["rows"] for fault in faults(row)
    ]  # fmt: skip
    return without_faults(table(record), wrong)


def table(record: Record) -> str:
    """Outcomes by true error, and how many references are certified."""
    rows: Sequence[Run] = record["rows"]
    sure = [row for row in rows if row["truth_error"] < LIMIT / 3]
    fits = [end for row in sure for end in row.get("fits", [])]
    lines = []
    for outcome in sorted({end["outcome"] for end in fits}):
        errors = [end["error"] for end in fits if end["outcome"] == outcome]
        right = sum(value <= LIMIT for value in errors)
        lines.append([outcome, str(right), str(len(errors) - right)])
    certified = sum("certificate" in row for row in rows)
    told = (
        f"{len(rows)} problems, {len(sure)} with a sure truth; {certified} references certified; "
        f"{sum(len(faults(row)) for row in rows)} faults\n"
    )
    return markdown(["outcome", "true error ≤ 1e-2", "above"], lines) + told


if __name__ == "__main__":
    main()
