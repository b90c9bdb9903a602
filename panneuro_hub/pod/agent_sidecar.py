"""The agent, its ticket and the labels that a session adds to its pod; pure.

The ticket is a Secret that only the agent's container mounts. The notebook's container knows
the agent's address on loopback, and sees neither the ticket nor the keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from panneuro_hub.collaboration import ServerProfile
from panneuro_hub.names import make_slug
from panneuro_hub.wire import Ticket
from panneuro_hub.wire.session import Session

AGENT_PORT = 8317
LABEL_PREFIX = "panneuro.org/"
HUB_LABEL = f"{LABEL_PREFIX}hub"
_TOKEN_FOLDER = "/run/panneuro"  # noqa: S105 - a folder
_TICKET_FOLDER = "/run/panneuro-ticket"
_UID = 65532  # the agent's own user; no other container of the pod runs as it
NOTEBOOK_SECURITY: dict[str, Any] = {
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def build_session_labels(session: Session, user: str) -> dict[str, str]:
    """Return the labels that cost tools join on: project, person and profile."""
    return {
        f"{LABEL_PREFIX}project": session.project,
        f"{LABEL_PREFIX}profile": session.profile,
        f"{LABEL_PREFIX}owner": make_slug(user),
        f"{LABEL_PREFIX}session": session.id,
    }


def make_hub_label(api_url: str) -> str:
    """Return the value of the label that says which hub made a pod.

    Parameters
    ----------
    api_url : str
        URL of the hub's API, as sessions reach it. It differs between the hubs that share a
        namespace, and stays the same after a hub has lost its database.
    """
    return hashlib.sha256(api_url.encode()).hexdigest()[:32]


def belongs_to_session(pod: Mapping[str, Any], session: Session) -> bool:
    """Return `True` if a pod, as the API server describes it, was made for this session."""
    labels = pod["metadata"].get("labels") or {}
    return bool(labels.get(f"{LABEL_PREFIX}session") == session.id)


def build_client_environment() -> dict[str, str]:
    """Return the variables by which the notebook's clients find the agent on loopback."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{AGENT_PORT}/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{_TOKEN_FOLDER}/token",
    }


def build_token_mount() -> dict[str, Any]:
    """Return the mount from which the notebook's container reads the agent's token."""
    return {"name": "panneuro-token", "mountPath": _TOKEN_FOLDER, "readOnly": True}


def build_session_volumes(secret_name: str) -> list[dict[str, Any]]:
    """Return the volumes of the token, in shared memory, and of the ticket, for the agent alone."""
    return [
        {"name": "panneuro-token", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {
            "name": "panneuro-ticket",
            "secret": {"secretName": secret_name, "defaultMode": 0o444},
        },
    ]


def build_agent_container(image: str, service_url: str) -> dict[str, Any]:
    """Return the sidecar that holds the keys, with as little privilege as a container can have."""
    variables = {
        "PANNEURO_AGENT_PORT": str(AGENT_PORT),
        "PANNEURO_SERVICE_URL": service_url,
        "PANNEURO_TICKET_FILE": f"{_TICKET_FOLDER}/ticket",
        "PANNEURO_TOKEN_FILE": f"{_TOKEN_FOLDER}/token",
        # The notebook runs as another user; the volume is in this pod alone.
        "PANNEURO_TOKEN_MODE": "644",
    }
    return {
        "name": "panneuro-agent",
        "image": image,
        "command": ["python3", "-m", "panneuro_hub.agent.credential_agent"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [
            {"name": "panneuro-token", "mountPath": _TOKEN_FOLDER},
            {"name": "panneuro-ticket", "mountPath": _TICKET_FOLDER, "readOnly": True},
        ],
        "resources": {
            "requests": {"cpu": "5m", "memory": "32Mi"},
            "limits": {"memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": _UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def name_ticket_secret(session_id: str) -> str:
    """Return the name of the Secret with a session's ticket; every session has a new one."""
    return f"panneuro-ticket-{session_id}"


def build_ticket_secret(
    name: str, ticket: Ticket, labels: dict[str, str], owner: dict[str, Any]
) -> dict[str, Any]:
    """Return the Secret that holds a session's ticket; Kubernetes deletes it with its pod.

    Parameters
    ----------
    owner : dict
        Owner reference of the pod.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
        "stringData": {"ticket": ticket.encode()},
    }


def build_gpu_resources(profile: ServerProfile) -> dict[str, str]:
    """Return the extended resources for a profile's GPUs."""
    return {"nvidia.com/gpu": str(profile.gpu)} if profile.gpu else {}
