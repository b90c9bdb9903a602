"""The identity provider of the devstack."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from panneuro_hub.devstack.identity_provider import (
    make_authenticator_settings,
    make_claims,
    start_provider,
)
from panneuro_hub.devstack.processes import ProcessGroup, find_free_port
from panneuro_hub.devstack.samples.people import PEOPLE, SamplePerson, find_person
from panneuro_hub.hub.authenticators import PanNeuroGenericOAuthenticator

CALLBACK = "http://127.0.0.1:1/hub/oauth_callback"


def test_claims_of_a_person() -> None:
    someone = SamplePerson("ada", "Ada Monkman", ("u19:a", "u19:b"), "about")

    assert make_claims(someone) == {
        "sub": "ada",
        "preferred_username": "ada",
        "name": "Ada Monkman",
        "email": "ada@uni.example",
        "groups": ["u19:a", "u19:b"],
    }


def test_settings_are_traits_of_the_authenticator() -> None:
    traits = make_authenticator_settings("http://127.0.0.1:1", "http://127.0.0.1:2")

    authenticator = PanNeuroGenericOAuthenticator(**traits)

    assert authenticator.oauth_callback_url == "http://127.0.0.1:2/hub/oauth_callback"
    for name in traits:
        assert name in authenticator.traits()


async def test_the_provider_says_whose_groups_are_what(tmp_path: Path) -> None:
    with ProcessGroup() as processes:
        provider = start_provider(processes, PEOPLE, find_free_port(), tmp_path / "provider.log")
        provider.wait_until_ready()
        traits = make_authenticator_settings(provider.url, "http://127.0.0.1:1")
        query = {
            "response_type": "code",
            "client_id": traits["client_id"],
            "redirect_uri": CALLBACK,
            "scope": " ".join(traits["scope"]),
        }
        async with aiohttp.ClientSession() as browser:
            form = f"{traits['authorize_url']}?{urlencode(query)}"
            async with browser.post(form, data={"sub": "mina"}, allow_redirects=False) as answer:
                code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
            exchange = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": CALLBACK,
                "client_id": traits["client_id"],
                "client_secret": traits["client_secret"],
            }
            async with browser.post(traits["token_url"], data=exchange) as answer:
                token = json.loads(await answer.text())["access_token"]
            bearer = {"Authorization": f"Bearer {token}"}
            async with browser.get(traits["userdata_url"], headers=bearer) as answer:
                said = json.loads(await answer.text())

    assert said[traits["username_claim"]] == "mina"
    assert said["groups"] == list(find_person("mina").groups)


def test_nobody_is_called_something_unknown() -> None:
    with pytest.raises(KeyError):
        find_person("nobody")
