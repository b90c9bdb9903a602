"""Arguments and options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import click

from panneuro_hub import current
from panneuro_hub.access import Access, Person, decide_access
from panneuro_hub.collaboration.models import Collaboration
from panneuro_hub.errors import CollaborationError
from panneuro_hub.terminal_output import join_lines
from panneuro_hub.wire.credential import parse_time

INVALID_FILE = 1
DENIED = 3

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Command = TypeVar("Command", bound=Callable[..., Any])


def read_collaboration(file: str) -> Collaboration:
    """Load a collaboration; if it is invalid, print its errors and end with exit code 1."""
    try:
        return current.load_collaboration(file)
    except CollaborationError as broken:
        for problem in broken.problems:
            click.echo(join_lines(str(problem)), err=True)
        raise click.exceptions.Exit(INVALID_FILE) from None


def parse_moment(text: str) -> datetime:
    """Return a day (its 00:00 UTC) or a time with a zone as an aware datetime in UTC.

    Raises
    ------
    ValueError
        If `text` is neither.
    """
    if _DAY.fullmatch(text):
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return parse_time(text)


def _parse_at_option(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        return parse_moment(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is not a day such as 2027-01-31 "
            "or a time with a zone such as 2027-01-31T09:30:00Z"
        ) from None


file_argument = click.argument("file", type=click.Path(dir_okay=False))
at_option = click.option(
    "--at",
    callback=_parse_at_option,
    metavar="DATE",
    help="Decide for this day (00:00 UTC) or this RFC 3339 time, not for now.",
)


def add_person_options(command: Command) -> Command:
    """Add the options that say who works in which project, and when."""
    for option in (
        at_option,
        click.option("--project", required=True, help="The project of the session."),
        click.option(
            "--teams",
            required=True,
            metavar="A,B,…",
            help='The teams that the identity provider puts them in; "" for none.',
        ),
        click.option("--user", required=True, help="The person, as the hub names them."),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class PersonQuery:
    """A person, their teams, a project and a time, as given on the command line."""

    user: str
    teams: str
    project: str
    at: datetime

    def answer(self, collaboration: Collaboration) -> Access:
        """Return the decision of `decide_access`.

        Raises
        ------
        click.UsageError
            If a team or the project does not exist; the message names the existing ones.
        """
        if not self.user.strip():
            raise click.UsageError("--user is empty; name the person as the hub does")
        teams = [team.strip() for team in self.teams.split(",") if team.strip()]
        for team in teams:
            _check_known("team", team, collaboration.teams)
        _check_known("project", self.project, collaboration.projects)
        return decide_access(collaboration, Person.of(self.user, teams), self.project, self.at)


def _check_known(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise click.UsageError(f"there is no {kind} {name!r}; the {kind}s are {', '.join(known)}")
