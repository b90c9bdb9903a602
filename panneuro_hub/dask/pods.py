"""The pods of a cluster: what dask-gateway's controller adds to the ones it makes; pure.

The gateway keeps this in the DaskCluster object, which people who look after the
cluster may read: so it names the Secret of the ticket and holds none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panneuro_hub.attach import pods
from panneuro_hub.collaboration import Collaboration, WorkerProfile
from panneuro_hub.dask.shape import cluster_shape
from panneuro_hub.wire.state import Session

# The least that a worker needs; an admin whose image needs more says so.
_SECURITY = {**pods.NOTEBOOK_SECURITY, "allowPrivilegeEscalation": False, "runAsUser": 1000}


def cluster_config(
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
    shape = cluster_shape(collaboration, session, variables, service_url)
    everything = {**shape["environment"], **pods.client_environment()}
    config = {
        **shape,
        "environment": {name: literal(value) for name, value in everything.items()},
        "worker_cores_limit": profile.cpu,
        "worker_memory_limit": profile.memory,
    }
    if session.image is not None:
        config["image"] = collaboration.images[session.image].image
    agent = pods.agent_container(agent_image, service_url)
    for part, placed in (("worker", _placed(profile)), ("scheduler", {})):
        config[f"{part}_extra_container_config"] = _container(
            admins.get(f"{part}_extra_container_config") or {}
        )
        config[f"{part}_extra_pod_config"] = _pod(
            admins.get(f"{part}_extra_pod_config") or {}, agent, session, placed
        )
        config[f"{part}_extra_pod_labels"] = {
            **(admins.get(f"{part}_extra_pod_labels") or {}),
            **pods.labels(session, person),
        }
    return config


def literal(value: str) -> str:
    """A variable's value in which nothing comes alive.

    Source: Kubernetes API, EnvVar: ``$(NAME)`` is replaced, and ``$$`` stands for ``$``.
    """
    return value.replace("$", "$$")


def _placed(profile: WorkerProfile) -> dict[str, Any]:
    where = profile.kubernetes
    placed: dict[str, Any] = {}
    if where.node_selector:
        placed["nodeSelector"] = dict(where.node_selector)
    if where.tolerations:
        placed["tolerations"] = [dict(toleration) for toleration in where.tolerations]
    return placed


def _container(admins: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **admins,
        "volumeMounts": [*admins.get("volumeMounts", ()), pods.token_mount()],
        "securityContext": {**_SECURITY, **admins.get("securityContext", {})},
    }


def _pod(
    admins: Mapping[str, Any], agent: dict[str, Any], session: Session, placed: Mapping[str, Any]
) -> dict[str, Any]:
    secret = pods.ticket_secret_name(session.id)
    pod = {
        **admins,
        # The containers and volumes are added to the gateway's own.
        "containers": [*admins.get("containers", ()), agent],
        "volumes": [*admins.get("volumes", ()), *pods.volumes(secret)],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }
    if "nodeSelector" in placed:
        pod["nodeSelector"] = {**admins.get("nodeSelector", {}), **placed["nodeSelector"]}
    if "tolerations" in placed:
        pod["tolerations"] = [*admins.get("tolerations", ()), *placed["tolerations"]]
    return pod
