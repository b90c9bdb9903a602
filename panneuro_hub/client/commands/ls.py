"""``panneuro ls``."""

from __future__ import annotations

import click

from panneuro_hub.client.command import print_listing, report_errors


@click.command
@click.argument("name", metavar="[PROJECT[/DATASET]]", required=False)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
def ls(name: str | None, wants_json: bool) -> None:
    """List projects, the datasets of a project, or the files of a dataset."""
    from panneuro_hub.client import api

    with report_errors(wants_json):
        if name is None:
            listed = api.list_projects()
        elif "/" in name:
            listed = api.list_files(name)
        else:
            listed = api.list_datasets(name)
        print_listing(listed, wants_json)
