"""``panneuro upload``."""

from __future__ import annotations

from pathlib import Path

import click

from panneuro_hub.client.command import as_json, plain_errors, printable
from panneuro_hub.client.errors import DatasetEmbargoError


@click.command
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("dataset", metavar="PROJECT/DATASET")
@click.option("--update", is_flag=True, help="Replace what is other there, and add what is new.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--no-check", is_flag=True, help="Do not ask the format's validator.")
@click.option("--title", help="In one line.")
@click.option("--description", help="What it is, for who finds it.")
@click.option("--license", "license_", help="Such as CC-BY-4.0.")
@click.option("--citation", help="How to cite it.")
@click.option(
    "--embargo",
    hidden=True,
    # Without a value too, it is refused for what it is.
    is_flag=False,
    flag_value="",
)
@click.option("--json", "wants_json", is_flag=True, help="Print JSON, and no progress.")
def upload(
    path: Path,
    dataset: str,
    update: bool,
    dry_run: bool,
    no_check: bool,
    title: str | None,
    description: str | None,
    license_: str | None,
    citation: str | None,
    embargo: str | None,
    wants_json: bool,
) -> None:
    """Send the folder or file PATH to PROJECT/DATASET.

    What has arrived is never sent again: after a broken network or a crash, give the
    same command. A dataset is complete when this ends well, and visibly not before.
    Links that lead to a file inside the folder are followed, others are refused.

    Everybody who can read PROJECT can open the dataset. To keep readers out until a
    day, upload it into a project whose `embargo` the collaboration file sets.
    """
    from panneuro_hub.client import run
    from panneuro_hub.client.dataset import Said

    said = Said(title, description, citation, license_)
    with plain_errors(wants_json):
        if embargo is not None:
            raise DatasetEmbargoError
        outcome = run.upload(
            path,
            dataset,
            said,
            update=update,
            dry=dry_run,
            checked=not no_check,
            quiet=wants_json,
        )
        if wants_json:
            as_json({**vars(outcome), "dry_run": dry_run})
            return
        for line in (*outcome.findings, *outcome.notes):
            click.echo(printable(line), err=True)
        click.echo(printable(run.said_of(outcome, "would be sent" if dry_run else "sent")))
