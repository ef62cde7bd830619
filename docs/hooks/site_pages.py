"""Pages of the site that are no files in docs/, and links that lead out of docs/.

The guides are read in the repository and on the site. Their links are those of the repository. Here
a link to a file that has a page becomes a link to the page, with its title where the text was the
name of the file; a link to any other file becomes its text.
"""

import logging
import posixpath
import re
import sys
from html import unescape
from pathlib import Path
from typing import Any

import latex2mathml.converter
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import command_pages  # noqa: E402
import python_pages  # noqa: E402

log = logging.getLogger("mkdocs.hooks.site_pages")
OUTSIDE = {  # file of the repository → its place on the site
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "VISION.md": "vision.md",
    "data/README.md": "data_files.md",
    "notebooks/README.md": "notebooks/index.md",
    **{f"notebooks/{p.name}": f"notebooks/{p.name}" for p in ROOT.glob("notebooks/*.ipynb")},
    **{f"benchmarks/studies/{p.name}": f"studies/{p.name}"
       for p in ROOT.glob("benchmarks/studies/*.toml")},
}  # fmt: skip
LATE_IN_SEARCH = ("changelog", "evidence/", "reference/")  # after guides and explanations
FAMILIES = {  # page → how a family is named there, and with a link to the reference
    "families.md": (r"^\| `(\w+)` (?=\| .*\|.*\|.*\|$)", "| [`{name}`]({place}) "),
    "gallery.md": (
        r"(?<=^<figcaption>)<code>(\w+)</code>",
        '<a href="{page}"><code>{name}</code></a>',
    ),
}
LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]+)\]\((?P<target>[^()\s#]+)(?P<anchor>#[^()\s]*)?\)")
FORMULA = re.compile(r"(\$\$?)([^$]+)\1")
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"((?:https?:)?//[^\"]*)\"")
MARKDOWN_CELL = re.compile(
    r'<div class="jp-RenderedHTMLCommon jp-RenderedMarkdown.*?</div>', re.DOTALL
)
MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)
FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


@event_priority(100)  # before the notebooks are converted
def on_files(files: Files, config: Any) -> Files:
    for inside, place in OUTSIDE.items():
        if inside == place:
            files.append(File(place, str(ROOT), config.site_dir, config.use_directory_urls))
        else:
            files.append(File.generated(config, place, abs_src_path=str(ROOT / inside)))
    for place, text in {**command_pages.pages(), **python_pages.pages()}.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    here = page.file.src_uri
    if here.startswith(LATE_IN_SEARCH):
        page.meta.setdefault("search", {"boost": 0.3})
    if here == python_pages.INDEX:
        markdown += command_pages.row() + python_pages.rows()
    if here in FAMILIES:
        markdown = with_families(markdown, *FAMILIES[here])
    parts = FENCED.split(markdown)  # code stays as it is
    return "".join(p if p.startswith("```") else with_site_links(p, here) for p in parts)


def with_families(markdown: str, name: str, link: str) -> str:
    """Markdown in which each name of a family leads to its class in the reference.

    Args:
        name: a pattern of the name, whose group is the name alone.
        link: what takes its place, with {name}, {place} and {page}, the place in HTML.
    """
    places = python_pages.families()

    def linked(found: re.Match[str]) -> str:
        place = places[found[1]]
        return link.format(name=found[1], place=place, page=place.replace(".md#", ".html#"))

    return re.sub(name, linked, markdown, flags=re.MULTILINE)


def with_site_links(markdown: str, here: str) -> str:
    """Markdown whose links to files of the repository are links of the site.

    Args:
        here: the page's place on the site.
    """
    inside = {place: file for file, place in OUTSIDE.items()}
    folder = posixpath.dirname(inside.get(here, f"docs/{here}"))

    def replaced(link: re.Match[str]) -> str:
        if ":" in link["target"]:
            return link[0]
        file = posixpath.normpath(posixpath.join(folder, link["target"]))
        place = OUTSIDE.get(file, file.removeprefix("docs/") if file.startswith("docs/") else None)
        if place is None:
            return link["text"] if (ROOT / file).exists() else link[0]
        if (ROOT / file).is_dir():
            place = f"{place}/index.md"
        path = posixpath.relpath(place, posixpath.dirname(here) or ".")
        text = link["text"]
        if text.endswith(".md") and link["target"].endswith(text):
            text = title_of(ROOT / file)
        return f"[{text}]({path}{link['anchor'] or ''})"

    return LINK.sub(replaced, markdown)


def title_of(file: Path) -> str:
    """The first heading of a Markdown file; its name where it has none."""
    found = re.search(r"^# (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else file.name


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """A notebook comes as HTML: its formulas become MathML, its links lead to pages."""
    if not page.file.src_uri.endswith(".ipynb"):
        return html
    html = MATHJAX.sub("", html)
    html = re.sub(r'<a class="anchor-link"[^>]*>.*?</a>', "", html)
    html = MARKDOWN_CELL.sub(lambda cell: with_formulas(cell[0]), html)
    return re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', html)


def with_formulas(html: str) -> str:
    """HTML whose $...$ and $$...$$ are MathML, which browsers draw without a script."""

    def drawn(formula: re.Match[str]) -> str:
        display = "block" if formula[1] == "$$" else "inline"
        return latex2mathml.converter.convert(unescape(formula[2]), display=display)

    return FORMULA.sub(drawn, html)


def on_post_build(config: Any) -> None:
    """Warn of pages that load something from elsewhere, and of public names that no page has."""
    site = Path(config.site_dir)
    for page in site.rglob("*.html"):
        for found in LOADED.findall(page.read_text(encoding="utf-8")):
            log.warning("%s loads %s", page.relative_to(site), found)
    for path, place in python_pages.documented().items():
        if f'id="{path}"' not in (site / place).with_suffix(".html").read_text(encoding="utf-8"):
            log.warning("%s is not in %s", path, place)
