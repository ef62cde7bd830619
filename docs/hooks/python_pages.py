"""Reference pages in Python: every public name once, from the modules' own lists of them."""

import importlib
import inspect
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from types import ModuleType
from typing import Any, NamedTuple

import pacpde
from pacpde.methods.base import Method

FOLDER = "reference"
INDEX = f"{FOLDER}/index.md"


def _module(name: str) -> ModuleType:
    """A module, without what DeepXDE says of its backends when it is imported."""
    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        return importlib.import_module(name)


class Part(NamedTuple):
    """A page: its place, what it has, the guide to it, and the module whose names it has."""

    place: str
    what: str
    guide: str = ""
    module: str = "pacpde"
    title: str = ""  # the module where it is left out
    options: tuple[str, ...] = ()  # of mkdocstrings

    @property
    def heading(self) -> str:
        return self.title or self.module

    def names(self) -> list[str]:
        """Public names of the module that belong on this page."""
        names = list(_module(self.module).__all__)
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


METHOD = (
    "Ways to transfer, imported from `pacpde`. Each is an object whose arguments are its options; "
    'its name, as `"pac"`, stands for it with its defaults'
)
PARTS = (
    Part("pacpde", "Fits, transfers and what they give"),
    Part("methods", METHOD, "methods.md#which-method", title="Ways to transfer"),
    Part(
        "errors",
        "Errors, each of which is a `PacpdeError` and one of Python's own, and warnings",
        title="Errors and warnings",
    ),
    Part("physics", "What an equation is made of", "equations.md", "pacpde.physics"),
    Part(
        "elementary",
        "Functions for equations, of arrays and tensors alike",
        "equations.md#what-a-class-declares",
        "pacpde.physics.elementary",
    ),
    Part(
        "problems",
        "The families, with the bounds and defaults of their coefficients",
        "families.md",
        "pacpde.problems",
        options=("members: false",),
    ),
    Part("networks", "Networks and ansätze", "networks.md", "pacpde.networks"),
    Part("activations", "Activations of dense networks", "", "pacpde.networks.activations"),
    Part("training", "Settings, phases and callbacks of fits", "engine.md", "pacpde.training"),
    Part(
        "residuals", "Measurements, terms of a loss, tasks", "measurements.md", "pacpde.residuals"
    ),
    Part("optim", "Optimisers", "engine.md#a-step", "pacpde.optim"),
    Part("pac", "The stages of PAC, one at a time", "methods.md#pac", "pacpde.pac"),
    Part("all_methods", "The registry of the ways to transfer", "", "pacpde.methods"),
    Part("library", "Libraries", "library.md", "pacpde.methods.library"),
    Part(
        "solutions",
        "Reference solutions by scipy",
        "engine.md#what-a-reference-is-worth",
        "pacpde.reference",
    ),
    Part("datasets", "Files of references and labels", "data_files.md", "pacpde.datasets"),
    Part("plots", "Pictures", "", "pacpde.plots"),
    Part("report", "The page of a study", "studies.md#the-report", "pacpde.report"),
    Part(
        "modules",
        "Any torch module in a training loop of your own",
        "modules.md",
        "pacpde.interop.modules",
    ),
    Part("deepxde", "DeepXDE models", "deepxde.md", "pacpde.interop.deepxde"),
    Part(
        "sklearn",
        "Estimators for scikit-learn",
        "tables.md#scikit-learn",
        "pacpde.interop.sklearn",
    ),
    Part("plugins", "Files of your own", "equations.md", "pacpde.plugins"),
    Part("cli", "The command line as a function", "command_line.md", "pacpde.cli"),
)


def documented() -> dict[str, str]:
    """Path of each public name → place of the page that documents it."""
    return {path: place for place, (paths, _) in _contents().items() for path in paths}


def families() -> dict[str, str]:
    """Name of each family that is there → place of its class in the reference, with the anchor."""
    module = importlib.import_module("pacpde.problems")
    classes = (getattr(module, name) for name in module.__all__)
    paths = {c.name: f"{c.__module__}.{c.__qualname__}" for c in classes}
    places = documented()
    return {name: f"{places[path]}#{path}" for name, path in paths.items()}


def pages() -> dict[str, str]:
    """Place on the site → Markdown."""
    return {place: text for place, (_, text) in _contents().items()}


def rows() -> str:
    """Rows of the table of the reference, one a page."""
    return "".join(f"| {part.what} | [{part.heading}]({part.place}.md) |\n" for part in PARTS)


@cache
def _contents() -> dict[str, tuple[list[str], str]]:
    """Place → the names that it documents, and its Markdown; a name is on one page alone."""
    first: dict[int, str] = {}  # of objects → link
    contents = {}
    for part in PARTS:
        paths, blocks, elsewhere = [], [], []
        values = {n: getattr(_module(part.module), n) for n in part.names()}
        for name in sorted(values, key=lambda name: inspect.isclass(values[name])):
            value = values[name]  # functions first
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
        guide = f" [Guide](../{part.guide})." if part.guide else ""
        head = f"# {part.heading}\n\n{part.what}.{guide}\n\n{also}"
        contents[f"{FOLDER}/{part.place}.md"] = paths, head + "\n".join(blocks)
    return contents


def _block(path: str, value: Any, options: tuple[str, ...]) -> str:
    """What mkdocstrings replaces by the documentation of a name."""
    if isinstance(value, float):  # griffe does not follow a name out of the package
        return f"## {path.rpartition('.')[2]} {{#{path}}}\n\n{value!r}\n"
    lines = "".join(f"        {line}\n" for line in options)
    return f"::: {path}\n" + (f"    options:\n{lines}" if lines else "")
