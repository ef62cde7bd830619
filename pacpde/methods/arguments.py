"""Arguments of `fit`, `transfer` and the like: one convention, checked before anything runs.

Settings of the fits:
    `settings=` is a mapping, as {"steps": 20, "points": 500}, or a `TrainingConfig`.
Options of a method:
    they belong to its object, as method=PAC(sparsity=0.8). A name stands for the object, as
    method="pac", with its options in a mapping, as options={"sparsity": 0.8}.
Shorthand:
    other keywords of `fit`, `fit_many`, `fit_table` and `identify` are settings, as
    fit(problem, steps=20); those of `transfer`, `transfer_many` and `transfer_table` are options of
    the method that is named, as transfer(source, target, method="pac", sparsity=0.8).

What is given twice, and what has no effect, is refused. A `TrainingConfig` has every setting, so
that those without effect on a method (`Method.unused_settings`) are not refused in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pacpde.checks import check_unused
from pacpde.errors import InvalidValueError, UnknownNameError, short
from pacpde.methods.base import Method, methods
from pacpde.networks.surrogate import Surrogate
from pacpde.physics.problem import Problem
from pacpde.runtime import Runtime
from pacpde.training.callbacks import Callback
from pacpde.training.config import (
    DENSE,
    TrainingConfig,
    new_names,
    unused_beside,
    unused_in_fits,
    with_effect,
)
from pacpde.training.resume import ResumeState

Settings = Mapping[str, Any] | TrainingConfig
# settings without effect → why
OF_THE_SOURCE = dict.fromkeys((*DENSE, "network"), "the network is the source's")
OF_AN_EQUATION = dict.fromkeys(("points", "hard"), "a table has no equation")


def config_of_fit(
    problem: Problem | None,
    settings: Settings | None,
    shorthand: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    unused: Mapping[str, str] | None = None,
    method: Method | None = None,
) -> TrainingConfig:
    """Settings of a fit from random weights, or of fits to a table.

    Args:
        shorthand: settings that were given as keywords.
        defaults: those of this call where they are not those of `TrainingConfig`.
        unused: setting without effect in this call → why.
        method: that runs the fits.
    """
    given = _given(settings, shorthand, {**(unused or {}), **_unused_by(method)}, method)
    if isinstance(settings, TrainingConfig):
        if problem is not None:
            settings.check_tolerance()
        return settings
    others = {**(defaults or {}), **given}
    unused = unused_beside(others)
    others = {name: others[name] for name in others if name in given or name not in unused}
    config = TrainingConfig.of(problem, **others)
    check_unused(given, unused_in_fits(config))
    return config


def config_after(
    source: Surrogate,
    target: Problem,
    settings: Settings | None,
    shorthand: Mapping[str, Any] | None = None,
    *,
    method: Method | None = None,
) -> TrainingConfig:
    """Settings of fits that go on from a surrogate, whose network and ansatz they keep.

    Args:
        method: that runs the fits.
    """
    unused = {**OF_THE_SOURCE, **_unused_by(method)}
    given = _given(settings, shorthand or {}, unused, method)
    if isinstance(settings, TrainingConfig):
        given = as_mapping(settings)
    return TrainingConfig.after(source, target, **given)


def _given(
    settings: Settings | None,
    shorthand: Mapping[str, Any],
    unused: Mapping[str, str],
    method: Method | None,
) -> Mapping[str, Any]:
    """The settings that were given by name, all of them with an effect.

    Args:
        unused: setting without effect → why.
    """
    if isinstance(settings, TrainingConfig):
        _check_alone("settings", settings, shorthand)
        given, schedule = {}, settings.schedule
    else:
        given = new_names(_merged("settings", settings, shorthand))
        schedule = given.get("schedule")
        check_unused(given, unused)
    if schedule is not None and method is not None and method.steps is not None:
        check_unused(["steps"], {"steps": "the schedule has its own"}, "the option {}")
    return given


def _unused_by(method: Method | None) -> Mapping[str, str]:
    return {} if method is None else method.unused_settings


def as_mapping(settings: Settings) -> Mapping[str, Any]:
    """Settings by name: those of a mapping, or those of a `TrainingConfig` that have an effect."""
    if not isinstance(settings, TrainingConfig):
        return settings
    return with_effect({field.name: getattr(settings, field.name) for field in fields(settings)})


def method_of(
    method: str | Method,
    options: Mapping[str, Any] | None = None,
    shorthand: Mapping[str, Any] | None = None,
) -> Method:
    """The object of a method: itself, or that of a name with options.

    Args:
        shorthand: options that were given as keywords.

    Raises:
        UnknownNameError: there is no such method, or it has no such option.
        InvalidValueError: options beside an object; an option that is given twice.
    """
    merged = _merged("options", options, shorthand or {})
    if isinstance(method, Method):
        _check_alone("method", method, merged)
        return method
    if isinstance(method, type) and issubclass(method, Method):
        raise InvalidValueError(
            f"method is the class {method.__name__}, expected an object: write {method.__name__}()."
        )
    kind = methods.get(method)
    _check_no_settings(kind, merged)
    return kind(**merged)


def check_arguments(
    *,
    runtime: object = None,
    progress: object = None,
    callbacks: object = (),
    resume_state: object = None,
    settings: object = None,
    options: object = None,
    physics: object = True,
) -> None:
    """Refuse arguments of another kind; None is always one that was left out.

    Raises:
        InvalidValueError: naming the argument, and what to write.
        OutputError: nothing can be written to the folder of the resume state.
    """
    if not isinstance(runtime, Runtime | None):
        raise _wrong("runtime", runtime, 'a Runtime: write Runtime("cpu"), from pacpde')
    if progress is not None and not callable(progress):
        raise _wrong("progress", progress, "a function of an Update, or None: write print")
    if not isinstance(callbacks, Sequence) or not all(isinstance(c, Callback) for c in callbacks):
        raise _wrong("callbacks", callbacks, "a list of objects of classes below pacpde.Callback")
    named = not isinstance(settings, Mapping) or all(isinstance(name, str) for name in settings)
    if not (named and isinstance(settings, Mapping | TrainingConfig | None)):
        raise _wrong("settings", settings, 'a dict: write settings={"points": 500}')
    if not isinstance(options, Mapping | None):
        raise _wrong("options", options, 'a dict: write options={"sparsity": 0.8}')
    if not isinstance(physics, bool | np.bool_):
        raise _wrong("physics", physics, "True or False")
    if resume_state is None:
        return
    if not isinstance(resume_state, ResumeState) or not isinstance(resume_state.folder, Path):
        raise _wrong(
            "resume_state",
            resume_state,
            'a ResumeState: write ResumeState(Path("runs/resume"), "a name of these inputs"), '
            "from pacpde",
        )
    resume_state.check()


def _merged(
    name: str, given: Mapping[str, Any] | None, shorthand: Mapping[str, Any]
) -> dict[str, Any]:
    """What was given in a mapping, and what as keywords."""
    twice = sorted(set(given or {}) & set(shorthand))
    if twice:
        raise InvalidValueError(
            f"{' and '.join(twice)} {_are(twice)} given in {name}= and as a keyword: give one."
        )
    return {**(given or {}), **shorthand}


def _check_alone(name: str, value: object, others: Mapping[str, Any]) -> None:
    """Refuse options beside the object that has them all."""
    if others:
        listed = ", ".join(f"{key}={short(other)}" for key, other in others.items())
        kind = type(value).__name__
        raise InvalidValueError(
            f"{name} is a {kind}, and {', '.join(others)} {_are(others)} given beside it, without "
            f"effect: write {kind}({listed})."
        )


def _check_no_settings(method: type[Method], options: Mapping[str, Any]) -> None:
    """Refuse settings of a fit among the options of a method."""
    known = {option.name for option in fields(method)}
    meant = sorted({field.name for field in fields(TrainingConfig)} & set(options) - known)
    if meant:
        written = ", ".join(f'"{name}": {short(options[name])}' for name in meant)
        raise UnknownNameError(
            f"{' and '.join(meant)} {'are settings' if len(meant) > 1 else 'is a setting'} "
            f"of the fit and no option of {method.name}: write settings={{{written}}}."
        )


def _are(names: Iterable[str]) -> str:
    return "are" if len(list(names)) > 1 else "is"


def _wrong(name: str, value: object, expected: str) -> InvalidValueError:
    return InvalidValueError(f"{name} is {short(value)}, expected {expected}.")
