"""Measurements of the user on the command line, and the names in files of others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer

from pacpde.cli import inputs, options
from pacpde.cli.streams import print_note
from pacpde.datasets.grading import AUTO, EXACT, NONE
from pacpde.datasets.load import is_dataset, is_hdf5_dataset
from pacpde.datasets.named_arrays import NamedArrays, named_arrays
from pacpde.datasets.tables import read_table
from pacpde.errors import InvalidValueError
from pacpde.physics import Problem
from pacpde.reference import Reference
from pacpde.residuals.measurements import DROP, REFUSE, Measurements


def labelled(
    measured: "DataOptions",
    chosen: options.TransferOptions,
    target: Problem,
    grading: options.GradingOptions,
) -> dict[str, Any]:
    """What a transfer is fitted to beside the equation: --data with its noise, or --labels."""
    if measured.data is None:
        measured.measurements(target)
        return {"labels": chosen.labels, "noise": chosen.noise}
    if chosen.labels:
        raise InvalidValueError("--labels and --data are both given: give one of them.")
    also = measured.reference_file(grading.reference)
    return {"data": measured.measurements(target, chosen.noise or None, also)}


def column_names(columns: Sequence[str] | None) -> list[tuple[str, str]]:
    """(axis or field, its name in a file) of every --columns."""
    words = [word for several in columns or [] for word in several.split(",")]
    return [pair for word in words for pair in inputs.assignments([word], "column").items()]


@dataclass(frozen=True)
class DataOptions:
    """A file of measurements, and what its columns are."""

    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measurements to fit: text with a header and any separator, .npz, .mat, HDF5, or "
            "a file of `pacpde solve --labels`. Columns of one length, or axes and values on a "
            "grid. An empty cell is a value that was not measured.",
        ),
    ] = None
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS_OR_FIELD=NAME,...",
            help="What axes and fields are called in FILE, as t=time,u=velocity, and in a "
            "--reference FILE, as t=time,u=velocity,u=usol. Case and a unit in brackets do not "
            "count; names that are then the same need not be said. y:0 is the first component of "
            "y, usol:x:t says how the axes of usol are ordered.",
        ),
    ] = None
    drop_outside: Annotated[
        bool,
        typer.Option(
            "--drop-outside", help="Leave out measurements outside the domain, and say so."
        ),
    ] = False

    def measurements(
        self, problem: Problem, noise: float | None = None, also: Path | None = None
    ) -> Measurements | None:
        """The measurements of --data, if it is given; what was understood of it is said.

        Args:
            noise: their standard deviation.
            also: another file that --columns names the arrays of.
        """
        if self.data is None:
            for name, given in (("--drop-outside", self.drop_outside), ("--noise", noise)):
                if given:
                    raise InvalidValueError(
                        f"{name} is of --data, which is not given: leave it out."
                    )
            return None
        found = Measurements.of(
            self._table(self.data), problem, columns=self._names(self.data, also), noise=noise,
            outside=DROP if self.drop_outside else REFUSE,
        )  # fmt: skip
        for note in found.notes:
            print_note(f"{note}.")
        return found

    def reference(self, choice: str, problem: Problem) -> str | Reference:
        """The choice of --reference: a file whose arrays --columns names is read here."""
        if not self.columns:
            return choice
        file = self.reference_file(choice)
        if file is None:
            if self.data is None:
                raise InvalidValueError(
                    "--columns names the columns of --data FILE or --reference FILE, and neither "
                    "is given: leave it out."
                )
            return choice
        print_note(f"nothing is known of the error of {file}: errors below it are not seen.")
        return read_table(self._arrays(file), problem, self._names(file, self.data))

    def reference_file(self, choice: str) -> Path | None:
        """The file of --reference whose arrays have names of others, if it is one."""
        if choice in (AUTO, NONE, EXACT) or is_dataset(Path(choice)):
            return None
        return Path(choice)

    def _table(self, file: Path) -> Path | NamedArrays:
        """A file of measurements; what was read of it where --columns names the arrays of others.

        Labels of `pacpde solve` have no columns, and are read from the file.
        """
        return self._arrays(file) if self.columns and not is_hdf5_dataset(file) else file

    def _arrays(self, file: Path) -> NamedArrays:
        """The arrays of a file, which is read once: of a pipe nothing is left to read."""
        if file not in self._read:
            self._read[file] = named_arrays(file)
        return self._read[file]

    @cached_property
    def _read(self) -> dict[Path, NamedArrays]:
        """File → its arrays, of the files that were read."""
        return {}

    def _names(self, file: Path, other: Path | None) -> dict[str, str]:
        """Axis or field → its name in a file: of several the first that the file has.

        Args:
            other: another file; names that it alone has are left out.
        """
        pairs = column_names(self.columns)
        own = self._arrays(file).arrays if len(pairs) else {}
        theirs = self._arrays(other).arrays if len(pairs) and other is not None else {}

        def has(arrays: Mapping[str, Any], text: str) -> bool:
            return text in arrays or text.split(":")[0] in arrays

        names: dict[str, str] = {}
        for name, text in sorted(pairs, key=lambda pair: not has(own, pair[1])):
            if has(own, text) or not has(theirs, text):
                names.setdefault(name, text)
        return names
