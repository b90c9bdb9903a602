"""A real gateway with a real hub and service: clusters of projects, with keys and pooled limits."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import cloudpickle
import dask_gateway
import pytest
from gateways import (
    DaskGateway,
    in_session,
    processes,
    session_of,
    sessions,
    token_of,
)
from hubs import PATIENCE, Ground
from people import Person, ask, logged_in, show
from testing.waiting import wait_until_async

from panneuro_hub.devstack.hub_visitor import visit_hub
from panneuro_hub.wire.dashboard_requests import DASHBOARD_COOKIE

# Workers know nothing of this file, as they know nothing of a notebook.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
PROJECT = "nhp-navigation"
LIMIT = 4


@pytest.fixture(scope="module")
def gateway(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskGateway]:
    it = DaskGateway(ground, tmp_path_factory.mktemp("gateway") / "gateway")
    it.hub.edit(shrink)
    with it:
        yield it
        assert it.child is not None
        assert it.child.exit_code is None, it.child.log_tail()


def shrink(document: dict[str, Any]) -> None:
    """Sizes that fit this machine."""
    worker = {"title": "Small", "cpu": 1, "memory": "1G", "price_per_hour": 0.07}
    document["dask"]["worker_profiles"] = {"small": worker}
    document["dask"]["max_workers"] = LIMIT
    document["projects"][PROJECT]["dask"] = {"per_person": {"max_workers": LIMIT - 1}}


@asynccontextmanager
async def person(gateway: DaskGateway, name: str) -> AsyncIterator[Person]:
    """Somebody who logs in; their clusters are stopped when they go."""
    async with logged_in(gateway.hub, name) as somebody:
        try:
            yield somebody
        finally:
            running = await gateway.api(somebody, "GET", "")
            await asyncio.gather(
                *(gateway.stop_cluster(somebody, cluster) for cluster in running.json)
            )


# A cluster


def in_a_worker() -> dict[str, Any]:
    """What a worker finds: its own data, and no other's."""
    import os

    import boto3
    from botocore.exceptions import ClientError

    bucket = "learning-circuits"
    client = boto3.client("s3")
    own = client.get_object(Bucket=bucket, Key="nhp-navigation/data.txt")["Body"].read()

    def read(operation: str, key: str) -> str:
        try:
            getattr(client, operation)(Bucket=bucket, Key=key)
        except ClientError as refused:
            return str(refused.response["Error"]["Code"])
        return "done"

    variables = {name for name in os.environ if name.startswith(("PANNEURO_", "MINE"))}
    return {
        "own": own.decode(),
        "other": read("get_object", "human-intracranial/data.txt"),
        # Of a project that Ada may write in, and the session only reads.
        "neighbour": read("put_object", "shared-stimuli/new.txt"),
        "variables": sorted(variables),
    }


async def test_a_cluster_of_a_project_computes_with_the_projects_data(
    gateway: DaskGateway,
) -> None:
    async with person(gateway, "ada") as ada, gateway.client(ada) as client:
        options = await client.cluster_options()
        options.project = PROJECT
        options.environment = {"MINE": "1"}
        cluster = await client.new_cluster(options)
        await cluster.scale(2)
        async with await cluster.get_client() as workers:
            await workers.wait_for_workers(2, timeout=PATIENCE)
            assert sum(await workers.gather(workers.map(abs, range(100)))) == 4950
            found = await workers.run(in_a_worker)
            scheduler = await workers.run_on_scheduler(in_a_worker)
        expected = {
            "own": "nhp-navigation/data.txt",
            "other": "AccessDenied",
            "neighbour": "AccessDenied",
            "variables": [
                *("MINE", "PANNEURO_PROJECT", "PANNEURO_SERVICE_URL", "PANNEURO_TICKET_FILE"),
            ],
        }
        assert [*found.values(), scheduler] == [expected] * 3
        issued = [row for row in gateway.hub.ledger("ada") if row["event"] == "issue"]
        session = session_of(gateway, cluster.name)
        mine = [row for row in issued if row["session"] == session["id"]]
        assert {row["project"] for row in mine} == {PROJECT}

        folder = gateway.folder / "clusters" / cluster.name
        ticket = (folder / "ticket").read_text()
        assert (folder.stat().st_mode & 0o777, (folder / "ticket").stat().st_mode & 0o777) == (
            0o700,
            0o600,
        )
        assert (await show(gateway.hub, ticket)).status == 200
        await cluster.close(shutdown=True)
        await wait_until_async(lambda: not folder.exists(), "the end of the cluster")
        assert session_of(gateway, cluster.name)["ended"]
        assert (await show(gateway.hub, ticket)).status == 403
        secret = ticket.rpartition(".")[2]
        files = [*gateway.folder.glob("gateway*"), *gateway.hub.files]
        for path in (path for path in files if path.is_file()):
            assert secret.encode() not in path.read_bytes(), path


