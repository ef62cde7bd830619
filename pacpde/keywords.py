"""Calls of public functions that do not fit their signature, refused in a sentence."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pacpde.errors import InvalidValueError, PacpdeError, unknown

P = ParamSpec("P")
T = TypeVar("T")
BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def checked_call(function: Callable[P, T]) -> Callable[P, T]:
    """A decorator: arguments that the function cannot take are refused before it runs.

    Example:
        >>> @checked_call
        ... def area(width, *, height=1):
        ...     return width * height
        >>> area(2, hight=3)
        Traceback (most recent call last):
            ...
        pacpde.errors.UnknownNameError: unknown argument of area 'hight': did you mean height?
    """
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    # another keyword of the same name is one of **others, where there are any; `bind` refuses it
    free = any(each.kind == inspect.Parameter.VAR_KEYWORD for each in parameters)
    by_place = {
        each.name for each in parameters if free and each.kind == inspect.Parameter.POSITIONAL_ONLY
    }

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            signature.bind(*args, **{n: kwargs[n] for n in kwargs if n not in by_place})
        except TypeError as error:
            raise _fault(function.__name__, signature, len(args), kwargs) from error
        return function(*args, **kwargs)

    return call


def _fault(
    name: str, signature: inspect.Signature, n_positional: int, keywords: Mapping[str, Any]
) -> PacpdeError:
    """What is wrong with a call that does not fit."""
    parameters = signature.parameters
    known = [each for each in parameters if parameters[each].kind != inspect.Parameter.VAR_KEYWORD]
    positional = [each for each in known if parameters[each].kind in BY_POSITION]
    if len(known) == len(parameters):
        for keyword in keywords:
            if keyword not in known:
                return unknown(f"argument of {name}", keyword, known)
    written = f"{name}({', '.join(positional)})"
    if n_positional > len(positional):
        return InvalidValueError(
            f"{name} got {n_positional} arguments without a name, expected "
            f"{len(positional)}: write {written}, and the others by name."
        )
    twice = [each for each in positional[:n_positional] if each in keywords]
    if twice:
        return InvalidValueError(
            f"{' and '.join(twice)} of {name} is given by position and by name: give it once."
        )
    return InvalidValueError(f"{name} was called without all of its arguments: write {written}.")
