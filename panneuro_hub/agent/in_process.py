"""Run an agent in the process that uses its credential: a local server or a Dask worker.

In a pod, the agent is a separate container, and this module is not used.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping

from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.wire.foreign_keys import FOREIGN_KEY_VARIABLES

log = logging.getLogger("panneuro_hub.agent")


def start_agent(settings: AgentSettings, environment: MutableMapping[str, str]) -> CredentialAgent:
    """Start an agent, and point every S3 client that inherits `environment` to it.

    Returns
    -------
    CredentialAgent
        The running agent; stop it when the process ends.

    Raises
    ------
    AgentSettingsError
        If a setting is unusable; `environment` stays as it was.
    """
    agent = CredentialAgent(settings)
    agent.start()
    use_agent(agent, environment)
    return agent


def use_agent(agent: CredentialAgent, environment: MutableMapping[str, str]) -> None:
    """Point every S3 client that inherits `environment` to the agent only."""
    for name in FOREIGN_KEY_VARIABLES:
        if environment.pop(name, None) is not None:
            log.warning(
                "%s is removed from the environment: this session uses only its own credential",
                name,
            )
    environment.update(agent.environment())
