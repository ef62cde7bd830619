"""The page of a library: its formula against the library, in the browser and in Python."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacpde import Library, fit, transfer
from pacpde.errors import InvalidValueError
from pacpde.problems import Burgers, Heat, HeatGaussian
from pacpde.report import library_page
from pacpde.training.config import TrainingConfig
from tests.report.conftest import CONTRAST, opened

SETTINGS = {"width": 12, "depth": 2, "points": 300, "steps": 25, "restarts": 0}


@pytest.fixture(scope="module")
def library() -> Library:
    """Of an odd family: every point of the network has two images."""
    first = fit(Burgers(nu=0.3), settings=SETTINGS)
    config = TrainingConfig.after(first, Burgers(nu=0.6), points=300, steps=25)
    second = transfer(
        first, Burgers(nu=0.6), method="warm_start", settings=config, reference=None
    ).surrogate
    made = Library([first, second], tolerance=1e-2)
    made.anchor(made.box.candidates(7))
    return made


@pytest.fixture(scope="module")
def page(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page") / "burgers.html"
    told = library_page.write(library, place)
    assert told["bytes"] == place.stat().st_size < 2e6
    assert told["largest_difference"] < 1e-5
    return place


def test_the_browser_finds_what_the_library_finds(
    browser: Any, library: Library, page: Path
) -> None:
    tab, said = opened(browser, page)
    found: Any = tab.evaluate("solve([0.41])")
    before = tab.inner_text("#told")
    tab.fill("input[type=number]", "0.55")
    tab.press("input[type=number]", "Enter")
    after = tab.inner_text("#told")
    assert not said
    number = r"(0|\d\.\de[+-]\d\d|0\.0?\d\d|\d\.\d|\d{2,4})"  # as the report's
    assert before.startswith("nu = ") and re.fullmatch(
        rf"nu = 0.55: estimated error \d\.\de-\d\d; computed in {number} ms.", after
    )
    t, x = np.linspace(0, 1, 81)[:, None], np.linspace(-1, 1, 129)
    values = library.solve(Burgers(nu=0.41))(t, x)
    assert np.abs(np.array(found["fields"][0]).reshape(81, 129) - values).max() < 1e-5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_library_fits_a_phone_and_says_what_is_above_the_tolerance(
    browser: Any, page: Path, scheme: Any
) -> None:
    tab, said = opened(browser, page, 390, scheme)
    low, _, paper = tab.evaluate(CONTRAST)
    assert low == [] and (paper < 0.05) == (scheme == "dark")
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert "above the tolerance" not in tab.inner_text("#told")
    tab.evaluate("data.tolerance = 1e-9; draw()")
    assert "above the tolerance of 1.0e-09;" in tab.inner_text("#told") and not said


def test_what_the_page_cannot_show_is_refused(tmp_path: Path) -> None:
    source = fit(HeatGaussian(w=0.1), settings={**SETTINGS, "steps": 2})
    start = Library([source], ranges={"w": (0.09, 0.11)})
    with pytest.raises(InvalidValueError, match="depend on its coefficients"):
        library_page.write(start, tmp_path / "page.html")
    gelu = fit(Heat(alpha=0.4), settings={**SETTINGS, "steps": 2, "activation": "gelu"})
    other = Library([gelu], ranges={"alpha": (0.3, 0.5)})
    with pytest.raises(InvalidValueError, match="has the activation 'gelu'"):
        library_page.write(other, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
