"""From a running server's ticket to keys that reach its project, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError
from hubs import OBJECTS, Hub, s3
from people import Answer, Person, Running, ask, at, show, watch
from testing.waiting import wait_until_async

from panneuro_hub.wire import Credential, Ticket

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACE = "s3://learning-circuits"


@dataclass(frozen=True)
class At:
    """A person's running server."""

    person: Person
    session: Running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(hub: Hub) -> AsyncIterator[At]:
    """Ada in nhp-navigation."""
    async with at(hub, "ada") as person:
        yield At(person, await person.start({"project": "nhp-navigation"}))


async def keys_of(hub: Hub, ticket: str) -> Credential:
    answer = await show(hub, ticket)
    assert answer.status == 200, answer
    return Credential.from_json(answer.json)


def reached(hub: Hub, keys: Credential) -> set[str]:
    """The objects that keys can read, of all that there are."""
    found = set()
    store = hub.ground.store
    with closing(
        s3(store, keys.access_key_id, keys.secret_access_key, keys.session_token)
    ) as client:
        for key in OBJECTS:
            try:
                found.add(client.get_object(Bucket=store.bucket, Key=key)["Body"].read().decode())
            except ClientError as refusal:
                if refusal.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
                    raise
    return found


async def test_the_ticket_s_keys_reach_the_project_and_what_it_reads(hub: Hub, ada: At) -> None:
    answer = await show(hub, ada.session.ticket)
    assert answer.headers["Cache-Control"] == "no-store"
    keys = await keys_of(hub, ada.session.ticket)
    assert keys.expires > datetime.now(UTC)
    assert reached(hub, keys) == {"nhp-navigation/data.txt", "shared-stimuli/data.txt"}
    store = hub.ground.store
    with closing(
        s3(store, keys.access_key_id, keys.secret_access_key, keys.session_token)
    ) as client:
        client.put_object(Bucket=store.bucket, Key="nhp-navigation/by-ada", Body=b"1")
        client.delete_object(Bucket=store.bucket, Key="nhp-navigation/by-ada")
        for key in ("shared-stimuli/by-ada", "human-intracranial/by-ada", "nhp-navigationX/a"):
            with pytest.raises(ClientError, match="AccessDenied"):
                client.put_object(Bucket=store.bucket, Key=key, Body=b"1")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.list_objects_v2(Bucket=store.bucket, Prefix="human-intracranial/")


async def test_the_project_of_the_session_decides_not_the_person(hub: Hub) -> None:
    async with at(hub, "mina") as mina:
        session = await mina.start({"project": "human-intracranial"})
        keys = await keys_of(hub, session.ticket)
        assert reached(hub, keys) == {key for key in OBJECTS if key.startswith("human-")}


@pytest.mark.parametrize("name", ["ann.o'neil+lab@uni.example", "zoë å *?$[]{}"])
async def test_whatever_a_person_is_called_they_get_their_own(hub: Hub, name: str) -> None:
    async with at(hub, hub.ground.register(name, "navigation")) as person:
        session = await person.start({"project": "nhp-navigation"})
        keys = await keys_of(hub, session.ticket)
        assert reached(hub, keys) == {"nhp-navigation/data.txt", "shared-stimuli/data.txt"}
        scratch = (await show(hub, session.ticket, "/api/session")).json["scratch"]
        assert re.fullmatch(rf"{PLACE}/scratch/nhp-navigation/[a-z0-9-]+/", scratch)
        assert hub.ledger(name)[-1]["session"] == session.id


async def test_the_session_is_described(hub: Hub, ada: At) -> None:
    view = (await show(hub, ada.session.ticket, "/api/session")).json
    assert (view["user"], view["project"], view["level"]) == ("ada", "nhp-navigation", "manage")
    assert view["prefix"] == f"{PLACE}/nhp-navigation/"
    assert view["endpoint_url"] == hub.ground.store.endpoint_url
    assert set(view["prefixes"]) == {"nhp-navigation", "shared-stimuli"}


