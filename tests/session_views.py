"""What a session's researcher may do, made for tests of every folder."""

from __future__ import annotations

from typing import Any

from panneuro_hub.wire import Grant, Reason, SessionView

READS = Reason("team-has-level", "nav", teams=("navigation-lab",), level="read")


def because(sentence: str) -> tuple[Reason, ...]:
    """Return a reason that is only a sentence, for tests of something else."""
    return (Reason("other", detail=sentence),)


def view_of(project: str = "nav", **more: Any) -> SessionView:
    """A session of Ada's in a project that she can read, and in no other; `more` says else."""
    prefix = f"s3://lab/{project}/"
    usual: dict[str, Any] = {
        "user": "ada",
        "project": project,
        "title": "Navigation",
        "level": "read",
        "prefix": prefix,
        "scratch": None,
        "endpoint_url": None,
        "region": "us-east-1",
        "prefixes": {project: prefix},
        "grants": (Grant(prefix, "read", (READS,), project),),
        "denied": (),
    }
    return SessionView(**{**usual, **more})
