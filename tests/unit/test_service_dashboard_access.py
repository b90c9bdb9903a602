"""Who sees a dashboard: which addresses are one, what the cookie is worth, what is answered."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from http.cookies import SimpleCookie
from posixpath import normpath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_hub import SmallHub, member
from small_service import SmallService
from small_site import GATEWAY, PREFIX, SERVICES, Site, body, hub_of, run, small_site
from testing.clocks import FakeClock
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from panneuro_hub.errors import InvalidChoiceError
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.dask.dashboard_access import (
    DASHBOARD_COOKIE,
    DashboardAddress,
    DashboardCookies,
    check_next_address,
    parse_dashboard_address,
)

pytest_plugins = ["service_fixtures"]

OURS, THEIRS = "c0ffee", "default.decaf"
ROOT = f"{SERVICES}/{GATEWAY}/clusters"
MINE = DashboardAddress(GATEWAY, OURS)


# --- addresses


@pytest.mark.parametrize(
    ("address", "cluster"),
    [
        (f"{ROOT}/{OURS}/status", OURS),
        (f"{ROOT}/{OURS}/", OURS),
        (f"{ROOT}/{OURS}", OURS),
        (f"{ROOT}/{OURS}/status?a=b/../c&d=//e", OURS),
        (f"{ROOT}/{THEIRS}/status", THEIRS),
        (f"{ROOT}/{OURS}/info/worker/tls%3A%2F%2F10.0.0.1%3A1234.html", OURS),
        (f"{ROOT}/{OURS}/info/task/%28%27sum-1%27%2C%200%29.html", OURS),
        (f"{ROOT}/{OURS}/clusters/{THEIRS}/status", OURS),
    ],
)
def test_the_addresses_of_a_dashboard(address: str, cluster: str) -> None:
    assert parse_dashboard_address(address, SERVICES) == DashboardAddress(GATEWAY, cluster)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/",
        "status",
        f"{ROOT}/",
        f"{ROOT}//status",
        f"{ROOT}/../{OURS}/",
        f"{ROOT}/%63offee/status",
        f"{ROOT}/{OURS}%2Fstatus",
        f"{ROOT}/{OURS}%2f..%2f{THEIRS}/status",
        f"{ROOT}/{OURS}/../{THEIRS}/status",
        f"{ROOT}/{OURS}/%2e%2e/{THEIRS}/status",
        f"{ROOT}/{OURS}/%252e%252e/{THEIRS}/status",
        f"{ROOT}/{OURS}/..%2f{THEIRS}/status",
        f"{ROOT}/{OURS}/..%5c{THEIRS}/status",
        f"{ROOT}/{OURS}/..;x=1/{THEIRS}/status",
        f"{ROOT}/{OURS}/./status",
        f"{ROOT}/{OURS}\\..\\{THEIRS}",
        f"{ROOT}/{OURS}/..",
        f"{ROOT}/{OURS}/%0d%0aSet-Cookie:x",
        f"{ROOT}/{OURS}/\r\nSet-Cookie: x",
        f"{ROOT}/{OURS}/status#x",
        f"{ROOT}/{OURS}/sta tus",
        f"{ROOT}/{OURS}/stätus",
        f"{ROOT}/{OURS}/%" + "25" * 20 + "2e",
        f"{ROOT}/{OURS.upper()}/status",
        f"{ROOT}/{OURS}/{'x' * 5000}",
        f"{ROOT}/{'c' * 300}/",
        f"/services/{GATEWAY}/clusters/{OURS}/status",
        f"/user/eve/clusters/{OURS}/status",
        f"/base/user/eve/{GATEWAY}/clusters/{OURS}/",
        f"{SERVICES}/clusters/{OURS}/status",
        f"{SERVICES}/a/b/clusters/{OURS}/status",
        f"/x{ROOT}/{OURS}/status",
        f"/{ROOT}/{OURS}/status",
        f"https://evil.example{ROOT}/{OURS}/status",
        f"//evil.example{ROOT}/{OURS}/status",
        f"{ROOT}/{OURS}/status\n",
    ],
)
def test_what_is_no_address_of_a_dashboard(address: str) -> None:
    assert parse_dashboard_address(address, SERVICES) is None
    with pytest.raises(InvalidChoiceError, match="and to no others"):
        check_next_address(address, MINE, SERVICES)


PIECES = st.sampled_from(
    [
        *("/", "//", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", "%252e", "%25", "%", ";", "?"),
        *("#", "@", ":", "clusters", GATEWAY, OURS, THEIRS, "status", "evil.example", "http:"),
        *("\n", "\r", "\t", "\0", "%00", "%0a", "é", " "),
    ]
)
ADDRESSES = st.one_of(
    st.text(max_size=40),
    st.lists(PIECES, max_size=12).map("".join),
    st.lists(PIECES, max_size=8).map(lambda pieces: f"{ROOT}/{OURS}/" + "".join(pieces)),
    st.lists(PIECES, max_size=8).map(lambda pieces: f"{ROOT}/{OURS}" + "".join(pieces)),
    st.lists(PIECES, max_size=8).map(lambda pieces: f"{ROOT}/" + "".join(pieces)),
)


def readings(address: str) -> Iterator[str]:
    """The paths that some server or browser may read in an address."""
    path = address.partition("?")[0]
    for _ in range(4):
        for separators in (path, path.replace("\\", "/")):
            yield separators
            yield re.sub("/+", "/", normpath(separators)) + "/"
        path = unquote(path)


@given(ADDRESSES)
def test_no_reading_of_an_address_leads_to_another_dashboard(address: str) -> None:
    dashboard = parse_dashboard_address(address, SERVICES)
    if dashboard is None:
        return
    for path in readings(address):
        assert f"{path}/".startswith(dashboard.make_root(SERVICES)), path


@given(ADDRESSES)
def test_the_way_on_stays_at_this_host_and_dashboard(address: str) -> None:
    try:
        way = check_next_address(address, MINE, SERVICES)
    except InvalidChoiceError:
        return
    root = MINE.make_root(SERVICES)
    seen = urlsplit(urljoin("https://hub.example/base/services/panneuro/dashboards/x", way))
    assert (seen.scheme, seen.netloc) == ("https", "hub.example")
    assert seen.path.startswith(root)
    assert way.isascii()
    assert way.isprintable()
    assert parse_dashboard_address(way, SERVICES) == MINE


def test_the_way_on() -> None:
    root = MINE.make_root(SERVICES)
    assert check_next_address(None, MINE, SERVICES) == f"{root}status"
    assert check_next_address(f"{root}graph?x=1", MINE, SERVICES) == f"{root}graph?x=1"
    assert check_next_address(root.removesuffix("/"), MINE, SERVICES) == root
    with pytest.raises(InvalidChoiceError):
        check_next_address(f"{ROOT}/{THEIRS}/status", MINE, SERVICES)
    with pytest.raises(InvalidChoiceError):
        check_next_address(f"{SERVICES}/another/clusters/{OURS}/status", MINE, SERVICES)


# --- the cookie


ADA, EVE, ZOE = (HubAccount(name, f"account-of-{name}") for name in ("ada", "eve", "zoë å;="))


def test_a_pass_is_good_for_its_dashboard_and_twelve_hours() -> None:
    clock = FakeClock(seconds=1_800_000_000.0)
    cookies = DashboardCookies(b"secret", clock.steady)
    cookie = f'{DASHBOARD_COOKIE}="{cookies.make_cookie(ZOE, MINE)}"'
    assert cookies.read_cookie(f"a=b; {cookie}; c=d", MINE) == ZOE
    assert cookies.read_cookie(cookie, DashboardAddress(GATEWAY, THEIRS)) is None
    assert cookies.read_cookie(cookie, DashboardAddress("another", OURS)) is None
    assert DashboardCookies(b"another secret", clock.steady).read_cookie(cookie, MINE) is None
    clock.advance(12 * 3600 - 1)
    assert cookies.read_cookie(cookie, MINE)
    clock.advance(2)
    assert cookies.read_cookie(cookie, MINE) is None


def test_a_forged_cookie_beside_it_takes_nothing_away() -> None:
    cookies = DashboardCookies(b"secret")
    cookie = f"{DASHBOARD_COOKIE}={cookies.make_cookie(ADA, MINE)}"
    for forged in (
        f"{DASHBOARD_COOKIE}=x",
        f"{DASHBOARD_COOKIE}={DashboardCookies(b'x').make_cookie(EVE, MINE)}",
        f"{DASHBOARD_COOKIE}=",
        ";",
    ):
        assert cookies.read_cookie(f"{cookie}; {forged}", MINE) == ADA
        assert cookies.read_cookie(f"{forged}; {cookie}", MINE) == ADA
        assert cookies.read_cookie(forged, MINE) is None


@given(st.text(max_size=80))
def test_no_text_is_a_pass(text: str) -> None:
    assert DashboardCookies(b"secret").read_cookie(text, MINE) is None
    assert DashboardCookies(b"secret").read_cookie(f"{DASHBOARD_COOKIE}={text}", MINE) is None


def test_a_changed_pass_is_none() -> None:
    cookies = DashboardCookies(b"secret")
    cookie = cookies.make_cookie(ADA, MINE)
    for place in range(len(cookie)):
        changed = cookie[:place] + ("0" if cookie[place] != "0" else "1") + cookie[place + 1 :]
        assert cookies.read_cookie(f'{DASHBOARD_COOKIE}="{changed}"', MINE) is None, place


# --- the answers


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    people = {"ada": ["navigation-lab"], "tim": ["theory-lab"], "cat": ["categorization-lab"]}
    async with hub_of(people) as hub:
        yield hub


class Door(Site):
    """The service, as a proxy asks it about the requests of browsers."""

    async def door(self, uri: str, query: str = "", **headers: str) -> HTTPResponse:
        """Ask as a proxy does, of a browser's request for a page."""
        headers = {"X_Forwarded_Method": "GET", "Accept": "text/html", **headers}
        return await self.get(f"{PREFIX}/api/dashboard{query}", X_Forwarded_Uri=uri, **headers)

    async def script(self, uri: str, **headers: str) -> HTTPResponse:
        """Ask as a proxy does, of a script's request."""
        return await self.door(uri, Accept="*/*", **headers)

    async def page(self, cluster: str, person: str, **query: str) -> HTTPResponse:
        """Open the page that earns the cookie."""
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        path = f"/dashboards/{cluster}?{asked}"
        return await self.get_as(person, path)

    def cookie(self, person: str, dashboard: DashboardAddress = MINE) -> str:
        owner = HubAccount(person, f"account-of-{person}")
        return f'{DASHBOARD_COOKIE}="{DashboardCookies(self.secret).make_cookie(owner, dashboard)}"'


