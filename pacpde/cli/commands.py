"""The commands: parse, call, print."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pacpde.cli import inputs, outputs, tables
from pacpde.cli import output as printing
from pacpde.cli.identify import identify
from pacpde.cli.options import (
    Changes,
    Coefficients,
    Debug,
    Depth,
    Device,
    Dtype,
    Family,
    Folder,
    Json,
    Labels,
    Memory,
    Noise,
    OneSeed,
    Optimiser,
    Overwrite,
    Physics,
    Plugin,
    Points,
    ReferenceChoice,
    ReferenceTolerance,
    Residual,
    Seed,
    Set,
    Soft,
    Sparsity,
    Steps,
    Strength,
    Until,
    Unused,
    Width,
    number,
)
from pacpde.cli.output import SIDE_BY_SIDE, complain, emit, showing
from pacpde.cli.rerun import rerun
from pacpde.cli.study import report, study_app
from pacpde.cli.verdicts import remarks, verdict
from pacpde.errors import InvalidValueError
from pacpde.methods import nearest
from pacpde.networks.surrogate import Surrogate
from pacpde.runtime import Runtime, check_seed, versions

app = typer.Typer(
    help="Move a trained ODE or PDE solver to changed coefficients: prune, allocate, calibrate.\n\n"
    "A first round: pacpde compare burgers --source nu=0.01/pi --target nu=0.02/pi "
    "--methods pac,warm_start,scratch -o runs/compare",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(", ".join(f"{name} {version}" for name, version in versions().items()))
        raise typer.Exit


@app.callback()
def everywhere(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Versions, and no more."),
    ] = False,
) -> None:
    pass


@app.command()
def families(
    json: Json = None,
    overwrite: Overwrite = False,
    device: Unused = "cpu",
    seed: Unused = "0",
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """List every family with its coefficients, bounds and defaults.

    Example: pacpde families --json -
    """
    inputs.json_target(json)
    emit(*tables.families(json), overwrite=overwrite)


@app.command()
def methods(
    json: Json = None,
    overwrite: Overwrite = False,
    device: Unused = "cpu",
    seed: Unused = "0",
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """List every way to transfer, with its formula and options.

    Example: pacpde methods
    """
    inputs.json_target(json)
    emit(*tables.methods(json), overwrite=overwrite)


@app.command()
def solve(
    family: Family,
    output: Annotated[Path, typer.Option("-o", "--output", help="HDF5 file to write.")],
    coefficients: Coefficients = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            parser=number,
            help="Relative L2 error to certify, 1e-12 to 0.1; refused where it is not met. "
            "Default: 1e-10; 1e-9 in two dimensions of space or more; where that is not met, the "
            "best that is met is taken.",
        ),
    ] = None,
    labels: Annotated[int, typer.Option(help="Also draw so many labelled points.")] = 0,
    noise: Noise = 0.0,
    until: Until = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="References run on the cpu whatever it is.")] = "cpu",
    json: Json = None,
    overwrite: Overwrite = False,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Compute a certified reference solution with scipy.

    Example: pacpde solve burgers nu=0.02 -o burgers.h5 --labels 25 --noise 0.01
    """
    from pacpde import datasets

    problem = inputs.problem(family, coefficients or [], until)
    if tolerance is not None:
        inputs.check_tolerance(tolerance)
    datasets.check_labels(labels, noise)
    Runtime(device)
    check_seed(seed)
    inputs.output_file(output)
    same = not overwrite and outputs.solved_before(output, problem, tolerance, labels, noise, seed)
    inputs.output_file(output, overwrite=overwrite or same)
    inputs.json_target(json, output, overwrite=overwrite or same)
    if same:
        complain(f"pacpde: {output} holds this already; --overwrite computes it anew.")
        reference = datasets.load(output, problem).reference
    else:
        reference = inputs.solution(problem, tolerance)
        drawn = datasets.draw_labels(reference, labels, seed=seed, noise=noise) if labels else None
        datasets.write(reference, output, drawn, overwrite=overwrite)
    emit(*tables.solved(reference, output, labels, noise, seed, json), overwrite=overwrite)


