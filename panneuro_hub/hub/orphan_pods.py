"""Pods of sessions that the hub does not know, such as after it lost its database; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from panneuro_hub.pod.agent_sidecar import HUB_LABEL, LABEL_PREFIX
from panneuro_hub.wire.credential import parse_time


class PodName(NamedTuple):
    """The full name of a pod."""

    namespace: str
    name: str


def find_orphan_pods(
    pods: Iterable[Mapping[str, Any]],
    hub: str,
    known: Collection[str],
    now: datetime,
    age: timedelta,
) -> Iterator[PodName]:
    """Return the names of this hub's pods whose session nobody can stop and that gets no keys.

    Parameters
    ----------
    pods : iterable of dict
        As the API server sends them. Pods of other hubs can be among them.
    hub : str
        This hub's value of the label; see `panneuro_hub.pod.agent_sidecar.make_hub_label`.
        Pods with another value, and pods without the label, are left alone.
    known : collection of str
        Ids of the sessions that the hub has stored or is starting.
    now : datetime
        Aware.
    age : timedelta
        Younger pods are left alone.
    """
    for pod in pods:
        about = pod["metadata"]
        labels = about.get("labels") or {}
        session = labels.get(f"{LABEL_PREFIX}session")
        if labels.get(HUB_LABEL) != hub or session is None or session in known:
            continue
        if "deletionTimestamp" in about:
            continue
        if now - parse_time(about["creationTimestamp"]) > age:
            yield PodName(str(about["namespace"]), str(about["name"]))
