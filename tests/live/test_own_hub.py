"""README.md's way leads to a running hub with `[hub]` alone, and to a login at each provider."""

from __future__ import annotations

import http.cookiejar
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from own_hub import PATIENCE, ROOT, OwnHub, code_blocks, make_own_hub
from provider_apis import DOMAIN, GROUPS, PERSON, client_config
from ruamel.yaml import YAML
from testing.waiting import wait_until

from panneuro_hub.devstack.processes import ProcessGroup, find_free_port, url_answers

WATCHER = "w" * 32
_WATCHER = f"""
c.JupyterHub.services.append({{"name": "watcher", "api_token": "{WATCHER}"}})
c.JupyterHub.load_roles.append(
    {{
        "name": "watcher",
        "services": ["watcher"],
        "scopes": ["list:users", "read:users", "servers"],
    }}
)
"""
# JupyterLab refuses to run as root, as which tests in a container run, unless it is told to.
_AS_ROOT = """
import os as _os

c.Spawner.http_timeout = 90
if _os.geteuid() == 0:
    c.Spawner.args = ["--allow-root"]
"""
# What docs/how-to/identity-providers.md sets, as deploy/jupyterhub_config.py reads it.
_SETTINGS = """
from pathlib import Path as _Path

from panneuro_hub.settings import read_settings

for _name, _traits in read_settings(_Path("hub.yaml")).items():
    c[_name].update(_traits)
"""
PROVIDERS = {
    "github": "GitHub",
    "cilogon": "CILogon",
    "globus": "Globus",
    "google": "Google",
    "azuread": "Microsoft Entra ID",
    "oidc": "Any OpenID Connect provider",
}


class StayHere(urllib.request.HTTPRedirectHandler):
    """Report a redirect rather than follow it."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return nothing, so that the redirect is the answer."""


class Browser:
    """A client with cookies that sees each redirect."""

    def __init__(self) -> None:
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(StayHere, cookies)

    def get(self, url: str, **headers: str) -> tuple[int, str, str]:
        """Return an answer's status, where it leads, and its text."""
        request = urllib.request.Request(url, headers=headers)
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, "", answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers.get("Location", ""), answer.read().decode()


@pytest.fixture(scope="module")
def hub_alone(tmp_path_factory: pytest.TempPathFactory) -> OwnHub:
    """Return a folder whose environment has the extra `hub`, and no other."""
    return make_own_hub(tmp_path_factory.mktemp("hub-alone"), "hub")


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Yield the port of the providers' stand-in."""
    port = find_free_port()
    program = Path(__file__).with_name("provider_apis.py")
    log = tmp_path_factory.mktemp("apis") / "apis.log"
    with ProcessGroup() as processes:
        command = [sys.executable, str(program), str(port)]
        child = processes.start("apis", command, log=log, environment={})
        child.wait_until_ready(
            url_answers(f"http://127.0.0.1:{port}/api.github.com/user"), PATIENCE
        )
        yield port


def test_the_readme_s_commands_lead_to_a_hub_with_servers(apis: int, tmp_path: Path) -> None:
    own_hub = make_own_hub(tmp_path)
    with (
        members(own_hub, GROUPS["github"]),
        own_hub.running(client_config(apis) + _WATCHER + _AS_ROOT) as url,
    ):
        browser = Browser()
        status, _, page = browser.get(f"{url}/hub/login")
        assert status == 200
        assert "Sign in with GitHub" in page
        leads = log_in(browser, url)
        assert leads.startswith("https://github.com/login/oauth/authorize?")
        assert parse_qs(urlsplit(leads).query)["redirect_uri"] == [
            "https://hub.example.org/hub/oauth_callback"
        ]
        status, _, page = browser.get(f"{url}/hub/spawn/{PERSON}")
        assert status == 200
        assert "nhp-navigation" in page
        start = json.dumps({"project": "nhp-navigation"}).encode()
        request = urllib.request.Request(
            f"{url}/hub/api/users/{PERSON}/server",
            start,
            {"Authorization": f"token {WATCHER}", "Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=PATIENCE).close()
        wait_until(lambda: user_of(browser, url)["servers"].get("", {}).get("ready", False))
    assert "Traceback" not in own_hub.log


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_person_of_each_provider_logs_in_with_what_the_hub_extra_installs(
    hub_alone: OwnHub, apis: int, provider: str, tmp_path: Path
) -> None:
    settings = YAML(typ="safe").load(
        code_blocks(ROOT / "docs" / "how-to" / "identity-providers.md", PROVIDERS[provider])[0]
    )
    # The variables of README.md's commands name the client and its secret.
    for traits in settings.values():
        traits.pop("client_id", None)
    if provider == "google":
        settings["GoogleOAuthenticator"]["google_service_account_keys"] = {
            DOMAIN: str(service_account(tmp_path / "key.json", apis))
        }
    with hub_alone.folder.joinpath("hub.yaml").open("w") as file:
        YAML().dump(settings, file)
    with (
        members(hub_alone, GROUPS[provider]),
        hub_alone.running(client_config(apis) + _SETTINGS + _WATCHER) as url,
    ):
        browser = Browser()
        log_in(browser, url)
        user = user_of(browser, url)
    assert user["name"].split("@")[0] == PERSON
    assert user["groups"] == ["theory-lab"]
    assert "Traceback" not in hub_alone.log


@contextmanager
def members(own_hub: OwnHub, group: str) -> Iterator[None]:
    """Let a group of the provider be the theory laboratory."""
    collaboration = own_hub.folder / "collaboration.yaml"
    before = collaboration.read_text()
    document = YAML().load(before)
    document["teams"]["theory-lab"]["groups"] = [group]
    with collaboration.open("w") as file:
        YAML().dump(document, file)
    yield
    collaboration.write_text(before)


def log_in(browser: Browser, url: str) -> str:
    """Log in as the provider's person; return the address at which they would have done so."""
    _, leads, _ = browser.get(f"{url}/hub/oauth_login")
    state = parse_qs(urlsplit(leads).query)["state"][0]
    query = urlencode({"code": "a-code", "state": state})
    status, after, page = browser.get(f"{url}/hub/oauth_callback?{query}")
    assert (status, urlsplit(after).path) in [(302, "/hub/"), (302, "/hub/spawn")], page
    return leads


def user_of(browser: Browser, url: str) -> dict[str, Any]:
    """Return what the hub knows of its one person."""
    _, _, users = browser.get(f"{url}/hub/api/users", Authorization=f"token {WATCHER}")
    [user] = json.loads(users)
    return dict(user)


def service_account(path: Path, port: int) -> Path:
    """Write the key of a Google service account whose token endpoint is the stand-in."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    document = {
        "type": "service_account",
        "client_email": f"hub@project.iam.{DOMAIN}",
        "private_key": key.decode(),
        "token_uri": f"http://127.0.0.1:{port}/oauth2.googleapis.com/token",
    }
    path.write_text(json.dumps(document))
    return path
