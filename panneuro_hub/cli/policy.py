"""``panneuro-hub policy``: the session policy as the store gets it."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from panneuro_hub.cli.arguments import (
    DENIED,
    PersonQuery,
    add_person_options,
    file_argument,
    read_collaboration,
)
from panneuro_hub.policy import build_session_policy
from panneuro_hub.terminal_output import join_lines
from panneuro_hub.wording import describe_reasons


@click.command
@file_argument
@add_person_options
@click.pass_context
def policy(
    ctx: click.Context, file: str, user: str, teams: str, project: str, at: datetime
) -> None:
    """Print a person's session policy, exactly as it would be sent.

    Exit code 0; 3 if access is denied, with the reason on standard error; 1 if FILE
    is broken.
    """
    access = PersonQuery(user, teams, project, at).answer(read_collaboration(file))
    if not access.grants:
        click.echo(
            join_lines(f"{user} has no access to {project}: {describe_reasons(access.reasons)}"),
            err=True,
        )
        ctx.exit(DENIED)
    # A line end is not sent; it is there for the eye alone.
    click.echo(build_session_policy(access.grants), nl=sys.stdout.isatty())
