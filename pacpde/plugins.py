"""Single Python files of a user that define families, methods, networks or optimisers."""

import hashlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

from pacpde.errors import DataFileError, InvalidValueError
from pacpde.import_errors import import_errors, located
from pacpde.registry import first_line, module_of, recorder, registries

__all__ = ["load_plugin"]

plugins: dict[str, str] = {}  # resolved path of every file loaded → the path as it was given
_modules: dict[str, str] = {}  # content of every file loaded, hashed → name of its module
_loading = threading.RLock()  # one plugin at a time; a plugin may load another


def load_plugin(path: str | Path) -> None:
    """Import a user's own `my_family.py`, so that what it defines registers itself.

    A copy of a file that was imported already is the same plugin, and is not imported again; a
    file that was changed since is, and what it defines takes the place of what it defined before.
    What is incomplete is refused, and nothing of the file stays registered.

    Raises:
        DataFileError: no file, no Python file, or one that fails on import or registers nothing.
        InvalidValueError: a declaration that is incomplete or contradicts itself.

    Example:
        >>> load_plugin("my_family.py")
        >>> families.get("my_family")(k=2.0)
    """
    with _loading:
        if not is_loaded(path):
            _load(path)


def is_loaded(path: str | Path) -> bool:
    """Whether a plugin, or a copy of it, was imported already."""
    file = Path(path)
    return file.is_file() and _modules.get(_hash(file)) in sys.modules


def defined_by(path: str | Path) -> list[object]:
    """What a plugin, or the copy of it that was imported, defines in the registries, by name.

    Example:
        >>> load_plugin("my_family.py")
        >>> defined_by("my_family.py")
        [<class 'pacpde_plugin_my_family_...MyFamily'>]
    """
    module = _modules.get(_hash(Path(path)))
    return [item for known in registries for item in known if module_of(item) == module]


@contextmanager
def scope() -> Iterator[None]:
    """On exit, undo what was registered or loaded inside: for tests and trials.

    Example:
        >>> with scope():
        ...     load_plugin("my_family.py")
        ...     assert "my_family" in families.names()
        >>> assert "my_family" not in families.names()
    """
    files, modules = dict(plugins), dict(_modules)
    with ExitStack() as stack:
        for registry in registries:
            stack.enter_context(registry.scope())
        try:
            yield
        finally:
            for name in set(_modules.values()) - set(modules.values()):
                sys.modules.pop(name, None)
            for known, before in ((plugins, files), (_modules, modules)):
                known.clear()
                known.update(before)


def _load(path: str | Path) -> None:
    file, what = Path(path).resolve(), f"plugin {str(path)!r}"
    if not file.is_file():
        raise DataFileError(f"{what} is not a file: give the path of a .py file.")
    name = f"pacpde_plugin_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    content = _hash(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise DataFileError(f"{what} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name], plugins[str(file)] = module, str(path)
    outer, recorder.items = recorder.items, []
    items = recorder.items
    try:
        with import_errors(what, file):
            spec.loader.exec_module(module)
        _check_names(module, str(path))
        if not items:
            raise DataFileError(
                f"{what} registers nothing: a class below Problem, Method or Network needs a name "
                'in it, as in name = "my_family".'
            )
        with located(what, file):
            for registry, item in items:
                if module_of(item) == name:  # and not of a plugin that it loads
                    registry.check(item)
    except BaseException:
        del sys.modules[name]
        for registry, item in items:
            if module_of(item) == name:
                registry.forget(item)
        raise
    finally:
        recorder.items = outer
    for old in [old for old, module in _modules.items() if module == name]:
        del _modules[old]
    _modules[content] = name


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


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
        if parent is not None and any(parent in known for known in registries):
            line = first_line(item)
            raise InvalidValueError(
                f"plugin {path!r}{f', line {line}' if line else ''}: the class {item.__name__} "
                f"extends {vars(parent)['name']!r} and has no name of its own, so that it would be "
                'stored and loaded as that one: write one in it, as in name = "my_family".'
            )
