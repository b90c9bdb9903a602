"""Dashboards behind a real Traefik and a gateway's gate: who logs in at a hub is let in, or not.

The clusters are what a gateway reports; behind the gate a stand-in answers for all of them.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hubs import PATIENCE, Hub
from people import Person, ask, logged_in, watch
from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as PlaywrightError
from testing.waiting import wait_until_async

from panneuro_hub.devstack.hub_visitor import visit_hub
from panneuro_hub.devstack.processes import ProcessGroup, find_free_port, url_answers

GATEWAY = "dask-gateway"
GATES = f"/services/{GATEWAY}/clusters"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# As deploy/kustomize/dask has it.
_DYNAMIC = """
[http.routers.gateway]
rule = "PathPrefix(`/services/dask-gateway/clusters/`)"
service = "gateway"
middlewares = ["prefix"]
[http.services.gateway.loadBalancer]
servers = [{{ url = "http://127.0.0.1:{gate}" }}]
[http.middlewares.prefix.stripPrefix]
prefixes = ["/services/dask-gateway"]
"""
_STATIC = """
[entryPoints.web]
address = "127.0.0.1:{port}"
[providers.file]
filename = "{dynamic}"
[ping]
entryPoint = "web"
[global]
checkNewVersion = false
sendAnonymousUsage = false
"""


@dataclass(frozen=True)
class Site:
    """A hub with a gateway whose clusters the test tells of."""

    hub: Hub
    token: str
    running: dict[str, dict[str, Any]]

    async def begin(self, name: str, person: str, project: str = "nhp-navigation") -> str:
        """A cluster of somebody who has logged in begins, and the gateway reports it."""
        async with logged_in(self.hub, person):
            pass
        wish = {"user": person, "project": project, "profile": "standard", "image": "neuro"}
        begun = await self._ask("POST", "", wish)
        assert begun.status == 201, begun
        session = begun.json["session"]
        self.running[session] = {"name": name, "workers": 2, "cores": 4.0, "memory": 1 << 34}
        await self.report()
        return str(session)

    async def report(self) -> list[dict[str, str]]:
        clusters = [{"session": session, **told} for session, told in self.running.items()]
        answer = await self._ask("PUT", "", {"clusters": clusters})
        assert answer.status == 200, answer
        return list(answer.json["stop"])

    async def end(self, session: str) -> None:
        del self.running[session]
        assert (await self._ask("DELETE", f"/{session}")).status == 204

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.hub.service_url}/api/clusters{path}"
        return await ask(method, url, body, authorization=f"token {self.token}")


@pytest.fixture(scope="module")
def site(make_hub: Callable[..., Hub], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("dashboards")
    token, gate, proxy = secrets.token_hex(16), find_free_port(), find_free_port()
    told = {"name": GATEWAY, "api_token": token, "url": f"http://127.0.0.1:{proxy}"}
    hub = make_hub(f"c.JupyterHub.services.append({told!r})\nc.Authenticator.auth_refresh_age = 1")
    dynamic, static = folder / "dynamic.toml", folder / "static.toml"
    dynamic.write_text(_DYNAMIC.format(gate=gate))
    static.write_text(_STATIC.format(port=proxy, dynamic=dynamic))
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    stand_in = Path(__file__).with_name("dashboard_stand_in.py")
    traefik = Path(sys.executable).with_name("traefik")
    with ProcessGroup() as processes:
        processes.start(
            "gate",
            [sys.executable, str(stand_in), str(gate), hub.service_url, f"/services/{GATEWAY}"],
            log=folder / "gate.log",
            environment=environment,
        ).wait_until_ready(url_answers(f"http://127.0.0.1:{gate}/"), PATIENCE)
        processes.start(
            "proxy",
            [str(traefik), f"--configFile={static}"],
            log=folder / "traefik.log",
            environment=environment,
        ).wait_until_ready(url_answers(f"http://127.0.0.1:{proxy}/ping"), PATIENCE)
        with hub:
            yield Site(hub, token, {})


def without_login(url: str, **headers: str) -> tuple[int, str, str | None]:
    """Status, text and Location of an answer to somebody without cookies."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode(), answer.headers["Location"]
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode(), answer.headers["Location"]


async def open_dashboard(person: Person, path: str) -> tuple[int, str]:
    """What a person's browser shows, after the redirects."""
    page = await person.visitor.open(path)
    return page.status, page.body


async def test_people_of_the_project_see_it_and_nobody_else(site: Site) -> None:
    await site.begin("c0ffee", "ada")
    path = f"{GATES}/c0ffee/status?a=b"
    async with logged_in(site.hub, "ada") as ada, logged_in(site.hub, "pat") as pat:
        assert await open_dashboard(ada, path) == (
            200,
            "<h1 id=came>dashboard /status?a=b cookies=&#x27;&#x27;</h1>",
        )
        async with ada.visitor.socket(f"{GATES}/c0ffee/status/ws") as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "echo of hello"
        status, text = await open_dashboard(pat, path)
        assert (status, "only people of nhp-navigation see" in text) == (403, True)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await pat.visitor.socket(f"{GATES}/c0ffee/status/ws")


