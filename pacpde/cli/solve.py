"""`pacpde solve`: certified references."""

from pathlib import Path
from typing import Annotated

import typer

from pacpde import datasets
from pacpde.cli import inputs, options, outputs, tables
from pacpde.cli.streams import print_note
from pacpde.reference.certificate import check_tolerance
from pacpde.runtime import Runtime, check_seed


def solve(
    *,
    family: options.Family,
    output: Annotated[Path, typer.Option("-o", "--output", help="HDF5 file to write.")],
    coefficients: options.Coefficients = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            parser=options.number,
            help="Relative L2 error to certify, 1e-12 to 0.1; refused where it is not met. "
            "Default: 1e-10; 1e-9 in two dimensions of space or more; where that is not met, the "
            "best that is met is taken.",
        ),
    ] = None,
    labels: Annotated[
        int, typer.Option(help="Also draw so many points with values, for fits to labels.")
    ] = 0,
    noise: options.Noise = 0.0,
    until: options.Until = None,
    seed: options.Seed = 0,
    device: Annotated[str, typer.Option(help="References run on the cpu whatever it is.")] = "cpu",
    result: options.ResultOptions,
) -> None:
    """Compute a certified reference solution with scipy.

    Example: pacpde solve burgers nu=0.02 -o burgers.h5 --labels 25 --noise 0.01
    """
    problem = inputs.problem(family, coefficients or [], until)
    if tolerance is not None:
        check_tolerance(tolerance)
    datasets.check_labels(labels, noise)
    Runtime(device)
    check_seed(seed)
    inputs.output_file(output)
    reference = None
    if not result.overwrite:
        reference = outputs.solved_before(output, problem, tolerance, labels, noise, seed)
    may_replace = result.overwrite or reference is not None
    inputs.output_file(output, overwrite=may_replace)
    inputs.json_target(result.json, output, overwrite=may_replace)
    if reference is not None:
        print_note(f"{output} holds this already; --overwrite computes it anew.")
    else:
        reference = inputs.solution(problem, tolerance)
        drawn = datasets.draw_labels(reference, labels, seed=seed, noise=noise) if labels else None
        datasets.write(reference, output, drawn, overwrite=result.overwrite)
    result.emit(*tables.solved(reference, output, labels, noise, seed))
