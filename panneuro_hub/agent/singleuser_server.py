"""Run JupyterHub's single-user server with the agent inside.

``python -m panneuro_hub.agent.singleuser_server`` is for servers that are plain processes. The
agent's threads run in the server, and its kernels inherit the variables through which S3 clients
find the agent.
"""

from __future__ import annotations

import logging
import os
import sys

from panneuro_hub.agent.credential_agent import AgentSettings, set_up_logging
from panneuro_hub.agent.in_process import start_agent
from panneuro_hub.agent.service_client import AgentSettingsError

log = logging.getLogger("panneuro_hub.agent")


def main() -> int:
    """Start the agent, then JupyterHub's own single-user server.

    Returns
    -------
    int
        The exit status; 1 if the agent's settings are missing or unusable.
    """
    set_up_logging()
    try:
        agent = start_agent(AgentSettings.from_environment(os.environ), os.environ)
    except AgentSettingsError as problem:
        log.error("the session's agent cannot start: %s", problem)
        return 1
    try:
        # Imported here, so that the settings are checked before a second is spent on Jupyter.
        from jupyterhub.singleuser import main as serve

        serve()
    finally:
        agent.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
