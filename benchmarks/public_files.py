"""The files that published errors are graded on, graded themselves.

Papers and packages state the error of a network by a file of values on a grid. No such error means
anything below the file's own. Every file here is read from a checkout of its repository, and
compared at its own points with the exact solution where the family gives one, else with a certified
reference: the relative L2 error of the worst field is the file's floor.

FOLDER holds the checkouts, each named owner+name (git clone https://github.com/OWNER/NAME
FOLDER/OWNER+NAME); those that are missing are left out. Nothing of the files is copied.

    python benchmarks/public_files.py FOLDER
"""

import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from common import Benchmark, Record, Run, markdown, number

from pacpde.datasets.named_arrays import NamedArrays, named_arrays
from pacpde.datasets.tables import read_table
from pacpde.errors import PacpdeError
from pacpde.physics import Axis, Derivative, Dirichlet, Evolution, Periodic, Problem
from pacpde.physics.conditions import Condition
from pacpde.physics.elementary import Array, cos, sin
from pacpde.problems import AllenCahn, Burgers, KdV, Lorenz, Schrodinger, WaveModes
from pacpde.reference import Reference, solve, worst_field_error
from pacpde.reference.exact import exact_reference, gives_exact

DISCONTINUOUS = (
    "not judged: the lid's speed jumps from 0 to 1 at the corners, where no solver here certifies"
)


class AllenCahnClamped(Evolution):
    """u_t = 0.001 u_xx + 5(u − u³) on t∈[0,1], x∈[−1,1]; u(0,x) = x² cos πx, u(t,±1) = −1."""

    name = "allen_cahn_clamped"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))

    def conditions(self) -> list[Condition]:
        return [Dirichlet("x", value=-1.0)]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return 0.001 * d(u, "xx") + 5 * (u - u**3)

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return x**2 * cos(pi * x)


class KuramotoSivashinskySine(Evolution):
    """u_t = −5u u_x − 0.5u_xx − 0.005u_xxxx on t∈[0,1], x∈[−1,1], periodic; u(0,x) = −sin πx."""

    name = "kuramoto_sivashinsky_sine"
    axes = (Axis("t", 0.0, 1.0), Axis("x", -1.0, 1.0))

    def conditions(self) -> list[Condition]:
        return [Periodic("x")]

    def rhs(self, u: Any, d: Derivative) -> Any:
        return -5 * u * d(u, "x") - 0.5 * d(u, "xx") - 0.005 * d(u, "xxxx")

    def initial(self, *space: Array) -> Any:
        (x,) = space
        return -sin(pi * x)


def as_it_is(path: Path) -> NamedArrays:
    """A file that the package reads by itself."""
    return named_arrays(path)


def complex_field(path: Path) -> NamedArrays:
    """A complex solution as its real and imaginary part."""
    content = scipy.io.loadmat(path)
    u = content["uu"]
    arrays = {"t": content["tt"].ravel(), "x": content["x"].ravel(), "u": u.real, "v": u.imag}
    return named_arrays(arrays)


def wide_text(path: Path) -> NamedArrays:
    """Text of COMSOL: a column of x, then one of u for every tenth of the time."""
    rows = np.loadtxt(path, comments="%", encoding="utf-8")
    return named_arrays(
        {"x": rows[:, 0], "t": np.linspace(0, 1, rows.shape[1] - 1), "u": rows[:, 1:]}
    )


def states(path: Path) -> NamedArrays:
    """The states of an ODE, [times, fields]."""
    with np.load(path) as content:
        t, (x, y, z) = content["t"].ravel(), content["y"].T
    return named_arrays({"t": t, "x": x, "y": y, "z": z})


@dataclass(frozen=True)
class PublicFile:
    """A file of a public repository, and the problem that it has a solution of.

    Attributes:
        problem: None where it is not judged; then `why`.
        read: what it holds.
        columns: axis or field → its name in the file.
    """

    repository: str
    path: str
    problem: Problem | None
    columns: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[Path], NamedArrays] = as_it_is
    why: str = ""