# Sessions


async def test_a_session_s_token_opens_clusters_of_its_own_project_only(
    gateway: DaskGateway,
) -> None:
    async with person(gateway, "ada") as ada:
        neighbour = await gateway.start_cluster(ada, project="shared-stimuli")
        async with in_session(ada, PROJECT) as session:
            assert await gateway.projects(ada) == [PROJECT, "shared-stimuli"]
            assert await gateway.projects(session) == [PROJECT]
            assert (await gateway.api(session, "GET", "")).json == {}
            await is_shut(gateway, session, neighbour)
            for project in ("shared-stimuli", "human-intracranial"):
                options = {"cluster_options": {"project": project}}
                answer = await gateway.api(session, "POST", "", options)
                assert (answer.status, "this session works in" in answer.text) == (422, True)

            # As public notebooks write it; it computes with the session's data and no other.
            async with plain_cluster(gateway, session) as cluster:
                own = cluster.name
                assert (await wait_until_async(lambda: session_of(gateway, own), "the report"))[
                    "project"
                ] == PROJECT
                async with await cluster.get_client() as workers:
                    found = await workers.run_on_scheduler(in_a_worker)
                assert found["own"] == "nhp-navigation/data.txt"
                assert found["other"] == found["neighbour"] == "AccessDenied"
                assert [*(await gateway.api(session, "GET", "")).json] == [own]
                assert {*(await gateway.api(ada, "GET", "")).json} == {own, neighbour}
                assert (await gateway.scale(session, own, 1)).status == 200

                # A server that starts again in another project finds that project's clusters.
                mine = await gateway.start_cluster(ada, project=PROJECT)
                await ada.stop()
                answer = await gateway.api(session, "GET", own)
                assert (answer.status, "does not accept this token" in answer.text) == (422, True)
                async with in_session(ada, "shared-stimuli") as later:
                    assert [*(await gateway.api(later, "GET", "")).json] == [neighbour]
                    await is_shut(gateway, later, mine)
                    assert (await gateway.api(later, "GET", neighbour)).json["tls_key"]
                assert await gateway.is_running(ada, mine)


