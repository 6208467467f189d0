"""Rendering of HTML pages from templates, with the pictures inside the file."""

import base64
from collections.abc import Callable
from typing import Any

from common.basics.wording import duration, number, readable


def render(
    template: str,
    page: dict[str, Any],
    package: str = "common.report",
    **filters: Callable[..., Any],
) -> str:
    """Returns a page made from a template. All values are escaped and free of control characters.

    Args:
        template: Its file name.
        page: Values of the names in the template; a missing one is an error.
        package: Package whose templates/ holds it; it can include templates of common.report.
        **filters: More filters for the template, besides `grouped` and `duration`.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(name) for name in dict.fromkeys([package, "common.report"])]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"grouped": number, "duration": duration, **filters}
    return readable(environment.get_template(template).render(page))


def data_uri(png: bytes) -> str:
    """Returns the bytes of a PNG file as a data URI, which shows the picture inside a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