@app.command()
def train(
    family: Family,
    output: Folder,
    coefficients: Coefficients = None,
    steps: Steps = None,
    width: Width = None,
    depth: Depth = None,
    points: Points = None,
    tolerance: Residual = None,
    memory: Memory = None,
    optimiser: Optimiser = None,
    soft: Soft = False,
    reference: ReferenceChoice = "auto",
    reference_tolerance: ReferenceTolerance = None,
    until: Until = None,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: Dtype = "float64",
    json: Json = None,
    overwrite: Overwrite = False,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Train a source surrogate; after an interruption the same command resumes.

    Where the folder holds what the same command made before, it is shown again. Another surrogate
    stays, unless --overwrite is given.

    Example: pacpde train burgers nu=0.01/pi -o runs/source
    """
    from pacpde.studies import output_folder
    from pacpde.studies.cells import Training

    problem = inputs.problem(family, coefficients or [], until)
    settings = inputs.settings(
        steps=steps,
        width=width,
        depth=depth,
        points=points,
        tolerance=tolerance,
        memory_gib=memory,
        optimiser=optimiser,
        hard=False if soft else None,
    )
    inputs.output_folder(output)
    grading = inputs.grading(reference, reference_tolerance)
    job = Training(problem, check_seed(seed), Runtime(device, dtype), settings, grading)
    with outputs.one_surrogate(job, output, json, overwrite=overwrite) as (found, replace):
        if found is None:
            graded = inputs.reference(problem, reference, reference_tolerance)
            with showing() as show:
                surrogate = job.run(show, output_folder.resume_state(output, job.key))
            result = tables.trained(surrogate, graded, output, seed)
            output_folder.save(job, surrogate, output, result)
        else:
            surrogate, result = found.surrogate, found.result
    emit(result, json, tables.training(result), overwrite=replace)
    _exit_for({str(problem): surrogate}, settings, output)


@app.command()
def transfer(
    source: Annotated[Path, typer.Argument(help="Folder of a trained surrogate.")],
    output: Folder,
    coefficients: Changes = None,
    method: Annotated[str, typer.Option(help="See `pacpde methods`.")] = "pac",
    sparsity: Sparsity = None,
    strength: Strength = None,
    labels: Labels = 0,
    noise: Noise = 0.0,
    physics: Physics = True,
    option: Set = None,
    steps: Steps = None,
    points: Points = None,
    tolerance: Residual = None,
    memory: Memory = None,
    optimiser: Optimiser = None,
    reference: ReferenceChoice = "auto",
    reference_tolerance: ReferenceTolerance = None,
    among: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Another source; repeatable. The one whose residual on the target is smallest "
            "is taken.",
        ),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Refuse a source folder of another family.")
    ] = None,
    until: Annotated[
        float | None, typer.Option(parser=number, help="End of the time span; the source's.")
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: Annotated[str | None, typer.Option(help="float64 or float32; the source's.")] = None,
    json: Json = None,
    overwrite: Overwrite = False,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Move a trained surrogate to other coefficients; see `train` for what is in the folder.

    Example: pacpde transfer runs/source nu=0.02/pi --method pac --sparsity 0.8 -o runs/target
    """
    from pacpde.networks import checkpoint
    from pacpde.studies import output_folder
    from pacpde.studies.cells import Cell, Training

    trained = checkpoint.load(source)
    if family is not None and family != trained.problem.name:
        raise InvalidValueError(
            f"{source} solves {trained.problem.name!r}, not {family!r}: give a source of the same "
            "family."
        )
    target = inputs.target(trained.problem, coefficients or [], until)
    if among:
        folders = {source: trained, **{folder: checkpoint.load(folder) for folder in among}}
        trained = nearest(list(folders.values()), target, seed=check_seed(seed))
        source = next(folder for folder, made in folders.items() if made is trained)
        complain(f"pacpde: starting from {source}, {trained.problem}.")
    (way,) = inputs.methods_of([method], option or [], sparsity=sparsity, strength=strength)
    runtime = Runtime(device, dtype or trained.runtime.dtype)
    settings = inputs.settings(
        steps=steps, points=points, tolerance=tolerance, memory_gib=memory, optimiser=optimiser
    )
    training = Training.of_surrogate(trained.to(runtime), check_seed(seed), settings)
    job = Cell(
        training, target, way, {}, labels, noise, physics, reference, reference_tolerance,
    )  # fmt: skip
    inputs.output_folder(output, source)
    with outputs.one_surrogate(job, output, json, source, overwrite=overwrite) as (found, replace):
        if found is None:
            graded = inputs.references(
                trained.problem, target, reference, reference_tolerance, labels
            )
            with showing() as show:
                result = job.transfer(
                    training.surrogate, references=graded, progress=show,
                    resume_state=output_folder.resume_state(output, job.key),
                )  # fmt: skip
            surrogate, record = result.surrogate, result.record()
            output_folder.save(job, surrogate, output, record)
        else:
            surrogate, record = found.surrogate, found.result
    table = printing.record_table(str(target), [record])
    emit(record, json, table, f"written to {output}", overwrite=replace)
    _exit_for({method: surrogate}, settings, output)


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(help="Folder of a surrogate.")],
    points: Annotated[
        Path,
        typer.Argument(
            help="CSV (commas, semicolons, tabs or spaces) with a header that names the axes, in "
            "any order, and fields whose values are known, against which the error is given; or "
            "an HDF5 file of `pacpde solve`, for its grid and its fields."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV to write; stdout without it.")
    ] = None,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Allow points outside the domain.")
    ] = False,
    device: Device = "cpu",
    seed: Annotated[int, typer.Option(help="Unused: a prediction draws nothing.")] = 0,
    json: Json = None,
    overwrite: Overwrite = False,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Evaluate a surrogate at the points of a file.

    Example: pacpde predict runs/target points.csv -o out.csv
    """
    from pacpde.cli import points as tabulated
    from pacpde.networks import checkpoint

    surrogate = checkpoint.load(folder)
    surrogate = surrogate.to(Runtime(device, surrogate.runtime.dtype))
    if output is None and json == "-":
        raise InvalidValueError("--json - and the table both go to stdout: name a file with -o.")
    if output is not None:
        inputs.output_file(output, folder, points)
    inputs.json_target(json, folder, points, *([output] if output else []))
    asked = tabulated.read(points, surrogate.problem, extrapolate)
    for remark in tabulated.remarks(asked, surrogate):
        complain(f"pacpde: {remark}")
    fields = asked.fields(surrogate)
    tabulated.write(asked, fields, surrogate, output, overwrite=overwrite)
    summary = asked.summary(surrogate, fields, output)
    if output is None and summary["error"] is not None:
        complain(f"pacpde: {tabulated.sentence(summary)}")
    shown = [tabulated.sentence(summary)] if output else []
    emit(summary, json, *shown, overwrite=overwrite)


@app.command()
def compare(
    family: Family,
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
    output: Folder = Path("runs/compare"),
    methods: Annotated[
        str, typer.Option(metavar="A,B,...", help="Methods, separated by commas.")
    ] = "pac,warm_start,scratch",
    sparsity: Sparsity = None,
    strength: Strength = None,
    labels: Labels = 0,
    noise: Noise = 0.0,
    physics: Physics = True,
    option: Set = None,
    steps: Steps = None,
    width: Width = None,
    depth: Depth = None,
    points: Points = None,
    tolerance: Residual = None,
    memory: Memory = None,
    optimiser: Optimiser = None,
    soft: Soft = False,
    reference: ReferenceChoice = "auto",
    reference_tolerance: ReferenceTolerance = None,
    until: Until = None,
    seed: OneSeed = None,
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
    device: Device = "cpu",
    dtype: Dtype = "float64",
    json: Json = None,
    overwrite: Overwrite = False,
    plugin: Plugin = [],  # noqa: B006
    debug: Debug = False,
) -> None:
    """Train a source, transfer it by several methods, and show them side by side.

    The folder gets records.json, every surrogate and three pictures. After an interruption the
    same command resumes; what is finished is reused, also where methods or seeds are added. What
    another comparison shows there stays, unless --overwrite is given.

    Example: pacpde compare burgers --source nu=0.01/pi --target nu=0.02/pi --methods
    pac,warm_start,scratch -o runs/compare
    """
    from pacpde.studies.comparison import Plan, run_comparison

    names = inputs.method_names(methods)
    plan = Plan(
        inputs.problem(family, source, until),
        inputs.problem(family, target, until),
        inputs.methods_of(names, option or [], sparsity=sparsity, strength=strength),
        inputs.seeds(seed, seeds),
        labels,
        noise,
        physics,
        {},
        inputs.settings(
            steps=steps,
            width=width,
            depth=depth,
            points=points,
            tolerance=tolerance,
            memory_gib=memory,
            optimiser=optimiser,
            hard=False if soft else None,
        ),
        Runtime(device, dtype),
        together,
        reference,
        reference_tolerance,
    )
    store = plan.store(output, overwrite=overwrite)
    store.check()
    replace = inputs.json_target(json, *store.reserved(), overwrite=overwrite, own=store.shown)
    if not overwrite:
        store.check_shown()
    with showing(SIDE_BY_SIDE if together else 1) as show:
        found = run_comparison(plan, output, progress=show, log=show.say, overwrite=overwrite)
    from pacpde import plots

    plots.draw_all(found, output, overwrite=overwrite)
    title = f"{plan.source} to {plan.target}"
    table = printing.record_table(title, found.records)
    sentence = f"records and pictures in {output}"
    emit({"records": found.records}, json, table, sentence, overwrite=replace)
    _exit_for(found.fitted, plan.settings, output)


def _exit_for(fitted: Mapping[str, Surrogate], settings: Mapping[str, Any], kept: Path) -> None:
    """End with status 1 where a fit did not converge; what it has is kept."""
    for remark in remarks(fitted):
        complain(f"pacpde: {remark}")
    sentence = verdict(fitted, settings, kept)
    if sentence:
        complain(f"pacpde: {sentence}")
        raise typer.Exit(1)


app.command()(identify)
app.add_typer(study_app, name="study")
app.command()(report)
app.command()(rerun)
