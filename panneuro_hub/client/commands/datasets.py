"""``panneuro datasets``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from panneuro_hub.client.command import FAILED, print_listing, report_errors
from panneuro_hub.client.transfer_errors import WrongNameError
from panneuro_hub.terminal_output import escape_lines, print_json

if TYPE_CHECKING:
    from panneuro_hub.catalog.dataset_records import RebuildResult


@click.command
@click.argument("project", required=False)
@click.option("--rebuild", is_flag=True, help="Rebuild PROJECT's catalog from the manifests.")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
def datasets(project: str | None, rebuild: bool, wants_json: bool) -> None:
    """List the datasets of all projects that you may read, or of PROJECT.

    The catalog is stored with the data and is made from the datasets' manifests.
    Rebuild it with --rebuild if somebody copied or removed a dataset by other means, or
    if the catalog is damaged. Data and manifests stay as they are.
    """
    with report_errors(wants_json):
        if not rebuild:
            _list(project, wants_json)
        elif project is None:
            raise WrongNameError("name the project to rebuild the catalog of")
        else:
            _rebuild(project, wants_json)


def _list(project: str | None, wants_json: bool) -> None:
    from panneuro_hub.client import api

    listed = api.list_all_datasets() if project is None else api.list_datasets(project)
    print_listing(listed, wants_json)


def _rebuild(project: str, wants_json: bool) -> None:
    from panneuro_hub.client import api

    made = api.rebuild_catalog(project)
    problems = [{"key": one.key, "reason": one.reason} for one in made.problems]
    if wants_json:
        print_json(_describe_rebuild(project, made, problems))
    else:
        click.echo(escape_lines(api.describe_rebuild(project, made)))
        for one in made.problems:
            click.echo(escape_lines(str(one)), err=True)
    if problems:
        raise click.exceptions.Exit(FAILED)


def _describe_rebuild(
    project: str, made: RebuildResult, problems: list[dict[str, str]]
) -> dict[str, object]:
    """Return the JSON object of a rebuilt catalog."""
    return {
        "project": project,
        "written": made.written,
        "removed": made.removed,
        "kept": made.kept,
        "unread": made.unread,
        "troubles": problems,
    }
