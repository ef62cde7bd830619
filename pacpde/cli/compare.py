"""`pacpde compare`: several methods side by side."""

from pathlib import Path
from typing import Annotated

import typer

from pacpde.cli import inputs, options
from pacpde.cli import output as printing
from pacpde.cli.data import DataOptions, labelled
from pacpde.cli.output import SIDE_BY_SIDE, progress_display
from pacpde.cli.verdicts import exit_for
from pacpde.runtime import Runtime
from pacpde.studies.comparison import Plan, run_comparison


def compare(
    *,
    family: options.Family,
    source: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Coefficient of the source; repeatable. Those not named take the family's "
            "defaults.",
        ),
    ],
    target: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Coefficient of the target; repeatable. Those not named take the family's "
            "defaults, not the source's values.",
        ),
    ],
    output: options.Folder = Path("runs/compare"),
    methods: Annotated[
        str, typer.Option(metavar="A,B,...", help="Methods, separated by commas.")
    ] = "pac,warm_start,scratch",
    measured: DataOptions,
    chosen: options.TransferOptions,
    fit: options.FitOptions,
    grading: options.GradingOptions,
    until: options.Until = None,
    seed: options.OneSeed = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,...", help="Several seeds instead of one.")
    ] = None,
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="Fit all seeds and methods side by side, each as alone on one thread: less time "
            "where methods share stages. The seconds shown are then shares of the whole.",
        ),
    ] = False,
    device: options.Device = "cpu",
    dtype: options.Dtype = "float64",
    result: options.ResultOptions,
) -> None:
    """Train a source, transfer it by several methods, and show them side by side.

    The folder gets records.json, every surrogate and three pictures. After an interruption the
    same command resumes; what is finished is reused, also where methods or seeds are added. What
    another comparison shows there stays, unless --overwrite is given.

    Example: pacpde compare burgers --source nu=0.01/pi --target nu=0.02/pi --methods
    pac,warm_start,scratch -o runs/compare
    """
    ends = inputs.problem(family, source, until), inputs.problem(family, target, until)
    grading.check(*ends)
    plan = Plan(
        *ends,
        chosen.methods(inputs.method_names(methods)),
        inputs.seeds(seed, seeds),
        physics=chosen.physics,
        settings=fit.settings,
        runtime=Runtime(device, dtype),
        together=together,
        reference=measured.reference(grading.reference, ends[1]),
        reference_tolerance=grading.reference_tolerance,
        **labelled(measured, chosen, ends[1], grading),
    )
    overwrite = result.overwrite
    store = plan.store(output, overwrite=overwrite)
    store.check()
    replace = inputs.json_target(
        result.json, *store.reserved(), overwrite=overwrite, own=store.shown
    )
    if not overwrite:
        store.check_shown()
    with progress_display(SIDE_BY_SIDE if together else 1) as display:
        comparison = run_comparison(
            plan, output, progress=display, log=display.log, overwrite=overwrite
        )
    from pacpde import plots

    plots.draw_all(comparison, output, overwrite=overwrite)
    title = f"{plan.source} to {plan.target}"
    table = printing.record_table(title, comparison.records)
    sentence = f"records and pictures in {output}"
    result.emit({"records": comparison.records}, table, sentence, replace=replace)
    exit_for(comparison.fitted, fit.settings, output, comparison.errors)