async def test_a_server_that_is_stopped_takes_its_clusters_with_it(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada:
        elsewhere = await gateway.start_cluster(ada, project=PROJECT)
        async with in_session(ada, PROJECT) as session:
            answer = await gateway.api(session, "DELETE", "../session/clusters")
            assert (answer.status, answer.json) == (200, {"stopped": []})
            # Nothing in the session ends it: the hub has to.
            own = await gateway.start_cluster(session, project=PROJECT)
            await gateway.scale(session, own, 1)
            await wait_until_async(lambda: as_many(gateway, {own: 1}), "its worker")
        await wait_until_async(lambda: as_many(gateway, {own: 0}), "the end of its worker")
        await wait_until_async(
            lambda: session_of(gateway, own).get("ended"), "the end of its session"
        )
        answer = await gateway.api(ada, "GET", f"{own}/notices")
        assert answer.json["ended"] == (
            f"cluster {own} was stopped together with the server that started it"
        )
        answer = await gateway.scale(ada, own, 1)
        assert (answer.status, "together with the server" in answer.text) == (409, True)
        # What her own token started is not the session's.
        assert await gateway.is_running(ada, elsewhere)
        answer = await gateway.api(ada, "DELETE", "../session/clusters")
        assert (answer.status, "belongs to no session" in answer.text) == (422, True)


async def is_shut(gateway: DaskGateway, session: Person, name: str) -> None:
    """Nothing of a cluster is open to a session: every route of dask-gateway's."""
    for method, path, body in (
        ("GET", "", None),
        ("GET", "?wait", None),
        ("POST", "/scale", {"count": 1}),
        ("POST", "/adapt", {"minimum": 0, "maximum": 1}),
        ("DELETE", "", None),
    ):
        answer = await gateway.api(session, method, f"{name}{path}", body)
        assert answer.status == 422, answer
        assert "and this session works in" in answer.text
    async with gateway.client(session) as client:
        with pytest.raises(ValueError, match="and this session works in"):
            await client.connect(name)
    for root in (f"{gateway.url}/clusters", f"{gateway.hub.url}/services/panneuro/dashboards"):
        for kind in ("token", "jupyterhub"):
            answer = await ask("GET", f"{root}/{name}", authorization=f"{kind} {session.token}")
            assert answer.status in (302, 401, 403), (root, answer)
            assert f"{DASHBOARD_COOKIE}=" not in str(answer.headers)
            assert "bokeh" not in answer.text.lower()


@asynccontextmanager
async def plain_cluster(
    gateway: DaskGateway, session: Person
) -> AsyncIterator[dask_gateway.GatewayCluster]:
    """dask-gateway's own ``GatewayCluster()``, without any option."""
    async with dask_gateway.GatewayCluster(
        address=gateway.url,
        proxy_address=f"gateway://127.0.0.1:{gateway.proxy_port}",
        auth=dask_gateway.JupyterHubAuth(api_token=session.token),
        asynchronous=True,
        shutdown_on_close=False,
    ) as cluster:
        yield cluster


async def test_a_session_s_token_makes_no_way_out_of_its_project(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada, in_session(ada, PROJECT) as session:
        for method, path, body in (
            ("POST", "/users/ada/tokens", {}),
            ("POST", "/users/ada/tokens", {"scopes": ["access:services!service=dask-gateway"]}),
            ("GET", "/users/ada/tokens", None),
            ("POST", "/users/ada/servers/second", {"project": "shared-stimuli"}),
            ("DELETE", "/users/ada/server", None),
            ("PATCH", "/users/ada", {"admin": True}),
        ):
            given = () if body is None else (body,)
            answer = await session.api(method, path, *given)
            assert answer.status in (403, 404), (path, answer)
        # The service's own pages and answers are for people, not for their servers.
        answer = await ask(
            "GET",
            f"{gateway.hub.service_url}/api/access",
            authorization=f"token {session.token}",
        )
        assert answer.status == 403
        # A token of her own that may not start servers is worth no project either.
        made = await ada.api(
            "POST", "/users/ada/tokens", {"scopes": ["access:services!service=dask-gateway"]}
        )
        answer = await gateway.api(replace(ada, token=made.json["token"]), "GET", "")
        assert (answer.status, "belongs to no running session" in answer.text) == (422, True)


# What is refused

FORGED: dict[str, tuple[Any, str]] = {
    "another's project": ({"project": "human-intracranial"}, "you have no access to human-intrac"),
    "no such project": ({"project": "x\r\ny"}, "there is no project 'x\\r\\ny'; you have "),
    "no project of several": ({}, "choose a project; yours are nhp-navigation and shared-stimuli"),
    "no such worker profile": ({"project": PROJECT, "profile": "huge"}, "worker profile 'huge'"),
    "an image that is not allowed": (
        {"project": PROJECT, "image": "evil.example/root"},
        f"image 'evil.example/root' may not be used in {PROJECT}: {PROJECT} offers only neuro",
    ),
    "the gateway's own traits": ({"worker_cores": 99}, "unknown option 'worker_cores'"),
    "its own mark": ({"panneuro": {"project": PROJECT}}, "unknown option 'panneuro'"),
    "a list": ({"project": [PROJECT]}, "project must be one name, as text"),
    "a number": ([1], "a cluster's options are project, profile, image and environment"),
    "keys": (
        {"project": PROJECT, "environment": {"AWS_ACCESS_KEY_ID": "AKIA"}},
        "environment: AWS_ACCESS_KEY_ID is set by the hub",
    ),
    "another ticket": (
        {"project": PROJECT, "environment": {"panneuro_ticket_file": "/x"}},
        "environment: panneuro_ticket_file is set by the hub",
    ),
    "no text": ({"project": PROJECT, "environment": {"A": {}}}, "environment: A must be text"),
    "half a letter": ({"project": PROJECT, "environment": {"A": "\ud800"}}, "A has a character"),
}


async def test_forged_options_are_refused_in_words(gateway: DaskGateway) -> None:
    before = sessions(gateway, ended=False)
    async with person(gateway, "ada") as ada:
        for name, (options, words) in FORGED.items():
            answer = await gateway.api(ada, "POST", "", {"cluster_options": options})
            assert (answer.status, words in answer.json["error"]) == (422, True), (name, answer)
        async with gateway.client(ada) as client:
            with pytest.raises(ValueError, match="you have no access to human-intracranial"):
                await client.submit(project="human-intracranial")
    assert sessions(gateway, ended=False) == before


async def test_who_has_one_project_need_not_choose(gateway: DaskGateway) -> None:
    async with person(gateway, "pat") as pat:
        name = await gateway.start_cluster(pat)
        row = await wait_until_async(lambda: session_of(gateway, name), "the report")
        assert (row["project"], row["profile"]) == ("shared-stimuli", "small")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"x" * 2_000_000,
    ],
    ids=["empty", "cut", "list", "number", "text", "no-utf8", "deep", "deep-object", "large"],
)
async def test_no_body_makes_a_server_error(gateway: DaskGateway, body: bytes) -> None:
    async with person(gateway, "ada") as ada, aiohttp.ClientSession() as session:
        for path in ("", "x/scale", "x/adapt", "x/heartbeat"):
            async with session.post(
                f"{gateway.url}/api/v1/clusters/{path}",
                data=io.BytesIO(body),
                headers={"Authorization": f"jupyterhub {ada.token}"},
            ) as answer:
                assert (answer.status, "error" in await answer.json()) == (422, True)


