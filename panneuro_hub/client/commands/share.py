"""``panneuro share``, ``notebooks`` and ``copy``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from panneuro_hub.client.command import confirm_secrets, print_listing, report_errors
from panneuro_hub.terminal_output import escape_lines, print_json

if TYPE_CHECKING:
    from panneuro_hub.client.notebook_sharing import ShareResult

_json = click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
_tell = partial(click.echo, err=True)


@click.command
@click.argument("path", metavar="NOTEBOOK.ipynb", type=click.Path(path_type=Path))
@click.argument("name", metavar="[PROJECT[/NAME]]", required=False)
@click.option("--title", help="In one line; else the first heading.")
@click.option("--description", help="What it is, for who finds it.")
@click.option("--note", help="What is new in this version.")
@click.option(
    "--dataset",
    "datasets",
    metavar="PROJECT/DATASET",
    multiple=True,
    help="What it reads, besides what its code names; may be given again.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be published.")
@click.option("--allow-secrets", is_flag=True, help="Publish what looks like a secret.")
@_json
def share(
    path: Path,
    name: str | None,
    title: str | None,
    description: str | None,
    note: str | None,
    datasets: tuple[str, ...],
    dry_run: bool,
    allow_secrets: bool,
    wants_json: bool,
) -> None:
    """Publish NOTEBOOK.ipynb in a project, for everybody who reads that.

    It is published as it is, with its outputs, what it ran in and the datasets that
    its code names. Sharing it again makes a new version, and the ones before stay.
    What looks like a secret is named first, and published only if you say so.
    Without PROJECT it is the project of this server; without NAME, the file's own.
    """
    from panneuro_hub.client import notebook_sharing

    said = notebook_sharing.NotebookDescription(title, description, note, datasets)
    with report_errors(wants_json):
        send = partial(notebook_sharing.share_notebook, path, name, said, dry=dry_run, tell=_tell)
        shared = confirm_secrets(send, allowed=allow_secrets, wants_json=wants_json)
        if wants_json:
            document = {"is_new": shared.is_new, "notes": shared.notes, "dry_run": dry_run}
            secrets = [vars(finding) for finding in shared.secrets]
            print_json({**shared.published.to_json(), **document, "secrets": secrets})
            return
        for finding in shared.secrets:
            click.echo(escape_lines(f"looks like a secret: {finding}"), err=True)
        for line in shared.notes:
            click.echo(escape_lines(line), err=True)
        click.echo(escape_lines(_said_of(shared, dry_run)))


@click.command
@click.argument("project", required=False)
@_json
def notebooks(project: str | None, wants_json: bool) -> None:
    """List the notebooks that are shared in all projects that you may read, or in PROJECT."""
    from panneuro_hub.client import notebook_sharing

    with report_errors(wants_json):
        print_listing(notebook_sharing.list_notebooks(project), wants_json)


@click.command
@click.argument("name", metavar="PROJECT/NAME[@VERSION]")
@click.argument("target", metavar="[DEST]", type=click.Path(path_type=Path), required=False)
@_json
def copy(name: str, target: Path | None, wants_json: bool) -> None:
    """Fetch a shared notebook, the newest version where none is named.

    DEST is a folder, or the file to write; nothing that is there is overwritten. The
    notebook is somebody else's program: read it before you run it.
    """
    from panneuro_hub.client import notebook_sharing

    with report_errors(wants_json):
        copied = notebook_sharing.copy_notebook(name, target, tell=_tell)
        if wants_json:
            print_json({**copied.published.to_json(), "path": str(copied.path)})
        else:
            published = copied.published
            click.echo(
                escape_lines(f"{copied.path} is {published.label}, by {published.created_by}.")
            )


def _said_of(shared: ShareResult, dry: bool) -> str:
    published = shared.published
    if not shared.is_new:
        return f"{published.label} is there already, and is the same."
    reads = ", ".join(published.datasets)
    done = "would be published" if dry else "is published"
    return f"{published.label} {done}; {f'it reads {reads}' if reads else 'it names no dataset'}."
