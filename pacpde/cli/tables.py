"""The output of each command: (content for JSON, table or sentence)."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacpde.cli.inputs import option_table
from pacpde.cli.output import UNGRADED, Number, error, number, table, worst_field
from pacpde.errors import named_numbers
from pacpde.methods import methods as known_methods
from pacpde.methods.grading import errors_of
from pacpde.networks.surrogate import Surrogate
from pacpde.physics import families as known_families
from pacpde.physics.attributes import equation_text
from pacpde.reference import Reference

if TYPE_CHECKING:
    from rich.table import Table

Shown = tuple[Any, "Table | str"]


def families() -> Shown:
    content, rows = [], []
    for family in known_families:
        about = {
            name: dataclasses.asdict(coefficient) for name, coefficient in family.declared().items()
        }
        content.append({"name": family.name, "coefficients": about})
        first = (family.name, equation_text(family))
        for name, c in family.declared().items():
            bounds = (number(c.default), number(c.lower), number(c.upper))
            rows.append([*first, name, *bounds, c.meaning])
            first = ("", "")
    headings = ["family", "equation", "coefficient", "default", "from", "to", "meaning"]
    return {"families": content}, table("Families", headings, rows)


def methods() -> Shown:
    content, rows = [], []
    for method in known_methods:
        options = option_table(method)
        content.append({"name": method.name, "summary": method.summary})
        defaults = ", ".join(f"{name}={value}" for name, value in options.items())
        rows.append([method.name, method.summary, defaults])
    shown = table("Ways to transfer", ["method", "formula", "options (--set key=value)"], rows)
    return {"methods": content}, shown


def solved(reference: Reference, file: Path, labels: int, noise: float, seed: int) -> Shown:
    problem = reference.problem
    content = {
        "family": problem.name,
        "coefficients": problem.coefficients,
        "until": problem.until,
        "certified_error": reference.certified_error,
        "solver": reference.solver,
        "tolerances": reference.tolerances,
        "seconds": reference.seconds,
        "labels": labels,
        "noise": noise,
        "seed": seed,
        "file": str(file),
    }
    sentence = (
        f"{problem}: certified to a relative L2 error of {reference.certified_error:.1e} by "
        f"{reference.solver} in {reference.seconds:.2f} s; written to {file}"
        f"{f' with {labels} labels' if labels else ''}"
    )
    return content, sentence


def trained(
    surrogate: Surrogate, reference: Reference | None, folder: Path, seed: int
) -> dict[str, Any]:
    """The result of `pacpde train` as a JSON object."""
    problem = surrogate.problem
    errors = errors_of(surrogate, reference)
    return {
        "family": problem.name,
        "coefficients": problem.coefficients,
        "until": problem.until,
        "seed": seed,
        "error": None if errors is None else errors.total,
        "error_by_field": None if errors is None else dict(errors.by_field),
        "worst_field_error": None if errors is None else errors.worst,
        "held_out": surrogate.held_out,
        "steps": surrogate.steps,
        "parameters": surrogate.parameters,
        "seconds": surrogate.seconds,
        "outcome": surrogate.outcome,
        "device": surrogate.runtime.device,
        "dtype": surrogate.runtime.dtype,
        "folder": str(folder),
        "provenance": dict(surrogate.provenance),
    }


def training(content: Mapping[str, Any]) -> "Table":
    """The same as a table."""
    apart = worst_field([content["error_by_field"]])
    rows = [[
        content["family"], named_numbers(content["coefficients"]),
        error(content["error"], UNGRADED),
        *apart, Number(content["parameters"]), Number(content["steps"]),
        Number(f"{content['seconds']:.1f}"), content["outcome"],
    ]]  # fmt: skip
    headings = [
        "family", "coefficients", "error", *(["worst field"] if apart else []), "parameters",
        "steps", "seconds", "outcome",
    ]  # fmt: skip
    return table(f"Surrogate in {content['folder']}", headings, rows)
