"""The site's search finds a page that is opened as a file, and the page asks for nothing else."""

import shutil
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OF_THE_WHOLE = ("nav", "hooks", "watch", "exclude_docs")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two pages, with the theme, the style and the search of the whole site."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    config = {name: value for name, value in config.items() if name not in OF_THE_WHOLE}
    config["plugins"] = ["search", "offline"]
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "assets", tmp_path / "docs" / "assets")
    (tmp_path / "docs" / "index.md").write_text("# Start\n\nNothing is here.\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n\nThe viscosity of honey.\n")
    build(load_config(str(tmp_path / "mkdocs.yml"), strict=True))
    return tmp_path / "site"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_search_works_without_a_server(site: Path) -> None:
    elsewhere, errors = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda r: elsewhere.append(r.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"file://{site}/index.html")
        page.locator(".md-search__input").click()
        page.locator(".md-search__input").press_sequentially("viscosity")
        found = page.locator(".md-search-result__item a").first
        found.wait_for(state="visible", timeout=20_000)
        assert str(found.get_attribute("href")).split("?")[0].endswith("/other.html")
        browser.close()
    assert not errors
    assert all(url.startswith(("file:", "data:", "blob:", "about:")) for url in elsewhere)
