"""Texts and files: what is written is read back the same, and any text has one kind of error."""

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacpde.datasets.columns import read_columns
from pacpde.datasets.named_arrays import named_arrays
from pacpde.datasets.named_values import NamedValues
from pacpde.datasets.packed import UNWRITTEN
from pacpde.errors import PacpdeError
from pacpde.expressions import evaluate, named_options
from pacpde.studies.study_file import StudyFile, read_tuned
from pacpde.studies.tuning import TunedOptions, write_tuned

finite = st.floats(allow_nan=False, allow_infinity=False)
quick = settings(max_examples=40, deadline=None)  # each writes and reads a file
letters = st.characters(categories=["L", "N"], include_characters="_-")
words = st.text(letters, min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@contextmanager
def file_of(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        yield path


def exactly(found: Any, wanted: Any) -> bool:
    """Whether arrays have the same bits, signs of zeros too; one nan is as good as another."""
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    return np.array_equal(found, wanted, equal_nan=True) and np.array_equal(
        np.signbit(found[~np.isnan(found)]), np.signbit(wanted[~np.isnan(wanted)])
    )


# coefficients


@given(finite)
def test_a_coefficient_is_read_as_python_writes_it(value: float) -> None:
    assert exactly(evaluate(repr(value)), value)
    assert named_options("it", f"adam:lr={value!r}", "adam:lr=1")["lr"] == value


@given(st.integers(-(10**15), 10**15))
def test_digits_in_groups_of_three(value: int) -> None:
    assert evaluate(f"{value:_}") == value


@given(st.text(st.sampled_from("0123456789.eE+-*/()_ piπ²\t#\n"), max_size=40))
def test_what_looks_like_arithmetic_has_one_kind_of_error(text: str) -> None:
    with suppress(PacpdeError):
        assert np.isfinite(evaluate(text))


# columns

inside = st.characters(categories=["L"], include_characters="_[] 0")
heads = st.text(inside, min_size=1, max_size=6).map(str.strip).filter(bool)
tables = st.integers(2, 4).flatmap(
    lambda number: st.tuples(
        st.lists(heads, min_size=number, max_size=number, unique=True),
        st.lists(st.lists(finite, min_size=number, max_size=number), max_size=6),
    )
)


@quick
@given(tables, st.sampled_from([",", ";", "\t"]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_columns_come_back_to_the_last_bit(
    table: tuple[list[str], list[list[float]]], separator: str, commented: bool, end: str
) -> None:
    names, rows = table
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator=end)
    writer.writerows([names, *([repr(value) for value in row] for row in rows)])
    text = "# of a solver" + end + ("# " if commented and rows else "") + written.getvalue()
    with file_of(text.encode()) as path:
        found = read_columns(path)
    assert found.names == tuple(names)
    assert exactly(found.values, np.reshape(rows, (-1, len(names))))


@quick
@given(tables)
def test_decimal_commas_are_the_same_numbers(table: tuple[list[str], list[list[float]]]) -> None:
    names, rows = table
    lines = [";".join(names), *(";".join(map(repr, row)).replace(".", ",") for row in rows)]
    with file_of("\n".join(lines).encode()) as path:
        assert exactly(read_columns(path).values, np.reshape(rows, (-1, len(names))))


@quick
@given(st.text(st.sampled_from("tx,;\t \"'#%.0123456789eE+-\n\r_naNA[]\x00\ufeff"), max_size=60))
def test_what_looks_like_a_table_has_one_kind_of_error(text: str) -> None:
    with file_of(text.encode()) as path:
        for gaps in (False, True):
            with suppress(PacpdeError):
                found = read_columns(path, gaps=gaps)
                assert found.values.shape == (len(found.lines), len(found.names))
                assert gaps or np.isfinite(found.values).all()


# arrays

arrays = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=["Lu", "Ll"]), min_size=1, max_size=6),
    # what netCDF calls a value that nobody wrote is none
    st.lists(
        st.floats(allow_nan=True).filter(lambda own: own != UNWRITTEN), min_size=3, max_size=3
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("suffix", [".nc", ".h5", ".parquet"])
@quick
@given(content=arrays)
def test_arrays_come_back_to_the_last_bit(suffix: str, content: dict[str, list[float]]) -> None:
    values = NamedValues({name: (("point",), np.array(own)) for name, own in content.items()})
    with file_of(values.as_bytes(suffix)) as path:
        found = named_arrays(path).arrays
    assert set(content) <= set(found) <= {*content, "point"}
    assert all(exactly(found[name], own) for name, own in content.items())


# studies


def toml(value: Any) -> str:
    """A value as TOML, whose inline tables are other than JSON's."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{toml(key)} = {toml(own)}' for key, own in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    text = value if isinstance(value, str) else None
    return (
        json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        if text
        else (
            '""' if text == "" else repr(value) if isinstance(value, float) else json.dumps(value)
        )
    )


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=3, unique_by=repr)


coefficients = st.dictionaries(words, finite, max_size=3)
shared = {
    "seeds": lists(st.integers(0, 2**31)),
    "labels": lists(st.integers(0, 1000)),
    "noise": lists(st.floats(0, 10).map(abs)),
    "physics": lists(st.booleans()),
    "methods": lists(words),
}
transfers = st.fixed_dictionaries(
    {"family": texts, "targets": st.lists(coefficients, min_size=1, max_size=2)},
    optional={"source": coefficients, "until": finite, **shared},
)
studies = st.fixed_dictionaries(
    {"transfers": st.lists(transfers, min_size=1, max_size=2)},
    optional={
        "dtype": texts, "plugins": st.lists(texts, max_size=2),
        "reference": st.sampled_from(["auto", "none", "exact"]), **shared,
    },
)  # fmt: skip


@quick
@given(studies)
def test_a_study_file_comes_back(study: dict[str, Any]) -> None:
    lines = [f"{key} = {toml(value)}" for key, value in study.items() if key != "transfers"]
    for transfer in study["transfers"]:
        lines += ["[[transfers]]", *(f"{key} = {toml(value)}" for key, value in transfer.items())]
    with file_of("\n".join(lines).encode()) as path:
        found = StudyFile(path)
    said = found.settings.model_dump(exclude_unset=True)
    assert said == study
    assert sum(found.counts().values()) > 0


parts = st.sampled_from(
    ["[[transfers]]", "[options.pac]", "family", "targets", "seeds", "noise", "labels", "=", "\n",
     "[", "]", "{", "}", ",", ".", '"', "'''", "heat", "alpha", "0.1", "1e999", "nan", "-inf", "5",
     "true", "0x10", "2024-01-01", '"0.01/pi"', "#", "source", "until", "methods", "physics"]
)  # fmt: skip


@quick
@given(st.lists(parts, max_size=30).map(" ".join) | st.text(max_size=40))
def test_what_looks_like_a_study_has_one_kind_of_error(text: str) -> None:
    with file_of(text.encode(errors="surrogatepass")) as path:
        with suppress(PacpdeError):
            assert all(count > 0 for count in StudyFile(path).counts().values())
        with suppress(PacpdeError):
            assert isinstance(read_tuned(path), dict)


plain = st.floats(allow_nan=False) | st.booleans() | texts
options = st.dictionaries(
    words, plain | st.lists(plain) | st.dictionaries(texts, plain, max_size=2), max_size=3
)


@quick
@given(st.dictionaries(words, st.dictionaries(words, options, min_size=1), max_size=2))
def test_tuned_options_come_back(tuned: dict[str, dict[str, Any]]) -> None:
    choices = [
        TunedOptions(family, method, own, 1e-3, 2, 1)
        for family, table in tuned.items()
        for method, own in table.items()
    ]
    with file_of(b"") as path:
        write_tuned(choices, path)
        assert read_tuned(path) == tuned
