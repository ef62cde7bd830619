"""Whether the functions of a user's class take the arguments with which pacpde calls them."""

import inspect
from typing import TYPE_CHECKING

from pacpde.errors import InvalidValueError

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_calls(problem: "Problem") -> None:
    """Refuse functions that take another number of arguments, or coordinates in another order."""
    whose = f"of the family {problem.name!r}"
    for name, arguments, remark in problem.signatures:
        check_call(problem, name, arguments, whose, remark)


def check_call(
    owner: object, name: str, called: tuple[str, ...], whose: str, about: str = ""
) -> None:
    """Refuse a function of a class, or of an object of it, that does not take `called`."""
    function, kind = getattr(owner, name), owner if isinstance(owner, type) else type(owner)
    write = f"write `def {name}({', '.join(('self', *called))}):`"
    place = f"the {name} {whose}{line_of(owner, name)}"
    if not callable(function):
        raise InvalidValueError(f"{place} is {type(function).__name__}, no function: {write}.")
    written = inspect.getattr_static(kind, name)
    arguments = ("self", *called) if inspect.isfunction(written) else called
    try:
        signature = inspect.signature(written if inspect.isfunction(written) else function)
    except (TypeError, ValueError):  # written in C: found out where it is called
        return
    taken = f"{place} takes {signature.replace(return_annotation=signature.empty)}"
    expected = f"pacpde calls it with ({', '.join(arguments)}){f', {about}' if about else ''}"
    try:
        bound = signature.bind(*arguments)
    except TypeError as error:
        raise InvalidValueError(f"{taken}, and {expected}: {write}.") from error
    for parameter, value in bound.arguments.items():
        several = signature.parameters[parameter].kind in SEVERAL
        if not several and value != parameter and parameter in arguments:
            raise InvalidValueError(f"{taken} in another order: {expected}, so {write}.")


def line_of(owner: object, name: str) -> str:
    """Where a function of a class, or of an object of it, begins, in words."""
    kind = owner if isinstance(owner, type) else type(owner)
    code = getattr(inspect.unwrap(getattr(kind, name)), "__code__", None)
    return "" if code is None else f" (line {code.co_firstlineno})"
