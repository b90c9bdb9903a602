"""Servers that a deployed hub has started: asking for them, and what the cluster has of them."""

from __future__ import annotations

import json
from typing import Any

from kube import Cluster
from testing.waiting import wait_until

from panneuro_hub.devstack.hub_visitor import HubVisitor
from panneuro_hub.devstack.kernel_client import KernelClient

PROJECT = "nhp-navigation"
_TICKET = "panneuro-ticket-"


async def start(visitor: HubVisitor, profile: str = "small", image: str = "neuro") -> list[str]:
    """Start the visitor's server in `PROJECT`; what the progress page said."""
    return await visitor.start(choices(profile, image))


def choices(profile: str, image: str = "neuro") -> dict[str, str]:
    """What is chosen on the start page."""
    return {
        "project": PROJECT,
        f"profile--{PROJECT}": profile,
        f"image--{PROJECT}": image,
    }


async def said(python: KernelClient, source: str) -> str:
    """What a cell prints."""
    return (await python.run(source)).text.strip()


def objects(cluster: Cluster, kind: str, selector: str = "") -> list[dict[str, Any]]:
    """Objects of a kind in the namespace."""
    words = ["get", kind, "--output", "json", *(["--selector", selector] if selector else [])]
    return list(json.loads(cluster.kubectl(*words))["items"])


def servers(cluster: Cluster) -> list[dict[str, Any]]:
    """The pods of servers."""
    return objects(cluster, "pods", "component=singleuser-server")


def tickets(cluster: Cluster) -> list[str]:
    """Names of the Secrets that hold tickets."""
    names = [secret["metadata"]["name"] for secret in objects(cluster, "secrets")]
    return [name for name in names if name.startswith(_TICKET)]


def until_nothing_is_left(cluster: Cluster) -> None:
    """Wait until no server and no ticket is in the namespace."""
    wait_until(lambda: not servers(cluster) and not tickets(cluster))
