"""``panneuro-hub diff``: who gains and loses what when one file takes another's place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby

import click

from panneuro_hub.access import AccessDifference, compare_collaborations
from panneuro_hub.cli.arguments import at_option, read_collaboration
from panneuro_hub.terminal_output import escape_controls, print_heading, print_json

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
    found = compare_collaborations(read_collaboration(old), read_collaboration(new), at)
    if wants_json:
        print_json({"differences": [difference.to_json() for difference in found]})
    elif not found:
        click.echo("no difference in access")
    else:
        _print_differences(found)


def _print_differences(found: list[AccessDifference]) -> None:
    access = [difference for difference in found if _is_access(difference)]
    for project in dict.fromkeys(difference.project for difference in access):
        print_heading(project or "")
        for people, changes in group_changes(
            difference for difference in access if difference.project == project
        ):
            click.echo(f"  {escape_controls(people)}")
            for change in changes:
                click.echo(f"    {escape_controls(change)}")
    for kind, title in _SETTINGS.items():
        lines = [
            _format_setting(difference)
            for difference in found
            if difference.kind == kind and not _is_access(difference)
        ]
        if lines:
            print_heading(title)
        for line in lines:
            click.echo(f"  {escape_controls(line)}")


def group_changes(found: Iterable[AccessDifference]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield groups of people with the changes that they share."""
    by_people: dict[tuple[str, ...], list[AccessDifference]] = {}
    for difference in found:
        by_people.setdefault(difference.who, []).append(difference)
    by_changes: dict[tuple[str, ...], list[str]] = {}
    for who, noticed in by_people.items():
        by_changes.setdefault(tuple(_list_changes(noticed)), []).append(" + ".join(who))
    for changes_alike, people in by_changes.items():
        yield ", ".join(people), changes_alike


def _is_access(difference: AccessDifference) -> bool:
    return bool(difference.who) and difference.kind != "membership"


def _list_changes(noticed: Iterable[AccessDifference]) -> Iterator[str]:
    """Yield one line for each change of one project; profiles and images share lines."""
    for _, group in groupby(noticed, key=_make_row):
        alike = list(group)
        difference = alike[0]
        days, value = _format_days(difference), difference.after or difference.before
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


def _make_row(difference: AccessDifference) -> tuple[object, ...]:
    """Return the key of changes that share a line; grants and levels have a line each."""
    name = difference.what if difference.kind in ("grant", "level") else None
    return (
        difference.kind,
        name,
        difference.before,
        difference.after,
        difference.since,
        difference.until,
    )


def _format_setting(difference: AccessDifference) -> str:
    """Return one change of a setting, in one line."""
    where = " + ".join(difference.who) or difference.project
    what = f"{where}: {difference.what}" if where else difference.what
    if difference.before and difference.after:
        return f"~ {what}: {difference.before} → {difference.after}"
    return f"{'+' if difference.after else '-'} {what}: {difference.after or difference.before}"


def _format_days(difference: AccessDifference) -> str:
    since = f"from {difference.since.isoformat()}" if difference.since else ""
    until = f"until {difference.until.isoformat()}" if difference.until else ""
    days = " ".join(part for part in (since, until) if part)
    return f" ({days})" if days else ""
