"""Pods that nobody knows: which are ended, and which are left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from panneuro_hub.hub.orphans import find_orphans

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def pod(name: str, session: str | None, minutes: float, **more: Any) -> dict[str, Any]:
    labels = {"panneuro.org/session": session} if session else {"component": "singleuser-server"}
    created = (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"name": name, "labels": labels, "creationTimestamp": created, **more}}


def test_only_old_pods_of_unknown_sessions_are_ended() -> None:
    pods = [
        pod("known", "a", 90),
        pod("unknown", "b", 90),
        pod("starting", "c", 5),
        pod("somebody-else-s", None, 90),
        pod("ending", "d", 90, deletionTimestamp="2026-11-28T11:59:00Z"),
        {"metadata": {"name": "bare", "creationTimestamp": "2026-11-27T12:00:00Z"}},
    ]
    found = find_orphans(pods, {"a"}, NOW, timedelta(minutes=15))
    assert list(found) == ["unknown"]