@pytest.fixture
async def site(service: SmallService) -> AsyncIterator[Door]:
    async with small_site(service) as (url, secret):
        yield Door(url, secret)


async def test_who_is_of_the_project_gets_a_cookie_and_is_let_in(
    service: SmallService, site: Door
) -> None:
    await run(service, OURS)
    asked = f"{ROOT}/{OURS}/graph?x=1&y=%2F"
    sent = await site.door(asked)
    assert sent.code == 302
    way = sent.headers["Location"]
    assert way.startswith(f"{PREFIX}/dashboards/{OURS}?next=")
    assert parse_qs(urlsplit(way).query) == {"next": [asked]}
    # Theory only reads the project.
    for person in ("ada", "tim"):
        page = await site.get(way, Authorization=f"token token-of-{person}")
        assert (page.code, page.headers["Location"]) == (302, asked)
        [(name, morsel)] = SimpleCookie(page.headers["Set-Cookie"]).items()
        assert name == DASHBOARD_COOKIE
        assert (morsel["path"], morsel["max-age"]) == (f"{ROOT}/{OURS}/", "43200")
        assert (morsel["httponly"], morsel["samesite"], morsel["secure"]) == (True, "Lax", "")
        for ask in (site.door, site.script):
            answer = await ask(asked, Cookie=f"{DASHBOARD_COOKIE}={morsel.coded_value}")
            assert answer.code == 204
            assert answer.headers["X-PanNeuro-Cluster"] == OURS
            assert answer.headers["Cache-Control"] == "no-store"


