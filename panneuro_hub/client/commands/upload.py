"""``panneuro upload``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from panneuro_hub.client.command import confirm_secrets, report_errors
from panneuro_hub.client.transfer_errors import DatasetEmbargoError
from panneuro_hub.terminal_output import escape_lines, print_json


@click.command
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("dataset", metavar="PROJECT/DATASET")
@click.option("--update", is_flag=True, help="Replace what is other there, and add what is new.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option(
    "--include",
    metavar="NAME",
    multiple=True,
    help="Send a tool's file that is left out, such as .gitattributes; may be given again.",
)
@click.option("--allow-secrets", is_flag=True, help="Send what looks like a secret.")
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
    include: tuple[str, ...],
    allow_secrets: bool,
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
    Files of version control and of tools are left out. What looks like a secret is named
    first, and sent only if you say so.

    Everybody who can read PROJECT can open the dataset. To keep readers out until a
    day, upload it into a project whose `embargo` the collaboration file sets.
    """
    from panneuro_hub.client import api
    from panneuro_hub.client.transfer.dataset_transfer import DatasetDescription

    said = DatasetDescription(title, description, citation, license_)
    with report_errors(wants_json):
        if embargo is not None:
            raise DatasetEmbargoError
        send = partial(
            api.upload_dataset,
            path,
            dataset,
            said,
            update=update,
            dry=dry_run,
            checked=not no_check,
            include=include,
            quiet=wants_json,
        )
        outcome = confirm_secrets(send, allowed=allow_secrets, wants_json=wants_json)
        if wants_json:
            print_json({**outcome.to_json(), "dry_run": dry_run})
            return
        for finding in outcome.secrets:
            click.echo(escape_lines(f"looks like a secret: {finding}"), err=True)
        for line in (*outcome.findings, *outcome.notes):
            click.echo(escape_lines(line), err=True)
        click.echo(
            escape_lines(api.describe_result(outcome, "would be sent" if dry_run else "sent"))
        )
