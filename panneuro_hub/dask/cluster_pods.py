"""The settings that dask-gateway's controller adds to the pods of a cluster; pure.

The gateway stores them in the DaskCluster object, which the administrators of the Kubernetes
cluster may read. So they name the Secret of the ticket and contain no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panneuro_hub.collaboration import Collaboration, WorkerProfile
from panneuro_hub.dask.cluster_config import build_cluster_traits
from panneuro_hub.pod import agent_sidecar
from panneuro_hub.wire.session import Session

# The fewest rights with which a worker runs; an administrator whose image needs more adds them.
_SECURITY = {
    **agent_sidecar.NOTEBOOK_SECURITY,
    "allowPrivilegeEscalation": False,
    "runAsUser": 1000,
}


def build_kube_config(
    collaboration: Collaboration,
    session: Session,
    person: str,
    variables: Mapping[str, str],
    *,
    service_url: str,
    agent_image: str,
    admin_traits: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the traits of ``KubeClusterConfig`` for one cluster.

    Parameters
    ----------
    session : Session
        The cluster's session; its profile is a worker profile.
    variables : mapping of str to str
        The person's own environment, checked.
    admin_traits : mapping
        The traits that the administrator set for the gateway; the pods extend them.

    Returns
    -------
    dict
        Traits that are missing here keep the administrator's value, such as the size of a
        scheduler.
    """
    profile = collaboration.dask.worker_profiles[session.profile]
    traits = build_cluster_traits(collaboration, session, variables, service_url)
    environment = {**traits["environment"], **agent_sidecar.build_client_environment()}
    config = {
        **traits,
        "environment": {name: escape_references(value) for name, value in environment.items()},
        "worker_cores_limit": profile.cpu,
        "worker_memory_limit": profile.memory,
    }
    if session.image is not None:
        config["image"] = collaboration.images[session.image].image
    agent = agent_sidecar.build_agent_container(agent_image, service_url)
    for part, placement in (("worker", _build_placement(profile)), ("scheduler", {})):
        config[f"{part}_extra_container_config"] = _build_container(
            admin_traits.get(f"{part}_extra_container_config") or {}
        )
        config[f"{part}_extra_pod_config"] = _build_pod(
            admin_traits.get(f"{part}_extra_pod_config") or {}, agent, session, placement
        )
        config[f"{part}_extra_pod_labels"] = {
            **(admin_traits.get(f"{part}_extra_pod_labels") or {}),
            **agent_sidecar.build_session_labels(session, person),
        }
    return config


def escape_references(value: str) -> str:
    """Return the value of a variable with its references escaped, so that it stays as it is.

    Source: Kubernetes API, EnvVar: ``$(NAME)`` is replaced, and ``$$`` stands for ``$``.
    """
    return value.replace("$", "$$")


def _build_placement(profile: WorkerProfile) -> dict[str, Any]:
    constraints = profile.kubernetes
    placement: dict[str, Any] = {}
    if constraints.node_selector:
        placement["nodeSelector"] = dict(constraints.node_selector)
    if constraints.tolerations:
        placement["tolerations"] = [dict(toleration) for toleration in constraints.tolerations]
    return placement


def _build_container(extra_config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **extra_config,
        "volumeMounts": [*extra_config.get("volumeMounts", ()), agent_sidecar.build_token_mount()],
        "securityContext": {**_SECURITY, **extra_config.get("securityContext", {})},
    }


def _build_pod(
    extra_config: Mapping[str, Any],
    agent: dict[str, Any],
    session: Session,
    placement: Mapping[str, Any],
) -> dict[str, Any]:
    secret = agent_sidecar.name_ticket_secret(session.id)
    pod = {
        **extra_config,
        # The controller adds these containers and volumes to its own.
        "containers": [*extra_config.get("containers", ()), agent],
        "volumes": [
            *extra_config.get("volumes", ()),
            *agent_sidecar.build_session_volumes(secret),
        ],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }
    if "nodeSelector" in placement:
        pod["nodeSelector"] = {
            **extra_config.get("nodeSelector", {}),
            **placement["nodeSelector"],
        }
    if "tolerations" in placement:
        pod["tolerations"] = [
            *extra_config.get("tolerations", ()),
            *placement["tolerations"],
        ]
    return pod