JAXPI, DEEPXDE = "PredictiveIntelligenceLab/jaxpi", "lululxvi/deepxde"
RAISSI, WEPHY = "maziarraissi/PINNs", "wephy/physics-informed-neural-networks"
PINNACLE = "i207M/PINNacle"
USOL = {"u": "usol"}
MATLAB = {"t": "tt", "u": "uu"}
PLOTTED = {"x": "plot_x0", "t": "plot_x1", "u": "plot_u"}
FILES = (
    PublicFile(DEEPXDE, "examples/dataset/Burgers.npz", Burgers(nu=0.01 / pi), USOL),
    PublicFile(RAISSI, "appendix/Data/burgers_shock.mat", Burgers(nu=0.01 / pi), USOL),
    PublicFile(WEPHY, "src/pinn/references/burgers.npz", Burgers(nu=0.01), PLOTTED),
    PublicFile(JAXPI, "examples/burgers/data/burgers.mat", Burgers(nu=0.01 / pi), USOL),
    PublicFile(PINNACLE, "ref/burgers1d.dat", Burgers(nu=0.01 / pi), read=wide_text),
    PublicFile(JAXPI, "examples/allen_cahn/data/allen_cahn.mat", AllenCahn(), USOL),
    PublicFile(RAISSI, "main/Data/AC.mat", AllenCahn(), MATLAB),
    PublicFile(DEEPXDE, "examples/dataset/Allen_Cahn.mat", AllenCahnClamped()),
    PublicFile(RAISSI, "main/Data/KdV.mat", KdV(nu=0.0025), MATLAB),
    PublicFile(WEPHY, "src/pinn/references/kdv.npz", KdV(nu=0.022**2), PLOTTED),
    PublicFile(RAISSI, "main/Data/NLS.mat", Schrodinger(), read=complex_field),
    PublicFile(JAXPI, "examples/ks/data/ks.mat", KuramotoSivashinskySine(), USOL),
    PublicFile(WEPHY, "src/pinn/references/wave.npz", WaveModes(), PLOTTED),
    PublicFile(DEEPXDE, "examples/dataset/Lorenz.npz", Lorenz(), read=states),
    *(
        PublicFile(JAXPI, f"examples/ldc/data/ldc_Re{re}.mat", None, why=DISCONTINUOUS)
        for re in (100, 400, 1000, 3200, 5000)
    ),
)


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    """A row for every file that is there."""
    for file in FILES:
        checkout = options.folder / file.repository.replace("/", "+")
        if (checkout / file.path).exists():
            yield row(file, checkout)
        else:
            print(f"not there: {checkout / file.path}", file=sys.stderr)


def row(file: PublicFile, checkout: Path) -> Run:
    """The floor of a file."""
    about: Run = {"repository": file.repository, "path": file.path, "commit": commit_of(checkout)}
    if file.problem is None:
        return about | {"sentence": file.why}
    about |= {"family": file.problem.name, "coefficients": file.problem.coefficients}
    try:
        stored = read_table(file.read(checkout / file.path), file.problem, file.columns)
        return about | floor(stored)
    except PacpdeError as fault:
        return about | {"sentence": str(fault)}


def floor(stored: Reference) -> dict[str, Any]:
    """How far a file is from the solution at its own points."""
    problem, mesh = stored.problem, np.meshgrid(*stored.axes.values(), indexing="ij")
    about: dict[str, Any] = {"grid": [len(axis) for axis in stored.axes.values()]}
    if gives_exact(problem):
        truth, by, certified = exact_reference(problem), "exact", None
    else:
        truth = solve(problem)
        by, certified = "certified", truth.certified_error
    values = truth(*mesh)
    later = len(mesh[0]) // 5
    worst = np.unravel_index(np.abs(stored.values - values).argmax(), values.shape)
    return about | {
        "by": by,
        "certified": certified,
        "error": worst_field_error(stored.values, values),
        "later_error": worst_field_error(stored.values[:, later:], values[:, later:]),
        "largest_at": {
            name: float(axis[place])
            for (name, axis), place in zip(stored.axes.items(), worst[1:], strict=True)
        },
    }


def commit_of(checkout: Path) -> str:
    """Of a checkout, in short; "" if it is not one of git."""
    done = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "--short=10", "HEAD"],
        text=True, capture_output=True,
    )  # fmt: skip
    return done.stdout.strip()


def table(record: Record) -> str:
    """Floors, files of one problem below each other, the best first."""
    order = {key: k for k, key in enumerate(dict.fromkeys(map(_problem, record["runs"])))}
    rows = sorted(record["runs"], key=lambda run: (order[_problem(run)], run.get("error", 0.0)))
    judged = [run for run in rows if "error" in run]
    lines = [
        [
            f"`{run['repository']}` `{run['path']}` ({run['commit']})",
            _problem(run),
            " × ".join(map(str, run["grid"])),
            number(run["error"]),
            number(run["later_error"]),
            "exact" if run["by"] == "exact" else f"certified to {number(run['certified'])}",
        ]
        for run in judged
    ]
    others = "".join(
        f"\n- `{run['repository']}` `{run['path']}`: {run['sentence']}."
        for run in rows
        if "error" not in run
    )
    head = ["file", "problem", "grid", "its error", "after the first fifth", "judged by"]
    return markdown(head, lines) + (others + "\n" if others else "")


def _problem(run: Run) -> str:
    values = run.get("coefficients", {})
    inside = ", ".join(f"{name}={value:.6g}" for name, value in values.items())
    return f"{run.get('family', '')}({inside})" if inside else run.get("family", "")


def main() -> None:
    parser = Benchmark(__doc__ or "", "public_files")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with the checkouts")
    parser.carry_out("Errors of public reference files", runs, table)


if __name__ == "__main__":
    main()
