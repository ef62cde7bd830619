"""A study: its cells, and what a folder keeps to say what they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pacpde.errors import DataFileError, InvalidValueError, UntrustedCodeError
from pacpde.reading import read_bytes
from pacpde.studies.cells import Cell
from pacpde.studies.folder import ABOUT, FILE, PLUGINS, Outline, keep, read_about
from pacpde.studies.records import as_bytes
from pacpde.studies.study_file import StudyFile


@dataclass(frozen=True)
class Study:
    """Cells, in the order in which the file names them.

    Attributes:
        text: of the file.
        plugins: files with families, methods or networks that it needs.
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
        """The outline of the study, which needs no families and methods."""
        return Outline(self.names, [cell.method_variant for cell in self.cells], self.text)

    @classmethod
    def read(cls, file: str | Path, *, device: str = "cpu", trust: bool = True) -> "Study":
        """The study in a TOML file, all of whose fits run on `device`.

        Args:
            trust: run the plug-ins that it names. Without it, UntrustedCodeError where one of them
                was not imported before.
        """
        content = StudyFile(file)
        content.load_plugins(trust=trust)
        cells = content.cells(device)
        return cls(cells, content.text, content.plugins, device, tuned=content.tuned)

    @classmethod
    def from_folder(cls, folder: str | Path, *, trust: bool = False) -> "Study":
        """The study that was carried out in a folder.

        Args:
            trust: run the plug-ins that it names. Without it, UntrustedCodeError where one of them
                was not imported before.
        """
        place = Path(folder)
        about = read_about(place)
        study = cls.read(place / FILE, device=about["device"], trust=trust)
        if len(about["cells"]) != len(study.cells):
            raise DataFileError(
                f"{str(folder)!r} holds the records of {len(about['cells'])} cells, and its "
                f"study.toml makes {len(study.cells)}: it was edited since, or another pacpde "
                "wrote it."
            )
        return replace(study, names=tuple(about["cells"]))

    def contents(self) -> dict[str, bytes]:
        """The files of the study in its folder: name → content."""
        files = {FILE: self.text.encode()}
        for file in (*self.plugins, *([self.tuned] if self.tuned else [])):
            name, content = f"{PLUGINS}/{file.name}", read_bytes(file)
            if files.setdefault(name, content) != content:
                raise InvalidValueError(
                    f"two files of this study are called {file.name}: rename one of them."
                )
        return {**files, ABOUT: as_bytes(self.outline.as_json(self.device, files))}

    def keep(self, folder: Path, *, overwrite: bool = False) -> None:
        """Write down beside its records what the study is; files of the user stay."""
        keep(folder, self.contents(), overwrite=overwrite)


def read_outline(
    folder: str | Path, *, trust: bool = False
) -> tuple[Outline, Study | None, str | None]:
    """Read the outline of a study, and the study itself if its plug-ins may run.

    Gives a sentence on the plug-ins that were not run, in place of the study.
    """
    try:
        study = Study.from_folder(folder, trust=trust)
    except UntrustedCodeError as error:
        outline = Outline.from_folder(Path(folder))
        if outline is None:
            raise
        return outline, None, str(error)
    return study.outline, study, None
