"""``panneuro ls``."""

from __future__ import annotations

import click

from panneuro_hub.client.command import plain_errors, show


@click.command
@click.argument("name", metavar="[PROJECT[/DATASET]]", required=False)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
def ls(name: str | None, wants_json: bool) -> None:
    """List projects, the datasets of a project, or the files of a dataset."""
    from panneuro_hub.client import run

    with plain_errors(wants_json):
        if name is None:
            listed = run.projects()
        elif "/" in name:
            listed = run.files(name)
        else:
            listed = run.datasets(name)
        show(listed, wants_json)
