"""An account is deleted and its name given to somebody else: nothing of the first goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from hubs import Hub
from people import Answer, Person, ask, logged_in
from testing.waiting import wait_until_async

SERVICE = "/services/panneuro"


async def log_in(hub: Hub, person: Person, host: str) -> str:
    """`panneuro login` on a computer; gives its token."""
    asked = (await ask("POST", f"{hub.service_url}/api/login", {"host": host})).json
    await person.visitor.decide_login(f"{hub.url}{SERVICE}/login", asked["user_code"])
    made = await ask(
        "POST", f"{hub.service_url}/api/login/token", {"device_code": asked["device_code"]}
    )
    return str(made.json["token"])


async def begin_upload(hub: Hub, token: str, project: str = "nhp-navigation") -> Answer:
    body = {"project": project}
    url = f"{hub.service_url}/api/uploads"
    return await ask("POST", url, body, authorization=f"panneuro-login {token}")


async def show_ticket(hub: Hub, ticket: str) -> Answer:
    url = f"{hub.service_url}/api/credentials"
    return await ask("GET", url, authorization=f"panneuro-ticket {ticket}")


async def test_the_old_laptop_of_a_deleted_account_gets_nothing(
    make_hub: Callable[..., Hub],
) -> None:
    with make_hub() as hub:
        register = hub.ground.register
        register("lee", "navigation")
        async with AsyncExitStack() as stack:
            pat = await stack.enter_async_context(logged_in(hub, "pat"))
            lee = await stack.enter_async_context(logged_in(hub, "lee"))
            laptop, rig = await log_in(hub, lee, "old laptop"), await log_in(hub, lee, "rig")
            begun = (await begin_upload(hub, laptop)).json
            assert (await show_ticket(hub, begun["ticket"])).status == 200
            assert (await pat.api("DELETE", "/users/lee")).status == 204
            # The hub has told the service by then.
            assert (await begin_upload(hub, laptop)).status == 401
            assert (await show_ticket(hub, begun["ticket"])).status == 403
            # Somebody else, of the same name.
            register("lee", "human", "irb-trained")
            newcomer = await stack.enter_async_context(logged_in(hub, "lee"))
            mine = await log_in(hub, newcomer, "new laptop")

            async def may_begin() -> bool:
                return (await begin_upload(hub, mine, "human-intracranial")).status == 200

            await wait_until_async(may_begin, "the newcomer's own rights")
            for token in (laptop, rig):
                refused = await begin_upload(hub, token, "human-intracranial")
                assert refused.status == 401, refused
            assert (await show_ticket(hub, begun["ticket"])).status == 403
            assert "The account of 'lee' has ended" in hub.log


async def test_a_hub_admin_ends_a_login_and_its_uploads(hub: Hub) -> None:
    async with logged_in(hub, "ada") as ada, logged_in(hub, "pat") as pat:
        token = await log_in(hub, ada, "lost laptop")
        begun = (await begin_upload(hub, token)).json
        assert (await show_ticket(hub, begun["ticket"])).status == 200
        page = await pat.visitor.open(f"{SERVICE}/logins?person=ada")
        assert "lost laptop" in page.text
        assert (await ada.visitor.open(f"{SERVICE}/logins")).status == 403
        listed = await ask(
            "GET",
            f"{hub.service_url}/api/logins?person=ada",
            authorization=f"token {pat.token}",
        )
        [login] = [one for one in listed.json["logins"] if one["host"] == "lost laptop"]
        ended = await ask(
            "DELETE",
            f"{hub.service_url}/api/logins/{login['id']}",
            authorization=f"token {pat.token}",
        )
        assert ended.status == 204
        assert (await show_ticket(hub, begun["ticket"])).status == 403
        assert (await begin_upload(hub, token)).status == 401
