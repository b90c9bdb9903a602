"""What all pages of the service have in common: templates, filters, and the page of a refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.collaboration.units import format_memory
from panneuro_hub.pages import load_templates, read_help_url
from panneuro_hub.wording import describe_reasons, describe_target

_templates = load_templates("panneuro_hub.service.web")
_templates.globals["help_url"] = read_help_url
NO_ANNOUNCEMENT = Markup()


def _format_number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def _format_memory(value: int | None) -> str | None:
    return None if value is None else format_memory(value)


def _format_minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _add_breaks(text: str) -> Markup:
    """A name that may be broken after what joins its parts, rather than anywhere."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[/_-])(?=.)", text))


_templates.filters |= {
    "because": describe_reasons,
    "breaks": _add_breaks,
    "number": _format_number,
    "memory": _format_memory,
    "minute": _format_minute,
    "sentence": lambda text: text[:1].upper() + text[1:],
    "hours": lambda seconds: f"{seconds / 3600:,.1f}",
    "usd": lambda dollars: f"{dollars:,.2f}",
    "size": format_size,
    "target": describe_target,
    # Of an address: names from outside stay in their part of it.
    "part": lambda text: quote(text, safe="/@,="),
}


@dataclass(frozen=True)
class PageContext:
    """Where the other pages are.

    Parameters
    ----------
    hub, service : str
        Paths of the hub, such as ``/hub/``, and of this service.
    announcement : Markup
        What the hub announces to the person; empty for nothing.
    """

    hub: str
    service: str
    announcement: Markup = NO_ANNOUNCEMENT


def render_problem(
    title: str,
    message: str,
    on: str | None = None,
    page_context: PageContext | None = None,
    announcement: Markup = NO_ANNOUNCEMENT,
) -> str:
    """Make the page that says why there is none.

    Parameters
    ----------
    on : str, optional
        Where the person may go instead.
    page_context : PageContext, optional
        Where the other pages are, for whom they are there.
    announcement : Markup
        As `PageContext` has it, for a page without the others.
    """
    paths = {"hub": page_context.hub, "service": page_context.service} if page_context else {}
    words = page_context.announcement if page_context else announcement
    return _templates.get_template("problem.html").render(
        title=title, message=message, on=on, announcement=words, **paths
    )


def render_page(template: str, page_context: PageContext, **values: Any) -> str:
    """Return the HTML of a page.

    Parameters
    ----------
    template : str
        The file's name in `panneuro_hub.service.web`.
    **values
        What the template shows.
    """
    return _templates.get_template(template).render(
        hub=page_context.hub,
        service=page_context.service,
        announcement=page_context.announcement,
        **values,
    )
