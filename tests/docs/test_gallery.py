"""The gallery has a small picture of every family, and nothing else."""

import re
from pathlib import Path

from PIL import Image

import pacpde.problems
from pacpde.problems import Heat

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_family_has_a_small_picture() -> None:
    names = {getattr(pacpde.problems, family).name for family in pacpde.problems.__all__}
    pictures = {path.stem: path for path in (DOCS / "assets" / "families").glob("*.webp")}
    shown = re.findall(
        r'src="assets/families/(\w+)\.webp"', (DOCS / "gallery.md").read_text("utf8")
    )
    assert Heat.name in names and set(pictures) == names
    assert sorted(shown) == sorted(names)
    assert max(path.stat().st_size for path in pictures.values()) < 15_000
    assert sum(path.stat().st_size for path in pictures.values()) < 500_000
    for path in pictures.values():
        with Image.open(path) as picture:
            assert picture.size == (340, 230), path
