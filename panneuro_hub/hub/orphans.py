"""Pods of sessions that the hub does not know, such as after it lost its database; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from panneuro_hub.attach.pods import LABEL
from panneuro_hub.wire.credential import parse_time


def find_orphans(
    pods: Iterable[Mapping[str, Any]], known: Collection[str], now: datetime, age: timedelta
) -> Iterator[str]:
    """Return the names of pods whose session nobody can stop and that gets no keys.

    Parameters
    ----------
    pods : iterable of dict
        As the API server sends them.
    known : collection of str
        Ids of the sessions that the hub has stored.
    now : datetime
        Aware.
    age : timedelta
        What is younger may be starting: the hub stores a session when its start is over.
    """
    for pod in pods:
        about = pod["metadata"]
        session = (about.get("labels") or {}).get(f"{LABEL}session")
        if session is None or session in known or "deletionTimestamp" in about:
            continue
        if now - parse_time(about["creationTimestamp"]) > age:
            yield str(about["name"])
