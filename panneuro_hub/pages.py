"""Pages: how every template of this package is read, so that nothing in a page comes alive."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def load_templates(package: str) -> Environment:
    """The templates in a package's folder ``templates``; they escape whatever they are given."""
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
