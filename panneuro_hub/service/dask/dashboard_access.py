"""Who sees a Dask cluster's dashboard: people of its project, judged at every request.

The gate in front of the dashboards asks about each request with its path and cookies. The
cookie says whose account it is, at one dashboard: it is made after a login at the hub, is
sent to that dashboard's path alone, and is worth nothing at another. That the person is
of the cluster's project is decided afresh each time.

A dashboard's address is ``…/services/GATEWAY/clusters/NAME/…``, beside this service's own,
and nothing else is taken for one: whoever could name another place, such as below their
own server, would get the cookies of others sent there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote

from tornado.httputil import parse_cookie
from tornado.web import create_signed_value, decode_signed_value

from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError, PanNeuroError
from panneuro_hub.service.accounts.access_lookup import AccessLookup
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.cache import LookupCache
from panneuro_hub.service.db.session_store import SessionRecord, SessionStore
from panneuro_hub.wire import Reason
from panneuro_hub.wire.dashboard_requests import DASHBOARD_COOKIE
from panneuro_hub.wording import denied_for

COOKIE_LIFETIME = timedelta(hours=12)

_LONGEST = 4096
_DECODINGS = 8  # more are no address that anybody needs
_KEEP_SECONDS = 2.0  # a page of a dashboard asks for many things at once
_VERSION = 2  # of Tornado's signatures
# The characters of an address in a request line; "#" never comes, and browsers and
# servers differ about "\".
_ADDRESS = re.compile(r"[!-\"$-\[\]-~]+")
_GATEWAY = "[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
_CLUSTER = "[a-z0-9][a-z0-9.-]{0,254}"


class DashboardNotFoundError(PanNeuroError):
    """An address leads to no dashboard: it is none, or its cluster does not run."""

    code = "dashboard-not-found"
    status = 404


@dataclass(frozen=True)
class DashboardAddress:
    """The dashboard of one cluster, as its address names it.

    Parameters
    ----------
    gateway : str
        Name of the hub's service that runs the cluster.
    cluster : str
        What the gateway calls it.
    """

    gateway: str
    cluster: str

    def make_root(self, services: str) -> str:
        """Its own path, which ends in ``/``.

        Parameters
        ----------
        services : str
            Path of the hub's services, such as ``/services``.
        """
        return f"{services}/{self.gateway}/clusters/{self.cluster}/"


def is_cluster_name(text: str) -> bool:
    """Whether `text` can be what a gateway calls a cluster."""
    return re.fullmatch(_CLUSTER, text) is not None


def parse_dashboard_address(address: str, services: str) -> DashboardAddress | None:
    """The dashboard that a request's path leads to, or `None`; deny what can be read twice.

    Parameters
    ----------
    address : str
        Path and query as a browser asked for them, not decoded.
    services : str
        Path of the hub's services, such as ``/services``.
    """
    if len(address) > _LONGEST or not _ADDRESS.fullmatch(address):
        return None
    path = address.partition("?")[0]
    pattern = f"{re.escape(services)}/({_GATEWAY})/clusters/({_CLUSTER})((?:/.*)?)"
    found = re.fullmatch(pattern, path)
    if found is None or _may_leave_path(found[3]):
        return None
    return DashboardAddress(found[1], found[2])


def _may_leave_path(path: str) -> bool:
    """Whether a path leads, or after any number of decodings could lead, out of its place."""
    for _ in range(_DECODINGS):
        segments = [segment.partition(";")[0] for segment in re.split(r"[/\\]", path)]
        if "." in segments or ".." in segments or not path.isprintable():
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded
    return True


def check_next_address(asked: str | None, dashboard: DashboardAddress, services: str) -> str:
    """Where to go in a dashboard: the address that was asked for, if it is of that dashboard.

    Parameters
    ----------
    asked : str or None
        Any text from outside; `None` for the dashboard's first page.

    Raises
    ------
    InvalidChoiceError
        If it leads, or could lead, anywhere else.
    """
    root = dashboard.make_root(services)
    if asked is None:
        return f"{root}status"
    if parse_dashboard_address(asked, services) != dashboard:
        raise InvalidChoiceError(
            f"next: this page leads to addresses that begin with {root} and to no others"
        )
    path, mark, query = asked.partition("?")
    # Without its last "/" the dashboard's path is outside of where the cookie is sent.
    return asked if path.startswith(root) else f"{root}{mark}{query}"


@dataclass(frozen=True)
class DashboardCookies:
    """Makes and reads what the cookie holds: person, account, dashboard and time, signed.

    Parameters
    ----------
    secret : bytes
        The application's cookie secret.
    clock : callable, optional
        Seconds since 1970.
    """

    secret: bytes
    clock: Callable[[], float] | None = None

    def make_cookie(self, holder: HubAccount, dashboard: DashboardAddress) -> str:
        """The cookie's text."""
        held = json.dumps([holder.name, holder.account, dashboard.gateway, dashboard.cluster])
        return create_signed_value(
            self.secret, DASHBOARD_COOKIE, held, version=_VERSION, clock=self.clock
        ).decode()

    def read_cookie(self, cookies: str, dashboard: DashboardAddress) -> HubAccount | None:
        """Whom the header ``Cookie`` shows to be at `dashboard`; `None` for nobody.

        Whatever shares a browser's host may put cookies of the same name beside ours;
        they are passed over.
        """
        for part in cookies.split(";"):
            held = decode_signed_value(
                self.secret,
                DASHBOARD_COOKIE,
                parse_cookie(part).get(DASHBOARD_COOKIE, ""),
                max_age_days=COOKIE_LIFETIME / timedelta(days=1),
                clock=self.clock,
                min_version=_VERSION,
            )
            if held is not None:
                fields = json.loads(held)
                # Cookies of older versions do not say whose account it was.
                if len(fields) == 4 and DashboardAddress(*fields[2:]) == dashboard:
                    return HubAccount(str(fields[0]), str(fields[1]))
        return None


