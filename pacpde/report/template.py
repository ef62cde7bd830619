"""Pages as single HTML files from templates of this package, which share their head."""

import json
import re
from importlib.resources import files
from typing import Any

from pacpde.studies.records import plain


def rendered(name: str, **values: Any) -> str:
    """The page of a template, such as "page.html"; values are escaped.

    Args:
        values: what the template asks for, "title" among them.
    """
    from jinja2 import Environment, FunctionLoader

    folder = files(__package__)
    loader = FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8"))
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=loader)
    environment.filters["breakable"] = _breakable
    return environment.get_template(name).render(**values)


def _breakable(text: str) -> Any:
    """HTML of a name that a narrow column may break: before an arrow, after signs."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?=→)|(?<=[=(_,])", "<wbr>", str(escape(text))))


def script(data: Any) -> str:
    """JSON that may stand inside a script element."""
    compact = json.dumps(plain(data), separators=(",", ":"))
    return compact.replace("<", "\\u003c")
