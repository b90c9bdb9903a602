"""A link that opens a copy of a notebook: what the service writes, and JupyterLab and the hub read.

It is an address of JupyterLab's with fields that anybody can write: what they say is
only ever shown, ticked in a form or asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, quote, urlencode, urlsplit

COPY_PARAMETER = "panneuro-copy"
"""Which notebook: ``PROJECT/NAME@3``."""

IMAGE_PARAMETER = "panneuro-image"
"""The image that it ran in, by the collaboration's name of it."""

_LONGEST = 2000  # characters


def build_copy_query(label: str, image: str = "") -> str:
    """The query of such an address."""
    fields = {COPY_PARAMETER: label, IMAGE_PARAMETER: image} if image else {COPY_PARAMETER: label}
    return urlencode(fields, safe="/", quote_via=quote)


def read_copy_query(address: str) -> Mapping[str, str]:
    """What of an address is said of a copy; nothing where it is no such link."""
    if len(address) > _LONGEST:
        return {}
    try:
        fields = parse_qs(urlsplit(address).query, max_num_fields=20)
    except ValueError:
        return {}
    said = {
        name: fields[name][0]
        for name in (COPY_PARAMETER, IMAGE_PARAMETER)
        if len(fields.get(name, ())) == 1
    }
    return said if COPY_PARAMETER in said else {}
