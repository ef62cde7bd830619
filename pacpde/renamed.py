"""Old names that work for one release, each with a `FutureWarning` that says the new one."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pacpde.errors import InvalidValueError, RenamedWarning

P = ParamSpec("P")
T = TypeVar("T")


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Say that `old` is `new` now."""
    warnings.warn(f"{old} was renamed: write {new}.", RenamedWarning, stacklevel=stacklevel)


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


def renamed_declarations(cls: type, new_names: Mapping[str, str], stacklevel: int) -> None:
    """Move what a class declares itself by an old name to the new one.

    Args:
        new_names: old name → new name.
        stacklevel: of the class statement, seen from `warn_renamed`.

    Example:
        >>> class Box:
        ...     def __init_subclass__(cls):
        ...         renamed_declarations(cls, {"breadth": "width"}, stacklevel=4)
        >>> class Crate(Box):
        ...     breadth = 3
        >>> Crate.width
        3
    """
    for old, new in new_names.items():
        if old in vars(cls):
            warn_renamed(f"{cls.__name__}.{old}", new, stacklevel)
            setattr(cls, new, vars(cls)[old])
            delattr(cls, old)


def renamed_names(module: str, **new_names: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module in which names were changed, or that names left.

    Args:
        module: its `__name__`.
        new_names: old name = "new name", with its module where that is another one.

    Example:
        >>> __getattr__ = renamed_names(__name__, Context="TransferContext")
    """

    def find(name: str) -> Any:
        if name not in new_names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_renamed(f"{module}.{name}", new_names[name])
        place, _, new = new_names[name].rpartition(".")
        return getattr(importlib.import_module(place or module), new)

    return find


def renamed_keys(
    values: Mapping[str, Any],
    new_names: Mapping[str, str],
    new_values: Mapping[str, Mapping[str, str]] | None = None,
    stacklevel: int = 4,
) -> dict[str, Any]:
    """Options under their new names.

    Args:
        values: name, old or new → value, or a list of values.
        new_names: old name → new name.
        new_values: new name → {old value: new value}, for values that are words.

    Raises:
        InvalidValueError: an option is given under both names.

    Example:
        >>> renamed_keys({"breadth": 2}, {"breadth": "width"})
        {'width': 2}
    """
    result: dict[str, Any] = {}
    for old, value in values.items():
        new = new_names.get(old, old)
        if new != old:
            warn_renamed(old, new, stacklevel)
            if new in values:
                raise InvalidValueError(f"{old} and {new} are the same: give {new} alone.")
        words = (new_values or {}).get(new, {})
        several = isinstance(value, list)
        for part in value if several else [value]:
            if isinstance(part, str) and part in words:
                warn_renamed(f"{new}={part}", f"{new}={words[part]}", stacklevel)
        result[new] = [_word(v, words) for v in value] if several else _word(value, words)
    return result


def _word(value: Any, words: Mapping[str, str]) -> Any:
    return words.get(value, value) if isinstance(value, str) else value


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
                    raise InvalidValueError(
                        f"{old} and {new} of {function.__name__} are the same: give {new} alone."
                    )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return accept
