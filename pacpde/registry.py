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
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Generic, TypeVar

from pacpde.errors import DataFileError, InvalidValueError, PacpdeError, unknown

T = TypeVar("T")

plugins: dict[str, str] = {}  # resolved path of every file loaded → the path as it was given
_copies: dict[str, str] = {}  # content of every file loaded, hashed → name of its module
_registries: "list[Registry[Any]]" = []
_loading = threading.RLock()  # one plugin at a time; a plugin may load another


class Registry(Generic[T]):
    """Names to things of one kind, filled by the modules of one package.

    Attributes:
        check: refuses what is incomplete, once the file that defines it is read to its end.
    """

    def __init__(
        self, kind: str, package: str, check: Callable[[T], None] = lambda item: None
    ) -> None:
        self.kind = kind
        self.package = package
        self.check = check
        self._items: dict[str, T] = {}
        self._discovered = False
        self._here = threading.local()
        _registries.append(self)

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
        _Load.note(self, item)
        return item

    def _check_case(self, name: str, item: T) -> None:
        """Refuse a name that is easily taken for another one."""
        if _origin(item).partition(".")[0] != "pacpde":
            self._import_own()  # what pacpde brings is there, so that it is the newcomer that fails
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
        """What is registered inside is forgotten at its end: for tests and for trials."""
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
            raise unknown(self.kind, name, self._items)
        return self._items[name]

    def names(self) -> list[str]:
        """Every known name, sorted."""
        self._discover()
        return sorted(self._items)

    def __contains__(self, item: object) -> bool:
        return any(item is known for known in self._items.values())

    def __iter__(self) -> Iterator[T]:
        return (self._items[name] for name in self.names())

    def _discover(self) -> None:
        """Import all modules of the package.

        Every thread that comes before the first is done imports them too: Python makes it wait for
        a module that another thread is importing. A lock of our own beside Python's could block
        two threads for ever.
        """
        if self._discovered or getattr(self._here, "importing", False):
            return
        self._here.importing = True  # a module that looks something up while it is imported
        try:
            self._import_modules()
            for entry in entry_points(group=self.package):
                with _explained(f"the entry point {entry.name!r} of the group {self.package!r}"):
                    entry.load()
            self._discovered = True
        finally:
            self._here.importing = False

    def _import_modules(self) -> None:
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")

    def _import_own(self) -> None:
        """The modules of the package alone: entry points may be what is being imported now."""
        if self._discovered or getattr(self._here, "importing", False):
            return
        self._here.importing = True
        try:
            self._import_modules()
        finally:
            self._here.importing = False


class _Load:
    """What was registered while a plugin was read, but for pacpde's own that it made found."""

    now: "_Load | None" = None

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.items: list[tuple[Registry[Any], Any]] = []

    @classmethod
    def note(cls, registry: Registry[Any], item: object) -> None:
        load = cls.now
        ours = _origin(item).partition(".")[0] == "pacpde"
        if load is not None and load.thread == threading.get_ident() and not ours:
            load.items.append((registry, item))

    def of(self, module: str) -> list[tuple[Registry[Any], Any]]:
        """What the plugin itself defines."""
        return [(registry, item) for registry, item in self.items if _origin(item) == module]

    def holds(self, item: object) -> bool:
        return any(item is registered for _, registered in self.items)


def _again(known: object, item: object) -> bool:
    """Whether `item` is the same definition as `known`, run again."""
    if _origin(known) != _origin(item):
        return False
    if getattr(known, "__qualname__", None) != getattr(item, "__qualname__", None):
        return False
    # within one reading of a file only a decorator makes a class twice, from the same lines
    same_reading = _Load.now is not None and _Load.now.holds(known)
    return not same_reading or first_line(known) == first_line(item)


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_")


def _origin(item: object) -> str:
    return str(getattr(item, "__module__", None) or type(item).__module__)


def _described(item: object) -> str:
    line = first_line(item)
    name = getattr(item, "__qualname__", repr(item))
    return f"{_origin(item)}.{name}" + (f" (line {line})" if line else "")


def first_line(item: object) -> int | None:
    """The line of the first function that a class defines itself; None without one."""
    lines = [
        value.__code__.co_firstlineno
        for value in vars(item).values()
        if isinstance(value, FunctionType) and value.__code__.co_filename != "<string>"
    ]
    return min(lines, default=None)


