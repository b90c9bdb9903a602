"""``panneuro-hub explain``: what one person may do in one project, and why."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from panneuro_hub.access import Access, DaskLimits, PathCheck, WorkerLimits, check_path
from panneuro_hub.cli.arguments import (
    DENIED,
    PersonQuery,
    add_person_options,
    file_argument,
    read_collaboration,
)
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.collaboration.units import format_duration, format_memory
from panneuro_hub.phrases import listed
from panneuro_hub.terminal_output import print_heading, print_json, print_sentence, print_table
from panneuro_hub.wording import (
    denial_document,
    describe_reasons,
    describe_target,
    documents,
    grant_document,
    reasons_document,
)

_URI = re.compile(r"s3://[^/]+/.+", re.DOTALL)


@click.command
@file_argument
@add_person_options
@click.option("--path", metavar="URI", help="Judge one object too, s3://bucket/key.")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
@click.pass_context
def explain(
    ctx: click.Context,
    file: str,
    user: str,
    teams: str,
    project: str,
    at: datetime,
    path: str | None,
    wants_json: bool,
) -> None:
    """Explain what a person may do in a project, and why, or why not.

    Exit code 0 if they have access; 3 if it is denied; 1 if FILE is broken. In JSON,
    memory is in bytes, prices are in US dollars an hour and times are in seconds.
    """
    if path is not None and not _URI.fullmatch(path):
        raise click.UsageError(f"--path {path!r} is not of the form s3://bucket/key")
    collaboration = read_collaboration(file)
    access = PersonQuery(user, teams, project, at).answer(collaboration)
    verdict = None if path is None else check_path(collaboration, access, path)
    if wants_json:
        print_json(make_document(collaboration, access, verdict))
    else:
        _print_access(collaboration, access)
        if path is not None and verdict is not None:
            _print_path_check(path, verdict)
    if not access.grants:
        ctx.exit(DENIED)


def make_document(
    collaboration: Collaboration, access: Access, verdict: PathCheck | None
) -> dict[str, Any]:
    """Return the JSON object that ``--json`` prints."""
    shown: dict[str, Any] = {
        "user": access.person.name,
        "project": access.project,
        "level": access.level,
        "reasons": documents(access.reasons),
        "grants": [grant_document(grant) for grant in access.grants],
        "denied": [denial_document(denial) for denial in access.denied],
        "profiles": _list_profiles(collaboration, access),
        "dask": _list_dask_limits(access.dask),
    }
    if verdict is not None:
        shown["path"] = {
            "read": verdict.read,
            "write": verdict.write,
            **reasons_document(verdict.reasons),
        }
    return shown


def _list_profiles(collaboration: Collaboration, access: Access) -> list[dict[str, Any]]:
    offered = [(offer, collaboration.profiles[offer.name]) for offer in access.profiles]
    return [
        {
            "name": offer.name,
            "title": profile.title,
            "price_per_hour": profile.price_per_hour,
            "cpu": profile.cpu,
            "memory": profile.memory,
            "gpu": profile.gpu,
            **reasons_document(offer.reasons),
        }
        for offer, profile in offered
    ]


def _list_dask_limits(limits: DaskLimits | None) -> dict[str, Any] | None:
    if limits is None:
        return None
    idle = limits.idle_timeout
    return {
        **asdict(limits.pooled),
        "per_person": asdict(limits.per_person),
        "worker_profiles": list(limits.worker_profiles),
        "idle_timeout": None if idle is None else idle.total_seconds(),
        **reasons_document(limits.reasons),
    }


def _print_access(collaboration: Collaboration, access: Access) -> None:
    print_heading(f"{access.person.name} in {access.project}: {access.level or 'no access'}")
    print_sentence(describe_reasons(access.reasons))
    _print_section(
        "Places",
        [[grant.mode, grant.prefix, describe_reasons(grant.reasons)] for grant in access.grants],
    )
    profiles = [(offer, collaboration.profiles[offer.name]) for offer in access.profiles]
    _print_section(
        "Profiles",
        [
            [
                offer.name,
                profile.title,
                f"{profile.price_per_hour:.2f} USD/h",
                describe_reasons(offer.reasons),
            ]
            for offer, profile in profiles
        ],
    )
    _print_section(
        "Images", [[offer.name, describe_reasons(offer.reasons)] for offer in access.images]
    )
    if access.dask is not None:
        _print_section(
            "Dask", [[_format_limits(access.dask), describe_reasons(access.dask.reasons)]]
        )
    if access.budget is not None:
        amount = f"{access.budget.usd_per_month:g} USD a month"
        _print_section("Budget", [[amount, describe_reasons(access.budget.reasons)]])
    _print_section(
        "Not given",
        [[describe_target(denial), describe_reasons(denial.reasons)] for denial in access.denied],
    )


def _print_section(title: str, table: list[list[str]]) -> None:
    if table:
        click.echo()
        print_heading(title)
        print_table(table)


def _format_limits(limits: DaskLimits) -> str:
    parts = _format_sizes(limits.pooled)
    if own := _format_sizes(limits.per_person):
        parts.append(f"of which each person {listed(own)} at most")
    if limits.idle_timeout is not None:
        parts.append(f"idle for {format_duration(limits.idle_timeout)} at most")
    return ", ".join(parts) or "no limit"


def _format_sizes(limits: WorkerLimits) -> list[str]:
    parts = []
    if limits.max_workers is not None:
        parts.append(f"{limits.max_workers} workers")
    if limits.max_cores is not None:
        parts.append(f"{limits.max_cores:g} cores")
    if limits.max_memory is not None:
        parts.append(f"{format_memory(limits.max_memory)} memory")
    return parts


def _print_path_check(path: str, verdict: PathCheck) -> None:
    answer = {
        (True, True): "read and write",
        (True, False): "read, not write",
    }.get((verdict.read, verdict.write), "neither read nor write")
    _print_section("Path", [[path, answer, describe_reasons(verdict.reasons)]])
