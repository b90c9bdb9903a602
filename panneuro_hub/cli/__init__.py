"""The command line, ``panneuro-hub``: check, explain and preview a collaboration.

To add a command, add a line to `COMMANDS` and a module to this package. A command's
module is imported when the command runs, and for ``--help``. Imports that need an
extra of this package belong in the function that runs.
"""

from __future__ import annotations

import click

from panneuro_hub.cli.lazy_group import LazyGroup

COMMANDS = {
    "check": "panneuro_hub.cli.check:check",
    "explain": "panneuro_hub.cli.explain:explain",
    "diff": "panneuro_hub.cli.diff:diff",
    "policy": "panneuro_hub.cli.policy:policy",
    "aws-role": "panneuro_hub.cli.aws_role:aws_role",
    "database": "panneuro_hub.cli.database:database",
    "demo": "panneuro_hub.cli.demo:demo",
}


@click.group(
    cls=LazyGroup,
    commands_at=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Completion in the shell: eval "
    '"$(_PANNEURO_HUB_COMPLETE=bash_source panneuro-hub)", or zsh_source, or fish_source.',
)
@click.version_option(package_name="panneuro-hub", prog_name="panneuro-hub")
def main() -> None:
    """Check, explain and preview who may do what in a collaboration.

    FILE is always a collaboration file, collaboration.yaml.
    """
