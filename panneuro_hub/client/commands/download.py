"""``panneuro download``."""

from __future__ import annotations

from pathlib import Path

import click

from panneuro_hub.client.command import report_errors
from panneuro_hub.terminal_output import escape_lines, print_json


@click.command
@click.argument("dataset", metavar="PROJECT/DATASET")
@click.argument("path", type=click.Path(path_type=Path, file_okay=False))
@click.option("--update", is_flag=True, help="Replace files that are other here.")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON, and no progress.")
def download(dataset: str, path: Path, update: bool, wants_json: bool) -> None:
    """Fetch PROJECT/DATASET into the folder PATH.

    Every file is compared with the dataset's manifest (SHA-256). What is here already
    is not fetched again; a download that broke off is continued.
    """
    from panneuro_hub.client import api

    with report_errors(wants_json):
        outcome = api.download_dataset(dataset, path, update=update, quiet=wants_json)
        if wants_json:
            print_json(outcome.to_json())
        else:
            click.echo(escape_lines(api.describe_result(outcome, "fetched")))