async def test_the_agent_renews_and_every_issue_is_in_the_ledger(hub: Hub, ada: At) -> None:
    def issues() -> list[dict[str, Any]]:
        rows = [row for row in hub.ledger("ada") if row["session"] == ada.session.id]
        return rows if len({row["access_key_id"] for row in rows}) >= 2 else []

    rows = await wait_until_async(issues, "a second key")
    for row in rows:
        assert (row["event"], row["project"]) == ("issue", "nhp-navigation")
        assert "navigation-lab" in row["reason"]
        grants = {(mode, prefix) for mode, prefix in json.loads(row["grants"])}
        assert ("write", f"{PLACE}/nhp-navigation/") in grants
        assert ("read", f"{PLACE}/shared-stimuli/") in grants
        assert not any("human" in prefix for _, prefix in grants)
        assert row["expires"] > row["at"]
    held = await agent(ada)
    assert held.access_key_id in {row["access_key_id"] for row in hub.ledger("ada")}
    assert reached(hub, held) == {"nhp-navigation/data.txt", "shared-stimuli/data.txt"}


async def agent(ada: At) -> Credential:
    answer = await ada.person.ask_agent()
    assert answer.status == 200, answer
    return Credential.from_json(answer.json)


def forged(*names: object, secret: str = "secret") -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(names).encode()).decode()
    return f"pn1.{encoded}.{secret}"


NOT_A_TICKET = "this is not a PanNeuro ticket; a session's agent sends the text of its ticket file"
ENDED = "the session of this ticket has ended; start a server from the hub"
FORGED = {
    "absent": (None, NOT_A_TICKET),
    "empty": ("", NOT_A_TICKET),
    "words": ("let me in", NOT_A_TICKET),
    "no secret": (forged("ada", "", secret=""), NOT_A_TICKET),
    "another version": ("pn2" + forged("ada", "")[3:], NOT_A_TICKET),
    "oversized": (forged("ada", "", secret="x" * 5000), NOT_A_TICKET),
    "no JSON": ("pn1.eHg=.secret", NOT_A_TICKET),
    "no base64": ("pn1.§§§.secret", NOT_A_TICKET),
    "one name": (forged("ada"), NOT_A_TICKET),
    "three names": (forged("ada", "", ""), NOT_A_TICKET),
    "a number": (forged("ada", 1), NOT_A_TICKET),
    "a list": (forged(["ada"], ""), NOT_A_TICKET),
    "deep": ("pn1." + base64.urlsafe_b64encode(b"[" * 2700).decode() + ".secret", NOT_A_TICKET),
    "nobody": (forged("", ""), NOT_A_TICKET),
    "a broken letter": (forged("\ud800", ""), NOT_A_TICKET),
    "a zero": (forged("ada\0", ""), NOT_A_TICKET),
    "wrong secret": (forged("ada", ""), ENDED),
    "another server": (forged("ada", "other"), ENDED),
    "no such person": (forged("who", ""), ENDED),
    "a path": (forged("../users/ada", ""), ENDED),
    "a path of dots": (forged("..", ""), ENDED),
    "a query": (forged("ada?state", ""), ENDED),
}


@pytest.mark.parametrize(
    ("path", "case"),
    [("/api/credentials", case) for case in FORGED]
    + [("/api/session", case) for case in ("absent", "words", "deep", "no such person")],
)
async def test_a_forged_ticket(hub: Hub, ada: At, case: str, path: str) -> None:
    ticket, words = FORGED[case]
    answer = await show(hub, ticket, path)
    assert (answer.status, answer.json) == (403, {"error": "ticket-refused", "message": words})
    assert answer.headers["Content-Type"].startswith("application/json")


async def test_a_ticket_in_another_s_name(hub: Hub, ada: At) -> None:
    secret = Ticket.decode(ada.session.ticket).secret
    async with at(hub, "grace") as grace:
        await grace.start({"project": "human-intracranial"})
        for name in ("grace", "pat", "Ada", "ada "):
            answer = await show(hub, Ticket(name, "", secret).encode())
            assert (answer.status, answer.message) == (403, ENDED)
    assert (await show(hub, ada.session.ticket)).status == 200


