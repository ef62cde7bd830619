"""What `fit`, `transfer` and the like are given, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pacpde.errors import InvalidValueError, UnknownNameError, short
from pacpde.files import check_writable
from pacpde.methods.base import Method
from pacpde.runtime import Runtime
from pacpde.training.config import TrainingConfig
from pacpde.training.resume import ResumeState


def check_arguments(
    *,
    runtime: object = None,
    progress: object = None,
    journal: object = None,
    settings: object = None,
    physics: object = True,
) -> None:
    """Refuse arguments of another kind; None is always one that was left out.

    Raises:
        InvalidValueError: naming the argument, and what to write.
        OutputError: nothing can be written to the folder of the journal.
    """
    if not isinstance(runtime, Runtime | None):
        raise _wrong("runtime", runtime, 'a Runtime: write Runtime("cpu"), from pacpde')
    if progress is not None and not callable(progress):
        raise _wrong("progress", progress, "a function of an Update, or None: write print")
    if not isinstance(settings, Mapping | None):
        raise _wrong("settings", settings, 'a dict: write settings={"points": 500}')
    if not isinstance(physics, bool | np.bool_):
        raise _wrong("physics", physics, "True or False")
    if journal is None:
        return
    if not isinstance(journal, ResumeState) or not isinstance(journal.folder, Path):
        raise _wrong(
            "journal",
            journal,
            'a ResumeState: write ResumeState(Path("runs/resume"), "a name of these inputs"), '
            "from pacpde.training.resume",
        )
    check_writable(journal.folder / "state")


def check_options(method: type[Method], options: Mapping[str, Any]) -> None:
    """Refuse settings of a fit among the options of a method."""
    known = {option.name for option in fields(method)}
    meant = {field.name for field in fields(TrainingConfig)} & set(options) - known
    if meant:
        written = ", ".join(f'"{name}": {short(options[name])}' for name in sorted(meant))
        raise UnknownNameError(
            f"{' and '.join(sorted(meant))} {'are settings' if len(meant) > 1 else 'is a setting'} "
            f"of the fit and no option of {method.name}: write settings={{{written}}}."
        )


def _wrong(name: str, value: object, expected: str) -> InvalidValueError:
    return InvalidValueError(f"{name} is {short(value)}, expected {expected}.")
