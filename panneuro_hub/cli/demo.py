"""``panneuro-hub demo``: a whole hub on this machine, to look at or to check."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--check", is_flag=True, help="Do the whole main job without anybody, then stop.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it keeps its files; .demo here, or a temporary one with --check.",
)
@click.pass_context
def demo(context: click.Context, check: bool, folder: Path | None) -> None:
    """Start a hub, an identity provider and an object store here, on loopback.

    It needs no root and no cluster. Ctrl-C stops everything.
    """
    try:
        from panneuro_hub.demo import command
    except ImportError as missing:
        raise click.ClickException(
            f"the demo needs {missing.name}; install panneuro-hub[demo]"
        ) from missing
    context.exit(command.check(folder) if check else command.demo(folder or command.FOLDER))
