"""Old names that work for one release, each with a `FutureWarning` that says the new one."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Say that `old` is `new` now."""
    warnings.warn(f"{old} was renamed: write {new}.", FutureWarning, stacklevel=stacklevel)


def renamed_attribute(old: str, new: str) -> Any:
    """A read-only attribute that gives another one.

    Example:
        >>> class Box:
        ...     width = 2
        ...     breadth = renamed_attribute("breadth", "width")
        >>> Box().breadth
        2
    """

    def read(owner: Any) -> Any:
        warn_renamed(f"{type(owner).__name__}.{old}", new)
        return getattr(owner, new)

    return property(read)


def renamed_keywords(**new_names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: the function accepts each old keyword in place of the new one.

    Args:
        new_names: old keyword = "new keyword".

    Example:
        >>> @renamed_keywords(breadth="width")
        ... def area(width, height):
        ...     return width * height
        >>> area(breadth=2, height=3)
        6
    """

    def accept(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            for old in new_names.keys() & kwargs.keys():
                new = new_names[old]
                warn_renamed(f"{function.__name__}({old}=...)", f"{new}=")
                if new in kwargs:
                    raise TypeError(f"{function.__name__} got {old} and {new}, which are the same")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return accept
