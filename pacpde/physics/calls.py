"""Whether the functions of a family take the arguments with which pacpde calls them."""

import inspect
from typing import TYPE_CHECKING

from pacpde.errors import InvalidValueError

if TYPE_CHECKING:
    from pacpde.physics.problem import Problem

SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_calls(problem: "Problem") -> None:
    """Refuse functions that take another number of arguments, or coordinates in another order."""
    names, fields = problem.domain.names, ", ".join(problem.fields)
    tuples = f"where u is the tuple of the fields {fields}"
    space = "where t is left out" if names[1:] else "as an ODE starts at numbers"
    _check(problem, "rhs", ("u", "d"), tuples if len(problem.fields) > 1 else "")
    _check(problem, "initial", names[1:], space)
    _check(problem, "exact", names, "where t comes first")


def _check(problem: "Problem", method: str, called: tuple[str, ...], about: str) -> None:
    """Refuse a method that cannot be called with `called`."""
    function = getattr(problem, method)
    write = f"write `def {method}({', '.join(('self', *called))}):`"
    place = f"the {method} of the family {problem.name!r}{line_of(problem, method)}"
    if not callable(function):
        raise InvalidValueError(f"{place} is {type(function).__name__}, no function: {write}.")
    written = inspect.getattr_static(type(problem), method)
    given = ("self", *called) if inspect.isfunction(written) else called
    try:
        signature = inspect.signature(written if inspect.isfunction(written) else function)
    except (TypeError, ValueError):  # written in C: found out where it is called
        return
    taken = f"{place} takes ({', '.join(map(str, signature.parameters.values()))})"
    wanted = f"pacpde calls it with ({', '.join(given)}){f', {about}' if about else ''}"
    try:
        bound = signature.bind(*given)
    except TypeError as error:
        raise InvalidValueError(f"{taken}, and {wanted}: {write}.") from error
    for parameter, name in bound.arguments.items():
        kind = signature.parameters[parameter].kind
        if kind not in SEVERAL and name != parameter and parameter in given:
            raise InvalidValueError(f"{taken} in another order: {wanted}, so {write}.")


def line_of(problem: "Problem", method: str) -> str:
    """Where a function of a family begins, in words."""
    code = getattr(inspect.unwrap(getattr(type(problem), method)), "__code__", None)
    return "" if code is None else f" (line {code.co_firstlineno})"
