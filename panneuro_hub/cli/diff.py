"""``panneuro-hub diff``: who gains and loses what when one file takes another's place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby

import click

from panneuro_hub.access import Difference, differences
from panneuro_hub.cli.inputs import at_option, read
from panneuro_hub.cli.output import as_json, heading, printable

_SETTINGS = {
    "membership": "Memberships",
    "store": "Stores",
    "image": "Images",
    "limit": "Limits",
}


@click.command
@click.argument("old", type=click.Path(dir_okay=False))
@click.argument("new", type=click.Path(dir_okay=False))
@at_option
@click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
def diff(old: str, new: str, at: datetime, wants_json: bool) -> None:
    """Say who gains and loses what when NEW takes the place of OLD.

    People are shown by the teams that they are in: "a + b" is somebody in both.
    Exit code 0, also when nothing differs; 1 if a file is broken.
    """
    found = differences(read(old), read(new), at)
    if wants_json:
        as_json({"differences": [difference.to_json() for difference in found]})
    elif not found:
        click.echo("no difference in access")
    else:
        _show(found)


def _show(found: list[Difference]) -> None:
    access = [difference for difference in found if _is_access(difference)]
    for project in dict.fromkeys(difference.project for difference in access):
        heading(project or "")
        for people, changes in blocks(
            difference for difference in access if difference.project == project
        ):
            click.echo(f"  {printable(people)}")
            for change in changes:
                click.echo(f"    {printable(change)}")
    for kind, title in _SETTINGS.items():
        lines = [
            _setting(difference)
            for difference in found
            if difference.kind == kind and not _is_access(difference)
        ]
        if lines:
            heading(title)
        for line in lines:
            click.echo(f"  {printable(line)}")


def blocks(found: Iterable[Difference]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Who, and what changes for them; people with the same changes stand together."""
    by_people: dict[tuple[str, ...], list[Difference]] = {}
    for difference in found:
        by_people.setdefault(difference.who, []).append(difference)
    by_changes: dict[tuple[str, ...], list[str]] = {}
    for who, noticed in by_people.items():
        by_changes.setdefault(tuple(_changes(noticed)), []).append(" + ".join(who))
    for changes_alike, people in by_changes.items():
        yield ", ".join(people), changes_alike


def _is_access(difference: Difference) -> bool:
    return bool(difference.who) and difference.kind != "membership"


def _changes(noticed: Iterable[Difference]) -> Iterator[str]:
    """What some people notice in one project, a line each; profiles and images in rows."""
    for _, group in groupby(noticed, key=_row):
        alike = list(group)
        difference = alike[0]
        days, value = _days(difference), difference.after or difference.before
        if difference.kind == "grant":
            what, whole = difference.what, f"{value} {difference.what}"
        elif difference.kind == "level":
            what, whole = "level", f"level {value}"
        else:
            names = ", ".join(each.what for each in alike)
            what = whole = f"{difference.kind}{'s' if len(alike) > 1 else ''} {names}"
        if difference.before and difference.after:
            yield f"~ {what}: {difference.before} → {difference.after}{days}"
        else:
            yield f"{'+' if difference.after else '-'} {whole}{days}"


def _row(difference: Difference) -> tuple[object, ...]:
    """What is alike in one row; grants and levels have a row each."""
    name = difference.what if difference.kind in ("grant", "level") else None
    return (
        difference.kind,
        name,
        difference.before,
        difference.after,
        difference.since,
        difference.until,
    )


def _setting(difference: Difference) -> str:
    """One change of a setting, in one line."""
    where = " + ".join(difference.who) or difference.project
    what = f"{where}: {difference.what}" if where else difference.what
    if difference.before and difference.after:
        return f"~ {what}: {difference.before} → {difference.after}"
    return f"{'+' if difference.after else '-'} {what}: {difference.after or difference.before}"


def _days(difference: Difference) -> str:
    since = f"from {difference.since.isoformat()}" if difference.since else ""
    until = f"until {difference.until.isoformat()}" if difference.until else ""
    days = " ".join(part for part in (since, until) if part)
    return f" ({days})" if days else ""
