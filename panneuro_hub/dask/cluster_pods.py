"""The pods of a cluster: what dask-gateway's controller adds to the ones it makes; pure.

The gateway keeps this in the DaskCluster object, which people who look after the
cluster may read: so it names the Secret of the ticket and holds none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panneuro_hub.collaboration import Collaboration, WorkerProfile
from panneuro_hub.dask.cluster_config import build_cluster_traits
from panneuro_hub.pod import agent_sidecar
from panneuro_hub.wire.session import Session

# The least that a worker needs; an admin whose image needs more says so.
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
    admins: Mapping[str, Any],
) -> dict[str, Any]:
    """The traits of ``KubeClusterConfig`` for one cluster.

    Parameters
    ----------
    session : Session
        Its profile is a worker profile.
    variables : mapping of str to str
        The person's own environment, checked.
    admins : mapping
        What the gateway's own configuration sets; pods are built upon it.

    Returns
    -------
    dict
        Whatever is not in it stays as the admin set it: a scheduler's size, for one.
    """
    profile = collaboration.dask.worker_profiles[session.profile]
    shape = build_cluster_traits(collaboration, session, variables, service_url)
    everything = {**shape["environment"], **agent_sidecar.build_client_environment()}
    config = {
        **shape,
        "environment": {name: escape_references(value) for name, value in everything.items()},
        "worker_cores_limit": profile.cpu,
        "worker_memory_limit": profile.memory,
    }
    if session.image is not None:
        config["image"] = collaboration.images[session.image].image
    agent = agent_sidecar.build_agent_container(agent_image, service_url)
    for part, placed in (("worker", _build_placement(profile)), ("scheduler", {})):
        config[f"{part}_extra_container_config"] = _build_container(
            admins.get(f"{part}_extra_container_config") or {}
        )
        config[f"{part}_extra_pod_config"] = _build_pod(
            admins.get(f"{part}_extra_pod_config") or {}, agent, session, placed
        )
        config[f"{part}_extra_pod_labels"] = {
            **(admins.get(f"{part}_extra_pod_labels") or {}),
            **agent_sidecar.build_session_labels(session, person),
        }
    return config


def escape_references(value: str) -> str:
    """A variable's value in which nothing comes alive.

    Source: Kubernetes API, EnvVar: ``$(NAME)`` is replaced, and ``$$`` stands for ``$``.
    """
    return value.replace("$", "$$")


def _build_placement(profile: WorkerProfile) -> dict[str, Any]:
    where = profile.kubernetes
    placed: dict[str, Any] = {}
    if where.node_selector:
        placed["nodeSelector"] = dict(where.node_selector)
    if where.tolerations:
        placed["tolerations"] = [dict(toleration) for toleration in where.tolerations]
    return placed


def _build_container(admins: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **admins,
        "volumeMounts": [*admins.get("volumeMounts", ()), agent_sidecar.build_token_mount()],
        "securityContext": {**_SECURITY, **admins.get("securityContext", {})},
    }


def _build_pod(
    admins: Mapping[str, Any], agent: dict[str, Any], session: Session, placed: Mapping[str, Any]
) -> dict[str, Any]:
    secret = agent_sidecar.name_ticket_secret(session.id)
    pod = {
        **admins,
        # The containers and volumes are added to the gateway's own.
        "containers": [*admins.get("containers", ()), agent],
        "volumes": [*admins.get("volumes", ()), *agent_sidecar.build_session_volumes(secret)],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }
    if "nodeSelector" in placed:
        pod["nodeSelector"] = {**admins.get("nodeSelector", {}), **placed["nodeSelector"]}
    if "tolerations" in placed:
        pod["tolerations"] = [*admins.get("tolerations", ()), *placed["tolerations"]]
    return pod
