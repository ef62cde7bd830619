"""Convert arguments of the command line to problems, options and paths; refuse invalid ones."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pacpde import datasets
from pacpde.cli.streams import print_note, print_stderr
from pacpde.datasets.grading import certified_to_less
from pacpde.errors import InvalidValueError, OutputError, PacpdeError, short, unknown
from pacpde.expressions import evaluate
from pacpde.files import check_file, check_writable, follow
from pacpde.methods import Method, methods
from pacpde.methods.base import unknown_option
from pacpde.networks import checkpoint
from pacpde.physics import Problem, families
from pacpde.reference import Reference, default_tolerance
from pacpde.runtime import check_seed
from pacpde.studies import records


def assignments(words: Sequence[str], where: str) -> dict[str, str]:
    """`name=value` words as a map; `where` says in errors what they are."""
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not name:
            raise InvalidValueError(
                f"{word!r} is no {where}: write name=value, without spaces around the =."
            )
        if name in values:
            raise InvalidValueError(f"{where} {name!r} is given twice: give it once.")
        values[name] = value
    return values


def problem(family: str, words: Sequence[str], until: float | None = None) -> Problem:
    """The problem of a family name and words such as `nu=0.01/pi`."""
    cls = families.get(family)
    return cls.from_coefficients(_values(cls, words), until)


def target(source: Problem, words: Sequence[str], until: float | None) -> Problem:
    """The target of a transfer: the source, time span included, but for what is named."""
    if not words:
        examples = [f"{name}={about.default:.3g}" for name, about in source.declared().items()]
        raise InvalidValueError(
            "the target has no coefficient: after the source folder name what changes, as in "
            f"{' or '.join(examples)}."
        )
    values = {**source.coefficients, **_values(type(source), words)}
    return source.from_coefficients(values, source.until if until is None else until)


def _values(family: type[Problem], words: Sequence[str]) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, text in assignments(words, "coefficient").items():
        if name not in family.declared():
            raise unknown(f"coefficient of {family.name}", name, family.declared())
        try:
            values[name] = evaluate(text)
        except PacpdeError as error:
            raise InvalidValueError(f"{family.name}: {name}={text}: {error}") from error
    return values


def method_names(text: str) -> list[str]:
    """Known, different names out of `pac,warm_start`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InvalidValueError(
            f"--methods is empty: choose from {', '.join(methods.names())}, separated by commas."
        )
    for name in names:
        methods.get(name)
        if names.count(name) > 1:
            raise InvalidValueError(f"method {name!r} is named twice in --methods: name it once.")
    return names


def seeds(seed: int | None, several: str | None) -> tuple[int, ...]:
    """The seeds of `--seed 3` or `--seeds 0,1,2`; 0 without either."""
    if several is None:
        return (check_seed(seed or 0),)
    if seed is not None:
        raise InvalidValueError(
            f"--seed {seed} and --seeds {several} are both given: put every seed into --seeds."
        )
    words = [word.strip() for word in several.split(",")]
    if not all(word.isascii() and word.isdecimal() and len(word) < 20 for word in words):
        raise InvalidValueError(
            f"--seeds is {short(several)}, expected whole numbers separated by commas: 0,1,2."
        )
    numbers = [check_seed(int(word)) for word in words]
    if len(set(numbers)) != len(numbers):
        raise InvalidValueError(f"--seeds is {short(several)}, expected different whole numbers.")
    return tuple(numbers)


def methods_of(names: Sequence[str], words: Sequence[str], **named: Any) -> list[Method]:
    """The methods of some names, with options of `--set key=value` and of options of their own.

    An option goes to the methods that have it; one that none has is refused.

    Args:
        named: option → value; None where it was not given.
    """
    given: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    for key, text in assignments(words, "option").items():
        if key in given:
            raise InvalidValueError(f"option {key!r} is given twice: give it once.")
        given[key] = text
    kinds = [methods.get(name) for name in names]
    known = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    old = {name for kind in kinds for name in kind.renamed_options}
    for key in given:
        if key not in known | old:
            raise unknown_option(", ".join(names), key, known)
    return [kind(**_options(kind, given)) for kind in kinds]


def _options(kind: type[Method], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a method has, with text converted to values."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    own = {key: given[key] for key in given if key in fields or key in kind.renamed_options}
    return {
        key: _typed(key, value, fields[key]) if isinstance(value, str) else value
        for key, value in kind.with_new_names(own).items()
    }


def _typed(key: str, text: str, field: "dataclasses.Field[Any]") -> Any:
    """`text` as a value of the type that the option's hint names."""
    hint = str(field.type)
    if "Sequence" in hint:  # a list as text, which the method reads
        return text
    if "bool" in hint:
        if text.lower() not in ("true", "false"):
            raise InvalidValueError(f"option {key} is {text!r}, expected true or false.")
        return text.lower() == "true"
    if "None" in hint and text.lower() == "none":
        return None
    if "int" in hint or "float" in hint:
        try:
            value = evaluate(text)
        except PacpdeError as error:
            raise InvalidValueError(f"option {key}={text}: {error}") from error
        if "float" in hint:
            return value
        if value != int(value):
            raise InvalidValueError(f"option {key} is {text!r}, expected a whole number.")
        return int(value)
    return text


def option_table(cls: type[Method]) -> dict[str, Any]:
    """The options of a method and their defaults."""
    return {
        field.name: None if field.default is dataclasses.MISSING else field.default
        for field in dataclasses.fields(cls)
    }


def solution(problem: Problem, tolerance: float | None) -> Reference:
    """A reference certified to `tolerance`; without one, to the best that there is."""
    result = datasets.reference_for(problem, tolerance=tolerance, progress=print_stderr)
    wanted = default_tolerance(problem)
    if tolerance is None and result.certified_error > wanted:
        print_note(certified_to_less(result, wanted))
    return result


def output_file(path: Path, *taken: Path, overwrite: bool = True) -> Path:
    """A file that can be written, apart from what the command reads or writes besides.

    Without `overwrite` it must not be there yet.
    """
    check_separate(path, *taken)
    if path.is_dir():
        raise OutputError(f"{str(path)!r} is a folder: give the name of a file.")
    check_writable(path)
    return check_file(path, overwrite=overwrite)


def output_folder(path: Path, *taken: Path) -> Path:
    """A folder for one surrogate, which may replace a surrogate and nothing else."""
    check_separate(path, *taken)
    checkpoint.check_place(path)
    check_writable(path)
    return path


def json_target(
    path: str | None,
    *taken: Path,
    overwrite: bool = True,
    own: Callable[[], Any] = lambda: None,
) -> bool:
    """Refuse where JSON cannot be written; returns whether a file already there may be replaced.

    Args:
        overwrite: it may. Without it, a file is refused, for a command that would only find out
            after a long computation.
        own: what the same command would write, had it ended as it stands; a file that holds just
            this is its own, and it may be replaced.
    """
    if path is None or path == "-":
        return overwrite
    file = output_file(Path(path), *taken)
    if not overwrite and file.exists():
        content = own()
        if content is None or file.read_bytes() != records.as_bytes(content):
            check_file(file, overwrite=False)
        return True
    return overwrite


def check_separate(path: Path, *taken: Path) -> None:
    """Refuse an output that is, lies in or holds one of `taken`."""
    here = follow(path)
    for other in taken:
        there = other.resolve()
        if here == there or there in here.parents or here in there.parents:
            raise OutputError(
                f"the output {str(path)!r} collides with {str(other)!r}, which this command "
                "reads or writes too: name another place."
            )
