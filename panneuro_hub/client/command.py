"""``panneuro``: data in and out of a project, from any machine."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from panneuro_hub.client.transfer_errors import (
    DatasetEmbargoError,
    SecretsFoundError,
    WrongNameError,
)
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError
from panneuro_hub.terminal_output import escape_lines, print_json, print_table
from panneuro_hub.wire.refusal import Refusal

if TYPE_CHECKING:
    from panneuro_hub.client.api import ListingTable

T = TypeVar("T")

FAILED = 1
USAGE = 2
DENIED = 3
RETRY_LATER = 4
INTERRUPTED = 130

COMMANDS = {
    "login": "panneuro_hub.client.commands.login:login",
    "logout": "panneuro_hub.client.commands.login:logout",
    "whoami": "panneuro_hub.client.commands.login:whoami",
    "upload": "panneuro_hub.client.commands.upload:upload",
    "download": "panneuro_hub.client.commands.download:download",
    "ls": "panneuro_hub.client.commands.ls:ls",
    "datasets": "panneuro_hub.client.commands.datasets:datasets",
    "share": "panneuro_hub.client.commands.share:share",
    "notebooks": "panneuro_hub.client.commands.share:notebooks",
    "copy": "panneuro_hub.client.commands.share:copy",
}


class CommandGroup(click.Group):
    """A group that imports a command on first use, so that ``--help`` needs no store client."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or `None` if there is none."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 not all of it, with the reason; 2 a wrong command line; "
    "3 access denied; 4 something is out of reach for now, so the same command later helps.",
)
@click.version_option(package_name="panneuro-hub", prog_name="panneuro")
def main() -> None:
    """Bring data into a project of the hub, find it, and fetch it.

    In a server of the hub this works at once. On another machine log in first:
    panneuro login https://ADDRESS-OF-THE-HUB
    """


@contextmanager
def report_errors(wants_json: bool) -> Iterator[None]:
    """End the command with one or two sentences and the right exit code, whatever is wrong."""
    try:
        yield
    except PanNeuroError as problem:
        _print_error(problem, wants_json)
        raise click.exceptions.Exit(find_exit_code(problem)) from None
    except KeyboardInterrupt:
        click.echo(
            "stopped; the same command goes on where this one was, and sends nothing twice",
            err=True,
        )
        sys.stdout.flush()
        # Exit at once: requests under way may take minutes, and nobody needs their responses.
        os._exit(INTERRUPTED)


def confirm_secrets(send: Callable[..., T], *, allowed: bool, wants_json: bool) -> T:
    """Send something; if it looks like secrets, ask the person at the terminal first.

    Parameters
    ----------
    send : callable
        Takes ``allow_secrets``.
    allowed : bool
        Whether the command line allows secrets.
    wants_json : bool
        A program reads the output, so nobody is asked.

    Raises
    ------
    SecretsFoundError
        If there is no terminal to ask at.
    click.exceptions.Exit
        If the person does not agree.
    """
    try:
        return send(allow_secrets=allowed)
    except SecretsFoundError as found:
        if wants_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            advice = "take them out, or give --allow-secrets to send them all the same"
            raise SecretsFoundError(found.problems, advice) from None
        click.echo(escape_lines(f"panneuro: {found}"), err=True)
    if not click.confirm("Send them all the same?", default=False, err=True):
        raise click.exceptions.Exit(FAILED)
    return send(allow_secrets=True)


def find_exit_code(problem: PanNeuroError) -> int:
    """Return the exit code for a problem."""
    if isinstance(problem, AccessDeniedError):
        return DENIED
    if isinstance(problem, (WrongNameError, DatasetEmbargoError)):
        return USAGE
    later = isinstance(problem, ServiceUnavailableError) or getattr(problem, "kind", "") == "again"
    return RETRY_LATER if later else FAILED


def print_listing(listed: ListingTable, wants_json: bool) -> None:
    """Print a listing, and its problems on standard error."""
    if wants_json:
        print_json(listed.document)
        return
    if listed.table:
        print_table(listed.table, indent=0)
    for trouble in listed.problems:
        click.echo(escape_lines(trouble), err=True)


def _print_error(problem: PanNeuroError, wants_json: bool) -> None:
    if wants_json:
        inner = [str(one) for one in getattr(problem, "problems", ())]
        print_json({**Refusal.from_error(problem).to_json(), "problems": inner})
    else:
        click.echo(escape_lines(f"panneuro: {problem}"), err=True)