class DashboardAccess:
    """Decides who sees which dashboard.

    Parameters
    ----------
    accesses : AccessLookup
        Knows what people may do.
    sessions : SessionStore
        Knows which clusters run.
    """

    def __init__(self, accesses: AccessLookup, sessions: SessionStore) -> None:
        self._accesses = accesses
        self._running: LookupCache[SessionRecord] = LookupCache(
            sessions.find_running, _KEEP_SECONDS
        )

    async def find_dashboard(self, cluster: str) -> DashboardAddress:
        """The dashboard of the running cluster that a gateway calls `cluster`.

        Raises
        ------
        DashboardNotFoundError
            If no such cluster runs.
        ServiceUnavailable
            If the database does not answer.
        """
        return DashboardAddress((await self._find_cluster(cluster)).gateway, cluster)

    async def require_access(self, holder: HubAccount, dashboard: DashboardAddress) -> None:
        """Make sure that a person may see a dashboard now.

        Raises
        ------
        DashboardNotFoundError
            If its cluster does not run.
        AccessDeniedError
            If the account has ended, or is not of its project; the text says why.
        ServiceUnavailable
            If the hub or the database does not answer.
        """
        session = await self._find_cluster(dashboard.cluster)
        if session.gateway != dashboard.gateway:
            raise _make_not_found_error(dashboard.cluster)
        if await self._accesses.find_account(holder.name) != holder:
            raise AccessDeniedError("your account at the hub has ended; log in again")
        _, accesses = await self._accesses.decide_accesses(holder.name)
        access = accesses.get(session.project)
        if access is None or access.level is None:
            removed = (Reason("no-such-project", session.project),)
            raise denied_for(
                access.reasons if access else removed,
                f"this is the dashboard of a cluster of {session.project}, which only people "
                f"of {session.project} see",
            )

    async def _find_cluster(self, name: str) -> SessionRecord:
        session = await self._running.get(name) if is_cluster_name(name) else None
        if session is None:
            raise _make_not_found_error(name)
        return session


def _make_not_found_error(name: str) -> DashboardNotFoundError:
    shown = name if is_cluster_name(name) else "of that name"
    return DashboardNotFoundError(
        f"no cluster {shown} is running: it has ended, or it began a moment ago and its "
        "gateway has not reported it yet"
    )
