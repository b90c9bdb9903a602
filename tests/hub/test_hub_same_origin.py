"""Pages of a person's own server, which has the hub's origin, against hub and service.

A script there has the person's cookies. It must not get the tokens that the hub's pages
hold, nor change anything, nor let a computer log in.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from hubs import Hub
from people import Person, ask, at
from playwright.async_api import BrowserContext, Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SERVICE = "/services/panneuro"
PATIENCE = 20_000  # ms

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]

# What a page of the hub or of the service says to its person alone.
_SECRET = re.compile(r'xsrf_token: "(?!")|name="_xsrf"|"projects"|Logins of your computers')

_FRAME = """path => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.onload = () => {
    let text = "";
    try { text = frame.contentDocument.documentElement.outerHTML }
    catch (error) { text = "" + error }
    frame.remove();
    done(text);
  };
  frame.src = path;
  document.body.append(frame);
})"""
_WINDOW = """async path => {
  const other = window.open(path);
  let text = "";
  for (let turn = 0; turn < 40 && !other.closed; turn++) {
    await new Promise(done => setTimeout(done, 50));
    try {
      if (other.location.pathname === path && other.document.readyState === "complete") {
        text = other.document.documentElement.outerHTML;
        break;
      }
    } catch (error) { text = "" + error }
  }
  other.close();
  return text;
}"""
_COOKIE = """path => new Promise(done => {
  // Neither the address that a page gives itself nor a picture's below the hub's path.
  const before = location.pathname;
  history.pushState(null, "", path);
  let cookies = document.cookie;
  history.pushState(null, "", before);
  const frame = document.createElement("iframe");
  frame.onload = () => {
    try { cookies += "; " + frame.contentDocument.cookie } catch (error) { cookies += error }
    frame.remove();
    done(cookies.includes("_xsrf=") ? 'name="_xsrf"' : cookies);
  };
  frame.src = "/hub/logo";
  document.body.append(frame);
})"""
_WORKER = """async path => {
  let worker;
  // The proxy lets no server have one, neither for all pages nor for the server's own.
  for (const scope of ["/", "./"]) {
    try { worker = await navigator.serviceWorker.register("worker.js", {scope}) }
    catch (error) { if (scope === "./") return "" + error }
    if (worker) break;
  }
  await navigator.serviceWorker.ready;
  const read = new Promise(done => {
    navigator.serviceWorker.onmessage = event => done(event.data);
    setTimeout(() => done("nothing was read"), 2000);
  });
  const other = window.open(path);
  const text = await read;
  other.close();
  await worker.unregister();
  return text;
}"""


def _fetch(options: str) -> str:
    return f"async path => await (await fetch(path, {options})).text()"


READERS = {
    "fetch": _fetch("{}"),
    "fetch, no-cors": _fetch('{mode: "no-cors"}'),
    "fetch, same-origin": _fetch('{mode: "same-origin", referrer: "/hub/home"}'),
    "fetch, no referrer": _fetch('{referrerPolicy: "no-referrer"}'),
    "post": _fetch('{method: "POST", body: new URLSearchParams({a: "b"})}'),
    "frame": _FRAME,
    "window": _WINDOW,
    "cookie": _COOKIE,
    "service worker": _WORKER,
}
PATHS = (
    "/hub/home",
    "/hub/token",
    "/hub/spawn",
    "/hub/no-such-page",
    "/hub/user/ada/no-such-page",
    # It takes what browsers report, and has pages of errors alone.
    "/hub/security/csp-report",
    "/hub/logo/no-such-page",
    f"{SERVICE}/",
    f"{SERVICE}/login",
    f"{SERVICE}/api/access",
)


@dataclass
class Stage:
    """A browser whose person is logged in, and has a server with a page of its own."""

    hub: Hub
    context: BrowserContext
    page: Page
    ada: Person

    async def server_page(self, query: str = "") -> Page:
        """A page of the person's server, in a tab of its own."""
        page = await self.context.new_page()
        await page.goto(f"{self.hub.url}/user/ada/page{query}")
        return page

    async def begin_login(self, host: str) -> dict[str, Any]:
        """A computer asks for a login."""
        asked = await ask("POST", f"{self.hub.service_url}/api/login", {"host": host})
        assert asked.status == 200
        return dict(asked.json)

    async def is_logged_in(self, asked: dict[str, Any]) -> bool:
        """Whether the computer gets its token."""
        body = {"device_code": asked["device_code"]}
        answer = await ask("POST", f"{self.hub.service_url}/api/login/token", body)
        assert answer.status in (200, 202, 403), answer
        return answer.status == 200


