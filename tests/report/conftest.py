"""A headless Chromium, for pages."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, BROWSERS) if path), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (on Debian: apt install chromium)")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(
    browser: Any, page: Path, width: int = 1280, scheme: Literal["light", "dark"] = "light"
) -> tuple[Any, list[str]]:
    """A tab with a page, without a network, and what the page complains of."""
    said: list[str] = []
    tab = browser.new_page(
        viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
    )
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    local = ("file:", "data:", "blob:")
    tab.on("request", lambda r: None if r.url.startswith(local) else said.append(r.url))
    tab.goto(page.as_uri())
    return tab, said
