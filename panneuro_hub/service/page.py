"""The service's pages: access, data, notebooks, what clusters use, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from panneuro_hub.access import Access
from panneuro_hub.catalog.found import Found
from panneuro_hub.catalog.published import Published
from panneuro_hub.catalog.words import size_text
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.collaboration.quantities import format_memory
from panneuro_hub.pages import templates
from panneuro_hub.service.copies import Ways
from panneuro_hub.service.datasets import Dataset
from panneuro_hub.service.logins import Login, Waiting
from panneuro_hub.service.notebooks import Card, Shown
from panneuro_hub.service.shelves import Finds, Looker
from panneuro_hub.service.usage import Usage
from panneuro_hub.wording import describe_reasons, describe_target

_templates = templates("panneuro_hub.service")
NO_ANNOUNCEMENT = Markup()


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def _memory(value: int | None) -> str | None:
    return None if value is None else format_memory(value)


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _breaks(text: str) -> Markup:
    """A name that may be broken after what joins its parts, rather than anywhere."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[/_-])(?=.)", text))


_templates.filters |= {
    "because": describe_reasons,
    "breaks": _breaks,
    "number": _number,
    "memory": _memory,
    "minute": _minute,
    "sentence": lambda text: text[:1].upper() + text[1:],
    "hours": lambda seconds: f"{seconds / 3600:,.1f}",
    "usd": lambda dollars: f"{dollars:,.2f}",
    "size": size_text,
    "target": describe_target,
    # Of an address: names from outside stay in their part of it.
    "part": lambda text: quote(text, safe="/@,="),
}


@dataclass(frozen=True)
class Around:
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


def render_access(
    collaboration: Collaboration,
    person: str,
    accesses: Mapping[str, Access],
    around: Around,
) -> str:
    """Make the HTML of the page: open projects first, and every reason there is."""
    ordered = sorted(accesses.values(), key=lambda access: access.level is None)
    return _render(
        "access.html", around, collaboration=collaboration, person=person, accesses=ordered
    )


def render_usage(usage: Usage, around: Around) -> str:
    """Make the HTML of the page: for each project its clusters, and what they have cost."""
    return _render("usage.html", around, usage=usage)


def render_datasets(datasets: Finds[Found], around: Around) -> str:
    """Make the HTML of the page of datasets, with a form to look for some."""
    return _render("datasets.html", around, found=datasets)


def render_dataset(dataset: Dataset, looker: Looker, around: Around) -> str:
    """Make the HTML of the page of one dataset."""
    return _render("dataset.html", around, dataset=dataset, looker=looker)


def render_gallery(gallery: Finds[Card], around: Around) -> str:
    """Make the HTML of the page of notebooks, with a form to look for some."""
    return _render("notebooks.html", around, found=gallery)


def render_notebook(shown: Shown, looker: Looker, around: Around, origin: str) -> str:
    """Make the HTML of the page of one notebook, with a frame for the notebook itself.

    Parameters
    ----------
    origin : str
        Of the hub, such as ``https://hub.example.org``.
    """
    return _render("notebook.html", around, shown=shown, looker=looker, origin=origin)


def render_ways(ways: Ways, published: Published, around: Around) -> str:
    """Make the HTML of the page that lets somebody choose where to open a copy."""
    return _render("copy.html", around, ways=ways, published=published)


@dataclass(frozen=True)
class LoginView:
    """What the page of logins shows.

    Parameters
    ----------
    person : str
    logins : sequence of Login
    xsrf : str
        What a form must bring back.
    page : str
        Path of the page.
    is_admin : bool
        Whether the person may see the logins of others.
    problem : str or None
        Why a typed code leads nowhere.
    waiting : Waiting or None
        The computer that a typed code belongs to.
    again : str or None
        Where the person logs in again, for that computer.
    key : str or None
        What decides about it, after that.
    """

    person: str
    logins: Sequence[Login]
    xsrf: str
    page: str
    is_admin: bool
    problem: str | None = None
    waiting: Waiting | None = None
    again: str | None = None
    key: str | None = field(default=None, repr=False)


def render_login(view: LoginView, around: Around) -> str:
    """Make the HTML of the page: type a code, decide about a computer, and end logins."""
    return _render("login.html", around, view=view)


def render_decision(around: Around, *, allowed: bool) -> str:
    """Make the HTML of the page that says what was decided about a computer."""
    return _render("decided.html", around, allowed=allowed)


@dataclass(frozen=True)
class LoginsView:
    """What the page of everybody's logins shows.

    Parameters
    ----------
    admin : str
        Who looks.
    person : str
        The name that was looked for; ``""`` for everybody.
    logins : sequence of Login
    xsrf : str
        What a form must bring back.
    page : str
        Path of the page.
    """

    admin: str
    person: str
    logins: Sequence[Login]
    xsrf: str
    page: str


def render_logins(view: LoginsView, around: Around) -> str:
    """Make the HTML of the page of everybody's logins."""
    return _render("logins.html", around, view=view)


def render_problem(
    title: str,
    message: str,
    on: str | None = None,
    around: Around | None = None,
    announcement: Markup = NO_ANNOUNCEMENT,
) -> str:
    """Make the page that says why there is none.

    Parameters
    ----------
    on : str, optional
        Where the person may go instead.
    around : Around, optional
        Where the other pages are, for whom they are there.
    announcement : Markup
        As `Around` has it, for a page without the others.
    """
    paths = {"hub": around.hub, "service": around.service} if around else {}
    words = around.announcement if around else announcement
    return _templates.get_template("problem.html").render(
        title=title, message=message, on=on, announcement=words, **paths
    )


def _render(template: str, around: Around, **values: Any) -> str:
    return _templates.get_template(template).render(
        hub=around.hub,
        service=around.service,
        announcement=around.announcement,
        **values,
    )
