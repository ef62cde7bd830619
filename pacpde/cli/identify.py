"""`pacpde identify`: unknown coefficients from measurements."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pacpde.cli import inputs
from pacpde.cli.options import (
    Debug,
    Device,
    Folder,
    Json,
    Memory,
    Optimiser,
    Plugin,
    Points,
    Residual,
    Seed,
    Steps,
)
from pacpde.cli.output import Number, complain, emit, showing, table
from pacpde.runtime import Runtime, check_seed


def identify(
    source: Annotated[Path, typer.Argument(help="Folder of a trained surrogate.")],
    measured: Annotated[
        Path,
        typer.Argument(
            help="CSV with a header that names the axes and fields, in any order; or an HDF5 file "
            "of `pacpde solve --labels`."
        ),
    ],
    output: Folder,
    unknown: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="An unknown coefficient; repeatable. All of them without it."
        ),
    ] = None,
    beside_scipy: Annotated[
        bool,
        typer.Option(
            "--beside-scipy",
            help="Also find them by scipy's least squares through the reference solver.",
        ),
    ] = False,
    steps: Steps = None,
    points: Points = None,
    tolerance: Residual = None,
    memory: Memory = None,
    optimiser: Optimiser = None,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = None,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Find unknown coefficients from measurements of a solution, with standard errors.

    Example: pacpde identify runs/source measured.csv --unknown nu -o runs/found
    """
    from pacpde.cli.points import measurements
    from pacpde.methods.identification import identify as by_surrogate
    from pacpde.methods.identification import identify_by_scipy
    from pacpde.networks import checkpoint

    trained = checkpoint.load(source)
    trained = trained.to(Runtime(device, trained.runtime.dtype))
    at, values = measurements(measured, trained.problem)
    settings = inputs.settings(
        steps=steps, points=points, tolerance=tolerance, memory=memory, optimiser=optimiser
    )
    check_seed(seed)
    inputs.output_folder(output, source, measured)
    inputs.json_target(json, output, source, measured)
    names = unknown or None
    with showing() as show:
        found = by_surrogate(
            trained, at, values, unknown=names, seed=seed, progress=show, **settings
        )
    assert found.surrogate is not None
    checkpoint.save(found.surrogate, output)
    ways = {"surrogate": found}
    if beside_scipy:
        ways["scipy"] = identify_by_scipy(trained.problem, at, values, unknown=names)
    content: dict[str, Any] = {
        "family": trained.problem.name,
        "labels": len(at),
        "seed": seed,
        "folder": str(output),
        **{way: _content(made) for way, made in ways.items()},
    }
    rows = [
        [way, name, Number(f"{value:.6g}"), Number(f"{error:.2g}"), Number(f"{made.noise:.2g}"),
         Number(f"{made.seconds:.1f}"), made.outcome]
        for way, made in ways.items()
        for name, (value, error) in made.estimates.items()
    ]  # fmt: skip
    headings = ["by", "coefficient", "value", "standard error", "noise", "seconds", "outcome"]
    emit(content, json, table(f"Coefficients from {len(at)} labels", headings, rows))
    for way, made in ways.items():
        for doubt in made.doubts():
            complain(f"pacpde: {way}: {doubt}")
    if found.outcome != "converged":
        complain(f"pacpde: the fit ended {found.outcome}; what there is is kept in {output}.")
        raise typer.Exit(1)


def _content(made: Any) -> dict[str, Any]:
    return {
        "estimates": {
            name: {"value": value, "standard_error": error}
            for name, (value, error) in made.estimates.items()
        },
        "noise": made.noise,
        "seconds": made.seconds,
        "outcome": made.outcome,
    }
