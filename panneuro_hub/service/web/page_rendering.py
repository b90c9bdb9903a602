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
from panneuro_hub.catalog.dataset_rows import DatasetRow
from panneuro_hub.catalog.notebook_records import NotebookRecord
from panneuro_hub.catalog.text_format import format_size
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.collaboration.units import format_memory
from panneuro_hub.pages import load_templates, read_help_url
from panneuro_hub.service.browse.copy_targets import CopyTargets
from panneuro_hub.service.browse.dataset_views import DatasetView
from panneuro_hub.service.browse.notebook_views import NotebookCard, NotebookView
from panneuro_hub.service.browse.project_browser import PageViewer, SearchResult
from panneuro_hub.service.device_login.login_store import DeviceLogin, LoginRequest
from panneuro_hub.service.monitoring.cluster_usage import UsageReport
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


def render_access(
    collaboration: Collaboration,
    person: str,
    accesses: Mapping[str, Access],
    page_context: PageContext,
) -> str:
    """Make the HTML of the page: open projects first, and every reason there is."""
    ordered = sorted(accesses.values(), key=lambda access: access.level is None)
    return _render(
        "access.html", page_context, collaboration=collaboration, person=person, accesses=ordered
    )


def render_usage(usage: UsageReport, page_context: PageContext) -> str:
    """Make the HTML of the page: for each project its clusters, and what they have cost."""
    return _render("usage.html", page_context, usage=usage)


def render_datasets(datasets: SearchResult[DatasetRow], page_context: PageContext) -> str:
    """Make the HTML of the page of datasets, with a form to look for some."""
    return _render("datasets.html", page_context, result=datasets)


def render_dataset(dataset: DatasetView, viewer: PageViewer, page_context: PageContext) -> str:
    """Make the HTML of the page of one dataset."""
    return _render("dataset.html", page_context, dataset=dataset, viewer=viewer)


def render_notebooks(notebooks: SearchResult[NotebookCard], page_context: PageContext) -> str:
    """Make the HTML of the page of notebooks, with a form to look for some."""
    return _render("notebooks.html", page_context, result=notebooks)


def render_notebook(
    shown: NotebookView, viewer: PageViewer, page_context: PageContext, origin: str
) -> str:
    """Make the HTML of the page of one notebook, with a frame for the notebook itself.

    Parameters
    ----------
    origin : str
        Of the hub, such as ``https://hub.example.org``.
    """
    return _render("notebook.html", page_context, shown=shown, viewer=viewer, origin=origin)


def render_copy_targets(
    targets: CopyTargets, published: NotebookRecord, page_context: PageContext
) -> str:
    """Make the HTML of the page that lets somebody choose where to open a copy."""
    return _render("copy.html", page_context, targets=targets, published=published)


@dataclass(frozen=True)
class LoginPageView:
    """What the page of logins shows.

    Parameters
    ----------
    person : str
    logins : sequence of DeviceLogin
    xsrf : str
        What a form must bring back.
    page : str
        Path of the page.
    is_admin : bool
        Whether the person may see the logins of others.
    problem : str or None
        Why a typed code leads nowhere.
    request : LoginRequest or None
        The computer that a typed code belongs to.
    again : str or None
        Where the person logs in again, for that computer.
    key : str or None
        What decides about it, after that.
    """

    person: str
    logins: Sequence[DeviceLogin]
    xsrf: str
    page: str
    is_admin: bool
    problem: str | None = None
    request: LoginRequest | None = None
    again: str | None = None
    key: str | None = field(default=None, repr=False)


def render_login(view: LoginPageView, page_context: PageContext) -> str:
    """Make the HTML of the page: type a code, decide about a computer, and end logins."""
    return _render("login.html", page_context, view=view)


def render_decision(page_context: PageContext, *, allowed: bool) -> str:
    """Make the HTML of the page that says what was decided about a computer."""
    return _render("decided.html", page_context, allowed=allowed)


@dataclass(frozen=True)
class AllLoginsView:
    """What the page of everybody's logins shows.

    Parameters
    ----------
    admin : str
        Who looks.
    person : str
        The name that was looked for; ``""`` for everybody.
    logins : sequence of DeviceLogin
    xsrf : str
        What a form must bring back.
    page : str
        Path of the page.
    """

    admin: str
    person: str
    logins: Sequence[DeviceLogin]
    xsrf: str
    page: str


def render_all_logins(view: AllLoginsView, page_context: PageContext) -> str:
    """Make the HTML of the page of everybody's logins."""
    return _render("logins.html", page_context, view=view)


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


def _render(template: str, page_context: PageContext, **values: Any) -> str:
    return _templates.get_template(template).render(
        hub=page_context.hub,
        service=page_context.service,
        announcement=page_context.announcement,
        **values,
    )
