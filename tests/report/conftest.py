"""A headless Chromium, for pages."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, BROWSERS) if path), None)
# Texts below 4.5:1 with their colours; the contrast of the page's ink; luminance of its paper.
CONTRAST = """() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const under = e => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
  };
  const ratio = (ink, paper) => {
    const [a, b] = [light(ink), light(paper)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const low = [];
  for (const e of document.querySelectorAll("body, body *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const inks = own ? [getComputedStyle(e).color] : [];
    if (e.placeholder) inks.push(getComputedStyle(e, "::placeholder").color);
    for (const ink of inks)
      if (ratio(ink, under(e)) < 4.5) low.push([e.outerHTML.slice(0, 80), ink, under(e)]);
  }
  const paper = under(document.body);
  return [low, ratio(getComputedStyle(document.body).color, paper), light(paper)];
}"""


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
