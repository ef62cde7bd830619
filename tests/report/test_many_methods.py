"""A page of 24 methods in a browser: what is measured there is what a reader meets."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacpde.plots.numbers import scientific, two_digits
from pacpde.report import write
from pacpde.studies.results_store import ResultsStore
from pacpde.studies.rows import failed_row
from pacpde.studies.study import Study
from tests.report.conftest import CONTRAST, opened

STUDY = """
methods = [
    "pac", "pac_net", "packnet", "ipinn", "transtailor", "warm_start", "two_checkpoints",
    "continuation", "last_layer", "bias_only", "lora", "l2sp", "ewc", "delta", "bss", "lwf",
    "piggyback", "coefficient_input", "scratch", "scratch_budget", "random_features", "scipy",
]
seeds = 2
[options.pac]
mask = ["sensitivity", "random", "inverted"]
[[transfers]]
family = "burgers"
source = { nu = 0.0318 }
targets = [{ nu = 0.0286 }, { nu = 0.0031 }]
[[transfers]]
family = "helmholtz"
targets = [{ k = 3 }]
"""
ERROR, OTHER = r"\d\.\de[+-]\d\d", r"(?:0|0\.0?[1-9]\d|\d\.\d|[1-9]\d{1,3}|\d\.\de[+-]\d\d)"
COUNT = r"\d+"
FORMS = {  # column → the one form of its numbers
    "error": ERROR, "quartiles": f"{ERROR} – (?:{ERROR}|failed)", "zero-shot": ERROR,
    "ratio": OTHER, "interval": f"{OTHER} – {OTHER}", "wins": f"{COUNT} of {COUNT}",
    "seconds": OTHER, "to 1e-02, s": rf"{OTHER}(?: \({COUNT} of {COUNT}\))?",
    "to 1e-03, s": rf"{OTHER}(?: \({COUNT} of {COUNT}\))?", "pays from": COUNT,
    "source kept": ERROR, "free": f"{COUNT} / {COUNT}", "not converged": COUNT, "failed": COUNT,
    "seed": COUNT, "labels": COUNT, "noise": OTHER, "distance": OTHER, "zero shot error": ERROR,
    "target error": ERROR, "steps": COUNT,
}  # fmt: skip
WORD = r"none|failed|ungraded|baseline|one source|no pair|no reference|not kept|never \(0 of \d\)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that never ran: of sizes from 1e-12 to 1e6, with failures and without a reference."""
    place = tmp_path_factory.mktemp("many")
    (place / "study.toml").write_text(STUDY)
    study = Study.read(place / "study.toml")
    study.keep(place)
    store, draw = ResultsStore(place), np.random.default_rng(0)
    for k, cell in enumerate(study.cells):
        row = failed_row(cell, "RuntimeError: diverged")
        if k % 11:
            size, known = 10.0 ** draw.uniform(-12, 1), cell.source.name != "helmholtz"
            seconds = 10.0 ** draw.uniform(-3, 6)
            row |= {
                "fault": None, "outcome": "converged", "steps": k, "zero_shot_error": 0.18,
                "target_error": size, "distance": 0.3, "reference_error": 1e-9,
                "reference_seconds": 0.25, "free_parameters": 40, "total_parameters": 100,
            }  # fmt: skip
            row["seconds"] = row["seconds"] | {"source": 3.0, "total": seconds}
            row["seconds_to"] = {"0.01": seconds / 2} if size < 1e-2 else {}
            if k % 3:
                row["source_error"] = row["source_error"] | {"trained": 1e-4, "recalled": size}
            if not known:
                names = ("target_error", "zero_shot_error", "distance", "reference_error")
                row |= dict.fromkeys((*names, "reference_seconds")) | {"seconds_to": {}}
            elif k % 13 == 0:
                row["target_error"] = math.inf
        store.add(row)
    store.flush()
    assert len({cell.key for cell in study.cells}) == 24 * 3 * 2
    write(place, place / "report.html")
    return place / "report.html"