async def _log_in_at_provider(page: Page) -> None:
    """Do what the provider's page asks for."""
    await page.fill("input[name=sub]", "ada")
    await page.click("button")


@asynccontextmanager
async def _browser() -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        context = await browser.new_context()
        context.set_default_timeout(PATIENCE)
        yield context
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(hub: Hub) -> AsyncIterator[Stage]:
    async with at(hub, "ada") as ada, _browser() as context:
        await ada.start({"project": "nhp-navigation"})
        page = await context.new_page()
        stage = Stage(hub, context, page, ada)
        await page.goto(f"{hub.url}/hub/oauth_login?next=/hub/home")
        await _log_in_at_provider(page)
        await page.wait_for_url("**/hub/home")
        # Logged in at the service too, as after any look at its pages.
        await page.goto(f"{hub.url}{SERVICE}/")
        await page.goto(f"{hub.url}{SERVICE}/login")
        assert _SECRET.search(await page.content())
        yield stage


@pytest.mark.parametrize("reader", READERS)
async def test_no_script_of_a_server_reads_a_page(stage: Stage, reader: str) -> None:
    page = await stage.server_page()
    read = {path: await page.evaluate(READERS[reader], path) for path in PATHS}
    await page.close()
    found = {path: text[:300] for path, text in read.items() if _SECRET.search(text)}
    assert not found
    # The same pages are there for the person.
    await stage.page.goto(f"{stage.hub.url}/hub/home")
    assert _SECRET.search(await stage.page.content())


async def test_no_server_has_a_service_worker_for_its_own_pages(stage: Stage) -> None:
    page = await stage.server_page()
    # A browser may hold the script already, from a request of another kind.
    failed = await page.evaluate(
        """async () => {
          await (await fetch("worker.js")).text();
          const failures = [];
          for (const updateViaCache of ["imports", "all"]) {
            try {
              await navigator.serviceWorker.register("worker.js", {scope: "./", updateViaCache});
            } catch (error) { failures.push(error.name) }
          }
          return failures;
        }"""
    )
    assert len(failed) == 2
    await page.close()


@pytest.mark.parametrize("opener", ["same-origin", "same-origin-allow-popups", "unsafe-none"])
async def test_no_window_of_a_server_s_own_opener_policy_reads_a_page(
    stage: Stage, opener: str
) -> None:
    page = await stage.server_page(f"?opener={opener}")
    read = {path: await page.evaluate(_WINDOW, path) for path in ("/hub/home", f"{SERVICE}/login")}
    await page.close()
    assert not {path: text[:300] for path, text in read.items() if _SECRET.search(text)}


async def test_a_script_of_a_server_changes_nothing_at_the_hub(stage: Stage) -> None:
    page = await stage.server_page()
    for path, method in (
        ("/hub/api/users/ada/tokens", "POST"),
        ("/hub/api/users/ada/server", "DELETE"),
        ("/hub/api/users/ada/server", "POST"),
    ):
        status = await page.evaluate(
            "async ([path, method]) => (await fetch(path, {method, headers: "
            '{"Content-Type": "application/json"}, referrer: "/hub/home"})).status',
            [path, method],
        )
        assert status == 403, (path, method)
    # A link starts a server; nobody need see the page.
    await page.evaluate("() => { location.href = '/hub/spawn/ada/other?project=nhp-navigation' }")
    await page.wait_for_url("**/hub/spawn/**")
    assert "would start a server" in await page.inner_text("body")
    await page.close()
    assert (await stage.ada.api("GET", "/users/ada")).json["servers"].keys() == {""}


