"""Links that open a copy of a notebook: the service writes them, JupyterLab and the hub read them.

Such a link is an address of JupyterLab with fields that anybody can write. The fields are
therefore only shown to the person, preselected in a form, or confirmed by the person.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, quote, urlencode, urlsplit

COPY_PARAMETER = "panneuro-copy"
"""Field with the notebook: ``PROJECT/NAME@3``."""

IMAGE_PARAMETER = "panneuro-image"
"""Field with the image that the notebook ran in, by its name in the collaboration file."""

_LONGEST = 2000  # characters


def build_copy_query(label: str, image: str = "") -> str:
    """Return the query of such an address."""
    fields = {COPY_PARAMETER: label, IMAGE_PARAMETER: image} if image else {COPY_PARAMETER: label}
    return urlencode(fields, safe="/", quote_via=quote)


def read_copy_query(address: str) -> Mapping[str, str]:
    """Return the fields of such an address; nothing if the address is not such a link."""
    if len(address) > _LONGEST:
        return {}
    try:
        fields = parse_qs(urlsplit(address).query, max_num_fields=20)
    except ValueError:
        return {}
    single = {
        name: fields[name][0]
        for name in (COPY_PARAMETER, IMAGE_PARAMETER)
        if len(fields.get(name, ())) == 1
    }
    return single if COPY_PARAMETER in single else {}