async def test_behind_https_the_cookie_is_for_https(service: SmallService, site: Door) -> None:
    await run(service, OURS)
    page = await site.get(
        f"{PREFIX}/dashboards/{OURS}",
        Authorization="token token-of-ada",
        X_Forwarded_Proto="https",
    )
    assert page.headers["Location"] == f"{ROOT}/{OURS}/status"
    assert "Secure" in page.headers["Set-Cookie"]


async def test_who_is_not_of_the_project_is_told_why(service: SmallService, site: Door) -> None:
    await run(service, OURS)
    page = await site.page(OURS, "cat")
    assert page.code == 403
    assert "only people of nhp-navigation see: " in body(page)
    assert "Set-Cookie" not in page.headers
    assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    answer = await site.door(f"{ROOT}/{OURS}/status", Cookie=site.cookie("cat"))
    assert answer.code == 403
    assert "only people of nhp-navigation see" in body(answer)
    assert f'href="{PREFIX}/dashboards/{OURS}?next=' in body(answer)
    service_page = await site.page(OURS, "a-service")
    assert service_page.code == 403


async def test_who_loses_access_loses_the_dashboard(service: SmallService, site: Door) -> None:
    await run(service, OURS)
    cookie = site.cookie("ada")
    assert (await site.door(f"{ROOT}/{OURS}/status", Cookie=cookie)).code == 204
    service.hub.users["ada"] = member("ada", "categorization-lab")
    for ask in (site.door, site.script):
        assert (await ask(f"{ROOT}/{OURS}/status", Cookie=cookie)).code == 403
    del service.hub.users["ada"]
    assert (await site.script(f"{ROOT}/{OURS}/status", Cookie=cookie)).code == 403


