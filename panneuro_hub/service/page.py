"""The service's pages: a person's own access, what clusters use, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from panneuro_hub.access import Access
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.collaboration.quantities import format_memory
from panneuro_hub.pages import templates
from panneuro_hub.service.logins import Login, Waiting
from panneuro_hub.service.usage import Usage

_templates = templates("panneuro_hub.service")


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def _memory(value: int | None) -> str | None:
    return None if value is None else format_memory(value)


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


_templates.filters |= {
    "number": _number,
    "memory": _memory,
    "minute": _minute,
    "sentence": lambda text: text[:1].upper() + text[1:],
    "hours": lambda seconds: f"{seconds / 3600:,.1f}",
    "usd": lambda dollars: f"{dollars:,.2f}",
}


def render_access(
    collaboration: Collaboration,
    person: str,
    accesses: Mapping[str, Access],
    hub: str,
    service: str,
) -> str:
    """Make the HTML of the page: open projects first, and every reason there is.

    Parameters
    ----------
    hub, service : str
        Paths of the hub, such as ``/hub/``, and of this service.
    """
    ordered = sorted(accesses.values(), key=lambda access: access.level is None)
    return _templates.get_template("access.html").render(
        collaboration=collaboration, person=person, accesses=ordered, hub=hub, service=service
    )


def render_usage(usage: Usage, hub: str, service: str) -> str:
    """Make the HTML of the page: for each project its clusters, and what they have cost.

    Parameters
    ----------
    hub, service : str
        Paths of the hub, such as ``/hub/``, and of this service.
    """
    return _templates.get_template("usage.html").render(usage=usage, hub=hub, service=service)


def render_login(
    person: str,
    waiting: Waiting | None,
    problem: str | None,
    logins: Sequence[Login],
    xsrf: str,
    page: str,
) -> str:
    """Make the HTML of the page: who asks for a login, and which there are.

    Parameters
    ----------
    waiting : Waiting or None
        The request that is to be decided.
    problem : str or None
        Why there is none.
    xsrf : str
        What a form must bring back.
    page : str
        Path of this page.
    """
    return _templates.get_template("login.html").render(
        person=person, waiting=waiting, problem=problem, logins=logins, xsrf=xsrf, page=page
    )


def render_problem(title: str, message: str, on: str | None = None) -> str:
    """Make the page that says why there is none.

    Parameters
    ----------
    on : str, optional
        Where the person may go instead.
    """
    return _templates.get_template("problem.html").render(title=title, message=message, on=on)


def render_passage(on: str) -> str:
    """Make the page that goes on by itself, for proxies that change redirects."""
    return _templates.get_template("passage.html").render(on=on)
