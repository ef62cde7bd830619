"""`pacpde identify`: unknown coefficients from measurements."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pacpde.cli import inputs, options, outputs
from pacpde.cli.data import DataOptions
from pacpde.cli.output import Number, progress_display, table
from pacpde.cli.streams import print_note
from pacpde.errors import InvalidValueError, SolverError
from pacpde.methods import IdentificationResult
from pacpde.runtime import Runtime, check_seed


def identify(
    *,
    source: Annotated[Path, typer.Argument(help="Folder of a trained surrogate.")],
    measured: Annotated[
        Path | None, typer.Argument(help="The file of --data, which may stand here.")
    ] = None,
    output: options.Folder,
    read: DataOptions,
    unknown: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="An unknown coefficient; repeatable. All of them without it."
        ),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            parser=options.number,
            help="Standard deviation of the measured values, in their units. Without it, it is "
            "estimated from what the fit leaves, and only its pattern tells a wrong equation.",
        ),
    ] = None,
    beside_scipy: Annotated[
        bool,
        typer.Option(
            "--beside-scipy",
            help="Also find them by scipy's least squares through the reference solver, where one "
            "certifies.",
        ),
    ] = False,
    fit: options.RefitOptions,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    result: options.ResultOptions,
) -> None:
    """Find unknown coefficients from measurements of a solution, with standard errors.

    Where the measurements do not fit the equation the outcome is misfit, and the exit status 1.

    Example: pacpde identify runs/source measured.csv --unknown nu -o runs/found
    """
    from pacpde.methods.identification import identify as by_surrogate
    from pacpde.methods.identification import identify_by_scipy
    from pacpde.methods.provenance import of_identification
    from pacpde.networks import checkpoint
    from pacpde.studies import output_folder

    trained = checkpoint.load(source)
    trained = trained.to(Runtime(device, trained.runtime.dtype))
    if (measured is None) == (read.data is None):
        raise InvalidValueError(
            "the measurements are given twice, or not at all: name one file, as in "
            "`pacpde identify runs/source measured.csv -o runs/found`."
        )
    read = replace(read, data=measured or read.data)
    measured = read.data
    assert measured is not None
    data = read.measurements(trained.problem)
    assert data is not None
    at, values = data.points, data.values
    check_seed(seed)
    inputs.output_folder(output, source, measured)
    names = unknown or None
    call = of_identification(trained, at, values, names, seed, fit.settings)
    call |= {"noise": noise, "beside_scipy": beside_scipy, "grading": {}}

    def compute() -> output_folder.Fit:
        with progress_display() as display:
            found = by_surrogate(
                trained, at, values, unknown=names, noise=noise, settings=fit.settings, seed=seed,
                progress=display,
            )  # fmt: skip
        assert found.surrogate is not None
        results = {"surrogate": found}
        if beside_scipy:
            try:
                results["scipy"] = identify_by_scipy(
                    trained.problem, at, values, unknown=names, noise=noise
                )
            except SolverError as error:
                print_note(f"scipy: {error} The surrogate's estimate does not need it.")
        content: dict[str, Any] = {
            "family": trained.problem.name,
            "labels": len(at),
            "seed": seed,
            "folder": str(output),
            **{solver: _content(one) for solver, one in results.items()},
        }
        return replace(found.surrogate, provenance=call), content

    _, content, may_replace = outputs.one_surrogate(call, output, result, compute, source, measured)
    shown = {name: content[name] for name in ("surrogate", "scipy") if name in content}
    rows = [
        [solver, name, Number(f"{one['value']:.6g}"), _error(one["standard_error"]),
         Number(f"{about['noise']:.2g}"), Number(f"{about['seconds']:.1f}"), about["outcome"]]
        for solver, about in shown.items()
        for name, one in about["estimates"].items()
    ]  # fmt: skip
    headings = ["by", "coefficient", "value", "standard error", "noise", "seconds", "outcome"]
    title = f"Coefficients from {len(at)} labels"
    result.emit(content, table(title, headings, rows), replace=may_replace)
    for solver, about in shown.items():
        for doubt in about["doubts"]:
            print_note(f"{solver}: {doubt}")
    outcome = content["surrogate"]["outcome"]
    if outcome != "converged":
        print_note(f"it ended {outcome}; what there is is kept in {output}.")
        raise typer.Exit(1)


def _error(value: float | None) -> Number:
    """A standard error; JSON has null for an infinite one."""
    return Number(f"{math.inf if value is None else value:.2g}")


def _content(result: IdentificationResult) -> dict[str, Any]:
    return {
        "estimates": {
            name: {"value": value, "standard_error": error}
            for name, (value, error) in result.estimates.items()
        },
        "noise": result.noise,
        "seconds": result.seconds,
        "outcome": result.outcome,
        "doubts": result.doubts(),
    }