async def test_a_cookie_is_no_good_elsewhere(service: SmallService, site: Door) -> None:
    await run(service, OURS)
    await run(service, THEIRS)
    cookie = site.cookie("ada", MINE)
    assert (await site.script(f"{ROOT}/{OURS}/status", Cookie=cookie)).code == 204
    assert (await site.script(f"{ROOT}/{THEIRS}/status", Cookie=cookie)).code == 401
    assert (await site.door(f"{ROOT}/{THEIRS}/status", Cookie=cookie)).code == 302


async def test_a_cluster_that_has_ended(service: SmallService, site: Door) -> None:
    session = await run(service, OURS)
    await service.register.end_session(session.id, GATEWAY)
    for answer in (
        await site.door(f"{ROOT}/{OURS}/status", Cookie=site.cookie("ada")),
        await site.script(f"{ROOT}/{OURS}/status", Cookie=site.cookie("ada")),
        await site.page(OURS, "ada"),
    ):
        assert answer.code == 404
        assert f"cluster {OURS} is running: it has ended" in body(answer)
        assert "Set-Cookie" not in answer.headers
    # Who is not known is not told which clusters there are.
    assert (await site.script(f"{ROOT}/{OURS}/status")).code == 401


async def test_a_gateway_of_another_name_has_no_dashboards(
    service: SmallService, site: Door
) -> None:
    await run(service, OURS, gateway="another")
    other = DashboardAddress("another", OURS)
    for dashboard in (MINE, other):
        uri = f"{dashboard.make_root(SERVICES)}status"
        answer = await site.script(uri, Cookie=site.cookie("ada", dashboard))
        assert answer.code == 404


SOCKETS: list[dict[str, str]] = [
    {"Sec_Fetch_Mode": "websocket"},
    {"Upgrade": "websocket", "Connection": "Upgrade"},
    {"Upgrade": "websocket", "Sec_Fetch_Mode": "navigate"},
]


@pytest.mark.parametrize("headers", SOCKETS)
async def test_a_web_socket_is_judged_by_its_cookie(
    service: SmallService, site: Door, headers: dict[str, str]
) -> None:
    await run(service, OURS)
    uri = f"{ROOT}/{OURS}/status/ws"
    refused = await site.door(uri, **headers)
    assert refused.code == 401
    assert "Location" not in refused.headers
    assert (await site.door(uri, Cookie=site.cookie("cat"), **headers)).code == 403
    assert (await site.door(uri, Cookie=site.cookie("ada"), **headers)).code == 204


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Sec_Fetch_Mode": "navigate"}, 302),
        ({"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe", "Accept": "*/*"}, 302),
        ({}, 302),
        ({"X_Forwarded_Method": "HEAD"}, 302),
        ({"Sec_Fetch_Mode": "cors"}, 401),
        ({"Sec_Fetch_Mode": "no-cors"}, 401),
        ({"Accept": "*/*"}, 401),
        ({"X_Forwarded_Method": "POST"}, 403),
    ],
)
async def test_only_a_person_s_browser_is_sent_to_the_page(
    service: SmallService, site: Door, headers: dict[str, str], code: int
) -> None:
    await run(service, OURS)
    answer = await site.door(f"{ROOT}/{OURS}/individual-plots.json", **headers)
    assert answer.code == code
    if code == 302:
        assert answer.headers["Location"].startswith(f"{PREFIX}/dashboards/{OURS}?")


