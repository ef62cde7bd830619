"""The reference has every public name, every command and every option."""

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pacpde
import pacpde.problems
from pacpde.cli.commands import COMMANDS, command_of

HOOKS = Path(__file__).resolve().parents[2] / "docs" / "hooks"
HELPERS = {"pacpde.import_errors", "pacpde.interop.held"}  # what other modules of pacpde share


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(HOOKS)
    return importlib.import_module


def public_modules() -> list[ModuleType]:
    """Modules that say what is public in them."""
    names = [info.name for info in pkgutil.walk_packages(pacpde.__path__, "pacpde.")]
    own = [n for n in names if "__main__" not in n and not n.startswith("pacpde.problems.")]
    modules = [pacpde, *(importlib.import_module(name) for name in own)]
    return [m for m in modules if hasattr(m, "__all__") and m.__name__ not in HELPERS]


def test_every_public_name_is_documented_once(hook: Any) -> None:
    pages = hook("python_pages")
    paths = pages.documented()
    documented = []
    for path in paths:
        module, _, name = path.rpartition(".")
        documented.append(getattr(importlib.import_module(module), name))
    modules = public_modules()
    assert len(modules) > 15
    for module in modules:
        for name in module.__all__:
            value = getattr(module, name)
            assert sum(value is each for each in documented) == 1, f"{module.__name__}.{name}"
    blocks = re.findall(r"^::: (\S+)$", "\n".join(pages.pages().values()), re.MULTILINE)
    assert {*paths} - {*blocks} == {"pacpde.physics.elementary.pi"}  # a number; by its value


def test_every_command_and_option_is_documented(hook: Any) -> None:
    (text,) = hook("command_pages").pages().values()
    sections = dict(
        re.findall(r"^## pacpde (.*?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    )
    for name in COMMANDS:
        command = command_of(name)
        for part, own in getattr(command, "commands", {"": command}).items():
            section = sections.pop(f"{name} {part}".strip())
            assert f"```\npacpde {name}" in section
            for parameter in own.params:
                for option in parameter.opts:
                    if option.startswith("-"):
                        assert re.search(rf"`[^`]*{option}\b[^`]*`\n:   \S", section), option
    assert not sections


def test_links_of_the_repository_become_links_of_the_site(hook: Any) -> None:
    linked = hook("site_pages").with_site_links
    notebook, toml = "[n](../notebooks/lorenz.ipynb#a)", "[t](../../benchmarks/common.py)"
    assert linked(notebook, "engine.md") == "[n](notebooks/lorenz.ipynb#a)"
    assert linked(toml, "evidence/fits.md") == "t"  # a file without a page
    assert linked("[e](evidence/fits.md)", "engine.md") == "[e](evidence/fits.md)"
    assert linked("[c](docs/engine.md)", "contributing.md") == "[c](engine.md)"
    assert linked("[e](docs/evidence)", "vision.md") == "[e](evidence/index.md)"
    assert linked("[g](../docs/methods.md)", "notebooks/index.md") == "[g](../methods.md)"
    by_title = "[How a fit works](../engine.md#a-fit)"  # the site has no such file name
    assert linked("[engine.md](../engine.md#a-fit)", "evidence/fits.md") == by_title
    for unchanged in ("[x](https://a.org/b)", "[x](no_such_file.md)", "![x](../picture.png)"):
        assert linked(unchanged, "engine.md") == unchanged


def test_families_lead_to_their_classes(hook: Any) -> None:
    pages = hook("site_pages")
    here = {place: (HOOKS.parent / place).read_text("utf-8") for place in pages.FAMILIES}
    names = {getattr(pacpde.problems, name).name for name in pacpde.problems.__all__}
    found = {place: pages.with_families(here[place], *pages.FAMILIES[place]) for place in here}
    link = r"\[`(\w+)`\]\(reference/problems\.md#pacpde\.problems\.\w+\.\w+\) \|"
    assert names == {*re.findall(link, found["families.md"])}
    link = r'<a href="reference/problems\.html#pacpde\.problems\.\w+\.\w+"><code>(\w+)</code></a>'
    assert names == {*re.findall(link, found["gallery.md"])}
    heat = "reference/problems.html#pacpde.problems.heat.Heat"
    assert f'<a href="{heat}"><code>heat</code></a>' in found["gallery.md"]
    captions = re.findall("<figcaption>.*", here["gallery.md"])
    assert len(captions) == len(names) and not any("`" in caption for caption in captions)
