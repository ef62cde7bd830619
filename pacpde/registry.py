"""Registers families, methods and optimisers by name; one module a thing, found by itself.

A module in the room's package registers itself when it is imported, and `Registry` imports all
of them on the first look-up: adding a file is all it takes. Packages outside the house join
through an entry-point group of the same name; single files through `load_plugin`.
"""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from pacpde.errors import DataFileError, InvalidValueError, PacpdeError, unknown

T = TypeVar("T")

plugins: dict[str, str] = {}  # resolved path of every file loaded → the path as it was given
_copies: dict[str, str] = {}  # content of every file loaded, hashed → name of its module


class Registry(Generic[T]):
    """Names to things of one kind, filled by the modules of one package."""

    registered: ClassVar[int] = 0  # by all registries

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._items: dict[str, T] = {}
        self._discovered = False

    def register(self, name: str, item: T) -> T:
        """Add `item` under `name`; the same name from another module is refused."""
        known = self._items.get(name)
        if known is not None and _origin(known) != _origin(item):
            raise InvalidValueError(
                f"{self.kind} {name!r} is registered twice, by {_origin(known)} and by "
                f"{_origin(item)}: rename one of them."
            )
        self._items[name] = item
        Registry.registered += 1
        return item

    def registering(self, name: str) -> Callable[[T], T]:
        """`register` as a decorator."""
        return lambda item: self.register(name, item)

    def get(self, name: str) -> T:
        """The thing called `name`; an unknown name lists the near ones."""
        self._discover()
        if name not in self._items:
            raise unknown(self.kind, name, self._items)
        return self._items[name]

    def names(self) -> list[str]:
        """Every known name, sorted."""
        self._discover()
        return sorted(self._items)

    def __iter__(self) -> Iterator[T]:
        return (self._items[name] for name in self.names())

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        for entry in entry_points(group=self.package):
            entry.load()


def _origin(item: object) -> str:
    return str(getattr(item, "__module__", None) or type(item).__module__)


def load_plugin(path: str | Path) -> None:
    """Import a user's own `my_family.py`, so that what it defines registers itself.

    A copy of a file that was imported already is the same plugin, and is not imported again.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise DataFileError(f"plugin {str(path)!r} is not a file: give the path of a .py file.")
    name = f"pacpde_plugin_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    if name in sys.modules or _copies.get(content) in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise DataFileError(f"plugin {str(path)!r} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name], plugins[str(file)] = module, str(path)
    before = Registry.registered
    try:
        with _told(str(path)):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    if Registry.registered == before:
        del sys.modules[name]
        raise DataFileError(
            f"plugin {str(path)!r} registers nothing: a class below Problem or Method needs a "
            'name in it, as in name = "my_family".'
        )
    _copies[content] = name


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turns what an import raises into one sentence."""
    try:
        yield
    except PacpdeError:
        raise
    except SystemExit as error:
        raise DataFileError(
            f"plugin {path!r} calls sys.exit on import: remove it, plugins only define classes."
        ) from error
    except Exception as error:
        raise DataFileError(
            f"plugin {path!r} failed on import with {type(error).__name__}: {error}"
        ) from error
