"""What is stored under a person's name ends with the account, and serves no later one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace

import pytest
from small_hub import TOKEN as HUB_TOKEN
from small_hub import SmallHub, member
from small_service import SmallService, cluster_sessions
from small_site import GATEWAY, PREFIX, Site, hub_of, read, run, small_site
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from panneuro_hub.errors import TicketRefusedError
from panneuro_hub.service.accounts.hub_account import HubAccount
from panneuro_hub.service.db.schema import open_database
from panneuro_hub.service.device_login.login_store import DeviceLoginStore
from panneuro_hub.wire import Reason
from panneuro_hub.wire.account_end import ACCOUNT_END_PATH, AccountEnd
from panneuro_hub.wire.cluster_reports import ClusterReport

pytest_plugins = ["service_fixtures"]

PEOPLE = {
    "ada": ["navigation-lab"],
    "eve": ["navigation-lab"],
    "pat": ["administrative-core"],
}


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    async with hub_of(PEOPLE) as hub:
        yield hub


@pytest.fixture
def logins(service: SmallService) -> DeviceLoginStore:
    return DeviceLoginStore(service.database)


@pytest.fixture
async def site(service: SmallService, logins: DeviceLoginStore) -> AsyncIterator[Site]:
    async with small_site(service, logins=logins) as (url, secret):
        yield Site(url, secret)


async def log_in(logins: DeviceLoginStore, name: str = "ada") -> str:
    """A login of a computer, as it is allowed in a browser; gives its token."""
    owner = HubAccount(name, f"account-of-{name}")
    asked = await logins.begin_request("rig-3")
    begun = await logins.begin_confirmation(owner, asked.user_code)
    confirmed = await logins.confirm_request(owner, begun.key)
    await logins.decide_request(owner, confirmed.key, allow=True)
    made = await logins.take_token(asked.device_code)
    assert made is not None
    return made[0]


async def ask(site: Site, method: str, path: str, authorization: str, body: str) -> HTTPResponse:
    request = HTTPRequest(
        f"{site.url}{PREFIX}{path}",
        method=method,
        headers={"Authorization": authorization},
        body=body if method == "POST" else None,
        follow_redirects=False,
    )
    return await AsyncHTTPClient().fetch(request, raise_error=False)


async def begin_upload(site: Site, token: str) -> HTTPResponse:
    body = '{"project": "nhp-navigation"}'
    return await ask(site, "POST", "/api/uploads", f"panneuro-login {token}", body)


def give_name_away(hub: SmallHub, name: str = "ada") -> None:
    """The account is deleted, and its name is somebody else's."""
    hub.users[name] = replace(hub.users[name], account="another-account")


async def test_a_login_serves_no_later_account_of_the_name(
    hub: SmallHub, site: Site, logins: DeviceLoginStore, service: SmallService
) -> None:
    token = await log_in(logins)
    begun = read(await begin_upload(site, token))
    await service.issuer.issue_credential(begun["ticket"])
    before = hub.users["ada"]
    give_name_away(hub)
    refused = await begin_upload(site, token)
    assert (refused.code, read(refused)["message"]) == (
        401,
        "the account of this login has ended; log in again",
    )
    with pytest.raises(TicketRefusedError):
        await service.issuer.issue_credential(begun["ticket"])
    # For good: not even the first account's own hub could bring them back.
    hub.users["ada"] = before
    assert (await begin_upload(site, token)).code == 401
    with pytest.raises(TicketRefusedError):
        await service.issuer.issue_credential(begun["ticket"])


async def test_a_cluster_serves_no_later_account_of_the_name(
    hub: SmallHub, service: SmallService
) -> None:
    session, ticket = await service.register.begin_session(
        "cluster", "ada", "nhp-navigation", "standard", account="account-of-ada", gateway=GATEWAY
    )
    await service.issuer.issue_credential(ticket.encode())
    give_name_away(hub)
    listed = [ClusterReport(session.id, "c1", 1, 4.0, 1 << 30)]
    [stop] = await cluster_sessions(service).process_report(GATEWAY, listed)
    ended = Reason("account-ended", "nhp-navigation", detail="ada")
    assert (stop.session, stop.reasons) == (session.id, (ended,))
    with pytest.raises(TicketRefusedError, match="the account of this session has ended"):
        await service.issuer.issue_credential(ticket.encode())


