"""Reference pages in Python: every public name once, from the modules' own lists of them."""

import importlib
import inspect
from functools import cache
from typing import Any, NamedTuple

import pacpde
from pacpde.methods.base import Method

FOLDER = "reference"


class Part(NamedTuple):
    """A page: its file, title, opening sentences, and the module whose names it has."""

    place: str
    title: str
    text: str
    module: str = "pacpde"
    options: tuple[str, ...] = ()  # of mkdocstrings

    def names(self) -> list[str]:
        """Public names of the module that belong on this page."""
        names = list(importlib.import_module(self.module).__all__)
        if self.module != "pacpde":
            return names
        return [name for name in names if _part_of(getattr(pacpde, name)) == self.place]


def _part_of(value: Any) -> str:
    """The page of a name that `pacpde` itself has."""
    if inspect.isclass(value) and issubclass(value, Method):
        return "methods"
    if inspect.isclass(value) and issubclass(value, Exception):
        return "errors"
    return "pacpde"


PARTS = (
    Part(
        "pacpde",
        "pacpde",
        "What is imported from `pacpde` itself, beside [the ways to transfer](methods.md) and "
        "[errors and warnings](errors.md).",
    ),
    Part(
        "methods",
        "Ways to transfer",
        "Imported from `pacpde`. Each is an object whose arguments are its options. Its name, as "
        '`"pac"`, stands for it with its defaults. Which one to take: '
        "[Which method](../methods.md#which-method).",
    ),
    Part(
        "errors",
        "Errors and warnings",
        "Imported from `pacpde`. All errors are a `PacpdeError`, and one of Python's own as well.",
    ),
    Part(
        "physics",
        "pacpde.physics",
        "What an equation of your own is made of: [guide](../equations.md).",
        "pacpde.physics",
    ),
    Part(
        "elementary",
        "pacpde.physics.elementary",
        "Functions for equations, of arrays and tensors alike.",
        "pacpde.physics.elementary",
    ),
    Part(
        "problems",
        "pacpde.problems",
        "The families that are there, with the bounds and defaults of their coefficients. Those "
        "of your own: [guide](../equations.md).",
        "pacpde.problems",
        ("members: false",),
    ),
    Part(
        "networks",
        "pacpde.networks",
        "Networks, and what stands around them: [guide](../networks.md).",
        "pacpde.networks",
    ),
    Part(
        "activations",
        "pacpde.networks.activations",
        "Activations of dense networks.",
        "pacpde.networks.activations",
    ),
    Part("training", "pacpde.training", "Fits: [how they work](../engine.md).", "pacpde.training"),
    Part("residuals", "pacpde.residuals", "Terms of a loss, and tasks.", "pacpde.residuals"),
    Part("optim", "pacpde.optim", 'Optimisers: `settings={"optimiser": ...}`.', "pacpde.optim"),
    Part("pac", "pacpde.pac", "The stages of PAC, one at a time.", "pacpde.pac"),
    Part(
        "all_methods",
        "pacpde.methods",
        "The registry of the ways to transfer.",
        "pacpde.methods",
    ),
    Part(
        "library",
        "pacpde.methods.library",
        "Libraries: [guide](../library.md).",
        "pacpde.methods.library",
    ),
    Part("solutions", "pacpde.reference", "Reference solutions by scipy.", "pacpde.reference"),
    Part(
        "datasets",
        "pacpde.datasets",
        "Files of references and labels: [their layout](../data_files.md).",
        "pacpde.datasets",
    ),
    Part("plots", "pacpde.plots", "Pictures.", "pacpde.plots"),
    Part(
        "report",
        "pacpde.report",
        "The page of a study: [guide](../studies.md#the-report).",
        "pacpde.report",
    ),
    Part(
        "modules",
        "pacpde.interop.modules",
        "Any torch module under a training loop of your own: [guide](../modules.md).",
        "pacpde.interop.modules",
    ),
    Part(
        "deepxde",
        "pacpde.interop.deepxde",
        "DeepXDE models: [guide](../deepxde.md).",
        "pacpde.interop.deepxde",
    ),
    Part(
        "sklearn",
        "pacpde.interop.sklearn",
        "Estimators: [guide](../tables.md#scikit-learn).",
        "pacpde.interop.sklearn",
    ),
    Part("plugins", "pacpde.plugins", "Files of your own.", "pacpde.plugins"),
    Part(
        "cli",
        "pacpde.cli",
        "The command line as a function: [commands](../command_line.md).",
        "pacpde.cli",
    ),
)


def documented() -> dict[str, str]:
    """Path of each public name → place of the page that documents it."""
    return {path: place for place, (paths, _) in _contents().items() for path in paths}


def pages() -> dict[str, str]:
    """Place on the site → Markdown."""
    return {place: text for place, (_, text) in _contents().items()}


@cache
def _contents() -> dict[str, tuple[list[str], str]]:
    """Place → the names that it documents, and its Markdown; a name is on one page alone."""
    first: dict[int, str] = {}  # of objects → link
    contents = {}
    for part in PARTS:
        paths, blocks, elsewhere = [], [], []
        for name in part.names():
            value = getattr(importlib.import_module(part.module), name)
            # the names of the families are listed by their files, which griffe does not run
            module = value.__module__ if part.module == "pacpde.problems" else part.module
            path = f"{module}.{name}"
            if callable(value) and id(value) in first:
                elsewhere.append(f"[`{name}`]({first[id(value)]})")
                continue
            first[id(value)] = f"{part.place}.md#{path}"
            paths.append(path)
            blocks.append(_block(path, value, part.options))
        also = f"Also here: {', '.join(elsewhere)}.\n\n" if elsewhere else ""
        text = f"# {part.title}\n\n{part.text}\n\n{also}" + "\n".join(blocks)
        contents[f"{FOLDER}/{part.place}.md"] = paths, text
    return contents


def _block(path: str, value: Any, options: tuple[str, ...]) -> str:
    """What mkdocstrings replaces by the documentation of a name."""
    if isinstance(value, float):  # griffe does not follow a name out of the package
        return f"## {path.rpartition('.')[2]} {{#{path}}}\n\n{value!r}\n"
    lines = "".join(f"        {line}\n" for line in options)
    return f"::: {path}\n" + (f"    options:\n{lines}" if lines else "")
