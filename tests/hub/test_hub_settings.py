"""A hub whose settings cannot work with ours does not start, and says which and why."""

from __future__ import annotations

from collections.abc import Callable

from hubs import PATIENCE, Hub
from testing.waiting import wait_until_async

CONFIG = """
c.JupyterHub.services = []
c.JupyterHub.load_roles = []
c.Authenticator.auth_refresh_strict = False
c.Spawner.options_form = "<p>theirs</p>"
"""


async def test_every_setting_is_named_with_what_to_do(make_hub: Callable[..., Hub]) -> None:
    hub = make_hub(CONFIG)
    with hub.launched() as child:
        await wait_until_async(lambda: child.exit_code is not None, "the hub's end", PATIENCE)
        assert child.exit_code not in (0, None)
    _, _, reasons = hub.log.partition("the hub does not start:")
    for words in (
        "c.JupyterHub.services has no service panneuro",
        "c.JupyterHub.load_roles does not give the service the scopes custom:panneuro:",
        "add to the list after configure(c)",
        "c.Authenticator.auth_refresh_strict is False: a person whom the identity provider",
    ):
        assert words in reasons
    assert "c.Spawner.options_form takes the place of our start form" in hub.log
    assert "Traceback" not in hub.log