def load_plugin(path: str | Path) -> None:
    """Import a user's own `my_family.py`, so that what it defines registers itself.

    A copy of a file that was imported already is the same plugin, and is not imported again; a
    file that was changed since is, and what it defines takes the place of what it defined before.
    What is incomplete is refused, and nothing of the file stays registered.

    Raises:
        DataFileError: no file, no Python file, or one that fails on import or registers nothing.
        InvalidValueError: a declaration that is incomplete or contradicts itself.
    """
    with _loading:
        _load_plugin(path)


def _load_plugin(path: str | Path) -> None:
    file = Path(path).resolve()
    if not file.is_file():
        raise DataFileError(f"plugin {str(path)!r} is not a file: give the path of a .py file.")
    name = f"pacpde_plugin_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    if _copies.get(content) in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise DataFileError(f"plugin {str(path)!r} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name], plugins[str(file)] = module, str(path)
    outer, load = _Load.now, _Load()
    _Load.now = load
    try:
        with _explained(f"plugin {str(path)!r}", file):
            spec.loader.exec_module(module)
        _check_names(module, str(path))
        if not load.items:
            raise DataFileError(
                f"plugin {str(path)!r} registers nothing: a class below Problem or Method needs a "
                'name in it, as in name = "my_family".'
            )
        for registry, item in load.of(name):
            with _prefixed(f"plugin {str(path)!r}", file):
                registry.check(item)
    except BaseException:
        del sys.modules[name]
        for registry, item in load.of(name):
            registry.forget(item)
        raise
    finally:
        _Load.now = outer
    for old in [old for old, module in _copies.items() if module == name]:
        del _copies[old]
    _copies[content] = name


def is_loaded(path: str | Path) -> bool:
    """Whether a plugin, or a copy of it, was imported already."""
    file = Path(path)
    if not file.is_file():
        return False
    return _copies.get(hashlib.sha256(file.read_bytes()).hexdigest()) in sys.modules


def _check_names(module: ModuleType, path: str) -> None:
    """Refuse a class that extends a registered one under no name of its own.

    It would be stored and loaded as the one that it extends.
    """
    own = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and item.__module__ == module.__name__
    ]
    for item in own:
        if "name" in vars(item) or any(item in other.__mro__[1:] for other in own):
            continue
        parent = next((base for base in item.__mro__[1:] if "name" in vars(base)), None)
        if parent is not None and any(parent in known for known in _registries):
            line = first_line(item)
            raise InvalidValueError(
                f"plugin {path!r}{f', line {line}' if line else ''}: the class {item.__name__} "
                f"extends {vars(parent)['name']!r} and has no name of its own, so that it would be "
                'stored and loaded as that one: write one in it, as in name = "my_family".'
            )


@contextmanager
def _prefixed(what: str, file: Path) -> Iterator[None]:
    """Says which file, and where it is known which line, a refusal is about."""
    try:
        yield
    except PacpdeError as error:
        line = _line_in(file, error)
        where = what if line is None else f"{what}, line {line}"
        raise type(error)(f"{where}: {error}") from error


@contextmanager
def _explained(what: str, file: Path | None = None) -> Iterator[None]:
    """Turns what an import raises into one sentence, with the line of the file that raised it."""
    try:
        yield
    except PacpdeError as error:
        line = _line_in(file, error)
        if line is None:
            raise
        raise type(error)(f"{what}, line {line}: {error}") from error
    except SystemExit as error:
        raise DataFileError(
            f"{what} calls sys.exit on import: remove it, plugins only define classes."
        ) from error
    except ModuleNotFoundError as error:
        beside = file and error.name and file.with_name(f"{error.name.partition('.')[0]}.py")
        if not beside or not beside.is_file():
            raise _failed(what, file, error) from error
        raise DataFileError(
            f"{what}, line {_line_in(file, error)}: imports {error.name!r} from the file "
            f"{beside.name} beside it, and a plugin is one file that is read alone: move what it "
            "needs into it, or install both as a package."
        ) from error
    except Exception as error:
        raise _failed(what, file, error) from error


def _failed(what: str, file: Path | None, error: Exception) -> DataFileError:
    line = _line_in(file, error)
    where = "" if line is None else f", line {line},"
    return DataFileError(f"{what}{where} failed on import with {type(error).__name__}: {error}")


def _line_in(file: Path | None, error: BaseException) -> int | None:
    """The line of a file in which an error was raised."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if file is not None and frame.filename == str(file)
    ]
    return lines[-1] if lines else None
