"""``panneuro login``, ``logout`` and ``whoami``."""

from __future__ import annotations

import threading
import webbrowser
from typing import Any

import click

from panneuro_hub.client.command import report_errors
from panneuro_hub.errors import PanNeuroError
from panneuro_hub.terminal_output import escape_lines, print_json

_json = click.option("--json", "wants_json", is_flag=True, help="Print JSON.")


@click.command
@click.argument("hub")
@click.option("--no-browser", is_flag=True, help="Only print the page's address.")
@_json
def login(hub: str, no_browser: bool, wants_json: bool) -> None:
    """Log in at HUB, https://…, through a browser here or anywhere.

    Type the code printed here on the page. It asks you to log in again, and then whether to
    allow this computer. The login ends after 30 days, or with panneuro logout.
    """
    from panneuro_hub.client import login

    def show(url: str, code: str) -> None:
        click.echo(
            f"Open {escape_lines(url)}\nand type the code {escape_lines(code)} there",
            err=True,
        )
        if not no_browser:
            webbrowser.open(url)

    with report_errors(wants_json):
        made = login.log_in(login.find_service_url(hub), show, threading.Event())
        path = made.write()
        if wants_json:
            print_json({"user": made.user, "hub": made.hub, "expires": made.expires.isoformat()})
        else:
            click.echo(f"You are {made.user} at {made.hub} until {made.expires:%Y-%m-%d} ({path}).")


@click.command
@_json
def logout(wants_json: bool) -> None:
    """End the login of this machine, here and at the hub."""
    from panneuro_hub.client import login

    with report_errors(wants_json):
        kept = login.StoredLogin.read()
        try:
            kept.call("DELETE", "/api/login")
        except login.NotLoggedInError:
            pass  # ended there already
        finally:
            login.find_login_file().unlink(missing_ok=True)
        if wants_json:
            print_json({"user": None})
        else:
            click.echo(f"Logged out of {kept.hub}.")


@click.command
@_json
def whoami(wants_json: bool) -> None:
    """Say who you are here, and in which projects you may do what."""
    from panneuro_hub.client.connection import is_in_session

    with report_errors(wants_json):
        document = _of_session() if is_in_session() else _of_login()
        if wants_json:
            print_json(document)
            return
        click.echo(f"{document['user']} ({document['how']})")
        for name, project in document["projects"].items():
            click.echo(
                escape_lines(f"  {name}: {project['level'] or 'no access'}, {project['title']}")
            )


def _of_session() -> dict[str, Any]:
    from panneuro_hub.lab import current_session

    view = current_session.session()
    own = {"level": view.level, "title": view.title}
    others = {name: {"level": "read", "title": view.prefixes[name]} for name in view.prefixes}
    projects = {**others, view.project: own}
    return {"user": view.user, "how": f"a session in {view.project}", "projects": projects}


def _of_login() -> dict[str, Any]:
    from panneuro_hub.client.login import StoredLogin

    kept = StoredLogin.read()
    answer = kept.call("GET", "/api/login")
    if not isinstance(answer.get("projects"), dict):
        raise PanNeuroError("the hub's answer names no projects; is it a newer one?")
    how = f"logged in at {kept.hub} until {kept.expires:%Y-%m-%d}"
    return {"user": kept.user, "how": how, "projects": answer["projects"]}
