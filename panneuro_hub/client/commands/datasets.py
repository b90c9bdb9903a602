"""``panneuro datasets``."""

from __future__ import annotations

import click

from panneuro_hub.client.command import FAILED, as_json, plain_errors, printable, show
from panneuro_hub.client.errors import WrongName


@click.command
@click.argument("project", required=False)
@click.option("--rebuild", is_flag=True, help="Make PROJECT's catalog anew from the manifests.")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
def datasets(project: str | None, rebuild: bool, wants_json: bool) -> None:
    """List the datasets of all projects that you may read, or of PROJECT.

    The catalog that this reads lies beside the data, and is made of the datasets'
    manifests. With --rebuild it is made of them anew: where somebody copied or removed
    a dataset by other means, or its catalog was damaged. Data and manifests stay as
    they are.
    """
    with plain_errors(wants_json):
        if not rebuild:
            _list(project, wants_json)
        elif project is None:
            raise WrongName("name the project whose catalog is to be made anew")
        else:
            _rebuild(project, wants_json)


def _list(project: str | None, wants_json: bool) -> None:
    from panneuro_hub.client import run

    listed = run.all_datasets() if project is None else run.datasets(project)
    show(listed, wants_json)


def _rebuild(project: str, wants_json: bool) -> None:
    from panneuro_hub.client import run

    made = run.rebuild(project)
    troubles = [{"key": one.key, "reason": one.reason} for one in made.troubles]
    if wants_json:
        as_json({"project": project, **vars(made), "troubles": troubles})
    else:
        click.echo(printable(run.rebuilt_in_words(project, made)))
        for one in made.troubles:
            click.echo(printable(str(one)), err=True)
    if troubles:
        raise click.exceptions.Exit(FAILED)
