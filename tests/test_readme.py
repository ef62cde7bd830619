"""The blocks of the README and the guides run as they stand, but for the sizes of their fits."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacpde import fit, transfer
from pacpde.cli import main
from pacpde.datasets import load
from pacpde.problems import Heat

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(page: str, language: str = "") -> list[str]:
    """The blocks of code of a page in a language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


LINES = re.findall(r"^pacpde .*$", "".join(blocks("docs/command_line.md")), re.MULTILINE)
(EQUATION,) = [block for block in blocks("docs/equations.md", "python") if 'name = "rope"' in block]
SMALL = {"width": 5, "depth": 1, "points": 60, "steps": 3}
NETWORK = ["--width", "5", "--depth", "1"]
FIT = ["--points", "60", "--steps", "3"]
SMALLER = {  # command → what makes its fits small
    "check": [*NETWORK, *FIT],
    "train": [*NETWORK, *FIT],
    "transfer": FIT,
    "compare": [*NETWORK, *FIT],
    "identify": FIT,
}
FILES = {
    "my_family.py": EQUATION,
    "points.csv": "t,x\n0.5,0.25\n",
    "measured.csv": "t,x,u\n0.1,0.5,-0.9\n0.2,0.5,-0.8\n0.3,-0.5,0.7\n0.4,-0.5,0.6\n",
    "study.toml": """
        methods = ["warm_start"]
        settings = { width = 5, depth = 1, points = 60, steps = 3 }
        [[transfers]]
        family = "heat"
        targets = [{ alpha = 0.3 }]
    """,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and references apart from the user's."""
    monkeypatch.setenv("PACPDE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def plugin(folder: Path) -> str:
    """The family of the guide, in a file."""
    (folder / "rope.py").write_text(EQUATION, encoding="utf-8")
    return "rope.py"


def test_the_python_blocks() -> None:
    code = "".join(blocks("README.md", "python"))
    for call, small in {
        "fit(Burgers(nu=0.01 / pi), seed=0)": "fit(Burgers(nu=0.01 / pi), seed=0, settings=SMALL)",
        "method=PAC(), seed=0)": "method=PAC(), seed=0, settings=FIT)",
    }.items():
        assert code.count(call) == 1
        code = code.replace(call, small)
    names: dict[str, Any] = {"SMALL": SMALL, "FIT": {"points": 60, "steps": 3}}
    exec(compile(code, "README.md", "exec"), names)
    assert names["result"].target_error == names["result"].record()["target_error"] > 0
    assert np.isfinite(names["u"]) and np.isfinite(names["u_xx"])
    assert names["old"].problem == names["source"].problem


def test_the_first_screen_is_short() -> None:
    """Title, for whom, install, example and picture come before line 45 of what is written."""
    picture = next(n for n, line in enumerate(README.splitlines()) if line.startswith("!["))
    assert picture < 45


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_command_lines(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).write_text(content)
    assert len(LINES) >= 10
    for line in LINES:
        words = shlex.split(re.split(r" {2,}", line)[0])[1:]
        if words[0] == "rerun":
            kept = json.loads((folder / "runs/heat/records.json").read_text())["records"]
            (folder / words[1]).write_text(json.dumps(kept[-1]))
        status = main([*words, *SMALLER.get(words[0], [])])
        converges = words[0] in (*SMALLER, "study", "rerun")  # so small a fit need not
        assert status == 0 or (status == 1 and converges), line
        if "-o" in words:
            assert (folder / words[words.index("-o") + 1]).exists(), line


def test_the_demo_is_the_one_that_is_described() -> None:
    described = re.search(r"The demo is `(pacpde compare [^`]*)`", README)
    assert described is not None
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n\t\t", "")
    assert " ".join(described[1].split()) in " ".join(recipe.split())


def test_your_own_equation(plugin: str, folder: Path) -> None:
    """u = sin πx/2 exp(−γt) (cos ωt + γ/ω sin ωt), ω² = (cπ/2)² − γ²."""
    assert main(["families", "--plugin", plugin]) == 0
    assert main(["solve", "rope", "c=2", "gamma=0.3", "-o", "made.h5", "--plugin", plugin]) == 0
    reference = load(folder / "made.h5").reference
    t, x = np.meshgrid(*reference.axes.values(), indexing="ij")
    rate = np.sqrt(np.pi**2 - 0.3**2)
    moving = np.cos(rate * t) + 0.3 / rate * np.sin(rate * t)
    exact = np.sin(np.pi / 2 * x) * np.exp(-0.3 * t) * moving
    error = np.linalg.norm(reference.values[0] - exact) / np.linalg.norm(exact)
    assert error <= max(reference.certified_error, 1e-9)
    train = ["train", "rope", "-o", "made", *SMALLER["train"], "--plugin", plugin]
    assert main(train) in (0, 1)
    assert (folder / "made" / "surrogate.json").is_file()


def test_the_method_of_the_contributing_guide_runs() -> None:
    (block,) = [each for each in blocks("CONTRIBUTING.md", "python") if "class FirstLayer" in each]
    names: dict[str, Any] = {"__name__": "first_layer_of_the_guide"}
    exec(block, names)
    source = fit(Heat(), settings=SMALL, reference=None)
    result = transfer(
        source, Heat(alpha=0.3), method=names["FirstLayer"](), reference=None,
        settings={"points": 60, "steps": 3},
    )  # fmt: skip
    assert result.n_trainable == 3 * 5  # two inputs and a bias of five neurons


def test_the_guide_of_deepxde_names_the_page_of_equations() -> None:
    assert "(equations.md)" in (ROOT / "docs/deepxde.md").read_text(encoding="utf-8")
