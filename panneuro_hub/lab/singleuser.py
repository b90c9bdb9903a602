"""``python -m panneuro_hub.lab.singleuser``: a JupyterHub server with its agent inside.

For servers that are plain processes: the agent's threads run in the server, and
its kernels inherit the variables through which S3 clients find the agent.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping

from panneuro_hub.lab.agent import Agent, Settings, log_plainly
from panneuro_hub.lab.upstream import SettingsError
from panneuro_hub.wire.keys import FOREIGN_KEYS

log = logging.getLogger("panneuro_hub.lab")


def use_agent(agent: Agent, environment: MutableMapping[str, str]) -> None:
    """Make every S3 client that inherits `environment` find the agent, and no other keys."""
    for name in FOREIGN_KEYS:
        if environment.pop(name, None) is not None:
            log.warning("%s is taken out: this session works with its own keys only", name)
    environment.update(agent.environment())


def main() -> int:
    """Start the agent, then JupyterHub's own single-user server.

    Returns
    -------
    int
        The exit status; 1 where the agent's settings are missing.
    """
    log_plainly()
    try:
        agent = Agent(Settings.from_environment(os.environ))
        agent.start()
    except SettingsError as problem:
        log.error("the session's agent cannot start: %s", problem)
        return 1
    use_agent(agent, os.environ)
    try:
        # Imported here: the settings are judged before a second is spent on Jupyter.
        from jupyterhub.singleuser import main as serve

        serve()
    finally:
        agent.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
