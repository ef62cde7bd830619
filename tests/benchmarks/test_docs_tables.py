"""The tables of README and docs are those of the records."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.filterwarnings("ignore::pacpde.errors.RenamedWarning")  # records of older versions
def test_making_the_tables_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", ["docs_tables.py"])
    import docs_tables  # type: ignore[import-not-found]

    stale = []

    def compare(page: Path, name: str, table: str) -> None:
        if f"<!-- {name} table -->\n{table}<!-- end of" not in page.read_text(encoding="utf-8"):
            stale.append(f"{page.name}: {name}")

    monkeypatch.setattr(docs_tables, "write_table", compare)
    docs_tables.main()
    assert not stale, "run `python benchmarks/docs_tables.py`"
