"""The site as files in a browser: its search, 404.html, and what a phone shows."""

import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import griffe
import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

from tests.report.conftest import browser, opened  # noqa: F401  a fixture

ROOT = Path(__file__).resolve().parents[2]
OF_THE_WHOLE = ("nav", "watch", "exclude_docs")
WIDE = "| " + " | ".join(f"column{n}" for n in range(30)) + " |\n" + "|---" * 30 + "|\n"
PAGES = {
    "index": "# Start\n\nNothing is here.\n",
    "architecture": "# Architecture\n\n## A road to others\n\nHoney is on a shelf.\n",
    "other": "# Other\n\nThe viscosity of honey, in clusters that drift.\n",
    "wide": f"# Wide\n\n{WIDE}{WIDE.splitlines()[0]}\n",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pages, with the theme, the style and the search of the whole site."""
    folder = tmp_path_factory.mktemp("site")
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    config = {name: value for name, value in config.items() if name not in OF_THE_WHOLE}
    config["plugins"] = ["search", "offline"]
    config["hooks"] = [str(ROOT / "docs" / "hooks" / "missing_page.py")]
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "assets", folder / "docs" / "assets")
    for name, text in PAGES.items():
        (folder / "docs" / f"{name}.md").write_text(text, encoding="utf-8")
    build(load_config(str(folder / "mkdocs.yml"), strict=True))
    return folder / "site"


@pytest.fixture
def server(site: Path) -> Iterator[str]:
    """Address of a server of the site, which shows 404.html for what is not there."""

    class Handler(SimpleHTTPRequestHandler):
        def send_error(self, code: int, *_: Any) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write((site / "404.html").read_bytes())

        def log_message(self, *_: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize(
    "query",
    [
        "viscosity",
        "How do I solve a cluster?",
        "drifting clusters, why?",
        "honey's viscosity",
        "clustering",
    ],
)
def test_a_question_finds_its_page_without_a_server(
    browser: Any,  # noqa: F811
    site: Path,
    query: str,
) -> None:
    tab, said = opened(browser, site / "index.html")
    tab.locator(".md-search__input").click()
    tab.locator(".md-search__input").press_sequentially(query)
    found = tab.locator(".md-search-result__item a").first
    found.wait_for(state="visible", timeout=20_000)
    tab.wait_for_timeout(500)  # until the last letter has been looked for
    assert str(found.get_attribute("href")).split("?")[0].endswith("/other.html")
    assert not said
    tab.close()


@pytest.mark.parametrize("width", [375, 1280])
def test_a_wide_table_scrolls_and_the_page_does_not(
    browser: Any,  # noqa: F811
    site: Path,
    width: int,
) -> None:
    tab, said = opened(browser, site / "wide.html", width)
    page, inside, outside = tab.evaluate("""() => {
      let box = document.querySelector("article table");
      const scrolls = e =>
        /auto|scroll/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth;
      while (!scrolls(box)) box = box.parentElement;
      return [document.documentElement.scrollWidth, box.scrollWidth, box.clientWidth];
    }""")
    assert page == width
    assert inside > 1280 > outside  # 30 columns of 4rem are wider than both pages
    assert not said
    tab.close()


STYLED = """() => [
  getComputedStyle(document.querySelector(".md-header")).position,
  document.querySelector("a.md-logo").href,
]"""


def test_the_page_of_what_is_missing_has_styles_and_links_as_a_file(
    browser: Any,  # noqa: F811
    site: Path,
) -> None:
    tab, _ = opened(browser, site / "404.html")
    assert tab.evaluate(STYLED) == ["sticky", (site / "index.html").as_uri()]
    tab.close()


def test_the_page_of_what_is_missing_works_at_any_address_of_a_server(
    browser: Any,  # noqa: F811
    server: str,
) -> None:
    tab = browser.new_page()
    tab.goto(f"{server}/deep/er/nothing.html")
    assert tab.evaluate(STYLED) == ["sticky", f"{server}/index.html"]
    tab.close()


def test_every_argument_of_a_docstring_is_one_of_the_function() -> None:
    """griffe's own warning, which knows no "a, b: ..."."""
    checked = 0

    def check(value: Any) -> None:
        nonlocal checked
        if value.is_alias:
            return
        if value.docstring and (value.is_function or value.is_class):
            names = {p.name.lstrip("*") for p in value.parameters}
            for section in griffe.parse_google(value.docstring, warnings=False):
                if section.kind is griffe.DocstringSectionKind.parameters:
                    told = {n for a in section.value for n in re.split(r", \*{0,2}", a.name)}
                    assert told <= names, f"{value.path}: {told - names}"
                    checked += len(told)
        for member in value.members.values():
            check(member)

    check(griffe.load("pacpde", search_paths=[ROOT]))
    assert checked > 500


def test_warnings_of_the_site_are_errors() -> None:
    rule = re.search(r"mkdocs build .*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert rule is not None
    command = rule[0].partition("#")[0]
    assert "--strict" in command
    assert "-q" not in command  # mkdocs then counts no warnings
