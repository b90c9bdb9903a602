"""The HTML of the pages of device logins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from panneuro_hub.service.device_login.login_store import DeviceLogin, LoginRequest
from panneuro_hub.service.web.page_rendering import PageContext, render_page


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
    """Return the HTML of the page: type a code, decide about a computer, and end logins."""
    return render_page("login.html", page_context, view=view)


def render_decision(page_context: PageContext, *, allowed: bool) -> str:
    """Return the HTML of the page that says what was decided about a computer."""
    return render_page("decided.html", page_context, allowed=allowed)


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
    """Return the HTML of the page of everybody's logins."""
    return render_page("logins.html", page_context, view=view)
