"""``panneuro-hub check``: whether a collaboration file can be used."""

from __future__ import annotations

from typing import TextIO

import click

from panneuro_hub.access.expiries import describe_finding, review_expiries
from panneuro_hub.cli.arguments import file_argument, read_collaboration
from panneuro_hub.terminal_output import join_lines


@click.command
@file_argument
@click.option(
    "--people",
    type=click.File(),
    help="Names of the hub's accounts, one a line: says which entries of expires match none.",
)
def check(file: str, people: TextIO | None) -> None:
    """Check FILE, and say every problem with its line.

    Exit code 0 if it can be used, 1 if not. Warnings do not change it.
    """
    collaboration = read_collaboration(file)
    counts = ", ".join(
        _format_count(len(things), noun)
        for things, noun in (
            (collaboration.projects, "project"),
            (collaboration.teams, "team"),
            (collaboration.stores, "store"),
            (collaboration.profiles, "profile"),
            (collaboration.images, "image"),
        )
    )
    click.echo(join_lines(f"{file}: {collaboration.name} is good to use: {counts}"))
    names = None if people is None else [line.strip() for line in people if line.strip()]
    for finding in review_expiries(collaboration, names):
        click.echo(join_lines(f"{file}: warning: {describe_finding(finding)}"), err=True)


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
