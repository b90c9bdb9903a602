"""Pages: how every template of this package is read, so that nothing in a page comes alive."""

from __future__ import annotations

import os

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


def read_help_url() -> str:
    """Return the address of the documentation that pages link to, from ``PANNEURO_HELP_URL``.

    An address that is not HTTP is ignored, and without an address there is no link: the pages are
    behind a login and must work in networks that reach nothing else.
    """
    address = os.environ.get("PANNEURO_HELP_URL", "").strip()
    return address if address.startswith(("https://", "http://")) else ""
