"""The page: its numbers against the records', its size, and how it behaves in a real browser."""

import base64
import io
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from pacpde.errors import DataFileError, InvalidValueError, OutputError
from pacpde.networks import checkpoint
from pacpde.plots.numbers import two_digits
from pacpde.problems import Heat
from pacpde.report import page as report_page
from pacpde.report import summary_text, write
from pacpde.studies.groups import group_rows
from pacpde.studies.records import sealed
from pacpde.studies.results_store import ResultsStore
from pacpde.studies.run_study import run_study
from pacpde.studies.study import Study
from tests.report.conftest import opened
from tests.rows import row

STUDY = """
methods = ["pac", "warm_start", "scratch"]
seeds = 2
[settings]
width = 6
depth = 2
points = 60
steps = 3
[[transfers]]
family = "heat"
source = { alpha = 0.4 }
targets = [{ alpha = 0.3 }, { alpha = 0.2 }]
[[transfers]]
family = "lorenz"
targets = [{ rho = 16 }]
until = 0.2
"""


def fails_once(cell: Any, *rest: Any) -> Any:
    """Carried out, but for one cell, whose fault is hostile to a page."""
    if (cell.source.name, cell.method, cell.seed) == ("lorenz", "pac", 1):
        raise ValueError("</script><b>on purpose</b>")
    return cell.run(*rest)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("report")
    (place / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACPDE_CACHE", str(place / "cache"))
        run_study(Study.read(place / "study.toml"), place / "out", carry_out=fails_once)
        yield place / "out"


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    made = write(folder, folder.parent / "report.html", "A <title>", folder.parent / "plots")
    assert (made["cells"], made["planned"], made["transfers"], made["failed"]) == (18, 18, 3, 1)
    return folder.parent / "report.html"


def test_the_page_is_small_and_loads_nothing(page: Path) -> None:
    text = page.read_text()
    assert len(text.encode()) < 8e6
    own = re.sub(r"<script>/\*\*.*?</script>", "", text, flags=re.S)  # without plotly
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=[\"']?(https?:)?//", own)


def test_its_cells_are_the_records(page: Path, folder: Path) -> None:
    data = embedded(page)
    shown = [dict(zip(data["columns"], cell, strict=True)) for cell in data["cells"]]
    rows = {row["cell"]: row for row in ResultsStore(folder).rows()}
    named = [rows[cell.key] for cell in Study.from_folder(folder).cells]
    for cell, kept in zip(shown, named, strict=True):
        if kept["fault"]:
            assert cell["outcome"] == "ValueError: </script><b>on purpose</b>"
        else:
            assert cell["target_error"] == pytest.approx(kept["target_error"], rel=6e-3)
    assert shown[0]["source"] == "alpha=0.4" and shown[-1]["target"] == "rho=16"


def test_the_slider_holds_reference_and_prediction(page: Path, folder: Path) -> None:
    heat, lorenz = embedded(page)["frames"]
    assert [step["target"] for step in heat["steps"]] == ["alpha=0.2", "alpha=0.3"]
    step = heat["steps"][0]
    x, t = (unpacked(axis) for axis in (step["axes"][1], step["axes"][0]))
    reference = unpacked(step["reference"]).reshape(step["shape"])
    T, X = np.meshgrid(t, x, indexing="ij")
    np.testing.assert_allclose(reference[0], Heat(alpha=0.2).exact(T, X)[0], atol=1e-6)
    cell = next(
        c for c in Study.from_folder(folder).cells
        if (c.method, c.seed, c.target) == ("scratch", 0, Heat(alpha=0.2))
    )  # fmt: skip
    surrogate = checkpoint.load(folder / "surrogates" / cell.key)
    error = unpacked(step["errors"]["scratch"]).reshape(step["shape"])
    np.testing.assert_allclose((reference + error)[0], surrogate(T, X), atol=1e-6)
    assert lorenz["fields"] == ["x", "y", "z"] and len(lorenz["axes"]) == 1


def test_a_summary_is_made_from_its_numbers(folder: Path) -> None:
    rows = ResultsStore(folder).rows()
    said = summary_text.summary(group_rows(rows), rows, 20)
    assert said[0].startswith("18 of 20 cells: 3 transfers, 3 methods, 2 seeds")
    assert said[0].endswith("1 have no result and count as the worst.")
    assert any("from 2 sources; too few sources for a test" in sentence for sentence in said)
    one = group_rows([row for row in rows if row["family"] == "lorenz"])
    mine, theirs = one[0].pairs("warm_start", "scratch")
    ratio = math.exp(np.log(mine / theirs).mean())
    (sentence,) = [s for s in said if s.startswith("lorenz: warm start")]
    assert f"its error is {two_digits(ratio)} times as large" in sentence


def of_many(seeds: int) -> list[str]:
    """The summary of three transfers from each of some sources."""
    errors = {"scratch": 1e-3, "pac": 1e-4, "bss": 2e-4, "last_layer": 1e-1}
    names = [
        *errors,
        *(f"method_{k}" for k in range(summary_text.MAX_SENTENCES)),
    ]  # the others win here, lose there
    rows = []
    for target in (0.1, 0.2, 0.3):
        for seed in range(seeds):
            for name in names:
                error = errors.get(name, 1e-3 * (2 if seed % 2 else 0.5)) * (1 + seed / 10)
                rows.append(row(name, seed, error, target={"alpha": target}))
    return summary_text.summary(group_rows(rows), rows, len(rows))


def test_many_methods_are_told_by_verdict() -> None:
    said = of_many(10)
    (win,) = [sentence for sentence in said if " win against " in sentence]
    assert win.startswith("heat: PAC (0.10), BSS (0.20) win against scratch")
    assert win.endswith("geometric mean of 30 pairs from 10 sources.")
    (lose,) = [sentence for sentence in said if " loses against " in sentence]
    assert lose.startswith("heat: last layer (100) loses against scratch")
    (open_,) = [sentence for sentence in said if "not told apart" in sentence]
    assert all(f"method {k}" in open_ for k in range(summary_text.MAX_SENTENCES))


def test_too_few_sources_give_no_verdict_however_many_pairs_there_are() -> None:
    said = of_many(4)  # 12 pairs, of which a test of pairs would make a verdict
    assert not any("win against" in sentence or "lose" in sentence for sentence in said)
    (ahead,) = [sentence for sentence in said if "smaller error from every source" in sentence]
    assert ahead.startswith("heat: PAC (0.10), BSS (0.20) have a smaller error from every source")
    assert ahead.endswith("12 pairs from 4 sources; too few sources for a test.")
    one = of_many(1)
    assert not any("from every source" in sentence for sentence in one)
    assert any("one source allows no interval and no test" in sentence for sentence in one)
    pair = [row("scratch", 0, 1e-3), row("pac", 0, 2e-3)]
    (sentence,) = summary_text.comparisons("heat", group_rows(pair), "scratch")
    assert "interval 2" not in sentence and "no interval and no test" in sentence


def test_failures_in_every_pair_are_told_as_such() -> None:
    failed = {"fault": "ValueError: no", "outcome": "failed"}
    rows = [row("pac", seed, 1e-3) for seed in range(6)]
    rows += [row("scratch", seed, None, **failed) for seed in range(6)]
    (_, _, compared, *_) = summary_text.summary(group_rows(rows), rows, 12)
    assert compared == (
        "heat: PAC wins against scratch: its error has no ratio, as one of the two failed in every "
        "pair, smaller in 6 of 6 pairs, 6 of them with one failure from 6 sources; p = 0.031 after "
        "Holm."
    )
    (_, _, lost, *_) = summary_text.summary(
        group_rows([{**r, "variant": other} for r in rows
                    for other in {"pac", "scratch"} - {r["variant"]}]), rows, 12,
    )  # fmt: skip
    assert lost.startswith("heat: PAC loses against scratch: its error has no ratio")
    nothing = [row("scratch", seed, None, **failed) for seed in range(2)]
    said = summary_text.summary(group_rows(nothing), nothing, 2)
    assert said[0].endswith("2 seeds; 2 have no result and count as the worst.")


def test_variants_and_scipy_are_no_methods_of_their_own() -> None:
    names = ['pac (mask="random")', 'pac (mask="inverted")', "scratch", "scipy"]
    rows = [row(name, 0, 1e-3) for name in names]
    said = summary_text.summary(group_rows(rows), rows, 4)[0]
    assert "1 transfer, 2 methods in 3 variants and scipy, 1 seed" in said
    assert ", 1 method, 1 seed" in summary_text.summary(group_rows(rows[2:3]), rows[2:3], 1)[0]


def test_pictures_for_print(page: Path) -> None:
    made = {path.name for path in (page.parent / "plots").iterdir()}
    for name in ("error-distance-heat", "error-seconds-lorenz", "source-error-heat",
                 "solutions-heat", "solutions-lorenz", "gain", "ranks", "masks"):  # fmt: skip
        assert {f"{name}.pdf", f"{name}.png"} <= made


def test_a_report_that_was_killed_goes_on_and_what_the_user_changed_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written: the same study gives the same bytes."""
    drawn = report_page.pictures
    monkeypatch.setattr(report_page, "pictures", lambda *given: list(drawn(*given))[:1])
    write(folder, tmp_path / "report.html", plots=tmp_path / "plots", overwrite=False)
    files = [tmp_path / "report.html", *(tmp_path / "plots").iterdir()]
    held = {file: file.read_bytes() for file in files}
    png, pdf = sorted(files[1:], key=lambda file: file.suffix, reverse=True)
    png.unlink()  # as where it was killed before
    write(folder, tmp_path / "report.html", plots=tmp_path / "plots", overwrite=False)
    assert {file: file.read_bytes() for file in files} == held
    pdf.write_text("mine")
    with pytest.raises(OutputError, match=f"{pdf.name} is already there"):
        write(folder, tmp_path / "other.html", plots=tmp_path / "plots", overwrite=False)
    assert pdf.read_text() == "mine" and not (tmp_path / "other.html").exists()


def test_pictures_are_dark_in_dark_mode(page: Path) -> None:
    sources = re.findall(
        r'<source media="screen and \(prefers-color-scheme: dark\)" '
        r'srcset="data:image/png;base64,(.*?)">\s*<img src="data:image/png;base64,(.*?)"',
        page.read_text(),
    )  # fmt: skip
    assert len(sources) == page.read_text().count("<figure") > 3
    for dark, light in sources:
        corners = [imread(io.BytesIO(base64.b64decode(image)))[0, 0, :3] for image in (dark, light)]
        assert max(corners[0]) < 0.2 and min(corners[1]) > 0.9


def test_a_study_without_a_reference_has_a_page(folder: Path, tmp_path: Path) -> None:
    """Its rows have no errors: they are ungraded, neither failed nor in a picture."""
    shutil.copytree(folder, tmp_path / "out")
    store = ResultsStore(tmp_path / "out")
    rows = store.rows()
    for part in store.parts():
        part.unlink()
    absent = ("target_error", "zero_shot_error", "distance", "reference_seconds", "reference_error")
    for kept in rows:
        if kept["family"] == "heat":
            kept |= dict.fromkeys(absent) | {"seconds_to": {}}
            kept["source_error"] = dict.fromkeys(kept["source_error"])
        store.add(kept)
    store.flush()
    assert write(tmp_path / "out", tmp_path / "page.html")["failed"] == 1
    text = (tmp_path / "page.html").read_text()
    assert "12 have no reference and are ungraded" in text
    assert "<strong>heat</strong>: no reference grades these transfers." in text
    assert text.count(">ungraded</td>") == 6  # a method and a transfer
    assert [frame["name"] for frame in embedded(tmp_path / "page.html")["frames"]] == [
        "from lorenz, sigma=10, rho=15, beta=2.667"
    ]


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="holds no study"):
        write(tmp_path, tmp_path / "report.html")
    (tmp_path / "study.toml").write_text(STUDY)
    Study.read(tmp_path / "study.toml").keep(tmp_path / "out")
    with pytest.raises(InvalidValueError, match="has no record yet"):
        write(tmp_path / "out", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_records_of_another_version_are_shown(folder: Path, tmp_path: Path) -> None:
    """Names of cells depend on the code; a report of what was once made does not."""
    shutil.copytree(folder, tmp_path / "old")
    about = tmp_path / "old" / "study.json"
    content = json.loads(about.read_text())
    first, content["cells"][0] = content["cells"][0], "0" * 16
    about.write_text(json.dumps(sealed({k: v for k, v in content.items() if k != "checksum"})))
    store = ResultsStore(tmp_path / "old")
    row = next(row for row in store.rows() if row["cell"] == first)
    store.add({**row, "cell": "0" * 16})
    store.flush()
    assert Study.from_folder(tmp_path / "old").outdated and not Study.from_folder(folder).outdated
    assert write(tmp_path / "old", tmp_path / "report.html")["cells"] == 18


def test_in_a_browser_it_filters_sorts_and_slides(browser: Any, page: Path) -> None:
    tab, said = opened(browser, page)
    headings = tab.locator("#table thead th").all_inner_texts()
    assert "p" not in headings and "ratio" in headings  # two sources allow no test
    lines = "#table tbody tr:visible"
    assert tab.title() == "A <title>" and tab.locator(lines).count() == 12
    tab.select_option("#family", "heat")
    tab.select_option("#variant", "pac")
    assert tab.locator(lines).count() == 2 and tab.inner_text("#shown") == "2 of 12 lines"
    tab.select_option("#family", "")
    tab.select_option("#variant", "")
    tab.fill("#find", "rho=15→16")
    assert tab.locator(lines).count() == 4
    tab.select_option("#variant", "scipy")
    assert tab.locator(lines).count() == 1
    tab.select_option("#variant", "")
    tab.fill("#find", "")

    head = tab.locator("#table th", has_text="error").first
    for direction in ("ascending", "descending"):
        head.locator("button").press("Enter")
        assert head.get_attribute("aria-sort") == direction
        errors = [
            math.inf if text == "failed" else float(text)
            for text in tab.locator("#table tbody td:nth-child(3)").all_inner_texts()
        ]
        assert errors == sorted(errors, reverse=direction == "descending")
    tab.fill("#cell-find", "on purpose")
    assert tab.inner_text("#cell-shown") == "1 of 18"
    assert tab.locator("b", has_text="on purpose").count() == 0

    sizes = {
        step["target"]: step["relative_errors"] for step in embedded(page)["frames"][0]["steps"]
    }
    tab.select_option("#method", "scratch")
    for target in sizes:
        size = tab.inner_text("#told").rpartition(" ")[2]
        assert tab.locator("#told").inner_text().startswith(target)
        assert float(size) == pytest.approx(sizes[target]["scratch"], rel=0.06)
        tab.locator("#target").press("ArrowRight")
    assert tab.locator("#view .heatmaplayer image").count() == 3
    tab.select_option("#frame", "1")
    tab.select_option("#field", "2")
    assert tab.locator("#view .scatterlayer .trace").count() == 3
    assert said == []


def test_in_a_browser_it_fits_a_phone(browser: Any, page: Path) -> None:
    tab, said = opened(browser, page, width=390)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    for table in ("#methods", "#cells"):  # what a line is of stays in sight
        tab.evaluate(f"document.querySelector('{table} .scroll').scrollLeft = 500")
        frame = tab.locator(f"{table} .scroll").bounding_box()
        box = tab.locator(f"{table} tbody tr:visible").first.locator(".row").last.bounding_box()
        assert (
            frame["x"] <= box["x"] < box["x"] + box["width"] < frame["x"] + frame["width"] / 2 + 60
        )
    tab.locator("#target").press("ArrowRight")
    assert tab.locator("#view").bounding_box()["width"] <= 390
    assert said == []


def test_in_a_browser_everything_has_a_name(browser: Any, page: Path) -> None:
    tab, _ = opened(browser, page)
    unnamed = """() => {
      const named = e => e.labels?.length || e.textContent.trim() || e.ariaLabel || e.alt;
      const all = "input, select, button, img, [role=region], [role=img]";
      return [...document.querySelectorAll(all)].filter(e => !named(e)).map(e => e.outerHTML);
    }"""
    assert tab.evaluate(unnamed) == []
    assert tab.evaluate("document.documentElement.lang") == "en"
    assert tab.locator("main").count() == 1 and tab.locator("h1").count() == 1
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the summary"
    reached = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.id"))
    wanted = {"family", "variant", "find", "frame", "method", "field", "target", "cell-find"}
    assert wanted <= reached


def embedded(page: Path) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text())
    assert found
    return json.loads(found[1])


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_a_damaged_surrogate_is_left_out(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "out")
    kept = sorted((tmp_path / "out" / "surrogates").iterdir())
    (kept[0] / "weights.safetensors").write_bytes(b"no weights")
    shutil.rmtree(kept[1])
    assert write(tmp_path / "out", tmp_path / "page.html")["cells"] == 18
    frames = embedded(tmp_path / "page.html")["frames"]
    shown = sum(len(step["errors"]) for frame in frames for step in frame["steps"])
    assert shown == len(kept) - 2