async def test_dashboards_are_only_looked_at(service: SmallService, site: Door) -> None:
    await run(service, OURS)
    for method in ("POST", "DELETE", "get", ""):
        answer = await site.script(
            f"{ROOT}/{OURS}/x", Cookie=site.cookie("ada"), X_Forwarded_Method=method
        )
        assert answer.code == 403


@pytest.mark.parametrize("cookie", [True, False])
@pytest.mark.parametrize(
    "uri",
    [
        f"{ROOT}/{OURS}/../{THEIRS}/status",
        f"{ROOT}/{OURS}%2f..%2f{THEIRS}/status",
        f"{ROOT}/{OURS}/%2e%2e/{THEIRS}/",
        f"//evil.example{ROOT}/{OURS}/",
        f"/base/user/eve/clusters/{OURS}/",
        "/",
        "",
    ],
)
async def test_what_is_no_dashboard_is_refused(
    service: SmallService, site: Door, uri: str, cookie: bool
) -> None:
    await run(service, OURS)
    headers = {"Cookie": site.cookie("ada")} if cookie else {}
    answer = await site.door(uri, **headers)
    assert answer.code == 404
    assert "not the address of a cluster" in body(answer)


async def test_without_the_proxy_s_header_nothing_is_let_in(
    service: SmallService, site: Door
) -> None:
    await run(service, OURS)
    answer = await site.get(f"{PREFIX}/api/dashboard", Cookie=site.cookie("ada"))
    assert answer.code == 404
    uri = f"{ROOT}/{OURS}/status"
    headers = HTTPHeaders({"Cookie": site.cookie("ada"), "X-Forwarded-Uri": uri})
    headers.add("X-Forwarded-Uri", f"{ROOT}/{THEIRS}/")
    request = HTTPRequest(f"{site.url}{PREFIX}/api/dashboard", headers=headers)
    assert (await AsyncHTTPClient().fetch(request, raise_error=False)).code == 404


async def test_nothing_else_of_the_gateway_is_let_pass(service: SmallService, site: Door) -> None:
    for address in (f"{GATEWAY}/api/v1/clusters/", "another/api/v1/", "panneuro/api/x"):
        answer = await site.script(f"{SERVICES}/{address}", Cookie=site.cookie("ada"))
        assert answer.code == 404


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example/",
        "//evil.example/",
        f"//evil.example{ROOT}/{OURS}/",
        f"{ROOT}/{THEIRS}/status",
        f"{ROOT}/{OURS}/../{THEIRS}/status",
        f"/base/user/eve/{GATEWAY}/clusters/{OURS}/",
        f"{ROOT}/{OURS}/\r\nSet-Cookie: a=b",
        f" {ROOT}/{OURS}/status",
        "javascript:alert(1)",
        "",
    ],
)
async def test_the_page_leads_nowhere_else(service: SmallService, site: Door, asked: str) -> None:
    await run(service, OURS)
    await run(service, THEIRS)
    answer = await site.page(OURS, "ada", next=asked)
    assert answer.code == 400
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert f"addresses that begin with {ROOT}/{OURS}/" in body(answer)


async def test_a_next_that_is_no_text(service: SmallService, site: Door) -> None:
    await run(service, OURS)
    path = f"{PREFIX}/dashboards/{OURS}?next=%ff%fe"
    answer = await site.get(path, Authorization="token token-of-ada")
    assert answer.code == 400
    assert "<h1>" in body(answer)


@pytest.mark.parametrize("name", ["..", "%2e%2e", "a%2Fb", "%3Cscript%3E", "x" * 300, "%00"])
async def test_a_name_that_is_no_cluster_s(service: SmallService, site: Door, name: str) -> None:
    answer = await site.page(name, "ada")
    assert answer.code == 404
    assert "<script>" not in body(answer)


async def test_a_hub_that_is_silent_lets_nobody_in(service: SmallService, site: Door) -> None:
    await run(service, OURS)
    service.hub.status = 503
    answer: Any = await site.script(f"{ROOT}/{OURS}/status", Cookie=site.cookie("ada"))
    assert answer.code == 503
    assert "try again soon" in body(answer)
    assert (await site.page(OURS, "ada")).code == 503