async def test_without_a_login_nothing_of_it_is_seen(site: Site) -> None:
    await site.begin("decaf", "ada")
    root = f"{site.hub.url}{GATES}/decaf"
    for below in ("/status", "/individual-plots.json", "/", "/info/main/workers.html"):
        status, text, way = without_login(root + below)
        assert (status, way) == (401, None)
        assert "dashboard /" not in text
        status, text, way = without_login(root + below, Accept="text/html")
        assert status == 302
        assert way is not None
        assert way.startswith("/services/panneuro/dashboards/decaf?next=%2Fservices%2F")
        assert "dashboard /" not in text
    for below in ("/%2e%2e/c0ffee/status", "/..%2fc0ffee/status", "/../../../../hub/home", "%2f"):
        status, text, _ = without_login(root + below, Accept="text/html")
        assert status in (302, 400, 404)
        assert "dashboard /" not in text
    async with visit_hub(site.hub.url, PATIENCE) as visitor:
        page = await visitor.open(f"{GATES}/decaf/status")
        assert "dashboard /" not in page.body
        assert page.url.path == "/hub/login" or page.url.origin() != visitor.hub_url.origin()


async def test_a_membership_that_ends_ends_the_view(site: Site) -> None:
    hub = site.hub
    hub.ground.register("lou", "navigation")
    session = await site.begin("beef", "ada")
    async with logged_in(hub, "lou") as lou:
        assert (await open_dashboard(lou, f"{GATES}/beef/status"))[0] == 200
        socket = await lou.visitor.socket(f"{GATES}/beef/status/ws")
        await socket.send_str("hello")
        assert await socket.receive_str() == "echo of hello"
        hub.ground.register("lou", "categorization")

        async def heard() -> bool:
            await lou.visitor.open("/hub/home")
            return bool((await watch(hub, "/users/lou"))["groups"] == ["categorization-lab"])

        async def refused() -> bool:
            return (await open_dashboard(lou, f"{GATES}/beef/status"))[0] == 403

        await wait_until_async(heard, "the new group")
        await wait_until_async(refused, "the end of the view")
        assert (await socket.receive(timeout=PATIENCE)).type is aiohttp.WSMsgType.CLOSE
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await lou.visitor.socket(f"{GATES}/beef/status/ws")
    async with logged_in(hub, "ada") as ada:
        assert (await open_dashboard(ada, f"{GATES}/beef/status"))[0] == 200
        await site.end(session)

        async def gone() -> bool:
            status, text = await open_dashboard(ada, f"{GATES}/beef/status")
            return status == 404 and "cluster beef is running: it has ended" in text

        await wait_until_async(gone, "the end of the dashboard")


async def test_the_page_leads_to_its_dashboard_alone(site: Site) -> None:
    await site.begin("f00d", "ada")
    await site.begin("f00e", "ada")
    async with logged_in(site.hub, "ada") as ada:
        page = await ada.visitor.open("/services/panneuro/dashboards/f00d")
        assert page.status == 200
        assert re.fullmatch(rf"{GATES}/f00d/~[\w-]{{43}}/status", page.url.path)
        for asked in ("//evil.example/", f"{GATES}/f00e/status", "/user/eve/clusters/f00d/"):
            page = await ada.visitor.open(f"/services/panneuro/dashboards/f00d?next={asked}")
            assert (page.status, "and to no others" in page.body) == (400, True)


async def test_usage_and_metrics_at_a_hub(site: Site) -> None:
    await site.begin("feed", "ada")
    hub = site.hub
    async with logged_in(hub, "ada") as ada, logged_in(hub, "pat") as pat:
        url = f"{hub.service_url}/api/usage"
        used = (await ask("GET", url, authorization=f"token {ada.token}")).json["projects"]
        assert "feed"[-3:] in {one["name"][-3:] for one in used["nhp-navigation"]["clusters"]}
        page = await ada.visitor.open("/services/panneuro/usage")
        assert (page.status, "Clusters now" in page.body) == (200, True)
        # An administrator sees every project.
        all_of_it = (await ask("GET", url, authorization=f"token {pat.token}")).json["projects"]
        assert len(all_of_it) >= len(used)
        metrics = f"{hub.service_url}/metrics"
        told = await ask("GET", metrics, authorization=f"token {hub.watcher_token}")
        assert told.status == 200
        [line] = [
            line
            for line in told.text.splitlines()
            if line.startswith('panneuro_clusters{project="nhp-navigation"}')
        ]
        assert float(line.split()[-1]) >= 1
        for token in (ada.token, site.token, "x"):
            refused = await ask("GET", metrics, authorization=f"token {token}")
            assert refused.status == 403


