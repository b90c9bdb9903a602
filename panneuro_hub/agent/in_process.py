"""An agent inside the very process whose keys it keeps: a local server, a Dask worker.

Where there are pods, the agent is a container of its own and none of this is used.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.wire.foreign_keys import FOREIGN_KEY_VARIABLES

log = logging.getLogger("panneuro_hub.agent")


def start_agent(settings: AgentSettings, environment: MutableMapping[str, str]) -> CredentialAgent:
    """Start an agent, and make every S3 client that inherits `environment` find it.

    Returns
    -------
    CredentialAgent
        To be stopped when the process ends.

    Raises
    ------
    SettingsError
        If a setting is unusable; `environment` stays as it was.
    """
    agent = CredentialAgent(settings)
    agent.start()
    use_agent(agent, environment)
    return agent


def use_agent(agent: CredentialAgent, environment: MutableMapping[str, str]) -> None:
    """Make every S3 client that inherits `environment` find the agent, and no other keys."""
    for name in FOREIGN_KEY_VARIABLES:
        if environment.pop(name, None) is not None:
            log.warning("%s is taken out: this session works with its own keys only", name)
    environment.update(agent.environment())
