"""404.html, the page of a server for addresses that are none: it works as a file, too."""

import re
from typing import Any

FROM_THE_ROOT = re.compile(r'((?:\b(?:href|src)=|"search": )")/(?!/)')
# A server shows the page under any address; there its links begin at the root.
ROOT_OF_A_SERVER = (
    '<script>if (location.protocol !== "file:") document.write(\'<base href="/">\')</script>'
)


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """HTML of 404.html with relative links; other templates stay as they are."""
    if template_name != "404.html":
        return output_content
    html = FROM_THE_ROOT.sub(r"\1", output_content)
    return html.replace("<head>", f"<head>{ROOT_OF_A_SERVER}", 1)