@pytest.mark.parametrize("header", ["jupyterhub", "", "jupyterhub ", "x", "basic x", "token x"])
async def test_no_authorization_makes_a_server_error(gateway: DaskGateway, header: str) -> None:
    url = f"{gateway.url}/api/v1/clusters/"
    for method, path in (("GET", ""), ("GET", "x"), ("DELETE", "x"), ("POST", "x/heartbeat")):
        body = {"body": {}} if method == "POST" else {}
        answer = await ask(method, url + path, **body, authorization=header)
        assert answer.status in (401, 422), answer


async def test_a_token_that_the_hub_refuses_is_told_in_words(gateway: DaskGateway) -> None:
    answer = await ask(
        "GET", f"{gateway.url}/api/v1/clusters/", authorization=f"jupyterhub {'0' * 32}"
    )
    assert answer.status == 422
    assert "the hub does not accept this token" in answer.json["error"]


# Limits


async def test_two_people_share_what_a_project_may_have(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada, person(gateway, "tomas") as tomas:
        hers, his = await asyncio.gather(
            gateway.start_cluster(ada, project=PROJECT),
            gateway.start_cluster(tomas, project=PROJECT),
        )
        for count in (-1, "3", 1.5, True, None, 10**9, [1]):
            answer = await gateway.scale(ada, hers, count)
            assert answer.status == 422
            assert "count must be a whole number of workers from 0 to 10000" in answer.text
        assert (await gateway.scale(tomas, hers, 1)).status == 404
        answer = await gateway.api(ada, "POST", f"{hers}/adapt", {"minimum": 3, "maximum": 2})
        assert (answer.status, answer.json) == (
            422,
            {
                "error": "minimum 3 is more than maximum 2",
                "message": "minimum 3 is more than maximum 2",
                "code": "invalid-choice",
            },
        )

        answer = await gateway.scale(ada, hers, 3)
        assert answer.json == {"ok": True, "msg": None, "count": 3}
        # At once, before her scheduler has asked for any of it:
        async with gateway.client(tomas) as client:
            with pytest.warns(dask_gateway.client.GatewayWarning) as told:
                await client.scale_cluster(his, 20)
        assert str(told[0].message) == (
            f"{PROJECT} has 1 of its {LIMIT} workers free; ada's cluster {hers[-3:]} holds 3. "
            "Scaling to 1."
        )
        await wait_until_async(lambda: as_many(gateway, {hers: 3, his: 1}), "the workers")
        row = await wait_until_async(lambda: has_workers(gateway, hers, 3), "the report")
        assert (row["cores"], row["memory"]) == (1.0, 1024**3)

        answer = await gateway.scale(ada, hers, 4)
        assert answer.json["msg"] == (
            f"{PROJECT} has 3 of its {LIMIT} workers free, with the 3 that this cluster has; "
            f"tomas's cluster {his[-3:]} holds 1. Scaling to 3."
        )
        await gateway.scale(ada, hers, 0)
        whole = f"each person in {PROJECT} may have 3 workers at once. Scaling to 3."

        async def are_free() -> bool:
            return bool((await gateway.scale(tomas, his, 4)).json["msg"] == whole)

        await wait_until_async(are_free, "the end of her workers, which count until then")
        await wait_until_async(lambda: as_many(gateway, {hers: 0, his: 3}), "the workers to come")


def has_workers(gateway: DaskGateway, name: str, workers: int) -> dict[str, Any]:
    """What the service has been told, once it is that a cluster has so many workers."""
    row = session_of(gateway, name)
    return row if row.get("workers") == workers else {}


async def as_many(gateway: DaskGateway, wanted: dict[str, int]) -> bool:
    """Whether clusters have so many processes; never more in all than the project may have."""
    found = {name: len(processes(gateway, name)["worker"]) for name in wanted}
    assert sum(found.values()) <= LIMIT, found
    return found == wanted


async def test_two_who_scale_at_the_same_moment(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada, person(gateway, "tomas") as tomas:
        hers, his = await asyncio.gather(
            gateway.start_cluster(ada, project=PROJECT),
            gateway.start_cluster(tomas, project=PROJECT),
        )
        answers = await asyncio.gather(
            gateway.scale(ada, hers, 3),
            gateway.scale(tomas, his, 3),
            gateway.scale(ada, hers, 3),
            gateway.scale(tomas, his, 3),
        )
        assert {answer.status for answer in answers} == {200}
        words = [answer.json["msg"] for answer in answers]
        assert None in words
        assert any(said and f"has 1 of its {LIMIT} workers free" in said for said in words)

        async def all_are_there() -> bool:
            return await as_many(gateway, {hers: 3, his: 1}) or await as_many(
                gateway, {hers: 1, his: 3}
            )

        await wait_until_async(all_are_there, "the workers")


async def test_who_adapts_gets_what_another_gives_back(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada, person(gateway, "tomas") as tomas:
        hers, his = await asyncio.gather(
            gateway.start_cluster(ada, project=PROJECT),
            gateway.start_cluster(tomas, project=PROJECT),
        )
        await gateway.scale(ada, hers, 3)
        await wait_until_async(lambda: as_many(gateway, {hers: 3, his: 0}), "her workers")
        answer = await gateway.api(tomas, "POST", f"{his}/adapt", {"minimum": 2, "maximum": 3})
        assert answer.json["msg"] == (
            f"{PROJECT} has 1 of its {LIMIT} workers free; ada's cluster {hers[-3:]} holds 3. "
            "Adapting up to 3: it has 1 at most for now, and more when other clusters release "
            "theirs."
        )
        await wait_until_async(lambda: as_many(gateway, {hers: 3, his: 1}), "what there is for him")
        await gateway.scale(ada, hers, 1)
        await wait_until_async(lambda: as_many(gateway, {hers: 1, his: 2}), "what he waits for")


async def test_a_scheduler_cannot_take_what_it_is_not_given(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada:
        name = await gateway.start_cluster(ada, project=PROJECT)
        (scheduler,) = processes(gateway, name)["scheduler"]
        said = {
            "scheduler_address": "tls://127.0.0.1:1",
            "dashboard_address": "http://127.0.0.1:1",
            "api_address": "http://127.0.0.1:1",
            "count": 10**9,
            "active_workers": [],
            "closing_workers": [],
            "closed_workers": [],
        }
        url = f"{gateway.url}/api/v1/clusters/{name}/heartbeat"
        authorization = f"token {token_of(scheduler)}"
        forged = [
            {},
            {**said, "count": -1},
            {**said, "count": "9"},
            {**said, "active_workers": [[]]},
            {**said, "api_address": "http://10.0.0.1:80"},
            {**said, "dashboard_address": "http://127.0.0.1:80/hub"},
        ]
        for message in forged:
            answer = await ask("POST", url, message, authorization=authorization)
            assert answer.status == 409, answer
        assert (await ask("POST", url, said, authorization="token x")).status == 401
        answer = await ask("POST", url, said, authorization=authorization)
        assert answer.status == 200, answer
        before = len(processes(gateway, name)["worker"])
        assert before <= LIMIT - 1


async def test_a_person_may_have_so_many_clusters(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada:
        options = {"cluster_options": {"project": PROJECT}}
        for _ in range(4):
            assert (await gateway.api(ada, "POST", "", options)).status == 201
        answer = await gateway.api(ada, "POST", "", options)
        assert (answer.status, "you have 4 clusters already" in answer.json["error"]) == (
            422,
            True,
        )


# What ends


async def test_a_cluster_that_dies_leaves_its_workers_to_others(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada, person(gateway, "tomas") as tomas:
        hers, his = await asyncio.gather(
            gateway.start_cluster(ada, project=PROJECT),
            gateway.start_cluster(tomas, project=PROJECT),
        )
        await gateway.scale(ada, hers, 3)
        await wait_until_async(lambda: as_many(gateway, {hers: 3, his: 0}), "her workers")
        ticket = (gateway.folder / "clusters" / hers / "ticket").read_text()
        for pid in processes(gateway, hers)["scheduler"]:
            os.kill(pid, signal.SIGKILL)
        await wait_until_async(
            lambda: session_of(gateway, hers).get("ended"), "the end of her session"
        )
        assert (await show(gateway.hub, ticket)).status == 403
        await wait_until_async(
            lambda: as_many(gateway, {hers: 0, his: 0}), "the end of her workers"
        )

        async def has_all() -> bool:
            # A worker on its way out counts until the gateway has seen it gone.
            return (await gateway.scale(tomas, his, 3)).json["ok"] is True

        await wait_until_async(has_all, "her workers for him")


async def test_who_loses_access_loses_the_cluster(gateway: DaskGateway) -> None:
    def leave(document: dict[str, Any]) -> None:
        del document["projects"][PROJECT]["teams"]["theory-lab"]

    async with person(gateway, "tomas") as tomas:
        name = await gateway.start_cluster(tomas, project=PROJECT)
        ticket = (gateway.folder / "clusters" / name / "ticket").read_text()
        with gateway.hub.changed(leave):
            await wait_until_async(
                lambda: session_of(gateway, name).get("ended"), "the end of the session"
            )
            assert (await show(gateway.hub, ticket)).status == 403
            folder = gateway.folder / "clusters" / name
            await wait_until_async(lambda: not folder.exists(), "the end of the cluster")
            answer = await gateway.api(tomas, "POST", "", {"cluster_options": {"project": PROJECT}})
            assert answer.status == 422
        assert f"Stopping cluster {name}: tomas has no access to {PROJECT} any more" in gateway.log
        await wait_until_async(
            lambda: gateway.offers(tomas, PROJECT), "the gateway's look at the old file"
        )


async def test_a_start_that_fails_ends_its_session(gateway: DaskGateway) -> None:
    clusters = gateway.folder / "clusters"
    aside = gateway.folder / "aside"
    async with person(gateway, "ada") as ada:
        clusters.rename(aside)
        clusters.write_text("no folder")
        try:
            before = set(sessions(gateway, ended=True))
            options = {"cluster_options": {"project": PROJECT}}
            name = (await gateway.api(ada, "POST", "", options)).json["name"]

            async def has_failed() -> bool:
                return bool((await gateway.api(ada, "GET", name)).json["status"] == "FAILED")

            await wait_until_async(has_failed, "the failure")
            await wait_until_async(lambda: set(sessions(gateway, ended=True)) - before, "its end")
        finally:
            clusters.unlink()
            aside.rename(clusters)


async def test_clusters_outlive_the_gateway_and_its_limits_hold(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada, person(gateway, "tomas") as tomas:
        hers, his, dying = await asyncio.gather(
            gateway.start_cluster(ada, project=PROJECT),
            gateway.start_cluster(tomas, project=PROJECT),
            gateway.start_cluster(tomas, project=PROJECT),
        )
        await gateway.scale(ada, hers, 3)
        await wait_until_async(lambda: as_many(gateway, {hers: 3, his: 0}), "her workers")
        tickets = {
            name: (gateway.folder / "clusters" / name / "ticket").read_text()
            for name in (hers, dying)
        }
        gateway.stop()
        for pid in processes(gateway, dying)["scheduler"]:
            os.kill(pid, signal.SIGKILL)
        gateway.start()
        assert (await show(gateway.hub, tickets[hers])).status == 200
        answer = await gateway.scale(tomas, his, 3)
        assert answer.json["msg"] == (
            f"{PROJECT} has 1 of its {LIMIT} workers free; ada's cluster {hers[-3:]} holds 3. "
            "Scaling to 1."
        )
        await wait_until_async(lambda: as_many(gateway, {hers: 3, his: 1}), "his worker")
        await wait_until_async(
            lambda: session_of(gateway, dying).get("ended"), "the end of what died"
        )
        assert (await show(gateway.hub, tickets[dying])).status == 403
        assert (await show(gateway.hub, tickets[hers])).status == 200
        async with gateway.client(ada) as client:
            cluster = await client.connect(hers)
            async with await cluster.get_client() as workers:
                assert await workers.submit(sum, [1, 2]) == 3
            await cluster.close(shutdown=False)


# Dashboards


async def test_a_dashboard_is_for_people_of_its_project(gateway: DaskGateway) -> None:
    async with person(gateway, "ada") as ada:
        name = await gateway.start_cluster(ada, project=PROJECT)
        await wait_until_async(lambda: session_of(gateway, name), "the report")
        path = f"{gateway.prefix}/clusters/{name}"
        straight = f"http://127.0.0.1:{gateway.proxy_port}{path}"
        for url in (f"{gateway.hub.url}{path}", straight):
            for page in ("", "/", "/status", "/info/main/workers.html", "/json/counts.json"):
                answer = await ask("GET", url + page)
                assert answer.status in (302, 401, 403, 404), (url, page, answer)
                assert "bokeh" not in answer.text.lower()
        seen = await ada.visitor.open(f"{path}/status")
        assert seen.status == 200
        assert "bokeh" in seen.body.lower()
        # Of Dask's live feed it is enough that it opens, and for her alone.
        feed = f"{path}/eventstream"
        async with ada.visitor.socket(feed) as socket:
            await socket.send_str("hello")
        async with visit_hub(gateway.hub.url) as nobody:
            with pytest.raises(aiohttp.WSServerHandshakeError) as closed:
                async with nobody.socket(feed):
                    pass
        assert closed.value.status in (401, 403)
        async with logged_in(gateway.hub, "hugo") as hugo:
            refused = await hugo.visitor.open(f"{path}/status")
            assert refused.status in (401, 403)
            assert "bokeh" not in refused.body.lower()


def test_no_answer_was_a_server_error(gateway: DaskGateway) -> None:
    answers = re.findall(r"\b([0-9]{3}) [A-Z]+ /api/v1/clusters/", gateway.log)
    assert answers
    assert [status for status in answers if status.startswith("5")] == []
    assert " failed\n" not in gateway.log, "nor did anything unforeseen happen"