# --- in a browser


@asynccontextmanager
async def browsing(hub: Hub, name: str) -> AsyncIterator[tuple[Browser, Page]]:
    """Somebody logged in, in Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        await page.goto(f"{hub.url}/hub/oauth_login")
        await page.fill("[name=sub]", name)
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda url: url.startswith(f"{hub.url}/hub/"))
        yield browser, page
        await browser.close()


def socket_of(page: str) -> str:
    """The address of a page's WebSocket, as Bokeh makes it."""
    return f"ws:{page.partition(':')[2]}/ws"


_TALK = """address => new Promise((resolve, reject) => {
    const socket = new WebSocket(address);
    socket.onopen = () => socket.send("hello");
    socket.onmessage = event => resolve(event.data);
    socket.onerror = () => reject(new Error("refused"));
})"""
_ASK = """address => fetch(address, { credentials: "include" })
    .then(answer => answer.status, problem => problem.name)"""
_READ = "what => { try { return eval(what) } catch (problem) { return problem.name } }"
_LOOK_INTO = """address => new Promise(resolve => {
    const opened = window.open(address);
    setTimeout(() => {
        try { resolve(opened.document.title) } catch (problem) { resolve(problem.name) }
    }, 2000);
})"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
async def test_a_browser_gets_there_by_itself(site: Site) -> None:
    await site.begin("c1ead", "ada")
    address = f"{site.hub.url}{GATES}/c1ead/status"
    async with browsing(site.hub, "ada") as (_, page):
        await page.goto(address)
        await page.wait_for_selector("#came")
        assert re.fullmatch(rf"{site.hub.url}{GATES}/c1ead/~[\w-]{{43}}/status", page.url)
        [cookie] = [one for one in await page.context.cookies(address) if "panneuro" in one["name"]]
        assert (cookie["path"], cookie["httpOnly"]) == (f"{GATES}/c1ead/", True)
        # As JupyterLab shows it: in a frame of another page of this origin.
        await page.goto(f"{site.hub.url}/hub/home")
        await page.context.clear_cookies(name=cookie["name"])
        await page.evaluate(
            """address => {
                const frame = document.createElement("iframe");
                frame.sandbox = "allow-scripts allow-same-origin";
                frame.src = address;
                document.body.append(frame);
            }""",
            address,
        )
        frame = page.frame_locator("iframe")
        assert "dashboard" in (await frame.locator("#came").text_content() or "")
        [inner] = [one for one in page.frames if one.parent_frame is page.main_frame]
        assert await inner.evaluate(_TALK, socket_of(inner.url)) == "echo of hello"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
async def test_a_dashboard_s_scripts_reach_nothing_of_the_hub(site: Site) -> None:
    """Who runs a cluster writes its dashboard, and colleagues open it."""
    await site.begin("bad", "ada")
    home = f"{site.hub.url}/hub/home"
    async with browsing(site.hub, "ada") as (_, page):
        # Scripts of the hub's own origin get an answer, if only a refusal; these not even that.
        await page.goto(home)
        assert await page.evaluate(_ASK, home) == 403
        await page.goto(f"{site.hub.url}{GATES}/bad/status")
        await page.wait_for_selector("#came")
        for path in ("/hub/home", "/hub/api/user", "/services/panneuro/api/session", GATES):
            assert await page.evaluate(_ASK, site.hub.url + path) == "TypeError"
        for store in ("document.cookie", "localStorage.length"):
            assert await page.evaluate(_READ, store) == "SecurityError"
        # Another origin's window, or one that it has no hold on.
        assert await page.evaluate(_LOOK_INTO, home) in ("SecurityError", "TypeError")
        # Nor another dashboard, though its person may see it.
        await site.begin("fine", "ada")
        with pytest.raises(PlaywrightError, match="refused"):
            await page.evaluate(_TALK, socket_of(f"{site.hub.url}{GATES}/fine/status"))
        assert await page.evaluate(_TALK, socket_of(page.url)) == "echo of hello"
        # The address alone is worth nothing in another's browser.
        view = page.url
        async with browsing(site.hub, "grace") as (_, other):
            await other.goto(view)
            await other.wait_for_selector("[role=alert]")
            assert await other.locator("#came").count() == 0


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
async def test_a_browser_is_told_in_words(site: Site) -> None:
    await site.begin("b0b", "ada")
    async with browsing(site.hub, "grace") as (_, page):
        for cluster in ("b0b", "gone"):
            await page.goto(f"{site.hub.url}{GATES}/{cluster}/status")
            await page.wait_for_selector("[role=alert]")
            assert await page.text_content("h1") == "This dashboard cannot be shown"
