"""``panneuro datasets``."""

from __future__ import annotations

import click

from panneuro_hub.client.command import (
    FAILED,
    escape_controls,
    print_json,
    print_listing,
    report_errors,
)
from panneuro_hub.client.transfer_errors import WrongNameError


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
    with report_errors(wants_json):
        if not rebuild:
            _list(project, wants_json)
        elif project is None:
            raise WrongNameError("name the project whose catalog is to be made anew")
        else:
            _rebuild(project, wants_json)


def _list(project: str | None, wants_json: bool) -> None:
    from panneuro_hub.client import api

    listed = api.list_all_datasets() if project is None else api.list_datasets(project)
    print_listing(listed, wants_json)


def _rebuild(project: str, wants_json: bool) -> None:
    from panneuro_hub.client import api

    made = api.rebuild_catalog(project)
    troubles = [{"key": one.key, "reason": one.reason} for one in made.troubles]
    if wants_json:
        print_json({"project": project, **vars(made), "troubles": troubles})
    else:
        click.echo(escape_controls(api.describe_rebuild(project, made)))
        for one in made.troubles:
            click.echo(escape_controls(str(one)), err=True)
    if troubles:
        raise click.exceptions.Exit(FAILED)