def cells_of(tab: Any, table: str) -> dict[str, list[str]]:
    """Heading → texts of its column."""
    return tab.evaluate(
        """table => Object.fromEntries([...table.tHead.rows[0].cells].map((head, k) =>
            [head.textContent.trim(),
             [...table.tBodies[0].rows].map(row => row.cells[k].textContent)]))""",
        tab.query_selector(table),
    )


def test_every_number_of_a_column_has_one_form_and_no_number_is_said_in_words(
    browser: Any, page: Path
) -> None:
    tab, said = opened(browser, page)
    columns = cells_of(tab, "#table") | cells_of(tab, "#cell-table")
    assert set(FORMS) <= set(columns)
    for name, texts in columns.items():
        for text in texts:
            assert text not in ("", "–", "null", "NaN", "Infinity", "nan", "inf", "None"), name
            if name in FORMS:
                assert re.fullmatch(f"{FORMS[name]}|{WORD}", text), (name, text)
    assert {"failed", "ungraded"} <= set(columns["error"]) & set(columns["target error"])
    assert set(columns["physics"]) == {"yes"}
    assert said == []


def test_the_browser_writes_numbers_as_python_does(browser: Any, page: Path) -> None:
    tab, _ = opened(browser, page)
    values = [*(10.0 ** np.random.default_rng(1).uniform(-9, 9, 300)).tolist(), 0.0, 9.96, 9990.0]
    for name, written in (("twoDigits", two_digits), ("scientific", scientific)):
        assert tab.evaluate(f"all => all.map({name})", values) == [*map(written, values)]
    assert tab.evaluate("[twoDigits(1 / 0), scientific(0 / 0)]") == ["failed", "failed"]


def test_a_phone_scrolls_tables_and_pictures_but_not_the_page(browser: Any, page: Path) -> None:
    tab, _ = opened(browser, page, width=390)
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    beyond = """() => [...document.querySelectorAll("body *")].filter(e =>
        e.getBoundingClientRect().right > 390.5 && !e.closest(".scroll, .sideways, pre"))"""
    assert tab.evaluate(f"({beyond})().map(e => e.outerHTML)") == []
    for table, sticky in (("#table", 2), ("#cell-table", 1)):
        places = f"""() => {{
            const table = document.querySelector("{table}"), row = table.tBodies[0].rows[40];
            const cells = [...row.cells].slice(0, {sticky + 1});
            return [...cells.map(cell => cell.getBoundingClientRect().left),
                table.tHead.rows[0].cells[0].getBoundingClientRect().top];
        }}"""
        before = tab.evaluate(places)
        tab.evaluate(f"document.querySelector('{table}').parentElement.scrollTo(150, 900)")
        after = tab.evaluate(places)
        assert after[:sticky] == before[:sticky] and after[sticky] == before[sticky] - 150
        frame = tab.locator(table).locator("..").bounding_box()
        assert abs(after[-1] - frame["y"]) < 2  # the heading, after 900 pixels of lines
        assert before[sticky] - frame["x"] < 0.6 * frame["width"]  # numbers have room
    broken = """() => [...document.querySelectorAll("#table .row")].filter(e =>
        e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"""
    assert tab.evaluate(broken) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_paper(browser: Any, page: Path, scheme: Any) -> None:
    tab, _ = opened(browser, page, scheme=scheme)
    low, most, paper = tab.evaluate(CONTRAST)
    assert low == [] and most > 12
    assert (paper < 0.05) == (scheme == "dark")
    shown = tab.evaluate("document.querySelector('figure img').currentSrc")
    source = tab.evaluate("document.querySelector('figure source').srcset")
    assert (shown == source) == (scheme == "dark")


def test_on_paper_it_is_light_and_whole(browser: Any, page: Path) -> None:
    tab, _ = opened(browser, page, scheme="dark")
    tab.emulate_media(media="print", color_scheme="dark")
    _, _, paper = tab.evaluate(CONTRAST)
    assert paper == 1
    cut = """() => [...document.querySelectorAll(".scroll, .sideways")].filter(e =>
        e.scrollHeight > e.clientHeight + 1).length"""
    assert tab.evaluate(cut) == 0 and not tab.locator("nav").is_visible()