async def test_a_person_lets_a_computer_log_in(stage: Stage) -> None:
    asked = await stage.begin_login("rig-3")
    page = stage.page
    # An old command's address brings the code along; the page does not take it from there.
    await page.goto(f"{stage.hub.url}{SERVICE}/login?code={asked['user_code']}")
    assert await page.input_value("input[name=code]") == ""
    await page.fill("input[name=code]", asked["user_code"])
    await page.click("button[value=code]")
    assert "rig-3" in await page.inner_text("section")
    assert not await stage.is_logged_in(asked)
    await page.click("text=Log in again to confirm")
    await _log_in_at_provider(page)
    await page.wait_for_url("**/login/confirm?**")
    assert asked["user_code"] in await page.inner_text("section")
    shown = page.url
    await page.reload()  # the key is shown once
    assert "this page opens only from a login" in await page.inner_text("body") or (
        "was confirmed before" in await page.inner_text("body")
    )
    assert await page.locator("button[value=allow]").count() == 0
    assert "proof=" in shown


async def _type_code(stage: Stage, page: Page, code: str) -> None:
    await page.goto(f"{stage.hub.url}{SERVICE}/login")
    await page.fill("input[name=code]", code)
    await page.click("button[value=code]")


async def test_a_decision_needs_the_fresh_login_and_is_made_once(stage: Stage) -> None:
    asked = await stage.begin_login("rig-4")
    page = stage.page
    await _type_code(stage, page, asked["user_code"])
    await page.click("text=Log in again to confirm")
    await _log_in_at_provider(page)
    await page.wait_for_url("**/login/confirm?**")
    await page.click("button[value=allow]")
    await page.wait_for_selector("text=is logged in now")
    assert await stage.is_logged_in(asked)


async def test_a_server_s_own_token_brings_no_token_of_the_hub_s_pages(stage: Stage) -> None:
    cookies = await stage.context.cookies(stage.hub.url)
    session = next(each["value"] for each in cookies if each["name"] == "jupyterhub-session-id")
    # A server has both: the first is in its environment, and browsers send it the second.
    tokens = set()
    for path in ("/hub/user/somebody/else", "/hub/metrics", "/hub/home"):
        answer = await ask(
            "GET",
            f"{stage.hub.url}{path}",
            authorization=f"token {stage.ada.token}",
            cookie=f"jupyterhub-session-id={session}",
        )
        tokens |= set(re.findall(r'xsrf_token: "([^"]+)"', answer.text))
    assert tokens
    for token in tokens:
        page = await stage.server_page()
        await page.evaluate("token => { document.cookie = `_xsrf=${token}; path=/hub/api` }", token)
        status = await page.evaluate(
            "async token => (await fetch('/hub/api/users/ada/tokens', {method: 'POST', headers: "
            "{'X-XSRFToken': token, 'Content-Type': 'application/json'}, referrer: '/hub/home'}))"
            ".status",
            token,
        )
        assert status == 403
        await page.close()


async def test_a_form_with_a_cookie_of_a_script_takes_no_code(stage: Stage) -> None:
    asked = await stage.begin_login("the attacker's own")
    page = await stage.server_page()
    await page.evaluate(
        """([path, code]) => {
          document.cookie = "_xsrf=made-up; path=/services/panneuro/login";
          document.cookie = `_xsrf=made-up; domain=${location.hostname}; path=/`;
          document.body.innerHTML = `<form method=post action="${path}">
            <input name=_xsrf value=made-up><input name=code value="${code}">
            <input name=do value=code></form>`;
          document.forms[0].submit();
        }""",
        [f"{SERVICE}/login", asked["user_code"]],
    )
    await page.wait_for_url(f"**{SERVICE}/login")
    text = await page.inner_text("body")
    assert "Log in again" not in text
    assert "cannot be shown" in text
    await page.close()


