"""A person's visit to a hub without a browser: the same pages, forms and cookies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import BaseCookie
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.html_forms import HtmlForm, extract_text, find_form, find_links

_XSRF = "_xsrf"
_NOWHERE = URL()
_SHOWN = 400  # characters of a page that an error shows
# What browsers say of a request; the protection from forged requests reads it.
_NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
_FETCH = {
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Site": "same-origin",
}


class _CookieJar(aiohttp.CookieJar):
    """Compares paths as they are written, like browsers; aiohttp's own decodes a request's."""

    def filter_cookies(self, request_url: URL = _NOWHERE) -> BaseCookie[str]:
        return super().filter_cookies(request_url.with_path(request_url.raw_path))


@dataclass(frozen=True)
class VisitedPage:
    """A page that was reached, after redirects."""

    url: URL
    status: int
    body: str = field(repr=False)

    @property
    def text(self) -> str:
        """What a person reads on it."""
        return extract_text(self.body)

    def require_ok(self, doing: str) -> VisitedPage:
        """The page itself, where it is no error.

        Raises
        ------
        DevstackError
            If it is an error page, with what it says.
        """
        if self.status >= 400:
            raise DevstackError(
                f"{doing}: {self.url.path} answered {self.status}: {self.text[:_SHOWN]}"
            )
        return self


class HubVisitor:
    """One person's cookies on one hub; made by `visit_hub`.

    Parameters
    ----------
    session : ClientSession
        With a cookie jar of its own.
    hub_url : str
        The hub as a browser sees it, with its base URL, without a slash at the end.
    """

    def __init__(self, session: aiohttp.ClientSession, hub_url: str) -> None:
        self._session = session
        self._hub = URL(hub_url)
        self._base = self._hub.raw_path.rstrip("/")
        self.name = ""

    @property
    def hub_url(self) -> URL:
        """Where the hub is."""
        return self._hub

    # -- pages and requests -------------------------------------------------------------

    def url(self, path: str) -> URL:
        """Return the address of `path`, which is below the hub's base URL.

        An absolute address stays as it is.
        """
        return self._hub.join(URL(self._base + path if path[:1] == "/" else path, encoded=True))

    def _leads_below(self, page: VisitedPage, path: str) -> bool:
        return page.url.raw_path.startswith(self._base + path)

    async def open(self, path: str | URL) -> VisitedPage:
        """Open a page, following redirects."""
        return await self.request_page("GET", self._at(path))

    async def send(
        self, page: VisitedPage, form: HtmlForm, choices: Mapping[str, str]
    ) -> VisitedPage:
        """Fill in a form of a page and send it, following redirects.

        Raises
        ------
        DevstackError
            If the form does not have or offer a choice.
        """
        target = page.url.join(URL(form.action, encoded=True)) if form.action else page.url
        # What follows from a page of the identity provider comes from another origin to the hub.
        site = "same-origin" if page.url.origin() == self._hub.origin() else "same-site"
        return await self.request_page("POST", target, form.filled(choices), site)

    async def call(
        self, method: str, path: str, body: Any = None, accept: tuple[int, ...] = ()
    ) -> Any:
        """Call an API of the hub or of a server as a page's script would.

        Parameters
        ----------
        method, path : str
        body : JSON, optional
        accept : tuple of int
            Statuses of 400 and more that are no error here.

        Returns
        -------
        JSON or None
            What it answers; `None` where it answers nothing, or a status in `accept`.

        Raises
        ------
        DevstackError
            If it refuses, with what it says.
        """
        target = self._at(path)
        headers = {**_FETCH, "X-XSRFToken": self.xsrf(target)}
        async with self._session.request(method, target, json=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status in accept:
                return None
            if answer.status >= 400:
                shown = extract_text(text)[:_SHOWN]
                raise DevstackError(f"{method} {target.path} answered {answer.status}: {shown}")
            return json.loads(text) if text else None

    def xsrf(self, target: URL) -> str:
        """The token against forged requests that belongs to `target`."""
        cookie = self._session.cookie_jar.filter_cookies(target).get(_XSRF)
        return cookie.value if cookie else ""

    def socket(self, path: str) -> Any:
        """Connect to a WebSocket; an asynchronous context manager."""
        headers = {"Sec-Fetch-Mode": "websocket", "Origin": str(self._hub.origin())}
        return self._session.ws_connect(self._at(path), headers=headers, max_msg_size=0)

    def _at(self, path: str | URL) -> URL:
        return path if isinstance(path, URL) else self.url(path)

    async def request_page(
        self, method: str, target: URL, data: Mapping[str, str] | None = None, site: str = "none"
    ) -> VisitedPage:
        """Request a page as a browser that navigates to it, following redirects.

        Parameters
        ----------
        method : str
        target : URL
        data : mapping of str to str, optional
            The fields of a form.
        site : str
            The value of ``Sec-Fetch-Site``: where the request comes from.
        """
        headers = {**_NAVIGATE, "Sec-Fetch-Site": site}
        async with self._session.request(method, target, data=data, headers=headers) as answer:
            return VisitedPage(answer.url, answer.status, await answer.text())

    # -- the visit ----------------------------------------------------------------------

    async def log_in(self, name: str) -> VisitedPage:
        """Log in at the hub's identity provider as `name`.

        Returns
        -------
        VisitedPage
            Where the hub brings the person then.

        Raises
        ------
        DevstackError
            If the provider shows no form, or the hub does not let them in.
        """
        page = (await self.try_log_in(name)).require_ok(f"log in as {name}")
        self.name = str((await self.call("GET", "/hub/api/user"))["name"])
        return page

    async def try_log_in(self, name: str) -> VisitedPage:
        """Log in as `name` at the identity provider, and see what the hub says to that.

        Raises
        ------
        DevstackError
            If the provider shows no form.
        """
        page = (await self.open("/hub/oauth_login")).require_ok("log in")
        if page.url.origin() == self._hub.origin():
            raise DevstackError(
                f"the hub did not send {name} to an identity provider: {page.url.path}"
            )
        choices = {"sub": name}
        return await self.send(page, find_form(page.body, choices), choices)

    async def open_spawn_page(self) -> VisitedPage:
        """The page on which a server is started.

        Raises
        ------
        DevstackError
            If there is none: a server is running, or nothing may be started.
        """
        page = (await self.open("/hub/spawn")).require_ok("open the start page")
        if not self._leads_below(page, "/hub/spawn"):
            raise DevstackError(f"expected the start page, but came to {page.url.path}")
        return page

    async def start(self, choices: Mapping[str, str]) -> list[str]:
        """Start the server by the form of the start page and wait until it is ready.

        Parameters
        ----------
        choices : mapping of str to str
            By the form's field: ``project``, ``profile--PROJECT``, ``image``.

        Returns
        -------
        list of str
            What the start page's progress said, in its order.

        Raises
        ------
        DevstackError
            If the form does not offer a choice, or the start fails, with what was said.
        """
        page = await self.open_spawn_page()
        pending = await self.send(page, find_form(page.body, choices), choices)
        pending.require_ok("start the server")
        if self._leads_below(pending, "/hub/spawn/"):  # the form again, with an error on it
            raise DevstackError(f"the hub did not start the server: {pending.text[:_SHOWN]}")
        async with aclosing(self.progress()) as events:
            return await _until_ready(events)

    async def progress(self) -> AsyncGenerator[dict[str, Any], None]:
        """Events of the start's progress, as they come."""
        target = self.url(f"/hub/api/users/{_quoted(self.name)}/server/progress")
        target = target.update_query({_XSRF: self.xsrf(target)})
        async with self._session.get(target, headers=_FETCH) as answer:
            if answer.status >= 400:
                text = extract_text(await answer.text())
                raise DevstackError(
                    f"the start's progress answered {answer.status}: {text[:_SHOWN]}"
                )
            async for line in answer.content:
                if line.startswith(b"data:"):
                    yield json.loads(line[len(b"data:") :])

    async def enter(self) -> str:
        """Open the person's running server, which logs in at the hub by itself.

        Returns
        -------
        str
            The server's path, ``/user/NAME/``.
        """
        page = (await self.open(f"/user/{_quoted(self.name)}/lab")).require_ok("open the server")
        path = f"/user/{_quoted(self.name)}/"
        if not self._leads_below(page, path):
            raise DevstackError(f"expected the server at {path}, but came to {page.url.path}")
        return path

    async def stop(self) -> None:
        """Stop the person's server and wait until the hub says that it is gone."""
        path = f"/hub/api/users/{_quoted(self.name)}"
        await self.call("DELETE", f"{path}/server")
        # The hub has no event for a server that is gone.
        while (await self.call("GET", path)).get("servers"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def decide_login(self, address: str, code: str, do: str = "allow") -> VisitedPage:
        """Type the code of `panneuro login` on its page, log in again, and decide.

        Parameters
        ----------
        address : str
            The page that `panneuro login` names.
        code : str
        do : {"allow", "deny"}

        Returns
        -------
        VisitedPage
            What the page says then.

        Raises
        ------
        DevstackError
            If a step is refused, with what was said.
        """
        page = (await self.open(URL(address))).require_ok("open the page of logins")
        typed = {"code": code, "do": "code"}
        asked = (await self.send(page, find_form(page.body, typed), typed)).require_ok(
            "type a code"
        )
        again = next(
            (link for link in find_links(asked.body) if "/panneuro/reauthenticate?" in link), None
        )
        if again is None:
            raise DevstackError(f"the page asks for no fresh login: {asked.text[:_SHOWN]}")
        provider = (await self.open(asked.url.join(URL(again, encoded=True)))).require_ok(
            "log in again"
        )
        who = {"sub": self.name}
        back = (await self.send(provider, find_form(provider.body, who), who)).require_ok(
            "come back from the provider"
        )
        decided = {"do": do}
        return (await self.send(back, find_form(back.body, decided), decided)).require_ok(do)

    async def log_out(self) -> None:
        """Log out of the hub."""
        (await self.open("/hub/logout")).require_ok("log out")


async def _until_ready(events: AsyncIterator[dict[str, Any]]) -> list[str]:
    said = []
    async for event in events:
        message = str(event.get("message", "")).strip()
        if event.get("failed"):
            raise DevstackError(f"the server did not start: {message}")
        if message:
            said.append(message)
        if event.get("ready"):
            return said
    raise DevstackError(f"the start's progress ended before the server was ready, after: {said}")


def _quoted(name: str) -> str:
    return quote(name, safe="@~")  # as JupyterHub does it


@asynccontextmanager
async def visit_hub(hub_url: str, patience: float = 120) -> AsyncIterator[HubVisitor]:
    """A visitor with no cookies yet, who gives up on any one answer after `patience` seconds.

    Raises
    ------
    DevstackError
        If the hub or the provider cannot be reached.
    """
    # Cookies of an address rather than a name are kept only by a jar that is told so.
    jar = _CookieJar(unsafe=True)
    limits = aiohttp.ClientTimeout(total=patience)
    try:
        async with aiohttp.ClientSession(
            # Addresses stay as the hub writes them, with what has a meaning in them encoded.
            cookie_jar=jar,
            timeout=limits,
            requote_redirect_url=False,
        ) as session:
            yield HubVisitor(session, hub_url)
    except aiohttp.ClientError as problem:
        raise DevstackError(f"lost the connection to {hub_url}: {problem}") from problem
    except TimeoutError as problem:
        raise DevstackError(f"an answer of {hub_url} took more than {patience:.0f} s") from problem
