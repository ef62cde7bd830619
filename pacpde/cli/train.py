"""`pacpde train`: sources."""

from pacpde.cli import inputs, options, outputs, tables
from pacpde.cli.data import DataOptions
from pacpde.cli.output import progress_display
from pacpde.cli.streams import print_note
from pacpde.cli.verdicts import exit_for
from pacpde.datasets.grading import choice_inputs, grading_reference
from pacpde.runtime import Runtime, check_seed
from pacpde.studies import output_folder
from pacpde.studies.cells import Training
from pacpde.training.config import unused_in_fits


def train(
    *,
    family: options.Family,
    output: options.Folder,
    coefficients: options.Coefficients = None,
    fit: options.FitOptions,
    measured: DataOptions,
    noise: options.DataNoise = None,
    grading: options.GradingOptions,
    until: options.Until = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    dtype: options.Dtype = "float64",
    result: options.ResultOptions,
) -> None:
    """Train a source surrogate; after an interruption the same command resumes.

    If the folder has the result of the same command, the result is shown again. Any other surrogate
    there, or unfinished fit, is an error, unless --overwrite is given.

    Example: pacpde train burgers nu=0.01/pi -o runs/source
    """
    problem = inputs.problem(family, coefficients or [], until)
    inputs.output_folder(output)
    grading.check()
    choice = measured.reference(grading.reference, problem), grading.reference_tolerance
    job = Training(
        problem, check_seed(seed), Runtime(device, dtype), fit.settings, choice_inputs(*choice),
        data=measured.measurements(problem, noise, measured.reference_file(grading.reference)),
    )  # fmt: skip
    fit.check(unused_in_fits(job.config))

    def compute() -> output_folder.Fit:
        certified = grading_reference(problem, *choice, print_note)
        with progress_display() as display:
            surrogate = job.run(display, output_folder.resume_state(output, job.key))
        return surrogate, tables.trained(surrogate, certified, output, seed)

    surrogate, content, replace = outputs.one_surrogate(
        job.provenance(), output, result, compute, key=job.key
    )
    result.emit(content, tables.training(content), replace=replace)
    errors = {str(problem): content["worst_field_error"]}
    exit_for({str(problem): surrogate}, fit.settings, output, errors)
