"""``panneuro-hub aws-role``: the roles to make in AWS, as commands or as JSON."""

from __future__ import annotations

import click

from panneuro_hub.cli.arguments import file_argument, read_collaboration
from panneuro_hub.policy.aws_roles import ServiceIdentity, build_roles, format_shell_commands
from panneuro_hub.terminal_output import print_json


@click.command("aws-role")
@file_argument
@click.option(
    "--principal",
    required=True,
    metavar="ARN",
    help="Who the service is: the one user or role that may assume the data role.",
)
@click.option(
    "--oidc-provider",
    metavar="ARN",
    help="The EKS cluster's provider: print the service's own role too, for its pods.",
)
@click.option("--namespace", metavar="NAME", help="The Kubernetes namespace of these pods.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["shell", "json"]),
    default="shell",
    show_default=True,
    help="Commands of the AWS command line, or one JSON document.",
)
def aws_role(
    file: str, principal: str, oidc_provider: str | None, namespace: str | None, form: str
) -> None:
    """Print the AWS roles that the stores of FILE need; nothing is sent anywhere.

    Exit code 0; 1 if FILE is broken; 2 if it has no store in AWS, or an option is wrong.
    """
    if (oidc_provider is None) != (namespace is None):
        raise click.UsageError("--oidc-provider and --namespace go together")
    collaboration = read_collaboration(file)
    try:
        made = build_roles(collaboration, ServiceIdentity(principal, oidc_provider, namespace))
        text = format_shell_commands(made)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem
    if form == "json":
        print_json({"roles": [role.to_json() for role in made]})
    else:
        click.echo(text)
