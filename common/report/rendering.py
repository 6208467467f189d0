"""What every page that this collection writes is made with: templates and pictures inside the file."""

import base64

from common.basics.wording import duration, number, readable


def render(template, page, package="common.report", **filters):
    """Returns a page made from a template; everything is escaped and can be written.

    Args:
        template: Its file name.
        page: dict of what it names; a name that is missing is an error.
        package: Package whose templates/ holds it; those of common.report can be included in it.
        **filters: More filters for the template, beside `grouped` and `duration`.
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


def data_uri(png):
    """Returns the bytes of a PNG file as the address of a picture inside a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