async def test_a_dashboard_s_cookie_serves_no_later_account_of_the_name(
    hub: SmallHub, service: SmallService, site: Site
) -> None:
    await run(service, "c1", person="eve")
    earned = await site.get_as("ada", "/dashboards/c1")
    assert earned.code == 302
    cookie = earned.headers["Set-Cookie"].partition(";")[0]
    address = "/base/services/dask-gateway/clusters/c1/status"

    async def look() -> int:
        headers = {"X_Forwarded_Uri": address, "X_Forwarded_Method": "GET", "Cookie": cookie}
        return (await site.get(f"{PREFIX}/api/dashboard", **headers)).code

    assert await look() == 204
    give_name_away(hub)
    assert await look() == 403


async def test_ending_a_login_ends_its_uploads_at_once(
    site: Site, logins: DeviceLoginStore, service: SmallService
) -> None:
    token, other = await log_in(logins), await log_in(logins)
    tickets = [read(await begin_upload(site, one))["ticket"] for one in (token, other)]
    for ticket in tickets:
        await service.issuer.issue_credential(ticket)
    # In another replica, which has its own database connection and its own caches.
    url = service.database.url
    with closing(open_database(url)) as database:
        replica = DeviceLoginStore(database)
        assert await replica.end_login((await replica.find_login(token)).id)
    with pytest.raises(TicketRefusedError):
        await service.issuer.issue_credential(tickets[0])
    await service.issuer.issue_credential(tickets[1])


async def test_the_hub_tells_of_the_end_of_an_account(
    hub: SmallHub, site: Site, logins: DeviceLoginStore, service: SmallService
) -> None:
    token, hers = await log_in(logins), await log_in(logins, "eve")
    begun = read(await begin_upload(site, token))
    ended = AccountEnd("ada", "account-of-ada")
    for forged in ("", "panneuro-hub x.y", ended.encode("another token"), f"token {HUB_TOKEN}"):
        assert (await ask(site, "POST", ACCOUNT_END_PATH, forged, "")).code == 403
    assert (await begin_upload(site, token)).code == 200
    assert (await ask(site, "POST", ACCOUNT_END_PATH, ended.encode(HUB_TOKEN), "")).code == 204
    assert (await begin_upload(site, token)).code == 401
    assert (await begin_upload(site, hers)).code == 200
    with pytest.raises(TicketRefusedError):
        await service.issuer.issue_credential(begun["ticket"])


# --- rows of versions that did not know accounts


async def test_rows_without_an_account_are_refused(
    service: SmallService, site: Site, logins: DeviceLoginStore
) -> None:
    token = await log_in(logins)
    begun = read(await begin_upload(site, token))

    def forget_accounts(connection: object) -> None:
        for table in ("panneuro_logins", "panneuro_register"):
            connection.exec_driver_sql(f"UPDATE {table} SET account = NULL")  # type: ignore[attr-defined]

    await service.database.run_transaction(forget_accounts)
    with pytest.raises(TicketRefusedError, match="the account of this session has ended"):
        await service.issuer.issue_credential(begun["ticket"])
    assert (await begin_upload(site, token)).code == 401
    assert await logins.list_all_logins() == []


# --- what admins see


async def test_a_hub_admin_sees_and_ends_anybody_s_logins(
    hub: SmallHub, site: Site, logins: DeviceLoginStore
) -> None:
    hub.users["zoe"] = member("zoe", "navigation-lab")
    token = await log_in(logins)
    await log_in(logins, "eve")
    everybody = read(await site.get_as("pat", "/api/logins"))["logins"]
    assert {one["user"] for one in everybody} == {"ada", "eve"}
    assert token not in str(everybody)
    [hers] = read(await site.get_as("pat", "/api/logins?person=ada"))["logins"]
    assert hers["host"] == "rig-3"
    page = await site.get_as("pat", "/logins")
    assert page.code == 403  # a page is for browsers, and takes no tokens
    ended = await ask(site, "DELETE", f"/api/logins/{hers['id']}", "token token-of-pat", "")
    assert ended.code == 204
    assert (await begin_upload(site, token)).code == 401


async def test_nobody_else_sees_or_ends_the_logins_of_others(
    site: Site, logins: DeviceLoginStore
) -> None:
    token = await log_in(logins)
    await log_in(logins, "eve")
    [mine] = read(await site.get_as("ada", "/api/logins"))["logins"]
    [hers] = read(await site.get_as("eve", "/api/logins"))["logins"]
    assert (mine["user"], hers["user"]) == ("ada", "eve")
    assert (await site.get_as("eve", "/api/logins?person=ada")).code == 403
    refused = await ask(site, "DELETE", f"/api/logins/{mine['id']}", "token token-of-eve", "")
    assert refused.code == 404
    assert (await begin_upload(site, token)).code == 200
    ended = await ask(site, "DELETE", f"/api/logins/{mine['id']}", "token token-of-ada", "")
    assert ended.code == 204
    assert (await begin_upload(site, token)).code == 401
