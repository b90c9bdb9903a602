"""The configuration that all clusters of a project share, on every backend; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panneuro_hub.access import merge_dask_limits
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.pod.session_environment import build_data_environment
from panneuro_hub.wire.session import Session

CHOICE_KEY = "panneuro"
"""The key of a cluster's configuration that holds its session, project, worker profile and image.

Only the gateway sets it.
"""

STARTED_IN_KEY = "started_in"
"""The key below `CHOICE_KEY` that holds the id of the session that started the cluster."""

PRELOAD_MODULE = "panneuro_hub.lab.tls_workaround"
"""The module that schedulers, workers and nannies preload, so that they keep their connections."""


def build_cluster_traits(
    collaboration: Collaboration,
    session: Session,
    variables: Mapping[str, str],
    service_url: str,
) -> dict[str, Any]:
    """Return the traits of dask-gateway's ``ClusterConfig`` that a session sets; no secret.

    Parameters
    ----------
    session : Session
        The cluster's session; its profile is a worker profile.
    variables : mapping of str to str
        The person's own environment, checked.
    service_url : str
        The address at which the cluster reaches the PanNeuro service.
    """
    profile = collaboration.dask.worker_profiles[session.profile]
    store = collaboration.stores[collaboration.projects[session.project].store]
    idle = merge_dask_limits(collaboration, session.project).idle_timeout
    return {
        CHOICE_KEY: {
            "session": session.id,
            "project": session.project,
            "profile": session.profile,
            "image": session.image,
        },
        "worker_cores": profile.cpu,
        "worker_memory": profile.memory,
        "worker_threads": max(1, int(profile.cpu)),
        "idle_timeout": idle.total_seconds() if idle else 0.0,
        # Ours come last, so that a person's own variable cannot replace one.
        "environment": {**variables, **build_data_environment(store, session.project, service_url)},
    }
