"""The proxy's rules: a name in them is a name, whatever is in it."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.hub.traefik_proxy import (
    PanNeuroTraefikProxy,
    build_route_rule,
    encode_routing_path,
)

_STRING = r'"(?:[^"\\]|\\.)*"'
_RULE = re.compile(rf"\(PathPrefix\(({_STRING})\) \|\| Path\(({_STRING})\)\)", re.DOTALL)
names = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)


def spec(name: str) -> str:
    return f"/user/{quote(name, safe='@~')}/"


@pytest.mark.parametrize(
    ("routespec", "made"),
    [
        ("/", 'PathPrefix("/")'),
        ("/user/ada/", '(PathPrefix("/user/ada/") || Path("/user/ada"))'),
        ("/user/o%27b%2Bl@x/", '(PathPrefix("/user/o%27b%2Bl@x/") || Path("/user/o%27b%2Bl@x"))'),
        ("/user/%C3%BC%20b/", '(PathPrefix("/user/ü b/") || Path("/user/ü b"))'),
        ("h.example/", 'Host("h.example") && PathPrefix("/")'),
        ("h.example/x/", 'Host("h.example") && (PathPrefix("/x/") || Path("/x"))'),
    ],
)
def test_rules(routespec: str, made: str) -> None:
    assert build_route_rule(routespec) == made


@given(names)
def test_a_rule_is_about_one_path_only(name: str) -> None:
    match = _RULE.fullmatch(build_route_rule(spec(name)))
    assert match
    prefix, exact = json.loads(match[1]), json.loads(match[2])
    assert prefix == f"{exact}/" == encode_routing_path(spec(name))
    assert prefix.count("/") == 3


@given(names, names)
def test_different_names_have_different_paths(one: str, other: str) -> None:
    assert (encode_routing_path(spec(one)) == encode_routing_path(spec(other))) == (one == other)


def test_the_proxy_writes_these_rules() -> None:
    proxy = PanNeuroTraefikProxy.__new__(PanNeuroTraefikProxy)
    rules, _ = PanNeuroTraefikProxy._dynamic_config_for_route(
        proxy, spec("x`) || Method(`GET"), "http://127.0.0.1:1", {}
    )
    [router] = rules["http"]["routers"].values()
    assert router["rule"] == build_route_rule(spec("x`) || Method(`GET"))
    assert router["rule"].startswith('(PathPrefix("/user/x`%29 ')


@pytest.mark.parametrize(
    ("data", "host_routing", "refused"),
    [({"user": "ada"}, False, True), ({"user": "ada"}, True, False), ({}, False, False)],
)
def test_servers_at_the_hub_s_origin_give_browsers_no_service_worker(
    data: dict[str, str], host_routing: bool, refused: bool
) -> None:
    proxy = PanNeuroTraefikProxy.__new__(PanNeuroTraefikProxy)
    proxy.host_routing = host_routing
    rules, _ = PanNeuroTraefikProxy._dynamic_config_for_route(
        proxy, spec("ada"), "http://127.0.0.1:1", data
    )
    [router] = rules["http"]["routers"].values()
    end = ' && !HeaderRegexp("Service-Worker", ".+")' if refused else ""
    assert router["rule"] == build_route_rule(spec("ada")) + end
