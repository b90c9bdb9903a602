"""Pages link to the documentation, if an address is set."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import ChoiceLoader, DictLoader, Environment, FileSystemLoader
from traitlets.config import Config

from panneuro_hub import configure as configure_module
from panneuro_hub.configure import configure
from panneuro_hub.service.device_login.login_pages import render_decision
from panneuro_hub.service.web.page_rendering import PageContext

ADDRESS = "https://docs.example.org/hub?a=1&b=2"
AROUND = PageContext("/hub/", "/services/panneuro/")


def test_pages_of_the_service_link_to_help(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Help" not in render_decision(AROUND, allowed=True)
    monkeypatch.setenv("PANNEURO_HELP_URL", ADDRESS)
    page = render_decision(AROUND, allowed=True)
    assert '<a href="https://docs.example.org/hub?a=1&amp;b=2" rel="noreferrer">Help</a>' in page


@pytest.mark.parametrize("address", ["javascript:alert(1)", "docs.example.org", " "])
def test_an_address_that_is_not_http_is_no_link(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANNEURO_HELP_URL", address)
    assert "Help" not in render_decision(AROUND, allowed=True)


def test_the_hub_and_its_service_learn_the_address(
    example_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANNEURO_HELP_URL", ADDRESS)
    c = Config()
    c.JupyterHub.template_vars = {"announcement": "Sunday"}
    configure(c, example_file)
    assert c.JupyterHub.template_vars == {"announcement": "Sunday", "panneuro_help_url": ADDRESS}
    (service,) = c.JupyterHub.services
    assert service["environment"]["PANNEURO_HELP_URL"] == ADDRESS


def test_the_hub_s_navigation_has_the_link() -> None:
    overrides = Path(configure_module.__file__).parent / "hub" / "page_overrides"
    base = "<ul>{% block nav_bar_left_items %}<li>Home</li>{% endblock %}</ul>"
    loader = ChoiceLoader([FileSystemLoader(overrides), DictLoader({"templates/page.html": base})])
    page = Environment(loader=loader, autoescape=True).get_template("page.html")
    assert "Help" not in page.render()
    assert '<a class="nav-link" href="https://docs.example.org/hub?a=1&amp;b=2"' in page.render(
        panneuro_help_url=ADDRESS
    )