async def test_no_other_token_is_a_ticket_and_a_ticket_is_no_token(hub: Hub, ada: At) -> None:
    url = f"{hub.service_url}/api/credentials"
    for authorization in (
        f"token {ada.person.token}",
        f"Bearer {ada.session.ticket}",
        f"panneuro-ticket {ada.person.token}",
        ada.session.ticket,
    ):
        assert (await ask("GET", url, authorization=authorization)).status == 403
    for scheme in ("token", "Bearer", "panneuro-ticket"):
        authorization = f"{scheme} {ada.session.ticket}"
        hub_api = f"{hub.url}/hub/api/users/ada"
        assert (await ask("GET", hub_api, authorization=authorization)).status == 403
        access = await ask("GET", f"{hub.service_url}/api/access", authorization=authorization)
        assert access.status == 403
        assert "the hub does not know whose token this is" in access.message


async def test_refusals_are_in_the_ledger_and_cannot_fill_it(hub: Hub) -> None:
    async with at(hub, hub.ground.register("eve", "navigation")):
        answers = [show(hub, forged("eve", "", secret=f"s{number}")) for number in range(5)]
        assert {answer.status for answer in await asyncio.gather(*answers)} == {403}
    rows = hub.ledger("eve")
    assert [(row["event"], row["reason"]) for row in rows] == [("refusal", ENDED)]
    for number in range(5):
        assert (await show(hub, forged(f"nobody-{number}", ""))).status == 403
    assert not any(hub.ledger(f"nobody-{number}") for number in range(5))
    unnamed = [row["reason"] for row in hub.ledger("")]
    assert unnamed.count(ENDED) == 1
    assert unnamed.count(NOT_A_TICKET) == 1


async def test_a_ticket_dies_with_its_server(hub: Hub) -> None:
    async with at(hub, hub.ground.register("elif", "navigation")) as elif_:
        first = await elif_.start({"project": "nhp-navigation"})
        ticket = first.ticket
        assert first.folder.stat().st_mode & 0o777 == 0o700
        assert (first.folder / "ticket").stat().st_mode & 0o777 == 0o600
        assert (await show(hub, ticket)).status == 200
        await elif_.stop()
        assert not first.folder.exists()

        async def refusal() -> Answer | None:
            answer = await show(hub, ticket)
            return None if answer.status == 200 else answer

        refused = await wait_until_async(refusal, "the end of the ticket")
        assert (refused.status, refused.message) == (403, ENDED)
        second = await elif_.start()
        assert (await show(hub, second.ticket)).status == 200
        assert (await show(hub, ticket)).status == 403
        assert hub.ledger("elif")[-1]["session"] == second.id


async def test_a_server_that_died_by_itself_leaves_no_ticket(hub: Hub) -> None:
    async with at(hub, hub.ground.register("ewa", "navigation")) as ewa:
        session = await ewa.start({"project": "nhp-navigation"})
        os.kill(session.pid, signal.SIGKILL)

        async def is_noticed() -> bool:
            # The hub looks after its servers every half minute, and when it is asked for one.
            await ewa.request_start({"project": "no-such-project"})
            return not (await watch(hub, "/users/ewa"))["servers"]

        await wait_until_async(is_noticed, "the end of the server")
        assert not session.folder.exists()


async def test_no_secret_is_written_down(hub: Hub, ada: At) -> None:
    keys = [await keys_of(hub, ada.session.ticket), await agent(ada)]
    environment = ada.session.environment()
    login = (await watch(hub, "/users/ada"))["auth_state"]
    secrets = {
        "ticket": Ticket.decode(ada.session.ticket).secret,
        "the server's token": environment["JUPYTERHUB_API_TOKEN"],
        "the person's token": ada.person.token,
        "a service's token": hub.watcher_token,
        "the login's token": login["access_token"],
        "the platform's key": hub.ground.store.vendor.secret_key,
        **{f"secret key {number}": each.secret_access_key for number, each in enumerate(keys)},
        **{f"session token {number}": each.session_token for number, each in enumerate(keys)},
    }
    assert all(len(secret) > 15 for secret in secrets.values())
    assert ada.session.ticket not in "\n".join(environment.values())
    assert not any(
        secret in value
        for name, secret in secrets.items()
        if name != "the server's token"
        for value in environment.values()
    )
    files = hub.files
    assert {"hub-0.log", "ledger.sqlite", "jupyterhub.sqlite"} <= {path.name for path in files}
    found = [
        (name, path.name)
        for path in files
        for name, secret in secrets.items()
        if secret.encode() in path.read_bytes()
    ]
    assert found == []