async def test_a_script_of_a_server_gets_no_further_than_the_provider(stage: Stage) -> None:
    asked = await stage.begin_login("the attacker's")
    page = await stage.server_page()
    # Whatever a form holds, it is a form of the same origin, in a tab of its own.
    await page.evaluate(
        """([path, code]) => {
          document.cookie = "_xsrf=made-up; path=/services/panneuro/login";
          document.body.innerHTML = `<form method=post action="${path}">
            <input name=_xsrf value=made-up><input name=code value="${code}">
            <input name=do value=code></form>`;
          document.forms[0].submit();
        }""",
        [f"{SERVICE}/login", asked["user_code"]],
    )
    await page.wait_for_url(f"**{SERVICE}/login")
    assert "Log in again" not in await page.content()
    # Not even with the name of a request that it was told of.
    key = await _request_key(stage, asked["user_code"])
    page = await stage.server_page()
    async with stage.context.expect_page() as opened:
        await page.evaluate("path => { window.held = window.open(path) }", key)
    other = await opened.value
    await other.wait_for_selector("input[name=sub]")
    assert not other.url.startswith(stage.hub.url)
    assert await page.evaluate("() => window.held.closed") is True
    assert not await stage.is_logged_in(asked)
    # Nor does a login at the provider that was not asked to be a fresh one count.
    await other.goto(f"{stage.hub.url}/hub/oauth_login?next={key.replace('&', '%26')}")
    await page.close()
    await other.close()


async def _request_key(stage: Stage, code: str) -> str:
    await _type_code(stage, stage.page, code)
    address = await stage.page.get_attribute("text=Log in again to confirm", "href")
    assert address
    return address


async def test_a_proof_is_for_the_tab_that_the_provider_led_here(stage: Stage) -> None:
    asked = await stage.begin_login("rig-5")
    address = await _request_key(stage, asked["user_code"])
    # The script knows the way back from the provider before the hub does.
    requests = stage.context.request
    provider = await requests.get(f"{stage.hub.url}{address}")
    back = await requests.post(provider.url, form={"sub": "ada"}, max_redirects=0)
    way = back.headers["location"]
    assert way.startswith(f"{stage.hub.url}/hub/oauth_callback?")
    attacker = await stage.server_page("?opener=same-origin")
    path = way.removeprefix(stage.hub.url)
    async with stage.context.expect_page() as opened:
        await attacker.evaluate("path => { window.held = window.open(path) }", path)
    other = await opened.value
    await other.wait_for_url("**/login/confirm?**")
    assert "opens only from a login" in await other.inner_text("body")
    assert not await stage.is_logged_in(asked)
    await attacker.close()
    await other.close()


_DOMAINS = """
port = c.JupyterHub.bind_url.rpartition(":")[2]
c.JupyterHub.subdomain_host = f"http://hub.localhost:{port}"
c.PanNeuroGenericOAuthenticator.oauth_callback_url = (
    f"http://hub.localhost:{port}/hub/oauth_callback"
)
"""


async def test_with_domains_of_their_own_servers_reach_nothing_of_the_hub(
    make_hub: Callable[..., Hub],
) -> None:
    with make_hub(_DOMAINS) as hub:
        async with _browser() as context:
            port = hub.url.rpartition(":")[2]
            home, theirs = f"http://hub.localhost:{port}", f"http://ada.hub.localhost:{port}"
            page = await context.new_page()
            await page.goto(f"{home}/hub/oauth_login?next=/hub/spawn")
            await _log_in_at_provider(page)
            await page.wait_for_url(f"{home}/hub/spawn")
            await page.check('input[name=project][value="nhp-navigation"]')
            await page.click('#spawn_form [type="submit"]')
            await page.wait_for_url(f"{theirs}/user/ada/**", timeout=3 * PATIENCE)
            await page.goto(f"{theirs}/user/ada/page")
            for path in ("/hub/home", f"{SERVICE}/login", f"{SERVICE}/api/access"):
                read = await page.evaluate(
                    "path => fetch(path, {credentials: 'include'})"
                    ".then(answer => answer.text(), error => '' + error)",
                    f"{home}{path}",
                )
                assert "TypeError" in read, path
                assert not _SECRET.search(await page.evaluate(_WINDOW, f"{home}{path}"))
            # The service is where it always was, and lets a computer log in.
            asked = (await ask("POST", f"{hub.service_url}/api/login", {"host": "rig"})).json
            await page.goto(f"{home}{SERVICE}/login")
            await page.fill("input[name=code]", asked["user_code"])
            await page.click("button[value=code]")
            await page.click("text=Log in again to confirm")
            await _log_in_at_provider(page)
            await page.wait_for_url("**/login/confirm?**")
            await page.click("button[value=allow]")
            await page.wait_for_selector("text=is logged in now")
