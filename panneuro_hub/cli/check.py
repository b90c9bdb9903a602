"""``panneuro-hub check``: whether a collaboration file can be used."""

from __future__ import annotations

import click

from panneuro_hub.cli.inputs import file_argument, read
from panneuro_hub.cli.output import one_line


@click.command
@file_argument
def check(file: str) -> None:
    """Check FILE, and say every problem with its line.

    Exit code 0 if it can be used, 1 if not.
    """
    collaboration = read(file)
    counts = ", ".join(
        _count(len(things), noun)
        for things, noun in (
            (collaboration.projects, "project"),
            (collaboration.teams, "team"),
            (collaboration.stores, "store"),
            (collaboration.profiles, "profile"),
            (collaboration.images, "image"),
        )
    )
    click.echo(one_line(f"{file}: {collaboration.name} is good to use: {counts}"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
