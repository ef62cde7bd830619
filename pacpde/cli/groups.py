"""Commands that take several options as one parameter."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any

from pacpde.cli.options import EveryCommand


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer: a parameter that is a dataclass gives an option a field.

    The options of `EveryCommand` follow, which the command need not take.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    def own(parameter: inspect.Parameter) -> Iterable[inspect.Parameter]:
        return _fields(groups[parameter.name]) if parameter.name in groups else [parameter]

    @wraps(command)
    def called(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{f.name: values[f.name] for f in fields(group) if f.init})
        command(**{name: values[name] for name in signature.parameters})

    flat = [option for parameter in signature.parameters.values() for option in own(parameter)]
    options = {option.name: option for option in (*flat, *_fields(EveryCommand))}
    vars(called)["__signature__"] = signature.replace(
        parameters=[option.replace(kind=option.KEYWORD_ONLY) for option in options.values()]
    )
    called.__annotations__ = {name: option.annotation for name, option in options.items()}
    return called


def _fields(group: Any) -> Iterable[inspect.Parameter]:
    return inspect.signature(group, eval_str=True).parameters.values()
