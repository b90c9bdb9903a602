"""``panneuro-hub database``: the schema of the service's database, and its upgrade by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.terminal_output import join_lines

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _ledger_option(command: _Command) -> _Command:
    return click.option(
        "--ledger",
        default="sqlite:///ledger.sqlite",
        show_default=True,
        help="SQLAlchemy URL of the ledger; without a password here, see PANNEURO_LEDGER_URL.",
        envvar="PANNEURO_LEDGER_URL",
    )(command)


@click.group
def database() -> None:
    """Show and upgrade the schema of the service's database.

    The service does the same when it starts. Exit code 1 if the database cannot be used.
    """


@database.command
@_ledger_option
def status(ledger: str) -> None:
    """Show the schema's revision, and what an upgrade would do. Changes nothing."""
    from panneuro_hub.service.db.schema import read_schema_status

    try:
        found = read_schema_status(ledger)
    except PanNeuroError as error:
        raise click.ClickException(join_lines(str(error))) from error
    if found.revision is None:
        click.echo("The database has no tables of the service yet.")
    elif not found.is_recorded:
        click.echo(f"The database has the tables of version 0.1: schema revision {found.revision}.")
    else:
        click.echo(f"The database has schema revision {found.revision}.")
    if found.is_current:
        click.echo("This is the newest revision that this version of panneuro-hub knows.")
        return
    click.echo(f"An upgrade brings it to revision {found.newest}:")
    for step in found.pending or ("record the revision",):
        click.echo(f"  {step}")


@database.command
@_ledger_option
def upgrade(ledger: str) -> None:
    """Upgrade the schema to the newest revision. Make a backup before."""
    from panneuro_hub.service.db.schema import upgrade_schema

    try:
        before = upgrade_schema(ledger)
    except PanNeuroError as error:
        raise click.ClickException(join_lines(str(error))) from error
    if before.is_current:
        click.echo(f"The database has schema revision {before.newest}. There is nothing to do.")
    else:
        click.echo(f"The database has schema revision {before.newest} now.")
