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

from panneuro_hub.errors import AccessDenied, InvalidChoice, PanNeuroError
from panneuro_hub.service.issue import Issuer
from panneuro_hub.service.kept import Kept
from panneuro_hub.service.owners import Owner
from panneuro_hub.service.register import Registered
from panneuro_hub.wire import Reason
from panneuro_hub.wire.dashboards import COOKIE
from panneuro_hub.wording import denied_for

GOOD_FOR = timedelta(hours=12)

_LONGEST = 4096
_DECODINGS = 8  # more are no address that anybody needs
_KEEP_SECONDS = 2.0  # a page of a dashboard asks for many things at once
_VERSION = 2  # of Tornado's signatures
# The characters of an address in a request line; "#" never comes, and browsers and
# servers differ about "\".
_ADDRESS = re.compile(r"[!-\"$-\[\]-~]+")
_GATEWAY = "[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
_CLUSTER = "[a-z0-9][a-z0-9.-]{0,254}"


class NoDashboard(PanNeuroError):
    """An address leads to no dashboard: it is none, or its cluster does not run."""


@dataclass(frozen=True)
class Dashboard:
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

    def root(self, services: str) -> str:
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


def dashboard_at(address: str, services: str) -> Dashboard | None:
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
    if found is None or _wanders(found[3]):
        return None
    return Dashboard(found[1], found[2])


def _wanders(path: str) -> bool:
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


def way_on(asked: str | None, dashboard: Dashboard, services: str) -> str:
    """Where to go in a dashboard: the address that was asked for, if it is of that dashboard.

    Parameters
    ----------
    asked : str or None
        Any text from outside; `None` for the dashboard's first page.

    Raises
    ------
    InvalidChoice
        If it leads, or could lead, anywhere else.
    """
    root = dashboard.root(services)
    if asked is None:
        return f"{root}status"
    if dashboard_at(asked, services) != dashboard:
        raise InvalidChoice(
            f"next: this page leads to addresses that begin with {root} and to no others"
        )
    path, mark, query = asked.partition("?")
    # Without its last "/" the dashboard's path is outside of where the cookie is sent.
    return asked if path.startswith(root) else f"{root}{mark}{query}"


@dataclass(frozen=True)
class Passes:
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

    def issue(self, holder: Owner, dashboard: Dashboard) -> str:
        """The cookie's text."""
        held = json.dumps([holder.name, holder.account, dashboard.gateway, dashboard.cluster])
        return create_signed_value(
            self.secret, COOKIE, held, version=_VERSION, clock=self.clock
        ).decode()

    def holder(self, cookies: str, dashboard: Dashboard) -> Owner | None:
        """Whom the header ``Cookie`` shows to be at `dashboard`; `None` for nobody.

        Whatever shares a browser's host may put cookies of the same name beside ours;
        they are passed over.
        """
        for part in cookies.split(";"):
            held = decode_signed_value(
                self.secret,
                COOKIE,
                parse_cookie(part).get(COOKIE, ""),
                max_age_days=GOOD_FOR / timedelta(days=1),
                clock=self.clock,
                min_version=_VERSION,
            )
            if held is not None:
                fields = json.loads(held)
                # Cookies of older versions do not say whose account it was.
                if len(fields) == 4 and Dashboard(*fields[2:]) == dashboard:
                    return Owner(str(fields[0]), str(fields[1]))
        return None


class Dashboards:
    """Decides who sees which dashboard.

    Parameters
    ----------
    issuer : Issuer
        Knows what people may do, and which clusters run.
    """

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self._running: Kept[Registered] = Kept(issuer.register.by_name, _KEEP_SECONDS)

    async def named(self, cluster: str) -> Dashboard:
        """The dashboard of the running cluster that a gateway calls `cluster`.

        Raises
        ------
        NoDashboard
            If no such cluster runs.
        ServiceUnavailable
            If the database does not answer.
        """
        return Dashboard((await self._cluster(cluster)).gateway, cluster)

    async def require(self, holder: Owner, dashboard: Dashboard) -> None:
        """Make sure that a person may see a dashboard now.

        Raises
        ------
        NoDashboard
            If its cluster does not run.
        AccessDenied
            If the account has ended, or is not of its project; the text says why.
        ServiceUnavailable
            If the hub or the database does not answer.
        """
        session = await self._cluster(dashboard.cluster)
        if session.gateway != dashboard.gateway:
            raise _no_cluster(dashboard.cluster)
        if await self.issuer.owner(holder.name) != holder:
            raise AccessDenied("your account at the hub has ended; log in again")
        _, accesses = await self.issuer.accesses(holder.name)
        access = accesses.get(session.project)
        if access is None or access.level is None:
            removed = (Reason("no-such-project", session.project),)
            raise denied_for(
                access.reasons if access else removed,
                f"this is the dashboard of a cluster of {session.project}, which only people "
                f"of {session.project} see",
            )

    async def _cluster(self, name: str) -> Registered:
        session = await self._running.get(name) if is_cluster_name(name) else None
        if session is None:
            raise _no_cluster(name)
        return session


def _no_cluster(name: str) -> NoDashboard:
    shown = name if is_cluster_name(name) else "of that name"
    return NoDashboard(
        f"no cluster {shown} is running: it has ended, or it began a moment ago and its "
        "gateway has not reported it yet"
    )
