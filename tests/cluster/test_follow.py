"""Hub, service and gateway follow what `kubectl apply` changes, and start while it is broken."""

from __future__ import annotations

import hashlib
import json
import time
from io import StringIO
from typing import Any

from deployment import FOLLOW, Deployment
from ruamel.yaml import YAML
from started import PROJECT, objects, said, start
from test_end_to_end import READ
from testing.waiting import wait_until

from panneuro_hub.devstack.html_forms import find_forms
from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub
from panneuro_hub.devstack.kernel_client import start_kernel

BROKEN = "the collaboration file is broken"
# A kubelet looks after a minute, more or less, and what it has read is then in force in a second.
PROMISED = 120.0  # s
PORTS = {
    "hub": "8081/hub/health",
    "service": "10143/services/panneuro/health",
    "gateway": "8000/api/health",
}
ASK = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=30).read().decode())"


def healths(hub: Deployment) -> list[dict[str, Any]]:
    """What each pod that follows the file says of itself."""
    found = []
    for labels, container in FOLLOW:
        url = f"http://127.0.0.1:{PORTS[container]}"
        for pod in objects(hub.cluster, "pods", labels):
            if "deletionTimestamp" in pod["metadata"]:
                continue
            name = pod["metadata"]["name"]
            answer = hub.cluster.run(name, container, ["python", "-c", ASK, url])
            assert answer.status == 0, answer.text
            found.append({"pod": name, **json.loads(answer.text)})
    return found


def wait_for(hub: Deployment, **expected: Any) -> list[dict[str, Any]]:
    """Wait until all pods say this of themselves."""
    seen: list[dict[str, Any]] = []

    def all_say() -> bool:
        seen[:] = healths(hub)
        return all(one[key] == value for one in seen for key, value in expected.items())

    wait_until(all_say, patience=PROMISED)
    return seen


def name_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def changed(text: str) -> str:
    """Another team's groups, one more team, and other profiles, images and prices."""
    yaml = YAML()
    document = yaml.load(text)
    document["teams"]["theory-lab"]["groups"] = ["u19-circuits:nobody"]
    document["teams"]["newcomers"] = {"title": "Newcomers", "groups": ["u19-circuits:admin"]}
    document["projects"][PROJECT]["teams"]["newcomers"] = "read"
    document["profiles"]["small"]["price_per_hour"] = 7.25
    document["profiles"]["fresh"] = {"title": "Fresh profile", "cpu": 1, "memory": "256M"}
    neuro = document["images"]["neuro"]["image"]
    document["images"]["fresh"] = {"title": "Fresh image", "image": neuro}
    output = StringIO()
    yaml.dump(document, output)
    return output.getvalue()


async def test_the_hub_follows_what_is_applied(hub: Deployment, ada: HubVisitor) -> None:
    before = hub.plan.collaboration
    wait_for(hub, status="ok", version=name_of(before))
    after = changed(before)
    began = time.monotonic()
    hub.apply(after)
    try:
        wait_for(hub, status="ok", version=name_of(after))
        print(f"all pods follow {time.monotonic() - began:.0f} s after kubectl apply")
        # Nobody has logged in since; it is the hub that decides this.
        async with visit_hub(hub.url, patience=300) as tomas:
            refused = await tomas.try_log_in("tomas")
            assert refused.status == 403
            assert "in no team" in " ".join(refused.text.split()).lower()
        async with visit_hub(hub.url, patience=300) as pat:
            await pat.log_in("pat")
            offered = next(
                form
                for form in find_forms((await pat.open_spawn_page()).body)
                if "project" in form.fields
            )
            assert PROJECT in offered.fields["project"].offered
        page = (await ada.open_spawn_page()).text
        for words in ("Fresh profile", "Fresh image", "7.25"):
            assert words in page
        assert "Fresh profile" in (await ada.open("/services/panneuro/")).text
    finally:
        hub.replace(before)


async def test_pods_start_while_the_file_is_broken(hub: Deployment, ada: HubVisitor) -> None:
    """A mistake on Monday is no outage when a node is drained on Thursday."""
    good = hub.plan.collaboration
    known = {one["version"] for one in wait_for(hub, status="ok")}
    assert known == {name_of(good)}
    hub.replace(good.replace("store: main", "store: no-such-store"))
    try:
        seen = wait_for(hub, status=BROKEN, version=name_of(good))
        old = {one["pod"] for one in seen}
        assert all(one["problems"] > 0 for one in seen)
        names = [f"deployment/{name}" for name in ("hub", "panneuro", "dask-gateway")]
        hub.cluster.kubectl("rollout", "restart", *names, "deployment/dask-controller")
        hub.wait()
        new = wait_for(hub, status=BROKEN, version=name_of(good))
        assert not old & {one["pod"] for one in new}
        assert "no-such-store" in hub.cluster.kubectl("logs", "deployment/hub", "--container=hub")
        await start(ada)
        async with start_kernel(ada, await ada.enter()) as python:
            assert await said(python, READ) == "929 spikes"
    finally:
        hub.replace(good)
    wait_for(hub, status="ok", version=name_of(good))
