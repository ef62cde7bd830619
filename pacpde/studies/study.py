"""Study files: TOML that says what varies, turned into cells or refused with file, key and line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pacpde.errors import (
    DataFileError,
    InvalidValueError,
    PacpdeError,
    UntrustedCodeError,
    as_float,
)
from pacpde.expressions import evaluate
from pacpde.methods import methods
from pacpde.physics import Problem
from pacpde.physics.problem import families
from pacpde.plugins import is_loaded, load_plugin
from pacpde.reading import read_bytes, read_toml
from pacpde.runtime import LARGEST_SEED, Runtime
from pacpde.studies.folder import ABOUT, FILE, PLUGINS, Outline, keep, read_about
from pacpde.studies.grid import Cell, several, variants
from pacpde.studies.lines import Place, line_of
from pacpde.studies.records import as_bytes
from pacpde.studies.results_store import Row
from pacpde.studies.single import Training

Tuned = Mapping[str, Mapping[str, Mapping[str, Any]]]  # family → method → options
MOST = 100_000  # cells


def _number(value: Any) -> float:
    """A number, or arithmetic such as "0.01/pi"."""
    if isinstance(value, str):
        return evaluate(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValueError(f"{value!r} is no number: write 0.02, or arithmetic as '0.01/pi'.")
    return as_float(value)


def _listed(value: Any) -> list[Any]:
    found = list(several(value))
    if not found:
        raise InvalidValueError("the list is empty: give at least one value, or leave it out.")
    if len({repr(part) for part in found}) < len(found):
        raise InvalidValueError(f"{value} names something twice: name it once.")
    return found


def _seeds(value: Any) -> Any:
    """`5` stands for 0, 1, 2, 3, 4."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise InvalidValueError(f"seeds is {value}: give how many, or a list as [0, 3].")
        if value > MOST:
            raise InvalidValueError(f"seeds is {value:,}, expected at most {MOST:,}.")
        return list(range(value))
    return _listed(value)


