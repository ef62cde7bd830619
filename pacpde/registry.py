"""Names of families, methods and optimisers: a `Registry` each, filled by the modules of a package.

A module of the package registers what it defines when it is imported, and the registry imports all
of them on the first look-up: adding a file is all it takes. Installed packages join through an
entry-point group of the package's name, single files through `pacpde.plugins.load_plugin`.
"""

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from types import FunctionType
from typing import Any, Generic, TypeVar

from pacpde.errors import InvalidValueError, unknown
from pacpde.import_errors import import_errors
from pacpde.renamed import renamed_names

T = TypeVar("T")

PLUGIN = "name the file of its class with --plugin (in Python: pacpde.plugins.load_plugin)"
registries: "list[Registry[Any]]" = []
__getattr__ = renamed_names(__name__, load_plugin="pacpde.plugins.load_plugin")


class Recorder(threading.local):
    """The names that a thread registers while it reads a plugin, without pacpde's own.

    Attributes:
        items: (registry, thing), in order.
    """

    items: "list[tuple[Registry[Any], Any]] | None" = None


recorder = Recorder()


class Registry(Generic[T]):
    """Names to things of one kind, filled by the modules of one package.

    Args:
        kind: what the things are, in sentences: "family".
        package: whose modules register them, as in "pacpde.problems".
        check: refuses a thing that is incomplete, once the file that defines it is read.
    """

    def __init__(
        self, kind: str, package: str, check: Callable[[T], None] = lambda item: None
    ) -> None:
        self.kind = kind
        self.package = package
        self.check = check
        self._items: dict[str, T] = {}
        self._discovered = False
        self._local = threading.local()
        registries.append(self)

    def register(self, name: str, item: T) -> T:
        """Add `item` under `name`.

        A definition that is run again (a module imported anew, a cell of a notebook) replaces the
        one before it; the same name for anything else is refused.
        """
        if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
            raise InvalidValueError(
                f"the name of a {self.kind} is {name!r}, expected letters, digits, - and _: write "
                f'one such as name = "my_{self.kind}".'
            )
        self._check_case(name, item)
        known = self._items.get(name)
        if known is not None and not _again(known, item):
            raise InvalidValueError(
                f"{self.kind} {name!r} is registered twice, by {_described(known)} and by "
                f"{_described(item)}: rename one of them."
            )
        self._items[name] = item
        if recorder.items is not None and not is_own(item):
            recorder.items.append((self, item))
        return item

    def _check_case(self, name: str, item: T) -> None:
        """Refuse a name that is easily taken for another one."""
        if not is_own(item):  # what pacpde brings comes first, so that the newcomer fails;
            self._discover(entries=False)  # entry points may be what is being imported now
        for other, known in self._items.items():
            if other != name and _plain(other) == _plain(name) and not _again(known, item):
                raise InvalidValueError(
                    f"{self.kind} {name!r} differs from {other!r} ({_described(known)}) only by "
                    "case or by - and _, and one would be taken for the other: give it a name of "
                    "its own."
                )

    def registering(self, name: str) -> Callable[[T], T]:
        """`register` as a decorator."""
        return lambda item: self.register(name, item)

    def forget(self, item: T) -> None:
        """Take a thing out again."""
        self._items = {name: other for name, other in self._items.items() if other is not item}

    @contextmanager
    def scope(self) -> Iterator[None]:
        """On exit, undo what was registered inside: for tests and trials."""
        self._discover()
        before = dict(self._items)
        try:
            yield
        finally:
            self._items = before

    def get(self, name: str) -> T:
        """The thing called `name`; an unknown name lists the near ones."""
        self._discover()
        if not isinstance(name, str) or name not in self._items:
            error = unknown(self.kind, name, self._items)
            raise type(error)(f"{str(error).rstrip('.')}; for one of your own, {PLUGIN}.")
        return self._items[name]

    def names(self) -> list[str]:
        """Every known name, sorted."""
        self._discover()
        return sorted(self._items)

    def __contains__(self, item: object) -> bool:
        return any(item is known for known in self._items.values())

    def __iter__(self) -> Iterator[T]:
        return (self._items[name] for name in self.names())

    def _discover(self, *, entries: bool = True) -> None:
        """Import all modules of the package, and the entry points of its group.

        Every thread that comes before the first is done imports them too: Python makes it wait for
        a module that another thread is importing. A lock of our own beside Python's could block
        two threads for ever.
        """
        if self._discovered or getattr(self._local, "importing", False):
            return
        self._local.importing = True  # a module that looks something up while it is imported
        try:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            if entries:
                for entry in entry_points(group=self.package):
                    with import_errors(
                        f"the entry point {entry.name!r} of the group {self.package!r}"
                    ):
                        entry.load()
                self._discovered = True
        finally:
            self._local.importing = False


def check_defined(kind: str, item: Any) -> None:
    """Refuse a class that lacks functions which what it extends asks for.

    Args:
        kind: what it is, in a sentence: "family".
    """
    missing = sorted(getattr(item, "__abstractmethods__", ()))
    if missing:
        raise InvalidValueError(
            f"{kind} {item.name!r} lacks {' and '.join(missing)}: define it in its class."
        )


def _again(known: object, item: object) -> bool:
    """Whether `item` is the same definition as `known`, run again."""
    if not same_definition(known, item):
        return False
    # within one reading of a file only a decorator makes a class twice, from the same lines
    same_reading = any(known is other for _, other in recorder.items or ())
    return not same_reading or first_line(known) == first_line(item)


def same_definition(one: object, other: object) -> bool:
    """Whether two things stand under the same name in the same module."""
    names = [getattr(item, "__qualname__", None) for item in (one, other)]
    return module_of(one) == module_of(other) and names[0] == names[1]


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_")


def is_own(item: object) -> bool:
    """Whether pacpde itself defines it."""
    return module_of(item).partition(".")[0] == "pacpde"


def module_of(item: object) -> str:
    """The name of the module that defines a class or an object's class."""
    return str(getattr(item, "__module__", None) or type(item).__module__)


def _described(item: object) -> str:
    line = first_line(item)
    name = getattr(item, "__qualname__", repr(item))
    return f"{module_of(item)}.{name}" + (f" (line {line})" if line else "")


def first_line(item: object) -> int | None:
    """The line of the first function that a class defines itself; None without one."""
    lines = [
        value.__code__.co_firstlineno
        for value in vars(item).values()
        if isinstance(value, FunctionType) and value.__code__.co_filename != "<string>"
    ]
    return min(lines, default=None)
