"""Study files: TOML that says what varies, turned into cells or refused with file, key and line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pacpde.datasets import check_labels
from pacpde.datasets.grading import NONE
from pacpde.errors import DataFileError, InvalidValueError, PacpdeError, UntrustedCodeError
from pacpde.methods import methods
from pacpde.physics import Problem
from pacpde.physics.problem import families
from pacpde.plugins import is_loaded, load_plugin
from pacpde.reading import read_toml
from pacpde.runtime import Runtime
from pacpde.studies.cells import Cell, Training, with_seeds
from pacpde.studies.folder import PLUGINS
from pacpde.studies.lines import Place, line_of
from pacpde.studies.study_schema import MOST_CELLS, Settings, Transfers
from pacpde.studies.variants import as_list, option_combinations

Tuned = Mapping[str, Mapping[str, Mapping[str, Any]]]  # family → method → options


class StudyFile:
    """A study file that says what it may say, and makes no more cells than a run gets through.

    Attributes:
        settings: what it says. Its families, methods and plug-ins are not looked up yet.
    """

    def __init__(self, file: str | Path) -> None:
        self.path = Path(file)
        self.text, content = read_toml(self.path)
        try:
            self.settings = Settings.model_validate(content)
        except ValidationError as error:
            raise InvalidValueError(self._messages(error)) from error
        self._check_size()

    @property
    def plugins(self) -> list[Path]:
        return [self._beside(name) for name in self.settings.plugins]

    @property
    def tuned(self) -> Path | None:
        """The file that `pacpde study choose` wrote, whose options it takes."""
        return self._beside(self.settings.tuned) if self.settings.tuned else None

    def counts(self) -> dict[str, int]:
        """Family → how many cells it has, without any family, method or plug-in."""
        counts: dict[str, int] = {}
        for part in self.settings.transfers:
            counts[part.family] = counts.get(part.family, 0) + self._count(part)
        return counts

    def load_plugins(self, *, trust: bool) -> None:
        """Run the plug-ins; without `trust` UntrustedCodeError where one did not run yet."""
        left = [str(file) for file in self.plugins if file.is_file() and not is_loaded(file)]
        if left and not trust:
            raise UntrustedCodeError(
                f"{self.path} names {', '.join(left)}, whose code was not run: read it, then add "
                "--trust to run it."
            )
        for number, plugin in enumerate(self.plugins):
            with self._located("plugins", number):
                load_plugin(plugin)

    def cells(self, device: str) -> list[Cell]:
        """Each once, in the order in which the file names them; their fits run on `device`."""
        with self._located("tuned"):
            tuned = read_tuned(self.tuned) if self.tuned else {}
        cells: dict[str, Cell] = {}
        for number, part in enumerate(self.settings.transfers):
            for cell in self._cells(part, ("transfers", number), tuned, device):
                cells.setdefault(cell.key, cell)
        self._check_options()
        self._check_noise()
        return list(cells.values())

    def _cells(self, part: Transfers, place: Place, tuned: Tuned, device: str) -> Iterator[Cell]:
        """The cells of one table of transfers."""
        with self._located(*place, "family"):
            family = families.get(part.family)
        with self._located(*place, "source"):
            source = family.from_coefficients(part.source, part.until)
        targets: list[Problem] = []
        for number, changes in enumerate(part.targets):
            with self._located(*place, "targets", number):
                targets.append(family.from_coefficients({**part.source, **changes}, part.until))
        with self._located("dtype"):
            runtime = Runtime(device, self.settings.dtype)
        seeds, *varied = self._varied(part)
        cells = []
        with self._located(*place):
            settings = {**self.settings.settings, **part.settings}
            training = Training(source, seeds[0], runtime, settings)
        for target, method, labels, noise, physics in product(
            targets, self._methods(part), *varied
        ):
            options = self._options(method, tuned.get(part.family, {}), self.settings.options)
            with self._located(*place):
                self._check_labels(labels)
                cells += [
                    Cell(
                        training, target, method, combination,
                        labels, noise if labels else 0.0, physics,
                        self.settings.reference, self.settings.reference_tolerance,
                    )
                    for combination in option_combinations(options)
                ]  # fmt: skip
        yield from with_seeds(cells, seeds)

    def _methods(self, part: Transfers) -> list[str]:
        return part.methods or self.settings.methods

    def _varied(self, part: Transfers) -> tuple[list[Any], ...]:
        """Seeds, labels, noise and physics of a table of transfers."""
        settings = self.settings
        return (
            part.seeds or settings.seeds, part.labels or settings.labels,
            part.noise or settings.noise, part.physics or settings.physics,
        )  # fmt: skip

    def _options(self, method: str, *tables: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a method out of tables method → options, the later ones first."""
        with self._located("options", method):
            options: dict[str, Any] = {}
            for table in tables:
                if table.get(method):
                    options |= methods.get(method).with_new_names(table[method])
            return options

    def _count(self, part: Transfers) -> int:
        """Cells of a table of transfers, before those that are the same are put together."""
        variants = sum(
            prod(len(as_list(value)) for value in self.settings.options.get(name, {}).values())
            for name in self._methods(part)
        )
        return variants * len(part.targets) * prod(map(len, self._varied(part)))

    def _check_size(self) -> None:
        """Count the cells without making one; refuse grids that no run would get through."""
        for part in self.settings.transfers:
            for name in self._methods(part):
                options = self.settings.options.get(name, {})
                if any(isinstance(value, list) and not value for value in options.values()):
                    raise InvalidValueError(f"{self.path}: an option of {name} is an empty list.")
        count = sum(self.counts().values())
        if count > MOST_CELLS:
            raise InvalidValueError(
                f"{self.path}: this grid has {count:,} cells, expected at most {MOST_CELLS:,}: "
                "split it into several studies."
            )

    def _check_labels(self, labels: int) -> None:
        if labels and self.settings.reference == NONE:
            raise InvalidValueError(
                "labels are drawn from the reference, and reference is 'none': leave one of them "
                "out."
            )

    def _check_noise(self) -> None:
        """Refuse noise that no label has."""
        settings, used = self.settings, False
        for number, part in enumerate(settings.transfers):
            labelled = any(part.labels or settings.labels)
            used |= labelled and part.noise is None
            if any(part.noise or []) and not labelled:
                with self._located("transfers", number, "noise"):
                    check_labels(0, max(part.noise or []))
        if any(settings.noise) and not used:
            with self._located("noise"):
                check_labels(0, max(settings.noise))

    def _check_options(self) -> None:
        used = {name for part in self.settings.transfers for name in self._methods(part)}
        for name in self.settings.options:
            if name not in used:
                raise InvalidValueError(
                    f"{self.path}: there are options of {name!r}, which no transfer uses: name it "
                    "among the methods."
                )

    def _beside(self, name: str) -> Path:
        """A file beside the study file, or kept in the folder of a study."""
        beside, kept = self.path.parent / name, self.path.parent / PLUGINS / Path(name).name
        return kept if kept.is_file() and not beside.is_file() else beside

    @contextmanager
    def _located(self, *place: str | int) -> Iterator[None]:
        """Says in an error where in the file its cause stands."""
        try:
            yield
        except PacpdeError as error:
            raise InvalidValueError(f"{self._where(place)}: {error}") from error

    def _where(self, place: Place) -> str:
        line, name = line_of(self.text, place), ""
        for part in place:
            name += f"[{part}]" if isinstance(part, int) else f"{'.' if name else ''}{part}"
        return f"{self.path}{f', line {line}' if line else ''}{f', {name}' if name else ''}"

    def _messages(self, error: ValidationError) -> str:
        """Every fault that pydantic found, one a line."""
        lines = []
        for fault in error.errors(include_url=False):
            cause = fault.get("ctx", {}).get("error")
            message = str(cause) if cause is not None else _sentence(fault)
            lines.append(f"{self._where(fault['loc'])}: {message}")
        return "\n".join(dict.fromkeys(lines))


def read_tuned(file: Path) -> Tuned:
    """Family → method → options, as `pacpde study choose` wrote them."""
    tables = read_toml(file)[1]
    if not all(
        isinstance(part, dict) and all(isinstance(options, dict) for options in part.values())
        for part in tables.values()
    ):
        raise DataFileError(f"{file}: expected tables named [family.method] with options.")
    return tables


def _sentence(fault: Any) -> str:
    kind, last = fault["type"], fault["loc"][-1]
    if kind == "extra_forbidden":
        owner = Transfers if fault["loc"][0] == "transfers" else Settings
        return f"unknown key {last!r}: choose from {', '.join(owner.model_fields)}."
    if kind == "missing":
        return f"{last!r} is missing: add it."
    return f"{fault['msg']}, got {fault['input']!r}."