Number = Annotated[float, BeforeValidator(_number)]
Coefficients = dict[str, Number]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED, strict=True)]
Seeds = Annotated[list[Seed], BeforeValidator(_seeds)]
Names = Annotated[list[str], BeforeValidator(_listed)]
Counts = Annotated[list[Annotated[int, Field(strict=True)]], BeforeValidator(_listed)]
Noise = Annotated[
    list[Annotated[Number, Field(ge=0, allow_inf_nan=False)]], BeforeValidator(_listed)
]
Choices = Annotated[list[Annotated[bool, Field(strict=True)]], BeforeValidator(_listed)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Transfers(_Table):
    """From one source to some targets; what it leaves out is the study's."""

    family: str
    source: Coefficients = {}
    targets: Annotated[list[Coefficients], Field(min_length=1)]
    until: Number | None = None
    methods: Names | None = None
    seeds: Seeds | None = None
    labels: Counts | None = None
    noise: Noise | None = None
    physics: Choices | None = None
    settings: dict[str, Any] = {}


class Settings(_Table):
    """A whole study file."""

    methods: Names = ["pac", "warm_start", "scratch"]
    seeds: Seeds = [0]
    labels: Counts = [0]
    noise: Noise = [0.0]
    physics: Choices = [True]
    dtype: str = "float64"
    plugins: list[str] = []
    tuned: str | None = None
    reference: str = "auto"
    reference_tolerance: Number | None = None
    options: dict[str, dict[str, Any]] = {}
    settings: dict[str, Any] = {}
    transfers: Annotated[list[Transfers], Field(min_length=1)]


@dataclass(frozen=True)
class Study:
    """Cells, in the order in which the file names them.

    Attributes:
        text: of the file.
        plugins: files with families or methods that it needs.
        tuned: the file that `pacpde study choose` wrote, whose options it takes.
        device: that its fits run on.
        names: of the cells, as their rows have them. A study read back from a folder has those
            under which it was carried out, which today's code might not give them.
    """

    cells: Sequence[Cell]
    text: str
    plugins: Sequence[Path] = ()
    device: str = "cpu"
    names: Sequence[str] = ()
    tuned: Path | None = None

    def __post_init__(self) -> None:
        if not self.names:
            object.__setattr__(self, "names", tuple(cell.key for cell in self.cells))

    @property
    def outdated(self) -> bool:
        """Whether other code or versions would make its cells today."""
        return any(c.key != name for c, name in zip(self.cells, self.names, strict=True))

    @property
    def outline(self) -> Outline:
        """What can be said of it without its families and methods."""
        return Outline(self.names, [cell.way for cell in self.cells], self.text)

    def told(self, rows: Iterable[Row]) -> list[Row]:
        """Rows of its cells, each variant by the options alone that tell it from the others."""
        return self.outline.told(rows)

    @classmethod
    def read(cls, file: str | Path, *, device: str = "cpu", trust: bool = True) -> "Study":
        """The study in a TOML file, all of whose fits run on `device`.

        Args:
            trust: run the plug-ins that it names. Without it, UntrustedCodeError where one of them
                was not imported before.
        """
        path = Path(file)
        text, settings = _parsed(path)
        plugins = [_beside(path.parent, name) for name in settings.plugins]
        if not trust:
            _check_loaded(path, plugins)
        for number, plugin in enumerate(plugins):
            with _located(path, text, ("plugins", number)):
                load_plugin(plugin)
        with _located(path, text, ("tuned",)):
            tuned = _beside(path.parent, settings.tuned) if settings.tuned else None
            chosen = read_tuned(tuned) if tuned else {}
        cells: dict[str, Cell] = {}
        for number, part in enumerate(settings.transfers):
            for cell in _cells(path, text, settings, chosen, part, ("transfers", number), device):
                cells.setdefault(cell.key, cell)
        _check_options(path, settings)
        return cls(list(cells.values()), text, plugins, device, tuned=tuned)

    @classmethod
    def kept(cls, folder: str | Path, *, trust: bool = False) -> "Study":
        """The study that was carried out in a folder.

        Args:
            trust: run the plug-ins that it names. Without it, UntrustedCodeError where one of them
                was not imported before.
        """
        place = Path(folder)
        about = read_about(place)
        found = cls.read(place / FILE, device=about["device"], trust=trust)
        if len(about["cells"]) != len(found.cells):
            raise DataFileError(
                f"{str(folder)!r} holds the records of {len(about['cells'])} cells, and its "
                f"study.toml makes {len(found.cells)}: it was edited since, or another pacpde "
                "wrote it."
            )
        return replace(found, names=tuple(about["cells"]))

    def contents(self) -> dict[str, bytes]:
        """What a folder keeps of it: name → content."""
        found = {FILE: self.text.encode()}
        for file in (*self.plugins, *([self.tuned] if self.tuned else [])):
            name, content = f"{PLUGINS}/{file.name}", read_bytes(file)
            if found.setdefault(name, content) != content:
                raise InvalidValueError(
                    f"two files of this study are called {file.name}: rename one of them."
                )
        about = self.outline.as_json(self.device, found)
        return {**found, ABOUT: as_bytes(about)}

    def keep(self, folder: Path, *, overwrite: bool = False) -> None:
        """Write down beside its records what the study is; files of the user stay."""
        keep(folder, self.contents(), overwrite=overwrite)


def look(folder: str | Path, *, trust: bool = False) -> tuple[Outline, Study | None, str | None]:
    """What a folder shows: its outline, and the study itself where its plug-ins may run.

    Gives a sentence on the plug-ins that were not run, in place of the study.
    """
    try:
        study = Study.kept(folder, trust=trust)
    except UntrustedCodeError as error:
        outline = Outline.kept(Path(folder))
        if outline is None:
            raise
        return outline, None, str(error)
    return study.outline, study, None


def read_tuned(file: Path) -> Tuned:
    """Family → method → options, as `pacpde study choose` wrote them."""
    found = read_toml(file)[1]
    if not all(
        isinstance(part, dict) and all(isinstance(options, dict) for options in part.values())
        for part in found.values()
    ):
        raise DataFileError(f"{file}: expected tables named [family.method] with options.")
    return found


def _parsed(path: Path) -> tuple[str, Settings]:
    """The text of a study file and what it says, which is no larger than a run gets through."""
    text, content = read_toml(path)
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise InvalidValueError(_told(path, text, error)) from error
    _check_size(path, settings)
    return text, settings


def grid(file: str | Path) -> dict[str, int]:
    """Family → how many cells a study file has of it, without any family, method or plug-in."""
    settings = _parsed(Path(file))[1]
    found: dict[str, int] = {}
    for part in settings.transfers:
        found[part.family] = found.get(part.family, 0) + _size(settings, part)
    return found


def _check_loaded(path: Path, plugins: Sequence[Path]) -> None:
    """Refuse plug-ins whose code has not run yet."""
    left = [str(plugin) for plugin in plugins if plugin.is_file() and not is_loaded(plugin)]
    if left:
        raise UntrustedCodeError(
            f"{path} names {', '.join(left)}, whose code was not run: read it, then add --trust to "
            "run it."
        )


def _methods(settings: Settings, part: Transfers) -> list[str]:
    return part.methods or settings.methods


def _varied(settings: Settings, part: Transfers) -> tuple[list[Any], ...]:
    """Seeds, labels, noise and physics of a table of transfers."""
    return (
        part.seeds or settings.seeds, part.labels or settings.labels,
        part.noise or settings.noise, part.physics or settings.physics,
    )  # fmt: skip


def _check_size(path: Path, settings: Settings) -> None:
    """Count the cells without making one; refuse grids that no run would get through."""
    for part in settings.transfers:
        for name in _methods(settings, part):
            options = settings.options.get(name, {})
            if any(isinstance(value, list) and not value for value in options.values()):
                raise InvalidValueError(f"{path}: an option of {name} is an empty list.")
    count = sum(_size(settings, part) for part in settings.transfers)
    if count > MOST:
        raise InvalidValueError(
            f"{path}: this grid has {count:,} cells, expected at most {MOST:,}: split it into "
            "several studies."
        )


def _size(settings: Settings, part: Transfers) -> int:
    """Cells of a table of transfers, before those that are the same are put together."""
    ways = sum(
        prod(len(several(value)) for value in settings.options.get(name, {}).values())
        for name in _methods(settings, part)
    )
    return ways * len(part.targets) * prod(map(len, _varied(settings, part)))


def _check_options(path: Path, settings: Settings) -> None:
    used = {name for part in settings.transfers for name in _methods(settings, part)}
    for name in settings.options:
        if name not in used:
            raise InvalidValueError(
                f"{path}: there are options of {name!r}, which no transfer uses: name it among the "
                "methods."
            )


def _cells(
    path: Path,
    text: str,
    settings: Settings,
    tuned: Tuned,
    part: Transfers,
    place: Place,
    device: str,
) -> Iterator[Cell]:
    """The cells of one table of transfers."""
    with _located(path, text, (*place, "family")):
        family = families.get(part.family)
    with _located(path, text, (*place, "source")):
        source = family.from_coefficients(part.source, part.until)
    targets: list[Problem] = []
    for number, changes in enumerate(part.targets):
        with _located(path, text, (*place, "targets", number)):
            targets.append(family.from_coefficients({**part.source, **changes}, part.until))
    with _located(path, text, ("dtype",)):
        runtime = Runtime(device, settings.dtype)
    own = {**settings.settings, **part.settings}
    (first, *rest), *others = _varied(settings, part)
    with _located(path, text, place):
        training = Training(source, first, runtime, own)
    made = []
    for target, name, labels, noise, physics in product(targets, _methods(settings, part), *others):
        if noise and not labels:
            noise = 0.0  # there is nothing to be noisy
        given = _options(path, text, name, tuned.get(part.family, {}), settings.options)
        for options in variants(given):
            with _located(path, text, place):
                made.append(
                    Cell(
                        training, target, name, options, labels, noise, physics,
                        settings.reference, settings.reference_tolerance,
                    )
                )  # fmt: skip
    yield from made
    for seed in rest:  # nothing that was checked depends on it
        other = training.with_seed(seed)
        yield from (cell.with_training(other) for cell in made)


def _options(path: Path, text: str, name: str, *tables: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a method out of tables method → options, the later ones first."""
    with _located(path, text, ("options", name)):
        found: dict[str, Any] = {}
        for table in tables:
            options = table.get(name, {})
            found |= methods.get(name).with_new_names(options) if options else {}
        return found


def _beside(folder: Path, name: str) -> Path:
    """A file beside the study file, or kept in the folder of a study."""
    kept = folder / PLUGINS / Path(name).name
    return kept if kept.is_file() and not (folder / name).is_file() else folder / name


@contextmanager
def _located(path: Path, text: str, place: Place) -> Iterator[None]:
    """Says in an error where in the file its cause stands."""
    try:
        yield
    except PacpdeError as error:
        raise InvalidValueError(f"{_where(path, text, place)}: {error}") from error


def _told(path: Path, text: str, error: ValidationError) -> str:
    """Every fault that pydantic found, one a line."""
    lines = []
    for fault in error.errors(include_url=False):
        cause = fault.get("ctx", {}).get("error")
        message = str(cause) if cause is not None else _sentence(fault)
        lines.append(f"{_where(path, text, fault['loc'])}: {message}")
    return "\n".join(dict.fromkeys(lines))


def _sentence(fault: Any) -> str:
    kind, last = fault["type"], fault["loc"][-1]
    if kind == "extra_forbidden":
        owner = Transfers if fault["loc"][0] == "transfers" else Settings
        return f"unknown key {last!r}: choose from {', '.join(owner.model_fields)}."
    if kind == "missing":
        return f"{last!r} is missing: add it."
    return f"{fault['msg']}, got {fault['input']!r}."


def _where(path: Path, text: str, place: Place) -> str:
    line = line_of(text, place)
    named = ""
    for part in place:
        named += f"[{part}]" if isinstance(part, int) else f"{'.' if named else ''}{part}"
    return f"{path}{f', line {line}' if line else ''}{f', {named}' if named else ''}"
